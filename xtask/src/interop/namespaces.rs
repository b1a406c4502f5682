//! A market of strangers: each machine a network namespace, each node a process of its own, cables that are cut and healed.
//!
//! The chain is anvil on a machine that others reach, with a heartbeat period of seconds: time passes by itself, and nothing
//! here moves a clock. What a node says of itself is held against the chain, and every unit of money is asked for there.
//! Needs root, for `ip netns add`.

mod chain;
mod ledger;
mod machine;
pub(super) mod network;
mod world;

use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail, ensure};
use serde_json::Value;

use self::chain::Chain;
use self::network::Network;
use self::world::World;
use super::{build, empty_folder, install_tools};
use crate::command::is_root;

/// What the story runs, and the package of Debian that brings it.
pub(super) const TOOLS: &[(&str, &str)] = &[("ip", "iproute2"), ("curl", "curl"), ("/usr/bin/python3", "python3")];
/// Seconds of a heartbeat period. Blocks come every second, and nodes show life within a quarter of it.
const PERIOD: u64 = 20;
/// How long anything may take that is no claim of this story.
const PATIENCE: Duration = Duration::from_secs(60);
const LOOK_AGAIN: Duration = Duration::from_millis(200);

pub(super) fn tell(packages: &Path) -> anyhow::Result<()> {
    ensure!(is_root(), "run as root: network namespaces are made with `ip netns add`");
    install_tools(TOOLS)?;
    build()?;
    let folder = empty_folder("namespaces")?;
    story(packages, &folder).with_context(|| format!("logs and homes are kept in {}", folder.display()))
}

/// Looks until there is something, and says what was missing if that never comes.
fn eventually<T>(what: &str, mut look: impl FnMut() -> anyhow::Result<Option<T>>) -> anyhow::Result<T> {
    let begun = Instant::now();
    loop {
        if let Some(found) = look()? {
            return Ok(found);
        }
        ensure!(begun.elapsed() < PATIENCE, "wait for {what}: nothing in {} s", PATIENCE.as_secs());
        std::thread::sleep(LOOK_AGAIN);
    }
}

fn story(packages: &Path, folder: &Path) -> anyhow::Result<()> {
    let network = Network::lay(folder)?;
    let chain = Chain::start(&network, packages, folder, PERIOD)?;
    let mut world = World::open(&network, &chain, folder)?;
    let order = world.the_lowest_bidder_runs_it()?;
    world.a_short_cut_costs_nothing(&order)?;
    world.who_is_cut_off_for_longer_loses_it(&order)?;
    world.who_is_killed_loses_it(&order)?;
    world.who_comes_back_knows(&order)?;
    world.who_cannot_bid_did_not(&order)?;
    ledger::adds_up(&world, &order)
}

fn text(value: &Value) -> anyhow::Result<String> {
    match value.as_str() {
        Some(text) => Ok(text.to_owned()),
        None => bail!("read a text: {value}"),
    }
}
