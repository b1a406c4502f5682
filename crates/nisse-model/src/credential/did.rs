//! Keys of identities and devices: Ed25519, named by `did:key`.

use std::fmt;
use std::str::FromStr;

use cid::multibase::Base;
use ed25519_dalek::{Signature, Signer as _, VerifyingKey};

/// Multicodec `ed25519-pub` as an unsigned varint (the did:key method, §3.1).
const ED25519: [u8; 2] = [0xed, 0x01];
/// What every name of this method begins with; `z` says base58btc.
const METHOD: &str = "did:key:";

/// An Ed25519 public key, written `did:key:z6Mk…`: the name of an identity, a device or an invitation.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Did(pub [u8; 32]);

impl Did {
    /// Whether this key made the signature over these bytes in this context. Keys and points of small order and second
    /// spellings of a signature are refused (RFC 8032 §5.1.7, and stricter).
    pub fn verifies(&self, context: &str, bytes: &[u8], signature: &[u8; 64]) -> bool {
        let Ok(key) = VerifyingKey::from_bytes(&self.0) else { return false };
        key.verify_strict(&message(context, bytes), &Signature::from_bytes(signature)).is_ok()
    }
}

/// What is signed: the context with its length before it, so that no two contexts share a message.
fn message(context: &str, bytes: &[u8]) -> Vec<u8> {
    let length = u8::try_from(context.len()).expect("a context is a short name");
    [&[length], context.as_bytes(), bytes].concat()
}

impl fmt::Display for Did {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{METHOD}{}", cid::multibase::encode(Base::Base58Btc, [&ED25519[..], &self.0].concat()))
    }
}

impl fmt::Debug for Did {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, formatter)
    }
}

/// Why a text names no key.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("read `{0}` as a key: expected did:key:z6Mk… with an Ed25519 public key")]
pub struct ParseDidError(pub String);

impl FromStr for Did {
    type Err = ParseDidError;

    /// Refuses keys that no signature can be of, which catches half of all mistyped ones.
    fn from_str(text: &str) -> Result<Self, ParseDidError> {
        let read = || {
            let (base, bytes) = cid::multibase::decode(text.strip_prefix(METHOD)?).ok()?;
            let key: [u8; 32] = bytes.strip_prefix(&ED25519)?.try_into().ok()?;
            let sound = base == Base::Base58Btc && VerifyingKey::from_bytes(&key).is_ok_and(|key| !key.is_weak());
            Some(Self(key)).filter(|did| sound && did.to_string() == text)
        };
        // A name has 56 characters; nothing much longer is decoded or repeated.
        let refused = || ParseDidError(text.chars().take(80).collect());
        if text.len() > 80 { Err(refused()) } else { read().ok_or_else(refused) }
    }
}

/// The secret half of a key. It is wiped when dropped, and prints nothing of itself.
pub struct SigningKey(ed25519_dalek::SigningKey);

impl SigningKey {
    /// The key that this seed of RFC 8032 stands for.
    pub fn from_seed(seed: &[u8; 32]) -> Self {
        Self(ed25519_dalek::SigningKey::from_bytes(seed))
    }

    /// Its public half.
    pub fn did(&self) -> Did {
        Did(self.0.verifying_key().to_bytes())
    }

    /// Signs bytes of this context.
    pub fn sign(&self, context: &str, bytes: &[u8]) -> [u8; 64] {
        self.0.sign(&message(context, bytes)).to_bytes()
    }
}

impl fmt::Debug for SigningKey {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "the secret key of {}", self.did())
    }
}
