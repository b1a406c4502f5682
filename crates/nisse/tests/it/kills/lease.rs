//! The life of one deployment as the market's log tells it. What may happen once is asserted to happen once.

use std::collections::BTreeSet;

use super::abi::Fields;
use super::chain::Log;

const HOUR_SECONDS: u128 = 3_600;

/// One deployment.
#[derive(Debug, Default)]
pub(super) struct Lease {
    /// Name and version of the package that runs.
    pub(super) agent_id: String,
    /// That of the package that its owner asked for last.
    pub(super) wanted: String,
    pub(super) owner: String,
    pub(super) home: bool,
    pub(super) bid: Option<u128>,
    pub(super) assigned: bool,
    pub(super) started: Option<u64>,
    pub(super) stopped: bool,
    /// What its owner paid, and paid later: each amount that came.
    pub(super) payment: u128,
    pub(super) funded: Vec<u128>,
    pub(super) settled: u128,
    pub(super) refund: u128,
    incarnation: u128,
    /// Publications that its owner asked to update it to; how many of the requests have had their answer.
    asked: Vec<u128>,
    answered: u128,
}

impl Lease {
    pub(super) fn deployed(fields: &Fields) -> Self {
        Self {
            agent_id: fields.text("order.agentId").to_owned(),
            wanted: fields.text("order.agentId").to_owned(),
            owner: fields.address("owner"),
            home: fields.is("order.home"),
            payment: fields.number("order.payment"),
            ..Self::default()
        }
    }

    /// Whether it is some node's.
    pub(super) fn is_live(&self) -> bool {
        self.assigned && !self.stopped
    }

    /// The agent's name without its version.
    pub(super) fn name(&self) -> &str {
        self.agent_id.split('@').next().unwrap()
    }

    /// What its owner has paid in all.
    pub(super) fn paid_in(&self) -> u128 {
        self.payment + self.funded.iter().sum::<u128>()
    }

    /// What the node's stake must answer for.
    pub(super) fn rate(&self) -> u128 {
        self.bid.filter(|_| !self.stopped).unwrap_or(0)
    }

    /// Takes what happened to it. `package` is the publication that an event names.
    pub(super) fn take(&mut self, log: &Log, package: impl Fn(u128) -> String) {
        let Log { name, time, fields } = log;
        assert!(!self.stopped, "{name} after its end: {self:?}");
        match name.as_str() {
            "BidPlaced" => {
                assert!(!self.home && self.bid.is_none(), "a second bid: {self:?}");
                self.bid = Some(fields.number("rate"));
            }
            "Assigned" => {
                assert!(!self.assigned, "given away twice: {self:?}");
                assert_eq!(fields.number("rate"), self.bid.unwrap_or(0), "{self:?}");
                self.assigned = true;
            }
            "Started" => {
                assert!(self.assigned && self.started.is_none(), "started twice: {self:?}");
                self.started = Some(*time);
                self.incarnate(fields);
            }
            "Settled" => self.settled += fields.number("amount"),
            "Deposited" => self.funded.push(fields.number("amount")),
            "Stopped" => self.stop(*time, fields.number("refund")),
            "UpdateRequested" => {
                self.asked.push(fields.number("publication"));
                self.wanted = package(fields.number("publication"));
                assert_eq!(self.asked.len() as u128, fields.number("revision"));
                let once: BTreeSet<_> = self.asked.iter().collect();
                assert_eq!(once.len(), self.asked.len(), "an update was asked for twice: {self:?}");
            }
            "Updated" => {
                let (revision, publication) = (fields.number("revision"), fields.number("publication"));
                assert!(self.answered < revision, "an update was answered twice: {self:?}");
                assert_eq!(self.asked.get(revision as usize - 1), Some(&publication), "{self:?}");
                self.answered = revision;
                self.agent_id = package(publication);
                self.incarnate(fields);
            }
            other => panic!("nobody asked for `{other}`: {self:?}"),
        }
    }

    fn incarnate(&mut self, fields: &Fields) {
        let incarnation = fields.number("incarnation");
        assert!(self.incarnation < incarnation, "incarnation {incarnation} came again: {self:?}");
        self.incarnation = incarnation;
    }

    /// To the last unit: the node has its price for whole seconds and the owner all the rest.
    fn stop(&mut self, time: u64, refund: u128) {
        let seconds = u128::from(self.started.map_or(0, |started| time - started));
        let due = self.bid.unwrap_or(0) * seconds / HOUR_SECONDS;
        assert_eq!(self.settled, due.min(self.paid_in()), "{self:?}");
        assert_eq!(refund, self.paid_in() - self.settled, "{self:?}");
        (self.refund, self.stopped) = (refund, true);
    }
}
