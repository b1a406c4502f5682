//! One lane for each deployment: preparing, starting, swapping and halting its agent happen one after the other.
//!
//! A halt takes effect at once where it can: it raises the lane's ticket, so that whatever is being started by an
//! older ticket does not go live, and it tells the agent that is just handling `started` to end.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use futures::future::BoxFuture;
use nisse_model::DeploymentId;
use tokio::sync::{mpsc, oneshot, watch};

use crate::agent::AgentHandle;
use crate::supervisor::{Supervisor, apart};

/// Steps of one agent that may wait. The orchestrator asks for few: more than this many means that it is mistaken.
const STEPS_MAX: usize = 256;

/// All lanes.
#[derive(Default)]
pub(crate) struct Lanes(Mutex<HashMap<DeploymentId, Arc<Lane>>>);

/// One deployment's lane.
pub(crate) struct Lane {
    steps: mpsc::Sender<BoxFuture<'static, ()>>,
    ticket: watch::Sender<u64>,
    starting: Mutex<Option<AgentHandle>>,
}

impl Lanes {
    /// The lane of a deployment, made at first use.
    pub(crate) fn of(&self, supervisor: &Supervisor, deployment: DeploymentId) -> Arc<Lane> {
        let mut lanes = lock(&self.0);
        let lane = lanes.entry(deployment).or_insert_with(|| {
            let (steps, mut receiver) = mpsc::channel::<BoxFuture<'static, ()>>(STEPS_MAX);
            supervisor.spawn(format!("lane {deployment}"), |mut stop| async move {
                loop {
                    let step = tokio::select! {
                        () = stop.requested() => return,
                        step = receiver.recv() => step,
                    };
                    let Some(step) = step else { return };
                    tokio::select! {
                        () = stop.requested() => return,
                        () = apart(deployment, step) => {}
                    }
                }
            });
            Arc::new(Lane { steps, ticket: watch::Sender::new(0), starting: Mutex::default() })
        });
        Arc::clone(lane)
    }
}

impl Lanes {
    /// The lane of a deployment that has had a step.
    pub(crate) fn known(&self, deployment: &DeploymentId) -> Option<Arc<Lane>> {
        lock(&self.0).get(deployment).cloned()
    }

    /// Lets the lane of an ended deployment go. What waits in it is still done.
    pub(crate) fn forget(&self, deployment: &DeploymentId) {
        lock(&self.0).remove(deployment);
    }
}

impl Lane {
    /// Puts a step behind those that wait.
    pub(crate) fn push(&self, step: impl Future<Output = ()> + Send + 'static) {
        if self.steps.try_send(Box::pin(step)).is_err() {
            tracing::error!("an agent's lane is full or closed: a step was left out");
        }
    }

    /// The ticket by which a start begins.
    pub(crate) fn ticket(&self) -> u64 {
        *self.ticket.borrow()
    }

    /// Waits until this ticket does not hold any more.
    pub(crate) async fn revoked(&self, ticket: u64) {
        // The sender lives as long as this.
        let _ = self.ticket.subscribe().wait_for(|held| *held != ticket).await;
    }

    /// No start of an older ticket goes live from now on; one that handles `started` is told to end.
    pub(crate) fn revoke(&self) {
        self.ticket.send_modify(|ticket| *ticket += 1);
        if let Some(handle) = lock(&self.starting).as_ref() {
            handle.tell_to_halt();
        }
    }

    /// Notes who is being started by this ticket; `false` when the ticket was revoked.
    pub(crate) fn starting(&self, ticket: u64, handle: &AgentHandle) -> bool {
        let mut starting = lock(&self.starting);
        *starting = Some(handle.clone());
        self.ticket() == ticket
    }

    /// Runs `live` if the ticket still holds, with no revocation between the look and the act.
    pub(crate) fn go_live(&self, ticket: u64, live: impl FnOnce()) -> bool {
        let mut starting = lock(&self.starting);
        *starting = None;
        let holds = self.ticket() == ticket;
        if holds {
            live();
        }
        holds
    }

    /// Waits until every step before this call is done.
    pub(crate) async fn idle(&self) {
        let (done, reached) = oneshot::channel();
        self.push(async move {
            let _ = done.send(());
        });
        // A closed lane has nothing under way.
        let _ = reached.await;
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
