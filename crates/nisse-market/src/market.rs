//! The market of one chain: typed calls that go out once, and views.
//!
//! Every write has a name of the caller's (its intent). The same name is the same transaction, for ever: a crash
//! between any two steps, or a second call, never doubles a bid, a payment or a publication.

mod birth;
mod call;
mod choosing;
mod copy;
mod deploy_contracts;
mod fees;
mod heartbeats;
mod reputation;
mod time;
mod view;
mod write;

use std::sync::Arc;

use alloy::eips::BlockId;
use alloy::primitives::Bytes;
use alloy::providers::Provider as _;
use alloy::rpc::types::TransactionRequest;
use alloy::sol_types::SolCall;
use nisse_model::{Address, DeploymentId};

pub use birth::FirstBlock;
pub use call::{DeployOrder, MarketCall, OrderTerms, PublicationTerms};
pub use copy::{CopiedWrite, Fate, MarketCopy};
pub(crate) use deploy_contracts::first_creation;
pub use deploy_contracts::{
    ContractSettings, FIRST_MANAGER_NONCE, deploy_contracts, is_of_this_program, made_by, upgrade_contracts,
};
pub use fees::DearGas;
pub use reputation::NodeFacts;
pub use view::{DeploymentState, DeploymentView, NodeStatus, NodeView, PublicationView};
pub use write::Written;

use crate::contracts::{AddressBook, Manager};
use crate::cursor::{CursorPosition, LogCursor};
use crate::provider::ChainClient;
use crate::tx::{QueueError, TxQueue, to_alloy, to_model};

/// The newest versions of a market that are looked at.
pub const VERSIONS_MAX: u64 = 64;

/// Where the contracts of one version of the market are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MarketAddresses {
    /// The chain.
    pub chain: u64,
    /// The address book that lists them.
    pub book: Address,
    /// The book's version.
    pub version: u64,
    /// The token that everything is paid in.
    pub token: Address,
    /// Stakes.
    pub nodes: Address,
    /// Publications, orders, leases: the contract of a [`DeploymentId`].
    pub manager: Address,
    /// The deposits.
    pub escrow: Address,
    /// The factory of oracle feeds.
    pub feeds: Address,
    /// Where nodes show life; `None` on a set that was made before there was such a contract.
    pub heartbeats: Option<Address>,
    /// What nodes are known for; `None` on a set that was made before there was such a contract.
    pub reputation: Option<Address>,
}

/// Why the market cannot be read or written. Each text completes "failed to …".
#[derive(Debug, Clone, thiserror::Error)]
pub enum MarketError {
    /// The transaction was not sent.
    #[error(transparent)]
    Queue(#[from] QueueError),
    /// The transaction is in a block and changed nothing.
    #[error("have a transaction carried out: it reverted in block {block}")]
    Reverted {
        /// The block's height.
        block: u64,
        /// Gas that it burnt all the same.
        gas_used: u64,
        /// Why.
        #[source]
        reason: crate::tx::Revert,
    },
    /// The transaction's nonce was taken by a foreign one.
    #[error("have a transaction mined: its nonce was used by a transaction that this node does not know")]
    Lost,
    /// The chain answers with something that the contracts never say.
    #[error("read {what}: the answer does not fit the contract")]
    Malformed {
        /// What was read.
        what: &'static str,
    },
    /// A contract that must be there is not.
    #[error("find {0} in the market's address book")]
    Missing(&'static str),
}

/// A client of the market that reads, and writes with one key.
#[derive(Debug, Clone)]
pub struct Market {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    client: ChainClient,
    queue: TxQueue,
    addresses: MarketAddresses,
}

impl Market {
    /// The market that `book` lists now, written to by `queue`'s key.
    pub async fn open(client: ChainClient, queue: TxQueue, book: Address) -> Result<Self, MarketError> {
        let versions = market_versions(&client, queue.chain_id(), book).await?;
        let newest = versions.last().copied().ok_or(MarketError::Missing("Manager"))?;
        Ok(Self::with_addresses(client, queue, newest))
    }

    /// A market whose addresses are known already; needs no chain to start.
    pub fn with_addresses(client: ChainClient, queue: TxQueue, addresses: MarketAddresses) -> Self {
        Self { inner: Arc::new(Inner { client, queue, addresses }) }
    }

    /// Where the contracts are.
    pub fn addresses(&self) -> &MarketAddresses {
        &self.inner.addresses
    }

    /// The newest version that the address book lists.
    pub async fn newest_version(&self) -> Result<u64, MarketError> {
        let book = self.inner.addresses.book;
        self.view(book, "the address book's version", AddressBook::versionCall {}).await
    }

    /// The address that this client writes with.
    pub fn key(&self) -> Address {
        self.inner.queue.address()
    }

    /// The full name of deployment `number`.
    pub fn deployment_id(&self, number: u64) -> DeploymentId {
        DeploymentId { chain: self.inner.addresses.chain, contract: self.inner.addresses.manager, number }
    }

    /// A cursor over the market's events, behind `position` or from block `first` on.
    pub fn events(&self, position: CursorPosition, first: u64) -> LogCursor {
        let MarketAddresses { nodes, manager, feeds, heartbeats, reputation, .. } = self.inner.addresses;
        let contracts = [manager, nodes, feeds].into_iter().chain(heartbeats).chain(reputation).collect();
        LogCursor::new(self.inner.client.clone(), contracts, position, first)
    }

    /// A cursor over what is told of nodes and their stakes alone.
    pub fn node_events(&self, first: u64) -> LogCursor {
        let contracts = [self.inner.addresses.nodes].into();
        LogCursor::new(self.inner.client.clone(), contracts, CursorPosition::default(), first)
    }

    async fn view<C: SolCall>(&self, contract: Address, what: &'static str, view: C) -> Result<C::Return, MarketError> {
        call(&self.inner.client, contract, view, what).await
    }
}

/// Every set of contracts that `book` ever listed, oldest first.
pub async fn market_versions(
    client: &ChainClient,
    chain: u64,
    book: Address,
) -> Result<Vec<MarketAddresses>, MarketError> {
    let newest = call(client, book, AddressBook::versionCall {}, "the address book's version").await?;
    let oldest = newest.saturating_sub(VERSIONS_MAX - 1).max(1);
    let mut versions = Vec::new();
    for version in oldest..=newest {
        let set = call(client, book, AddressBook::setAtCall { at: version }, "the address book").await?;
        let find = |name: &'static str| {
            let place = set.names.iter().position(|found| *found == deploy_contracts::book_name(name));
            let address = place.and_then(|place| set.addresses.get(place));
            address.copied().map(to_model).ok_or(MarketError::Missing(name))
        };
        versions.push(MarketAddresses {
            chain,
            book,
            version,
            token: find("TalosToken")?,
            nodes: find("Nodes")?,
            manager: find("Manager")?,
            escrow: find("Escrow")?,
            feeds: find("OracleFeeds")?,
            heartbeats: find("Heartbeats").ok(),
            reputation: find("Reputation").ok(),
        });
    }
    Ok(versions)
}

/// Asks a contract.
async fn call<C: SolCall>(
    client: &ChainClient,
    contract: Address,
    view: C,
    what: &'static str,
) -> Result<C::Return, MarketError> {
    let mut request = TransactionRequest::default().to(to_alloy(contract));
    request.input = Bytes::from(view.abi_encode()).into();
    // Not of the pending block, which alloy would ask: a transaction that no block has is nothing to build on.
    let answer = client.provider().call(request).block(BlockId::latest()).await.map_err(QueueError::from_call)?;
    C::abi_decode_returns(&answer).map_err(|_| MarketError::Malformed { what })
}

/// Asks a fresh Manager for its Escrow.
async fn escrow_of(client: &ChainClient, manager: Address) -> Result<Address, MarketError> {
    call(client, manager, Manager::escrowCall {}, "the Manager's Escrow").await.map(to_model)
}
