//! Reading the chain's log as the watcher does: in order from where this node stands, what is undone before what came
//! instead, and leases again where the log cannot tell what is missing.

use std::collections::BTreeSet;

use nisse_market::MarketEvent;
use nisse_model::DeploymentId;
use nisse_node::rules::{is_doubtful, is_read_again};

use super::{Check, Node};
use crate::market::scene::{Happening, Scene};

/// How long a lease that a reorganisation took away may take to come back in another block.
const REORG_GRACE_MS: u64 = 3_000;
/// How long after the first look a lease that seems to be gone is looked at once more.
const UNDONE_AGAIN_MS: u64 = 15_000;
/// The longest time behind the chain.
const LAG_MS: u64 = 2_500;
const SLOW_LAG_MS: u64 = 25_000;

impl Node {
    /// A block was made, or this node is back: it looks in a while.
    pub(in crate::market) fn is_to_look(&mut self, scene: &mut Scene) {
        if !self.look_due && self.in_touch().is_some() {
            self.look_due = true;
            let most = if scene.random.once_in(40) { SLOW_LAG_MS } else { LAG_MS };
            let after = scene.between(50, most);
            scene.in_ms(after, Happening::Looks(self.index));
        }
    }

    pub(in crate::market) fn looks(&mut self, scene: &mut Scene) {
        self.look_due = false;
        if !self.is_up() || !self.reaches(scene) {
            return;
        }
        self.answered = Some(scene.now);
        self.chain_time = (scene.now, scene.now);
        let (reorgs, back_to) = scene.chain.reorganised(self.reorgs_seen);
        // The endpoint has yet to come to a block that was told of already.
        if scene.chain.head() < self.seen {
            return;
        }
        self.reorgs_seen = reorgs;
        let life = self.life;
        if back_to.is_some_and(|back_to| back_to < self.seen) {
            self.seen = back_to.unwrap_or(self.seen);
            self.owed = true;
            self.heard.clear();
            self.shown = 0;
            let due = scene.now + REORG_GRACE_MS;
            self.check = Some(Check { due, reorganised: true, doubted: BTreeSet::new() });
        }
        while self.seen < scene.chain.head() {
            let block = self.seen + 1;
            for index in 0..scene.chain.said(block).len() {
                self.hear(scene, block, index);
                // Nothing of a batch is skipped by who dies in it: the place was not written.
                if !self.is_up() || self.life != life {
                    return;
                }
            }
            self.seen = block;
        }
    }

    fn hear(&mut self, scene: &mut Scene, block: u64, index: usize) {
        let (_, at) = &scene.chain.said(block)[index];
        match &at.event {
            MarketEvent::Heartbeat { node, period, .. } => {
                let heard = self.heard.entry(*node).or_default();
                *heard = (*heard).max(*period);
            }
            MarketEvent::Started { deployment, node, started, .. } => {
                self.living.insert(*deployment, (*node, started.seconds()));
            }
            MarketEvent::Stopped { deployment, .. }
            | MarketEvent::Expired { deployment, .. }
            | MarketEvent::Reopened { deployment, .. } => {
                self.living.remove(deployment);
            }
            _ => {}
        }
        let Some(number) = at.event.deployment() else { return };
        let deployment = scene.chain.market.deployment_id(number);
        let meaning = match self.reader.meaning(deployment, at, None) {
            Some(meaning) => meaning,
            None => {
                let at = at.clone();
                let Some(view) = scene.chain.view(number) else { return };
                self.reader.meaning(deployment, &at, Some(&view)).expect("the contract was asked")
            }
        };
        if let Some(command) = meaning.command {
            self.command(scene, deployment, command);
        }
        for event in meaning.events {
            self.event(scene, event);
        }
    }

    /// Reads leases again where that is due.
    pub(super) fn read_again(&mut self, scene: &mut Scene) {
        // What the log tells comes first.
        let is_due = |check: &mut Check| check.due <= scene.now && self.seen == scene.chain.head();
        let Some(check) = self.check.take_if(is_due) else { return };
        let Some(orchestrator) = &self.orchestrator else { return };
        let whole = check.doubted.is_empty();
        let reorganised = check.reorganised && whole;
        let now = self.clock(scene);
        let again = orchestrator.agents().iter().filter(|(_, agent)| is_read_again(agent, check.reorganised, now));
        let agents: Vec<_> = again.map(|(deployment, agent)| (*deployment, agent.clone())).collect();
        let orders: Vec<(DeploymentId, bool)> = orchestrator.orders().collect();
        let (head, mut doubted) = (scene.chain.head(), BTreeSet::new());
        let here = |deployment: &DeploymentId| whole || check.doubted.contains(deployment);
        for (deployment, agent) in agents.into_iter().filter(|(deployment, _)| here(deployment)) {
            let view = scene.chain.view(deployment.number);
            let said = view.as_ref().filter(|_| reorganised);
            if let Some(call) = said.and_then(|view| self.reader.said_again(deployment, &agent, view)) {
                let hash = scene.chain.market.head().hash;
                self.say(scene, format!("again:{deployment}:{head}:{hash}"), call);
            }
            let events = self.reader.agent_again(deployment, &agent, view.as_deref());
            if is_doubtful(&events, check.doubted.contains(&deployment), false) {
                doubted.insert(deployment);
                continue;
            }
            events.into_iter().for_each(|event| self.event(scene, event));
        }
        for (deployment, bid) in orders.into_iter().filter(|_| reorganised) {
            let view = scene.chain.view(deployment.number);
            let events = self.reader.order_again(deployment, bid, view.as_deref(), head);
            events.into_iter().for_each(|event| self.event(scene, event));
        }
        if !self.is_up() {
            return;
        }
        match doubted.is_empty() {
            true => self.owed &= !check.reorganised,
            false => self.check = Some(Check { due: scene.now + UNDONE_AGAIN_MS, doubted, ..check }),
        }
    }
}
