//! Which pins of packages, configurations and states agents of this node can still come back to.

use std::collections::{BTreeSet, HashMap};

use nisse_content::{PackageCids, PinKind, PinName};
use nisse_model::{Address, AgentName, ContentId, Hash256, PackageRef};
use nisse_orchestrator::{Agent, Orchestrator};

use crate::life::kept_name;

/// Each such pin by its name, with one of the agents that need it.
pub(crate) type Needed = HashMap<String, AgentName>;

/// What all agents need. Those of this home's keys, ended ones included: they can be started again, and rolled back when
/// they run. Of others only what runs: who orders again brings the package again.
pub(crate) fn needed(all: &Orchestrator, own: &BTreeSet<Address>) -> Needed {
    let mut needed = Needed::new();
    for (deployment, agent) in all.agents() {
        let name = &agent.placement.package.agent_id.name;
        let packages = packages_of(agent).filter(|_| !is_over(agent, own)).flat_map(pins_of);
        // An update keeps the state that it finds under its own number. A rollback comes back to the last one, and an
        // update that is not answered yet to its own.
        let updates = agent.next.iter().chain(&agent.queued).map(|next| next.revision);
        let states = updates.chain([agent.previous_revision]).map(|revision| kept_name(*deployment, revision));
        needed.extend(packages.chain(states).map(|pin| (pin.to_string(), name.clone())));
    }
    needed
}

/// The packages of others' agents that have ended, by their pins.
pub(crate) fn left_by_others(all: &Orchestrator, own: &BTreeSet<Address>) -> BTreeSet<String> {
    let over = all.agents().values().filter(|agent| is_over(agent, own));
    over.flat_map(packages_of).flat_map(pins_of).map(|pin| pin.to_string()).collect()
}

fn is_over(agent: &Agent, own: &BTreeSet<Address>) -> bool {
    !agent.life.is_live() && !own.contains(&agent.placement.owner)
}

fn packages_of(agent: &Agent) -> impl Iterator<Item = &PackageRef> {
    let coming = agent.next.iter().chain(&agent.queued).map(|next| &next.placement.package);
    [&agent.placement.package].into_iter().chain(&agent.previous).chain(coming)
}

/// The pins that keep a package, at home or on the market.
pub(crate) fn pins_of(package: &PackageRef) -> impl Iterator<Item = PinName> + use<> {
    let config = config_of(package)
        .into_iter()
        .flat_map(|config| [PinKind::Config, PinKind::Ordered].map(|kind| kind.name(config)));
    [package_pin(package)].into_iter().chain(config)
}

/// The pin that keeps manifest and artifact.
pub(super) fn package_pin(package: &PackageRef) -> PinName {
    PackageCids { manifest: package.manifest_cid, artifact: package.artifact_cid }.pin_name()
}

/// The configuration that a deployment names, if it names one.
pub(super) fn config_of(package: &PackageRef) -> Option<ContentId> {
    (package.config_hash != Hash256::ZERO).then(|| ContentId::raw(package.config_hash))
}
