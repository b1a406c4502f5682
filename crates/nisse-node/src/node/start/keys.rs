//! The home's keys as a start finds or draws them, and whose agents they let run here.

use std::sync::Arc;

use nisse_market::Signer;
use nisse_model::Address;
use nisse_orchestrator::{Accept, Capacity, Policy};

use crate::error::NodeError;
use crate::home::Home;
use crate::options::{AcceptList, NodeOptions};
use crate::timeline::Timeline;
use crate::wallets::{KeyName, Wallets};

/// A key of this home, drawn where it is the first time.
pub(super) async fn open_key(
    wallets: &Wallets,
    home: &Home,
    name: KeyName,
    timeline: &mut Timeline,
) -> Result<Arc<dyn Signer>, NodeError> {
    let came = if wallets.has(name) { "as before" } else { "drawn" };
    let key = wallets.draw(home, name).await?;
    timeline.note("keys", format!("{} {}, {came}", name.as_str(), key.address()));
    Ok(key)
}

pub(super) async fn policy(
    options: &NodeOptions,
    wallets: &Wallets,
    home: &Home,
    operator: Address,
    timeline: &mut Timeline,
) -> Result<Policy, NodeError> {
    let accept = match &options.accept {
        AcceptList::Own => Accept::Own,
        AcceptList::HomeKeys => {
            let deployer = open_key(wallets, home, KeyName::Deployer, timeline).await?;
            Accept::Listed([deployer.address()].into())
        }
        AcceptList::Owners(owners) => Accept::Listed(owners.clone()),
        AcceptList::Any => Accept::Any,
    };
    let capacity = Capacity { cpu: options.cpu, memory: options.memory, gpu: false };
    Ok(Policy { operator, accept, capacity, prices: options.prices, gas_budget_max: options.gas_budget_max })
}
