//! What the owners and the callers do: any of it, in any order, some of it at once.

mod interrupted;

use std::time::Duration;

use futures::future::join_all;
use http::Method;
use nisse_model::Timestamp;
use nisse_node::Node;
use nisse_node::control::{FundRequest, UpdateRequest};
use nisse_store::Clock as _;
use nisse_testkit::{Failure, PausedClock, Random, check};
use tokio::time::sleep;

use super::books::{Answer, ask};
use super::home::package;
use super::model::{Asked, GIFT, Life, Memory, Model, Slot};

/// Steps of one life.
const STEPS_MAX: u64 = 6;
/// The longest time in which nobody does anything.
const PAUSE_MS_MAX: u64 = 600;
/// Length of what is added to the content store.
const CONTENT_BYTES: usize = 3_000;
/// Requests that arrive at once.
const CALLS_AT_ONCE_MAX: u64 = 3;

impl Model {
    /// A stretch of the story.
    pub(super) async fn tell(&mut self, node: &Node, clock: &PausedClock, random: &mut Random) -> Result<(), Failure> {
        for _ in 0..1 + random.below(STEPS_MAX) {
            let index = random.index(self.slots.len());
            let slot = &mut self.slots[index];
            match (slot.life, random.below(20)) {
                (Life::Running, 0..=5) => slot.call(node, clock, random.fork()).await?,
                (Life::Running, 6..=8) => self.rush(node, clock, random).await?,
                (Life::Running, 9) => slot.stop(node).await?,
                (Life::Running, 10) => slot.pause(node).await?,
                (Life::Running, 11) => slot.update(node).await?,
                (Life::Running, 12) => slot.interrupt(node, clock, random).await?,
                (Life::Running, 13) => slot.roll_back(node, clock).await?,
                (Life::Running, 14) if slot.pays => slot.fund(node).await?,
                (Life::Running | Life::Stopped, 15) => slot.destroy(node, clock).await?,
                (Life::Paused, 0..=13) => slot.resume(node).await?,
                (Life::Absent | Life::Stopped, 0..=13) => slot.deploy(node, clock.now()).await?,
                (_, 16) => self.tidy(node, random).await?,
                _ => sleep(Duration::from_millis(random.below(PAUSE_MS_MAX))).await,
            }
        }
        Ok(())
    }

    /// Everybody calls at the same time, at best when an alarm goes off.
    async fn rush(&mut self, node: &Node, clock: &PausedClock, random: &mut Random) -> Result<(), Failure> {
        let due = self.slots.iter().filter_map(|slot| slot.memory.due).max();
        let until = due.map_or(0, |due| Timestamp(due).since_ms(clock.now()));
        if until < PAUSE_MS_MAX {
            sleep(Duration::from_millis(until)).await;
        }
        let running = self.slots.iter_mut().filter(|slot| slot.life == Life::Running);
        let calls = running.map(|slot| slot.call(node, clock, random.fork()));
        join_all(calls).await.into_iter().collect()
    }

    /// Content comes and goes, and what nothing holds is dropped.
    async fn tidy(&mut self, node: &Node, random: &mut Random) -> Result<(), Failure> {
        let kept = random.bytes(CONTENT_BYTES);
        let added = node.content_add(kept.clone().into()).await?;
        if random.once_in(2) {
            node.content_remove(&added.cid).await?;
        } else {
            self.content.insert(added.cid, kept);
        }
        node.content_collect().await?;
        Ok(())
    }
}

impl Slot {
    /// Requests that change something, one of which may set the alarm.
    async fn call(&mut self, node: &Node, clock: &PausedClock, mut random: Random) -> Result<(), Failure> {
        let agent = node.agent(self.name).await?;
        let wakes = random.once_in(2);
        let wake = clock.now().0.max(self.woken + 1);
        let mut paths = Vec::new();
        for number in 0..1 + random.below(CALLS_AT_ONCE_MAX) {
            self.calls += 1;
            paths.push(match number {
                // No two of them: the model would not know which came last.
                0 if wakes => format!("/wake/{wake}"),
                _ => format!("/{}", self.calls),
            });
        }
        self.tried.extend(paths.iter().map(|path| format!("call{path}")));
        if wakes {
            (self.memory.due, self.woken) = (None, wake);
        }
        let answers = join_all(paths.iter().map(|path| ask(node, &agent, Method::POST, path))).await;
        for (path, answer) in paths.iter().zip(answers) {
            let Some(Answer { text, deployment, seq }) = answer else { continue };
            self.memory.calls.insert(format!("call{path}"));
            let receipt = node.receipt(&deployment, seq).await?;
            self.shown(deployment, seq, receipt.record_hash)?;
            if path.starts_with("/wake/") {
                self.memory.due = text.parse().ok();
            }
        }
        Ok(())
    }

    /// Notes a record that the node has shown.
    pub(super) fn shown(&mut self, deployment: String, seq: u64, hash: String) -> Result<(), Failure> {
        let known = self.records.entry((deployment, seq)).or_insert_with(|| hash.clone());
        check(*known == hash, || format!("record {seq} of {} was {known} and is {hash}", self.name))
    }

    async fn stop(&mut self, node: &Node) -> Result<(), Failure> {
        self.asked = Some(Asked::Stop);
        let status = node.stop(self.name).await?;
        self.asked = None;
        self.life = Life::Stopped;
        check(status.state == "stopped", || format!("{} is {} after it was stopped", self.name, status.state))
    }

    async fn pause(&mut self, node: &Node) -> Result<(), Failure> {
        self.asked = Some(Asked::Pause);
        let status = node.pause(self.name).await?;
        self.asked = None;
        self.life = Life::Paused;
        check(status.state == "paused", || format!("{} is {} after it was paused", self.name, status.state))
    }

    async fn resume(&mut self, node: &Node) -> Result<(), Failure> {
        self.asked = Some(Asked::Resume);
        node.resume(self.name).await?;
        self.asked = None;
        self.life = Life::Running;
        match self.pending {
            Some(_) => self.settle(node).await,
            None => Ok(()),
        }
    }

    async fn fund(&mut self, node: &Node) -> Result<(), Failure> {
        self.asked = Some(Asked::Fund);
        node.fund(self.name, FundRequest { amount: GIFT.to_string() }).await?;
        self.asked = None;
        self.funded += 1;
        Ok(())
    }

    async fn update(&mut self, node: &Node) -> Result<(), Failure> {
        self.version_newest += 1;
        let next = self.version_newest;
        self.before_update = Some((self.version, self.memory.clone()));
        self.memory.due = None;
        self.asked = Some(Asked::Update(next));
        let request = UpdateRequest { package: package(self.name, next), allow_downgrade: false };
        let status = node.update(self.name, request).await?;
        self.asked = None;
        self.version = next;
        check(status.version == format!("1.{next}.0"), || {
            format!("{} is {} after its update", self.name, status.version)
        })
    }

    /// Back to the package and the state before the last update, if there was one since the agent was deployed.
    async fn roll_back(&mut self, node: &Node, clock: &PausedClock) -> Result<(), Failure> {
        let Some((version, _)) = self.before_update else { return Ok(()) };
        self.memory.due = None;
        self.asked = Some(Asked::Rollback(version));
        let status = node.rollback(self.name).await?;
        self.asked = None;
        let is = status.version;
        check(is == format!("1.{version}.0"), || format!("{} is {is} after it was rolled back", self.name))?;
        self.rolled_back(clock);
        Ok(())
    }

    /// What was remembered since the update is forgotten.
    pub(super) fn rolled_back(&mut self, clock: &PausedClock) {
        let Some((version, memory)) = self.before_update.take() else { return };
        self.forgotten.extend(self.memory.calls.difference(&memory.calls).cloned());
        self.version = version;
        self.memory = Memory { due: None, ..memory };
        self.reset_at = clock.now().0;
    }

    async fn destroy(&mut self, node: &Node, clock: &PausedClock) -> Result<(), Failure> {
        self.asked = Some(Asked::Destroy);
        self.memory.due = None;
        node.destroy(self.name).await?;
        self.asked = None;
        self.destroyed(clock);
        Ok(())
    }

    /// Nothing is remembered, and nothing comes back.
    pub(super) fn destroyed(&mut self, clock: &PausedClock) {
        self.life = Life::Absent;
        self.forgotten.extend(self.tried.iter().cloned());
        (self.memory, self.before_update) = (Memory::default(), None);
        self.reset_at = clock.now().0;
    }
}
