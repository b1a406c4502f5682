//! `access:`: who may ask an agent at its public endpoint, and how much of it.
//!
//! A request passes if one rule admits it; nothing takes back what another rule gives. Whether somebody is who a rule
//! names is for the node to see; which requests a rule is about is decided here.

mod rate;

use std::collections::BTreeSet;
use std::fmt;

pub use rate::Rate;

use crate::credential::{CredentialId, Did, Role};
use crate::secret_rule::{HttpMethod, PathPrefix};
use crate::units::ByteSize;

/// Who may ask an agent.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Access {
    /// Everybody, for everything: what holds without an `access`.
    #[default]
    Anybody,
    /// Whom one of these rules admits; nobody, if there is none.
    Rules(Vec<AccessRule>),
}

impl Access {
    /// Most rules.
    pub const RULES_MAX: usize = 16;
}

/// Whom a rule admits, to what, and how much of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AccessRule {
    /// Whom.
    pub to: AccessTo,
    /// The paths that it is about; empty for every one.
    pub paths: BTreeSet<PathPrefix>,
    /// The methods that it is about; empty for every one.
    pub methods: BTreeSet<HttpMethod>,
    /// How often each who asks may.
    pub rate: Option<Rate>,
    /// The largest body.
    pub body: Option<ByteSize>,
}

impl AccessRule {
    /// Most keys of one rule.
    pub const KEYS_MAX: usize = 64;
    /// Most paths of one rule.
    pub const PATHS_MAX: usize = 16;
    /// What a rule may let a body have at most: that of any request.
    pub const BODY_MAX: ByteSize = ByteSize(8 << 20);

    /// Whether it is about requests of this method.
    pub fn has_method(&self, method: &str) -> bool {
        self.methods.is_empty() || self.methods.iter().any(|one| one.as_str() == method)
    }

    /// Whether it is about this path, as it is sent and without its query. A path that an agent could read as another one is
    /// no path of a rule that names some.
    pub fn has_path(&self, path: &str) -> bool {
        self.paths.is_empty() || self.paths.iter().any(|prefix| prefix.covers(path))
    }
}

/// Whom a rule admits.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AccessTo {
    /// Everybody, without a proof of who they are.
    Public,
    /// The devices of the identity that the agent's owner has at home.
    Owner,
    /// Whoever has one of these keys, and the devices of an identity among them.
    Keys(BTreeSet<Did>),
    /// Members of a space with at least this role.
    Space {
        /// Its name.
        space: CredentialId,
        /// Never [`Role::Relay`].
        role: Role,
    },
    /// Whom the owner's identity lets call this agent: by a capability, or as its agent.
    Capability,
}

impl AccessTo {
    /// The words that stand alone.
    pub(crate) const WORDS: [&str; 3] = ["public", "owner", "capability"];

    /// Whether it admits by who asks.
    pub fn is_identified(&self) -> bool {
        *self != Self::Public
    }

    /// Whether it can admit somebody only where the owner's identity is known: on a node of the owner's own.
    pub fn needs_own_node(&self) -> bool {
        match self {
            Self::Public | Self::Keys(_) => false,
            Self::Owner | Self::Space { .. } | Self::Capability => true,
        }
    }
}

/// In a few words, for the owner: `owner`, `2 keys`.
impl fmt::Display for AccessTo {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Public => formatter.write_str("public"),
            Self::Owner => formatter.write_str("owner"),
            Self::Keys(keys) if keys.len() == 1 => formatter.write_str("1 key"),
            Self::Keys(keys) => write!(formatter, "{} keys", keys.len()),
            Self::Space { role, .. } => write!(formatter, "space, {}", role.as_str()),
            Self::Capability => formatter.write_str("capability"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rule(paths: &[&str], methods: &[HttpMethod]) -> AccessRule {
        let paths = paths.iter().map(|path| path.parse().expect("a path")).collect();
        AccessRule { to: AccessTo::Public, paths, methods: methods.iter().copied().collect(), rate: None, body: None }
    }

    #[test]
    fn a_rule_is_about_its_paths_and_methods_or_about_all_of_them() {
        let every = rule(&[], &[]);
        assert!(["/", "/a", "//", "*", "/%2e%2e/a"].iter().all(|path| every.has_path(path)));
        assert!(["GET", "PROPFIND"].iter().all(|method| every.has_method(method)));
        let some = rule(&["/hook", "/api/"], &[HttpMethod::Post]);
        for (path, is_its_own) in [
            ("/hook", true),
            ("/hook/x", true),
            ("/hooks", false),
            ("/api", false),
            ("/api/x", true),
            ("/Hook", false),
            ("/hook/../admin", false),
            ("/hook/%2e%2e/admin", false),
            ("/hook//x", false),
            ("/hook;x", false),
            ("/%68ook", false),
            ("*", false),
        ] {
            assert_eq!(some.has_path(path), is_its_own, "{path}");
        }
        assert!(some.has_method("POST") && !some.has_method("post") && !some.has_method("GET"));
    }
}
