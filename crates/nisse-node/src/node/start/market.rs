//! The market that a node stands on: its contracts, made on a new home chain and found on another, and the node's stake.

use std::sync::Arc;
use std::time::Duration;

use nisse_market::{ContractSettings, Market, deploy_contracts, market_versions};
use nisse_model::{Address, Amount, Resources};

use crate::core::Core;
use crate::error::NodeError;
use crate::home::{Home, KeyName};
use crate::keys::Keys;
use crate::node::market_error;
use crate::options::{ChainChoice, NodeOptions};
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
