//! A small world: one disk, one clock, one chain, a few keys.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use nisse_market::embedded::{ChainOptions, EmbeddedChain, OpenChainError};
use nisse_market::{
    ChainClient, ContractSettings, DeployOrder, LocalKey, Market, MarketAddresses, Signer, TxQueue, TxQueueOptions,
    deploy_contracts,
};
use nisse_model::{Address, Amount, AmountPerHour, ByteSize, ContentId, Cpu, Hash256, Resources};
use nisse_testkit::{SimClock, SimDisk, SimEntropy};
use serde_json::{Value, json};

/// The id of the test chains.
pub(crate) const CHAIN_ID: u64 = 5_000_000_000_000_001;

/// What every test begins with.
pub(crate) struct World {
    pub(crate) disk: SimDisk,
    pub(crate) clock: SimClock,
}

impl World {
    pub(crate) fn new() -> Self {
        Self { disk: SimDisk::new(1), clock: SimClock::default() }
    }

    pub(crate) fn open(&self, dev: bool) -> Result<EmbeddedChain, OpenChainError> {
        self.open_with(ChainOptions {
            new_chain_id: Some(CHAIN_ID),
            expect_chain_id: None,
            allocations: vec![(key(9).address(), Amount(10u128.pow(18)))],
            dev,
        })
    }

    pub(crate) fn open_with(&self, options: ChainOptions) -> Result<EmbeddedChain, OpenChainError> {
        let disk = Arc::new(self.disk.clone());
        EmbeddedChain::open(disk, Arc::new(self.clock.clone()), &SimEntropy::new(7), Path::new("/chain"), options)
    }

    pub(crate) fn chain(&self) -> EmbeddedChain {
        self.open(true).unwrap()
    }

    /// A running queue for key `n`.
    pub(crate) fn queue(&self, n: u8, client: &ChainClient) -> TxQueue {
        self.queue_with(n, client, options())
    }

    pub(crate) fn queue_with(&self, n: u8, client: &ChainClient, options: TxQueueOptions) -> TxQueue {
        let (queue, driver) = TxQueue::open(
            Arc::new(self.disk.clone()),
            Arc::new(self.clock.clone()),
            &SimEntropy::new(u64::from(n)),
            Path::new(&format!("/tx/{n}")),
            client.clone(),
            Arc::new(key(n)),
            options,
        )
        .unwrap();
        tokio::spawn(driver.run());
        queue
    }
}

/// Quick, and without waiting for a second look.
pub(crate) fn options() -> TxQueueOptions {
    TxQueueOptions { poll: Duration::from_millis(1), ..TxQueueOptions::embedded(CHAIN_ID) }
}

/// The test key of a number.
pub(crate) fn key(n: u8) -> LocalKey {
    LocalKey::from_bytes(&[n; 32]).unwrap()
}

/// A chain with the contracts on it, an owner (key 1), and two nodes (keys 2 and 3).
pub(crate) struct Stage {
    pub(crate) world: World,
    pub(crate) chain: EmbeddedChain,
    pub(crate) client: ChainClient,
    pub(crate) addresses: MarketAddresses,
    pub(crate) owner: Market,
    pub(crate) node: Market,
    pub(crate) other: Market,
}

impl Stage {
    pub(crate) async fn new() -> Self {
        let world = World::new();
        let chain = world.chain();
        let client = ChainClient::embedded(chain.clone());
        let queue = world.queue(1, &client);
        let addresses = deploy_contracts(&client, &queue, &ContractSettings::default()).await.unwrap();
        let owner = Market::open(client.clone(), queue, addresses.book).await.unwrap();
        assert_eq!(*owner.addresses(), addresses);
        let node = Market::with_addresses(client.clone(), world.queue(2, &client), addresses);
        let other = Market::with_addresses(client.clone(), world.queue(3, &client), addresses);
        Self { world, chain, client, addresses, owner, node, other }
    }

    /// Like [`Stage::new`], with money for the owner and both nodes registered.
    pub(crate) async fn funded() -> Self {
        let stage = Self::new().await;
        stage.owner.faucet("faucet", talos(5_000)).await.unwrap();
        for node in [&stage.node, &stage.other] {
            node.faucet("faucet", talos(20_000)).await.unwrap();
            node.register("register", "http://127.0.0.1:1/", resources(), talos(10_000)).await.unwrap();
        }
        stage
    }

    /// The owner's order with that payment, won by the node at 50 TALOS per hour and not started yet.
    pub(crate) async fn assigned(&self, payment: Amount) -> u64 {
        let publication = self.owner.publish("publish", terms()).await.unwrap();
        let order = DeployOrder { publication, payment, ..DeployOrder::default() };
        let number = self.owner.deploy("deploy", order).await.unwrap();
        self.node.bid("bid", number, rate(50)).await.unwrap();
        number
    }

    /// Like [`Stage::assigned`], and started.
    pub(crate) async fn running(&self, payment: Amount) -> u64 {
        let number = self.assigned(payment).await;
        self.node.ack_start("ack", number, 1).await.unwrap();
        number
    }

    /// The chain's clock moves.
    pub(crate) fn pass(&self, seconds: u64) {
        self.world.clock.advance(Duration::from_secs(seconds));
    }
}

/// One call of the chain as a tool would make it.
pub(crate) fn rpc(chain: &EmbeddedChain, method: &str, params: Value) -> Value {
    chain.handle(method, &params).unwrap_or_else(|error| json!({ "code": error.code, "message": error.message }))
}

pub(crate) fn talos(whole: u128) -> Amount {
    Amount(whole * Amount::TALOS.0)
}

pub(crate) fn rate(whole: u128) -> AmountPerHour {
    AmountPerHour(talos(whole).0)
}

pub(crate) fn resources() -> Resources {
    Resources { cpu: Cpu { millis: 250 }, memory: ByteSize(256 << 20), gpu: false }
}

/// The TIP's agent, published with the highest price of 60 TALOS per hour.
pub(crate) fn terms() -> nisse_market::PublicationTerms {
    let artifact = Hash256::of(b"artifact");
    nisse_market::PublicationTerms {
        package: nisse_market::ListedPackage {
            agent_id: "talos.oracle.price-eth@v1.2.0".to_owned(),
            manifest_cid: ContentId::raw(Hash256::of(b"manifest")),
            artifact_cid: ContentId::raw(artifact),
            artifact_hash: artifact,
            config_hash: Hash256::ZERO,
            resources: resources(),
        },
        max_rate: rate(60),
        bid_window_seconds: 0,
        gas_budget: 500_000,
    }
}

/// Sums up what everybody holds: nothing may ever be made or lost but by the faucet.
pub(crate) async fn all_money(market: &Market, accounts: &[Address]) -> u128 {
    let mut sum = 0;
    for account in accounts {
        sum += market.balance(*account).await.unwrap().0;
    }
    sum
}
