//! The market: the embedded chain, the one way to any chain, transactions that are never doubled, and the contracts.
//!
//! No type of alloy or revm stands in a public signature: callers speak the words of `nisse-model`.
#![forbid(unsafe_code)]

mod contracts;
mod cursor;
pub mod embedded;
mod event;
mod heartbeat;
mod market;
mod offer;
mod owner_request;
mod package;
mod provider;
mod receipt;
mod revert;
mod sealed;
mod selection;
mod signer;
mod tx;

pub use cursor::{CursorError, CursorPosition, EventBatch, LogCursor, REORG_DEPTH_MAX};
pub use event::{EventAt, MarketEvent, OrderView, ReopenedFor, StoppedBy};
pub use heartbeat::{LeaseState, heartbeat_proof, heartbeat_root};
pub use market::{
    ContractSettings, CopiedWrite, DearGas, DeployOrder, DeploymentState, DeploymentView, FIRST_MANAGER_NONCE, Fate,
    FirstBlock, Market, MarketAddresses, MarketCall, MarketCopy, MarketError, NodeFacts, NodeStatus, NodeView,
    OrderTerms, PublicationTerms, PublicationView, VERSIONS_MAX, Written, deploy_contracts, is_of_this_program,
    made_by, market_versions, upgrade_contracts,
};
pub use offer::{Offer, SignedOffer};
pub use owner_request::{OwnerRequest, SignedOwnerRequest};
pub use package::ListedPackage;
pub use provider::{ChainClient, RpcPost, RpcPostError};
pub use receipt::{Receipt, ReceiptError, SignedReceipt};
pub use sealed::SealedBid;
pub use selection::{ParseSelectionError, Selection};
pub use signer::{KeyError, LocalKey, SignError, Signature, SignatureError, Signer, address_of};
pub use tx::{
    BlockRef, ChainHash, MinedTx, QueueError, QueueSurvey, Revert, TxDriver, TxOutcome, TxQueue, TxQueueOptions,
};
