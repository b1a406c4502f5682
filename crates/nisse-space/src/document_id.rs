//! The name of a document.

use std::fmt;
use std::str::FromStr;

use sha2::{Digest as _, Sha256};

/// The name of a document in a space: sixteen bytes, written as automerge-repo writes them, in base58 with a check sum.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct DocumentId(pub [u8; 16]);

/// Why a text is no name of a document.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("read `{0}` as a document: expected what automerge-repo calls one, such as `4NMNnkMhL8jXrdJ9jamS58PAVdXu`")]
pub struct ParseDocumentIdError(String);

/// The first four bytes of the double SHA-256 (base58check, as Bitcoin's addresses have it).
fn check_sum(bytes: &[u8]) -> [u8; 4] {
    let digest = Sha256::digest(Sha256::digest(bytes));
    [digest[0], digest[1], digest[2], digest[3]]
}

impl fmt::Display for DocumentId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut bytes = self.0.to_vec();
        bytes.extend(check_sum(&self.0));
        formatter.write_str(&bs58::encode(bytes).into_string())
    }
}

impl FromStr for DocumentId {
    type Err = ParseDocumentIdError;

    fn from_str(text: &str) -> Result<Self, ParseDocumentIdError> {
        let refused = || ParseDocumentIdError(text.chars().take(40).collect());
        let mut bytes = [0; 20];
        // Twenty bytes have at most 28 digits: nothing longer is worth decoding.
        let length = if text.len() <= 28 { bs58::decode(text).onto(&mut bytes[..]).ok() } else { None };
        let (name, sum) = bytes.split_first_chunk::<16>().ok_or_else(refused)?;
        if length == Some(20) && check_sum(name) == *sum { Ok(Self(*name)) } else { Err(refused()) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_written_and_read() {
        let name = DocumentId([7; 16]);
        let text = name.to_string();
        assert_eq!(text.parse::<DocumentId>(), Ok(name));
        for place in 0..text.len() {
            let mut other = text.clone().into_bytes();
            other[place] = if other[place] == b'2' { b'3' } else { b'2' };
            let other = String::from_utf8(other).expect("ASCII");
            assert!(other.parse::<DocumentId>().is_err(), "{other}");
        }
        for bad in ["", "1", "0OIl", "4NMNnkMhL8jXrdJ9jamS58PAVdXu4NMNnkMhL8jXrdJ9jamS58PAVdXu", "ü"] {
            assert!(bad.parse::<DocumentId>().is_err(), "{bad}");
        }
    }
}
