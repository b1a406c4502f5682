//! What the node asks.

use std::io;

use nisse_model::SecretName;

use super::{Bytes, Message, Parts, bytes, flag, malformed, maybe, of_kind, text};
use crate::signing::KeyKind;
use crate::vault::Setting;

/// A request.
#[derive(Clone)]
pub(crate) enum Request {
    Status,
    Unlock { passphrase: Bytes },
    Seal,
    Protect { passphrase: Option<Bytes>, credential: bool, key_file: bool },
    Set { tenant: String, name: SecretName, value: Bytes, setting: Setting },
    Reveal { tenant: String, name: SecretName },
    List { tenant: String },
    Remove { tenant: String, name: SecretName },
    Keys,
    DrawKey { name: SecretName, kind: KeyKind },
    ImportKey { name: SecretName, kind: KeyKind, secret: Bytes },
    DeriveKey { from: SecretName, purpose: String, name: SecretName },
    SignDigest { name: SecretName, digest: [u8; 32] },
    SignMessage { name: SecretName, message: Bytes },
    RevealKey { name: SecretName },
    Export { recipients: Vec<String> },
    Restore { document: Bytes, identity: Bytes },
    DerivedKey { from: SecretName, purpose: String },
}

impl Request {
    /// The kind that has room for an export.
    pub(crate) const RESTORE: u8 = 16;

    /// Whether it may leave the vault as another one than it was.
    pub(crate) fn changes(&self) -> bool {
        match self {
            Self::Unlock { .. }
            | Self::Seal
            | Self::Protect { .. }
            | Self::Set { .. }
            | Self::Remove { .. }
            | Self::DrawKey { .. }
            | Self::ImportKey { .. }
            | Self::DeriveKey { .. }
            | Self::Restore { .. } => true,
            Self::Status
            | Self::Reveal { .. }
            | Self::List { .. }
            | Self::Keys
            | Self::SignDigest { .. }
            | Self::SignMessage { .. }
            | Self::RevealKey { .. }
            | Self::DerivedKey { .. }
            | Self::Export { .. } => false,
        }
    }

    pub(crate) fn encode(&self) -> Bytes {
        let (kind, parts) = match self {
            Self::Status => (0, Vec::new()),
            Self::Unlock { passphrase } => (1, vec![passphrase.clone()]),
            Self::Seal => (2, Vec::new()),
            Self::Protect { passphrase, credential, key_file } => {
                let [there, words] = maybe(passphrase.as_ref());
                (3, vec![there, words, flag(*credential), flag(*key_file)])
            }
            Self::Set { tenant, name, value, setting } => {
                let rotated = flag(*setting == Setting::Rotated);
                (4, vec![text(tenant), text(name.as_str()), value.clone(), rotated])
            }
            Self::Reveal { tenant, name } => (5, vec![text(tenant), text(name.as_str())]),
            Self::List { tenant } => (6, vec![text(tenant)]),
            Self::Remove { tenant, name } => (7, vec![text(tenant), text(name.as_str())]),
            Self::Keys => (8, Vec::new()),
            Self::DrawKey { name, kind } => (9, vec![text(name.as_str()), of_kind(*kind)]),
            Self::ImportKey { name, kind, secret } => (10, vec![text(name.as_str()), of_kind(*kind), secret.clone()]),
            Self::DeriveKey { from, purpose, name } => {
                (11, vec![text(from.as_str()), text(purpose), text(name.as_str())])
            }
            Self::SignDigest { name, digest } => (12, vec![text(name.as_str()), bytes(digest)]),
            Self::SignMessage { name, message } => (13, vec![text(name.as_str()), message.clone()]),
            Self::RevealKey { name } => (14, vec![text(name.as_str())]),
            Self::Export { recipients } => (15, recipients.iter().map(|recipient| text(recipient)).collect()),
            Self::Restore { document, identity } => (Self::RESTORE, vec![document.clone(), identity.clone()]),
            Self::DerivedKey { from, purpose } => (17, vec![text(from.as_str()), text(purpose)]),
        };
        Message { kind, parts }.encode()
    }

    pub(crate) fn decode(bytes: &[u8]) -> io::Result<Self> {
        let Message { kind, parts } = Message::decode(bytes)?;
        let mut parts = Parts(parts.into_iter());
        let request = match kind {
            0 => Self::Status,
            1 => Self::Unlock { passphrase: parts.bytes()? },
            2 => Self::Seal,
            3 => Self::Protect { passphrase: parts.maybe()?, credential: parts.flag()?, key_file: parts.flag()? },
            4 => {
                let (tenant, name, value) = (parts.text()?, parts.name()?, parts.bytes()?);
                let setting = if parts.flag()? { Setting::Rotated } else { Setting::New };
                Self::Set { tenant, name, value, setting }
            }
            5 => Self::Reveal { tenant: parts.text()?, name: parts.name()? },
            6 => Self::List { tenant: parts.text()? },
            7 => Self::Remove { tenant: parts.text()?, name: parts.name()? },
            8 => Self::Keys,
            9 => Self::DrawKey { name: parts.name()?, kind: parts.key_kind()? },
            10 => Self::ImportKey { name: parts.name()?, kind: parts.key_kind()?, secret: parts.bytes()? },
            11 => Self::DeriveKey { from: parts.name()?, purpose: parts.text()?, name: parts.name()? },
            12 => Self::SignDigest { name: parts.name()?, digest: parts.array()? },
            13 => Self::SignMessage { name: parts.name()?, message: parts.bytes()? },
            14 => Self::RevealKey { name: parts.name()? },
            15 => Self::Export { recipients: parts.rest(Parts::text)? },
            Self::RESTORE => Self::Restore { document: parts.bytes()?, identity: parts.bytes()? },
            17 => Self::DerivedKey { from: parts.name()?, purpose: parts.text()? },
            _ => return Err(malformed()),
        };
        parts.end(request)
    }
}
