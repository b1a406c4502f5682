//! What a credential can say.

use super::{CredentialId, Did, Label, Scope};
use crate::{Address, Timestamp};

/// What a member may do in a space. Each role holds the ones before it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Role {
    /// Stores and passes on what it cannot read.
    Relay,
    /// Reads.
    Read,
    /// Reads and writes.
    Edit,
    /// Decides who is a member, besides.
    Admin,
}

impl Role {
    /// From the least to the most.
    pub const ALL: [Self; 4] = [Self::Relay, Self::Read, Self::Edit, Self::Admin];

    /// As it is written.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Relay => "relay",
            Self::Read => "read",
            Self::Edit => "edit",
            Self::Admin => "admin",
        }
    }
}

/// One statement of an issuer, for the identity that it acts for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Claim {
    /// By the identity's root key alone, with nothing before it: there is this identity.
    IdentityGenesis {
        /// Its first device.
        device: Did,
        /// What that one is called.
        name: Label,
    },
    /// The identity has another device, which may do all that the identity may.
    DeviceAdd {
        /// The device.
        device: Did,
        /// What it is called.
        name: Label,
    },
    /// What a device or an agent is called from here on.
    DeviceRename {
        /// The device.
        device: Did,
        /// Its new name.
        name: Label,
    },
    /// A device or an agent is cut off.
    DeviceRevoke {
        /// The device.
        device: Did,
        /// What was seen of it elsewhere, in order, each once: heads of spaces, which stay as they are where they are held.
        /// Who holds none of them reads the credential all the same.
        seen: Vec<CredentialId>,
    },
    /// A wallet is the identity's.
    WalletBinding {
        /// Its address.
        wallet: Address,
        /// By the wallet's key over [`super::wallet_digest`]: `r`, `s`, and 27 or 28.
        signature: [u8; 65],
    },
    /// A device of kind agent may do something for the identity.
    AgentDelegation {
        /// The agent's key.
        agent: Did,
        /// What it is called.
        name: Label,
        /// What it may do, in order, each once.
        scopes: Vec<Scope>,
        /// The first moment, by its own clock, at which it may not.
        expires: Timestamp,
        /// If an agent hands on what it has: its own delegation. It hands on no more, and for no longer.
        proof: Option<CredentialId>,
    },
    /// There is a space, named by this credential's id. The identity is its first admin.
    SpaceGenesis,
    /// An identity has a role in a space from here on.
    Member {
        /// The space.
        space: CredentialId,
        /// The identity.
        member: Did,
        /// Its role, whatever it was before.
        role: Role,
    },
    /// An identity has no role in a space.
    MemberRevoke {
        /// The space.
        space: CredentialId,
        /// The identity; each may name itself.
        member: Did,
    },
    /// Whoever has a key may do something for the identity.
    Capability {
        /// The key.
        audience: Did,
        /// What may be done.
        scope: Scope,
        /// The first moment at which it may not be done.
        expires: Timestamp,
        /// The capability that it narrows. One that narrows another is in no log: it travels with its use.
        proof: Option<CredentialId>,
    },
    /// Whoever has the secret of a key lets others into a space.
    Invitation {
        /// The space.
        space: CredentialId,
        /// The key.
        key: Did,
        /// The role that they have then.
        role: Role,
        /// The first moment, by the clock of who joins, at which it lets nobody in.
        expires: Timestamp,
        /// How many.
        uses: u32,
        /// Who alone, if somebody is meant.
        invitee: Option<Did>,
    },
    /// By the key of an invitation: an identity takes it.
    Join {
        /// The invitation.
        invitation: CredentialId,
        /// The identity.
        member: Did,
    },
    /// A delegation, a capability, an invitation or a wallet is taken back.
    Withdraw {
        /// The one of the same identity that has this name; of a capability it need not have been seen.
        credential: CredentialId,
    },
}

impl Claim {
    /// Scopes of one delegation.
    pub const SCOPES_MAX: usize = 32;
    /// Heads that one revocation had seen elsewhere.
    pub const SEEN_MAX: usize = 64;

    /// Whether it takes rights away, and so beats what is concurrent with it. A lower role takes what a higher one gave.
    pub(super) fn revokes(&self) -> bool {
        match self {
            Self::Member { role, .. } => *role < Role::Admin,
            Self::DeviceRevoke { .. } | Self::MemberRevoke { .. } | Self::Withdraw { .. } => true,
            _ => false,
        }
    }

    /// Whether it can be taken back by name.
    pub(super) fn can_be_withdrawn(&self) -> bool {
        matches!(
            self,
            Self::AgentDelegation { .. }
                | Self::Capability { .. }
                | Self::Invitation { .. }
                | Self::WalletBinding { .. }
        )
    }

    /// What may never be said by anybody, whatever their rights are.
    pub(super) fn flaw(&self, issuer: Did, subject: Did, parents: usize) -> Option<&'static str> {
        match self {
            Self::IdentityGenesis { .. } if issuer != subject => Some("only an identity's own key begins it"),
            Self::IdentityGenesis { .. } if parents > 0 => Some("an identity begins with nothing before it"),
            Self::IdentityGenesis { device, .. }
            | Self::DeviceAdd { device, .. }
            | Self::DeviceRename { device, .. }
            | Self::DeviceRevoke { device, .. }
            | Self::AgentDelegation { agent: device, .. }
                if *device == subject =>
            {
                Some("an identity's root key is none of its devices")
            }
            Self::AgentDelegation { scopes, .. } if scopes.is_empty() => Some("a delegation of nothing"),
            Self::AgentDelegation { scopes, .. } if scopes.len() > Self::SCOPES_MAX => {
                Some("a delegation of more than 32 scopes")
            }
            Self::AgentDelegation { scopes, .. } if !scopes.is_sorted_by(|one, next| one < next) => {
                Some("scopes stand in order, each once")
            }
            Self::DeviceRevoke { seen, .. } if seen.len() > Self::SEEN_MAX => Some("more than 64 heads seen elsewhere"),
            Self::DeviceRevoke { seen, .. } if !seen.is_sorted_by(|one, next| one < next) => {
                Some("heads seen elsewhere stand in order, each once")
            }
            Self::Invitation { uses: 0, .. } => Some("an invitation that nobody can take"),
            _ => None,
        }
    }
}
