//! Tickets: what lets a client into a space that can show nothing but a URL.
//!
//! A device of a member signs one, so that every replica of the space can check it by itself. It gives no more than its
//! subject has at the moment, and ends by its time. Whoever has it is let in: it is short-lived, and a secret.

use std::fmt;
use std::str::FromStr;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use minicbor::{Decoder, Encoder};
use nisse_model::{CredentialId, Did, Hash256, Role, Timestamp};

/// What every ticket begins with, so that one can be found where it should not be.
const PREFIX: &str = "nst1_";
const VERSION: u64 = 1;
/// Characters of the longest text.
const TEXT_MAX: usize = 512;

/// What a ticket says, before it is signed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Admission {
    /// The space.
    pub space: CredentialId,
    /// Whose right it is, and whose changes they are that come by it.
    pub subject: Did,
    /// The device of theirs that signs.
    pub issuer: Did,
    /// What may be done at most.
    pub role: Role,
    /// The first moment at which it lets nobody in.
    pub expires: Timestamp,
    /// Tells it from the others.
    pub nonce: [u8; 12],
}

/// An admission with its issuer's signature.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ticket {
    admission: Admission,
    signature: [u8; 64],
}

/// Why a text is no ticket. It says nothing of its content, which is a secret.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("read a ticket: it is not one that a device signed")]
pub struct TicketError;

impl Admission {
    /// What a ticket's signature is made for.
    pub const CONTEXT: &str = "nisse space ticket v1";

    /// The bytes that a signature in [`Self::CONTEXT`] covers.
    pub fn signed_bytes(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(160);
        self.write(&mut Encoder::new(&mut bytes)).expect("writing to memory does not fail");
        bytes
    }

    fn write(
        &self,
        encoder: &mut Encoder<&mut Vec<u8>>,
    ) -> Result<(), minicbor::encode::Error<core::convert::Infallible>> {
        encoder.array(7)?.u64(VERSION)?.bytes(&self.space.0.0)?.bytes(&self.subject.0)?.bytes(&self.issuer.0)?;
        encoder.u64(self.role as u64)?.u64(self.expires.0)?.bytes(&self.nonce)?;
        Ok(())
    }

    /// A ticket, if the signature is the issuer's.
    pub fn with_signature(self, signature: [u8; 64]) -> Result<Ticket, TicketError> {
        let sound = self.issuer.verifies(Self::CONTEXT, &self.signed_bytes(), &signature);
        sound.then_some(Ticket { admission: self, signature }).ok_or(TicketError)
    }

    fn read(bytes: &[u8]) -> Option<Self> {
        let mut decoder = Decoder::new(bytes);
        let items = decoder.array().ok()?;
        if items != Some(7) || decoder.u64().ok()? != VERSION {
            return None;
        }
        let mut name = || decoder.bytes().ok()?.try_into().ok();
        let (space, subject, issuer) = (name()?, name()?, name()?);
        let role = usize::try_from(decoder.u64().ok()?).ok()?;
        let role = Role::ALL.get(role).copied()?;
        let expires = Timestamp(decoder.u64().ok()?);
        let nonce = decoder.bytes().ok()?.try_into().ok()?;
        let read = Self {
            space: CredentialId(Hash256(space)),
            subject: Did(subject),
            issuer: Did(issuer),
            role,
            expires,
            nonce,
        };
        // One ticket has one form.
        (read.signed_bytes() == bytes).then_some(read)
    }
}

impl Ticket {
    /// What it says.
    pub fn admission(&self) -> &Admission {
        &self.admission
    }
}

impl fmt::Display for Ticket {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut bytes = self.signature.to_vec();
        bytes.extend(self.admission.signed_bytes());
        write!(formatter, "{PREFIX}{}", URL_SAFE_NO_PAD.encode(bytes))
    }
}

impl FromStr for Ticket {
    type Err = TicketError;

    fn from_str(text: &str) -> Result<Self, TicketError> {
        let text = text.strip_prefix(PREFIX).filter(|text| text.len() <= TEXT_MAX).ok_or(TicketError)?;
        let bytes = URL_SAFE_NO_PAD.decode(text).map_err(|_| TicketError)?;
        let (signature, admission) = bytes.split_first_chunk::<64>().ok_or(TicketError)?;
        Admission::read(admission).ok_or(TicketError)?.with_signature(*signature)
    }
}

#[cfg(test)]
mod tests {
    use nisse_model::SigningKey;

    use super::*;

    fn ticket() -> Ticket {
        let key = SigningKey::from_seed(&[1; 32]);
        let admission = Admission {
            space: CredentialId(Hash256([2; 32])),
            subject: Did([3; 32]),
            issuer: key.did(),
            role: Role::Edit,
            expires: Timestamp(1_700_000_000_000),
            nonce: [4; 12],
        };
        let signature = key.sign(Admission::CONTEXT, &admission.signed_bytes());
        admission.with_signature(signature).expect("a ticket")
    }

    #[test]
    fn a_ticket_is_written_and_read() {
        let text = ticket().to_string();
        assert!(text.starts_with("nst1_"), "{text}");
        assert_eq!(text.parse(), Ok(ticket()));
    }

    #[test]
    fn no_other_text_is_a_ticket() {
        let text = ticket().to_string();
        for place in 0..text.len() {
            assert!(text[..place].parse::<Ticket>().is_err(), "cut at {place}");
            let mut other = text.clone().into_bytes();
            other[place] = if other[place] == b'A' { b'B' } else { b'A' };
            let other = String::from_utf8(other).expect("ASCII");
            assert!(other.parse::<Ticket>().is_err(), "{other}");
        }
        assert!(format!("{text}A").parse::<Ticket>().is_err());
        assert!("".parse::<Ticket>().is_err());
    }

    #[test]
    fn more_than_its_issuer_signed_is_refused() {
        let given = ticket();
        let more = Admission { role: Role::Admin, ..given.admission.clone() };
        assert_eq!(more.with_signature(given.signature), Err(TicketError));
        let longer = Admission { expires: Timestamp(u64::MAX), ..given.admission };
        assert_eq!(longer.with_signature(given.signature), Err(TicketError));
    }
}
