//! The contracts of a new home chain, and a new version of them on an old one.
//!
//! Each step is an intent of its own, so a crash anywhere goes on where it was and makes nothing twice.

use alloy::primitives::{B256, U256};
use alloy::sol_types::SolCall;
use nisse_model::{Address, Amount};

use super::write::{created, done};
use super::{MarketAddresses, MarketError, escrow_of};
use crate::contracts::{AddressBook, Manager, Nodes, OracleFeeds, arguments, creation_code};
use crate::provider::ChainClient;
use crate::tx::{TxIntent, TxQueue, to_alloy, to_model};

/// The nonce with which [`deploy_contracts`] makes the first Manager.
pub const FIRST_MANAGER_NONCE: u64 = 3;

/// The market's settings, fixed when its contracts are made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ContractSettings {
    /// The least stake of a node.
    pub min_stake: Amount,
    /// Seconds until withdrawn stake is free.
    pub unbonding_seconds: u32,
    /// Seconds in which an assigned node must acknowledge.
    pub ack_timeout_seconds: u32,
    /// Seconds of notice before a client withdraws from a running lease.
    pub withdraw_notice_seconds: u32,
    /// Hours of a lease's rate that are locked of the node's stake.
    pub lock_hours: u32,
    /// Nodes that must attest a dag-pb artifact.
    pub quorum: u8,
}

impl Default for ContractSettings {
    /// The TIP's 10,000 TALOS of stake, and DESIGN §5.9.
    fn default() -> Self {
        Self {
            min_stake: Amount(10_000 * Amount::TALOS.0),
            unbonding_seconds: 14 * 24 * 3600,
            ack_timeout_seconds: 60,
            withdraw_notice_seconds: 3600,
            lock_hours: 24,
            quorum: 2,
        }
    }
}

/// Makes every contract of the market; the queue's key owns them. Idempotent per queue.
pub async fn deploy_contracts(
    client: &ChainClient,
    queue: &TxQueue,
    settings: &ContractSettings,
) -> Result<MarketAddresses, MarketError> {
    let owner = to_alloy(queue.address());
    let token = create(queue, "contracts/1/TalosToken", "TalosToken", None).await?;
    let nodes = Nodes::constructorCall {
        token: to_alloy(token),
        minStake: settings.min_stake.0,
        unbondingTime: settings.unbonding_seconds,
        treasury: owner,
        owner,
    };
    let nodes = create(queue, "contracts/1/Nodes", "Nodes", Some(arguments(&nodes))).await?;
    let book = AddressBook::constructorCall { owner };
    let book = create(queue, "contracts/1/AddressBook", "AddressBook", Some(arguments(&book))).await?;
    let base = Base { book, version: 1, token, nodes };
    make_set(client, queue, queue, settings, base).await
}

/// Makes a new Manager, with its Escrow and feeds, beside the old ones and lists it as the book's next version.
/// Leases on the old one run to their end. Tokens and stakes stay where they are. Idempotent per queue and version.
///
/// `queue` is that of the contracts' owner. `maker` sends nothing but the creations of this one version, so that the
/// new Manager's address follows from the maker's key alone: see [`made_by`].
pub async fn upgrade_contracts(
    client: &ChainClient,
    queue: &TxQueue,
    maker: &TxQueue,
    settings: &ContractSettings,
    old: &MarketAddresses,
) -> Result<MarketAddresses, MarketError> {
    let base = Base { book: old.book, version: old.version + 1, token: old.token, nodes: old.nodes };
    make_set(client, queue, maker, settings, base).await
}

/// The address of the contract that `maker` makes with its transaction number `nonce`. A key that begins with
/// [`deploy_contracts`] makes its Manager with [`FIRST_MANAGER_NONCE`]; the maker of an upgrade with 0.
pub fn made_by(maker: Address, nonce: u64) -> Address {
    to_model(to_alloy(maker).create(nonce))
}

/// What a set stands on.
struct Base {
    book: Address,
    version: u64,
    token: Address,
    nodes: Address,
}

async fn make_set(
    client: &ChainClient,
    queue: &TxQueue,
    maker: &TxQueue,
    settings: &ContractSettings,
    base: Base,
) -> Result<MarketAddresses, MarketError> {
    let Base { book, version, token, nodes } = base;
    let step = |name: &str| format!("contracts/{version}/{name}");
    let manager = Manager::constructorCall {
        nodes: to_alloy(nodes),
        ackTimeout: settings.ack_timeout_seconds,
        withdrawNotice: settings.withdraw_notice_seconds,
        lockHours: settings.lock_hours,
        quorum: settings.quorum,
    };
    let manager = create(maker, &step("Manager"), "Manager", Some(arguments(&manager))).await?;
    let feeds = OracleFeeds::constructorCall { manager: to_alloy(manager) };
    let feeds = create(maker, &step("OracleFeeds"), "OracleFeeds", Some(arguments(&feeds))).await?;
    let escrow = escrow_of(client, manager).await?;
    let add = Nodes::addManagerCall { manager: to_alloy(manager) };
    send(queue, &step("addManager"), nodes, add.abi_encode()).await?;
    let set =
        [("TalosToken", token), ("Nodes", nodes), ("Manager", manager), ("Escrow", escrow), ("OracleFeeds", feeds)];
    let upgrade = AddressBook::upgradeCall {
        names: set.iter().map(|(name, _)| book_name(name)).collect(),
        addresses: set.iter().map(|(_, address)| to_alloy(*address)).collect(),
    };
    send(queue, &step("upgrade"), book, upgrade.abi_encode()).await?;
    Ok(MarketAddresses { chain: queue.chain_id(), book, version, token, nodes, manager, escrow, feeds })
}

/// A contract's name in the address book: its ASCII letters, zeros behind.
pub(super) fn book_name(name: &str) -> B256 {
    B256::right_padding_from(name.as_bytes())
}

async fn create(
    queue: &TxQueue,
    intent: &str,
    contract: &str,
    arguments: Option<Vec<u8>>,
) -> Result<Address, MarketError> {
    let data = creation_code(contract, arguments.as_deref());
    queue.submit(intent, TxIntent { to: None, value: U256::ZERO, data }).await?;
    created(queue.outcome(intent).await?)
}

async fn send(queue: &TxQueue, intent: &str, to: Address, data: Vec<u8>) -> Result<(), MarketError> {
    queue.submit(intent, TxIntent { to: Some(to), value: U256::ZERO, data: data.into() }).await?;
    done(queue.outcome(intent).await?).map(|_| ())
}
