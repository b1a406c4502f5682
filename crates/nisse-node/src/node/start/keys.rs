//! The home's keys as a start finds or draws them, and whose agents they let run here.

use nisse_market::{LocalKey, Signer as _};
use nisse_model::Address;
use nisse_orchestrator::{Accept, Capacity, Policy};
use nisse_store::Entropy;

use crate::error::NodeError;
use crate::home::{Home, KeyName};
use crate::options::{AcceptList, NodeOptions};
use crate::timeline::Timeline;

/// A key of this home, drawn where it is the first time.
pub(super) fn open_key(
    home: &Home,
    name: KeyName,
    entropy: &dyn Entropy,
    timeline: &mut Timeline,
) -> Result<LocalKey, NodeError> {
    let came = if home.has_key(name) { "as before" } else { "drawn" };
    let key = home.key(name, entropy)?;
    timeline.note("keys", format!("{} {}, {came}", name.as_str(), key.address()));
    Ok(key)
}

pub(super) fn policy(
    options: &NodeOptions,
    home: &Home,
    entropy: &dyn Entropy,
    operator: Address,
    timeline: &mut Timeline,
) -> Result<Policy, NodeError> {
    let accept = match &options.accept {
        AcceptList::Own => Accept::Own,
        AcceptList::HomeKeys => {
            let deployer = open_key(home, KeyName::Deployer, entropy, timeline)?;
            Accept::Listed([deployer.address()].into())
        }
        AcceptList::Owners(owners) => Accept::Listed(owners.clone()),
        AcceptList::Any => Accept::Any,
    };
    let capacity = Capacity { cpu: options.cpu, memory: options.memory, gpu: false };
    Ok(Policy { operator, accept, capacity, prices: options.prices, gas_budget_max: options.gas_budget_max })
}
