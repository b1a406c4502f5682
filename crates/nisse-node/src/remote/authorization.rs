//! The two headers of an owner's request.

use std::fmt;
use std::str::FromStr;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use nisse_model::Hash256;

use super::parameters;

/// The scheme's name in `authorization`.
const SCHEME: &str = "Nisse-Owner";
/// Longest value that is read, in bytes.
const LENGTH_MAX: usize = 400;

/// `authorization: Nisse-Owner nonce=HEX, expires=SECONDS, signature=HEX`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Authorization {
    pub(crate) nonce: [u8; 32],
    /// Unix time in seconds.
    pub(crate) expires: u64,
    pub(crate) signature: [u8; 65],
}

/// A text that is not one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("`{SCHEME} nonce=HEX, expires=SECONDS, signature=HEX` is expected")]
pub(crate) struct ParseAuthorizationError;

impl fmt::Display for Authorization {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (nonce, signature) = (hex::encode(self.nonce), hex::encode(self.signature));
        write!(formatter, "{SCHEME} nonce={nonce}, expires={}, signature={signature}", self.expires)
    }
}

impl FromStr for Authorization {
    type Err = ParseAuthorizationError;

    fn from_str(text: &str) -> Result<Self, ParseAuthorizationError> {
        Self::read(text).ok_or(ParseAuthorizationError)
    }
}

impl Authorization {
    fn read(text: &str) -> Option<Self> {
        if text.len() > LENGTH_MAX {
            return None;
        }
        let (scheme, rest) = text.split_once(' ')?;
        // Schemes have no case (RFC 9110 §11).
        if !scheme.eq_ignore_ascii_case(SCHEME) {
            return None;
        }
        let [nonce, expires, signature] = parameters::read(rest, ["nonce", "expires", "signature"])?;
        let (nonce, signature) = (parameters::bytes(nonce)?, parameters::bytes(signature)?);
        Some(Self { nonce, expires: parameters::seconds(expires)?, signature })
    }
}

/// `content-digest: sha-256=:BASE64:` (RFC 9530).
pub(crate) fn content_digest(body: Hash256) -> String {
    format!("sha-256=:{}:", STANDARD.encode(body.0))
}

/// Reads the one form that [`content_digest`] writes.
pub(crate) fn read_content_digest(text: &str) -> Option<Hash256> {
    let encoded = text.strip_prefix("sha-256=:")?.strip_suffix(':')?;
    Some(Hash256(STANDARD.decode(encoded).ok()?.try_into().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn authorization() -> Authorization {
        Authorization { nonce: [7; 32], expires: 1_763_769_600, signature: [9; 65] }
    }

    #[test]
    fn what_is_written_is_read_and_little_else() {
        let written = authorization().to_string();
        assert_eq!(written.parse(), Ok(authorization()));
        let (nonce, signature) = ("07".repeat(32), "09".repeat(65));
        let quoted = format!("nisse-owner signature=\"0x{signature}\",expires=1763769600,  NONCE=0x{nonce}");
        assert_eq!(quoted.parse(), Ok(authorization()));
        let wrong = [
            String::new(),
            "Bearer abc".to_owned(),
            SCHEME.to_owned(),
            written.replace("expires=", "expires=+"),
            written.replace("expires=1763769600, ", ""),
            written.replace("07", "0g"),
            written.replacen("07", "", 1),
            format!("{written}, nonce={nonce}"),
            format!("{written}, more=1"),
            format!("{written},"),
            written.replace("expires=1763769600", "expires=99999999999999999999"),
            format!("{SCHEME} {}{written}", " ".repeat(500)),
        ];
        for text in wrong {
            assert_eq!(text.parse::<Authorization>(), Err(ParseAuthorizationError), "{text}");
        }
    }

    #[test]
    fn a_digest_is_read_as_it_is_written() {
        let hash = Hash256::of(b"body");
        assert_eq!(read_content_digest(&content_digest(hash)), Some(hash));
        for wrong in ["", "sha-256=::", "sha-256=:AAAA:", "sha-512=:AAAA:", "sha-256=AAAA"] {
            assert_eq!(read_content_digest(wrong), None, "{wrong}");
        }
    }
}
