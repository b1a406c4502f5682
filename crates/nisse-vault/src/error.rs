//! What a vault refuses.

use std::io;
use std::path::Path;

use crate::export::ExportError;

/// Why a vault did not do something. Each text completes "failed to …".
#[derive(Debug, thiserror::Error)]
pub enum VaultError {
    /// It was not unlocked.
    #[error("use the vault: it is sealed")]
    Sealed,
    /// The passphrase, the file or the credential is another one's.
    #[error("unlock the vault: this {0} does not open it")]
    WrongKey(&'static str),
    /// Nothing of that kind unlocks it.
    #[error("unlock the vault: no {0} was set for it")]
    NoSuchWay(&'static str),
    /// What unlocks it by itself is not at hand.
    #[error("find the vault's {0}")]
    Missing(String),
    /// Nobody has that name.
    #[error("find the secret `{0}`: the vault has none of that name")]
    NoSuchSecret(String),
    /// Somebody has it already.
    #[error("set the secret `{0}`: the vault has one of that name")]
    SecretExists(String),
    /// No key has that name.
    #[error("find the key `{0}`: the vault has none of that name")]
    NoSuchKey(String),
    /// Another key has it already.
    #[error("keep the key `{0}`: the vault has another one of that name")]
    KeyExists(String),
    /// The key is of the other kind.
    #[error("use the key `{name}`: it is one of {found}")]
    OtherKind {
        /// The key's name.
        name: String,
        /// The name of its kind.
        found: &'static str,
    },
    /// The bytes of a key, or what one is derived for, or one key more.
    #[error("keep a key: {0}")]
    UnfitKey(&'static str),
    /// What is restored stands against what is there.
    #[error("restore the secret `{name}` of {tenant}: the vault has another value under that name")]
    SecretDiffers {
        /// Whose it is.
        tenant: String,
        /// The secret's name.
        name: String,
    },
    /// What was to be exported or restored.
    #[error(transparent)]
    Export(#[from] ExportError),
    /// It is read alone.
    #[error("change the vault: it was opened for reading alone")]
    ReadOnly,
    /// There is no vault to read.
    #[error("read the vault: none was begun here")]
    NotBegun,
    /// Too large, too small, or too many.
    #[error("keep a secret: {0}")]
    Limit(&'static str),
    /// What is to unlock it is not fit for that.
    #[error("protect the vault: {0}")]
    Protection(&'static str),
    /// Something was changed, exchanged or brought back from earlier.
    #[error("open the vault's {0}: it is not what was put there")]
    Tampered(String),
    /// It is gone, though something shows that it was there.
    #[error("open the vault: it is gone, and {0} says that there was one")]
    Gone(String),
    /// Written by a newer nisse.
    #[error("open the vault: it is of version {0}, and this nisse knows none above 2")]
    Newer(u64),
    /// The disk refused its file, or one beside it.
    #[error("{0}")]
    File(String),
}

impl VaultError {
    pub(crate) fn file(verb: &str, path: &Path, error: &io::Error) -> Self {
        Self::File(format!("{verb} {}: {error}", path.display()))
    }
}
