//! An agent that is swapped to newer versions of itself again and again, and answers all the while.

use super::chain::Chain;
use super::ledger::Ledger;
use super::records::{RECEIPT, Records, told};
use crate::harness::{Home, Node, eventually, example, host_of};
use crate::web::Answer;

/// The counter or the ticker.
pub(super) struct Updated {
    guest: &'static str,
    pub(super) name: String,
    pub(super) host: String,
    /// The version's middle number: the least that it has, and the highest that was asked for.
    pub(super) minor: (u64, u64),
    pub(super) records: Records,
}

impl Updated {
    /// Deploys it.
    pub(super) fn new(home: &Home, guest: &'static str, terms: &[&str]) -> Self {
        let deployed = home.json(&[&["deploy", &example(guest)], terms].concat());
        let name = format!("nisse.test.{guest}");
        Self { guest, name, host: host_of(&deployed), minor: (0, 0), records: Records::default() }
    }

    /// Makes the package of its next version.
    pub(super) fn next(&mut self, home: &Home) -> String {
        self.minor.1 += 1;
        let package = home.copy_of(self.guest, &format!("newer-{}", self.guest));
        package.edit("@v1.0.0", &format!("@v1.{}.0", self.minor.1));
        package.path().to_owned()
    }

    /// Its answer, unless it is away for a moment.
    pub(super) fn asked(&self, node: &Node<'_>) -> Option<Answer> {
        node.try_ask(&self.host, "GET", "/").ok().filter(|answer| answer.status == 200)
    }

    /// An answer that it gives sooner or later: an update that was under way may swap it just now.
    pub(super) fn answer<T>(&mut self, node: &Node<'_>, what: &str, read: impl Fn(&str) -> Option<T>) -> T {
        let read = || self.asked(node).and_then(|answer| Some((read(answer.text().trim())?, answer)));
        let (value, answer) = eventually(&format!("{} {what}", self.name), read);
        self.records.read_on(node, answer.header(RECEIPT).unwrap());
        value
    }

    /// The version that the node runs is one that was asked for, and none that is older than what is known; the chain
    /// follows it.
    pub(super) fn compare(&mut self, node: &Node<'_>, chain: &Chain<'_>, ledger: &mut Ledger) {
        let known = self.minor.0;
        let status = told(node, &self.path());
        let runs = minor_of(status["agent_id"].as_str().unwrap());
        assert!((known..=self.minor.1).contains(&runs), "{} is {runs}, expected {:?}", self.name, self.minor);
        self.minor.0 = runs;
        let wanted = minor_of(&ledger.of_agent(&self.name).unwrap().1.wanted);
        assert!(
            known <= wanted && wanted <= self.minor.1,
            "the chain was asked for {wanted}, expected {:?}",
            self.minor
        );
        eventually(&format!("the chain to know version {known} of {}", self.name), || {
            ledger.read_on(chain);
            (self.listed(ledger) >= known).then_some(())
        });
        assert!(self.listed(ledger) <= self.minor.1);
    }

    /// Whether node and chain say the same of its version.
    pub(super) fn is_settled(&self, node: &Node<'_>, ledger: &Ledger) -> bool {
        minor_of(told(node, &self.path())["agent_id"].as_str().unwrap()) == self.listed(ledger)
    }

    fn path(&self) -> String {
        format!("/api/v1/agents/{}", self.name)
    }

    /// The version that the chain says it runs.
    fn listed(&self, ledger: &Ledger) -> u64 {
        minor_of(&ledger.of_agent(&self.name).unwrap().1.agent_id)
    }
}

fn minor_of(agent_id: &str) -> u64 {
    agent_id.split('.').rev().nth(1).unwrap().parse().unwrap()
}
