//! When a node shows life, and of whom it tells: the rules of heartbeats, without a clock or a chain.
//!
//! Periods are the contract's, counted by the chain's clock. What this node takes for that clock may be wrong by some
//! seconds: what counts is asked of the contract.

use nisse_model::{Address, Hash256, Timestamp};

use crate::agent::{Agent, Assignment, Life};

/// The part of a period, one in so many, in which nodes show life: the rest is for those whose chain does not answer at
/// once.
const SHOWN_WITHIN: u64 = 4;
/// The part of a period in which those tell of silence who do not wait for the agent themselves.
const TOLD_WITHIN: u64 = 8;

/// A period of the chain, and how far it has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Period {
    /// Its number.
    pub number: u64,
    /// Its length in seconds.
    pub length: u64,
    /// Seconds that have passed of it.
    pub passed: u64,
}

/// Whose lease a silent node holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Whose {
    /// Who looks ordered the agent.
    Own,
    /// Anybody did.
    Anybodys,
}

impl Period {
    /// The one in which the chain is at this time of its own clock.
    pub fn at(chain: Timestamp, length: u64) -> Self {
        let now = chain.seconds();
        Self { number: now / length, length, passed: now % length }
    }

    /// The unix second with which it begins.
    pub fn begins(self) -> u64 {
        self.number * self.length
    }

    /// The unix second with which the next one begins.
    pub fn ends(self) -> u64 {
        self.begins() + self.length
    }

    /// Whether a node is to show life by now.
    pub fn is_to_show(self, node: Address) -> bool {
        self.passed >= self.turn(node, self.length / SHOWN_WITHIN)
    }

    /// Whether a node is to tell of the silent by now. From three quarters of a period on the contract listens; who
    /// waits for an agent of its own tells at once.
    pub fn is_to_tell(self, node: Address, whose: Whose) -> bool {
        let due = (self.length * 3).div_ceil(4);
        self.passed
            >= match whose {
                Whose::Own => due,
                Whose::Anybodys => due + self.turn(node, self.length / TOLD_WITHIN),
            }
    }

    /// Nodes do what they must at moments of their own, within this part of the period: not all in one block.
    fn turn(self, node: Address, within: u64) -> u64 {
        let digest = Hash256::of_parts(&[&node.0, &self.number.to_be_bytes()]);
        let (number, _) = digest.0.split_first_chunk().expect("a hash has eight bytes");
        u64::from_be_bytes(*number) % within.max(1)
    }
}

/// The last period in which this node saw the chain when nodes were to show life. Where this machine slept then, or the
/// chain did not answer, they could not show it either.
#[derive(Debug, Clone, Copy, Default)]
pub struct Attended(u64);

impl Attended {
    /// Whether this node may speak of this period.
    pub fn look(&mut self, period: Period, chain_answers: bool) -> bool {
        if chain_answers && period.passed < period.length / SHOWN_WITHIN {
            self.0 = period.number;
        }
        self.0 == period.number
    }
}

/// Whether money ran for an agent when a period began, or may have: its node shows life. At rest it is held as well: its
/// owner may say at any time that it rests no more.
pub fn ran_at(agent: &Agent, begins: u64) -> bool {
    let since = match agent.life {
        // What the chain said of its start may not have been heard yet.
        Life::Running { since, .. } | Life::Paused { since, .. } => Some(agent.paid_since().unwrap_or(since)),
        _ => agent.paid_since(),
    };
    agent.assignment != Assignment::Home && since.is_some_and(|since| since.seconds() <= begins)
}

#[cfg(test)]
mod tests {
    use super::*;

    const LENGTH: u64 = 600;

    fn at(number: u64, passed: u64) -> Period {
        Period { number, length: LENGTH, passed }
    }

    #[test]
    fn who_slept_or_saw_no_chain_when_nodes_were_to_show_life_tells_of_nobody() {
        let mut attended = Attended::default();
        assert!(attended.look(at(7, 149), true));
        assert!(attended.look(at(7, 500), false), "it was there in time");
        assert!(!attended.look(at(8, 150), true), "it woke up too late");
        assert!(!attended.look(at(9, 10), false), "the chain did not answer");
        assert!(!attended.look(at(9, 450), true));
        assert!(attended.look(at(10, 0), true));
    }

    #[test]
    fn every_node_has_its_own_moment_within_the_first_quarter_and_tells_within_the_last() {
        let nodes: Vec<Address> = (0..50).map(|node| Address([node; 20])).collect();
        let first = |number, is_due: &dyn Fn(Period, Address) -> bool, node| {
            (0..LENGTH).find(|passed| is_due(at(number, *passed), node)).expect("its turn comes")
        };
        let moments = |number, is_due: &dyn Fn(Period, Address) -> bool| -> Vec<u64> {
            nodes.iter().map(|node| first(number, is_due, *node)).collect()
        };
        let shown = moments(7, &|period, node| period.is_to_show(node));
        let told = moments(7, &|period, node| period.is_to_tell(node, Whose::Anybodys));
        assert!(shown.iter().all(|moment| *moment < 150), "{shown:?}");
        assert!(told.iter().all(|moment| (450..525).contains(moment)), "{told:?}");
        for moments in [&shown, &told] {
            assert!(moments.iter().collect::<std::collections::BTreeSet<_>>().len() > 20, "{moments:?}");
        }
        assert_ne!(shown, moments(8, &|period, node| period.is_to_show(node)), "and another in each period");
        assert_eq!(first(7, &|period, node| period.is_to_tell(node, Whose::Own), nodes[0]), 450);
    }
}
