//! Capability tokens.

use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What a token is to give.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct TokenRequest {
    /// About this agent alone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub agent: Option<String>,
    /// What may be done: a word such as `logs`, which means `/agent/logs`, or a command such as `/audit/lines`. It covers
    /// what stands below it.
    pub can: Vec<String>,
    /// For so many milliseconds.
    pub expires_ms: u64,
    /// Whose key uses it, `did:key:…`; without it the token has a key of its own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub audience: Option<String>,
}

/// A token, told once.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct TokenCreated {
    /// Its text. Where it has a key of its own, whoever reads it can use it.
    pub token: String,
    /// The names of its capabilities, by which it is taken back.
    pub ids: Vec<String>,
    /// Whose key uses it.
    pub holder: String,
    /// What may be done.
    pub scopes: Vec<String>,
    /// From when on it is good no more: Unix milliseconds.
    pub expires: u64,
}

impl fmt::Debug for TokenCreated {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { ids, holder, scopes, expires, token: _ } = self;
        write!(formatter, "TokenCreated({holder} may {scopes:?} until {expires}, by {ids:?})")
    }
}

/// Which capabilities of tokens are taken back, by name.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct TokenRevoke {
    /// All of a token, or some.
    pub ids: Vec<String>,
}
