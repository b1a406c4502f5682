//! Heartbeats: shown once in a period, and told of those who show none, by the node's own rules.

use nisse_market::MarketCall;
use nisse_model::Hash256;
use nisse_node::rules::is_watched;
use nisse_orchestrator::{Period, Whose, ran_at};

use super::Node;
use crate::market::PERIOD;
use crate::market::scene::Scene;

/// An answer of the chain that is older says nothing of now.
const CHAIN_ANSWERS_MS: u64 = 15_000;

impl Node {
    pub(super) fn show_life(&mut self, scene: &mut Scene) {
        let period = Period::at(self.next_block_time(scene), PERIOD);
        if self.beating || period.number <= self.shown || !period.is_to_show(self.address) {
            return;
        }
        let Some(orchestrator) = &self.orchestrator else { return };
        let begins = period.begins();
        if !orchestrator.agents().values().any(|agent| ran_at(agent, begins)) || !self.reaches(scene) {
            return;
        }
        let last = scene.chain.market.last_heartbeat(self.address);
        if last >= period.number {
            self.shown = last;
            return;
        }
        let name = format!("heartbeat:{}:{}", period.number, scene.random.next_u64());
        self.beat(scene, name, MarketCall::Heartbeat { root: Hash256::ZERO });
    }

    pub(super) fn tell_of_silence(&mut self, scene: &mut Scene) {
        let period = Period::at(self.next_block_time(scene), PERIOD);
        let answers = self.answered.is_some_and(|at| scene.now - at < CHAIN_ANSWERS_MS);
        if !self.attended.look(period, answers) || period.number == self.told || !self.reaches(scene) {
            return;
        }
        if !period.is_to_tell(self.address, Whose::Anybodys) {
            return;
        }
        if self.orchestrator.as_ref().is_none_or(|orchestrator| orchestrator.is_draining()) {
            self.told = period.number;
            return;
        }
        let unheard = self.living.iter().filter(|(_, (node, started))| {
            let heard = self.heard.get(node).copied().unwrap_or_default();
            *node != self.address && heard < period.number && *started <= period.begins()
        });
        let unheard: Vec<_> = unheard.map(|(number, (node, _))| (*number, *node)).collect();
        let mut all = true;
        for (number, node) in unheard {
            if scene.chain.market.has_beaten(node, period.number) {
                continue;
            }
            let view = scene.chain.view(number);
            if view.is_none_or(|view| !is_watched(&view, node, period)) {
                continue;
            }
            let deployment = scene.chain.market.deployment_id(number);
            let call = MarketCall::SlashMissed { deployment: number, period: period.number };
            all &= self.submit(scene, format!("missed:{deployment}:{}", period.number), call);
        }
        if all {
            self.told = period.number;
        }
    }
}
