//! An embedded chain on the machine's disk with the contracts on it, an agent's owner and a node.

use std::sync::Arc;

use nisse_market::embedded::{ChainOptions, EmbeddedChain, draw_chain_id};
use nisse_market::{
    ChainClient, ContractSettings, DeployOrder, ListedPackage, LocalKey, Market, MarketAddresses, PublicationTerms,
    Signer as _, TxQueue, TxQueueOptions, deploy_contracts,
};
use nisse_model::{Amount, AmountPerHour, ByteSize, ContentId, Cpu, Hash256, Resources};
use nisse_store::{SystemClock, SystemDisk, SystemEntropy};
use serde_json::{Value, json};
use tempfile::TempDir;

/// Blocks that one call of a development chain makes at most.
const MINED_AT_ONCE: u64 = 1_024;

/// The world of one measurement.
pub(crate) struct Stage {
    pub(crate) chain: EmbeddedChain,
    pub(crate) addresses: MarketAddresses,
    pub(crate) owner: Market,
    pub(crate) node: Market,
    folder: TempDir,
}

impl Stage {
    /// With money for the owner, and the node registered.
    pub(crate) async fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let options = ChainOptions {
            new_chain_id: Some(draw_chain_id(&SystemEntropy)),
            expect_chain_id: None,
            allocations: Vec::new(),
            dev: true,
        };
        let clock = Arc::new(SystemClock::default());
        let chain =
            EmbeddedChain::open(Arc::new(SystemDisk), clock, &SystemEntropy, &folder.path().join("chain"), options);
        let chain = chain.unwrap();
        let client = ChainClient::embedded(chain.clone());
        let owners = queue(&folder, &chain, &client);
        let addresses = deploy_contracts(&client, &owners, &ContractSettings::default()).await.unwrap();
        let owner = Market::with_addresses(client.clone(), owners, addresses);
        let node = Market::with_addresses(client.clone(), queue(&folder, &chain, &client), addresses);
        owner.faucet("faucet", talos(5_000)).await.unwrap();
        node.faucet("faucet", talos(20_000)).await.unwrap();
        node.register("register", "http://127.0.0.1:1/", resources(), talos(10_000)).await.unwrap();
        Self { chain, addresses, owner, node, folder }
    }

    /// The market as somebody sees it who reaches the chain in another way.
    pub(crate) fn seen_by(&self, client: ChainClient) -> Market {
        let queue = queue(&self.folder, &self.chain, &client);
        Market::with_addresses(client, queue, self.addresses)
    }

    /// An order that the node takes.
    pub(crate) async fn lease(&self, publication: u64, name: &str) {
        let order = DeployOrder { publication, payment: talos(100), ..DeployOrder::default() };
        let deployment = self.owner.deploy(&format!("deploy/{name}"), order).await.unwrap();
        self.node.bid(&format!("bid/{name}"), deployment, AmountPerHour(talos(50).0)).await.unwrap();
    }

    pub(crate) async fn publish(&self) -> u64 {
        let artifact = Hash256::of(b"artifact");
        let package = ListedPackage {
            agent_id: "bench.market@v1.0.0".to_owned(),
            manifest_cid: ContentId::raw(Hash256::of(b"manifest")),
            artifact_cid: ContentId::raw(artifact),
            artifact_hash: artifact,
            config_hash: Hash256::ZERO,
            resources: resources(),
        };
        let max_rate = AmountPerHour(talos(60).0);
        let terms = PublicationTerms { package, max_rate, bid_window_seconds: 0, gas_budget: 0 };
        self.owner.publish("publish", terms).await.unwrap()
    }

    /// Makes so many empty blocks.
    pub(crate) fn mine(&self, blocks: u64) {
        let mut left = blocks;
        while left > 0 {
            let count = left.min(MINED_AT_ONCE);
            self.dev("nisse_mine", count);
            left -= count;
        }
    }

    /// Moves the clock to the beginning of the next period of so many seconds.
    pub(crate) fn begin_period(&self, period: u64) {
        let passed = self.chain.time().seconds() % period;
        self.dev("nisse_increaseTime", period - passed + 1);
    }

    fn dev(&self, method: &str, number: u64) -> Value {
        self.chain.handle(method, &json!([format!("{number:#x}")])).unwrap()
    }
}

fn queue(folder: &TempDir, chain: &EmbeddedChain, client: &ChainClient) -> TxQueue {
    let key = LocalKey::from_bytes(&LocalKey::draw(&SystemEntropy)).unwrap();
    let (disk, clock) = (Arc::new(SystemDisk), Arc::new(SystemClock::default()));
    let folder = folder.path().join("tx").join(key.address().to_string());
    let options = TxQueueOptions::embedded(chain.chain_id());
    let (queue, driver) =
        TxQueue::open(disk, clock, &SystemEntropy, &folder, client.clone(), Arc::new(key), options).unwrap();
    tokio::spawn(driver.run());
    queue
}

fn talos(whole: u128) -> Amount {
    Amount(whole * Amount::TALOS.0)
}

fn resources() -> Resources {
    Resources { cpu: Cpu { millis: 250 }, memory: ByteSize(256 << 20), gpu: false }
}
