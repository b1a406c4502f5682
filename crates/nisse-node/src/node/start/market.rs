//! The market that a node stands on: its contracts, made on a new home chain and found on another, and the node's stake.

use std::sync::Arc;
use std::time::Duration;

use nisse_market::{ContractSettings, Market, MarketError, deploy_contracts, market_versions};
use nisse_model::{Address, Amount, Resources};

use crate::core::Core;
use crate::error::NodeError;
use crate::heartbeats;
use crate::home::Home;
use crate::keys::Keys;
use crate::node::market_error;
use crate::options::{ChainChoice, NodeOptions};
use crate::supervisor::{Stop, Supervisor};
use crate::timeline::Timeline;
use crate::wallets::KeyName;
use crate::watcher::{self, Standing};
use crate::{bids, reopening, reputation, second_looks};

/// Stake of a node on its own embedded chain: the TIP's 10,000 TALOS.
const HOME_STAKE: Amount = Amount(10_000 * Amount::TALOS.0);
/// How long to rest before the market is looked for again.
const MARKET_RETRY: Duration = Duration::from_secs(5);
/// How long to rest before this node is registered anew.
const REGISTER_RETRY: Duration = Duration::from_secs(30);

/// The newest version of the market. From then on every version is known to the node's keys.
pub(super) async fn open_market(core: &Core, timeline: &mut Timeline) -> Result<Market, NodeError> {
    let (home, supervisor) = (&core.home, &core.supervisor);
    let head = || core.chain.as_ref().map_or(0, |chain| chain.head().0);
    let before = head();
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
    // Where the chain holds blocks, one that is new now may be anybody's: what was under way goes on as well.
    let came = match (before, head()) {
        (0, made @ 1..) => format!("made in blocks 1 to {made}"),
        _ => "as before".to_owned(),
    };
    timeline.note("contracts", format!("address book {book}, {came}"));
    if core.chain.is_some() {
        match lay_down_stake(&core.keys, home, supervisor, &core.options).await {
            Ok(stake) => timeline.note("stake", stake.told()),
            // A sealed vault keeps no home from serving; the next start lays it down.
            Err(error) if error.code == "signing_failed" => {
                tracing::error!(error = error.text, "this node's stake is not what it should be");
                core.set_unregistered(Some(format!("its stake is not laid down: {}", error.text)));
            }
            Err(error) => return Err(error),
        }
    }
    if core.wallets.has(KeyName::Deployer) {
        // What it had under way when the node went down goes on now, and not as a surprise when it next deploys.
        core.keys.queue(home, supervisor, KeyName::Deployer)?;
    }
    core.keys.market(home, supervisor, KeyName::Operator)
}

pub(super) async fn open_market_patiently(core: &Core) -> Market {
    loop {
        // Nobody waits for this one.
        match open_market(core, &mut core.timeline()).await {
            Ok(market) => return market,
            Err(error) => {
                core.keys.set_unknown(&error.text);
                tracing::warn!(error = error.text, "the market is not reached yet; agents run on");
            }
        }
        tokio::time::sleep(MARKET_RETRY).await;
    }
}

/// Follows the newest version of the market, and old ones as long as something of this node's is on them.
pub(super) async fn follow(core: Arc<Core>, market: Market, stop: Stop) {
    let (beating, beaten) = (Arc::clone(&core), market.clone());
    core.supervisor.spawn("heartbeats", |stop| heartbeats::run(beating, beaten, stop));
    let reopening = Arc::clone(&core);
    core.supervisor.spawn("reopening", |stop| reopening::run(reopening, stop));
    let looking = Arc::clone(&core);
    core.supervisor.spawn("second looks", |stop| second_looks::run(looking, stop));
    let sealing = Arc::clone(&core);
    core.supervisor.spawn("sealed bids", |stop| bids::run(sealing, stop));
    let (counting, counted) = (Arc::clone(&core), market.clone());
    core.supervisor.spawn("reputation", |stop| reputation::run(counting, counted, stop));
    if core.chain.is_none() && core.options.stake.is_some() {
        let registering = Arc::clone(&core);
        core.supervisor.spawn("register", |mut stop| async move {
            tokio::select! {
                () = stop.requested() => {}
                () = register_patiently(registering) => {}
            }
        });
    }
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

/// Registers this node on a chain elsewhere, or announces where it is now. What stands in the way is told and tried again:
/// the leases that this node holds are followed meanwhile.
async fn register_patiently(core: Arc<Core>) {
    loop {
        match lay_down_stake(&core.keys, &core.home, &core.supervisor, &core.options).await {
            Ok(stake) => {
                core.set_unregistered(None);
                return tracing::info!("{}", stake.told());
            }
            Err(error) => {
                tracing::error!(error = error.text, "this node is not registered, and takes no orders");
                core.set_unregistered(Some(format!(
                    "it is not registered as asked, and takes no orders: {}",
                    error.text
                )));
            }
        }
        tokio::time::sleep(REGISTER_RETRY).await;
    }
}

/// What the node has at work on the market.
pub(crate) struct Stake {
    amount: Amount,
    /// Whether it was laid down now.
    fresh: bool,
}

impl Stake {
    fn told(&self) -> String {
        let came = if self.fresh { "laid down by the operator" } else { "of the operator's, as before" };
        format!("{} TALOS {came}", self.amount)
    }
}

/// A test token comes from its faucet, so a node can stake and be paid by the same contracts as anywhere.
pub(crate) async fn lay_down_stake(
    keys: &Keys,
    home: &Home,
    supervisor: &Supervisor,
    options: &NodeOptions,
) -> Result<Stake, NodeError> {
    let market = keys.market(home, supervisor, KeyName::Operator)?;
    let laid = match options.chain {
        ChainChoice::Embedded { .. } => stake_at_home(&market, options).await,
        ChainChoice::Remote { .. } => stake_elsewhere(&market, options).await,
    };
    laid.map_err(|error| market_error(&error))
}

async fn stake_at_home(market: &Market, options: &NodeOptions) -> Result<Stake, MarketError> {
    if let Some(node) = market.node(market.key()).await? {
        return top_up(market, node.stake, HOME_STAKE).await;
    }
    market.faucet("home/faucet", HOME_STAKE).await?;
    // At home everything is reached by the one name.
    let here = || format!("http://{}", options.suffix);
    let endpoint = options.endpoint.as_ref().map_or_else(here, ToString::to_string);
    market.register("home/register", &endpoint, capacity(options), HOME_STAKE).await?;
    Ok(Stake { amount: HOME_STAKE, fresh: true })
}

/// Each try has names of its own: another stake or another place is another transaction.
async fn stake_elsewhere(market: &Market, options: &NodeOptions) -> Result<Stake, MarketError> {
    let (endpoint, head) = (options.public_url(None).to_string(), market.head().await?);
    if let Some(node) = market.node(market.key()).await? {
        if node.endpoint != endpoint {
            market.set_endpoint(&format!("node/endpoint/{head}"), &endpoint).await?;
        }
        return top_up(market, node.stake, options.stake.unwrap_or(node.stake)).await;
    }
    let amount = options.stake.unwrap_or(HOME_STAKE);
    hold(market, amount, head).await?;
    market.register(&format!("node/register/{head}"), &endpoint, capacity(options), amount).await?;
    Ok(Stake { amount, fresh: true })
}

/// What a slash has taken is laid down again: below the market's least stake a node is given no order.
async fn top_up(market: &Market, stake: Amount, wanted: Amount) -> Result<Stake, MarketError> {
    let lacking = Amount(wanted.0.saturating_sub(stake.0));
    if lacking == Amount(0) {
        return Ok(Stake { amount: stake, fresh: false });
    }
    let head = market.head().await?;
    hold(market, lacking, head).await?;
    market.add_stake(&format!("node/stake/{head}"), lacking).await?;
    Ok(Stake { amount: wanted, fresh: true })
}

/// What is lacking comes from the token's faucet, where it has one.
async fn hold(market: &Market, amount: Amount, head: u64) -> Result<(), MarketError> {
    if market.balance(market.key()).await? < amount {
        market.faucet(&format!("node/faucet/{head}"), amount).await?;
    }
    Ok(())
}

fn capacity(options: &NodeOptions) -> Resources {
    Resources { cpu: options.cpu, memory: options.memory, gpu: false }
}
