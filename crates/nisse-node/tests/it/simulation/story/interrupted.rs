//! Updates that their owner interrupts: a pause and a resume, or a stop, at any moment while they are under way.

use std::pin::pin;
use std::time::Duration;

use futures::future::{Either, select};
use nisse_node::Node;
use nisse_node::control::UpdateRequest;
use nisse_testkit::{Failure, PausedClock, Random, check};
use tokio::task::yield_now;
use tokio::time::sleep;

use super::super::home::package;
use super::super::judge::{RESTS_ASKED, rest};
use super::super::model::{Asked, Life, Slot};

/// How often an owner looks away before the second thought, at most: as a power of two.
const LOOKS_AWAY_POWER_MAX: u64 = 12;
/// How long the second thought may take beside that.
const THOUGHT_MS_MAX: u64 = 30;
/// How long a pause lasts, at most.
const PAUSE_MS_MAX: u64 = 40;
/// How often the owner looks whether an update that was under way has come to its end.
const LOOKS_MAX: u32 = 1_200;

impl Slot {
    /// Asks for an update and thinks better of it.
    pub(super) async fn interrupt(
        &mut self,
        node: &Node,
        clock: &PausedClock,
        random: &mut Random,
    ) -> Result<(), Failure> {
        self.version_newest += 1;
        let next = self.version_newest;
        // Which calls came before the swap nobody knows, so nobody asks for a way back.
        (self.before_update, self.memory.due) = (None, None);
        let stops = random.once_in(3);
        self.asked = Some(if stops { Asked::StoppedUpdate(next) } else { Asked::PausedUpdate(next) });
        let request = UpdateRequest { package: package(self.name, next), allow_downgrade: false };
        let (name, mut own) = (self.name, random.fork());
        let mut update = pin!(node.update(name, request));
        let thought = async {
            sleep(Duration::from_millis(own.below(THOUGHT_MS_MAX))).await;
            let most = 1 << own.below(LOOKS_AWAY_POWER_MAX);
            for _ in 0..own.below(most) {
                yield_now().await;
            }
        };
        let mut updated = None;
        if let Either::Left((done, _)) = select(&mut update, pin!(thought)).await {
            updated = Some(done?);
        }
        if stops {
            node.stop(name).await?;
            self.life = Life::Stopped;
            self.learn(node).await?;
            self.asked = None;
            return Ok(());
        }
        node.pause(name).await?;
        sleep(Duration::from_millis(own.below(PAUSE_MS_MAX))).await;
        node.resume(name).await?;
        // Whoever calls now is answered by a package whose state stays.
        self.call(node, clock, own.fork()).await?;
        self.memory.due = None;
        if updated.is_none() {
            update.await?;
        }
        self.learn(node).await?;
        self.asked = None;
        let is = self.version;
        check(is == next, || format!("{name} is 1.{is}.0 after its update to 1.{next}.0 was paused and resumed"))
    }

    /// Which package the last deployment has.
    async fn learn(&mut self, node: &Node) -> Result<(), Failure> {
        let found = node.agent(self.name).await?.version;
        let version = found.split('.').nth(1).and_then(|minor| minor.parse().ok()).unwrap_or(u32::MAX);
        check(self.may_run(version), || format!("{} was 1.{}.0 and is {found}", self.name, self.version))?;
        self.version = version;
        Ok(())
    }

    /// Waits for an update that may have been under way when the agent was paused.
    pub(super) async fn settle(&mut self, node: &Node) -> Result<(), Failure> {
        for _ in 0..RESTS_ASKED {
            rest().await;
        }
        for _ in 0..LOOKS_MAX {
            let agent = node.agent(self.name).await?;
            if agent.state == "running" && !agent.permissions.is_empty() {
                return self.learn(node).await.map(|()| self.pending = None);
            }
            rest().await;
        }
        Err(Failure::Violation(format!("{} was resumed and does not come up", self.name)))
    }
}
