//! What is deployed: a [`Package`] is verified bytes, a [`PackageRef`] is only a name for some.

use crate::{AgentId, ArtifactHash, CidCodec, ContentId, Hash256, Manifest, ManifestErrors};

/// The name of a package and of its configuration: what a deployment and the content store agree on.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct PackageRef {
    /// Name and version, as the manifest declares them.
    pub agent_id: AgentId,
    /// The raw block of agent.yaml.
    pub manifest_cid: ContentId,
    /// The artifact: a raw block whose digest is `artifact_hash`, or a dag-pb file.
    pub artifact_cid: ContentId,
    /// SHA-256 of the artifact's bytes.
    pub artifact_hash: Hash256,
    /// SHA-256 of the merged configuration's bytes ([`crate::Config::hash`]).
    pub config_hash: Hash256,
}

impl PackageRef {
    /// Checks what can be checked without the bytes: agent.yaml is one raw block, and a raw artifact CID holds the very
    /// hash that the manifest declares. A dag-pb CID says nothing about the hash before the bytes were fetched.
    pub fn check(&self) -> Result<(), PackageError> {
        if self.manifest_cid.codec() != CidCodec::Raw {
            return Err(PackageError::ManifestCodec(self.manifest_cid));
        }
        let raw = self.artifact_cid.codec() == CidCodec::Raw;
        if raw && self.artifact_cid.digest() != self.artifact_hash {
            return Err(PackageError::ArtifactCid { cid: self.artifact_cid, declared: self.artifact_hash });
        }
        Ok(())
    }

    /// SHA-256 of agent.yaml's bytes.
    pub fn manifest_hash(&self) -> Hash256 {
        self.manifest_cid.digest()
    }
}

/// A manifest and its artifact, both checked against the hashes that the deployment names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Package {
    manifest: Manifest,
    manifest_bytes: Vec<u8>,
    artifact_bytes: Vec<u8>,
    artifact_hash: Hash256,
}

impl Package {
    /// Largest artifact, in bytes.
    pub const ARTIFACT_LENGTH_MAX: usize = 64 << 20;

    /// Checks both byte strings against `expected`, reads the manifest, and demands that it declares the same agent and
    /// the same, sealed, artifact.
    pub fn verify(
        manifest_bytes: Vec<u8>,
        artifact_bytes: Vec<u8>,
        expected: &PackageRef,
    ) -> Result<Self, PackageError> {
        expected.check()?;
        let found = Hash256::of(&manifest_bytes);
        if found != expected.manifest_hash() {
            return Err(PackageError::ManifestHash { expected: expected.manifest_hash(), found });
        }
        let package = Self::seal_checked(manifest_bytes, artifact_bytes)?;
        if package.artifact_hash != expected.artifact_hash {
            return Err(PackageError::ArtifactHash { expected: expected.artifact_hash, found: package.artifact_hash });
        }
        if package.manifest.agent_id != expected.agent_id {
            let (expected, found) = (Box::new(expected.agent_id.clone()), Box::new(package.manifest.agent_id));
            return Err(PackageError::AgentId { expected, found });
        }
        Ok(package)
    }

    /// Checks a folder's own two files against each other: what `deploy` does before anything is named on chain.
    pub fn seal_checked(manifest_bytes: Vec<u8>, artifact_bytes: Vec<u8>) -> Result<Self, PackageError> {
        let text = std::str::from_utf8(&manifest_bytes).map_err(|error| PackageError::NotText(error.valid_up_to()))?;
        let manifest = Manifest::parse(text)?;
        let ArtifactHash::Sealed(declared) = manifest.artifact_hash else {
            return Err(PackageError::Unsealed);
        };
        if artifact_bytes.len() > Self::ARTIFACT_LENGTH_MAX {
            return Err(PackageError::ArtifactTooLong { length: artifact_bytes.len() });
        }
        let artifact_hash = Hash256::of(&artifact_bytes);
        if artifact_hash != declared {
            return Err(PackageError::ArtifactHash { expected: declared, found: artifact_hash });
        }
        Ok(Self { manifest, manifest_bytes, artifact_bytes, artifact_hash })
    }

    /// What agent.yaml says.
    pub fn manifest(&self) -> &Manifest {
        &self.manifest
    }

    /// agent.yaml, byte for byte.
    pub fn manifest_bytes(&self) -> &[u8] {
        &self.manifest_bytes
    }

    /// The component.
    pub fn artifact_bytes(&self) -> &[u8] {
        &self.artifact_bytes
    }

    /// SHA-256 of the component, equal to what the manifest declares.
    pub fn artifact_hash(&self) -> Hash256 {
        self.artifact_hash
    }

    /// CID of agent.yaml's raw block.
    pub fn manifest_cid(&self) -> ContentId {
        ContentId::raw(Hash256::of(&self.manifest_bytes))
    }
}

/// Why bytes are not the package that was named. Each text completes "failed to …".
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PackageError {
    /// agent.yaml must be one raw block.
    #[error("use {0} for agent.yaml: it is one raw block, so its CID begins with `bafkrei`")]
    ManifestCodec(ContentId),
    /// A raw CID and the declared hash disagree.
    #[error("use the artifact {cid}: its digest is {digest}, and {declared} is declared", digest = cid.digest())]
    ArtifactCid {
        /// The raw block.
        cid: ContentId,
        /// What the deployment declares.
        declared: Hash256,
    },
    /// agent.yaml is not the one that was named.
    #[error("verify agent.yaml: expected SHA-256 {expected}, found {found}")]
    ManifestHash {
        /// What was named.
        expected: Hash256,
        /// What the bytes have.
        found: Hash256,
    },
    /// agent.yaml is not UTF-8.
    #[error("read agent.yaml as text: byte {0} is not UTF-8")]
    NotText(usize),
    /// agent.yaml has errors.
    #[error("read agent.yaml")]
    Manifest(#[from] ManifestErrors),
    /// `artifact_hash` is no hash yet.
    #[error("use an unsealed package: `artifact_hash` in agent.yaml is not a SHA-256 digest; run `nisse pkg seal`")]
    Unsealed,
    /// The artifact is larger than [`Package::ARTIFACT_LENGTH_MAX`].
    #[error("use an artifact of {length} bytes: at most {max} are allowed", max = Package::ARTIFACT_LENGTH_MAX)]
    ArtifactTooLong {
        /// Bytes found.
        length: usize,
    },
    /// The artifact is not the one that was declared.
    #[error("verify the artifact: expected SHA-256 {expected}, found {found}")]
    ArtifactHash {
        /// What was declared.
        expected: Hash256,
        /// What the bytes have.
        found: Hash256,
    },
    /// agent.yaml declares another agent.
    #[error("verify agent.yaml: expected the agent {expected}, found {found}")]
    AgentId {
        /// What was named.
        expected: Box<AgentId>,
        /// What agent.yaml declares.
        found: Box<AgentId>,
    },
}
