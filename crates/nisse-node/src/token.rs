//! Capability tokens: what whoever uses a node's control API with less than all of it carries about.
//!
//! A token is its capabilities, the node that they are for, and mostly the key that uses them. The form is
//! `docs/tokens.md`. A request is signed with that key, so that nobody learns from it how to make another one.

mod proof;
mod signer;

use std::fmt;
use std::str::FromStr;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use minicbor::decode::{Decoder, Error as CborError};
use minicbor::encode::Encoder;
use nisse_model::{Chains, ChainsError, Credential, Did, SigningKey};
use zeroize::Zeroizing;

pub(crate) use self::proof::{Audience, NONCE_BYTES, PROOF, Proof, SCHEME, SignedRequest};
pub use self::signer::{TokenKeyError, TokenSigner};

/// The seed of a holder's key.
type Seed = Zeroizing<[u8; 32]>;

/// What a token's text begins with.
const PREFIX: &str = "nisse-token-1.";
/// The first item of the stored form.
const VERSION: u64 = 1;
/// Bytes before the capabilities, at most.
const HEAD_BYTES_MAX: usize = 80;
/// Characters of the longest token.
const TEXT_LENGTH_MAX: usize = PREFIX.len() + (HEAD_BYTES_MAX + Chains::LENGTH_MAX).div_ceil(3) * 4;

/// A token. It prints nothing of its key.
pub struct Token {
    node: Did,
    seed: Option<Seed>,
    chains: Chains,
}

/// Why a text is no token. Each completes "failed to …".
#[derive(Debug, thiserror::Error)]
pub enum ParseTokenError {
    /// Too long, not of its letters, or not of its version.
    #[error("read a token: a text that begins with `{PREFIX}` is expected, at most {TEXT_LENGTH_MAX} characters long")]
    Text,
    /// Not the CBOR that it is made of, or another spelling of it.
    #[error("read a token: {0}")]
    Malformed(String),
    /// Its key is not the one that its capabilities are for.
    #[error("read a token: its key is not that of {0}, for whom its capabilities are")]
    OtherKey(Did),
    /// Its capabilities are none.
    #[error(transparent)]
    Chains(#[from] ChainsError),
}

impl From<CborError> for ParseTokenError {
    fn from(error: CborError) -> Self {
        Self::Malformed(error.to_string())
    }
}

impl Token {
    /// Of these chains, for this node, with the seed of their holder's key if that is not elsewhere.
    pub(crate) fn new(node: Did, seed: Option<Seed>, chains: Vec<Vec<Credential>>) -> Result<Self, ParseTokenError> {
        let chains = Chains::new(chains)?;
        match &seed {
            Some(seed) if SigningKey::from_seed(seed).did() != chains.holder() => {
                Err(ParseTokenError::OtherKey(chains.holder()))
            }
            _ => Ok(Self { node, seed, chains }),
        }
    }

    /// The node that it is for: the key of its device.
    pub fn node(&self) -> Did {
        self.node
    }

    /// What it is made of.
    pub fn chains(&self) -> &Chains {
        &self.chains
    }

    /// Whether whoever has it can use it; otherwise its holder's own key is needed.
    pub fn has_key(&self) -> bool {
        self.seed.is_some()
    }

    /// The text, which is a secret where it has a key.
    pub fn to_text(&self) -> Zeroizing<String> {
        let bytes = self.encode();
        // Its room is there from the start: a text that grows leaves what it held behind.
        let mut text = Zeroizing::new(String::with_capacity(PREFIX.len() + bytes.len().div_ceil(3) * 4));
        text.push_str(PREFIX);
        URL_SAFE_NO_PAD.encode_string(bytes.as_slice(), &mut text);
        text
    }

    fn encode(&self) -> Zeroizing<Vec<u8>> {
        let chains = self.chains.encode();
        let mut bytes = Zeroizing::new(Vec::with_capacity(HEAD_BYTES_MAX + chains.len()));
        write_head(&self.node, self.seed.as_deref(), &mut bytes).expect("writing to memory does not fail");
        bytes.extend_from_slice(&chains);
        bytes
    }

    fn decode(bytes: &[u8]) -> Result<Self, ParseTokenError> {
        let mut decoder = Decoder::new(bytes);
        let (node, seed) = read_head(&mut decoder)?;
        let chains = Chains::decode(&bytes[decoder.position()..])?;
        let token = Self::new(node, seed, chains.iter().map(<[_]>::to_vec).collect())?;
        if *token.encode() == bytes {
            Ok(token)
        } else {
            Err(ParseTokenError::Malformed("it is not in its one canonical form".to_owned()))
        }
    }
}

fn write_head(
    node: &Did,
    seed: Option<&[u8; 32]>,
    bytes: &mut Vec<u8>,
) -> Result<(), minicbor::encode::Error<std::convert::Infallible>> {
    let mut encoder = Encoder::new(bytes);
    encoder.array(4)?.u64(VERSION)?.bytes(&node.0)?;
    match seed {
        Some(seed) => encoder.bytes(seed)?,
        None => encoder.null()?,
    };
    Ok(())
}

fn read_head(decoder: &mut Decoder<'_>) -> Result<(Did, Option<Seed>), ParseTokenError> {
    let malformed = |text: &str| ParseTokenError::Malformed(text.to_owned());
    if decoder.array()? != Some(4) || decoder.u64()? != VERSION {
        return Err(malformed("it is of another version"));
    }
    let node = decoder.bytes()?.try_into().map_err(|_| malformed("its node's key has not 32 bytes"))?;
    if decoder.datatype()? == minicbor::data::Type::Null {
        decoder.null()?;
        return Ok((Did(node), None));
    }
    let mut seed = Zeroizing::new([0; 32]);
    let given = decoder.bytes()?;
    if given.len() != seed.len() {
        return Err(malformed("its key has not 32 bytes"));
    }
    seed.copy_from_slice(given);
    Ok((Did(node), Some(seed)))
}

impl FromStr for Token {
    type Err = ParseTokenError;

    fn from_str(text: &str) -> Result<Self, ParseTokenError> {
        let encoded = text.strip_prefix(PREFIX).filter(|_| text.len() <= TEXT_LENGTH_MAX);
        let encoded = encoded.ok_or(ParseTokenError::Text)?;
        let mut bytes = Zeroizing::new(vec![0; encoded.len()]);
        let length = URL_SAFE_NO_PAD.decode_slice(encoded, &mut bytes).map_err(|_| ParseTokenError::Text)?;
        Self::decode(&bytes[..length])
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "a token of {} for {}", self.chains.holder(), self.node)
    }
}

#[cfg(test)]
mod tests;
