//! A home's agent and its vault as the tests of this crate begin with them.

use std::path::Path;
use std::sync::Arc;

use nisse_market::{DeploymentState, DeploymentView, ListedPackage, MarketAddresses, OrderView};
use nisse_model::{
    Address, AgentName, Amount, AmountPerHour, ByteSize, ContentId, Cpu, DeploymentId, Fuel, Hash256, InstanceId,
    InvocationRecord, PackageRef, RecordOutcome, Resources, Timestamp,
};
use nisse_orchestrator::{Accept, Assignment, Capacity, Decision, Orchestrator, Placement, Policy, Prices};
use nisse_store::{Clock, Disk, Entropy};
use nisse_vault::{Cost, VaultClient, VaultPaths, vault_within};

pub(crate) const OWNER: Address = Address([1; 20]);

/// The vault of the home in this folder, until the test ends.
pub(crate) fn vault_of(
    folder: &Path,
    disk: &Arc<dyn Disk>,
    clock: &Arc<dyn Clock>,
    entropy: &Arc<dyn Entropy>,
) -> VaultClient {
    let paths = VaultPaths { folder: folder.join("vault"), key_file: folder.join("keys/vault"), credential: None };
    let cost = Cost { memory_kib: 8, passes: 1 };
    let (vault, driver) = vault_within(Arc::clone(disk), Arc::clone(clock), Arc::clone(entropy), paths, cost);
    crate::supervisor::Supervisor::default().spawn("vault", |_| driver.run(std::future::pending()));
    vault
}

pub(crate) fn deployment(number: u64) -> DeploymentId {
    DeploymentId { chain: 7, contract: Address([9; 20]), number }
}

pub(crate) fn orchestrator() -> Orchestrator {
    let capacity = Capacity { cpu: Cpu { millis: 4000 }, memory: ByteSize(1 << 30), gpu: false };
    let prices = Prices::default();
    Orchestrator::new(Policy { operator: OWNER, accept: Accept::Own, capacity, prices, gas_budget_max: 0 })
}

pub(crate) fn name() -> AgentName {
    "counter".parse().expect("a name")
}

/// The owner's first deployment is this node's.
pub(crate) fn assigned() -> Decision {
    let hash = Hash256::of(b"counter");
    let package = PackageRef {
        agent_id: "counter@v1.0.0".parse().expect("an id"),
        manifest_cid: ContentId::raw(hash),
        artifact_cid: ContentId::raw(hash),
        artifact_hash: hash,
        config_hash: hash,
    };
    let resources = Resources { cpu: Cpu { millis: 100 }, memory: ByteSize(1 << 20), gpu: false };
    let placement = Placement { owner: OWNER, package, resources };
    Decision::Assigned { deployment: deployment(1), placement, assignment: Assignment::Home, began: 0 }
}

/// An agent whose package is prepared and whose `started` has yet to be told of.
pub(crate) fn starting() -> Orchestrator {
    let mut orchestrator = orchestrator();
    orchestrator.restore(&assigned());
    orchestrator.restore(&Decision::Prepared { deployment: deployment(1) });
    orchestrator
}

pub(crate) fn running() -> Orchestrator {
    let mut orchestrator = starting();
    orchestrator.restore(&Decision::Started { deployment: deployment(1), at: Timestamp(1_000) });
    orchestrator
}

/// A version of the market on chain 7 with this manager.
pub(crate) fn market_addresses(manager: u8) -> MarketAddresses {
    let address = Address([3; 20]);
    MarketAddresses {
        chain: 7,
        book: address,
        version: 1,
        token: address,
        nodes: address,
        escrow: address,
        feeds: address,
        heartbeats: None,
        reputation: None,
        manager: Address([manager; 20]),
    }
}

/// An order of the counter by this publication.
pub(crate) fn order(publication: u64) -> Box<OrderView> {
    let artifact_hash = Hash256::of(&publication.to_be_bytes());
    Box::new(OrderView {
        publication,
        package: ListedPackage {
            agent_id: format!("nisse.test.counter@v1.{publication}.0"),
            manifest_cid: ContentId::raw(artifact_hash),
            artifact_cid: ContentId::raw(artifact_hash),
            artifact_hash,
            config_hash: Hash256::ZERO,
            resources: Resources { cpu: Cpu { millis: 250 }, memory: ByteSize(1 << 20), gpu: false },
        },
        payment: Amount(0),
        max_rate: AmountPerHour(1),
        bid_window_seconds: 0,
        bidding_ends: None,
        gas_budget: 0,
        only_node: None,
        home: false,
        verified: true,
    })
}

/// How the contract shows an order that takes bids for 40 seconds, until then.
pub(crate) fn open_order(until: Timestamp) -> DeploymentView {
    let order = order(1);
    DeploymentView {
        number: 1,
        owner: Address([4; 20]),
        state: DeploymentState::Open,
        node: None,
        publication: order.publication,
        package: order.package,
        gas_budget: 0,
        rate: AmountPerHour(45),
        max_rate: AmountPerHour(45),
        bid_window_seconds: 40,
        deadline: Some(until),
        started: None,
        ends_at: None,
        deposited: Amount(100),
        paid: Amount(0),
        due: Amount(0),
        incarnation: 0,
        home: false,
        paused: false,
        verified: true,
        only_node: None,
        supersedes: None,
        update: None,
    }
}

/// An invocation that did nothing.
pub(crate) fn record(deployment: DeploymentId, seq: u64) -> InvocationRecord {
    InvocationRecord {
        deployment,
        seq,
        time: Timestamp(seq),
        artifact: Hash256::ZERO,
        config: Hash256::ZERO,
        engine: Hash256::ZERO,
        instance: InstanceId([0; 16]),
        index: 0,
        input: Hash256::ZERO,
        output: Hash256::ZERO,
        host_calls: Vec::new(),
        fuel: Fuel(1),
        state_before: Hash256::ZERO,
        state_after: Hash256::ZERO,
        outcome: RecordOutcome::Ok,
        previous: Hash256::ZERO,
    }
}
