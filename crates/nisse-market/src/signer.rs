//! Keys that sign: behind a trait, since the vault keeps them in another process.

use alloy::signers::SignerSync;
use alloy::signers::local::PrivateKeySigner;
use async_trait::async_trait;
use nisse_model::Address;
use nisse_store::Entropy;

use crate::tx::to_model;

/// A secp256k1 signature with its recovery bit; `s` is in the lower half of the curve's order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Signature(pub(crate) alloy::primitives::Signature);

impl Signature {
    /// `r`, `s` and 27 or 28, as contracts take it.
    pub fn to_bytes(&self) -> [u8; 65] {
        self.0.as_bytes()
    }

    /// The signature with these bytes, if `signer` made it over this digest: a keeper of keys is not taken at its word.
    pub fn from_signer(signer: Address, digest: [u8; 32], bytes: &[u8; 65]) -> Result<Self, SignError> {
        let refused = |reason: String| SignError { address: signer, reason };
        match signer_of(digest, bytes) {
            Ok(found) if found == signer => {}
            Ok(found) => return Err(refused(format!("the signature is of {found}"))),
            Err(error) => return Err(refused(error.to_string())),
        }
        let signature = alloy::primitives::Signature::from_raw_array(bytes);
        signature.map(Self).map_err(|error| refused(error.to_string()))
    }
}

/// The address of a secp256k1 key, from its compressed point.
pub fn address_of(public: &[u8; 33]) -> Result<Address, KeyError> {
    let key = alloy::signers::k256::ecdsa::VerifyingKey::from_sec1_bytes(public).map_err(|_| KeyError)?;
    Ok(to_model(alloy::primitives::Address::from_public_key(&key)))
}

/// Why bytes are nobody's signature.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SignatureError {
    /// The recovery byte is neither 27 nor 28.
    #[error("its last byte is {0}, 27 or 28 is expected")]
    RecoveryByte(u8),
    /// `s` lies in the upper half: the same signature in its second form.
    #[error("its signature is not in the canonical low-s form")]
    HighS,
    /// No key has made this signature.
    #[error("its signature belongs to no key")]
    NoSigner,
}

/// The address whose key signed a digest: `r`, `s` and 27 or 28. Exactly one form of each signature is taken.
pub(crate) fn signer_of(digest: [u8; 32], signature: &[u8; 65]) -> Result<Address, SignatureError> {
    let last = signature[64];
    if last != 27 && last != 28 {
        return Err(SignatureError::RecoveryByte(last));
    }
    let signature = alloy::primitives::Signature::from_raw_array(signature).map_err(|_| SignatureError::NoSigner)?;
    if signature.normalize_s().is_some() {
        return Err(SignatureError::HighS);
    }
    let found = signature.recover_address_from_prehash(&digest.into());
    found.map(to_model).map_err(|_| SignatureError::NoSigner)
}

/// Why a signature was not made.
#[derive(Debug, thiserror::Error)]
#[error("sign with key {address}: {reason}")]
pub struct SignError {
    /// The key's address.
    pub address: Address,
    /// What the keeper of the key said.
    pub reason: String,
}

/// One secp256k1 key.
#[async_trait]
pub trait Signer: Send + Sync + 'static {
    /// The address that this key speaks for.
    fn address(&self) -> Address;

    /// The key that others check its signatures with, as a compressed point.
    fn public_key(&self) -> [u8; 33];

    /// Signs a 32-byte digest as it is. The caller decides what the digest means.
    async fn sign_hash(&self, digest: [u8; 32]) -> Result<Signature, SignError>;
}

/// A key in this process's memory.
#[derive(Clone)]
pub struct LocalKey(PrivateKeySigner);

/// Why bytes are not a key.
#[derive(Debug, thiserror::Error)]
#[error("use these 32 bytes as a secp256k1 key: they are zero or not below the curve's order")]
pub struct KeyError;

impl LocalKey {
    /// The key with these secret bytes.
    pub fn from_bytes(secret: &[u8; 32]) -> Result<Self, KeyError> {
        PrivateKeySigner::from_slice(secret).map(Self).map_err(|_| KeyError)
    }

    /// Draws the secret bytes of a new key; they go to [`LocalKey::from_bytes`].
    pub fn draw(entropy: &dyn Entropy) -> [u8; 32] {
        loop {
            let mut secret = [0; 32];
            entropy.fill(&mut secret);
            // Fails once in 2^128 draws.
            if Self::from_bytes(&secret).is_ok() {
                return secret;
            }
        }
    }
}

#[async_trait]
impl Signer for LocalKey {
    fn address(&self) -> Address {
        Address(self.0.address().into())
    }

    fn public_key(&self) -> [u8; 33] {
        let point = self.0.credential().verifying_key().to_encoded_point(true);
        // Compressed, a point of the curve that is not its zero has this many bytes.
        point.as_bytes().try_into().expect("a compressed point has 33 bytes")
    }

    async fn sign_hash(&self, digest: [u8; 32]) -> Result<Signature, SignError> {
        let signed = self.0.sign_hash_sync(&digest.into());
        let reason = |error: alloy::signers::Error| SignError { address: self.address(), reason: error.to_string() };
        signed.map(|signature| Signature(signature.normalized_s())).map_err(reason)
    }
}

impl std::fmt::Debug for LocalKey {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "LocalKey({})", self.address())
    }
}
