//! Credentials: signed, content-addressed statements of who acts for whom, and the log that says which of them count.
//!
//! Each is deterministic CBOR with an Ed25519 signature over it, named by the SHA-256 of its stored bytes. It names the
//! credentials that its issuer had seen, so that a set of them says by itself what was before what. What follows from a
//! set is the same whatever order it arrived in, and needs nobody to ask: see [`Log`] for the rules.

mod chains;
mod claim;
mod codec;
mod did;
mod label;
mod log;
mod scope;
mod wallet;

#[cfg(test)]
mod tests;

use std::fmt;
use std::str::FromStr;

pub use chains::{Chains, ChainsError};
pub use claim::{Claim, Role};
pub use codec::CredentialError;
pub use did::{Did, ParseDidError, SigningKey};
pub use label::{Label, ParseLabelError};
pub use log::{Device, InsertError, Inserted, Log, OpenInvitation, Settled, Standing, State, TokenError, Word};
pub use scope::{Command, ParseScopeError, Scope};
pub use wallet::wallet_digest;

use crate::{Hash256, ParseHashError, Timestamp};

/// The name of a credential: the SHA-256 of its stored bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CredentialId(pub Hash256);

impl fmt::Display for CredentialId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, formatter)
    }
}

impl FromStr for CredentialId {
    type Err = ParseHashError;

    fn from_str(text: &str) -> Result<Self, ParseHashError> {
        text.parse().map(Self)
    }
}

/// What a credential says, before it is signed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Statement {
    /// Whose key signs (UCAN's `iss`).
    pub issuer: Did,
    /// The identity that it acts for (`sub`).
    pub subject: Did,
    /// The newest credentials that the issuer had seen, in order, each once. All that stands before them counts as seen.
    pub parents: Vec<CredentialId>,
    /// When, by the issuer's own clock (`iat`). It bounds what expires and orders nothing.
    pub issued: Timestamp,
    /// Tells apart what is otherwise the same.
    pub nonce: [u8; 12],
    /// What is said.
    pub claim: Claim,
}

impl Statement {
    /// What a credential's signature is made for.
    pub const CONTEXT: &str = "nisse credential v1";
    /// Parents of one credential.
    pub const PARENTS_MAX: usize = 1_024;

    /// Signs it with the issuer's key.
    pub fn sign(self, key: &SigningKey) -> Result<Credential, CredentialError> {
        let signature = key.sign(Self::CONTEXT, &codec::statement_bytes(&self));
        self.with_signature(signature)
    }

    /// The bytes that a signature in [`Self::CONTEXT`] covers, for a key that is elsewhere.
    pub fn signed_bytes(&self) -> Vec<u8> {
        codec::statement_bytes(self)
    }

    /// A credential, if the signature is the issuer's and nothing that it says is refused whoever says it.
    pub fn with_signature(self, signature: [u8; 64]) -> Result<Credential, CredentialError> {
        codec::check(&self)?;
        if !self.issuer.verifies(Self::CONTEXT, &codec::statement_bytes(&self), &signature) {
            return Err(CredentialError::Signature(self.issuer));
        }
        if let Claim::WalletBinding { wallet, signature } = &self.claim
            && wallet::signer(&wallet_digest(&self.subject), signature) != Some(*wallet)
        {
            return Err(CredentialError::Wallet(*wallet));
        }
        Ok(Credential::sealed(self, signature))
    }
}

/// A statement whose signature was verified. Whether its issuer had the right to make it is for a [`Log`] to say.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Credential {
    statement: Statement,
    signature: [u8; 64],
    id: CredentialId,
}

impl Credential {
    /// Bytes of the largest one.
    pub const LENGTH_MAX: usize = 64 * 1024;

    /// Of a statement whose signature was verified.
    fn sealed(statement: Statement, signature: [u8; 64]) -> Self {
        let id = CredentialId(Hash256::of(&codec::encode(&statement, &signature)));
        Self { statement, signature, id }
    }

    /// Its name.
    pub fn id(&self) -> CredentialId {
        self.id
    }

    /// What it says.
    pub fn statement(&self) -> &Statement {
        &self.statement
    }

    /// What it claims.
    pub fn claim(&self) -> &Claim {
        &self.statement.claim
    }

    /// The stored form: what its name is the digest of.
    pub fn encode(&self) -> Vec<u8> {
        codec::encode(&self.statement, &self.signature)
    }

    /// Reads the stored form and verifies its signature. One credential has exactly one form.
    pub fn decode(bytes: &[u8]) -> Result<Self, CredentialError> {
        let (statement, signature) = codec::decode(bytes)?;
        statement.with_signature(signature)
    }
}
