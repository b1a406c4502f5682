//! What an owner can ask of a running node and what they are told: the shapes of the control API.
//!
//! These types cross the wire under `/api/v1`, so a field is added, never renamed. Money is a decimal text in TALOS,
//! times are milliseconds since 1970, hashes and ids are texts.

mod agent;
mod audit;
mod check;
mod content;
mod deploy;
mod heartbeat;
mod identity;
mod job;
mod node;
mod offer;
mod profile;
mod receipt;
mod reputation;
mod schema;
mod space;
mod token;
mod vault;
mod wallet;

pub use agent::{
    AgentList, AgentSpace, AgentStatus, Destroyed, FundRequest, GasStatus, InvokeRequest, Invoked, LeaseStatus,
    LogLine, RollbackTo,
};
pub use audit::AuditEntry;
pub use check::Check;
pub use content::{ContentAdded, ContentCollected, ContentEntry, ContentProvided, ContentProvider, ContentProviders};
pub use deploy::{DeployRequest, Deployed, PackageUpload, Step, UpdateRequest};
pub use heartbeat::{HeartbeatProof, VerifyHeartbeatError};
pub use identity::{DeviceEntry, DeviceName, DeviceRevoked, IdentityStatus, PairingRequest, PairingStatus};
pub use job::{FireRequest, Fired, InvocationAttempt, InvocationEntry, InvocationShown, Trigger};
pub use node::{
    EarnedLease, MarketEntry, MarketEventLine, MarketList, MarketRates, NodeEarnings, NodeStatus, NodeWithdrawn,
};
pub use offer::{MarketOffer, MarketOffers, NodeOffer, OfferAsked};
pub use profile::{Profile, ProfileAvatar, ProfileRequest};
pub use receipt::{ReceiptBundle, VerifyReceiptError};
pub use reputation::{MarketNode, MarketNodes, NodeReputation};
pub use schema::{ObjectMisfit, SchemaCheck, SchemaRequest, SpaceSchema};
pub use space::{
    InvitationRequest, JoinRequest, MemberRequest, ObjectChange, ObjectHistory, ObjectTouched, OpenSpaceInvitation,
    SpaceChange, SpaceEntry, SpaceImported, SpaceInvitation, SpaceKeepRequest, SpaceKey, SpaceMember, SpaceRequest,
    SpaceSession, SpaceStatus, SpaceTicket, SpaceTicketRequest,
};
pub use token::{TokenCreated, TokenRequest, TokenRevoke};
pub use vault::{SecretEntry, SecretSet, VaultStatus};
pub use wallet::{ExportRequest, Wallet};
