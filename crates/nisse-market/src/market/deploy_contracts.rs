//! The contracts of a new home chain, and a new version of them on an old one.
//!
//! The creations of a set are journalled together, so a set is of one program's code, whatever crashes and whichever
//! program goes on. What was journalled once is carried out as it was: an old home keeps the contracts that it has.

use alloy::primitives::{B256, U256};
use alloy::sol_types::SolCall;
use nisse_model::{Address, Amount};

use super::write::{created, done};
use super::{MarketAddresses, MarketError, escrow_of};
use crate::contracts::{AddressBook, Heartbeats, Manager, Nodes, OracleFeeds, Reputation, arguments, creation_code};
use crate::provider::ChainClient;
use crate::tx::{QueueError, TxIntent, TxOutcome, TxQueue, to_alloy, to_model};

/// The nonce with which [`deploy_contracts`] makes the first Manager.
pub const FIRST_MANAGER_NONCE: u64 = 3;
/// The nonce with which a Manager makes its Escrow: the first that a contract has.
const ESCROW_NONCE: u64 = 1;
/// What [`deploy_contracts`] does, in its order.
const FIRST_SET: [&str; 11] = [
    "TalosToken",
    "Nodes",
    "AddressBook",
    "Manager",
    "OracleFeeds",
    "Heartbeats",
    "Reputation",
    "addManager",
    "setSlasher",
    "setReputation",
    "upgrade",
];
/// What the maker of an upgrade makes.
const SET: [&str; 2] = ["Manager", "OracleFeeds"];

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
    /// Seconds of a heartbeat period.
    pub heartbeat_period_seconds: u32,
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
            heartbeat_period_seconds: 600,
        }
    }
}

/// Makes every contract of the market; the queue's key owns them. Where they were made already, or begun, by this or
/// another program, it is those that are given.
pub async fn deploy_contracts(
    client: &ChainClient,
    queue: &TxQueue,
    settings: &ContractSettings,
) -> Result<MarketAddresses, MarketError> {
    let version = 1;
    let (owner, settings) = (queue.address(), *settings);
    let make = move |first: u64| {
        let at = |place| made_by(owner, first + place);
        let (token, nodes, book, manager, feeds) = (at(0), at(1), at(2), at(FIRST_MANAGER_NONCE), at(4));
        let (heartbeats, reputation) = (at(5), at(6));
        let of_nodes = Nodes::constructorCall {
            token: to_alloy(token),
            minStake: settings.min_stake.0,
            unbondingTime: settings.unbonding_seconds,
            treasury: to_alloy(owner),
            owner: to_alloy(owner),
        };
        let of_book = AddressBook::constructorCall { owner: to_alloy(owner) };
        let [make_manager, make_feeds] = managing(&settings, nodes, manager);
        let escrow = made_by(manager, ESCROW_NONCE);
        let set = MarketAddresses {
            chain: 0,
            book,
            version,
            token,
            nodes,
            manager,
            escrow,
            feeds,
            heartbeats: Some(heartbeats),
            reputation: Some(reputation),
        };
        vec![
            creation("TalosToken", None),
            creation("Nodes", Some(arguments(&of_nodes))),
            creation("AddressBook", Some(arguments(&of_book))),
            make_manager,
            make_feeds,
            heartbeats_of(&settings, nodes),
            reputation_of(nodes),
            add_manager(&set),
            set_slasher(nodes, heartbeats),
            set_reputation(nodes, reputation),
            list(&set),
        ]
    };
    match queue.outcome(&first_creation()).await {
        Err(QueueError::UnknownIntent(_)) => {
            queue.submit_batch(FIRST_SET.iter().map(|name| step(version, name)).collect(), make).await?;
        }
        // An older program's set has other names than this one's.
        known => drop(known?),
    }
    let token = made(queue, version, "TalosToken").await?;
    let nodes = made(queue, version, "Nodes").await?;
    let book = made(queue, version, "AddressBook").await?;
    let manager = made(queue, version, "Manager").await?;
    let feeds = made(queue, version, "OracleFeeds").await?;
    // A set that was begun before there were heartbeats, or a reputation, has none: what was journalled then is all that
    // is made.
    let heartbeats = match queue.outcome(&step(version, "Heartbeats")).await {
        Err(QueueError::UnknownIntent(_)) => None,
        outcome => {
            let heartbeats = created(outcome?)?;
            done(queue.outcome(&step(version, "setSlasher")).await?)?;
            Some(heartbeats)
        }
    };
    let reputation = match queue.outcome(&step(version, "Reputation")).await {
        Err(QueueError::UnknownIntent(_)) => None,
        outcome => {
            let reputation = created(outcome?)?;
            done(queue.outcome(&step(version, "setReputation")).await?)?;
            Some(reputation)
        }
    };
    for name in ["addManager", "upgrade"] {
        done(queue.outcome(&step(version, name)).await?)?;
    }
    let escrow = escrow_of(client, manager).await?;
    let chain = queue.chain_id();
    Ok(MarketAddresses { chain, book, version, token, nodes, manager, escrow, feeds, heartbeats, reputation })
}

/// Makes a new Manager, with its Escrow and feeds, beside the old ones and lists it as the book's next version.
/// Leases on the old one run to their end. Tokens, stakes and what nodes are known for stay where they are: where the stakes
/// are of a contract from before there was a reputation, there is none. A version that was begun is finished
/// with the code that it was begun with: [`is_of_this_program`] tells.
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
    let (version, nodes, key, settings) = (old.version + 1, old.nodes, maker.address(), *settings);
    let names = SET.map(|name| step(version, name)).to_vec();
    let make = move |first| managing(&settings, nodes, made_by(key, first)).to_vec();
    maker.submit_batch(names, make).await?;
    let manager = made(maker, version, "Manager").await?;
    let feeds = made(maker, version, "OracleFeeds").await?;
    let escrow = escrow_of(client, manager).await?;
    let heartbeats = match old.heartbeats {
        Some(heartbeats) => heartbeats,
        None => made_heartbeats(queue, version, &settings, nodes).await?,
    };
    let set = MarketAddresses { version, manager, escrow, feeds, heartbeats: Some(heartbeats), ..*old };
    done(once(queue, &step(version, "addManager"), add_manager(&set)).await?)?;
    done(once(queue, &step(version, "upgrade"), list(&set)).await?)?;
    Ok(set)
}

/// What a set lacks that was made before there were heartbeats. Nothing follows from where it is.
async fn made_heartbeats(
    queue: &TxQueue,
    version: u64,
    settings: &ContractSettings,
    nodes: Address,
) -> Result<Address, MarketError> {
    let made = once(queue, &step(version, "Heartbeats"), heartbeats_of(settings, nodes)).await?;
    let heartbeats = created(made)?;
    done(once(queue, &step(version, "setSlasher"), set_slasher(nodes, heartbeats)).await?)?;
    Ok(heartbeats)
}

/// Whether `maker` made a set with the code and the settings of this program.
pub async fn is_of_this_program(
    maker: &TxQueue,
    settings: &ContractSettings,
    set: &MarketAddresses,
) -> Result<bool, MarketError> {
    for (name, intent) in SET.into_iter().zip(managing(settings, set.nodes, set.manager)) {
        // A name that is known is held against this content, and nothing is sent.
        match maker.submit(&step(set.version, name), intent).await {
            Ok(()) => {}
            Err(QueueError::IntentDiffers(_)) => return Ok(false),
            Err(error) => return Err(error.into()),
        }
    }
    Ok(true)
}

/// The address of the contract that `maker` makes with its transaction number `nonce`. A key that begins with
/// [`deploy_contracts`] makes its Manager with [`FIRST_MANAGER_NONCE`]; the maker of an upgrade with 0.
pub fn made_by(maker: Address, nonce: u64) -> Address {
    to_model(to_alloy(maker).create(nonce))
}

/// A contract's name in the address book: its ASCII letters, zeros behind.
pub(super) fn book_name(name: &str) -> B256 {
    B256::right_padding_from(name.as_bytes())
}

/// The intent that every other one of a market's maker follows.
pub(crate) fn first_creation() -> String {
    step(1, FIRST_SET[0])
}

fn step(version: u64, name: &str) -> String {
    format!("contracts/{version}/{name}")
}

/// The creations of a Manager, which will be at `manager`, and of its feeds: those of [`SET`].
fn managing(settings: &ContractSettings, nodes: Address, manager: Address) -> [TxIntent; 2] {
    let of_manager = Manager::constructorCall {
        nodes: to_alloy(nodes),
        ackTimeout: settings.ack_timeout_seconds,
        withdrawNotice: settings.withdraw_notice_seconds,
        lockHours: settings.lock_hours,
        quorum: settings.quorum,
    };
    let of_feeds = OracleFeeds::constructorCall { manager: to_alloy(manager) };
    let [of_manager, of_feeds] = [arguments(&of_manager), arguments(&of_feeds)];
    [creation("Manager", Some(of_manager)), creation("OracleFeeds", Some(of_feeds))]
}

fn creation(contract: &str, arguments: Option<Vec<u8>>) -> TxIntent {
    TxIntent { to: None, value: U256::ZERO, data: creation_code(contract, arguments.as_deref()) }
}

fn add_manager(set: &MarketAddresses) -> TxIntent {
    let add = Nodes::addManagerCall { manager: to_alloy(set.manager) };
    TxIntent { to: Some(set.nodes), value: U256::ZERO, data: add.abi_encode().into() }
}

fn heartbeats_of(settings: &ContractSettings, nodes: Address) -> TxIntent {
    let of_heartbeats =
        Heartbeats::constructorCall { nodes: to_alloy(nodes), period: settings.heartbeat_period_seconds };
    creation("Heartbeats", Some(arguments(&of_heartbeats)))
}

/// Lets the heartbeats' contract take stake from the silent.
fn set_slasher(nodes: Address, heartbeats: Address) -> TxIntent {
    let set = Nodes::setSlasherCall { slasher: to_alloy(heartbeats) };
    TxIntent { to: Some(nodes), value: U256::ZERO, data: set.abi_encode().into() }
}

fn reputation_of(nodes: Address) -> TxIntent {
    creation("Reputation", Some(arguments(&Reputation::constructorCall { nodes: to_alloy(nodes) })))
}

/// Lets the Managers ask it, and whoever slashes tell it.
fn set_reputation(nodes: Address, reputation: Address) -> TxIntent {
    let set = Nodes::setReputationCall { reputation: to_alloy(reputation) };
    TxIntent { to: Some(nodes), value: U256::ZERO, data: set.abi_encode().into() }
}

/// Lists a set as the book's next version.
fn list(set: &MarketAddresses) -> TxIntent {
    let &MarketAddresses { token, nodes, manager, escrow, feeds, heartbeats, reputation, .. } = set;
    let mut names =
        vec![("TalosToken", token), ("Nodes", nodes), ("Manager", manager), ("Escrow", escrow), ("OracleFeeds", feeds)];
    names.extend(heartbeats.map(|heartbeats| ("Heartbeats", heartbeats)));
    names.extend(reputation.map(|reputation| ("Reputation", reputation)));
    let upgrade = AddressBook::upgradeCall {
        names: names.iter().map(|(name, _)| book_name(name)).collect(),
        addresses: names.iter().map(|(_, address)| to_alloy(*address)).collect(),
    };
    TxIntent { to: Some(set.book), value: U256::ZERO, data: upgrade.abi_encode().into() }
}

async fn made(queue: &TxQueue, version: u64, name: &str) -> Result<Address, MarketError> {
    created(queue.outcome(&step(version, name)).await?)
}

/// What became of an intent, which is sent unless it was before.
async fn once(queue: &TxQueue, name: &str, intent: TxIntent) -> Result<TxOutcome, QueueError> {
    match queue.outcome(name).await {
        Err(QueueError::UnknownIntent(_)) => {
            queue.submit(name, intent).await?;
            queue.outcome(name).await
        }
        known => known,
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test stops at the first surprise")]
mod tests;
