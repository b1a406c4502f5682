//! The proof that a request is its holder's: a header, and what its signature covers.

use std::fmt;
use std::str::FromStr;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use http::HeaderName;
use minicbor::encode::Encoder;
use nisse_model::{Did, Hash256, SigningKey};

use crate::remote::parameters;

/// The scheme's name in `authorization`; the capabilities follow.
pub(crate) const SCHEME: &str = "Nisse-Capability";
/// The header beside it.
pub(crate) const PROOF: HeaderName = HeaderName::from_static("nisse-proof");
/// Bytes of a nonce.
pub(crate) const NONCE_BYTES: usize = 16;

/// The first item of what is signed.
const VERSION: u64 = 1;
/// Longest value that is read, in bytes.
const LENGTH_MAX: usize = 400;

/// `nisse-proof: key=DID, nonce=HEX, expires=SECONDS, signature=BASE64URL`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Proof {
    /// Whose proof it is.
    pub(crate) key: Did,
    pub(crate) nonce: [u8; NONCE_BYTES],
    /// Unix time in seconds.
    pub(crate) expires: u64,
    pub(crate) signature: [u8; 64],
}

/// A text that is none.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("`key=DID, nonce=HEX, expires=SECONDS, signature=BASE64URL` is expected")]
pub(crate) struct ParseProofError;

/// To whom a request is made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Audience<'r> {
    /// The control API of a node: the key of its device.
    Node(Did),
    /// An agent at its public endpoint: the authority that is asked, in lower case, with a port where one is written.
    Host(&'r str),
}

impl Audience<'_> {
    /// What a signature over a request to it is made for.
    fn context(self) -> &'static str {
        match self {
            Self::Node(_) => "nisse request v1",
            Self::Host(_) => "nisse call v1",
        }
    }
}

/// What a proof stands for.
#[derive(Debug, Clone, Copy)]
pub(crate) struct SignedRequest<'r> {
    pub(crate) method: &'r str,
    /// Path and query, as they are sent.
    pub(crate) path: &'r str,
    pub(crate) to: Audience<'r>,
    pub(crate) body: Hash256,
}

impl SignedRequest<'_> {
    /// Proves that it is whoever's key this is.
    pub(crate) fn prove(&self, key: &SigningKey, nonce: [u8; NONCE_BYTES], expires: u64) -> Proof {
        let signature = key.sign(self.to.context(), &self.signed_bytes(&nonce, expires));
        Proof { key: key.did(), nonce, expires, signature }
    }

    /// Whether a proof is one of this request.
    pub(crate) fn is_proven(&self, proof: &Proof) -> bool {
        proof.key.verifies(self.to.context(), &self.signed_bytes(&proof.nonce, proof.expires), &proof.signature)
    }

    /// Deterministic CBOR (RFC 8949 §4.2.1).
    pub(super) fn signed_bytes(&self, nonce: &[u8; NONCE_BYTES], expires: u64) -> Vec<u8> {
        let mut bytes = Vec::new();
        self.write(nonce, expires, &mut Encoder::new(&mut bytes)).expect("writing to memory does not fail");
        bytes
    }

    fn write(
        &self,
        nonce: &[u8; NONCE_BYTES],
        expires: u64,
        encoder: &mut Encoder<&mut Vec<u8>>,
    ) -> Result<(), minicbor::encode::Error<std::convert::Infallible>> {
        encoder.array(7)?.u64(VERSION)?.str(self.method)?.str(self.path)?;
        match self.to {
            Audience::Node(key) => encoder.bytes(&key.0)?,
            Audience::Host(authority) => encoder.str(authority)?,
        };
        encoder.bytes(nonce)?.u64(expires)?.bytes(&self.body.0)?;
        Ok(())
    }
}

impl fmt::Display for Proof {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { key, nonce, expires, signature } = self;
        let (nonce, signature) = (hex::encode(nonce), URL_SAFE_NO_PAD.encode(signature));
        write!(formatter, "key={key}, nonce={nonce}, expires={expires}, signature={signature}")
    }
}

impl FromStr for Proof {
    type Err = ParseProofError;

    fn from_str(text: &str) -> Result<Self, ParseProofError> {
        Self::read(text).ok_or(ParseProofError)
    }
}

impl Proof {
    fn read(text: &str) -> Option<Self> {
        if text.len() > LENGTH_MAX {
            return None;
        }
        let [key, nonce, expires, signature] = parameters::read(text, ["key", "nonce", "expires", "signature"])?;
        let (nonce, expires) = (parameters::bytes(nonce)?, parameters::seconds(expires)?);
        let signature = URL_SAFE_NO_PAD.decode(signature).ok()?.try_into().ok()?;
        Some(Self { key: key.parse().ok()?, nonce, expires, signature })
    }
}
