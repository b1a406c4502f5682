//! What every actor of the world shares: the time, what is to happen, the chain, chance, and what was counted.

use std::collections::{BTreeMap, VecDeque};

use nisse_market::MarketCall;
use nisse_model::Address;
use nisse_testkit::Random;

use super::chain::{Chain, Tx};
use super::node::Step;
use super::totals::Totals;

/// The longest line of a story.
const LINE_MAX: usize = 180;
/// How long a transaction is on its way, in milliseconds, and how long a slow one.
const WAY_MS: u64 = 3_000;
const SLOW_WAY_MS: u64 = 30_000;

/// Something that is to happen.
#[derive(Debug)]
pub(super) enum Happening {
    /// A block is made.
    Block,
    /// A transaction reaches those who make blocks.
    Arrives(Box<Tx>),
    /// A node reads the chain's log.
    Looks(usize),
    /// A node looks at its clocks.
    Ticks(usize),
    /// A step of a node's work is done; of an earlier life of the node nothing is.
    Done { node: usize, life: u32, step: Step },
    /// A node that fell starts again.
    Starts(usize),
    /// A node reaches the chain again.
    Reaches(usize),
    /// Something befalls the world.
    Weather,
    /// An owner looks after its orders.
    Owner(usize),
    /// A griefer does its worst.
    Griefer(usize),
    /// The world is judged; every so often its money is counted.
    Judged,
}

/// What the actors share.
pub(super) struct Scene {
    pub(super) now: u64,
    agenda: BTreeMap<(u64, u64), Happening>,
    pushed: u64,
    pub(super) chain: Chain,
    pub(super) random: Random,
    pub(super) totals: Totals,
    /// Nothing befalls the world any more.
    pub(super) healed: bool,
    pub(super) violation: Option<String>,
    /// Told only where it is asked for: a world that fails is played again.
    story: Option<VecDeque<String>>,
    /// The most lines of it.
    told: usize,
}

impl Scene {
    pub(super) fn new(chain: Chain, random: Random, now: u64, told: usize) -> Self {
        Self {
            now,
            agenda: BTreeMap::new(),
            pushed: 0,
            chain,
            random,
            totals: Totals::default(),
            healed: false,
            violation: None,
            story: (told > 0).then(VecDeque::new),
            told,
        }
    }

    /// Lets something happen in a while.
    pub(super) fn in_ms(&mut self, after_ms: u64, happening: Happening) {
        self.pushed += 1;
        self.agenda.insert((self.now + after_ms, self.pushed), happening);
    }

    /// What happens next; time goes on to it.
    pub(super) fn next(&mut self) -> Happening {
        let ((at, _), happening) = self.agenda.pop_first().expect("blocks are made for ever");
        self.now = at;
        self.chain.market.pass_to(at / 1000);
        happening
    }

    /// A number of milliseconds between these.
    pub(super) fn between(&mut self, least: u64, most: u64) -> u64 {
        least + self.random.below(most - least + 1)
    }

    /// The network takes a transaction to those who make blocks: at once, late, or twice.
    pub(super) fn send(&mut self, tx: Tx) {
        self.totals.sent += 1;
        let slow = self.random.once_in(30);
        let way = if slow { SLOW_WAY_MS } else { WAY_MS };
        // Without a nonce it would be done twice.
        if tx.nonce.is_some() && self.random.once_in(25) {
            self.totals.doubled += 1;
            let late = self.between(100, SLOW_WAY_MS);
            self.in_ms(late, Happening::Arrives(Box::new(tx.clone())));
        }
        let after = self.between(100, way);
        self.in_ms(after, Happening::Arrives(Box::new(tx)));
    }

    /// The transaction of somebody whose nonces are nobody's concern.
    pub(super) fn write(&mut self, from: Address, call: MarketCall) {
        self.send(Tx { from, nonce: None, call });
    }

    /// A promise was broken.
    pub(super) fn violate(&mut self, text: String) {
        self.tell(|| format!("VIOLATION {text}"));
        self.violation.get_or_insert(text);
    }

    /// Tells what happened.
    pub(super) fn tell(&mut self, line: impl FnOnce() -> String) {
        let Some(story) = &mut self.story else { return };
        if story.len() == self.told {
            story.pop_front();
        }
        let any = self.chain.market.deployment_id(0);
        let line = line()
            .replace(&format!("DeploymentId {{ chain: {}, contract: {}, number: ", any.chain, any.contract), "#(");
        let line: String = line.chars().take(LINE_MAX).collect();
        story.push_back(format!("{:5} {:<5} {line}", self.now / 1000 % 100_000, self.chain.head()));
    }

    /// What was told, the last of it.
    pub(super) fn story(&self) -> String {
        self.story.iter().flatten().map(|line| format!("  {line}\n")).collect()
    }
}
