//! Content by its hash: blocks, files, packages, and the gateway that serves them.
//!
//! Ids are equal to those of Kubo and Helia for the same bytes and [`Profile`]. The one thing to know: a
//! [`VerifiedBlock`] can only be made by hashing, and nothing else is ever stored, read back or served.
#![forbid(unsafe_code)]

mod block;
mod block_source;
mod block_store;
pub mod car;
pub mod gateway;
mod package;
pub mod unixfs;
mod varint;

pub use block::{BLOCK_BYTES_MAX, VerifiedBlock, VerifyError};
pub use block_source::{BlockSource, FetchError, FetchLimits, Fetched, Fetching, LocalSource, Reader};
pub use block_store::{
    AddError, Batch, BlockStore, Collected, GcError, Listed, LoosePin, PIN_NAME_BYTES_MAX, PINS_MAX, Pin, PinError,
    PinHold, PinKind, PinName, PinState, PublicBlocks, StoreError, StoreOptions, Usage, VERIFIED_BYTES_MAX, WalkError,
};
pub use package::{
    ARTIFACT_BYTES_MAX, MANIFEST_BYTES_MAX, PackageCids, PackageError, artifact_cid, ipfs_add_cid, manifest_cid,
};
pub use unixfs::Profile;
pub use varint::VarintError;
