//! States as updates found them: kept under a pin before anything happens to them, and put back where an update comes to
//! no end.
//!
//! While an update is not answered and its pin stands, the state may be what the new package has begun to make of it.
//! Nothing of the old package has run since the pin was made, and nothing runs on that state before it has been put back
//! and the pin is gone: so putting it back takes nothing away that anybody was promised.

use std::sync::Arc;
use std::time::Duration;

use nisse_content::{PinKind, PinName};
use nisse_model::{Address, AgentName, ContentId, DeploymentId};
use nisse_orchestrator::{Agent, Orchestrator, Placement};
use tokio::time::{sleep, timeout};

use crate::core::Core;
use crate::error::{ErrorKind, NodeError};
use crate::packages::{self, on_disk};

/// How long an ended deployment may take to let go of a state that another one waits for: its package may be compiling.
const LET_GO_MAX: Duration = Duration::from_secs(180);
/// How long to rest before the orchestrator is asked again, which decides nothing while its disk refuses.
const LOOK_AGAIN: Duration = Duration::from_millis(250);

/// Whose state.
pub(super) type Key = (Address, AgentName);

/// The pin of the state as it was before the update of this number.
pub(crate) fn kept_name(deployment: DeploymentId, revision: u32) -> PinName {
    PinKind::State.name(format_args!("{deployment}/{revision}"))
}

/// Reads the orchestrator's state, as soon as it decides anything.
pub(super) async fn look<T: Send + 'static>(
    core: &Core,
    look: impl FnOnce(&Orchestrator) -> T + Clone + Send + 'static,
) -> T {
    loop {
        match core.driver.look(look.clone()).await {
            Ok(seen) => return seen,
            // A node that goes down ends this task.
            Err(_) => sleep(LOOK_AGAIN).await,
        }
    }
}

/// The state as it was before one update.
pub(super) struct Kept<'a> {
    core: &'a Arc<Core>,
    key: &'a Key,
    revision: u32,
    pin: PinName,
}

impl<'a> Kept<'a> {
    /// Before the update of this number.
    pub(super) fn before(core: &'a Arc<Core>, deployment: DeploymentId, revision: u32, key: &'a Key) -> Self {
        Self { core, key, revision, pin: kept_name(deployment, revision) }
    }

    fn cid(&self) -> Option<ContentId> {
        self.core.pinned(self.pin.as_str())
    }

    /// Whether the update has begun to change the state.
    pub(super) fn is_there(&self) -> bool {
        self.cid().is_some()
    }

    /// Keeps the state that the update finds; an earlier try at the same update has kept it already, and it is put back.
    pub(super) async fn keep(self) -> Result<(), NodeError> {
        if self.cid().is_some() {
            return self.bring_back().await;
        }
        packages::keep_state(self.core, self.pin, self.key.0, &self.key.1).await.map(drop)
    }

    /// Puts it in place.
    pub(super) async fn bring_back(&self) -> Result<(), NodeError> {
        let Some(cid) = self.cid() else {
            let revision = self.revision;
            let text = format!("failed to put the state before update {revision} back: it is not in the content store");
            return Err(NodeError::new(ErrorKind::NotFound, "state_gone", text));
        };
        let export = on_disk(self.core, "read a kept state", move |core| {
            let read = core.content.read_file(cid, nisse_store::SNAPSHOT_BYTES_MAX);
            read.map_err(|error| NodeError::caused(ErrorKind::Failed, "content_failed", &error))
        });
        packages::replace_state(self.core, self.key.0, &self.key.1, cid, export.await?).await
    }

    /// Undoes what an update that comes to no end made of the state, and forgets that it began: the next try keeps the
    /// state that it finds itself. Nothing where the state was not touched.
    pub(super) async fn put_back(self) -> Result<(), NodeError> {
        if self.cid().is_none() {
            return Ok(());
        }
        self.bring_back().await?;
        on_disk(self.core, "forget an update's state", move |core| {
            // Behind the applied mark, recovery reads the export no more: only then may it go.
            core.states.flush().map_err(|error| packages::state_failed(&error))?;
            let unpinned = core.content.unpin(self.pin.as_str());
            unpinned.map_err(|error| NodeError::caused(ErrorKind::Failed, "content_failed", &error))
        })
        .await
    }
}

/// Sees to it, before a package starts, that whatever ran on its state has let go of it, and that no update's half
/// work is left in it.
pub(super) async fn settle(core: &Arc<Core>, deployment: DeploymentId, placement: &Placement) -> Result<(), NodeError> {
    let key = placement.key();
    let wanted = key.clone();
    let deployments = look(core, move |all| {
        let same = |(_, agent): &(&DeploymentId, &Agent)| agent.placement.key() == wanted;
        let unanswered = |agent: &Agent| agent.next.as_ref().map(|next| next.revision);
        let told = |(id, agent): (&DeploymentId, &Agent)| (*id, agent.life.is_live(), unanswered(agent));
        all.agents().iter().filter(same).map(told).collect::<Vec<_>>()
    })
    .await;
    for (other, live, unanswered) in deployments {
        if other != deployment {
            // The state is that one's then, and this start is over.
            if live {
                continue;
            }
            if let Some(lane) = core.lanes.known(&other)
                && timeout(LET_GO_MAX, lane.idle()).await.is_err()
            {
                let text = format!("failed to take the state over: {other} did not let go of it in time");
                return Err(NodeError::new(ErrorKind::Busy, "state_busy", text));
            }
        }
        if let Some(revision) = unanswered {
            Kept::before(core, other, revision, &key).put_back().await?;
        }
    }
    Ok(())
}
