//! All that the outside has been told, and the comparison of it with the node that came up again. It learns what became
//! of what was under way when the power went; what it has learned stands from then on.

use serde_json::Value;

use super::books;
use super::chain::Chain;
use super::extras::Extra;
use super::ledger::Ledger;
use super::oracle::Oracle;
use super::records::told;
use super::updated::Updated;
use crate::harness::{Home, Node, eventually};

/// Words of a status that say that an agent is some lease's.
const LIVE: [&str; 4] = ["preparing", "starting", "running", "paused"];

/// What is known.
pub(super) struct Model {
    /// How agents beside the counter are deployed.
    pub(super) terms: &'static [&'static str],
    pub(super) counter: Updated,
    pub(super) ticker: Updated,
    pub(super) oracles: Vec<Oracle>,
    pub(super) extras: Vec<Extra>,
    /// The counter is nowhere between.
    pub(super) acknowledged: u64,
    pub(super) sent: u64,
    /// The most alarms that the ticker has told of.
    pub(super) ticks: u64,
    /// What was paid into the counter's lease, no amount twice, and whether that was acknowledged.
    pub(super) funds: Vec<(u128, bool)>,
    pub(super) ledger: Ledger,
}

impl Model {
    /// Of agents that were just deployed, and of a chain that nobody has looked at.
    pub(super) fn new(terms: &'static [&'static str], counter: Updated, ticker: Updated, oracles: Vec<Oracle>) -> Self {
        let (extras, funds, ledger) = (Vec::new(), Vec::new(), Ledger::default());
        Self { terms, counter, ticker, oracles, extras, acknowledged: 0, sent: 0, ticks: 0, funds, ledger }
    }

    /// Holds the node that came up again against what is known.
    pub(super) fn compare(&mut self, node: &Node<'_>, chain: &Chain<'_>) {
        self.count(node);
        self.tick(node);
        self.ledger.read_on(chain);
        self.counter.compare(node, chain, &mut self.ledger);
        self.ticker.compare(node, chain, &mut self.ledger);
        self.paid();
        self.extras.iter_mut().for_each(|extra| extra.compare(node, &self.ledger));
        for oracle in &mut self.oracles {
            oracle.compare(node, chain, &mut self.ledger);
        }
        self.agree(node, chain);
        books::add_up(&mut self.ledger, chain);
    }

    /// Each write that was acknowledged is there, none came twice, and each is one record.
    fn count(&mut self, node: &Node<'_>) {
        let count: u64 = self.counter.answer(node, "to answer", |text| text.parse().ok());
        assert!(self.acknowledged <= count, "{count} writes are there, {} were acknowledged", self.acknowledged);
        assert!(count <= self.sent, "{count} writes are there, {} were sent", self.sent);
        assert_eq!(self.counter.records.changes, count, "each write is one record that changed the state");
        (self.acknowledged, self.sent) = (count, count);
    }

    /// Its alarms go on, and none comes again that was handled.
    fn tick(&mut self, node: &Node<'_>) {
        let known = self.ticks;
        let newer = |text: &str| ticks(text).filter(|ticks| *ticks > known);
        self.ticks = self.ticker.answer(node, "to go on with its alarms", newer);
        assert_eq!(self.ticker.records.changes, self.ticks, "each alarm is one record that changed the state");
    }

    /// Every payment that was acknowledged came, and none came twice.
    fn paid(&mut self) {
        let (_, lease) = self.ledger.of_agent(&self.counter.name).unwrap();
        for (amount, acknowledged) in &mut self.funds {
            let came = lease.funded.iter().filter(|paid| *paid == amount).count();
            assert!(came <= 1 && came >= usize::from(*acknowledged), "{amount} came {came} times");
            *acknowledged = came == 1;
        }
        let came = self.funds.iter().filter(|(_, came)| *came).count();
        assert_eq!(lease.funded.len(), came, "something was paid that nobody asked for");
    }

    /// What the node's journal says of its agents is what the chain says of its leases.
    fn agree(&mut self, node: &Node<'_>, chain: &Chain<'_>) {
        let what = "chain and journal to agree about who is live";
        eventually(what, || {
            self.ledger.read_on(chain);
            let told = told(node, "/api/v1/agents");
            let agents = told["agents"].as_array().unwrap();
            let live = |number: u128| agents.iter().any(|agent| is_of(agent, number) && is_live(agent));
            self.ledger.leases.iter().all(|(number, lease)| lease.is_live() == live(*number)).then_some(())
        });
    }

    /// Everything that was under way comes to its end.
    pub(super) fn settle(&mut self, home: &Home, node: &Node<'_>, chain: &Chain<'_>) {
        eventually("everything to come to its end", || {
            self.ledger.read_on(chain);
            let started = self.ledger.leases.values().all(|lease| lease.stopped || lease.started.is_some());
            let through = self.oracles.iter().all(|oracle| oracle.is_through(node, &self.ledger));
            let updated = [&self.counter, &self.ticker].into_iter().all(|agent| agent.is_settled(node, &self.ledger));
            (started && through && updated).then_some(())
        });
        self.compare(node, chain);
        for extra in self.extras.iter_mut().filter(|extra| extra.is_up()) {
            extra.serves(node);
        }
        books::add_up_to_the_last_line(&mut self.ledger, chain);
        self.listed(home);
    }

    /// The node's own view of the market, of all that it lists.
    fn listed(&self, home: &Home) {
        for entry in home.json(&["market", "ls"]).as_array().unwrap() {
            let (_, lease) = self.ledger.leases.iter().find(|(number, _)| is_of(entry, **number)).unwrap();
            assert_eq!(entry["agent_id"], lease.agent_id);
            assert_eq!(entry["state"], if lease.stopped { "stopped" } else { "running" }, "{lease:?}");
        }
    }
}

/// How many alarms the ticker has handled. None of them may have come again.
pub(super) fn ticks(text: &str) -> Option<u64> {
    let (count, again) = text.split_once(' ').unwrap();
    assert_eq!(again, "0", "alarms came again that had been handled");
    count.parse().ok()
}

fn is_of(told: &Value, number: u128) -> bool {
    told["deployment"].as_str().unwrap().rsplit(':').next().unwrap() == number.to_string()
}

/// Whether the journal says so: of a lease that the node does not know, it tells what the chain says.
fn is_live(agent: &Value) -> bool {
    let by_chain = agent["reason"].as_str().is_some_and(|reason| reason.starts_with("on the node "));
    LIVE.contains(&agent["state"].as_str().unwrap()) && !by_chain
}
