//! What node and vault say to each other over their socket, version 1: a length, a version, a kind, and parts of bytes.
//!
//! Both ends are the same binary, but a message is read as if it came from anybody.

use std::io::{self, Read, Write};

use nisse_model::{SecretName, Timestamp};
use zeroize::Zeroizing;

use crate::unlock::UnlockKind;
use crate::vault::{Secret, Setting};

/// The first byte of a message.
const VERSION: u8 = 1;
/// Bytes of a message after its length.
pub(crate) const MESSAGE_BYTES_MAX: u32 = 1 << 20;

/// Bytes that are wiped when they are dropped.
pub(crate) type Bytes = Zeroizing<Vec<u8>>;

/// What the node asks.
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
}

/// What the vault says.
pub(crate) enum Answer {
    Status(VaultStatus),
    Done,
    Version(u64),
    Value(Bytes),
    Secrets(Vec<Secret>),
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
    /// Too large, too many, too short.
    Limit,
    /// Not what was put there.
    Tampered,
    /// The disk, or the process.
    Failed,
}

impl RefusalKind {
    const ALL: [Self; 7] = [
        Self::Sealed,
        Self::WrongKey,
        Self::NoSuchSecret,
        Self::SecretExists,
        Self::Limit,
        Self::Tampered,
        Self::Failed,
    ];
}

/// One message, whatever it says.
struct Message {
    kind: u8,
    parts: Vec<Bytes>,
}

fn text(text: &str) -> Bytes {
    Zeroizing::new(text.as_bytes().to_vec())
}

fn flag(flag: bool) -> Bytes {
    Zeroizing::new(vec![u8::from(flag)])
}

fn malformed() -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, "a message that no nisse of this version writes")
}

/// Takes parts in order; every one of them, and no more.
struct Parts(std::vec::IntoIter<Bytes>);

impl Parts {
    fn bytes(&mut self) -> io::Result<Bytes> {
        self.0.next().ok_or_else(malformed)
    }

    fn text(&mut self) -> io::Result<String> {
        String::from_utf8(self.bytes()?.to_vec()).map_err(|_| malformed())
    }

    fn name(&mut self) -> io::Result<SecretName> {
        self.text()?.parse().map_err(|_| malformed())
    }

    fn flag(&mut self) -> io::Result<bool> {
        match self.bytes()?.as_slice() {
            [0] => Ok(false),
            [1] => Ok(true),
            _ => Err(malformed()),
        }
    }

    fn number(&mut self) -> io::Result<u64> {
        Ok(u64::from_be_bytes(self.bytes()?.as_slice().try_into().map_err(|_| malformed())?))
    }

    fn maybe(&mut self) -> io::Result<Option<Bytes>> {
        let (there, bytes) = (self.flag()?, self.bytes()?);
        Ok(there.then_some(bytes))
    }

    fn end<T>(mut self, value: T) -> io::Result<T> {
        if self.0.next().is_some() { Err(malformed()) } else { Ok(value) }
    }
}

fn maybe(bytes: Option<&Bytes>) -> [Bytes; 2] {
    [flag(bytes.is_some()), bytes.cloned().unwrap_or_default()]
}

fn number(number: u64) -> Bytes {
    Zeroizing::new(number.to_be_bytes().to_vec())
}

impl Request {
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
            _ => return Err(malformed()),
        };
        parts.end(request)
    }
}

impl Answer {
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
            4 => {
                let mut secrets = Vec::new();
                while !parts.0.as_slice().is_empty() {
                    let (name, version) = (parts.name()?, parts.number()?);
                    secrets.push(Secret { name, version, changed: Timestamp(parts.number()?) });
                }
                Self::Secrets(secrets)
            }
            5 => {
                let kind = match parts.bytes()?.as_slice() {
                    [kind] => *RefusalKind::ALL.get(usize::from(*kind)).ok_or_else(malformed)?,
                    _ => return Err(malformed()),
                };
                Self::Refused { kind, text: parts.text()? }
            }
            _ => return Err(malformed()),
        };
        parts.end(answer)
    }
}

impl Message {
    fn encode(&self) -> Bytes {
        let length = 2 + self.parts.iter().map(|part| 4 + part.len()).sum::<usize>();
        // Grown at once: a buffer that moves leaves what it held behind.
        let mut bytes = Zeroizing::new(Vec::with_capacity(length));
        bytes.extend([VERSION, self.kind]);
        for part in &self.parts {
            bytes.extend(u32::try_from(part.len()).expect("a part is shorter than a message").to_be_bytes());
            bytes.extend_from_slice(part);
        }
        bytes
    }

    fn decode(bytes: &[u8]) -> io::Result<Self> {
        let [VERSION, kind, rest @ ..] = bytes else { return Err(malformed()) };
        let (mut rest, mut parts) = (rest, Vec::new());
        while !rest.is_empty() {
            let (length, after) = rest.split_first_chunk().ok_or_else(malformed)?;
            let length = usize::try_from(u32::from_be_bytes(*length)).map_err(|_| malformed())?;
            let (part, after) = after.split_at_checked(length).ok_or_else(malformed)?;
            parts.push(Zeroizing::new(part.to_vec()));
            rest = after;
        }
        Ok(Self { kind: *kind, parts })
    }
}

/// Reads one message; `None` where the other end is closed.
pub(crate) fn read_message(input: &mut impl Read) -> io::Result<Option<Bytes>> {
    let mut length = [0; 4];
    match input.read_exact(&mut length) {
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(None),
        read => read?,
    }
    let mut bytes = Zeroizing::new(vec![0; message_length(length)?]);
    input.read_exact(&mut bytes)?;
    Ok(Some(bytes))
}

/// Writes one message.
pub(crate) fn write_message(output: &mut impl Write, bytes: &[u8]) -> io::Result<()> {
    output.write_all(&u32::try_from(bytes.len()).map_err(|_| malformed())?.to_be_bytes())?;
    output.write_all(bytes)?;
    output.flush()
}

/// The length of the message that follows.
pub(crate) fn message_length(length: [u8; 4]) -> io::Result<usize> {
    let length = u32::from_be_bytes(length);
    if length > MESSAGE_BYTES_MAX { Err(malformed()) } else { usize::try_from(length).map_err(|_| malformed()) }
}

#[cfg(test)]
mod tests;
