//! Symmetric keys: how they are drawn, derived, and how bytes are sealed under them.

use chacha20poly1305::aead::{Aead as _, KeyInit as _, Payload};
use chacha20poly1305::{Key as CipherKey, XChaCha20Poly1305, XNonce};
use hkdf::Hkdf;
use hmac::{Hmac, Mac as _};
use nisse_store::Entropy;
use sha2::Sha256;
use zeroize::{Zeroize as _, Zeroizing};

/// The first byte of what is sealed.
const VERSION: u8 = 1;
/// Bytes of XChaCha20's nonce; drawn, since 192 bits never meet twice.
const NONCE_BYTES: usize = 24;
/// Bytes of the commitment.
const COMMITMENT_BYTES: usize = 32;
/// Bytes of Poly1305's tag.
const TAG_BYTES: usize = 16;
/// What stands before the ciphertext.
const HEAD_BYTES: usize = 1 + NONCE_BYTES + COMMITMENT_BYTES;

/// 32 secret bytes. They stay where they were put until they are wiped when dropped, and print nothing of themselves.
pub(crate) struct Key(Box<[u8; 32]>);

impl Drop for Key {
    fn drop(&mut self) {
        self.0.zeroize();
    }
}

/// What sealed bytes are for: where they stand and what they are. Bytes that were sealed for one place open in no other.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Place<'p>(pub(crate) &'p [&'p [u8]]);

impl Place<'_> {
    /// Each part with its length before it, so that no two places share an encoding.
    fn bytes(&self) -> Vec<u8> {
        let mut bytes = vec![VERSION];
        for part in self.0 {
            bytes.extend((part.len() as u64).to_be_bytes());
            bytes.extend(*part);
        }
        bytes
    }
}

/// Sealed bytes did not open: another key, another place, or something was changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Unopened;

impl Key {
    pub(crate) fn draw(entropy: &dyn Entropy) -> Self {
        let mut key = Self(Box::new([0; 32]));
        entropy.fill(&mut *key.0);
        key
    }

    pub(crate) fn from_bytes(bytes: &Zeroizing<Vec<u8>>) -> Option<Self> {
        let mut key = Self(Box::new([0; 32]));
        (bytes.len() == key.0.len()).then(|| key.0.copy_from_slice(bytes))?;
        Some(key)
    }

    pub(crate) fn from_array(bytes: &[u8; 32]) -> Self {
        let mut key = Self(Box::new([0; 32]));
        key.0.copy_from_slice(bytes);
        key
    }

    /// A key that is none: a salt, for [`Self::extract`].
    pub(crate) fn from_salt(salt: &[u8; 16]) -> Self {
        let mut key = Self(Box::new([0; 32]));
        key.0[..16].copy_from_slice(salt);
        key
    }

    /// A key of whatever is random enough.
    pub(crate) fn extract(&self, bytes: &[u8]) -> Self {
        Self(Box::new(self.mac(bytes)))
    }

    /// Locks the page that these bytes lie on, so that it is never written to the swap. Whether the limit of this process
    /// (`RLIMIT_MEMLOCK`, 8 MiB on most machines) allowed it. A page stays locked until the process ends: another key may lie on
    /// it, too, and the pages that a root key ever lay on are few.
    pub(crate) fn hold_in_memory(&self) -> bool {
        region::lock(self.0.as_ptr(), self.0.len()).map(std::mem::forget).is_ok()
    }

    pub(crate) fn expose(&self) -> &[u8; 32] {
        &self.0
    }

    /// A key for one purpose (HKDF-SHA-256, RFC 5869), which says nothing of this one or of others.
    pub(crate) fn derive(&self, purpose: &str) -> Self {
        let mut key = Self(Box::new([0; 32]));
        Hkdf::<Sha256>::new(Some(b"nisse vault v1"), &*self.0)
            .expand(purpose.as_bytes(), &mut *key.0)
            .expect("32 bytes are no more than HKDF gives");
        key
    }

    /// HMAC-SHA-256 under this key.
    pub(crate) fn mac(&self, bytes: &[u8]) -> [u8; 32] {
        self.hmac(bytes).finalize().into_bytes().into()
    }

    /// Whether this is the MAC of these bytes, in a time that says nothing of where it is not.
    pub(crate) fn has_made(&self, mac: &[u8], bytes: &[u8]) -> bool {
        self.hmac(bytes).verify_slice(mac).is_ok()
    }

    fn hmac(&self, bytes: &[u8]) -> Hmac<Sha256> {
        let mut mac = <Hmac<Sha256> as hmac::KeyInit>::new_from_slice(&*self.0).expect("any length is a key's");
        mac.update(bytes);
        mac
    }

    /// Seals bytes for one place: XChaCha20-Poly1305 with the place as its associated data. Poly1305 alone does not commit
    /// to its key: a ciphertext can be made that opens under two. So a MAC under a key derived from this one, over place,
    /// nonce and tag, stands before it.
    pub(crate) fn seal(&self, place: Place<'_>, plain: &[u8], entropy: &dyn Entropy) -> Vec<u8> {
        let mut nonce = [0; NONCE_BYTES];
        entropy.fill(&mut nonce);
        let associated = place.bytes();
        let sealed = self
            .cipher()
            .encrypt(&XNonce::from(nonce), Payload { msg: plain, aad: &associated })
            .expect("what is sealed is far below the cipher's limit");
        let commitment = self.derive("commitment").mac(&committed(&associated, &nonce, &sealed));
        [&[VERSION][..], &nonce, &commitment, &sealed].concat()
    }

    /// Opens what was sealed for this place under this key.
    pub(crate) fn open(&self, place: Place<'_>, bytes: &[u8]) -> Result<Zeroizing<Vec<u8>>, Unopened> {
        let (head, sealed) = bytes.split_at_checked(HEAD_BYTES).ok_or(Unopened)?;
        if head[0] != VERSION || sealed.len() < TAG_BYTES {
            return Err(Unopened);
        }
        let (nonce, commitment) = head[1..].split_at(NONCE_BYTES);
        let nonce: [u8; NONCE_BYTES] = nonce.try_into().map_err(|_| Unopened)?;
        let associated = place.bytes();
        if !self.derive("commitment").has_made(commitment, &committed(&associated, &nonce, sealed)) {
            return Err(Unopened);
        }
        let payload = Payload { msg: sealed, aad: &associated };
        self.cipher().decrypt(&XNonce::from(nonce), payload).map(Zeroizing::new).map_err(|_| Unopened)
    }

    fn cipher(&self) -> XChaCha20Poly1305 {
        let mut key = CipherKey::from(*self.derive("cipher").expose());
        let cipher = XChaCha20Poly1305::new(&key);
        key.as_mut_slice().zeroize();
        cipher
    }
}

/// What the commitment is over: the place, the nonce and the tag, which stands for the ciphertext.
fn committed(associated: &[u8], nonce: &[u8], sealed: &[u8]) -> Vec<u8> {
    [associated, nonce, &sealed[sealed.len() - TAG_BYTES..]].concat()
}

#[cfg(test)]
mod tests {
    use nisse_testkit::SimEntropy;

    use super::*;

    #[test]
    fn what_was_sealed_opens_whole_under_its_key_in_its_place_and_not_otherwise() {
        let entropy = SimEntropy::new(1);
        let (key, other) = (Key::draw(&entropy), Key::draw(&entropy));
        let place = Place(&[b"a", b"bc"]);
        let sealed = key.seal(place, b"12345678", &entropy);
        assert_eq!(key.open(place, &sealed).expect("it opens").as_slice(), b"12345678");
        assert!(other.open(place, &sealed).is_err());
        for elsewhere in [Place(&[b"ab", b"c"]), Place(&[b"a"]), Place(&[b"a", b"bc", b""])] {
            assert!(key.open(elsewhere, &sealed).is_err());
        }
        // Version, nonce, commitment, ciphertext and tag: the commitment is in nobody else's way, and is compared.
        for at in 0..sealed.len() {
            let mut flipped = sealed.clone();
            flipped[at] ^= 1;
            assert!(key.open(place, &flipped).is_err(), "byte {at}");
            assert!(key.open(place, &sealed[..at]).is_err(), "{at} bytes");
        }
    }
}
