//! How a node dies, and comes out of its journal as it was.

use std::collections::BTreeSet;

use nisse_model::AmountPerHour;
use nisse_orchestrator::{Attended, Orchestrator, decode, encode};

use super::{Check, Node, TICK_MS};
use crate::market::scene::{Happening, Scene};

/// Blocks of the log that may be told again after a start, at most: the place in it is not synced.
const TOLD_AGAIN_MAX: u64 = 12;

/// When a node falls, seen from its next decision.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::market) enum Fall {
    /// It is lost, and so is what would have been done.
    BeforeItIsDurable,
    /// It is durable, and nothing of it is done.
    BeforeItIsDone,
}

impl Node {
    /// The process dies at its next decision, or now.
    pub(in crate::market) fn is_to_fall(&mut self, scene: &mut Scene, fall: Option<Fall>, down_ms: u64) {
        let Some(orchestrator) = &self.orchestrator else { return };
        self.down_ms = down_ms;
        match fall {
            Some(fall) => self.fall = Some(fall),
            None => {
                let now = print(orchestrator);
                self.falls(scene, now);
            }
        }
    }

    /// It dies. What it was, as far as that is durable, must come out of the journal.
    pub(super) fn falls(&mut self, scene: &mut Scene, was: Vec<Vec<u8>>) {
        let index = self.index;
        scene.totals.crashes += 1;
        scene.tell(|| format!("node {index} dies"));
        match self.restored() {
            Ok(restored) if print(&restored) == was => {}
            Ok(restored) => {
                let (is, was) = (print(&restored), was);
                let other = is.iter().zip(&was).find(|(is, was)| is != was);
                let other = other.map(|(is, was)| (String::from_utf8_lossy(is), String::from_utf8_lossy(was)));
                scene.violate(format!(
                    "node {index} was restored as another: {other:?}, {} of {}",
                    is.len(),
                    was.len()
                ));
            }
            Err(error) => scene.violate(format!("node {index} does not read its journal: {error}")),
        }
        self.orchestrator = None;
        self.fall = None;
        self.running.clear();
        self.tasks.clear();
        self.retouch(scene);
        scene.in_ms(self.down_ms, Happening::Starts(index));
    }

    fn restored(&self) -> Result<Orchestrator, String> {
        let mut orchestrator = Orchestrator::new(self.policy.clone());
        for bytes in &self.journal {
            orchestrator.restore(&decode(bytes).map_err(|error| error.to_string())?);
        }
        Ok(orchestrator)
    }

    /// It comes up: the journal, then what is to be done after it was read.
    pub(in crate::market) fn starts(&mut self, scene: &mut Scene) {
        if self.is_up() {
            return;
        }
        let Ok(mut orchestrator) = self.restored() else { return };
        self.life += 1;
        if scene.random.once_in(3) {
            self.journal = orchestrator.compacted().iter().map(encode).collect();
        }
        if self.life > 1 {
            let again = scene.random.below(TOLD_AGAIN_MAX);
            self.seen = self.seen.saturating_sub(again).max(scene.chain.first());
        }
        (self.shown, self.beating, self.told, self.attended) = (0, false, 0, Attended::default());
        (self.answered, self.look_due) = (None, false);
        self.check = Some(Check { due: scene.now, reorganised: self.owed, doubted: BTreeSet::new() });
        let effects = orchestrator.boot(self.clock(scene));
        self.orchestrator = Some(orchestrator);
        self.retouch(scene);
        self.carry_out(scene, effects, None);
        self.lay_down_stake(scene);
        scene.in_ms(TICK_MS, Happening::Ticks(self.index));
    }

    /// Nothing befalls it any more.
    pub(in crate::market) fn heals(&mut self, scene: &mut Scene) {
        (self.fall, self.cut_until) = (None, scene.now);
        self.starts(scene);
        self.retouch(scene);
        self.drain(scene, false);
    }

    /// Its prices change by this factor, in percent, with its next start.
    pub(in crate::market) fn reprice(&mut self, percent: u64) {
        let floor = &mut self.policy.prices.floor;
        *floor = AmountPerHour(floor.0 * u128::from(percent) / 100);
    }
}

/// An orchestrator as its journal would begin anew.
pub(super) fn print(orchestrator: &Orchestrator) -> Vec<Vec<u8>> {
    orchestrator.compacted().iter().map(encode).collect()
}
