//! Keys that sign: how they are drawn and derived, and what they make of a digest or a message.

use ed25519_dalek::Signer as _;
use nisse_model::{Hash256, SecretName, Timestamp};
use nisse_store::Entropy;
use zeroize::Zeroizing;

use crate::key::Key;

/// Keeps derived keys apart from every other hash over a secret.
const DERIVED: &[u8] = b"nisse derived key v1";

/// What a key signs with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum KeyKind {
    /// ECDSA over secp256k1: a wallet's. Signs digests of 32 bytes.
    Secp256k1,
    /// Ed25519 (RFC 8032): a device's. Signs messages.
    Ed25519,
}

impl KeyKind {
    /// All of them.
    pub const ALL: [Self; 2] = [Self::Secp256k1, Self::Ed25519];

    /// Its name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Secp256k1 => "secp256k1",
            Self::Ed25519 => "ed25519",
        }
    }

    pub(crate) fn from_number(number: u8) -> Option<Self> {
        Self::ALL.get(usize::from(number)).copied()
    }

    pub(crate) fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.name() == name)
    }

    /// Bytes of a public key.
    pub(crate) fn public_length(self) -> usize {
        match self {
            Self::Secp256k1 => 33,
            Self::Ed25519 => 32,
        }
    }
}

/// What may be told of a key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyEntry {
    /// Its name. Secrets have names of their own: a key and a secret may have the same.
    pub name: SecretName,
    /// What it signs with.
    pub kind: KeyKind,
    /// Its public part: a compressed point of 33 bytes (SEC 1, §2.3.3), or the 32 bytes of RFC 8032.
    pub public: Vec<u8>,
    /// When the vault was given it.
    pub created: Timestamp,
}

/// A key that is ready to sign. Its secret part is wiped when it is dropped.
pub(crate) enum SigningKey {
    Secp256k1(k256::ecdsa::SigningKey),
    Ed25519(ed25519_dalek::SigningKey),
}

impl SigningKey {
    /// The key of these secret bytes. Of secp256k1, zero and what is not below the curve's order are none.
    pub(crate) fn new(kind: KeyKind, secret: &Key) -> Option<Self> {
        match kind {
            KeyKind::Secp256k1 => k256::ecdsa::SigningKey::from_slice(secret.expose()).ok().map(Self::Secp256k1),
            KeyKind::Ed25519 => Some(Self::Ed25519(ed25519_dalek::SigningKey::from_bytes(secret.expose()))),
        }
    }

    /// Draws the secret bytes of a new key.
    pub(crate) fn draw(kind: KeyKind, entropy: &dyn Entropy) -> (Key, Self) {
        loop {
            let secret = Key::draw(entropy);
            // Fails once in 2^128 draws.
            if let Some(key) = Self::new(kind, &secret) {
                return (secret, key);
            }
        }
    }

    /// The secp256k1 key that only the holder of this secret can make: the same one for the same purpose, for ever.
    pub(crate) fn derive(from: &Key, purpose: &str) -> (Key, Self) {
        let mut count = 0_u32;
        loop {
            let parts = [DERIVED, from.expose(), purpose.as_bytes(), &count.to_be_bytes()];
            let secret = Key::from_array(&Zeroizing::new(Hash256::of_parts(&parts).0));
            // Fails once in 2^128 counts.
            if let Some(key) = Self::new(KeyKind::Secp256k1, &secret) {
                return (secret, key);
            }
            count += 1;
        }
    }

    pub(crate) fn public(&self) -> Vec<u8> {
        match self {
            Self::Secp256k1(key) => key.verifying_key().to_encoded_point(true).as_bytes().to_vec(),
            Self::Ed25519(key) => key.verifying_key().as_bytes().to_vec(),
        }
    }

    /// Signs a digest as it is: `r`, `s` in the lower half of the curve's order, and 27 or 28. The nonce is RFC 6979's.
    /// Nothing where the key is of another kind.
    pub(crate) fn sign_digest(&self, digest: &[u8; 32]) -> Option<[u8; 65]> {
        let Self::Secp256k1(key) = self else { return None };
        // Fails once in 2^256 digests: then neither `r` nor `s` may be zero.
        let (signature, recovery) = key.sign_prehash_recoverable(digest).ok()?;
        let mut bytes = [0; 65];
        bytes[..64].copy_from_slice(&signature.to_bytes());
        bytes[64] = 27 + u8::from(recovery.is_y_odd());
        Some(bytes)
    }

    /// Signs a message. Nothing where the key is of another kind.
    pub(crate) fn sign_message(&self, message: &[u8]) -> Option<[u8; 64]> {
        match self {
            Self::Ed25519(key) => Some(key.sign(message).to_bytes()),
            Self::Secp256k1(_) => None,
        }
    }
}

#[cfg(test)]
mod tests;
