//! How each side shows that it has the key: an HMAC over all that was said, under a key of its own role.

use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::Sha256;
use zeroize::Zeroizing;

use super::{PROOF_BYTES, Purpose};

type Key = Zeroizing<[u8; 32]>;

/// The keys of both proofs, and what they are over.
pub(super) struct Keys {
    guest: Key,
    host: Key,
    transcript: Vec<u8>,
}

impl Keys {
    /// Extract and expand as in HKDF (RFC 5869); one block of each is all that is needed.
    pub(super) fn derive(purpose: Purpose, shared: &[u8], said: [&[u8]; 4]) -> Self {
        let context = purpose.context();
        let mut transcript = Vec::new();
        for part in [context].into_iter().chain(said) {
            transcript.extend((part.len() as u64).to_be_bytes());
            transcript.extend(part);
        }
        let drawn: Key = Zeroizing::new(mac(context, shared).finalize().into_bytes().into());
        let expand = |label: &[u8]| Zeroizing::new(mac(&*drawn, label).finalize().into_bytes().into());
        Self { guest: expand(b"guest proof\x01"), host: expand(b"host proof\x01"), transcript }
    }

    pub(super) fn guest_proof(&self) -> [u8; PROOF_BYTES] {
        mac(&*self.guest, &self.transcript).finalize().into_bytes().into()
    }

    pub(super) fn host_proof(&self) -> [u8; PROOF_BYTES] {
        mac(&*self.host, &self.transcript).finalize().into_bytes().into()
    }

    /// In a time that says nothing of where it differs, as the other one.
    pub(super) fn guest_has_made(&self, proof: &[u8; PROOF_BYTES]) -> bool {
        mac(&*self.guest, &self.transcript).verify_slice(proof).is_ok()
    }

    pub(super) fn host_has_made(&self, proof: &[u8; PROOF_BYTES]) -> bool {
        mac(&*self.host, &self.transcript).verify_slice(proof).is_ok()
    }
}

fn mac(key: &[u8], bytes: &[u8]) -> Hmac<Sha256> {
    let mut mac = Hmac::<Sha256>::new_from_slice(key).expect("any length is a key's");
    mac.update(bytes);
    mac
}
