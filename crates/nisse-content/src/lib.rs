//! Content by its hash: blocks, files, packages, and the gateway that serves them.
//!
//! Ids are equal to those of Kubo and Helia for the same bytes and [`Profile`]. The one thing to know: a
//! [`VerifiedBlock`] can only be made by hashing, and nothing else is ever stored, read back or served.
#![forbid(unsafe_code)]

mod block;
mod block_source;
mod block_store;
pub mod car;
pub mod download;
pub mod gateway;
mod gateway_url;
mod package;
pub mod routing;
pub mod unixfs;
mod varint;

pub use block::{BLOCK_BYTES_MAX, VerifiedBlock, VerifyError};
pub use block_source::{BlockSource, FetchError, FetchLimits, Fetched, Fetching, LocalSource, Reader};
pub use block_store::{
    AddError, Batch, BlockStore, Collected, FAULTS_MAX, Fault, GcError, Listed, LoosePin, MISSED_BY_MAX, Need,
    PIN_NAME_BYTES_MAX, PINS_MAX, Pin, PinError, PinHold, PinKind, PinName, PinState, PublicBlocks, StoreError,
    StoreOptions, Usage, VERIFIED_BYTES_MAX, Verified, WalkError,
};
pub use gateway_url::{GatewayUrl, ParseGatewayUrlError};
pub use package::{
    ARTIFACT_BYTES_MAX, MANIFEST_BYTES_MAX, PackageCids, PackageError, artifact_cid, ipfs_add_cid, manifest_cid,
};
pub use unixfs::Profile;
pub use varint::VarintError;
