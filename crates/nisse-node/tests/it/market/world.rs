//! One world, from its seed to its end: everything that happens in it happens here, one after the other.

use nisse_market::MarketCall;
use nisse_testkit::Random;

use super::books::Books;
use super::chain::{Chain, Tx};
use super::griefers::{Griefer, griefers};
use super::judge;
use super::node::Node;
use super::owners::{Owner, owners};
use super::scene::{Happening, Scene};
use super::template::{CAPACITY, KNOWN_AFTER, NODES_MAX, STAKE, known_market, market, node_address};
use super::totals::Totals;
use super::weather::{CLIMATES_MS, befalls, heals, price_shock};
use super::{HEALED_MS, PATIENCE_MS, PERIOD};

/// From block to block.
const BLOCK_MS: u64 = 4_000;
/// How often the world is judged, and after how many times its money is counted.
const JUDGED_MS: u64 = 20_000;
const COUNTED_EVERY: u64 = 45;

pub(super) struct World {
    scene: Scene,
    nodes: Vec<Node>,
    owners: Vec<Owner>,
    griefers: Vec<Griefer>,
    books: Books,
    /// As they were when the world began.
    opening: Books,
    begun: u64,
    shock_at: Option<u64>,
    climate_ms: u64,
    reorganised: u64,
    judged: u64,
}

impl World {
    pub(super) fn new(seed: u64, told: usize) -> Self {
        let mut random = Random::new(seed);
        // In every other world some nodes are known, and orders that ask for that.
        let known = !seed.is_multiple_of(2);
        let (market, later) = if known { (known_market(), KNOWN_AFTER) } else { (market(), 0) };
        let opening = Books::of(&market);
        // In some period, at some moment of it.
        let begun = (super::BEGINS + later + random.below(2 * PERIOD)) * 1_000;
        let count = 3 + random.index(NODES_MAX - 2);
        let mut scene = Scene::new(Chain::new(market), random, begun, told);
        scene.chain.market.pass_to(begun / 1_000);
        for address in (0..count).map(node_address) {
            if scene.chain.market.node(address).is_some() {
                continue;
            }
            let endpoint = "http://127.0.0.1:1/".to_owned();
            let call = MarketCall::Register { endpoint, capacity: CAPACITY, stake: STAKE };
            scene.chain.arrives(Tx { from: address, nonce: None, call });
        }
        scene.totals.worlds = 1;
        scene.totals.nodes = count as u64;
        let mut world = Self {
            nodes: Vec::new(),
            owners: Vec::new(),
            griefers: Vec::new(),
            books: opening.clone(),
            opening,
            begun,
            shock_at: Some(begun + HEALED_MS / 5 + scene.random.below(HEALED_MS / 2)),
            climate_ms: *scene.random.pick(&CLIMATES_MS),
            reorganised: 0,
            judged: 0,
            scene,
        };
        world.block();
        world.nodes = (0..count).map(|index| Node::new(index, &mut world.scene)).collect();
        let mut wishes = known.then(|| Random::new(!seed));
        world.owners = owners(&mut world.scene, wishes.as_mut());
        world.griefers = griefers(&mut world.scene);
        world.scene.in_ms(CLIMATES_MS[0], Happening::Weather);
        world.scene.in_ms(JUDGED_MS, Happening::Judged);
        world
    }

    /// Lives the world to its end: what happened, or what was broken.
    pub(super) fn live(self) -> Result<Totals, String> {
        self.tell().0
    }

    /// The same, with the story of it.
    pub(super) fn tell(mut self) -> (Result<Totals, String>, String) {
        let end = self.begun + HEALED_MS + PATIENCE_MS;
        while self.scene.now < end && self.scene.violation.is_none() {
            let happening = self.scene.next();
            self.happens(happening);
        }
        if self.scene.violation.is_none() {
            judge::all_ended(&mut self.scene, &self.books);
            judge::count_money(&mut self.scene, &self.books);
            judge::all_drawn(&mut self.scene);
        }
        self.scene.totals.leases = self.books.started;
        self.scene.totals.reopenings = self.books.reopened;
        self.scene.totals.reverted = self.scene.chain.reverted;
        let story = self.scene.story();
        (self.scene.violation.map_or(Ok(self.scene.totals), Err), story)
    }

    fn happens(&mut self, happening: Happening) {
        let scene = &mut self.scene;
        match happening {
            Happening::Block => self.block(),
            Happening::Arrives(tx) => scene.chain.arrives(*tx),
            Happening::Looks(node) => self.nodes[node].looks(scene),
            Happening::Ticks(node) => self.nodes[node].ticks(scene),
            Happening::Done { node, life, step } => self.nodes[node].done(scene, life, step),
            Happening::Starts(node) => self.nodes[node].starts(scene),
            Happening::Reaches(node) => self.nodes[node].retouch(scene),
            Happening::Weather => self.weather(),
            Happening::Owner(owner) => self.owners[owner].looks(scene, &self.books),
            Happening::Griefer(griefer) => self.griefers[griefer].acts(scene, &self.books),
            Happening::Judged => self.judge(),
        }
    }

    /// A block is made, and everybody who can will look at it.
    fn block(&mut self) {
        let scene = &mut self.scene;
        scene.in_ms(BLOCK_MS, Happening::Block);
        let said = scene.chain.seal().to_vec();
        for one in &said {
            scene.tell(|| format!("{}: {:?}", one.0.short(), one.1.event));
            let honest = self.nodes.iter().any(|node| node.address == one.0);
            match &one.1.event {
                nisse_market::MarketEvent::Heartbeat { .. } => scene.totals.heartbeats += u64::from(honest),
                nisse_market::MarketEvent::Started { .. } => scene.totals.honest_leases += u64::from(honest),
                nisse_market::MarketEvent::Assigned { deployment, node, .. } => {
                    judge::is_fair(scene, &self.books, *deployment, *node);
                }
                _ => {}
            }
            match self.books.hear(one) {
                Ok(None) => {}
                Ok(Some(missed)) => judge::slashed(scene, &self.nodes, missed),
                Err(text) => scene.violate(text),
            }
        }
        self.nodes.iter_mut().for_each(|node| node.is_to_look(scene));
    }

    fn weather(&mut self) {
        let scene = &mut self.scene;
        if scene.now > self.begun + HEALED_MS {
            return heals(scene, &mut self.nodes);
        }
        let after = scene.between(self.climate_ms / 8, self.climate_ms);
        scene.in_ms(after, Happening::Weather);
        if self.shock_at.take_if(|at| *at < scene.now).is_some() {
            price_shock(scene, &mut self.nodes);
        }
        let before = scene.totals.reorganisations;
        befalls(scene, &mut self.nodes);
        if scene.totals.reorganisations > before {
            self.reorganised = scene.now;
            self.books = self.opening.clone();
            for said in scene.chain.history() {
                // What was wrong with it was said when it was heard first.
                let _ = self.books.hear(said);
            }
        }
    }

    fn judge(&mut self) {
        self.scene.in_ms(JUDGED_MS, Happening::Judged);
        judge::one_at_most(&mut self.scene, &self.nodes, &self.books, self.reorganised);
        judge::known(&mut self.scene, &self.nodes, &self.books, self.reorganised);
        self.judged += 1;
        if self.judged.is_multiple_of(COUNTED_EVERY) {
            judge::count_money(&mut self.scene, &self.books);
        }
    }
}
