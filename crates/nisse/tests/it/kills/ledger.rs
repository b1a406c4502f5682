//! All that the chain's log has said so far, read on after each power cut. What may happen once is asserted to happen
//! once; what it adds up to is held against the contracts' own books in `books.rs`.

use std::collections::{BTreeMap, BTreeSet};

use super::abi::Fields;
use super::chain::{Block, Chain, Log};
use super::lease::Lease;

/// Whence new tokens come.
const NOBODY: &str = "0x0000000000000000000000000000000000000000";

/// The chain up to one block.
#[derive(Default)]
pub(super) struct Ledger {
    /// The newest block that was read.
    pub(super) at: Option<Block>,
    /// Numbered from 1, as the contract does.
    pub(super) leases: BTreeMap<u128, Lease>,
    /// Publisher and agent id.
    pub(super) publications: Vec<(String, String)>,
    /// By deployment, in the order of their rounds.
    pub(super) answers: BTreeMap<u128, Vec<u128>>,
    pub(super) minted: u128,
    pub(super) balances: BTreeMap<String, u128>,
    /// Leases of which something happened since this was last emptied.
    pub(super) touched: BTreeSet<u128>,
    pub(super) logs: u64,
}

impl Ledger {
    /// Reads what came since the last look.
    pub(super) fn read_on(&mut self, chain: &Chain<'_>) {
        let head = chain.block("latest");
        let first = self.at.as_ref().map_or(0, |at| at.number + 1);
        if let Some(at) = &self.at {
            assert_eq!(chain.block(&format!("{:#x}", at.number)), *at, "a block that stood is another one now");
        }
        if first > head.number {
            return;
        }
        let reverted = chain.reverted(first, head.number);
        assert!(reverted.is_empty(), "the chain took back what would have happened twice: {reverted:?}");
        for log in chain.logs(first, head.number) {
            self.take(&log);
            self.logs += 1;
        }
        self.at = Some(head);
    }

    fn take(&mut self, log: &Log) {
        let Log { name, fields, .. } = log;
        match name.as_str() {
            "Published" => self.published(fields),
            "Deployed" => {
                let number = fields.number("id");
                assert_eq!(number, self.leases.len() as u128 + 1, "deployments are numbered one after the other");
                self.leases.insert(number, Lease::deployed(fields));
                self.touched.insert(number);
            }
            "Transfer" => self.moved(fields),
            "AnswerPublished" => {
                let number = fields.number("deployment");
                assert!(self.leases[&number].is_live(), "deployment {number} speaks and does not run");
                let answers = self.answers.entry(number).or_default();
                answers.push(fields.number("answer"));
                assert_eq!(answers.len() as u128, fields.number("roundId"));
            }
            // Of the contracts themselves, and of what an answer or a payment needs first.
            "Approval"
            | "FeedCreated"
            | "ManagerAdded"
            | "NodeRegistered"
            | "OwnershipTransferred"
            | "ReputationChanged"
            | "SlasherChanged" => {}
            _ => {
                let number = fields.number("id");
                let lease = self.leases.get_mut(&number).unwrap();
                lease.take(log, |publication| self.publications[publication as usize - 1].1.clone());
                self.touched.insert(number);
            }
        }
        self.one_lease_each();
    }

    fn published(&mut self, fields: &Fields) {
        let publication = (fields.address("publisher"), fields.text("publication.agentId").to_owned());
        assert!(!self.publications.contains(&publication), "published twice: {publication:?}");
        self.publications.push(publication);
        assert_eq!(self.publications.len() as u128, fields.number("id"));
    }

    fn moved(&mut self, fields: &Fields) {
        let (from, to, amount) = (fields.address("from"), fields.address("to"), fields.number("value"));
        match from.as_str() {
            NOBODY => self.minted += amount,
            _ => *self.balances.get_mut(&from).unwrap() -= amount,
        }
        *self.balances.entry(to).or_default() += amount;
    }

    /// No agent runs twice.
    fn one_lease_each(&self) {
        let mut live = BTreeSet::new();
        for lease in self.leases.values().filter(|lease| lease.is_live()) {
            assert!(live.insert((&lease.owner, lease.name())), "two leases of one agent are live: {lease:?}");
        }
    }

    /// The deployment of an agent, if it was ordered. Each name is ordered once.
    pub(super) fn of_agent(&self, name: &str) -> Option<(u128, &Lease)> {
        let mut found = self.leases.iter().filter(|(_, lease)| lease.name() == name);
        let first = found.next().map(|(number, lease)| (*number, lease));
        assert!(found.next().is_none(), "{name} was ordered twice");
        first
    }
}
