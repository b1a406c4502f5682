//! The market that a node stands on: its contracts, made on a new home chain and found on another, and the node's stake.

use std::time::Duration;

use nisse_market::{ContractSettings, Market, deploy_contracts, market_versions};
use nisse_model::{Address, Amount, Resources};

use crate::core::Core;
use crate::error::NodeError;
use crate::home::{Home, KeyName};
use crate::keys::Keys;
use crate::node::market_error;
use crate::options::{ChainChoice, NodeOptions};
use crate::supervisor::Supervisor;

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
