//! What an agent asks for: `kind` or `kind:arguments` in `permissions` of `agent.yaml`, one file per kind.
//!
//! A [`Permission`] is a wish. Once given it stands in [`crate::Grants`], which only a policy can build.

mod network_local;
mod network_outbound;
mod publish_to_chain;
mod read_ipfs;
mod secret;
mod space;

use std::fmt;
use std::str::FromStr;

use crate::suggestion::nearest;
use crate::{LocalService, NetworkRule, NetworkRuleError, SecretRule, SecretRuleError, SpaceRule, SpaceRuleError};

/// Everything that an agent can ask for, on one screen.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Permission {
    /// Requests to a public host.
    NetworkOutbound(NetworkRule),
    /// Requests to one service on the owner's own network.
    NetworkLocal(LocalService),
    /// A secret of the owner in the requests to one host.
    Secret(Box<SecretRule>),
    /// Objects of a space of the owner.
    Space(SpaceRule),
    /// Content by CID.
    ReadIpfs,
    /// Answers to the deployment's OracleFeeds.
    PublishToChain,
}

/// One kind of permission: how it is named, written and explained.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PermissionKind {
    /// The word before the colon.
    pub name: &'static str,
    /// How the whole permission is written.
    pub form: &'static str,
    /// What it opens, in words for the owner.
    pub meaning: &'static str,
}

impl Permission {
    /// All kinds, in the order in which they are explained.
    pub const KINDS: [PermissionKind; 6] = [
        network_outbound::KIND,
        network_local::KIND,
        secret::KIND,
        space::KIND,
        read_ipfs::KIND,
        publish_to_chain::KIND,
    ];
    /// Longest permission, in bytes.
    pub const LENGTH_MAX: usize = 512;

    /// Which kind this is.
    pub fn kind(&self) -> PermissionKind {
        match self {
            Self::NetworkOutbound(_) => network_outbound::KIND,
            Self::NetworkLocal(_) => network_local::KIND,
            Self::Secret(_) => secret::KIND,
            Self::Space(_) => space::KIND,
            Self::ReadIpfs => read_ipfs::KIND,
            Self::PublishToChain => publish_to_chain::KIND,
        }
    }
}

impl fmt::Display for Permission {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = self.kind().name;
        match self {
            Self::NetworkOutbound(rule) => write!(formatter, "{name}:{rule}"),
            Self::NetworkLocal(service) => write!(formatter, "{name}:{service}"),
            Self::Secret(rule) => write!(formatter, "{name}:{rule}"),
            Self::Space(rule) => write!(formatter, "{name}:{rule}"),
            Self::ReadIpfs | Self::PublishToChain => formatter.write_str(name),
        }
    }
}

/// Why a text is not a permission. Each text completes "failed to …".
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ParsePermissionError {
    /// Longer than [`Permission::LENGTH_MAX`].
    #[error("use a permission of {length} bytes: at most {max} are allowed", max = Permission::LENGTH_MAX)]
    TooLong {
        /// Bytes found.
        length: usize,
    },
    /// No kind of this name.
    #[error("find the permission kind {0:?}: expected one of {kinds}", kinds = kind_names())]
    UnknownKind(String),
    /// A kind that takes arguments without them.
    #[error("use `{kind}` without arguments: expected `{form}`")]
    MissingArguments {
        /// The kind's name.
        kind: &'static str,
        /// How it is written.
        form: &'static str,
    },
    /// A kind without arguments, with some.
    #[error("use `{kind}` with arguments: expected `{kind}` alone")]
    UnexpectedArguments {
        /// The kind's name.
        kind: &'static str,
    },
    /// A rule of the network kinds is refused.
    #[error(transparent)]
    Network(#[from] NetworkRuleError),
    /// A rule for a secret is refused.
    #[error(transparent)]
    Secret(#[from] Box<SecretRuleError>),
    /// A rule for a space is refused.
    #[error(transparent)]
    Space(#[from] SpaceRuleError),
}

fn kind_names() -> String {
    Permission::KINDS.map(|kind| kind.name).join(", ")
}

impl ParsePermissionError {
    /// What to write instead, where that can be told.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::UnknownKind(found) => {
                let names = Permission::KINDS.map(|kind| kind.name);
                let name = nearest(found.trim(), &names)?;
                let kind = Permission::KINDS.into_iter().find(|kind| kind.name == name)?;
                Some(format!("did you mean `{}`?", kind.form))
            }
            Self::MissingArguments { form, .. } => Some(format!("write `{form}`")),
            Self::UnexpectedArguments { kind } => Some(format!("write `{kind}`")),
            Self::Network(error) => error.hint(),
            Self::Secret(error) => error.hint(),
            Self::Space(error) => Some(error.hint()),
            Self::TooLong { .. } => None,
        }
    }
}

impl FromStr for Permission {
    type Err = ParsePermissionError;

    fn from_str(text: &str) -> Result<Self, ParsePermissionError> {
        if text.len() > Self::LENGTH_MAX {
            return Err(ParsePermissionError::TooLong { length: text.len() });
        }
        let (kind, arguments) = match text.split_once(':') {
            Some((kind, arguments)) => (kind, Some(arguments)),
            None => (text, None),
        };
        match kind {
            _ if kind == network_outbound::KIND.name => network_outbound::parse(arguments).map(Self::NetworkOutbound),
            _ if kind == network_local::KIND.name => network_local::parse(arguments).map(Self::NetworkLocal),
            _ if kind == secret::KIND.name => secret::parse(arguments).map(Self::Secret),
            _ if kind == space::KIND.name => space::parse(arguments).map(Self::Space),
            _ if kind == read_ipfs::KIND.name => read_ipfs::parse(arguments).map(|()| Self::ReadIpfs),
            _ if kind == publish_to_chain::KIND.name => {
                publish_to_chain::parse(arguments).map(|()| Self::PublishToChain)
            }
            _ => Err(ParsePermissionError::UnknownKind(kind.chars().take(60).collect())),
        }
    }
}

/// The arguments of a kind that needs some.
fn required(arguments: Option<&str>, kind: PermissionKind) -> Result<&str, ParsePermissionError> {
    let missing = ParsePermissionError::MissingArguments { kind: kind.name, form: kind.form };
    arguments.filter(|text| !text.is_empty()).ok_or(missing)
}

/// Refuses arguments of a kind that has none.
fn none(arguments: Option<&str>, kind: PermissionKind) -> Result<(), ParsePermissionError> {
    match arguments {
        None => Ok(()),
        Some(_) => Err(ParsePermissionError::UnexpectedArguments { kind: kind.name }),
    }
}
