//! The market's books, kept a second time from what the contracts said, by the rules as the documents tell them. They are
//! kept from the first block again when blocks leave the chain.

use std::collections::{BTreeMap, BTreeSet};

use nisse_market::{ChainHash, MarketCopy, MarketEvent, ReopenedFor, Selection, StoppedBy};
use nisse_model::{Address, Amount, AmountPerHour, LeaseTerms, Timestamp};

use super::PERIOD;
use super::chain::Said;
use super::template::{PURSE, everybody, maker};

/// The part of a slash that is the finder's, one in so many.
const FINDER_SHARE: u128 = 10;
const HOUR: u128 = 3_600;
/// The first period in which nodes are listened for: the one after that in which the contract was made.
const FIRST_PERIOD: u64 = 1_767_225_600 / PERIOD + 1;

/// Where an order stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stands {
    Open,
    Assigned,
    Running,
    Ended,
}

#[derive(Debug, Clone, Copy)]
struct Lease {
    node: Address,
    rate: AmountPerHour,
    started: Timestamp,
    settled: u128,
    /// What was settled of it last, in which transaction.
    last: (ChainHash, u128),
}

impl Lease {
    fn settled_before(&self, tx: ChainHash) -> u128 {
        if self.last.0 == tx { self.settled - self.last.1 } else { self.settled }
    }
}

#[derive(Debug, Clone)]
pub(super) struct Order {
    pub(super) owner: Address,
    pub(super) stands: Stands,
    pub(super) node: Option<Address>,
    /// Since when it stands so, in milliseconds.
    pub(super) since: u64,
    paid_in: u128,
    settled: u128,
    lease: Option<Lease>,
    /// The lease that has ended a moment ago, with all that it could cost, and what had been settled before its end.
    evicted: Option<(Lease, u128, u128)>,
    /// How it chooses, and whose bids led in this round.
    pub(super) selection: Selection,
    pub(super) led: Vec<Address>,
}

/// A node that was found silent.
#[derive(Debug, Clone, Copy)]
pub(super) struct Missed {
    pub(super) deployment: u64,
    pub(super) node: Address,
    pub(super) period: u64,
    /// Who told of it.
    pub(super) finder: Address,
}

#[derive(Debug, Clone, Default)]
pub(super) struct Books {
    pub(super) orders: BTreeMap<u64, Order>,
    /// By agent: its order.
    pub(super) by_agent: BTreeMap<String, u64>,
    /// When a node last lost a lease, in milliseconds.
    lost: BTreeMap<(u64, Address), u64>,
    beats: BTreeMap<Address, BTreeSet<u64>>,
    /// What everybody should hold, have been credited with in the Escrow, be owed of slashes, and have at stake.
    spent: BTreeMap<Address, i128>,
    pub(super) credited: BTreeMap<Address, u128>,
    pub(super) owed: BTreeMap<Address, u128>,
    pub(super) stakes: BTreeMap<Address, u128>,
    pub(super) missed: u64,
    pub(super) started: u64,
    pub(super) reopened: u64,
    /// The first period in which nodes are listened for.
    pub(super) first_period: u64,
}

impl Books {
    /// What everybody has when a world begins.
    pub(super) fn of(market: &MarketCopy) -> Self {
        let mut books = Self { first_period: FIRST_PERIOD, ..Self::default() };
        for account in everybody() {
            books.spends(account, (PURSE.0 - market.balance(account).0) as i128);
            books.credited.insert(account, market.earned(account).0);
            books.stakes.extend(market.node(account).map(|node| (account, node.stake.0)));
        }
        books
    }

    pub(super) fn balance(&self, account: Address) -> u128 {
        let spent = self.spent.get(&account).copied().unwrap_or_default();
        u128::try_from(PURSE.0 as i128 - spent).expect("nobody spends what it has not")
    }

    pub(super) fn lost_at(&self, deployment: u64, node: Address) -> Option<u64> {
        self.lost.get(&(deployment, node)).copied()
    }

    /// What all orders hold in the Escrow.
    pub(super) fn held(&self) -> u128 {
        let live = self.orders.values().filter(|order| order.stands != Stands::Ended);
        live.map(|order| order.paid_in - order.settled).sum()
    }

    /// Takes up one event. Gives what a slash was for; what does not fit the rules is an error.
    pub(super) fn hear(&mut self, (from, at): &Said) -> Result<Option<Missed>, String> {
        let now = at.time;
        match &at.event {
            MarketEvent::NodeRegistered { node, stake, .. } => {
                self.stakes.insert(*node, stake.0);
                self.spends(*node, stake.0 as i128);
            }
            MarketEvent::StakeAdded { node, stake } => {
                let before = self.stakes.insert(*node, stake.0).unwrap_or_default();
                self.spends(*node, (stake.0 - before) as i128);
            }
            MarketEvent::Deployed { deployment, owner, order } => {
                let paid_in = order.payment.0;
                self.spends(*owner, paid_in as i128);
                self.by_agent.insert(order.package.agent_id.clone(), *deployment);
                let (owner, stands) = (*owner, Stands::Open);
                let fresh = Order {
                    owner,
                    stands,
                    node: None,
                    since: now.0,
                    paid_in,
                    settled: 0,
                    lease: None,
                    evicted: None,
                    selection: Selection::default(),
                    led: Vec::new(),
                };
                self.orders.insert(*deployment, fresh);
            }
            MarketEvent::Deposited { deployment, from, amount } => {
                self.spends(*from, amount.0 as i128);
                self.order(*deployment)?.paid_in += amount.0;
            }
            MarketEvent::OrderTerms { deployment, selection, .. } => self.order(*deployment)?.selection = *selection,
            MarketEvent::BidPlaced { deployment, node, .. } => self.order(*deployment)?.led.push(*node),
            MarketEvent::Assigned { deployment, node, .. } => {
                let order = self.order(*deployment)?;
                (order.stands, order.node, order.since) = (Stands::Assigned, Some(*node), now.0);
            }
            MarketEvent::Started { deployment, node, rate, started, .. } => {
                self.started += 1;
                let (node, rate, started, last) = (*node, *rate, *started, (at.tx, 0));
                let lease = Lease { node, rate, started, settled: 0, last };
                let order = self.order(*deployment)?;
                (order.stands, order.lease, order.since) = (Stands::Running, Some(lease), now.0);
            }
            MarketEvent::Settled { deployment, node, amount } => {
                *self.credited.entry(*node).or_default() += amount.0;
                let order = self.order(*deployment)?;
                order.settled += amount.0;
                let lease = order.lease.as_mut().filter(|lease| lease.node == *node);
                let lease = lease.ok_or_else(|| format!("{node} is paid for {deployment}, which it does not run"))?;
                lease.settled += amount.0;
                lease.last = (at.tx, amount.0);
            }
            MarketEvent::Stopped { deployment, by, refund, .. } => {
                let (owner, rest) = self.ends(*deployment, now, at.tx)?;
                if rest != refund.0 {
                    return Err(format!("deployment {deployment} gave back {refund} of {}", Amount(rest)));
                }
                match by {
                    StoppedBy::Owner => self.spends(owner, -(rest as i128)),
                    StoppedBy::Node => *self.credited.entry(owner).or_default() += rest,
                }
            }
            MarketEvent::Expired { deployment, .. } => {
                let (owner, rest) = self.ends(*deployment, now, at.tx)?;
                *self.credited.entry(owner).or_default() += rest;
            }
            MarketEvent::Reopened { deployment, node, reason, .. } => {
                self.reopened += 1;
                self.lost.insert((*deployment, *node), now.0);
                let order = self.order(*deployment)?;
                (order.stands, order.node) = (Stands::Open, None);
                order.led.clear();
                if let (ReopenedFor::Silent, Some(lease)) = (reason, order.lease.take()) {
                    let line = order.paid_in - (order.settled - lease.settled);
                    order.evicted = Some((lease, line, lease.settled_before(at.tx)));
                }
            }
            MarketEvent::Heartbeat { node, period, .. } => self.beats(*node, *period, now)?,
            MarketEvent::Missed { deployment, node, period, penalty, .. } => {
                let (deployment, node, period) = (*deployment, *node, *period);
                self.slashed(deployment, node, period, penalty.0, *from)?;
                return Ok(Some(Missed { deployment, node, period, finder: *from }));
            }
            _ => {}
        }
        Ok(None)
    }

    fn order(&mut self, deployment: u64) -> Result<&mut Order, String> {
        self.orders.get_mut(&deployment).ok_or_else(|| format!("deployment {deployment} was never ordered"))
    }

    fn spends(&mut self, account: Address, amount: i128) {
        *self.spent.entry(account).or_default() += amount;
    }

    fn beats(&mut self, node: Address, period: u64, now: Timestamp) -> Result<(), String> {
        let first = self.beats.entry(node).or_default().insert(period);
        match first && period == now.seconds() / PERIOD {
            true => Ok(()),
            false => Err(format!("{node} showed life in {period} at {now:?}")),
        }
    }

    /// An order ends: its node is paid to the second, and the rest is its owner's.
    fn ends(&mut self, deployment: u64, now: Timestamp, tx: ChainHash) -> Result<(Address, u128), String> {
        let order = self.order(deployment)?;
        let node = order.node;
        if let Some(lease) = order.lease.take() {
            let line = order.paid_in - (order.settled - lease.settled);
            let accrued = LeaseTerms { rate: lease.rate, started: lease.started }.accrued(now).0.min(line);
            if lease.settled != accrued {
                return Err(format!("the lease of {deployment} paid {} of {accrued}", lease.settled));
            }
            order.evicted = Some((lease, line, lease.settled_before(tx)));
        }
        (order.stands, order.node) = (Stands::Ended, None);
        let ended = (order.owner, order.paid_in - order.settled);
        if let Some(node) = node {
            self.lost.insert((deployment, node), now.0);
        }
        Ok(ended)
    }

    /// A silence costs what the documents say, to the unit, and is nobody's but who was silent.
    fn slashed(
        &mut self,
        deployment: u64,
        node: Address,
        period: u64,
        penalty: u128,
        finder: Address,
    ) -> Result<(), String> {
        self.missed += 1;
        let first = self.first_period;
        let beats = self.beats.entry(node).or_default();
        if beats.contains(&period) {
            return Err(format!("{node} showed life in {period} and lost {deployment}"));
        }
        let last = beats.last().copied().unwrap_or_default();
        let order = self.orders.get_mut(&deployment).ok_or_else(|| format!("{deployment} was never ordered"))?;
        let owner = order.owner;
        let (lease, line, before) = order.evicted.take().ok_or_else(|| format!("{deployment} had no lease to lose"))?;
        let started = lease.started.seconds();
        let since = if last > period {
            period * PERIOD
        } else {
            ((last + 1).max(first) * PERIOD).max(started.div_ceil(PERIOD) * PERIOD)
        };
        let owed = LeaseTerms { rate: lease.rate, started: lease.started }.accrued(Timestamp(since * 1000)).0;
        let paid = lease.settled;
        if paid != owed.min(line).max(before) || lease.node != node {
            return Err(format!("{node} was paid {paid} of {owed} for {deployment} until it fell silent"));
        }
        let stake = self.stakes.entry(node).or_default();
        if penalty != lease.rate.0.min(*stake) {
            return Err(format!("{node} lost {penalty} for an hour of {}", lease.rate));
        }
        *stake -= penalty;
        let to_finder = penalty / FINDER_SHARE;
        let claim = lease.rate.0 * u128::from(PERIOD) / HOUR + paid.saturating_sub(owed);
        let to_owner = claim.min(penalty - to_finder);
        for (account, share) in [(finder, to_finder), (owner, to_owner), (maker(), penalty - to_finder - to_owner)] {
            *self.owed.entry(account).or_default() += share;
        }
        Ok(())
    }
}
