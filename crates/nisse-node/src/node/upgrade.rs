//! A new version of the market's contracts on a home's own chain (DESIGN §5.9).
//!
//! It is made beside the old one while no node runs. The node's next start reopens home leases on it; paid leases finish
//! where they are.

use std::sync::Arc;

use nisse_market::{
    ChainClient, ContractSettings, TxQueueOptions, deploy_contracts, is_of_this_program, market_versions,
    upgrade_contracts,
};
use nisse_orchestrator::Assignment;
use zeroize::Zeroizing;

use super::market_error;
use super::offline::Offline;
use super::rebuild::history::History;
use super::start::Seams;
use super::start::chain::{FOLDER, open_embedded};
use crate::error::{ErrorKind, NodeError};
use crate::home::Home;
use crate::keys::Keys;
use crate::options::{ChainChoice, NodeOptions};
use crate::supervisor::Supervisor;
use crate::wallets::KeyName;

/// The market's new version.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UpgradedMarket {
    /// Its number in the address book.
    pub version: u64,
    /// Its Manager contract.
    pub manager: String,
    /// Agents whose home leases reopen on it at the node's next start.
    pub reopening: Vec<String>,
    /// Agents whose paid leases finish on the version before.
    pub finishing: Vec<String>,
}

/// Upgrades the contracts of a home's own chain. No node may run on the home. The passphrase is for a vault that nothing
/// else opens.
pub async fn upgrade_market(
    options: &NodeOptions,
    seams: Seams,
    passphrase: Option<Zeroizing<Vec<u8>>>,
) -> Result<UpgradedMarket, NodeError> {
    if let ChainChoice::Remote { .. } = &options.chain {
        let text = "failed to upgrade the market: its contracts belong to the owner of a chain elsewhere";
        return Err(NodeError::new(ErrorKind::Refused, "chain_remote", text));
    }
    let offline = Offline::open(options, &seams, passphrase).await?;
    let upgraded = upgrade_offline(&offline, seams).await;
    offline.close().await;
    upgraded
}

async fn upgrade_offline(Offline { home, wallets, .. }: &Offline, seams: Seams) -> Result<UpgradedMarket, NodeError> {
    let history = History::read(home, wallets.get(KeyName::Operator)?.address(), &seams)?;
    let chain = open_embedded(home, &seams, None, false)?;
    let (queue_options, client) = (TxQueueOptions::embedded(chain.chain_id()), ChainClient::embedded(chain));
    let keys = Keys::new(seams, Arc::clone(wallets), client, queue_options, FOLDER);
    let supervisor = Supervisor::default();
    let upgraded = upgrade(&keys, home, &supervisor).await;
    // Every file is closed before the home is let go.
    supervisor.shut_down().await;
    let (version, manager) = upgraded?;
    let (mut reopening, mut finishing) = (Vec::new(), Vec::new());
    for agent in history.live() {
        let name = agent.placement.package.agent_id.to_string();
        match agent.assignment {
            Assignment::Home => reopening.push(name),
            Assignment::Lease(_) => finishing.push(name),
        }
    }
    Ok(UpgradedMarket { version, manager, reopening, finishing })
}

async fn upgrade(keys: &Keys, home: &Home, supervisor: &Supervisor) -> Result<(u64, String), NodeError> {
    let queue = keys.queue(home, supervisor, KeyName::Operator)?;
    let (client, settings) = (keys.client(), ContractSettings::default());
    let first = deploy_contracts(client, &queue, &settings).await.map_err(|error| market_error(&error))?;
    let versions = market_versions(client, keys.chain_id(), first.book).await.map_err(|error| market_error(&error))?;
    let mut newest = versions.last().copied().unwrap_or(first);
    loop {
        // A run that was cut off before the book listed its version goes on with that version, and where that was
        // another program's, the version after it is of this one.
        let maker = keys.maker(home, supervisor, newest.version + 1).await?;
        let made = upgrade_contracts(client, &queue, &maker, &settings, &newest).await;
        newest = made.map_err(|error| market_error(&error))?;
        let ours = is_of_this_program(&maker, &settings, &newest).await;
        if ours.map_err(|error| market_error(&error))? {
            return Ok((newest.version, newest.manager.to_string()));
        }
    }
}
