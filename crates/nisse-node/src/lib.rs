//! The running process: drives the orchestrator with real time, disk and network.
//!
//! [`Node::open`] opens a home, reads its journal, brings its agents back without asking the chain, and follows the
//! market from there. Everything that an owner can ask stands on [`Node`]; its shapes stand in [`control`].
#![forbid(unsafe_code)]

mod access;
mod agent;
mod audit;
mod bids;
mod caller;
pub mod control;
mod core;
mod driver;
mod entry;
mod error;
mod event_reader;
#[cfg(test)]
mod fixtures;
mod heartbeats;
mod home;
mod identity;
mod jobs;
mod keys;
mod lane;
mod ledger;
mod life;
mod link;
mod logs;
mod network;
mod node;
mod options;
mod owned;
mod packages;
mod prepare;
mod public;
mod records;
mod recovery;
mod remote;
mod reopening;
mod reputation;
mod rights;
mod routes;
pub mod rules;
mod second_looks;
mod spaces;
mod supervisor;
mod timeline;
mod token;
mod unapplied;
mod vault;
mod wallets;
mod watcher;

pub use agent::{AnswerBody, BrokenOff, ChunkStream};
pub use caller::{Asker, acting_as};
pub use error::{ErrorKind, NodeError};
pub use event_reader::{EventReader, EventTooLong};
pub use identity::device::device_seed;
pub use identity::join::{Joined, ParseTicketError, RemoteAccess, Speaker, Ticket, join, meet, recover, remote_access};
pub use identity::remotes::Remote;
pub use link::PeerOptions;
pub use nisse_content::routing::PROVIDERS_PATH;
pub use nisse_link::{Connection as PeerConnection, Stream as PeerStream};
pub use nisse_model::{Command, Did, Scope as Right};
pub use nisse_orchestrator::Prices;
pub use nisse_sandbox::CompileCommand;
pub use nisse_space::{ExportError, ExportPart, ExportReader};
pub use nisse_vault::VaultCommand;
pub use node::{
    AdmittedCall, CallRefused, Frequency, Node, OFFER_PATH, OwnersRequest, RebuiltChain, RebuiltDeployment,
    RestoredVault, Seams, SpaceExport, TokensRequest, UpgradedMarket, check_door, check_stopped, rebuild_chain,
    restore_vault, upgrade_market,
};
pub use options::{AcceptList, ChainChoice, JournalLimits, NodeOptions, VaultChoice};
pub use owned::commands_of_members;
pub use public::{AgentCallError, PublicAgent, PublicAnswer, PublicRoute};
pub use remote::REMOTE_PATH;
pub use spaces::{SPACE_MESSAGE_BYTES_MAX, SPACE_PATH, SpaceConnection, SpaceEar, SpaceMouth, SpaceSaid};
pub use supervisor::Stop;
pub use timeline::Timeline;
pub use token::{ParseTokenError, Token, TokenKeyError, TokenSigner};
pub use wallets::KeyName;
