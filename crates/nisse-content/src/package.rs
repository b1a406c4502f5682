//! How a package lies in the store: its manifest is one raw block, its artifact one raw block up to 2 MiB and a
//! UnixFS file beyond.
//!
//! A raw block's digest is the SHA-256 of the file itself, so a contract can compare `artifact_hash` with the CID by
//! bytes; for a larger artifact it cannot.

use nisse_model::{ContentId, Hash256};

use crate::block_store::{Batch, BlockStore, PinError, PinKind, PinName, StoreError};
use crate::unixfs::{Profile, cid_of};
use crate::{AddError, BLOCK_BYTES_MAX, VerifiedBlock};

/// Bytes of a manifest.
pub const MANIFEST_BYTES_MAX: usize = 64 * 1024;
/// Bytes of an artifact.
pub const ARTIFACT_BYTES_MAX: usize = 64 * 1024 * 1024;

/// The ids of a package's parts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PackageCids {
    /// `agent.yaml`, as one raw block.
    pub manifest: ContentId,
    /// The artifact.
    pub artifact: ContentId,
}

impl PackageCids {
    /// The pin that keeps both.
    pub fn pin_name(&self) -> PinName {
        PinKind::Package.name(format_args!("{}/{}", self.manifest, self.artifact))
    }
}

/// The id of a manifest.
pub fn manifest_cid(manifest: &[u8]) -> ContentId {
    ContentId::raw(Hash256::of(manifest))
}

/// The id of an artifact in a package: one raw block while it fits.
pub fn artifact_cid(artifact: &[u8]) -> ContentId {
    if artifact.len() <= BLOCK_BYTES_MAX {
        ContentId::raw(Hash256::of(artifact))
    } else {
        cid_of(artifact, Profile::default())
    }
}

/// The id that `ipfs add` gives to a file under `profile`. Kubo's own profile is still [`Profile::UnixFs2015`], which names
/// every file by a dag-pb node; [`Profile::UnixFs2025`] differs from [`artifact_cid`] between 1 and 2 MiB.
pub fn ipfs_add_cid(bytes: &[u8], profile: Profile) -> ContentId {
    cid_of(bytes, profile)
}

impl BlockStore {
    /// Adds both parts of a package with one sync, then pins them together under [`PackageCids::pin_name`].
    pub fn add_package(&self, manifest: &[u8], artifact: &[u8]) -> Result<PackageCids, PackageError> {
        check("manifest", manifest, MANIFEST_BYTES_MAX)?;
        check("artifact", artifact, ARTIFACT_BYTES_MAX)?;
        let batch = self.batch();
        let artifact = if artifact.len() <= BLOCK_BYTES_MAX {
            let block = VerifiedBlock::raw(artifact);
            batch.put(&block)?;
            block.cid()
        } else {
            batch.add(&mut &*artifact, Profile::UnixFs2025)?
        };
        pin_package(batch, manifest, artifact)
    }

    /// The same for an artifact that lies here as `artifact`, in whichever blocks.
    pub fn add_package_of(&self, manifest: &[u8], artifact: ContentId) -> Result<PackageCids, PackageError> {
        check("manifest", manifest, MANIFEST_BYTES_MAX)?;
        pin_package(self.batch(), manifest, artifact)
    }
}

fn pin_package(batch: Batch<&BlockStore>, manifest: &[u8], artifact: ContentId) -> Result<PackageCids, PackageError> {
    let manifest = VerifiedBlock::raw(manifest);
    batch.put(&manifest)?;
    let cids = PackageCids { manifest: manifest.cid(), artifact };
    batch.commit_and_pin(cids.pin_name().as_str(), &[cids.manifest, cids.artifact])?;
    Ok(cids)
}

fn check(part: &'static str, bytes: &[u8], bytes_max: usize) -> Result<(), PackageError> {
    match bytes.len() {
        0 => Err(PackageError::Empty(part)),
        length if length > bytes_max => Err(PackageError::TooLarge { part, bytes: length, bytes_max }),
        _ => Ok(()),
    }
}

/// Why a package was not added.
#[derive(Debug, thiserror::Error)]
pub enum PackageError {
    /// Nothing there.
    #[error("add a package: its {0} is empty")]
    Empty(&'static str),
    /// Too much there.
    #[error("add a package: its {part} has {bytes} bytes, and at most {bytes_max} are taken")]
    TooLarge {
        /// `manifest` or `artifact`.
        part: &'static str,
        /// Its size.
        bytes: usize,
        /// The limit.
        bytes_max: usize,
    },
    /// The store failed.
    #[error(transparent)]
    Add(#[from] AddError),
    /// The pin failed.
    #[error(transparent)]
    Pin(#[from] PinError),
}

impl From<StoreError> for PackageError {
    fn from(error: StoreError) -> Self {
        Self::Add(error.into())
    }
}

impl PackageError {
    /// What to do about it, if there is something.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Empty(_) => None,
            Self::TooLarge { part: "artifact", .. } => {
                Some("build it in release mode and strip it, for example with `wasm-tools strip`".to_owned())
            }
            Self::TooLarge { .. } => {
                Some("move long values of the manifest into content that it names by CID".to_owned())
            }
            Self::Add(error) => error.hint(),
            Self::Pin(error) => error.hint(),
        }
    }
}
