//! Which pins of packages, configurations and states agents of this node can still come back to.

use std::collections::HashMap;

use nisse_content::{PackageCids, PinKind, PinName};
use nisse_model::{AgentName, ContentId, Hash256, PackageRef};
use nisse_orchestrator::{Agent, Orchestrator};

use crate::life::kept_name;

/// Each such pin by its name, with one of the agents that need it.
pub(crate) type Needed = HashMap<String, AgentName>;

/// What all agents need, ended ones included: these can be started again, and rolled back when they run.
pub(crate) fn needed(all: &Orchestrator) -> Needed {
    let mut needed = Needed::new();
    for (deployment, agent) in all.agents() {
        let name = &agent.placement.package.agent_id.name;
        let packages = packages_of(agent).flat_map(pins_of);
        // An update keeps the state that it finds under its own number. A rollback comes back to the last one, and an
        // update that is not answered yet to its own.
        let updates = agent.next.iter().chain(&agent.queued).map(|next| next.revision);
        let states = updates.chain([agent.previous_revision]).map(|revision| kept_name(*deployment, revision));
        needed.extend(packages.chain(states).map(|pin| (pin.to_string(), name.clone())));
    }
    needed
}

fn packages_of(agent: &Agent) -> impl Iterator<Item = &PackageRef> {
    let coming = agent.next.iter().chain(&agent.queued).map(|next| &next.placement.package);
    [&agent.placement.package].into_iter().chain(&agent.previous).chain(coming)
}

/// The pins that keep a package.
pub(crate) fn pins_of(package: &PackageRef) -> impl Iterator<Item = PinName> + use<> {
    let config = (package.config_hash != Hash256::ZERO).then(|| config_pin(ContentId::raw(package.config_hash)));
    let cids = PackageCids { manifest: package.manifest_cid, artifact: package.artifact_cid };
    [cids.pin_name()].into_iter().chain(config)
}

/// The pin that keeps a configuration.
pub(super) fn config_pin(config: ContentId) -> PinName {
    PinKind::Config.name(config)
}
