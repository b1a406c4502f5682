//! Every task of the node is spawned here: it has a name, is cancelled at shutdown and joined with a bound.
//!
//! A task that panics takes the node with it, since the others would wait for it for ever; what belongs to one agent is
//! kept [`apart`] instead.

use std::future::Future;
use std::panic::AssertUnwindSafe;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures::FutureExt as _;
use tokio::sync::{Semaphore, oneshot, watch};
use tokio::task::JoinHandle;

/// How long shutdown waits for one task after asking it to end.
const TASK_END_MAX: Duration = Duration::from_secs(5);
/// Pieces of work that may wait for the disk at once; more of them wait for their turn.
const BLOCKING_MAX: usize = 8;

/// Owns the node's tasks.
#[derive(Debug)]
pub(crate) struct Supervisor {
    stop: watch::Sender<bool>,
    broken: watch::Sender<Option<String>>,
    tasks: Mutex<Vec<(String, JoinHandle<()>)>>,
    blocking: Arc<Semaphore>,
}

/// A piece of work came to no end.
#[derive(Debug, Clone, Copy, thiserror::Error)]
#[error("finish a piece of work: it was cut off")]
pub(crate) struct CutOff;

/// Tells a task when to end.
#[derive(Debug, Clone)]
pub struct Stop(watch::Receiver<bool>);

impl Stop {
    /// Returns once the node is shutting down.
    pub async fn requested(&mut self) {
        // A closed channel means that the supervisor is gone, which is a request as well.
        let _ = self.0.wait_for(|stop| *stop).await;
    }

    /// Whether the node is shutting down.
    pub fn is_requested(&self) -> bool {
        *self.0.borrow()
    }
}

impl Default for Supervisor {
    fn default() -> Self {
        Self {
            stop: watch::Sender::new(false),
            broken: watch::Sender::new(None),
            tasks: Mutex::default(),
            blocking: Arc::new(Semaphore::new(BLOCKING_MAX)),
        }
    }
}

impl Supervisor {
    /// A signal for a task that this supervisor does not own.
    pub(crate) fn stop_signal(&self) -> Stop {
        Stop(self.stop.subscribe())
    }

    /// Runs a task until it ends by itself or heeds its stop signal.
    pub(crate) fn spawn<F>(&self, name: impl Into<String>, task: impl FnOnce(Stop) -> F)
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let name = name.into();
        let (task, broken, named) = (task(self.stop_signal()), self.broken.clone(), name.clone());
        let handle = tokio::spawn(async move {
            if AssertUnwindSafe(task).catch_unwind().await.is_err() {
                broken.send_replace(Some(format!("the task `{named}` broke off: this is a bug of nisse")));
            }
        });
        let mut tasks = self.tasks.lock().expect("no task panics while holding this lock");
        tasks.retain(|(_, handle)| !handle.is_finished());
        tasks.push((name, handle));
    }

    /// Does work that waits for the disk on a thread where waiting is allowed. It is done to its end even where nobody
    /// waits for it any more; shutdown joins it like every task.
    pub(crate) async fn blocking<T: Send + 'static>(
        &self,
        name: &str,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, CutOff> {
        let turn = Arc::clone(&self.blocking).acquire_owned().await.map_err(|_| CutOff)?;
        let worked = self.to_its_end(name, async move {
            let worked = tokio::task::spawn_blocking(move || {
                let _turn = turn;
                work()
            });
            worked.await.map_err(|_| CutOff)
        });
        worked.await?
    }

    /// Does work for somebody who may go away meanwhile; shutdown joins it like every task.
    pub(crate) async fn to_its_end<T: Send + 'static>(
        &self,
        name: &str,
        work: impl Future<Output = T> + Send + 'static,
    ) -> Result<T, CutOff> {
        let (done, reached) = oneshot::channel();
        self.spawn(name, |_| async move {
            // Nobody waiting is no error.
            let _ = done.send(work.await);
        });
        reached.await.map_err(|_| CutOff)
    }

    /// Waits until a task has panicked, and tells which.
    pub(crate) async fn broken(&self) -> String {
        let mut broken = self.broken.subscribe();
        let reason = broken.wait_for(Option::is_some).await;
        reason.ok().and_then(|reason| reason.clone()).unwrap_or_default()
    }

    /// Asks every task to end and waits for each, a bounded time.
    pub(crate) async fn shut_down(&self) {
        self.stop.send_replace(true);
        loop {
            let next = self.tasks.lock().expect("no task panics while holding this lock").pop();
            let Some((name, mut handle)) = next else { return };
            if tokio::time::timeout(TASK_END_MAX, &mut handle).await.is_err() {
                tracing::warn!(task = name, "a task did not end in time and was cut off");
                handle.abort();
            }
        }
    }
}

/// Runs what belongs to one agent to its end or its panic, of which the others must not hear.
pub(crate) async fn apart(whose: impl std::fmt::Display, work: impl Future<Output = ()>) {
    if AssertUnwindSafe(work).catch_unwind().await.is_err() {
        tracing::error!(%whose, "a piece of work broke off: this is a bug of nisse");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_task_that_panics_is_told_and_one_kept_apart_is_not() {
        let supervisor = Supervisor::default();
        supervisor.spawn("an agent", |_| apart("an agent", async { panic!("as told") }));
        supervisor.spawn("the market", |_| async { panic!("as told") });
        assert_eq!(supervisor.broken().await, "the task `the market` broke off: this is a bug of nisse");
        supervisor.shut_down().await;
    }
}
