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
        let mut mac = <Hmac<Sha256> as hmac::KeyInit>::new_from_slice(&*self.0).expect("any length is a key's");
        mac.update(bytes);
        mac.finalize().into_bytes().into()
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
        let commitment = self.commitment(&associated, &nonce, &sealed[sealed.len() - TAG_BYTES..]);
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
        let expected = self.commitment(&associated, &nonce, &sealed[sealed.len() - TAG_BYTES..]);
        if !equal(&expected, commitment) {
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

    fn commitment(&self, associated: &[u8], nonce: &[u8], tag: &[u8]) -> [u8; COMMITMENT_BYTES] {
        self.derive("commitment").mac(&[associated, nonce, tag].concat())
    }
}

/// Whether two MACs are equal, in a time that says nothing of where they are not.
pub(crate) fn equal(one: &[u8], other: &[u8]) -> bool {
    one.len() == other.len() && one.iter().zip(other).fold(0, |differs, (one, other)| differs | (one ^ other)) == 0
}
