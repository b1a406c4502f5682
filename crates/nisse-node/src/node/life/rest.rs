//! Pause and resume: by this node where it runs the agent, else by the owner's word on the market.

use std::time::Duration;

use nisse_orchestrator::Command;

use super::settle::{PAUSE, RESUME};
use crate::control::AgentStatus;
use crate::error::NodeError;
use crate::node::find::Found;
use crate::node::orders::Order;
use crate::node::{Node, market_error};

/// A node that answers none of so many questions is not waited for.
const SILENT_MAX: u32 = 3;
/// Between two questions whether another node has heeded the market.
const ASK_PAUSE: Duration = Duration::from_millis(500);

impl Node {
    /// Runs nothing; the lease and its price go on.
    pub async fn pause(&self, text: &str) -> Result<AgentStatus, NodeError> {
        self.rest(text, true).await
    }

    /// Runs again.
    pub async fn resume(&self, text: &str) -> Result<AgentStatus, NodeError> {
        self.rest(text, false).await
    }

    async fn rest(&self, text: &str, rest: bool) -> Result<AgentStatus, NodeError> {
        match self.find_running(text).await? {
            (deployment, Found::Agent(_)) => {
                self.carry_out(deployment, if rest { Command::Pause } else { Command::Resume }).await?;
                self.here(deployment).await
            }
            (_, Found::Order(order)) => self.rest_elsewhere(*order, rest).await,
        }
    }

    /// Says on the market whether an agent is to rest, and waits until the node that runs it says so too.
    async fn rest_elsewhere(&self, order: Order, rest: bool) -> Result<AgentStatus, NodeError> {
        let (verb, word, effect) = if rest { ("pause", "paused", PAUSE) } else { ("resume", "running", RESUME) };
        if order.runs_on().is_none() {
            return Err(order.not_here(verb));
        }
        let deployment = order.deployment;
        let market = self.market_of(self.owner_key(order.view.owner)?, &deployment)?;
        let intent = self.core.fresh_name(verb);
        let said = match rest {
            true => market.pause(&intent, deployment.number).await,
            false => market.resume(&intent, deployment.number).await,
        };
        said.map_err(|error| market_error(&error))?;
        // Where it cannot be asked, the market's word is all that is known.
        if let Ok(there) = self.elsewhere(order, verb) {
            let (mut answers, mut silent) = (false, 0);
            let heeded = tokio::time::timeout(effect.within, async {
                loop {
                    match there.state().await {
                        Some(state) if state == word => return,
                        Some(_) => answers = true,
                        None => silent += 1,
                    }
                    if !answers && silent == SILENT_MAX {
                        return;
                    }
                    if there.still_runs().await == Some(false) {
                        return;
                    }
                    tokio::time::sleep(ASK_PAUSE).await;
                }
            });
            if heeded.await.is_err() && answers {
                return Err(effect.not_yet(deployment));
            }
        }
        self.agent(&deployment.to_string()).await
    }
}
