//! Secrets of the node's owner, which go along with requests and which no agent sees.

use async_trait::async_trait;
use nisse_model::SecretRule;
use zeroize::Zeroizing;

/// Where secrets come from: the node's vault.
#[async_trait]
pub trait Secrets: Send + Sync + 'static {
    /// The secret of a rule as it is now, for this agent. Asked anew for each request, so that what was withdrawn or changed is
    /// gone with the next one.
    async fn reveal(&self, agent: &str, rule: &SecretRule) -> Result<SecretValue, SecretRefused>;
}

/// A secret's bytes. Wiped when dropped, and never printed.
pub struct SecretValue(Zeroizing<Vec<u8>>);

impl SecretValue {
    /// Takes the bytes over.
    pub fn new(bytes: Zeroizing<Vec<u8>>) -> Self {
        Self(bytes)
    }

    /// The bytes: for the one place that puts them into a header.
    pub(crate) fn expose(&self) -> &[u8] {
        &self.0
    }
}

impl std::fmt::Debug for SecretValue {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("SecretValue(..)")
    }
}

/// Why a secret is not there to be used. Never holds anything of its value.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SecretRefused {
    /// Nobody has unlocked the vault since the node came up.
    #[error("the vault is sealed")]
    Sealed,
    /// No secret of this name.
    #[error("there is no secret of this name")]
    Missing,
    /// The vault does not answer.
    #[error("{0}")]
    Failed(String),
}

/// For a node without a vault, and for requests of the node's own: there are no secrets.
#[derive(Debug, Clone, Copy, Default)]
pub struct NoSecrets;

#[async_trait]
impl Secrets for NoSecrets {
    async fn reveal(&self, _agent: &str, _rule: &SecretRule) -> Result<SecretValue, SecretRefused> {
        Err(SecretRefused::Missing)
    }
}
