//! A node's durable queue of transactions, as the real one keeps its promises: a name goes out once, with one nonce, the
//! same bytes again until they are in a block, and what fills a gap that a reorganisation tore.

use std::collections::BTreeMap;

use nisse_market::MarketCall;
use nisse_model::Address;

use super::chain::{Chain, Tx};
use super::scene::Scene;

/// How long an attempt waits before it goes out again.
const RESEND_MS: u64 = 30_000;
/// Blocks on top of a transaction before its outcome is final.
const CONFIRMATIONS: u64 = 2;
/// The network loses what one wallet sends no more often than this in a row: else nobody could promise anything.
const LOST_RUNNING_MAX: u32 = 2;

/// What stands under a name.
#[derive(Debug, Clone)]
struct Intent {
    nonce: u64,
    /// `None` until it is final.
    done: Option<bool>,
}

pub(super) struct Wallet {
    address: Address,
    next: u64,
    calls: BTreeMap<u64, MarketCall>,
    intents: BTreeMap<String, Intent>,
    /// Names whose outcome is not final, by nonce, with the last time that each went out and its losses in a row.
    pending: BTreeMap<u64, (String, u64, u32)>,
}

/// What is known of a name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Known {
    No,
    /// Under this name another write went out.
    Differs,
    Waits,
    Done(bool),
}

impl Wallet {
    pub(super) fn new(address: Address, chain: &Chain) -> Self {
        let next = chain.market.nonce(address);
        Self { address, next, calls: BTreeMap::new(), intents: BTreeMap::new(), pending: BTreeMap::new() }
    }

    pub(super) fn known(&self, name: &str, call: &MarketCall) -> Known {
        match self.intents.get(name) {
            None => Known::No,
            Some(intent) if self.calls.get(&intent.nonce) != Some(call) => Known::Differs,
            Some(Intent { done: Some(done), .. }) => Known::Done(*done),
            Some(_) => Known::Waits,
        }
    }

    /// Takes a write under a name, durably, and sends it.
    pub(super) fn submit(&mut self, scene: &mut Scene, name: String, call: MarketCall) {
        let nonce = self.next;
        self.next += 1;
        self.calls.insert(nonce, call);
        self.intents.insert(name.clone(), Intent { nonce, done: None });
        self.pending.insert(nonce, (name, scene.now, 0));
        self.send(scene, nonce);
    }

    /// Looks after what waits. Gives the names that have their outcome by now.
    pub(super) fn look(&mut self, scene: &mut Scene) -> Vec<(String, bool)> {
        let mut over = Vec::new();
        let head = scene.chain.head();
        for (nonce, (name, _, _)) in &self.pending {
            let mined = scene.chain.mined(self.address, *nonce);
            if let Some(mined) = mined.filter(|mined| mined.block + CONFIRMATIONS <= head) {
                over.push((*nonce, name.clone(), mined.done));
            }
        }
        for (nonce, name, done) in &over {
            self.pending.remove(nonce);
            if let Some(intent) = self.intents.get_mut(name) {
                intent.done = Some(*done);
            }
        }
        let due = |sent: u64| sent + RESEND_MS <= scene.now;
        let waits = |nonce: &u64| scene.chain.mined(self.address, *nonce).is_none();
        let again: Vec<u64> =
            self.pending.iter().filter(|(nonce, (_, sent, _))| due(*sent) && waits(nonce)).map(|(n, _)| *n).collect();
        // What left the chain after it was final is noticed by what cannot follow it.
        let gap = again.first().map(|first| scene.chain.market.nonce(self.address)..*first).unwrap_or(0..0);
        for nonce in gap.chain(again) {
            if let Some((_, sent, _)) = self.pending.get_mut(&nonce) {
                *sent = scene.now;
            }
            self.send(scene, nonce);
        }
        over.into_iter().map(|(_, name, done)| (name, done)).collect()
    }

    fn send(&mut self, scene: &mut Scene, nonce: u64) {
        let mut unseen = 0;
        let losses = self.pending.get_mut(&nonce).map_or(&mut unseen, |(_, _, losses)| losses);
        if *losses < LOST_RUNNING_MAX && scene.random.once_in(20) {
            *losses += 1;
            scene.totals.lost += 1;
            return;
        }
        let Some(call) = self.calls.get(&nonce).cloned() else { return };
        scene.send(Tx { from: self.address, nonce: Some(nonce), call });
    }
}
