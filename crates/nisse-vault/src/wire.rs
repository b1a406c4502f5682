//! What node and vault say to each other over their socket, version 1: a length, a version, a kind, and parts of bytes.
//!
//! Both ends are the same binary, but a message is read as if it came from anybody.

mod answer;
mod request;

use std::io::{self, Read, Write};

use nisse_model::SecretName;
use zeroize::Zeroizing;

pub(crate) use answer::Answer;
pub use answer::{RefusalKind, VaultStatus};
pub(crate) use request::Request;

use crate::signing::KeyKind;

/// The first byte of a message.
const VERSION: u8 = 1;
/// Bytes of a message's version and kind.
pub(crate) const HEAD_BYTES: usize = 2;
/// Bytes of a message after its length.
pub(crate) const MESSAGE_BYTES_MAX: usize = 1 << 20;
/// Bytes of one that carries an export.
pub(crate) const LARGE_MESSAGE_BYTES_MAX: usize = 33 << 20;

/// Bytes that are wiped when they are dropped.
pub(crate) type Bytes = Zeroizing<Vec<u8>>;

/// One message, whatever it says.
struct Message {
    kind: u8,
    parts: Vec<Bytes>,
}

fn text(text: &str) -> Bytes {
    Zeroizing::new(text.as_bytes().to_vec())
}

fn bytes(bytes: &[u8]) -> Bytes {
    Zeroizing::new(bytes.to_vec())
}

fn of_kind(kind: KeyKind) -> Bytes {
    bytes(&[kind as u8])
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

    fn array<const N: usize>(&mut self) -> io::Result<[u8; N]> {
        self.bytes()?.as_slice().try_into().map_err(|_| malformed())
    }

    fn number(&mut self) -> io::Result<u64> {
        self.array().map(u64::from_be_bytes)
    }

    fn count(&mut self) -> io::Result<usize> {
        usize::try_from(self.number()?).map_err(|_| malformed())
    }

    fn key_kind(&mut self) -> io::Result<KeyKind> {
        let [kind] = self.array()?;
        KeyKind::from_number(kind).ok_or_else(malformed)
    }

    /// As many as there are.
    fn rest<T>(&mut self, mut one: impl FnMut(&mut Self) -> io::Result<T>) -> io::Result<Vec<T>> {
        let mut all = Vec::new();
        while !self.0.as_slice().is_empty() {
            all.push(one(self)?);
        }
        Ok(all)
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

/// Reads one message, of which one kind alone may be as long as an export; `None` where the other end is closed.
pub(crate) fn read_message(input: &mut impl Read, large: u8) -> io::Result<Option<Bytes>> {
    let mut length = [0; 4];
    match input.read_exact(&mut length) {
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(None),
        read => read?,
    }
    let mut head = [0; HEAD_BYTES];
    input.read_exact(&mut head)?;
    let mut message = message_room(length, head, large)?;
    input.read_exact(&mut message[HEAD_BYTES..])?;
    Ok(Some(message))
}

/// Writes one message.
pub(crate) fn write_message(output: &mut impl Write, bytes: &[u8]) -> io::Result<()> {
    output.write_all(&u32::try_from(bytes.len()).map_err(|_| malformed())?.to_be_bytes())?;
    output.write_all(bytes)?;
    output.flush()
}

/// The message that begins with this head, with room for what follows.
pub(crate) fn message_room(length: [u8; 4], head: [u8; HEAD_BYTES], large: u8) -> io::Result<Bytes> {
    let length = usize::try_from(u32::from_be_bytes(length)).map_err(|_| malformed())?;
    let max = if head[1] == large { LARGE_MESSAGE_BYTES_MAX } else { MESSAGE_BYTES_MAX };
    if !(HEAD_BYTES..=max).contains(&length) {
        return Err(malformed());
    }
    let mut message = Zeroizing::new(vec![0; length]);
    message[..HEAD_BYTES].copy_from_slice(&head);
    Ok(message)
}

#[cfg(test)]
mod tests;
