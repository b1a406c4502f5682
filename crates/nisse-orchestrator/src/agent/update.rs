//! The package that an update asked for, and what brings an agent up while one is under way.

use nisse_model::{DeploymentId, Resources};
use serde::{Deserialize, Serialize};

use super::{Agent, Placement};
use crate::action::Action;

/// What an update asked for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NextPackage {
    /// The market's count of update requests for this deployment.
    pub revision: u32,
    /// What is to run.
    pub placement: Placement,
    /// Gas that its answers may burn in each hour.
    #[serde(default)]
    pub gas_budget: u64,
}

impl Agent {
    /// The room that it holds. While an update is on its way that is the room of either package: which of them will run
    /// is not known yet.
    pub(crate) fn held(&self) -> Resources {
        let now = self.placement.resources;
        let then = self.next.as_ref().map_or(now, |next| next.placement.resources);
        Resources { cpu: now.cpu.max(then.cpu), memory: now.memory.max(then.memory), gpu: now.gpu || then.gpu }
    }

    /// The swap to the package that an update asked for. Where its owner asked for a rollback, the update to the package
    /// before the last one brings that package's state back.
    pub(crate) fn swap(&self, deployment: DeploymentId) -> Option<Action> {
        let next = self.next.clone()?;
        let incarnation = self.incarnation + 1;
        let back = self.rollback_asked && self.previous.as_ref() == Some(&next.placement.package);
        let restore = back.then_some(self.previous_revision);
        Some(Action::Swap { deployment, next, incarnation, restore })
    }

    /// What brings it up. Where an update is under way that is the swap to it: the new package may have begun to change
    /// the state, and only the swap puts back what it found before the old package runs again.
    pub(crate) fn bring_up(&mut self, deployment: DeploymentId) -> Action {
        match self.swap(deployment) {
            Some(swap) => {
                self.swapping = true;
                swap
            }
            None => Action::Prepare { deployment, placement: self.placement.clone() },
        }
    }
}
