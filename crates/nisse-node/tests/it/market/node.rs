//! An honest node: the real orchestrator and the real rules, over a journal, a wallet and a link to the chain that fail.
//!
//! A crash drops all that is not in the journal or in the wallet; what the orchestrator was before it must come out of
//! the journal again.

mod falling;
mod following;
mod living;
mod working;

use std::collections::{BTreeMap, BTreeSet, HashMap};

use nisse_model::{Address, AmountPerHour, ByteSize, Cpu, DeploymentId, Timestamp};
use nisse_node::rules::{Reader, Standing};
use nisse_orchestrator::{
    Accept, Agent, Attended, Capacity, Command, Decision, Effects, Event, Orchestrator, Policy, Prices, encode,
};

use super::scene::{Happening, Scene};
use super::template::{node_address, talos};
use super::wallet::Wallet;

pub(super) use falling::Fall;
use falling::print;
pub(super) use working::Step;
use working::Task;

/// How often a node looks at its clocks.
const TICK_MS: u64 = 5_000;
/// A clock is wrong by this much at most, either way.
const AHEAD_MS: u64 = 3_000;

/// When leases are to be read again.
#[derive(Debug, Clone)]
struct Check {
    due: u64,
    reorganised: bool,
    doubted: BTreeSet<DeploymentId>,
}

pub(super) struct Node {
    index: usize,
    pub(super) address: Address,
    reader: Reader,
    policy: Policy,
    /// `None` while it is down.
    orchestrator: Option<Orchestrator>,
    /// Counts its starts.
    life: u32,
    journal: Vec<Vec<u8>>,
    wallet: Wallet,
    /// How far its clock is ahead of what it may be behind at most.
    ahead_ms: u64,
    fall: Option<Fall>,
    down_ms: u64,
    /// Cut off until then.
    pub(super) cut_until: u64,
    /// Since when it is up and reaches the chain; and each time that it did before.
    in_touch: Option<u64>,
    touches: Vec<(u64, u64)>,
    /// What runs here, since when.
    pub(super) running: BTreeMap<DeploymentId, u64>,
    tickets: HashMap<DeploymentId, u64>,
    tasks: BTreeMap<String, Task>,
    look_due: bool,
    seen: u64,
    reorgs_seen: usize,
    check: Option<Check>,
    owed: bool,
    /// The newest block's time that it saw, and when.
    chain_time: (u64, u64),
    answered: Option<u64>,
    heard: BTreeMap<Address, u64>,
    living: BTreeMap<u64, (Address, u64)>,
    shown: u64,
    beating: bool,
    told: u64,
    attended: Attended,
}

impl Node {
    pub(super) fn new(index: usize, scene: &mut Scene) -> Self {
        let address = node_address(index);
        let price = AmountPerHour(talos(scene.between(5, 35)).0);
        let load_percent = *scene.random.pick(&[0, 0, 50, 200]);
        let policy = Policy {
            operator: address,
            accept: Accept::Any,
            capacity: Capacity {
                cpu: Cpu { millis: *scene.random.pick(&[1_000, 2_000, 4_000, 8_000]) },
                memory: ByteSize(8 << 30),
                gpu: false,
            },
            prices: Prices { floor: price, load_percent, ..Prices::default() },
            gas_budget_max: 6_000_000,
        };
        let wallet = Wallet::new(address, &scene.chain);
        let seen = scene.chain.head();
        let after = scene.between(0, TICK_MS);
        scene.in_ms(after, Happening::Starts(index));
        Self {
            index,
            address,
            reader: Reader { operator: address, standing: Standing::Newest },
            policy,
            orchestrator: None,
            life: 0,
            journal: Vec::new(),
            wallet,
            ahead_ms: scene.between(0, 2 * AHEAD_MS),
            fall: None,
            down_ms: 0,
            cut_until: 0,
            in_touch: None,
            touches: Vec::new(),
            running: BTreeMap::new(),
            tickets: HashMap::new(),
            tasks: BTreeMap::new(),
            look_due: false,
            seen,
            reorgs_seen: 0,
            check: None,
            owed: false,
            chain_time: (scene.now, scene.now),
            answered: None,
            heard: BTreeMap::new(),
            living: BTreeMap::new(),
            shown: 0,
            beating: false,
            told: 0,
            attended: Attended::default(),
        }
    }

    pub(super) fn is_up(&self) -> bool {
        self.orchestrator.is_some()
    }

    /// Since when it has been up and has reached the chain without a break.
    pub(super) fn in_touch(&self) -> Option<u64> {
        self.in_touch
    }

    /// The longest time, in milliseconds, that it was up and reached the chain without a break between two moments.
    pub(super) fn touch_between(&self, from: u64, to: u64, now: u64) -> u64 {
        let open = self.in_touch.map(|since| (since, now));
        let spans = self.touches.iter().copied().chain(open);
        spans.map(|(begin, end)| end.min(to).saturating_sub(begin.max(from))).max().unwrap_or_default()
    }

    pub(super) fn agent(&self, deployment: &DeploymentId) -> Option<&Agent> {
        self.orchestrator.as_ref()?.agent(deployment)
    }

    fn reaches(&self, scene: &Scene) -> bool {
        self.cut_until <= scene.now
    }

    /// The node's own clock.
    fn clock(&self, scene: &Scene) -> Timestamp {
        Timestamp(scene.now + self.ahead_ms - AHEAD_MS)
    }

    /// The time that a block made now would carry, as far as it can tell.
    fn next_block_time(&self, scene: &Scene) -> Timestamp {
        let (time, at) = self.chain_time;
        Timestamp((time + (scene.now - at)).max(self.clock(scene).0))
    }

    /// Touch with the chain begins or ends with what has changed.
    pub(super) fn retouch(&mut self, scene: &mut Scene) {
        let touches = self.is_up() && self.reaches(scene);
        match self.in_touch {
            None if touches => {
                let index = self.index;
                scene.tell(|| format!("node {index} is in touch"));
                self.in_touch = Some(scene.now);
                self.is_to_look(scene);
            }
            Some(since) if !touches => {
                let index = self.index;
                scene.tell(|| format!("node {index} is out of touch"));
                self.touches.push((since, scene.now));
                self.in_touch = None;
            }
            _ => {}
        }
    }

    /// The orchestrator is told of something.
    fn event(&mut self, scene: &mut Scene, event: Event) {
        let now = self.clock(scene);
        let Some(orchestrator) = &mut self.orchestrator else { return };
        let before = (self.fall == Some(Fall::BeforeItIsDurable)).then(|| print(orchestrator));
        let effects = orchestrator.handle(event, now);
        self.carry_out(scene, effects, before);
    }

    fn command(&mut self, scene: &mut Scene, deployment: DeploymentId, command: Command) {
        let now = self.clock(scene);
        let Some(orchestrator) = &mut self.orchestrator else { return };
        if let Ok(effects) = orchestrator.command(deployment, command, now) {
            self.carry_out(scene, effects, None);
        }
    }

    /// The operator takes no new work, or takes it again.
    pub(super) fn drain(&mut self, scene: &mut Scene, draining: bool) {
        let Some(orchestrator) = &mut self.orchestrator else { return };
        let effects = orchestrator.drain(draining);
        self.carry_out(scene, effects, None);
    }

    /// Decisions to the journal, then actions. `before`: what it was before a decision that will be lost.
    fn carry_out(&mut self, scene: &mut Scene, effects: Effects, before: Option<Vec<Vec<u8>>>) {
        let Effects { decisions, actions } = effects;
        if !decisions.is_empty() {
            scene.totals.decisions += decisions.len() as u64;
            match before {
                Some(before) => return self.falls(scene, before),
                None => self.journal.extend(decisions.iter().map(encode)),
            }
            let Some(orchestrator) = &self.orchestrator else { return };
            let (used, capacity) = (orchestrator.used(), self.policy.capacity);
            if used.cpu > capacity.cpu || used.memory > capacity.memory {
                let index = self.index;
                scene.violate(format!("node {index} lends {used:?} of {capacity:?}"));
            }
            for decision in &decisions {
                self.note(scene, decision);
            }
            if self.fall == Some(Fall::BeforeItIsDone) {
                let now = self.orchestrator.as_ref().map(print).unwrap_or_default();
                return self.falls(scene, now);
            }
        }
        for action in actions {
            self.perform(scene, action);
        }
    }

    fn note(&self, scene: &mut Scene, decision: &Decision) {
        let index = self.index;
        scene.tell(|| format!("node {index}: {decision:?}"));
    }

    pub(super) fn ticks(&mut self, scene: &mut Scene) {
        if !self.is_up() {
            return;
        }
        scene.in_ms(TICK_MS, Happening::Ticks(self.index));
        let chain = self.next_block_time(scene);
        self.event(scene, Event::Tick { chain });
        if self.reaches(scene) {
            self.answered = Some(scene.now);
            self.look_after_wallet(scene);
            self.read_again(scene);
        }
        if self.is_up() {
            self.show_life(scene);
            self.tell_of_silence(scene);
        }
    }
}
