//! Invitations as they are passed on: whoever has the text is let into a space, as often as it says and until it ends.

use std::fmt;
use std::net::SocketAddr;
use std::str::FromStr;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use minicbor::{Decoder, Encoder};
use nisse_model::{CredentialId, Did, Hash256};
use zeroize::Zeroizing;

/// What every invitation begins with, so that one can be found where it should not be.
const PREFIX: &str = "nsi1_";
/// Characters of the longest.
const TEXT_MAX: usize = 4_096;
const ADDRESSES_MAX: usize = 16;
const NAME_MAX: usize = 64;

/// An invitation with its secret.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Invitation {
    /// The space.
    pub space: CredentialId,
    /// What it is called where the invitation was made.
    pub name: String,
    /// The device that lets in.
    pub host: Did,
    /// Where that is reached.
    pub at: Vec<SocketAddr>,
    /// The secret half of the invitation's key.
    pub seed: Zeroizing<[u8; 32]>,
}

/// Why a text is no invitation. It says nothing of its content, which is a secret.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("read the invitation: it is not one that `nisse space invite` printed, or a part of it is missing")]
pub(crate) struct ParseInvitationError;

impl Invitation {
    fn write(
        &self,
        encoder: &mut Encoder<&mut Vec<u8>>,
    ) -> Result<(), minicbor::encode::Error<core::convert::Infallible>> {
        encoder.array(5)?.bytes(&self.space.0.0)?.str(&self.name)?.bytes(&self.host.0)?.bytes(&*self.seed)?;
        encoder.array(self.at.len() as u64)?;
        for address in &self.at {
            encoder.str(&address.to_string())?;
        }
        Ok(())
    }

    fn read(bytes: &[u8]) -> Option<Self> {
        let mut decoder = Decoder::new(bytes);
        if decoder.array().ok()? != Some(5) {
            return None;
        }
        let space = CredentialId(Hash256(decoder.bytes().ok()?.try_into().ok()?));
        let name = decoder.str().ok().filter(|name| name.len() <= NAME_MAX)?.to_owned();
        let host = Did(decoder.bytes().ok()?.try_into().ok()?);
        let seed = Zeroizing::new(decoder.bytes().ok()?.try_into().ok()?);
        let count = decoder.array().ok()?.filter(|count| *count <= ADDRESSES_MAX as u64)?;
        let at = (0..count).map(|_| decoder.str().ok()?.parse().ok()).collect::<Option<_>>()?;
        (decoder.position() == bytes.len()).then_some(Self { space, name, host, at, seed })
    }
}

impl fmt::Debug for Invitation {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Invitation")
            .field("space", &self.space)
            .field("host", &self.host)
            .finish_non_exhaustive()
    }
}

impl fmt::Display for Invitation {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut bytes = Zeroizing::new(Vec::new());
        self.write(&mut Encoder::new(&mut bytes)).expect("writing to memory does not fail");
        // What was cut or mistyped says so by itself.
        let Hash256(sum) = Hash256::of(&bytes);
        bytes.extend(&sum[..4]);
        write!(formatter, "{PREFIX}{}", URL_SAFE_NO_PAD.encode(&*bytes))
    }
}

impl FromStr for Invitation {
    type Err = ParseInvitationError;

    fn from_str(text: &str) -> Result<Self, ParseInvitationError> {
        let text =
            text.trim().strip_prefix(PREFIX).filter(|text| text.len() <= TEXT_MAX).ok_or(ParseInvitationError)?;
        let bytes = Zeroizing::new(URL_SAFE_NO_PAD.decode(text).map_err(|_| ParseInvitationError)?);
        let (bytes, sum) = bytes.split_last_chunk::<4>().ok_or(ParseInvitationError)?;
        let Hash256(digest) = Hash256::of(bytes);
        let read = Self::read(bytes).filter(|_| digest[..4] == *sum);
        read.ok_or(ParseInvitationError)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn invitation() -> Invitation {
        Invitation {
            space: CredentialId(Hash256([1; 32])),
            name: "notes".to_owned(),
            host: Did([2; 32]),
            at: vec!["192.0.2.1:4433".parse().expect("an address"), "[2001:db8::1]:1".parse().expect("an address")],
            seed: Zeroizing::new([3; 32]),
        }
    }

    #[test]
    fn it_reads_as_it_was_written_and_no_other_text_does() {
        let text = invitation().to_string();
        assert!(text.starts_with("nsi1_"), "{text}");
        assert_eq!(text.parse(), Ok(invitation()));
        assert_eq!(format!(" {text}\n").parse(), Ok(invitation()));
        for place in 0..text.len() {
            assert!(text[..place].parse::<Invitation>().is_err(), "cut at {place}");
            let mut other = text.clone().into_bytes();
            other[place] = if other[place] == b'A' { b'B' } else { b'A' };
            let other = String::from_utf8(other).expect("ASCII");
            assert!(other.parse::<Invitation>().is_err(), "{other}");
        }
    }

    #[test]
    fn its_secret_is_not_shown_where_it_is_logged() {
        let shown = format!("{:?}", invitation());
        assert!(!shown.contains("3, 3"), "{shown}");
    }
}
