//! How the rest of the node speaks to the driver.
//!
//! While a decision waits for the disk ([`super::held`]), nothing else is decided: whoever asks is told so at once, and
//! news waits outside. What only shows the node's state is answered all the same.

use std::sync::Arc;

use nisse_model::DeploymentId;
use nisse_orchestrator::{Command, CommandError, Event, Orchestrator};
use tokio::sync::{mpsc, oneshot, watch};

use crate::error::{ErrorKind, NodeError};

/// Messages that may wait for the driver; senders wait when there are more.
pub(crate) const QUEUE_MAX: usize = 1_024;

/// What the driver is told.
pub(crate) enum Message {
    /// For the orchestrator.
    Event(Box<Event>),
    /// A command of the owner.
    Command { deployment: DeploymentId, command: Command, reply: oneshot::Sender<Result<(), CommandError>> },
    /// Takes no new work, or takes it again.
    Drain { draining: bool, reply: oneshot::Sender<()> },
    /// Forgets an ended deployment.
    Forget { deployment: DeploymentId, reply: oneshot::Sender<Result<(), CommandError>> },
    /// An agent came or went without a decision.
    Routes,
    /// Reads the orchestrator's state, of which everything is durable.
    Look(Look),
    /// Reads it as it is, for a person who wants to know why nothing moves.
    Glance(Look),
}

pub(crate) type Look = Box<dyn FnOnce(&Orchestrator) + Send>;

/// Why nothing is decided now: the disk's words.
pub(super) type Trouble = Option<Arc<str>>;

/// Sends messages to the driver.
#[derive(Clone)]
pub(crate) struct DriverHandle {
    messages: mpsc::Sender<Message>,
    trouble: watch::Receiver<Trouble>,
}

/// The driver's end of all handles.
pub(crate) struct Inbox {
    pub(super) messages: mpsc::Receiver<Message>,
    pub(super) trouble: watch::Sender<Trouble>,
}

/// Why the driver gives no answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Unanswered {
    /// The node is going down.
    #[error("reach the node's orchestrator: the node is going down")]
    GoingDown,
    /// The disk refuses a decision. What was asked may be among what waits.
    #[error("have anything decided now: {0}; what waits is kept, and carried out once there is room")]
    Held(Arc<str>),
}

impl From<Unanswered> for NodeError {
    fn from(error: Unanswered) -> Self {
        match error {
            Unanswered::GoingDown => Self::caused(ErrorKind::Unreachable, "going_down", &error),
            Unanswered::Held(_) => Self::caused(ErrorKind::Unreachable, "disk_refuses", &error).with_hint(
                "make room on the disk of the home folder; `nisse node status` shows when it has helped".to_owned(),
            ),
        }
    }
}

impl DriverHandle {
    /// A handle and what the driver receives from it.
    pub(crate) fn new() -> (Self, Inbox) {
        let (messages, receiver) = mpsc::channel(QUEUE_MAX);
        let (trouble, watched) = watch::channel(None);
        (Self { messages, trouble: watched }, Inbox { messages: receiver, trouble })
    }

    /// Why nothing is decided now, where that is so.
    pub(crate) fn trouble(&self) -> Option<Arc<str>> {
        self.trouble.borrow().clone()
    }

    /// Tells the orchestrator something, as soon as it decides anything.
    pub(crate) async fn event(&self, event: Event) {
        let mut trouble = self.trouble.clone();
        // At the end of the node nobody listens; recovery starts from the journal.
        let _ = trouble.wait_for(Option::is_none).await;
        let _ = self.messages.send(Message::Event(Box::new(event))).await;
    }

    /// The routing table is to be made anew.
    pub(crate) async fn routes_changed(&self) {
        let _ = self.messages.send(Message::Routes).await;
    }

    /// Reads from the orchestrator's state. The driver takes messages in order, so an answer means that every decision
    /// about what it was told before is durable.
    pub(crate) async fn look<T: Send + 'static>(
        &self,
        look: impl FnOnce(&Orchestrator) -> T + Send + 'static,
    ) -> Result<T, Unanswered> {
        self.ask(|reply| Message::Look(answering(look, reply))).await
    }

    /// Reads from the orchestrator's state, a decision that waits for the disk included: to be shown, never to be acted
    /// upon.
    pub(crate) async fn glance<T: Send + 'static>(
        &self,
        look: impl FnOnce(&Orchestrator) -> T + Send + 'static,
    ) -> Result<T, Unanswered> {
        let (reply, answer) = oneshot::channel();
        let glance = Message::Glance(answering(look, reply));
        self.messages.send(glance).await.map_err(|_| Unanswered::GoingDown)?;
        answer.await.map_err(|_| Unanswered::GoingDown)
    }

    /// Gives a command.
    pub(crate) async fn command(
        &self,
        deployment: DeploymentId,
        command: Command,
    ) -> Result<Result<(), CommandError>, Unanswered> {
        self.ask(|reply| Message::Command { deployment, command, reply }).await
    }

    /// Forgets an ended deployment.
    pub(crate) async fn forget(&self, deployment: DeploymentId) -> Result<Result<(), CommandError>, Unanswered> {
        self.ask(|reply| Message::Forget { deployment, reply }).await
    }

    /// Takes no new work, or takes it again.
    pub(crate) async fn drain(&self, draining: bool) -> Result<(), Unanswered> {
        self.ask(|reply| Message::Drain { draining, reply }).await
    }

    /// Asks, and waits for the answer as long as anything is decided.
    async fn ask<T>(&self, message: impl FnOnce(oneshot::Sender<T>) -> Message) -> Result<T, Unanswered> {
        let mut trouble = self.trouble.clone();
        let held = async move {
            match trouble.wait_for(Option::is_some).await {
                Ok(trouble) => trouble.clone().map_or(Unanswered::GoingDown, Unanswered::Held),
                Err(_) => Unanswered::GoingDown,
            }
        };
        let answered = async {
            let (reply, answer) = oneshot::channel();
            self.messages.send(message(reply)).await.map_err(|_| Unanswered::GoingDown)?;
            answer.await.map_err(|_| Unanswered::GoingDown)
        };
        tokio::select! {
            // First, so that nothing is asked while something is held: it would come when nobody waits any more.
            biased;
            held = held => Err(held),
            answered = answered => answered,
        }
    }
}

fn answering<T: Send + 'static>(
    look: impl FnOnce(&Orchestrator) -> T + Send + 'static,
    reply: oneshot::Sender<T>,
) -> Look {
    Box::new(move |orchestrator| {
        let _ = reply.send(look(orchestrator));
    })
}
