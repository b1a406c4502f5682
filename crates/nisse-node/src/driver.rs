//! Drives the orchestrator with real time, disk and network: decisions to the journal, then actions.
//!
//! One task owns the orchestrator. Nothing is done before the decision behind it is durable, and nothing here waits
//! for an agent or the chain: what takes long runs in a task of its own and comes back as an event.

mod actions;
mod asked;
mod compaction;
mod handle;
mod held;
pub(crate) mod market;
pub(crate) mod outbox;

pub(crate) use actions::finished;
pub(crate) use asked::shortened;
pub use asked::{Asked, tries_max};
pub(crate) use handle::DriverHandle;
pub(crate) use held::{Fate, fate};

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use nisse_orchestrator::{CommandError, Effects, Event, Orchestrator};
use tokio::sync::{Semaphore, mpsc, oneshot, watch};

use crate::agent::Outward;
use crate::core::Core;
use crate::error::chain;
use crate::life;
use crate::supervisor::Stop;

use handle::{Inbox, Message, Trouble};
use held::End;
use outbox::Name;

/// The longest time between two looks at the clocks.
const TICK_MAX: Duration = Duration::from_millis(500);

/// The task that owns the orchestrator.
pub(crate) struct Driver {
    core: Arc<Core>,
    orchestrator: Orchestrator,
    messages: mpsc::Receiver<Message>,
    /// Messages that came while a decision was held: their turn is before those that wait.
    aside: VecDeque<Message>,
    outward: mpsc::Receiver<Outward>,
    /// Why nothing is decided now.
    trouble: watch::Sender<Trouble>,
    /// The one turn at cutting the journal.
    compacting: Arc<Semaphore>,
    stop: Stop,
}

impl Driver {
    pub(crate) fn new(
        core: Arc<Core>,
        orchestrator: Orchestrator,
        inbox: Inbox,
        outward: mpsc::Receiver<Outward>,
    ) -> Self {
        let Inbox { messages, trouble } = inbox;
        let stop = core.supervisor.stop_signal();
        let compacting = Arc::new(Semaphore::new(1));
        Self { core, orchestrator, messages, aside: VecDeque::new(), outward, trouble, compacting, stop }
    }

    /// Runs until the node stops or its journal fails.
    pub(crate) async fn run(mut self) {
        if let Err(error) = outbox::restore(&self.core) {
            tracing::error!(error = chain(&error), "what agents have spent was not read");
            return self.core.fail("what agents have spent was not read".to_owned());
        }
        let boot = self.orchestrator.boot(self.core.clock.now());
        let mut compact = tokio::time::interval(self.core.options.journal.looked_at_every);
        // A start has enough to do.
        compact.reset();
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
                () = self.stop.requested() => return,
                _ = beat.tick() => Ok(self.tick()),
                _ = compact.tick() => {
                    carried = self.compact().await;
                    continue;
                }
                Some(outward) = self.outward.recv() => Ok(self.outward(outward)),
                message = next(&mut self.aside, &mut self.messages) => match message {
                    Some(message) => self.message(message).await,
                    None => return,
                },
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
        if let Err(End::Failed(error)) = carried {
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
        let chain = self.core.next_block_time();
        self.orchestrator.handle(Event::Tick { chain }, now)
    }

    fn outward(&mut self, outward: Outward) -> Effects {
        match outward {
            Outward::Alarm { deployment, by, position, at } => {
                let on_trial = life::is_on_trial(&self.orchestrator, deployment, by);
                let changed = Event::AlarmChanged { deployment, completion: position.0, at, on_trial };
                self.orchestrator.handle(changed, self.core.clock.now())
            }
            Outward::Publish { deployment, key, position, asset, value, decimals } => {
                self.publish(deployment, Name { key, position }, asset, value, decimals);
                Effects::default()
            }
        }
    }

    async fn message(&mut self, message: Message) -> Result<Effects, End> {
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
            Message::Look(look) | Message::Glance(look) => {
                look(&self.orchestrator);
                Ok(Effects::default())
            }
            // Who asked has been told that it is not carried out now.
            Message::Command { reply, .. } | Message::Forget { reply, .. } if reply.is_closed() => {
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
    ) -> Result<Effects, End> {
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
    async fn carry_out(&mut self, effects: Effects) -> Result<(), End> {
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
}

/// The next message: what was put aside came first.
async fn next(aside: &mut VecDeque<Message>, messages: &mut mpsc::Receiver<Message>) -> Option<Message> {
    match aside.pop_front() {
        Some(message) => Some(message),
        None => messages.recv().await,
    }
}
