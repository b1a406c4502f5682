//! One live agent: a task that owns its instance and handles one call at a time from one bounded queue.
//!
//! The commit path of every invocation is here: run, build the record, append the completion to the journal, wait for
//! the disk where something was changed, apply the state, and only then let effects and the answer out (DESIGN §5.1,
//! §5.2).

mod commit;
mod host;
mod stats;
mod task;

use std::sync::Arc;

use bytes::Bytes;
use http::{Request, Response};
use nisse_model::{DeploymentId, Failure, Fuel, Invocation, InvocationId, Outcome};
use tokio::sync::{mpsc, oneshot, watch};

pub(crate) use commit::{AgentParts, Committer, OUTWARD_QUEUE_MAX, Outward, outward_effects, state_writes};
pub(crate) use host::AgentHost;
pub(crate) use stats::Stats;
pub(crate) use task::run;

/// Speaks to a live agent. Cheap to clone.
#[derive(Clone)]
pub(crate) struct AgentHandle {
    work: mpsc::Sender<Work>,
    halt: watch::Sender<bool>,
    stats: Arc<Stats>,
    /// The deployment as receipts name it.
    name: Arc<str>,
}

/// What an agent is asked to do.
pub(crate) enum Work {
    /// Answer a request.
    Http { request: Request<Bytes>, reply: oneshot::Sender<Result<HttpAnswer, CallError>> },
    /// Handle an event.
    Event { invocation: Invocation, reply: oneshot::Sender<Result<EventAnswer, CallError>> },
}

/// An answered request.
pub(crate) struct HttpAnswer {
    pub(crate) response: Response<Bytes>,
    /// Position in the chain of records: with the deployment, the receipt's id.
    pub(crate) seq: u64,
}

/// A handled event.
pub(crate) struct EventAnswer {
    pub(crate) invocation: InvocationId,
    pub(crate) seq: u64,
    pub(crate) fuel: Fuel,
    /// What the handler answered.
    pub(crate) result: Result<Outcome, Failure>,
}

/// Why a call has no answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum CallError {
    /// The queue is full.
    #[error("queue the call: {0} calls wait already")]
    Busy(usize),
    /// It was halted meanwhile.
    #[error("finish the call: the agent was stopped")]
    Halted,
    /// The guest was stopped.
    #[error("run the agent: {0}")]
    Trap(String),
    /// It only answers requests.
    #[error("raise an event: the agent exports no `nisse:agent/handler`, so it takes requests but no events")]
    NoHandler,
    /// The node could not keep its promise.
    #[error("commit the call: {0}")]
    Node(String),
}

/// The receiving side of a handle.
pub(crate) struct Mailbox {
    work: mpsc::Receiver<Work>,
    halt: watch::Sender<bool>,
    stats: Arc<Stats>,
}

impl Mailbox {
    /// Ends the agent from the node's side.
    pub(crate) fn halt_signal(&self) -> watch::Sender<bool> {
        self.halt.clone()
    }
}

/// A handle and its mailbox with room for `queue` calls.
pub(crate) fn channel(deployment: DeploymentId, queue: usize) -> (AgentHandle, Mailbox) {
    let (sender, receiver) = mpsc::channel(queue);
    let halt = watch::Sender::new(false);
    let stats = Arc::new(Stats::default());
    let mailbox = Mailbox { work: receiver, halt: halt.clone(), stats: Arc::clone(&stats) };
    (AgentHandle { work: sender, halt, stats, name: deployment.to_string().into() }, mailbox)
}

impl AgentHandle {
    /// Answers a request, or says at once that too many wait.
    pub(crate) async fn http(&self, request: Request<Bytes>) -> Result<HttpAnswer, CallError> {
        let (reply, answer) = oneshot::channel();
        self.queue(Work::Http { request, reply })?;
        answer.await.unwrap_or(Err(CallError::Halted))
    }

    /// Handles an event, or says at once that too many wait.
    pub(crate) async fn event(&self, invocation: Invocation) -> Result<EventAnswer, CallError> {
        let (reply, answer) = oneshot::channel();
        self.queue(Work::Event { invocation, reply })?;
        answer.await.unwrap_or(Err(CallError::Halted))
    }

    /// Asks the agent to end, without waiting for it.
    pub(crate) fn tell_to_halt(&self) {
        self.halt.send_replace(true);
    }

    /// Ends the agent: the running call has a moment to finish, what waits is refused.
    pub(crate) async fn halt(&self) {
        self.tell_to_halt();
        self.work.closed().await;
    }

    /// The counters, for the agent's own task.
    pub(crate) fn shared_stats(&self) -> Arc<Stats> {
        Arc::clone(&self.stats)
    }

    /// The deployment as receipts name it.
    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// Counters for `status`.
    pub(crate) fn stats(&self) -> &Stats {
        &self.stats
    }

    fn queue(&self, work: Work) -> Result<(), CallError> {
        self.work.try_send(work).map_err(|error| match error {
            mpsc::error::TrySendError::Full(_) => CallError::Busy(self.work.max_capacity()),
            mpsc::error::TrySendError::Closed(_) => CallError::Halted,
        })
    }
}
