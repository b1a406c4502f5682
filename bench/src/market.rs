//! The market between processes: from an order to an agent that answers at a stranger's node.
//!
//! Three homes, each with a node of its own: one holds the chain, one orders, one bids and runs what it won. They share
//! the chain and loopback, and nothing else.

use std::os::unix::fs::PermissionsExt as _;
use std::net::SocketAddr;
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};
use serde_json::Value;

use crate::blocks::{BLOCK_TIME, Blocks};
use crate::load::ask;
use crate::parts;
use crate::program;
use crate::server::{Node, host_of};
use crate::table::{Row, median, time};

/// Orders whose median counts.
const TIMES: usize = 9;
/// The publication's block, two on top of it, the order's, the bid's. The first may be as good as there already.
const BLOCKS: u32 = 5;
/// Processor share of each agent here, so that all of them find room.
const SHARE: &str = "0.1";
/// Between two looks.
const LOOK: Duration = Duration::from_millis(5);
/// How long anything may take that is waited for.
const PATIENCE: Duration = Duration::from_secs(90);
/// The name that an order gives for the deployer's node; loopback stands for it.
const DEPLOYER: &str = "deployer.example";
/// What runs on the demo's home once its deployer has money.
const DEMO: &str = "talos.oracle.price-eth";

pub(crate) fn rows() -> anyhow::Result<Vec<Row>> {
    let mut rows = parts::market()?;
    let program = program::nisse()?;
    let folder = tempfile::tempdir()?;
    let at_once = Three::meet(&program, &folder.path().join("at-once"), false)?.orders()?;
    let told = time(Duration::from_secs_f64(at_once.told));
    rows.push(
        at_once.row("deploy -> live at a stranger's, blocks at once").beside(format!("the command ends at {told}")),
    );
    let in_blocks = Three::meet(&program, &folder.path().join("in-blocks"), true)?.orders()?;
    let what = format!("deploy -> live at a stranger's, {} s blocks, k = 2", BLOCK_TIME.as_secs());
    let [least, most] = [BLOCKS - 1, BLOCKS].map(|blocks| (BLOCK_TIME * blocks).as_secs());
    rows.push(in_blocks.row(&what).beside(format!("blocks alone {least} to {most} s")));
    Ok(rows)
}

/// Medians over all orders, in seconds behind the start of the command.
struct Orders {
    /// The first 200 at the stranger's node.
    serves: f64,
    /// The end of the command.
    told: f64,
    /// What the deployer's node noted, and when.
    steps: Vec<(String, f64)>,
}

impl Orders {
    fn row(&self, what: &str) -> Row {
        let step = |(name, at): &(String, f64)| format!("{name} {at:.2} s");
        let steps = self.steps.iter().map(step).collect::<Vec<_>>().join(", ");
        eprintln!("{what}: {steps}; it serves at {:.2} s, the command ends at {:.2} s", self.serves, self.told);
        Row::at_most(what, "< 15 s", time(Duration::from_secs_f64(self.serves)), self.serves, 15.0)
    }
}

/// The three nodes.
struct Three {
    deployer: Node,
    stranger: Node,
    /// Dropped last, so that the others see no chain that is gone.
    _blocks: Option<Blocks>,
    _chain: Node,
}

impl Three {
    fn meet(program: &Path, folder: &Path, in_blocks: bool) -> anyhow::Result<Self> {
        std::fs::create_dir(folder)?;
        let dev: &[&str] = if in_blocks { &["--chain-dev"] } else { &[] };
        let demo = [&["--demo", "--rpc", "127.0.0.1:0"], dev].concat();
        let chain = Node::up_with(program, &folder.join("chain"), &demo)?;
        eventually("the demo to run", || {
            let status = chain.command(&["status", DEMO]).ok()?;
            (status["state"] == "running").then_some(())
        })?;
        let status = chain.command(&["node", "status"])?;
        let rpc: SocketAddr = status["rpc"].as_str().context("its JSON-RPC")?.parse()?;
        let blocks = in_blocks.then(|| Blocks::begin(rpc)).transpose()?;
        let url = format!("http://{}", blocks.as_ref().map_or(rpc, |blocks| blocks.address));
        let contract = status["contract"].as_str().context("its address book")?;
        let id = status["chain"].to_string();
        let joining = ["--chain", &url, "--contract", contract, "--chain-id", &id];

        let endpoint = format!("http://{DEPLOYER}");
        let (home, joining_as) = (folder.join("deployer"), [&joining[..], &["--endpoint", &endpoint]].concat());
        drop(Node::up_with(program, &home, &joining_as)?);
        // The demo's money comes along with its key, which the vault takes at the next start.
        let exported = chain.command(&["wallet", "export", "deployer"])?;
        std::fs::write(home.join("keys/deployer"), exported["key"].as_str().context("its key")?)?;
        std::fs::set_permissions(home.join("keys/deployer"), std::fs::Permissions::from_mode(0o600))?;
        let deployer = Node::up_with(program, &home, &joining_as)?;
        let exception = format!("{DEPLOYER}:80:{}", deployer.server.address);
        let serving = ["--accept", "any", "--price", "40", "--stake", "10000", "--connect-to", &exception];
        let stranger = Node::up_with(program, &folder.join("stranger"), &[&joining[..], &serving].concat())?;
        eventually("the stranger's stake", || {
            let status = stranger.command(&["node", "status"]).ok()?;
            (status["stake"] == "10000").then_some(())
        })?;
        Ok(Self { deployer, stranger, _blocks: blocks, _chain: chain })
    }

    fn orders(&self) -> anyhow::Result<Orders> {
        // The first one is fetched and compiled.
        let package = self.deployer.package("proxy-hello", "first", SHARE)?;
        let first = self.order(&package)?;
        let endpoint = first["endpoint"].as_str().context("an endpoint")?.to_owned();
        let (mut serves, mut told, mut steps) = (Vec::new(), Vec::new(), Vec::<(String, Vec<f64>)>::new());
        for number in 0..TIMES {
            // Each would begin right behind the block in which the last one ended.
            std::thread::sleep(BLOCK_TIME.mul_f64(number as f64 / TIMES as f64));
            let name = format!("again{number}");
            let package = self.deployer.package("proxy-hello", &name, SHARE)?;
            let host = host_of(&endpoint).replacen("first", &name, 1);
            let begun = Instant::now();
            let deployed = std::thread::scope(|scope| {
                let command = scope.spawn(|| self.order(&package).map(|deployed| (deployed, begun.elapsed())));
                let looked = eventually("the stranger to serve it", || {
                    ask(self.stranger.server.address, &host, "GET").ok().map(|_| begun.elapsed())
                });
                // Why it does not serve, the command knows.
                let (deployed, ended) = command.join().expect("no panic")?;
                anyhow::Ok((deployed, looked?, ended))
            });
            let (deployed, looked, ended) = deployed?;
            serves.push(looked.as_secs_f64());
            told.push(ended.as_secs_f64());
            for step in deployed["steps"].as_array().context("its steps")? {
                let (name, at) = (step["name"].as_str().context("a name")?, step["at_ms"].as_f64().context("when")?);
                match steps.iter_mut().find(|(known, _)| known == name) {
                    Some((_, times)) => times.push(at / 1e3),
                    None => steps.push((name.to_owned(), vec![at / 1e3])),
                }
            }
        }
        let steps = steps.into_iter().map(|(name, times)| (name, median(times))).collect();
        Ok(Orders { serves: median(serves), told: median(told), steps })
    }

    /// Orders it for less than the node with the chain asks.
    fn order(&self, package: &str) -> anyhow::Result<Value> {
        let deployed =
            self.deployer.command(&["deploy", package, "--payment", "50", "--max-rate", "45", "--wait", "60"])?;
        ensure!(deployed["state"] == "running", "it is not live: {deployed}");
        Ok(deployed)
    }
}

fn eventually<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> anyhow::Result<T> {
    let begun = Instant::now();
    loop {
        if let Some(found) = look() {
            return Ok(found);
        }
        ensure!(begun.elapsed() < PATIENCE, "waited in vain for {what}");
        std::thread::sleep(LOOK);
    }
}
