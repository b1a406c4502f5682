//! The chain of a world: real contracts, blocks with their events, transactions that wait, and reorganisations.

use std::collections::{BTreeMap, HashMap};
use std::rc::Rc;

use nisse_market::{CopiedWrite, DeploymentView, EventAt, Fate, MarketCall, MarketCopy};
use nisse_model::Address;
use nisse_testkit::Random;

/// A transaction that waits, or did.
#[derive(Debug, Clone)]
pub(super) struct Tx {
    pub(super) from: Address,
    /// `None`: whichever is next when it comes into a block.
    pub(super) nonce: Option<u64>,
    pub(super) call: MarketCall,
}

/// An event with whose transaction it was.
pub(super) type Said = (Address, EventAt);

/// A block above the one that every world begins with.
struct Block {
    taken: Vec<Tx>,
    said: Vec<Said>,
}

/// Where a transaction of a nonce stands, and whether it did what it should.
#[derive(Debug, Clone, Copy)]
pub(super) struct Mined {
    pub(super) block: u64,
    pub(super) done: bool,
}

pub(super) struct Chain {
    pub(super) market: MarketCopy,
    first: u64,
    blocks: Vec<Block>,
    waiting: Vec<Tx>,
    mined: HashMap<(Address, u64), Mined>,
    views: HashMap<u64, Option<Rc<DeploymentView>>>,
    /// To which block each reorganisation went back.
    reorgs: Vec<u64>,
    /// Transactions that came into a block and changed nothing.
    pub(super) reverted: u64,
}

impl Chain {
    pub(super) fn new(market: MarketCopy) -> Self {
        let first = market.head().number + 1;
        Self {
            market,
            first,
            blocks: Vec::new(),
            waiting: Vec::new(),
            mined: HashMap::new(),
            views: HashMap::new(),
            reorgs: Vec::new(),
            reverted: 0,
        }
    }

    /// The newest block's number.
    pub(super) fn head(&self) -> u64 {
        self.first + self.blocks.len() as u64 - 1
    }

    /// The block that every world begins with.
    pub(super) fn first(&self) -> u64 {
        self.first - 1
    }

    /// Blocks that this world has made, one upon the other.
    pub(super) fn height(&self) -> usize {
        self.blocks.len()
    }

    pub(super) fn arrives(&mut self, tx: Tx) {
        self.waiting.push(tx);
    }

    /// Makes a block of what waits. What has no place yet waits on, what came twice is dropped.
    pub(super) fn seal(&mut self) -> &[Said] {
        let mut next: BTreeMap<Address, u64> = BTreeMap::new();
        let mut taken = Vec::new();
        loop {
            let before = taken.len();
            for tx in std::mem::take(&mut self.waiting) {
                let next = next.entry(tx.from).or_insert_with(|| self.market.nonce(tx.from));
                match tx.nonce {
                    Some(nonce) if nonce < *next => {}
                    Some(nonce) if nonce > *next => self.waiting.push(tx),
                    _ => {
                        taken.push((*next, tx));
                        *next += 1;
                    }
                }
            }
            if taken.len() == before {
                break;
            }
        }
        let write = |(nonce, tx): &(u64, Tx)| CopiedWrite { from: tx.from, nonce: *nonce, call: tx.call.clone() };
        let fates = self.market.seal(&taken.iter().map(write).collect::<Vec<_>>());
        let block = self.head() + 1;
        let mut said = Vec::new();
        for ((nonce, tx), fate) in taken.iter().zip(fates) {
            self.mined.insert((tx.from, *nonce), Mined { block, done: matches!(fate, Fate::Done(_)) });
            match fate {
                Fate::Done(events) => said.extend(events.into_iter().map(|event| (tx.from, event))),
                Fate::Reverted(_) => self.reverted += 1,
                Fate::NotNext => {}
            }
        }
        for (_, at) in &said {
            self.views.remove(&at.event.deployment().unwrap_or_default());
        }
        self.blocks.push(Block { taken: taken.into_iter().map(|(_, tx)| tx).collect(), said });
        &self.blocks.last().expect("it was made a moment ago").said
    }

    /// Undoes blocks. Their transactions wait again, in another order; of those whose senders see to them some are lost.
    pub(super) fn reorganise(&mut self, depth: usize, random: &mut Random) {
        let undone = self.blocks.split_off(self.blocks.len() - depth);
        self.market.undo(depth);
        let head = self.head();
        self.reorgs.push(head);
        self.mined.retain(|_, mined| mined.block <= head);
        self.views.clear();
        for tx in undone.into_iter().flat_map(|block| block.taken) {
            // Who signs knows its nonces, whatever block they come into.
            if tx.nonce.is_some() && random.once_in(6) {
                continue;
            }
            let place = random.index(self.waiting.len() + 1);
            self.waiting.insert(place, tx);
        }
    }

    /// How many reorganisations there were, and the lowest block that one behind the first `seen` went back to.
    pub(super) fn reorganised(&self, seen: usize) -> (usize, Option<u64>) {
        (self.reorgs.len(), self.reorgs[seen..].iter().min().copied())
    }

    /// What was said in one block.
    pub(super) fn said(&self, block: u64) -> &[Said] {
        &self.blocks[(block - self.first) as usize].said
    }

    /// All that was ever said and stands.
    pub(super) fn history(&self) -> impl Iterator<Item = &Said> {
        self.blocks.iter().flat_map(|block| &block.said)
    }

    /// What the contract says of a deployment now; `None` where there is none.
    pub(super) fn view(&mut self, number: u64) -> Option<Rc<DeploymentView>> {
        let market = &self.market;
        self.views.entry(number).or_insert_with(|| market.deployment(number).map(Rc::new)).clone()
    }

    /// Where the transaction of a nonce stands.
    pub(super) fn mined(&self, from: Address, nonce: u64) -> Option<Mined> {
        self.mined.get(&(from, nonce)).copied()
    }
}
