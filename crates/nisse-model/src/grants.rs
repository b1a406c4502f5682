//! Permissions once given: the only thing that opens a host call.
//!
//! [`Grants`] has no public constructor but the policy's, so what holds one has been through it.

use std::fmt;

use crate::{LocalService, Manifest, NetworkRule, Permission, Role, SecretRule, SpaceRule};

/// What decides which of a manifest's permissions are given.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Policy {
    /// The agent belongs to the person who runs this node.
    pub owner_is_node_operator: bool,
}

/// What an agent may do on this node.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Grants {
    network_rules: Vec<NetworkRule>,
    local_services: Vec<LocalService>,
    secret_rules: Vec<SecretRule>,
    space_rules: Vec<SpaceRule>,
    read_ipfs: bool,
    publish_to_chain: bool,
}

/// Why a manifest's permissions are not given. Each text completes "failed to …".
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum GrantError {
    /// A stranger's agent asked for the operator's own network.
    #[error("grant `{permission}`: services on a node's own network are only given to agents of the node's owner")]
    NetworkLocal {
        /// The permission as written.
        permission: Permission,
    },
    /// A stranger's agent asked for the operator's secrets.
    #[error("grant `{permission}`: secrets of a node are only given to agents of the node's owner")]
    Secret {
        /// The permission as written.
        permission: Permission,
    },
    /// A stranger's agent asked for the operator's spaces.
    #[error("grant `{permission}`: spaces of a node are only given to agents of the node's owner")]
    Space {
        /// The permission as written.
        permission: Permission,
    },
}

impl GrantError {
    /// What to do about it.
    pub fn hint(&self) -> String {
        match self {
            Self::NetworkLocal { permission } | Self::Secret { permission } | Self::Space { permission } => {
                format!("remove \"{permission}\" from `permissions` in agent.yaml, or deploy to a node of your own")
            }
        }
    }
}

impl Grants {
    /// Gives all of the manifest's permissions or refuses it whole: an agent never runs with less than it declared.
    pub fn from_manifest(manifest: &Manifest, policy: Policy) -> Result<Self, GrantError> {
        let mut grants = Self::none();
        for permission in &manifest.permissions {
            match permission {
                Permission::NetworkOutbound(rule) => grants.network_rules.push(rule.clone()),
                Permission::NetworkLocal(service) if policy.owner_is_node_operator => {
                    grants.local_services.push(service.clone());
                }
                Permission::NetworkLocal(_) => {
                    return Err(GrantError::NetworkLocal { permission: permission.clone() });
                }
                Permission::Secret(rule) if policy.owner_is_node_operator => grants.secret_rules.push((**rule).clone()),
                Permission::Secret(_) => return Err(GrantError::Secret { permission: permission.clone() }),
                Permission::Space(rule) if policy.owner_is_node_operator => grants.space_rules.push(rule.clone()),
                Permission::Space(_) => return Err(GrantError::Space { permission: permission.clone() }),
                Permission::ReadIpfs => grants.read_ipfs = true,
                Permission::PublishToChain => grants.publish_to_chain = true,
            }
        }
        Ok(grants)
    }

    /// No grant at all: what an agent without permissions holds.
    pub fn none() -> Self {
        Self {
            network_rules: Vec::new(),
            local_services: Vec::new(),
            secret_rules: Vec::new(),
            space_rules: Vec::new(),
            read_ipfs: false,
            publish_to_chain: false,
        }
    }

    /// Public hosts that requests may go to.
    pub fn network_rules(&self) -> &[NetworkRule] {
        &self.network_rules
    }

    /// Services on the owner's own network that requests may go to.
    pub fn local_services(&self) -> &[LocalService] {
        &self.local_services
    }

    /// Secrets of the owner that go along with requests, and with which.
    pub fn secret_rules(&self) -> &[SecretRule] {
        &self.secret_rules
    }

    /// Spaces of the owner that it reaches, and with which role.
    pub fn space_rules(&self) -> &[SpaceRule] {
        &self.space_rules
    }

    /// Whether it reaches any space with this role or a higher one.
    pub fn may_use_spaces(&self, role: Role) -> bool {
        self.space_rules.iter().any(|rule| role <= rule.role())
    }

    /// Whether content may be read by CID.
    pub fn may_read_ipfs(&self) -> bool {
        self.read_ipfs
    }

    /// Whether answers may be published on chain.
    pub fn may_publish(&self) -> bool {
        self.publish_to_chain
    }

    /// Whether any request may leave at all.
    pub fn may_reach_network(&self) -> bool {
        !self.network_rules.is_empty() || !self.local_services.is_empty()
    }
}

/// `add "KIND:ARGUMENTS" to permissions …`: generated from the permission that was missing.
pub fn hint_to_add(permission: impl fmt::Display) -> String {
    format!("add \"{permission}\" to `permissions` in agent.yaml")
}
