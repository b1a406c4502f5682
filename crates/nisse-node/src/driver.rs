//! Drives the orchestrator with real time, disk and network: decisions to the journal, then actions.
//!
//! One task owns the orchestrator. Nothing is done before the decision behind it is durable, and nothing here waits
//! for an agent or the chain: what takes long runs in a task of its own and comes back as an event.

mod actions;
pub(crate) mod market;
pub(crate) mod outbox;

pub(crate) use actions::{finished, shortened};

use std::sync::Arc;
use std::time::Duration;

use nisse_model::DeploymentId;
use nisse_orchestrator::{Command, CommandError, Decision, Effects, Event, Orchestrator};
use nisse_store::Position;
use tokio::sync::{mpsc, oneshot};

use crate::agent::Outward;
use crate::core::Core;
use crate::entry::Entry;
use crate::error::chain;
use crate::supervisor::Stop;

use outbox::Name;

/// Messages that may wait for the driver; senders wait when there are more.
pub(crate) const QUEUE_MAX: usize = 1_024;
/// The longest time between two looks at the clocks.
const TICK_MAX: Duration = Duration::from_millis(500);
/// Records in the journal beyond which it is compacted.
const JOURNAL_RECORDS_MAX: u64 = 200_000;
/// How often the journal's length is looked at.
const COMPACT_CHECK: Duration = Duration::from_secs(60);

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
    /// Reads the orchestrator's state.
    Look(Box<dyn FnOnce(&Orchestrator) + Send>),
}

/// Sends messages to the driver.
#[derive(Clone)]
pub(crate) struct DriverHandle(mpsc::Sender<Message>);

/// The node is going down.
#[derive(Debug, Clone, Copy, thiserror::Error)]
#[error("reach the node's orchestrator: the node is going down")]
pub(crate) struct GoingDown;

impl DriverHandle {
    /// A handle and what the driver receives from it.
    pub(crate) fn new() -> (Self, mpsc::Receiver<Message>) {
        let (sender, receiver) = mpsc::channel(QUEUE_MAX);
        (Self(sender), receiver)
    }

    /// Tells the orchestrator something.
    pub(crate) async fn event(&self, event: Event) {
        // At the end of the node nobody listens; recovery starts from the journal.
        let _ = self.0.send(Message::Event(Box::new(event))).await;
    }

    /// The routing table is to be made anew.
    pub(crate) async fn routes_changed(&self) {
        let _ = self.0.send(Message::Routes).await;
    }

    /// Reads from the orchestrator's state.
    pub(crate) async fn look<T: Send + 'static>(
        &self,
        look: impl FnOnce(&Orchestrator) -> T + Send + 'static,
    ) -> Result<T, GoingDown> {
        let (reply, answer) = oneshot::channel();
        let look = Box::new(move |orchestrator: &Orchestrator| {
            let _ = reply.send(look(orchestrator));
        });
        self.0.send(Message::Look(look)).await.map_err(|_| GoingDown)?;
        answer.await.map_err(|_| GoingDown)
    }

    /// Gives a command.
    pub(crate) async fn command(
        &self,
        deployment: DeploymentId,
        command: Command,
    ) -> Result<Result<(), CommandError>, GoingDown> {
        let (reply, answer) = oneshot::channel();
        self.0.send(Message::Command { deployment, command, reply }).await.map_err(|_| GoingDown)?;
        answer.await.map_err(|_| GoingDown)
    }

    /// Forgets an ended deployment.
    pub(crate) async fn forget(&self, deployment: DeploymentId) -> Result<Result<(), CommandError>, GoingDown> {
        let (reply, answer) = oneshot::channel();
        self.0.send(Message::Forget { deployment, reply }).await.map_err(|_| GoingDown)?;
        answer.await.map_err(|_| GoingDown)
    }

    /// Takes no new work, or takes it again.
    pub(crate) async fn drain(&self, draining: bool) -> Result<(), GoingDown> {
        let (reply, answer) = oneshot::channel();
        self.0.send(Message::Drain { draining, reply }).await.map_err(|_| GoingDown)?;
        answer.await.map_err(|_| GoingDown)
    }
}

/// The task that owns the orchestrator.
pub(crate) struct Driver {
    core: Arc<Core>,
    orchestrator: Orchestrator,
    messages: mpsc::Receiver<Message>,
    outward: mpsc::Receiver<Outward>,
    /// Where the journal stood at the last look: everything before it has been applied since.
    settled: Option<Position>,
}

impl Driver {
    pub(crate) fn new(
        core: Arc<Core>,
        orchestrator: Orchestrator,
        messages: mpsc::Receiver<Message>,
        outward: mpsc::Receiver<Outward>,
    ) -> Self {
        Self { core, orchestrator, messages, outward, settled: None }
    }

    /// Runs until the node stops or its journal fails.
    pub(crate) async fn run(mut self, mut stop: Stop) {
        if let Err(error) = outbox::restore(&self.core) {
            tracing::error!(error = chain(&error), "what agents have spent was not read");
            return self.core.fail("what agents have spent was not read".to_owned());
        }
        let boot = self.orchestrator.boot(self.core.clock.now());
        let mut compact = tokio::time::interval(COMPACT_CHECK);
        compact.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        // A beat of its own: however many messages come, the clocks are looked at.
        let mut beat = tokio::time::interval(TICK_MAX);
        beat.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        let mut carried = self.carry_out(boot).await;
        while carried.is_ok() {
            let pause = self.pause();
            // In this order: what a handler set comes before the news that it was handled.
            let effects = tokio::select! {
                biased;
                () = stop.requested() => return,
                _ = beat.tick() => Ok(self.tick()),
                Some(outward) = self.outward.recv() => Ok(self.outward(outward)),
                message = self.messages.recv() => match message {
                    Some(message) => self.message(message).await,
                    None => return,
                },
                _ = compact.tick() => {
                    self.compact().await;
                    continue;
                }
                () = tokio::time::sleep(pause) => Ok(self.tick()),
            };
            let effects = match effects {
                Ok(effects) => effects,
                Err(error) => {
                    carried = Err(error);
                    break;
                }
            };
            carried = self.carry_out(effects).await;
        }
        if let Err(error) = carried {
            tracing::error!(error, "the journal failed: the node stops deciding until it is started again");
            self.core.fail(error);
        }
    }

    /// Until the next alarm, or a short while.
    fn pause(&self) -> Duration {
        let now = self.core.clock.now();
        let next = self.orchestrator.next_alarm().map_or(u64::MAX, |due| due.since_ms(now));
        Duration::from_millis(next).clamp(Duration::from_millis(1), TICK_MAX)
    }

    fn tick(&mut self) -> Effects {
        let now = self.core.clock.now();
        let chain = self.core.chain_time(now);
        self.orchestrator.handle(Event::Tick { chain }, now)
    }

    fn outward(&mut self, outward: Outward) -> Effects {
        match outward {
            Outward::Alarm { deployment, at } => {
                self.orchestrator.handle(Event::AlarmChanged { deployment, at }, self.core.clock.now())
            }
            Outward::Publish { deployment, key, position, asset, value, decimals } => {
                self.publish(deployment, Name { key, position }, asset, value, decimals);
                Effects::default()
            }
        }
    }

    async fn message(&mut self, message: Message) -> Result<Effects, String> {
        let now = self.core.clock.now();
        match message {
            Message::Event(event) => {
                let ended = matches!(*event, Event::Finished { .. });
                let effects = self.orchestrator.handle(*event, now);
                if ended && effects == Effects::default() {
                    // An agent that came up again changes nothing but who answers.
                    self.core.publish_routes(&self.orchestrator);
                }
                Ok(effects)
            }
            Message::Routes => {
                self.core.publish_routes(&self.orchestrator);
                Ok(Effects::default())
            }
            Message::Look(look) => {
                look(&self.orchestrator);
                Ok(Effects::default())
            }
            Message::Command { deployment, command, reply } => {
                let result = self.orchestrator.command(deployment, command, now);
                self.reply(result, reply).await
            }
            Message::Forget { deployment, reply } => {
                let result = self.orchestrator.forget(deployment);
                self.reply(result, reply).await
            }
            Message::Drain { draining, reply } => {
                let effects = self.orchestrator.drain(draining);
                self.record(&effects.decisions).await?;
                let _ = reply.send(());
                Ok(Effects { decisions: Vec::new(), actions: effects.actions })
            }
        }
    }

    /// Answers once the decision is durable.
    async fn reply(
        &mut self,
        result: Result<Effects, CommandError>,
        reply: oneshot::Sender<Result<(), CommandError>>,
    ) -> Result<Effects, String> {
        let effects = match result {
            Ok(effects) => effects,
            Err(error) => {
                let _ = reply.send(Err(error));
                return Ok(Effects::default());
            }
        };
        self.record(&effects.decisions).await?;
        // The actions are under way before the caller is told, so that it can wait for them.
        effects.actions.into_iter().for_each(|action| self.perform(action));
        self.core.publish_routes(&self.orchestrator);
        let _ = reply.send(Ok(()));
        Ok(Effects::default())
    }

    /// Makes the decisions durable, then performs the actions.
    async fn carry_out(&mut self, effects: Effects) -> Result<(), String> {
        self.record(&effects.decisions).await?;
        let moved = !effects.decisions.is_empty() || !effects.actions.is_empty();
        for action in effects.actions {
            self.perform(action);
        }
        if moved {
            self.core.publish_routes(&self.orchestrator);
        }
        Ok(())
    }

    async fn record(&self, decisions: &[Decision]) -> Result<(), String> {
        if decisions.is_empty() {
            return Ok(());
        }
        let entries: Vec<Vec<u8>> =
            decisions.iter().map(|decision| Entry::Decision(decision.clone()).encode()).collect();
        let records: Vec<&[u8]> = entries.iter().map(Vec::as_slice).collect();
        let commit = Core::append(&self.core.journal, &records).await.map_err(|error| chain(&error))?;
        commit.durable().await.map_err(|error| chain(&error))?;
        for decision in decisions {
            self.core.announce(decision);
        }
        Ok(())
    }

    /// Lets old segments of the journal go once all that they hold has been applied.
    ///
    /// The records before the place where the journal stood a minute ago have all been applied by now, so they go;
    /// a snapshot of the orchestrator stands for their decisions.
    async fn compact(&mut self) {
        self.core.flush();
        let (first, next) = (self.core.journal.first(), self.core.journal.next());
        let Some(settled) = self.settled.replace(next) else { return };
        // An answer that waits for the chain stands nowhere but in the journal.
        let settled = self.mark_outbox(settled);
        if next.0 - first.0 > JOURNAL_RECORDS_MAX
            && let Err(error) = compact(&self.core, &self.orchestrator, settled).await
        {
            tracing::warn!(error, "the journal was not compacted");
        }
    }
}

async fn compact(core: &Core, orchestrator: &Orchestrator, settled: Position) -> Result<(), String> {
    let journal = &core.journal;
    let snapshot = Entry::Snapshot(orchestrator.compacted()).encode();
    let commit = journal.append(&snapshot).map_err(|error| chain(&error))?;
    commit.durable().await.map_err(|error| chain(&error))?;
    let records = Arc::clone(&core.records);
    let kept = tokio::task::spawn_blocking(move || records.keep_before(settled)).await;
    kept.expect("keeping records does not panic").map_err(|error| chain(&error))?;
    core.database.flush().map_err(|error| chain(&error))?;
    core.states.flush().map_err(|error| chain(&error))?;
    let commit = journal.truncate_before(settled).map_err(|error| chain(&error))?;
    let first = commit.durable().await.map_err(|error| chain(&error))?;
    core.records.forget_before(first);
    Ok(())
}
