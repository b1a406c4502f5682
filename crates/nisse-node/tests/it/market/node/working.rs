//! What the orchestrator asks for, done: an agent's own steps in its lane, and writes that are tried as the node tries
//! them.

use nisse_market::MarketCall;
use nisse_model::DeploymentId;
use nisse_node::rules::{Asked, reopened, tries_max};
use nisse_orchestrator::{Action, ActionResult, Event, FailureStage, MarketStep, PrepareError};

use super::Node;
use crate::market::scene::{Happening, Scene};
use crate::market::template::STAKE;
use crate::market::wallet::Known;

/// The first rest of a write that the contract would refuse now; it doubles.
const REFUSED_RETRY_MS: u64 = 250;
/// The rest where the chain does not answer.
const RETRY_MS: u64 = 5_000;

/// A step of a node's work.
#[derive(Debug)]
pub(in crate::market) enum Step {
    Inspected(DeploymentId),
    LookedAgain(DeploymentId),
    Prepared(DeploymentId, u64),
    Started(DeploymentId, u64),
    Swapped(DeploymentId, u32, u64),
    Tried(Box<Task>),
}

/// What follows from a write's outcome.
#[derive(Debug, Clone)]
enum After {
    Step(DeploymentId, MarketStep),
    Otherwise(String, Box<MarketCall>),
    Beat,
    Nothing,
}

/// A write under way.
#[derive(Debug, Clone)]
pub(in crate::market) struct Task {
    name: String,
    call: MarketCall,
    after: After,
    tries: u32,
}

impl Node {
    pub(super) fn perform(&mut self, scene: &mut Scene, action: Action) {
        if !self.is_up() {
            return;
        }
        if let Some(asked) = Asked::of(&action, self.next_block_time(scene)) {
            let Asked { deployment, intent, call, step, otherwise } = asked;
            let after = match (step, otherwise) {
                (Some(step), _) => After::Step(deployment, step),
                (None, Some((name, call))) => After::Otherwise(name, Box::new(call)),
                (None, None) => After::Nothing,
            };
            return self.attempt(scene, Task { name: intent, call, after, tries: 0 });
        }
        let slow = scene.random.once_in(25);
        let most = if slow { 90_000 } else { 15_000 };
        let (after, step) = match action {
            Action::Inspect { deployment, .. } => (scene.between(200, most / 3), Step::Inspected(deployment)),
            Action::LookAgain { deployment } => (scene.between(100, 1_000), Step::LookedAgain(deployment)),
            Action::Prepare { deployment, .. } => {
                (scene.between(500, most), Step::Prepared(deployment, self.ticket(deployment)))
            }
            Action::Start { deployment, .. } => {
                (scene.between(100, most / 5), Step::Started(deployment, self.ticket(deployment)))
            }
            Action::Swap { deployment, next, .. } => {
                (scene.between(500, most), Step::Swapped(deployment, next.revision, self.ticket(deployment)))
            }
            Action::Halt { deployment } => {
                *self.tickets.entry(deployment).or_default() += 1;
                self.running.remove(&deployment);
                return;
            }
            _ => return,
        };
        self.later(scene, after, step);
    }

    fn later(&self, scene: &mut Scene, after_ms: u64, step: Step) {
        scene.in_ms(after_ms, Happening::Done { node: self.index, life: self.life, step });
    }

    fn ticket(&self, deployment: DeploymentId) -> u64 {
        self.tickets.get(&deployment).copied().unwrap_or_default()
    }

    /// A step is done, if nobody held it back.
    pub(in crate::market) fn done(&mut self, scene: &mut Scene, life: u32, step: Step) {
        if life != self.life || !self.is_up() {
            return;
        }
        let failed = |stage, reason: &str| PrepareError { stage, reason: reason.to_owned() };
        let (deployment, result) = match step {
            Step::Tried(task) => return self.attempt(scene, *task),
            Step::LookedAgain(deployment) => return self.look_again(scene, deployment),
            Step::Inspected(deployment) => {
                let bad = scene.random.once_in(60);
                let result = if bad { Err(failed(FailureStage::Fetch, "nobody has it")) } else { Ok(()) };
                (deployment, ActionResult::Inspected(result))
            }
            Step::Prepared(deployment, ticket)
            | Step::Started(deployment, ticket)
            | Step::Swapped(deployment, _, ticket)
                if ticket != self.ticket(deployment) =>
            {
                return;
            }
            Step::Prepared(deployment, _) => {
                let bad = scene.random.once_in(60);
                let result = if bad { Err(failed(FailureStage::Compile, "no room")) } else { Ok(()) };
                (deployment, ActionResult::Prepared(result))
            }
            Step::Started(deployment, _) => {
                let bad = scene.random.once_in(80);
                if !bad {
                    self.running.insert(deployment, scene.now);
                }
                (deployment, ActionResult::Started(if bad { Err("it trapped".to_owned()) } else { Ok(()) }))
            }
            Step::Swapped(deployment, revision, _) => {
                scene.totals.swaps += 1;
                let result = match scene.random.below(12) {
                    0 => {
                        self.running.remove(&deployment);
                        let error = failed(FailureStage::Node, "the disk is full");
                        ActionResult::SwapLost { revision, error }
                    }
                    1 => ActionResult::Swapped { revision, result: Err(failed(FailureStage::Link, "no grant")) },
                    _ => {
                        self.running.insert(deployment, scene.now);
                        ActionResult::Swapped { revision, result: Ok(()) }
                    }
                };
                (deployment, result)
            }
        };
        self.event(scene, Event::Finished { deployment, result });
    }

    fn look_again(&mut self, scene: &mut Scene, deployment: DeploymentId) {
        if !self.reaches(scene) {
            return self.later(scene, RETRY_MS, Step::LookedAgain(deployment));
        }
        let head = scene.chain.head();
        let view = scene.chain.view(deployment.number);
        let opened = view.and_then(|view| reopened(&view, deployment, view.deadline, head));
        self.event(scene, opened.map(Event::OrderStands).unwrap_or(Event::OrderGone { deployment }));
    }

    /// Writes: a name that is known is not sent again, and what the contract would refuse is tried a few times.
    fn attempt(&mut self, scene: &mut Scene, task: Task) {
        if !self.is_up() {
            return;
        }
        match self.wallet.known(&task.name, &task.call) {
            Known::Done(done) => return self.over(scene, task.after, done),
            Known::Differs => return self.over(scene, task.after, false),
            Known::Waits => {
                self.tasks.insert(task.name.clone(), task);
                return;
            }
            Known::No => {}
        }
        let once = matches!(task.after, After::Beat);
        if !self.reaches(scene) {
            return match once {
                true => self.over(scene, task.after, false),
                false => self.later(scene, RETRY_MS, Step::Tried(Box::new(task))),
            };
        }
        if let Err(refusal) = scene.chain.market.check(self.address, &task.call) {
            let index = self.index;
            scene.tell(|| format!("node {index} is refused {}: {refusal}", task.name));
            let tries = task.tries + 1;
            if once || tries >= tries_max(&task.call) {
                return self.over(scene, task.after, false);
            }
            return self.later(scene, REFUSED_RETRY_MS << (tries - 1), Step::Tried(Box::new(Task { tries, ..task })));
        }
        let index = self.index;
        scene.tell(|| format!("node {index} sends {}", task.name));
        self.wallet.submit(scene, task.name.clone(), task.call.clone());
        self.tasks.insert(task.name.clone(), task);
    }

    /// A write that nobody waits for. Says whether the chain takes it.
    pub(super) fn submit(&mut self, scene: &mut Scene, name: String, call: MarketCall) -> bool {
        let known = self.wallet.known(&name, &call);
        if known == Known::No && scene.chain.market.check(self.address, &call).is_err() {
            return false;
        }
        if known == Known::No {
            self.wallet.submit(scene, name, call);
        }
        true
    }

    pub(super) fn beat(&mut self, scene: &mut Scene, name: String, call: MarketCall) {
        self.beating = true;
        self.attempt(scene, Task { name, call, after: After::Beat, tries: 0 });
    }

    /// A write that has a name of its own, with nothing behind it.
    pub(super) fn say(&mut self, scene: &mut Scene, name: String, call: MarketCall) {
        self.attempt(scene, Task { name, call, after: After::Nothing, tries: 0 });
    }

    pub(super) fn look_after_wallet(&mut self, scene: &mut Scene) {
        for (name, done) in self.wallet.look(scene) {
            if let Some(task) = self.tasks.remove(&name) {
                self.over(scene, task.after, done);
            }
        }
    }

    fn over(&mut self, scene: &mut Scene, after: After, done: bool) {
        match after {
            After::Beat => {
                self.beating = false;
                if done {
                    self.shown = scene.chain.market.last_heartbeat(self.address);
                }
            }
            After::Step(deployment, step) if !done => {
                let result = ActionResult::NotTaken(step);
                self.event(scene, Event::Finished { deployment, result });
            }
            After::Otherwise(name, call) if !done => self.say(scene, name, *call),
            _ => {}
        }
    }

    /// What a slash has taken is laid down again at a start.
    pub(super) fn lay_down_stake(&mut self, scene: &mut Scene) {
        if !self.reaches(scene) {
            return;
        }
        let stake = scene.chain.market.node(self.address).map(|node| node.stake).unwrap_or(STAKE);
        if let Some(amount) = STAKE.checked_sub(stake).filter(|amount| amount.0 > 0) {
            let name = format!("node/stake/{}", scene.chain.head());
            self.say(scene, name, MarketCall::AddStake { amount });
        }
    }
}
