//! What the vault answers.

use std::io;

use nisse_model::Timestamp;
use zeroize::Zeroizing;

use super::{Bytes, Message, Parts, bytes, flag, malformed, maybe, number, of_kind, text};
use crate::signing::KeyEntry;
use crate::unlock::UnlockKind;
use crate::vault::{Restored, Secret};

/// An answer.
pub(crate) enum Answer {
    Status(VaultStatus),
    Done,
    Version(u64),
    Value(Bytes),
    Secrets(Vec<Secret>),
    Keys(Vec<KeyEntry>),
    Document(Bytes),
    Restored(Restored),
    Refused { kind: RefusalKind, text: String },
}

/// How a vault stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VaultStatus {
    /// It gives and takes nothing until it is unlocked.
    pub sealed: bool,
    /// What unlocks it, each by itself.
    pub ways: Vec<UnlockKind>,
    /// Whether a systemd credential is at hand.
    pub credential: bool,
    /// Why it was not unlocked by what is at hand, where that should have done it.
    pub trouble: Option<String>,
}

/// What kind of refusal it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RefusalKind {
    /// Sealed.
    Sealed,
    /// It was not opened by what was given.
    WrongKey,
    /// No secret of that name.
    NoSuchSecret,
    /// One of that name already.
    SecretExists,
    /// No key of that name, or one of the other kind.
    NoSuchKey,
    /// Another key of that name already.
    KeyExists,
    /// Too large, too many, too short.
    Limit,
    /// Not what was put there.
    Tampered,
    /// The disk, or the process.
    Failed,
}

impl RefusalKind {
    pub(super) const ALL: [Self; 9] = [
        Self::Sealed,
        Self::WrongKey,
        Self::NoSuchSecret,
        Self::SecretExists,
        Self::NoSuchKey,
        Self::KeyExists,
        Self::Limit,
        Self::Tampered,
        Self::Failed,
    ];
}

impl Answer {
    /// The kind that has room for an export.
    pub(crate) const DOCUMENT: u8 = 7;

    pub(crate) fn encode(&self) -> Bytes {
        let (kind, parts) = match self {
            Self::Status(VaultStatus { sealed, ways, credential, trouble }) => {
                let ways = ways.iter().map(|kind| *kind as u8).collect();
                let [there, trouble] = maybe(trouble.as_deref().map(text).as_ref());
                (0, vec![flag(*sealed), Zeroizing::new(ways), flag(*credential), there, trouble])
            }
            Self::Done => (1, Vec::new()),
            Self::Version(version) => (2, vec![number(*version)]),
            Self::Value(value) => (3, vec![value.clone()]),
            Self::Secrets(secrets) => {
                let each =
                    |secret: &Secret| [text(secret.name.as_str()), number(secret.version), number(secret.changed.0)];
                (4, secrets.iter().flat_map(each).collect())
            }
            Self::Keys(keys) => {
                let each = |key: &KeyEntry| {
                    [text(key.name.as_str()), of_kind(key.kind), bytes(&key.public), number(key.created.0)]
                };
                (6, keys.iter().flat_map(each).collect())
            }
            Self::Document(document) => (Self::DOCUMENT, vec![document.clone()]),
            Self::Restored(Restored { keys, secrets }) => (8, vec![number(*keys as u64), number(*secrets as u64)]),
            Self::Refused { kind, text: why } => (5, vec![Zeroizing::new(vec![*kind as u8]), text(why)]),
        };
        Message { kind, parts }.encode()
    }

    pub(crate) fn decode(bytes: &[u8]) -> io::Result<Self> {
        let Message { kind, parts } = Message::decode(bytes)?;
        let mut parts = Parts(parts.into_iter());
        let answer = match kind {
            0 => {
                let sealed = parts.flag()?;
                let kinds = parts.bytes()?;
                let known = |kind: &u8| UnlockKind::ALL.get(usize::from(*kind)).copied().ok_or_else(malformed);
                let ways = kinds.iter().map(known).collect::<io::Result<_>>()?;
                let credential = parts.flag()?;
                let trouble = parts.maybe()?.map(|bytes| String::from_utf8_lossy(&bytes).into_owned());
                Self::Status(VaultStatus { sealed, ways, credential, trouble })
            }
            1 => Self::Done,
            2 => Self::Version(parts.number()?),
            3 => Self::Value(parts.bytes()?),
            4 => Self::Secrets(parts.rest(|parts| {
                let (name, version) = (parts.name()?, parts.number()?);
                Ok(Secret { name, version, changed: Timestamp(parts.number()?) })
            })?),
            5 => {
                let kind = match parts.bytes()?.as_slice() {
                    [kind] => *RefusalKind::ALL.get(usize::from(*kind)).ok_or_else(malformed)?,
                    _ => return Err(malformed()),
                };
                Self::Refused { kind, text: parts.text()? }
            }
            6 => Self::Keys(parts.rest(|parts| {
                let (name, kind, public) = (parts.name()?, parts.key_kind()?, parts.bytes()?.to_vec());
                Ok(KeyEntry { name, kind, public, created: Timestamp(parts.number()?) })
            })?),
            Self::DOCUMENT => Self::Document(parts.bytes()?),
            8 => Self::Restored(Restored { keys: parts.count()?, secrets: parts.count()? }),
            _ => return Err(malformed()),
        };
        parts.end(answer)
    }
}
