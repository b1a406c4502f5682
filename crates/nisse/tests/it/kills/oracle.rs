//! A price oracle: what it has promised to publish, by its own durable history, against what stands on the chain.

use serde_json::Value;

use super::chain::Chain;
use super::ledger::Ledger;
use super::records::{RECEIPT, Records, told};
use crate::harness::{Node, eventually};

/// Decimals of a price on the chain.
const DECIMALS: f64 = 1e8;

/// One agent that publishes an answer at each of its alarms.
pub(super) struct Oracle {
    pub(super) name: &'static str,
    pub(super) host: String,
    /// Answers that it committed to publish, in order.
    promised: Vec<u128>,
    /// When the event came that its newest price is of.
    newest: u64,
    records: Records,
}

impl Oracle {
    pub(super) fn new(name: &'static str, host: String) -> Self {
        Self { name, host, promised: Vec::new(), newest: 0, records: Records::default() }
    }

    /// When its alarm comes next, in milliseconds since 1970.
    pub(super) fn due(&self, node: &Node<'_>) -> Option<u64> {
        told(node, &format!("/api/v1/agents/{}", self.name))["alarm"].as_u64()
    }

    /// Each answer that it promised before the power went arrives, once and in its order. Before its first price it
    /// answers with 503, and nothing is known of it.
    pub(super) fn compare(&mut self, node: &Node<'_>, chain: &Chain<'_>, ledger: &mut Ledger) {
        eventually(&format!("the answers of {}", self.name), || {
            ledger.read_on(chain);
            self.is_through(node, ledger).then_some(())
        });
        let history = || node.try_ask(&self.host, "GET", "/history").ok();
        let answer = eventually("the oracle to answer", || history().filter(|answer| answer.header(RECEIPT).is_some()));
        self.records.read_on(node, answer.header(RECEIPT).unwrap());
        if answer.status == 200 {
            self.learn(answer.json().as_array().unwrap());
        }
        let arrived = self.arrived(ledger);
        assert!(self.promised.starts_with(&arrived), "{arrived:?} came of {:?}", self.promised);
    }

    /// Whether all that it promised stands on the chain.
    pub(super) fn is_through(&self, node: &Node<'_>, ledger: &Ledger) -> bool {
        self.arrived(ledger).len() >= self.promised.len() || self.is_held_back(node)
    }

    pub(super) fn arrived(&self, ledger: &Ledger) -> Vec<u128> {
        let number = ledger.of_agent(self.name).map(|(number, _)| number);
        number.and_then(|number| ledger.answers.get(&number).cloned()).unwrap_or_default()
    }

    /// What its deployment's gas does not pay for now waits, and holds back what comes behind it.
    fn is_held_back(&self, node: &Node<'_>) -> bool {
        !told(node, &format!("/api/v1/agents/{}", self.name))["gas"]["refused"].is_null()
    }

    /// Takes the prices that are newer than what is known. What is known must still stand there.
    fn learn(&mut self, history: &[Value]) {
        let time = |price: &Value| price["time"].as_u64().unwrap();
        assert!(self.newest == 0 || history.iter().any(|price| time(price) == self.newest), "prices were lost");
        let known = self.newest;
        for price in history.iter().filter(|price| time(price) > known) {
            assert!(self.newest < time(price), "an alarm was handled twice: {history:?}");
            self.newest = time(price);
            if !price["published"].is_null() {
                self.promised.push((price["price"].as_f64().unwrap() * DECIMALS).round() as u128);
            }
        }
    }
}
