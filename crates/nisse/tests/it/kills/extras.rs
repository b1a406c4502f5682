//! Agents that come and go beside the counter: what was asked of each, what was acknowledged, what is learned.

use super::ledger::Ledger;
use super::records::{RECEIPT, Records};
use crate::harness::{Node, eventually};
use crate::web::Answer;

/// How far a request is known to have come. It never goes back.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Known {
    /// Nobody asked.
    Not,
    /// It was asked for, and the power went.
    Asked,
    /// The chain has it; what follows from it may be under way.
    Stands,
    /// It was acknowledged, or seen.
    Done,
}

/// One of them.
pub(super) struct Extra {
    pub(super) name: String,
    pub(super) host: String,
    pub(super) deployed: Known,
    pub(super) stopped: Known,
    records: Records,
}

impl Extra {
    pub(super) fn new(name: String, host: String) -> Self {
        Self { name, host, deployed: Known::Asked, stopped: Known::Not, records: Records::default() }
    }

    /// Whether its owner may stop it now.
    pub(super) fn is_up(&self) -> bool {
        self.deployed >= Known::Stands && self.stopped < Known::Done
    }

    /// Whether it may take room on the node. An order that did not reach the chain with the start behind the power cut
    /// does not reach it any more.
    pub(super) fn takes_room(&self) -> bool {
        self.deployed != Known::Not && self.stopped < Known::Done
    }

    pub(super) fn compare(&mut self, node: &Node<'_>, ledger: &Ledger) {
        let lease = ledger.of_agent(&self.name).map(|(_, lease)| lease);
        let Some(lease) = lease else {
            assert!(self.deployed < Known::Stands, "the order of {} is gone", self.name);
            self.deployed = Known::Not;
            return;
        };
        self.deployed = self.deployed.max(Known::Stands);
        assert!(!lease.stopped || self.stopped > Known::Not, "nobody stopped {}", self.name);
        match self.stopped {
            Known::Done => {
                assert!(lease.stopped, "the end of {} is gone", self.name);
                assert!(self.answer(node).is_none(), "{} was stopped and answers", self.name);
            }
            _ if lease.stopped => {
                eventually(&format!("{} to be gone", self.name), || self.answer(node).is_none().then_some(()));
                self.stopped = Known::Done;
            }
            _ => {}
        }
        if self.deployed == Known::Done && self.stopped == Known::Not {
            assert!(lease.is_live(), "{lease:?}");
            self.serves(node);
        }
    }

    pub(super) fn serves(&mut self, node: &Node<'_>) {
        let answer = eventually(&format!("{} to serve", self.name), || self.answer(node));
        self.records.read_on(node, answer.header(RECEIPT).unwrap());
    }

    fn answer(&self, node: &Node<'_>) -> Option<Answer> {
        node.try_ask(&self.host, "GET", "/").ok().filter(|answer| answer.status == 200)
    }
}
