//! Names to addresses: the seam, the answer, and the two resolvers behind it.
//!
//! Agents' names go through [`HickoryResolver`], which asks the name servers alone: no hosts file, no search list.
//! What the operator configured goes through [`MachineResolver`], which answers as every other program of the machine.

mod hickory;
mod machine;

use std::net::IpAddr;
use std::time::Duration;

use async_trait::async_trait;

pub use hickory::HickoryResolver;
pub use machine::MachineResolver;

/// Addresses looked at per name; an answer with more is refused as a whole.
pub const ADDRESSES_PER_NAME_MAX: usize = 32;

/// What a name stands for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// All addresses of both families, unchecked.
    pub addresses: Vec<IpAddr>,
    /// How long they may be kept.
    pub ttl: Duration,
}

/// Asks for a name's addresses once.
#[async_trait]
pub trait Resolver: Send + Sync + 'static {
    /// `name` is normalised and without a trailing dot; it is always taken as fully qualified.
    async fn resolve(&self, name: &str) -> Result<Answer, ResolveError>;
}

/// Why a name has no answer. Each text completes "failed to …".
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ResolveError {
    /// The name does not exist or has no addresses.
    #[error("find an address: the name does not exist or has none")]
    NotFound,
    /// More addresses than are looked at.
    #[error("use {count} addresses: at most {ADDRESSES_PER_NAME_MAX} are looked at")]
    TooMany {
        /// Addresses found.
        count: usize,
    },
    /// The name servers cannot be asked, or did not answer.
    #[error("ask the name servers: {0}")]
    Unavailable(String),
}
