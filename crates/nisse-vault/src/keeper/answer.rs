//! What the vault does for each request, and what it says of a refusal.

use zeroize::Zeroizing;

use super::Keeper;
use crate::error::VaultError;
use crate::export::{ExportError, read_export};
use crate::wire::{Answer, RefusalKind, Request};

impl Keeper {
    /// Carries out what the node asks.
    pub(crate) fn answer(&mut self, request: Request) -> Result<Answer, VaultError> {
        let text = |bytes: Zeroizing<Vec<u8>>| {
            let text = std::str::from_utf8(&bytes).map_err(|_| VaultError::Protection("a passphrase is text"))?;
            Ok::<_, VaultError>(Zeroizing::new(text.to_owned()))
        };
        let done = |()| Answer::Done;
        let bytes = |bytes: &[u8]| Answer::Value(Zeroizing::new(bytes.to_vec()));
        let key = |key| Answer::Keys(vec![key]);
        match request {
            Request::Status => Ok(Answer::Status(self.status())),
            Request::Unlock { passphrase } => self.unlock(text(passphrase)?).map(done),
            // The process ends behind the answer: its memory is what has to forget.
            Request::Seal => Ok(Answer::Done),
            Request::Protect { passphrase, credential, key_file } => {
                let passphrase = passphrase.map(text).transpose()?;
                self.protect(passphrase, credential, key_file).map(done)
            }
            Request::Set { tenant, name, value, setting } => {
                self.set(&tenant, &name, &value, setting).map(Answer::Version)
            }
            Request::Reveal { tenant, name } => self.reveal(&tenant, &name).map(Answer::Value),
            Request::List { tenant } => Ok(Answer::Secrets(self.vault.list(&tenant))),
            Request::Remove { tenant, name } => self.vault.remove(&tenant, &name).map(done),
            Request::Keys => Ok(Answer::Keys(self.keys())),
            Request::DrawKey { name, kind } => self.draw_key(&name, kind).map(key),
            Request::ImportKey { name, kind, secret } => self.import_key(&name, kind, &secret).map(key),
            Request::DeriveKey { from, purpose, name } => self.derive_key(&from, &purpose, &name).map(key),
            Request::DerivedKey { from, purpose } => self.derived_key(&from, &purpose).map(key),
            Request::SignDigest { name, digest } => self.sign_digest(&name, &digest).map(|signed| bytes(&signed)),
            Request::SignMessage { name, message } => self.sign_message(&name, &message).map(|signed| bytes(&signed)),
            Request::RevealKey { name } => self.reveal_key(&name).map(Answer::Value),
            Request::Export { recipients } => {
                self.export(&recipients).map(|document| Answer::Document(Zeroizing::new(document)))
            }
            Request::Restore { document, identity } => {
                let identity = std::str::from_utf8(&identity).map_err(|_| ExportError::Identity)?;
                self.restore(read_export(&document, identity)?).map(Answer::Restored)
            }
        }
    }
}

/// What the node is told of a refusal.
pub(crate) fn refusal(error: &VaultError) -> Answer {
    let kind = match error {
        VaultError::Sealed => RefusalKind::Sealed,
        VaultError::WrongKey(_) | VaultError::NoSuchWay(_) | VaultError::Missing(_) => RefusalKind::WrongKey,
        VaultError::NoSuchSecret(_) => RefusalKind::NoSuchSecret,
        VaultError::SecretExists(_) | VaultError::SecretDiffers { .. } => RefusalKind::SecretExists,
        VaultError::NoSuchKey(_) | VaultError::OtherKind { .. } => RefusalKind::NoSuchKey,
        VaultError::KeyExists(_) => RefusalKind::KeyExists,
        VaultError::Limit(_) | VaultError::Protection(_) | VaultError::UnfitKey(_) => RefusalKind::Limit,
        VaultError::Tampered(_) | VaultError::Gone(_) | VaultError::Newer(_) => RefusalKind::Tampered,
        VaultError::Export(error) => of_export(error),
        VaultError::File(_) | VaultError::ReadOnly | VaultError::NotBegun => RefusalKind::Failed,
    };
    Answer::Refused { kind, text: error.to_string() }
}

fn of_export(error: &ExportError) -> RefusalKind {
    match error {
        ExportError::Recipients(_)
        | ExportError::Recipient(_)
        | ExportError::SecretRecipient
        | ExportError::Identity
        | ExportError::TooLong => RefusalKind::Limit,
        ExportError::OtherIdentity => RefusalKind::WrongKey,
        ExportError::Damaged | ExportError::Malformed | ExportError::Newer(_) => RefusalKind::Tampered,
        ExportError::Encrypt => RefusalKind::Failed,
    }
}
