//! Secrets and signing keys at rest and in a process of their own: a root key, a key for each tenant, a key for each version
//! of a secret, and the node's own wallet and device keys, which sign there.
//!
//! What lies on the disk is trusted with nothing: each part is sealed for its own place and version, a MAC under the root key
//! is over all of them, and whoever changes, exchanges, removes or brings back a part is found out. The root key is in the memory of the vault's process alone ([`vault_child_main`]), and only while the vault is unlocked. The
//! node asks it over a socket ([`VaultClient`]).
#![forbid(unsafe_code)]

mod child;
mod client;
mod error;
mod export;
mod keeper;
mod key;
mod process;
mod signing;
mod stored;
mod unlock;
mod vault;
mod wire;
mod within;

pub use child::{VaultChildError, vault_child_main, vault_reader_main};
pub use client::{VaultCallError, VaultClient, VaultState};
pub use error::VaultError;
pub use export::{Export, ExportError, check_recipients, draw_identity, read_export};
pub use keeper::{Keeper, VaultPaths};
pub use process::{VaultCommand, VaultDriver, vault_process};
pub use signing::{KeyEntry, KeyKind};
pub use unlock::{Cost, Unlock, UnlockKind};
pub use vault::{Restored, Secret, Setting, Vault, listed_keys};
pub use wire::{RefusalKind, VaultStatus};
pub use within::{VaultWithin, vault_within};
