//! The content that pins and agents need: every block of it is read back and hashed.

use std::collections::BTreeMap;

use nisse_content::{BlockStore, Fault, Need, PinKind, StoreError, Verified, WalkError};
use nisse_model::{ContentId, Hash256};
use nisse_orchestrator::Orchestrator;

use super::count;
use crate::control::Check;
use crate::packages::{Needed, needed};

/// What agents need of the content store.
#[derive(Default)]
pub(super) struct Wanted {
    /// Each pin that one of them comes back to.
    pins: Needed,
    /// The packages of those that live, by their names.
    live: BTreeMap<String, Vec<ContentId>>,
}

impl Wanted {
    pub(super) fn of(all: &Orchestrator) -> Self {
        let mut live: BTreeMap<String, Vec<ContentId>> = BTreeMap::new();
        for agent in all.agents().values().filter(|agent| agent.life.is_live()) {
            let package = &agent.placement.package;
            let config = (package.config_hash != Hash256::ZERO).then(|| ContentId::raw(package.config_hash));
            let roots = [package.manifest_cid, package.artifact_cid].into_iter().chain(config);
            live.entry(format!("agent {}", package.agent_id.name)).or_default().extend(roots);
        }
        // A pin is told with its agent, whoever that one belongs to.
        let owners = all.agents().values().map(|agent| agent.placement.owner).collect();
        Self { pins: needed(all, &owners), live }
    }

    fn needs(&self, store: &BlockStore) -> Vec<Need> {
        let pins = store.pins();
        let pinned = pins.iter().map(|pin| match self.pins.get(&pin.name) {
            Some(agent) => Need { by: format!("pin `{}` of agent {agent}", pin.name), roots: pin.roots.clone() },
            None => Need::from(pin),
        });
        let live = self.live.iter().map(|(by, roots)| Need { by: by.clone(), roots: roots.clone() });
        pinned.chain(live).collect()
    }
}

/// Reads everything back. A node may go on with the store meanwhile: what is not needed any more at the end is no fault.
pub(super) fn check(store: &BlockStore, wanted: &Wanted) -> Vec<Check> {
    let needs = wanted.needs(store);
    let mut verified = store.verify(&needs);
    let still = wanted.needs(store);
    for fault in &mut verified.faults {
        fault.missed_by.retain(|by| still.iter().any(|need| need.by == *by));
    }
    verified.faults.retain(|fault| !fault.missed_by.is_empty());
    let mut problems: Vec<Check> = verified.faults.iter().map(faulty).collect();
    if verified.faults_left_out > 0 {
        let text = format!("{} more blocks are missing or damaged", verified.faults_left_out);
        problems.push(Check::problem("content", text, "look again when those that are named are there"));
    }
    problems.extend(unpinned(store, wanted));
    problems.extend(pin_list(store));
    if problems.is_empty() { vec![Check::sound("content", seen(store, &verified))] } else { problems }
}

fn faulty(fault: &Fault) -> Check {
    let cid = fault.cid;
    let what = match &fault.why {
        WalkError::NotHeld(_) => format!("block {cid} is missing"),
        WalkError::Store(StoreError::Damaged { path, offset, .. }) => {
            format!("block {cid} is damaged, at byte {offset} of {}", path.display())
        }
        why => format!("block {cid} is not to be had: failed to {}", crate::error::chain(why)),
    };
    let text = format!("{what}: needed by {}", fault.missed_by.join(", "));
    Check::problem("content", text, remedy(&fault.missed_by))
}

/// Files and packages can be added again by whoever has them. What only this node made, nobody has.
fn remedy(missed_by: &[String]) -> String {
    let pin = missed_by.iter().find_map(|by| by.strip_prefix("pin `")?.split_once('`').map(|(pin, _)| pin));
    match pin.map(|pin| (pin, PinKind::of(pin))) {
        Some((_, Some(PinKind::State | PinKind::Config))) => {
            "put the folder `content` back from a copy of this home".to_owned()
        }
        Some((pin, Some(PinKind::Added | PinKind::Destroyed))) => format!(
            "add the same file again with `nisse content add` on the running node, or give it up with `nisse content rm {pin}`"
        ),
        _ => "add the same file again with `nisse content add` on the running node".to_owned(),
    }
}

fn unpinned(store: &BlockStore, wanted: &Wanted) -> Vec<Check> {
    let loose = |by: &str, cid: &ContentId| {
        let text = format!("no pin keeps {cid}, and {by} needs it: `nisse content gc` drops it");
        Check::problem("content", text, "add its file again with `nisse content add` on the running node")
    };
    let roots = wanted.live.iter().flat_map(|(by, roots)| roots.iter().map(move |cid| (by, cid)));
    roots.filter(|(_, cid)| store.has(cid) && !store.is_pinned(cid)).map(|(by, cid)| loose(by, cid)).collect()
}

fn pin_list(store: &BlockStore) -> Option<Check> {
    let damaged = store.usage().damaged_pins;
    (damaged.0 > 0).then(|| {
        let text = format!("{damaged} of the list of pins are damaged: what stood there is kept by nothing any more");
        Check::problem("content", text, "put `content/pins` back from a copy of this home, or add those files again")
    })
}

fn seen(store: &BlockStore, verified: &Verified) -> String {
    let usage = store.usage();
    let spoilt = match usage.damaged.0 {
        0 => String::new(),
        _ => format!("; {} that nothing needs are damaged", usage.damaged),
    };
    format!(
        "{}, {} beneath {}, read back and hashed{spoilt}",
        count(verified.blocks, "block"),
        verified.bytes,
        count(usage.pins, "pin")
    )
}
