//! One live agent: an instance that handles one call at a time, and its end of the chain of records.
//!
//! A call runs on the task of whoever makes it, as soon as it has the agent's one turn: no hop to another task. Once it
//! has begun it goes on to its commit, whether or not its caller still waits (DESIGN §5.1, §5.2).

mod chance;
mod commit;
mod content;
mod halt;
mod host;
mod outward;
pub(crate) mod patience;
mod stats;
mod stream;
mod task;
mod turn;

use std::sync::Arc;

use bytes::Bytes;
use http::{Request, Response};
use nisse_model::{DeploymentId, Failure, Fuel, Invocation, InvocationId, Outcome};
use nisse_sandbox::AgentProgram;
use tokio::sync::{Mutex, oneshot, watch};

pub(crate) use commit::{AgentParts, Committer};
pub(crate) use content::AgentContent;
pub(crate) use host::AgentHost;
pub(crate) use outward::{OUTWARD_QUEUE_MAX, Outward, outward_effects, state_writes};
pub(crate) use stats::{Stats, Tip};
pub use stream::{AnswerBody, BrokenOff, ChunkStream};
use task::Task;
pub(crate) use task::run;
use turn::{Queue, Turn, Wants, unbroken};

use crate::unapplied::{Held, Unapplied};

/// Speaks to a live agent. Cheap to clone.
#[derive(Clone)]
pub(crate) struct AgentHandle(Arc<Agent>);

struct Agent {
    /// Taken away when the agent ends.
    task: Arc<Mutex<Option<Task>>>,
    queue: Queue,
    halt: watch::Sender<bool>,
    stats: Arc<Stats>,
    /// What every receipt's name begins with.
    receipts: String,
}

/// An answered request.
pub(crate) struct HttpAnswer {
    pub(crate) response: Response<AnswerBody>,
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
    /// As many instances live on the node as it has places for.
    #[error("begin the call: the node has no place for another instance at the moment")]
    Full,
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

impl AgentHandle {
    /// An agent with room for `calls_max` calls that wait or run.
    pub(crate) fn new(deployment: DeploymentId, calls_max: usize, program: AgentProgram, committer: Committer) -> Self {
        let halt = watch::Sender::new(false);
        let stats = committer.parts.stats.clone();
        let task = Task::new(program, committer, halt.subscribe());
        Self(Arc::new(Agent {
            task: Arc::new(Mutex::new(Some(task))),
            queue: Queue::new(calls_max),
            halt,
            stats,
            receipts: format!("{deployment}/"),
        }))
    }

    /// Answers a request, or says at once that too many wait. An answer that is streamed goes on after this returns.
    pub(crate) async fn http(&self, request: Request<Bytes>) -> Result<HttpAnswer, CallError> {
        let mut turn = self.turn(Wants::Request).await?;
        let (streams, mut streamed) = oneshot::channel();
        let mut call = unbroken(async move { turn.task()?.http(request, streams).await });
        tokio::select! {
            // First, so that an answer in one piece never waits for the other.
            biased;
            // A streamed one may end in the very turn in which its head left: what was committed counts.
            ended = &mut call => match (ended, streamed.try_recv()) {
                (Ok(Some(whole)), _) => Ok(whole),
                (_, Ok(head)) => Ok(head),
                (Ok(None), Err(_)) => Err(CallError::Halted),
                (Err(error), Err(_)) => Err(error),
            },
            Ok(head) = &mut streamed => Ok(head),
        }
    }

    /// Handles an event, or says at once that too many wait.
    pub(crate) async fn event(&self, invocation: Invocation) -> Result<EventAnswer, CallError> {
        let mut turn = self.turn(Wants::Event).await?;
        unbroken(async move { turn.task()?.event(invocation, false).await }).await
    }

    /// [`AgentHandle::event`] for one that the node itself raises, under a name that it would use again: its completion
    /// is held in the journal until the caller has had it decided. Where something follows from the answer, it stands in
    /// the completion.
    pub(crate) async fn named_event(
        &self,
        invocation: Invocation,
        keeps_answer: bool,
        unapplied: &Arc<Unapplied>,
    ) -> Result<(EventAnswer, Held), CallError> {
        let mut turn = self.turn(Wants::Event).await?;
        let held = unapplied.hold();
        match unbroken(async move { turn.task()?.event(invocation, keeps_answer).await }).await {
            Ok(answer) => Ok((answer, held)),
            Err(error) => {
                held.let_go();
                Err(error)
            }
        }
    }

    /// Asks the agent to end, without waiting for it.
    pub(crate) fn tell_to_halt(&self) {
        self.0.halt.send_replace(true);
    }

    /// Ends the agent: the running call has a moment to finish, what waits is refused.
    pub(crate) async fn halt(&self) {
        self.tell_to_halt();
        let mut place = self.0.task.lock().await;
        if let Some(mut task) = place.take() {
            // Whoever lives next goes on behind the record that stands.
            let _ = task.clear().await;
        }
        self.0.stats.set_memory(0);
    }

    /// What every receipt's name begins with; its position follows.
    pub(crate) fn receipts(&self) -> &str {
        &self.0.receipts
    }

    /// Counters for `status`.
    pub(crate) fn stats(&self) -> &Stats {
        &self.0.stats
    }

    /// Waits for the agent's turn, first come, first served. A caller that leaves while it waits gives its place up, and
    /// its call is never begun.
    async fn turn(&self, wants: Wants) -> Result<Turn, CallError> {
        let agent = &self.0;
        if *agent.halt.borrow() {
            return Err(CallError::Halted);
        }
        let place = agent.queue.enter(wants)?;
        let task = match Arc::clone(&agent.task).try_lock_owned() {
            Ok(task) => task,
            Err(_) => Arc::clone(&agent.task).lock_owned().await,
        };
        Ok(Turn::new(task, place))
    }
}
