//! The market that every world begins with, made once by the real deployment of the contracts: money, stakes and
//! publications are there.

use std::path::Path;
use std::sync::{Arc, OnceLock};

use nisse_market::embedded::{ChainOptions, EmbeddedChain};
use nisse_market::{
    ChainClient, ContractSettings, CopiedWrite, DeployOrder, Fate, ListedPackage, LocalKey, MarketCall, MarketCopy,
    PublicationTerms, Signer as _, TxQueue, TxQueueOptions, deploy_contracts,
};
use nisse_model::{Address, Amount, AmountPerHour, ByteSize, ContentId, Cpu, Hash256, Resources};
use nisse_testkit::{SimClock, SimDisk, SimEntropy};

/// Nodes that a world has at most, and griefers.
pub(super) const NODES_MAX: usize = 20;
pub(super) const GRIEFERS_MAX: usize = 24;
/// Owners, and what they order: each order has a publication of its own.
pub(super) const OWNERS: usize = 12;
pub(super) const ORDERS: usize = 100;
/// Publications that have a successor for an update: every fifth.
pub(super) const UPDATE_EVERY: usize = 5;
/// What everybody has to begin with.
pub(super) const PURSE: Amount = Amount(100_000 * Amount::TALOS.0);
/// What a node lays down: the least there is, and what one silence costs beside it.
pub(super) const STAKE: Amount = Amount(10_000 * Amount::TALOS.0);

/// How long a veteran works before that is counted: as far back as stakes are bound, but for a day.
const TURN: u64 = 13 * 24 * 3_600;
/// How much later the known market is than the other one.
pub(super) const KNOWN_AFTER: u64 = 2 * TURN + 24 * 3_600;
/// Griefers that have worked, and are believed.
pub(super) const GRIEFERS_KNOWN: usize = 2;
/// What honest nodes have to give.
pub(super) const CAPACITY: Resources = Resources { cpu: Cpu { millis: 8_000 }, memory: ByteSize(8 << 30), gpu: false };

const CHAIN_ID: u64 = 5_000_000_000_000_001;

pub(super) fn talos(whole: u64) -> Amount {
    Amount(u128::from(whole) * Amount::TALOS.0)
}

pub(super) fn rate(whole: u64) -> AmountPerHour {
    AmountPerHour(talos(whole).0)
}

/// The accounts of a world, by what they are.
pub(super) fn node_address(index: usize) -> Address {
    address(1, index)
}

pub(super) fn griefer_address(index: usize) -> Address {
    address(2, index)
}

pub(super) fn owner_address(index: usize) -> Address {
    address(3, index)
}

/// Whose key made the market: its treasury too.
pub(super) fn maker() -> Address {
    key().address()
}

fn address(kind: u8, index: usize) -> Address {
    let index = u8::try_from(index).expect("a small world");
    let mut bytes = [kind; 20];
    bytes[..4].copy_from_slice(&[kind, index, index, kind]);
    Address(bytes)
}

/// Whoever may ever hold a token.
pub(super) fn everybody() -> impl Iterator<Item = Address> {
    let nodes = (0..NODES_MAX).map(node_address);
    let griefers = (0..GRIEFERS_MAX).map(griefer_address);
    nodes.chain(griefers).chain((0..OWNERS).map(owner_address)).chain([maker()])
}

/// The publication of an order, and of the update of it.
pub(super) fn publication(order: usize) -> u64 {
    order as u64 + 1
}

pub(super) fn successor(order: usize) -> Option<u64> {
    order.is_multiple_of(UPDATE_EVERY).then(|| (ORDERS + order / UPDATE_EVERY) as u64 + 1)
}

/// What an order's agent asks for.
pub(super) fn terms(order: usize, version: u32) -> PublicationTerms {
    let artifact = Hash256::of(format!("artifact {order} {version}").as_bytes());
    // One in twelve is in blocks, and waits for a quorum.
    let artifact_cid = if order % 12 == 7 { ContentId::dag_pb(artifact) } else { ContentId::raw(artifact) };
    let cpu = Cpu { millis: [100, 250, 500, 1_000][order % 4] * version };
    PublicationTerms {
        package: ListedPackage {
            agent_id: format!("market.agent{order}@v{version}.0.0"),
            manifest_cid: ContentId::raw(Hash256::of(b"manifest")),
            artifact_cid,
            artifact_hash: artifact,
            config_hash: Hash256::ZERO,
            resources: Resources { cpu, memory: ByteSize(64 << 20), gpu: false },
        },
        max_rate: rate(60),
        bid_window_seconds: [0, 0, 20, 45, 120][order % 5],
        gas_budget: 500_000,
    }
}

fn key() -> LocalKey {
    LocalKey::from_bytes(&[1; 32]).expect("a key")
}

/// The market of a world in which nobody is known for anything yet.
pub(super) fn market() -> MarketCopy {
    static MARKET: OnceLock<MarketCopy> = OnceLock::new();
    MARKET.get_or_init(make).clone()
}

/// The same market after some weeks, in which the veterans have worked.
pub(super) fn known_market() -> MarketCopy {
    static MARKET: OnceLock<MarketCopy> = OnceLock::new();
    MARKET.get_or_init(|| worked(market())).clone()
}

/// Those whom the known market knows: every third node, and two that will grieve.
pub(super) fn veterans() -> impl Iterator<Item = Address> {
    let nodes = (0..NODES_MAX).step_by(3).map(node_address);
    nodes.chain((0..GRIEFERS_KNOWN).map(griefer_address))
}

/// Each veteran rents itself for some weeks, which is work as good as any other: one turn, or two.
fn worked(mut market: MarketCopy) -> MarketCopy {
    let mut leases = Vec::new();
    for (index, veteran) in veterans().enumerate() {
        let mut package = terms(0, 1);
        package.package.agent_id = format!("market.veteran{index}@v1.0.0");
        package.bid_window_seconds = 0;
        all(&mut market, maker(), [MarketCall::Publish(package)]);
        let publication = (ORDERS + ORDERS.div_ceil(UPDATE_EVERY) + index) as u64 + 1;
        let order = DeployOrder {
            publication,
            payment: Amount(1_000 * KNOWN_AFTER.div_ceil(3_600) as u128),
            max_rate: Some(AmountPerHour(1_000)),
            ..DeployOrder::default()
        };
        let endpoint = "http://127.0.0.1:1/".to_owned();
        let deployment = market.deployments() + 1;
        let begins = [
            MarketCall::Register { endpoint, capacity: CAPACITY, stake: STAKE },
            MarketCall::Deploy(order),
            MarketCall::Bid { deployment, rate: AmountPerHour(1_000) },
            MarketCall::AckStart { deployment, incarnation: 1 },
        ];
        all(&mut market, veteran, begins);
        leases.push((veteran, deployment));
    }
    for turn in 1..=2 {
        market.pass_to(market.time() + TURN);
        for (veteran, deployment) in leases.iter().copied().filter(|(_, deployment)| turn == 1 || deployment % 2 == 0) {
            let counted = [MarketCall::Settle { deployment }, MarketCall::CountLease { deployment }];
            all(&mut market, veteran, counted);
            // The others work on.
            if turn == 2 || deployment % 2 == 1 {
                let ended = [MarketCall::Stop { deployment }, MarketCall::WithdrawEarnings { to: veteran }];
                all(&mut market, veteran, ended);
            }
        }
    }
    assert!(veterans().all(|veteran| !market.is_newcomer(veteran)), "two weeks are enough");
    market
}

fn make() -> MarketCopy {
    let (disk, clock) = (SimDisk::new(1), SimClock::default());
    let options =
        ChainOptions { new_chain_id: Some(CHAIN_ID), expect_chain_id: None, allocations: Vec::new(), dev: false };
    let (seam, time) = (Arc::new(disk), Arc::new(clock));
    let chain = EmbeddedChain::open(seam.clone(), time.clone(), &SimEntropy::new(7), Path::new("/chain"), options);
    let chain = chain.expect("a chain");
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().expect("a runtime");
    let addresses = runtime.block_on(async {
        let client = ChainClient::embedded(chain.clone());
        let options = TxQueueOptions::embedded(CHAIN_ID);
        let (entropy, folder) = (SimEntropy::new(8), Path::new("/tx"));
        let opened = TxQueue::open(seam, time, &entropy, folder, client.clone(), Arc::new(key()), options);
        let (queue, driver) = opened.expect("a queue");
        let settings = ContractSettings::default();
        tokio::select! {
            () = driver.run() => unreachable!("a handle is held"),
            made = deploy_contracts(&client, &queue, &settings) => made.expect("the contracts"),
        }
    });
    let mut market = MarketCopy::of(&chain, addresses);
    for everyone in everybody() {
        all(
            &mut market,
            everyone,
            [MarketCall::Faucet { amount: PURSE }, MarketCall::ApproveEscrow, MarketCall::ApproveNodes],
        );
    }
    let first = (0..ORDERS).map(|order| MarketCall::Publish(terms(order, 1)));
    let next = (0..ORDERS).step_by(UPDATE_EVERY).map(|order| MarketCall::Publish(terms(order, 2)));
    all(&mut market, maker(), first.chain(next));
    market
}

fn all(market: &mut MarketCopy, from: Address, calls: impl IntoIterator<Item = MarketCall>) {
    let nonce = market.nonce(from);
    let writes = calls.into_iter().zip(nonce..).map(|(call, nonce)| CopiedWrite { from, nonce, call });
    let fates = market.seal(&writes.collect::<Vec<_>>());
    assert!(fates.iter().all(|fate| matches!(fate, Fate::Done(_))), "{fates:?}");
}
