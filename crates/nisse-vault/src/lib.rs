//! Secrets at rest and in a process of their own: a root key, a key for each tenant, a key for each version of a secret.
//!
//! What lies on the disk is trusted with nothing: each part is sealed for its own place and version, a MAC under the root key
//! is over all of them, and whoever changes, exchanges, removes or brings back a part is found out. The root key is in the memory of the vault's process alone ([`vault_child_main`]), and only while the vault is unlocked. The
//! node asks it over a socket ([`VaultClient`]).
#![forbid(unsafe_code)]

mod child;
mod error;
mod keeper;
mod key;
mod process;
mod stored;
mod unlock;
mod vault;
mod wire;

pub use child::{VaultChildError, vault_child_main};
pub use error::VaultError;
pub use keeper::{Keeper, VaultPaths};
pub use process::{VaultCallError, VaultClient, VaultCommand, VaultDriver, VaultState, vault_process};
pub use unlock::{Cost, Unlock, UnlockKind};
pub use vault::{Secret, Setting, Vault};
pub use wire::{RefusalKind, VaultStatus};
