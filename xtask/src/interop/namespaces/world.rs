//! Everybody who takes part, and what happens to them, step by step.

use std::path::Path;
use std::time::Instant;

use anyhow::{Context as _, ensure};
use serde_json::Value;

use super::chain::Chain;
use super::machine::{Machine, Node};
use super::network::{DEPLOYER, NODES, Network};
use super::{PERIOD, eventually, text};
use crate::check::say;
use crate::command::repository;

/// Seconds for which the order collects bids.
const BID_WINDOW: &str = "4";
const PAYMENT_TALOS: &str = "100";
/// What the three ask, the lowest first; the order pays them all.
const PRICES: [&str; 3] = ["40", "41", "42"];
const MAX_RATE: &str = "45";
/// What those ask who would win if they could bid.
const PRICE_TOO_LOW: &str = "10";
/// When nodes are cut off or killed, in percent of a period: they have shown life in it, and can be told of in the next
/// one. A node that has just shown life is told of after 1.75 periods; what comes then, bids and blocks, takes seconds, of
/// which these short periods have few.
const LATE_PERCENT: u64 = 60;
/// The public listener of the deployer's node.
const GATEWAY: &str = "http://deployer.example:7480";

/// A node that serves others for this price, with the deployer's machine as the place of packages.
fn serve<'a>(machine: Machine<'a>, price: &str) -> anyhow::Result<Node<'a>> {
    Node::new(machine, &["node", "serve", "--accept", "any", "--price", price, "--gateway", GATEWAY])
}

pub(super) struct World<'a> {
    begun: Instant,
    network: &'a Network,
    pub(super) chain: &'a Chain<'a>,
    pub(super) deployer: Node<'a>,
    pub(super) nodes: Vec<Node<'a>>,
    /// It is registered, and has no room.
    pub(super) crowded: Node<'a>,
    /// It has room, and no stake.
    pub(super) unstaked: Node<'a>,
}

impl<'a> World<'a> {
    pub(super) fn open(network: &'a Network, chain: &'a Chain<'a>, folder: &'a Path) -> anyhow::Result<Self> {
        let begun = Instant::now();
        let machine = |name| Machine { name, host: name, port: 7480, config: "", folder, network, chain };
        let deployer = Node::new(machine(DEPLOYER), &["up"])?;
        let priced = NODES.iter().zip(PRICES);
        let nodes = priced.map(|(name, price)| serve(machine(name), price)).collect::<Result<Vec<_>, _>>()?;
        // Both ask for less than anybody, on a machine where they are in nobody's way.
        let other = |name, port, config| Machine { name, port, config, ..machine(DEPLOYER) };
        let crowded = serve(other("crowded", 7481, "[limits]\ncpu = \"0.1\"\n"), PRICE_TOO_LOW)?;
        let unstaked = ["up", "--accept", "any", "--price", PRICE_TOO_LOW, "--gateway", GATEWAY];
        let unstaked = Node::new(other("unstaked", 7482, ""), &unstaked)?;
        nodes.iter().chain([&crowded]).try_for_each(|node| node.has_staked("10000"))?;
        chain.give(&deployer.operator, PAYMENT_TALOS)?;
        let world = Self { begun, network, chain, deployer, nodes, crowded, unstaked };
        let prices = PRICES.join(", ");
        world.say(&format!(
            "three nodes have staked and ask {prices} TALOS; one without room and one without stake ask {PRICE_TOO_LOW}"
        ));
        Ok(world)
    }
}

/// The order, and the part of its agent's name that does not depend on who runs it.
pub(super) struct Order {
    pub(super) deployment: String,
    name: String,
}

impl World<'_> {
    /// Tells what happened, and when.
    pub(super) fn say(&self, what: &str) {
        say(&format!("{:5.1} s  {what}", self.begun.elapsed().as_secs_f64()));
    }

    pub(super) fn the_lowest_bidder_runs_it(&self) -> anyhow::Result<Order> {
        let package = repository().join("examples/guests/counter");
        let terms = ["--payment", PAYMENT_TALOS, "--max-rate", MAX_RATE, "--bid-window", BID_WINDOW];
        let deploy = ["deploy", &package.to_string_lossy(), "--key", "operator", "--wait", "60"];
        let deployed = self.deployer.json(&[&deploy[..], &terms].concat())?;
        let deployment = text(&deployed["deployment"])?;
        ensure!(deployed["node"] == self.nodes[0].operator, "the lowest bidder has it: {deployed}");
        // Its name in one label, as a wildcard in the DNS wants it.
        let name = format!("nisse-test-counter--{}", &self.deployer.operator[2..10]);
        let order = Order { deployment, name };
        let answer = self.answer_of(0, &order)?;
        self.say(&format!("{} runs it and answers {answer} under {}", self.nodes[0].name(), order.name));
        Ok(order)
    }

    /// Half a period without a cable, once it has shown life: nobody can say that it was silent.
    pub(super) fn a_short_cut_costs_nothing(&self, order: &Order) -> anyhow::Result<()> {
        let node = &self.nodes[0];
        let begins = self.wait_for_next_period()?;
        eventually("its heartbeat", || {
            Ok(node.json(&["node", "status"])?["heartbeat_last"].as_u64().filter(|last| *last >= begins * 1000))
        })?;
        self.network.cut(node.machine.host)?;
        ensure!(self.ask(0, order)?.is_none(), "a cut cable carries nothing");
        self.wait_until(self.chain.now()? + PERIOD / 2)?;
        self.network.heal(node.machine.host)?;
        let answer = self.answer_of(0, order)?;
        // Whoever would tell of silence in the next period has told by then.
        self.wait_until(begins + PERIOD + PERIOD * 19 / 20)?;
        let shown = self.show(order)?;
        ensure!(shown["state"] == "running" && shown["node"] == node.operator, "{} has it still: {shown}", node.name());
        let events = self.events(order)?;
        ensure!(!events.iter().any(|event| event["event"] == "missed"), "nobody was silent: {events:?}");
        ensure!(node.stake()? == "10000", "its stake is whole");
        self.say(&format!(
            "cut off for {} s of a period of {PERIOD}, {} went on: {answer}, and a period later it has its lease and its stake",
            PERIOD / 2,
            node.name()
        ));
        Ok(())
    }

    pub(super) fn who_is_cut_off_for_longer_loses_it(&self, order: &Order) -> anyhow::Result<()> {
        let node = &self.nodes[0];
        self.wait_for_late()?;
        let cut = self.chain.now()?;
        self.network.cut(node.machine.host)?;
        let took = self.taken_over(1, order, cut)?;
        self.say(&format!(
            "cut off for longer, {} lost it: {} answers after {took} s, {} of a period",
            node.name(),
            self.nodes[1].name(),
            percent(took)
        ));
        // It runs where nobody sees it, and learns of it once it sees the chain.
        ensure!(node.json(&["status", &order.deployment])?["state"] == "running", "it cannot know");
        self.network.heal(node.machine.host)
    }

    pub(super) fn who_is_killed_loses_it(&mut self, order: &Order) -> anyhow::Result<()> {
        self.wait_for_late()?;
        self.nodes[1].kill()?;
        let killed = self.chain.now()?;
        let took = self.taken_over(2, order, killed)?;
        self.say(&format!(
            "{} was killed: {} answers after {took} s, {} of a period",
            self.nodes[1].name(),
            self.nodes[2].name(),
            percent(took)
        ));
        Ok(())
    }

    /// The cut one and the killed one are back: both know, and one node answers.
    pub(super) fn who_comes_back_knows(&mut self, order: &Order) -> anyhow::Result<()> {
        self.nodes[1].start()?;
        for node in &self.nodes[..2] {
            let reason = eventually(&format!("{} to know", node.name()), || {
                let status = node.json(&["status", &order.deployment])?;
                Ok((status["state"] == "stopped").then(|| status["reason"].clone()))
            })?;
            self.say(&format!("{} is back: {}", node.name(), text(&reason)?));
        }
        let answers: Vec<_> = (0..NODES.len()).map(|at| self.ask(at, order)).collect::<Result<_, _>>()?;
        ensure!(answers.iter().flatten().count() == 1 && answers[2].is_some(), "one node answers: {answers:?}");
        ensure!(self.nodes[0].stake()? == "9960", "an hour of its rate is gone");
        Ok(())
    }

    /// Neither of the two that ask for less than anybody, in any of the biddings.
    pub(super) fn who_cannot_bid_did_not(&self, order: &Order) -> anyhow::Result<()> {
        let events = self.events(order)?;
        let bid_by = |node: &Node<'_>| {
            let told = |event: &&Value| event["event"] == "bid" && event["detail"].to_string().contains(&node.operator);
            events.iter().filter(told).count()
        };
        ensure!(self.nodes.iter().all(|node| bid_by(node) >= 1), "each of the three has bid: {events:?}");
        let shown = self.crowded.json(&["market", "show", &order.deployment])?;
        for (node, why) in [(&self.crowded, text(&shown["refused"])?), (&self.unstaked, self.unstaked.warned("bid:")?)]
        {
            ensure!(bid_by(node) == 0, "{} has no part in it: {events:?}", node.name());
            self.say(&format!("{} never bid: {why}", node.name()));
        }
        Ok(())
    }

    /// Waits until this node answers for the agent; within two periods of the chain's time, or it came too late. Seconds.
    fn taken_over(&self, by: usize, order: &Order, since: u64) -> anyhow::Result<u64> {
        let answer = self.answer_of(by, order)?;
        let took = self.chain.now()?.saturating_sub(since);
        let shown = self.show(order)?;
        ensure!(shown["node"] == self.nodes[by].operator, "{} has it: {shown}", self.nodes[by].name());
        ensure!(answer == "1", "it begins anew there: {answer}");
        // Its own word to the chain that it runs, from which on it is paid, is a block or two behind.
        eventually("its acknowledgement", || Ok((self.show(order)?["state"] == "running").then_some(())))?;
        ensure!(took <= 2 * PERIOD, "it took {took} s, more than two periods of {PERIOD} s");
        Ok(took)
    }

    /// What an agent says on this node, over the public listener, as soon as it says something.
    fn answer_of(&self, at: usize, order: &Order) -> anyhow::Result<String> {
        eventually(&format!("the agent's answer on {}", self.nodes[at].name()), || self.ask(at, order))
    }

    /// Asks from the deployer's machine.
    fn ask(&self, at: usize, order: &Order) -> anyhow::Result<Option<String>> {
        self.network.ask(DEPLOYER, &format!("http://{}.{}.example:7480/", order.name, self.nodes[at].machine.host))
    }

    fn show(&self, order: &Order) -> anyhow::Result<Value> {
        self.deployer.json(&["market", "show", &order.deployment])
    }

    fn events(&self, order: &Order) -> anyhow::Result<Vec<Value>> {
        Ok(self.show(order)?["events"].as_array().context("a deployment has events")?.clone())
    }

    /// Waits for the next period. The second with which it begins.
    fn wait_for_next_period(&self) -> anyhow::Result<u64> {
        let begins = (self.chain.now()? / PERIOD + 1) * PERIOD;
        self.wait_until(begins).map(|()| begins)
    }

    /// Waits until it is so late in a period, this one where it can be.
    fn wait_for_late(&self) -> anyhow::Result<()> {
        let (now, late) = (self.chain.now()?, PERIOD * LATE_PERCENT / 100);
        let begins = (now + PERIOD - late) / PERIOD * PERIOD;
        self.wait_until(begins + late)
    }

    fn wait_until(&self, second: u64) -> anyhow::Result<()> {
        eventually("time to pass", || Ok((self.chain.now()? >= second).then_some(())))
    }
}

/// The length of a time, in periods.
fn percent(seconds: u64) -> String {
    format!("{} %", seconds * 100 / PERIOD)
}
