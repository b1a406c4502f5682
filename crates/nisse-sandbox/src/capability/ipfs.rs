//! `nisse:agent/ipfs`: whole files by CID, each block checked by the node.

use wasmtime::component::HasSelf;

use super::{Capability, Need};
use crate::bindings::imports::nisse::agent::ipfs::{self, IpfsError};
use crate::guest_state::GuestState;
use crate::host::{HostCall, HostFailureKind, HostReply};

/// Largest file that is read for a guest.
const FILE_BYTES_MAX: u64 = 1 << 20;
/// Longest text that can be a CID.
const CID_LENGTH_MAX: usize = 100;

pub(super) const IPFS: Capability = Capability {
    interfaces: &["nisse:agent/ipfs"],
    need: Need::ReadIpfs,
    link: |linker| ipfs::add_to_linker::<_, HasSelf<GuestState>>(linker, |state| state),
};

impl ipfs::Host for GuestState {
    async fn read(&mut self, cid: String) -> wasmtime::Result<Result<Vec<u8>, IpfsError>> {
        if cid.len() > CID_LENGTH_MAX {
            return Ok(Err(IpfsError::Malformed(format!("a CID has at most {CID_LENGTH_MAX} characters"))));
        }
        let failure = match self.dispatcher().call(HostCall::IpfsRead { cid }).await? {
            HostReply::Content { bytes } if bytes.len() as u64 > FILE_BYTES_MAX => {
                return Ok(Err(IpfsError::TooLarge(FILE_BYTES_MAX)));
            }
            HostReply::Content { bytes } => {
                self.buffer(bytes.len() as u64)?;
                return Ok(Ok(bytes));
            }
            HostReply::Failed { failure } => failure,
            other => return Err(wasmtime::format_err!("the host answered an ipfs call with {other:?}")),
        };
        Ok(Err(match failure.kind {
            HostFailureKind::Malformed => IpfsError::Malformed(failure.text),
            HostFailureKind::TooLarge => IpfsError::TooLarge(FILE_BYTES_MAX),
            HostFailureKind::Denied => IpfsError::Denied(failure.text),
            _ => IpfsError::NotFound,
        }))
    }
}
