//! What agents committed to spaces, on its way there: of each agent in the order of its commits, and each until it is made or
//! can never be.
//!
//! The journal is the outbox. What is not made yet holds its place there; what was made stands with its place in the space.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use nisse_model::{CredentialId, DeploymentId, Effect, Role, SpaceWrite};
use nisse_space::SpaceError;
use nisse_store::Position;
use tokio::sync::watch;

use super::agents::{Change, ForAgent, did, key, writes};
use crate::core::Core;
use crate::error::{ErrorKind, NodeError};
use crate::node::object_id;
use crate::supervisor::Stop;
use crate::unapplied::Held;

/// The first rest of what waits, and the longest.
const RETRY_FIRST: Duration = Duration::from_millis(50);
const RETRY_MAX: Duration = Duration::from_secs(10);

/// What one invocation changes in one space.
pub(crate) struct Committed {
    pub(crate) deployment: DeploymentId,
    /// Names the agent: under this name it is noted how far its changes were made.
    pub(crate) label: String,
    /// Of its record in the journal.
    pub(crate) position: Position,
    pub(crate) space: CredentialId,
    pub(crate) changes: Vec<(String, SpaceWrite)>,
    /// Keeps that record where it is.
    pub(crate) held: Option<Held>,
}

/// What waits, by agent.
#[derive(Default)]
pub(crate) struct Outbox {
    waiting: Mutex<BTreeMap<String, VecDeque<Committed>>>,
    moved: watch::Sender<u64>,
}

/// What became of one.
enum Made {
    /// It is made, but for what the lines tell.
    Now(Vec<String>),
    /// It can be made later.
    Later(String),
}

/// The changes of spaces among effects, by space.
pub(crate) fn space_changes(effects: &[Effect]) -> BTreeMap<CredentialId, Vec<(String, SpaceWrite)>> {
    let mut changes = BTreeMap::<_, Vec<_>>::new();
    for effect in effects {
        if let Effect::Space { space, object, write } = effect {
            changes.entry(*space).or_default().push((object.clone(), write.clone()));
        }
    }
    changes
}

impl Outbox {
    /// Has something made that was committed.
    pub(crate) fn push(&self, core: &Arc<Core>, committed: Committed) {
        let label = committed.label.clone();
        let is_first = {
            let mut waiting = self.lock();
            let queue = waiting.entry(label.clone()).or_default();
            queue.push_back(committed);
            queue.len() == 1
        };
        if is_first {
            let core = Arc::clone(core);
            let supervisor = Arc::clone(&core.supervisor);
            supervisor.spawn("space writes", |stop| async move { deliver(&core, &label, stop).await });
        }
    }

    /// Waits until all that an agent committed is made.
    pub(crate) async fn applied(&self, label: &str, within: Duration) -> Result<(), NodeError> {
        let mut moved = self.moved.subscribe();
        let none_waits = moved.wait_for(|_| !self.lock().contains_key(label));
        match tokio::time::timeout(within, none_waits).await {
            Ok(_) => Ok(()),
            Err(_) => {
                let text = "failed to use a space: what the agent changed before waits; the vault may be sealed, or the disk full";
                Err(NodeError::new(ErrorKind::Busy, "space_waits", text))
            }
        }
    }

    /// Whether something waits that this deployment's agent committed.
    pub(crate) fn holds(&self, deployment: DeploymentId) -> bool {
        self.lock().values().flatten().any(|waiting| waiting.deployment == deployment)
    }

    fn front<T>(&self, label: &str, look: impl FnOnce(&Committed) -> T) -> Option<T> {
        self.lock().get(label)?.front().map(look)
    }

    /// The first is done with. `false`: it was the last.
    fn pop(&self, label: &str) -> bool {
        let mut waiting = self.lock();
        let Some(queue) = waiting.get_mut(label) else { return false };
        if let Some(held) = queue.pop_front().and_then(|done| done.held) {
            held.let_go();
        }
        let is_over = queue.is_empty();
        if is_over {
            waiting.remove(label);
        }
        drop(waiting);
        self.moved.send_modify(|count| *count += 1);
        !is_over
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<String, VecDeque<Committed>>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

async fn deliver(core: &Arc<Core>, label: &str, mut stop: Stop) {
    let outbox = &core.spaces.outbox;
    let mut pause = RETRY_FIRST;
    loop {
        let made = tokio::select! {
            () = stop.requested() => return,
            made = make(core, label) => made,
        };
        match made {
            Made::Now(lines) => {
                let log = core.logs.of(label);
                for line in lines {
                    log.write(core.clock.now(), "warn", &line);
                }
                pause = RETRY_FIRST;
                if !outbox.pop(label) {
                    return;
                }
            }
            Made::Later(reason) => {
                tracing::info!(agent = label, reason, "what an agent changed in a space waits");
                tokio::select! {
                    () = stop.requested() => return,
                    () = tokio::time::sleep(pause) => {}
                }
                pause = (pause * 2).min(RETRY_MAX);
            }
        }
    }
}

/// Makes the first that waits.
async fn make(core: &Arc<Core>, label: &str) -> Made {
    let front =
        core.spaces.outbox.front(label, |first| (first.deployment, first.position, first.space, first.changes.clone()));
    let Some((deployment, position, space, changes)) = front else { return Made::Now(Vec::new()) };
    let never =
        |why: &str| Made::Now(vec![format!("{} changes in the space {space} were not made: {why}", changes.len())]);
    let registered = match core.spaces.all(core) {
        Ok(spaces) => spaces.into_iter().find(|held| held.space == space),
        Err(error) => return Made::Later(error.text),
    };
    let Some(registered) = registered else { return never("this home does not hold it any more") };
    let (key, agent) = match (key(core, deployment), did(core, deployment)) {
        (Ok(key), Ok(agent)) => (key, agent),
        (Err(error), _) | (_, Err(error)) => return Made::Later(error.text),
    };
    let access = core.identity.known().access(&space, &agent, core.clock.now());
    if access.is_none_or(|access| access.role < Role::Edit) {
        return never("the agent's right there was taken back");
    }
    let read = changes.iter().map(|(id, write)| Ok((object_id(id)?, Change::read(&write.clone().into())?)));
    let changes: Vec<_> = match read.collect::<Result<_, NodeError>>() {
        Ok(changes) => changes,
        Err(error) => return never(&error.text),
    };
    let by = label.to_owned();
    let asked = core.spaces.ask(core, &registered, move |space, home| {
        match space.apply((&by, position), &writes(&changes), &ForAgent { home, key: &key }) {
            Ok(outcome) => (Ok(outcome.refused), outcome.effects),
            Err(error) => (Err(error), Vec::new()),
        }
    });
    match asked.await {
        Ok(Ok(refused)) => {
            let line =
                |(_, error)| format!("a change in the space {} was not made: failed to {error}", registered.name);
            Made::Now(refused.into_iter().map(line).collect())
        }
        Ok(Err(error @ (SpaceError::Sealed | SpaceError::ReadOnly(_) | SpaceError::Store(_)))) => {
            Made::Later(format!("failed to {error}"))
        }
        Ok(Err(error)) => never(&format!("failed to {error}")),
        Err(error) => Made::Later(error.text),
    }
}
