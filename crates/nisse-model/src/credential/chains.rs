//! The capabilities of one token: a chain for each scope, all for the same holder and identity.
//!
//! They travel with each request, so their form is bounded. What they give is for [`super::State::token`] to say.

use minicbor::decode::{Decoder, Error as CborError};
use minicbor::encode::Encoder;

use super::{Claim, Credential, CredentialError, CredentialId, Did, Scope, State};
use crate::Timestamp;

/// Chains of capabilities that one holder shows together.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Chains {
    chains: Vec<Vec<Credential>>,
    holder: Did,
}

/// Why bytes or credentials are no chains of one token. Each text completes "failed to …".
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ChainsError {
    /// Longer than [`Chains::LENGTH_MAX`].
    #[error("read a token's capabilities of {0} bytes: at most {max} are allowed", max = Chains::LENGTH_MAX)]
    TooLong(usize),
    /// None, or too many.
    #[error("read a token's capabilities: {0} chains stand where 1 to {max} may", max = Chains::COUNT_MAX)]
    Count(usize),
    /// A chain of none, or of too many.
    #[error("read a token's capabilities: a chain of {0} stands where 1 to {max} may", max = State::TOKEN_LENGTH_MAX)]
    Length(usize),
    /// Something else than a capability.
    #[error("read a token's capabilities: {0} is none")]
    NoCapability(CredentialId),
    /// Not all are for one holder, or not all act for one identity.
    #[error("read a token's capabilities: {0} is for another holder or identity than the others")]
    Mixed(CredentialId),
    /// Not the CBOR that they are made of, or another spelling of it.
    #[error("read a token's capabilities: {0}")]
    Malformed(String),
    /// One of them is no credential.
    #[error("read a token's capabilities: failed to {0}")]
    Credential(#[from] CredentialError),
}

impl From<CborError> for ChainsError {
    fn from(error: CborError) -> Self {
        Self::Malformed(error.to_string())
    }
}

impl Chains {
    /// Scopes of one token.
    pub const COUNT_MAX: usize = 16;
    /// Bytes of the stored form: what fits into the head of a request, and is verified without being noticed.
    pub const LENGTH_MAX: usize = 16 * 1024;

    /// Chains that hold together.
    pub fn new(chains: Vec<Vec<Credential>>) -> Result<Self, ChainsError> {
        if chains.is_empty() || chains.len() > Self::COUNT_MAX {
            return Err(ChainsError::Count(chains.len()));
        }
        let mut shared = None;
        for chain in &chains {
            let last = match chain.last() {
                Some(last) if chain.len() <= State::TOKEN_LENGTH_MAX => last,
                _ => return Err(ChainsError::Length(chain.len())),
            };
            for capability in chain {
                given(capability).ok_or(ChainsError::NoCapability(capability.id()))?;
                let identity = capability.statement().subject;
                let holder = given(last).map(|(holder, ..)| holder);
                if *shared.get_or_insert((identity, holder)) != (identity, holder) {
                    return Err(ChainsError::Mixed(capability.id()));
                }
            }
        }
        let Some((_, Some(holder))) = shared else { return Err(ChainsError::Count(0)) };
        let chains = Self { chains, holder };
        match chains.encode().len() {
            length if length > Self::LENGTH_MAX => Err(ChainsError::TooLong(length)),
            _ => Ok(chains),
        }
    }

    /// Each chain, from what a device gave to what the holder has.
    pub fn iter(&self) -> impl Iterator<Item = &[Credential]> {
        self.chains.iter().map(Vec::as_slice)
    }

    /// Whose key uses them.
    pub fn holder(&self) -> Did {
        self.holder
    }

    /// What each of them gives to the holder, and until when: the last of each chain.
    pub fn given(&self) -> impl Iterator<Item = (CredentialId, &Scope, Timestamp)> {
        let last = self.chains.iter().filter_map(|chain| chain.last());
        last.filter_map(|last| given(last).map(|(_, scope, expires)| (last.id(), scope, expires)))
    }

    /// The stored form: an array of chains, each an array of the stored forms of its capabilities.
    pub fn encode(&self) -> Vec<u8> {
        let mut bytes = Vec::new();
        write(&self.chains, &mut Encoder::new(&mut bytes)).expect("writing to memory does not fail");
        bytes
    }

    /// Reads the one form that [`Self::encode`] gives, and verifies each signature.
    pub fn decode(bytes: &[u8]) -> Result<Self, ChainsError> {
        if bytes.len() > Self::LENGTH_MAX {
            return Err(ChainsError::TooLong(bytes.len()));
        }
        let chains = Self::new(read(&mut Decoder::new(bytes))?)?;
        if chains.encode() != bytes {
            return Err(ChainsError::Malformed("it is not in its one canonical form".to_owned()));
        }
        Ok(chains)
    }
}

fn given(credential: &Credential) -> Option<(Did, &Scope, Timestamp)> {
    match credential.claim() {
        Claim::Capability { audience, scope, expires, .. } => Some((*audience, scope, *expires)),
        _ => None,
    }
}

fn write(
    chains: &[Vec<Credential>],
    encoder: &mut Encoder<&mut Vec<u8>>,
) -> Result<(), minicbor::encode::Error<core::convert::Infallible>> {
    encoder.array(chains.len() as u64)?;
    for chain in chains {
        encoder.array(chain.len() as u64)?;
        for credential in chain {
            encoder.bytes(&credential.encode())?;
        }
    }
    Ok(())
}

fn read(decoder: &mut Decoder<'_>) -> Result<Vec<Vec<Credential>>, ChainsError> {
    let count = array(decoder, Chains::COUNT_MAX, ChainsError::Count)?;
    let mut chains = Vec::new();
    for _ in 0..count {
        let length = array(decoder, State::TOKEN_LENGTH_MAX, ChainsError::Length)?;
        let mut chain = Vec::new();
        for _ in 0..length {
            chain.push(Credential::decode(decoder.bytes()?)?);
        }
        chains.push(chain);
    }
    Ok(chains)
}

/// Items of an array of at most so many, before any of them is read.
fn array(decoder: &mut Decoder<'_>, max: usize, over: fn(usize) -> ChainsError) -> Result<usize, ChainsError> {
    let items = decoder.array()?.ok_or_else(|| ChainsError::Malformed("an array has no length".to_owned()))?;
    let items = usize::try_from(items).unwrap_or(usize::MAX);
    if items > max { Err(over(items)) } else { Ok(items) }
}
