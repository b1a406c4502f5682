//! The market that a node stands on: its contracts, made on a new home chain and found on another, and the node's stake.

use std::sync::Arc;
use std::time::Duration;

use nisse_market::{
    ContractSettings, DeployOrder, Market, MarketError, MarketEvent, PublicationTerms, QueueError, deploy_contracts,
    market_versions,
};
use nisse_model::{Address, Amount, AmountPerHour, DeploymentId, Resources, Timestamp};
use nisse_orchestrator::{Agent, Assignment, CloseReason, Decision, Life, Orchestrator};

use crate::core::Core;
use crate::entry::Entry;
use crate::error::{ErrorKind, NodeError};
use crate::home::{Home, KeyName};
use crate::keys::Keys;
use crate::node::market_error;
use crate::options::{ChainChoice, NodeOptions};
use crate::packages::GAS_BUDGET_PER_HOUR;
use crate::supervisor::{Stop, Supervisor};
use crate::watcher::{self, Standing};

/// Stake of a node on its own embedded chain: the TIP's 10,000 TALOS.
const HOME_STAKE: Amount = Amount(10_000 * Amount::TALOS.0);
/// How long to rest before the market is looked for again.
const MARKET_RETRY: Duration = Duration::from_secs(5);

/// The newest version of the market. From then on every version is known to the node's keys.
pub(super) async fn open_market(core: &Core) -> Result<Market, NodeError> {
    let (home, supervisor) = (&core.home, &core.supervisor);
    let queue = core.keys.queue(home, supervisor, KeyName::Operator)?;
    let client = core.keys.client();
    let book: Address = match &core.options.chain {
        ChainChoice::Embedded { .. } => {
            let made = deploy_contracts(client, &queue, &ContractSettings::default()).await;
            made.map_err(|error| market_error(&error))?.book
        }
        ChainChoice::Remote { contract, .. } => *contract,
    };
    let versions = market_versions(client, core.keys.chain_id(), book).await;
    core.keys.set_versions(versions.map_err(|error| market_error(&error))?);
    if core.chain.is_some() {
        lay_down_stake(&core.keys, home, supervisor, &core.options).await?;
    }
    if home.has_key(KeyName::Deployer) {
        // What it had under way when the node went down goes on now, and not as a surprise when it next deploys.
        core.keys.queue(home, supervisor, KeyName::Deployer)?;
    }
    core.keys.market(home, supervisor, KeyName::Operator)
}

pub(super) async fn open_market_patiently(core: &Core) -> Market {
    loop {
        match open_market(core).await {
            Ok(market) => return market,
            Err(error) => tracing::warn!(error = error.text, "the market is not reached yet; agents run on"),
        }
        tokio::time::sleep(MARKET_RETRY).await;
    }
}

/// Follows the newest version of the market, and old ones as long as something of this node's is on them.
pub(super) async fn follow(core: Arc<Core>, market: Market, stop: Stop) {
    let newest = *market.addresses();
    for old in core.keys.versions().into_iter().filter(|version| version.version < newest.version) {
        let held = core.driver.look(move |all| all.holds(old.manager)).await.unwrap_or(false);
        if !held {
            continue;
        }
        match core.keys.market_of(&core.home, &core.supervisor, KeyName::Operator, old.manager) {
            Ok(market) => {
                let (followed, name) = (Arc::clone(&core), format!("market {}", old.version));
                core.supervisor.spawn(name, |stop| watcher::run(followed, market, Standing::Old, stop));
            }
            Err(error) => return core.fail(error.text),
        }
    }
    watcher::run(core, market, Standing::Newest, stop).await;
}

/// Home leases of older versions go on as deployments of the newest (DESIGN §5.9): state, alarm and life come along.
///
/// Runs before any agent does. Each write has a name of its own, and the journal takes the end of the old and the
/// beginning of the new in one step, so a crash anywhere goes on where it was.
pub(super) async fn reopen_home_leases(core: &Core, orchestrator: &mut Orchestrator) -> Result<(), NodeError> {
    let market = core.keys.market(&core.home, &core.supervisor, KeyName::Operator)?;
    let newest = market.addresses().manager;
    let at_home: Vec<(DeploymentId, Agent)> = orchestrator
        .agents()
        .iter()
        .filter(|(id, agent)| id.contract != newest && agent.life.is_live() && agent.assignment == Assignment::Home)
        // An update under way is answered where it was asked for; the lease is reopened at the start after.
        .filter(|(_, agent)| agent.next.is_none() && agent.placement.owner == core.operator)
        .map(|(id, agent)| (*id, agent.clone()))
        .collect();
    for (id, agent) in at_home {
        let old = core.keys.market_of(&core.home, &core.supervisor, KeyName::Operator, id.contract)?;
        let moved = reopen(&market, &old, id, &agent).await;
        let (number, acknowledged) = moved.map_err(|error| market_error(&error))?;
        let deployment = market.deployment_id(number);
        let decisions = [
            Decision::Stopped { deployment: id, reason: CloseReason::Superseded, at: core.clock.now() },
            Decision::Remembered { deployment, agent: Box::new(agent.reopened(acknowledged)) },
        ];
        let entries: Vec<Vec<u8>> = decisions.iter().map(|one| Entry::Decision(one.clone()).encode()).collect();
        let records: Vec<&[u8]> = entries.iter().map(Vec::as_slice).collect();
        let journalled = async { Core::append(&core.journal, &records).await?.durable().await };
        journalled.await.map_err(|error| NodeError::caused(ErrorKind::Failed, "journal_failed", &error))?;
        decisions.iter().for_each(|decision| orchestrator.restore(decision));
        tracing::info!(target: "nisse::event::deployment", old = %id, new = %deployment, "reopened on the newest market");
    }
    Ok(())
}

/// The new deployment's number, and when it was started.
async fn reopen(
    market: &Market,
    old: &Market,
    id: DeploymentId,
    agent: &Agent,
) -> Result<(u64, Option<Timestamp>), MarketError> {
    let package = agent.placement.package.clone();
    let terms = PublicationTerms {
        agent_id: package.agent_id.to_string(),
        manifest_cid: package.manifest_cid,
        artifact_cid: package.artifact_cid,
        artifact_hash: package.artifact_hash,
        config_hash: package.config_hash,
        resources: agent.placement.resources,
        max_rate: AmountPerHour(0),
        bid_window_seconds: 0,
        gas_budget: GAS_BUDGET_PER_HOUR,
    };
    let publication = market.publish(&format!("reopen:{id}:publish"), terms).await?;
    let order = DeployOrder { publication, supersedes: Some((id.contract, id.number)), ..DeployOrder::default() };
    let number = market.deploy_home(&format!("reopen:{id}:deploy"), order).await?;
    let mut acknowledged = None;
    if matches!(agent.life, Life::Running { .. } | Life::Paused { .. }) {
        let name = format!("ack:{}:{}", market.deployment_id(number), agent.incarnation);
        let written = market.ack_start(&name, number, agent.incarnation).await?;
        acknowledged = written.events.iter().find_map(|event| match event {
            MarketEvent::Started { started, .. } => Some(*started),
            _ => None,
        });
    }
    match old.stop(&format!("stop:{id}"), id.number).await {
        // Its owner ended it in the meantime; the journal had not heard.
        Ok(_) | Err(MarketError::Queue(QueueError::Refused(_)) | MarketError::Reverted { .. }) => {}
        Err(error) => return Err(error),
    }
    Ok((number, acknowledged))
}

/// At home the test token comes from its faucet, so a node can stake and be paid by the same contracts as anywhere.
pub(crate) async fn lay_down_stake(
    keys: &Keys,
    home: &Home,
    supervisor: &Supervisor,
    options: &NodeOptions,
) -> Result<(), NodeError> {
    let market = keys.market(home, supervisor, KeyName::Operator)?;
    let laid = async {
        if market.node(market.key()).await?.is_some() {
            return Ok(());
        }
        market.faucet("home/faucet", HOME_STAKE).await?;
        let capacity = Resources { cpu: options.cpu, memory: options.memory, gpu: false };
        market.register("home/register", &format!("http://{}", options.suffix), capacity, HOME_STAKE).await?;
        Ok(())
    };
    laid.await.map_err(|error: nisse_market::MarketError| market_error(&error))
}
