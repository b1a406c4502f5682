//! Holds the node against the model: what was acknowledged stands, nothing came twice, and books, records and chain
//! tell the same story.

mod chain;
mod records;

use std::time::Duration;

use http::Method;
use nisse_node::Node;
use nisse_node::control::AgentStatus;
use nisse_store::Clock as _;
use nisse_testkit::{Failure, PausedClock, check};
use tokio::task::spawn_blocking;
use tokio::time::sleep;

use super::books::{Answer, Books, ask, moments, read};
use super::model::{Asked, Life, Memory, Model, Slot};

/// How long whatever was under way may take to come to rest.
const REST_MS_MAX: u64 = 150_000;
/// How often the world looks away at least, after a command that was not answered.
pub(super) const RESTS_ASKED: u32 = 30;
/// How often an agent that runs is asked before its silence counts.
const ASKED_MAX: u32 = 100;
/// How long an alarm or a publication that is due may take.
const DUE_MS_MAX: u64 = 60_000;
/// States that an agent or its order only passes through.
const MOVING: [&str; 4] = ["open", "assigned", "preparing", "starting"];
/// How often the world looks.
const LOOK: Duration = Duration::from_millis(50);
/// What other threads are given each time.
const BREATH: Duration = Duration::from_micros(200);

/// Looks away for a moment, of real time too: the journals write on threads of their own, for which virtual time does
/// not wait, so on a busy machine any deadline would pass before what it is for.
pub(super) async fn rest() {
    sleep(LOOK).await;
    let _ = spawn_blocking(|| std::thread::sleep(BREATH)).await;
}

impl Model {
    /// Everything is looked at, and what was unknown is learnt.
    pub(super) async fn judge(&mut self, node: &Node, clock: &PausedClock) -> Result<(), Failure> {
        self.come_to_rest(node, clock).await?;
        let agents = node.agents().await?.agents;
        for slot in &mut self.slots {
            let of_slot: Vec<&AgentStatus> = agents.iter().filter(|agent| slot.is(agent)).collect();
            slot.judge_life(&of_slot, clock)?;
            if slot.life == Life::Running {
                slot.judge_books(node, clock, of_slot[0]).await?;
            }
            slot.judge_records(node).await?;
        }
        for (cid, bytes) in &self.content {
            check(node.content_get(cid).await? == *bytes, || format!("{cid} was added and holds something else"))?;
        }
        self.judge_market(node).await?;
        self.slots.iter_mut().for_each(|slot| slot.asked = None);
        Ok(())
    }

    async fn come_to_rest(&self, node: &Node, clock: &PausedClock) -> Result<(), Failure> {
        let begun = clock.now();
        let asked = self.slots.iter().any(|slot| slot.asked.is_some());
        if asked {
            for _ in 0..RESTS_ASKED {
                rest().await;
            }
        }
        loop {
            let agents = node.agents().await?.agents;
            let moving = agents.iter().find(|agent| MOVING.contains(&agent.state.as_str()));
            let away = agents.iter().find(|agent| agent.state == "running" && agent.permissions.is_empty());
            let Some(moving) = moving.or(away) else { return Ok(()) };
            let long = clock.now().since_ms(begun) > REST_MS_MAX;
            check(!long, || format!("{} is {} and does not come up", moving.agent_id, moving.state))?;
            rest().await;
        }
    }
}

impl Slot {
    /// One at most lives, in a state that the owner was told of or asked for.
    fn judge_life(&mut self, agents: &[&AgentStatus], clock: &PausedClock) -> Result<(), Failure> {
        let live = agents.iter().filter(|agent| agent.node.is_some()).count();
        check(live <= 1, || format!("{} lives {live} times", self.name))?;
        let life = match agents.first().map(|agent| agent.state.as_str()) {
            None => Life::Absent,
            Some("running") => Life::Running,
            Some("paused") => Life::Paused,
            Some("stopped") => Life::Stopped,
            Some(other) => {
                let reason = agents[0].reason.as_deref().unwrap_or_default();
                return Err(Failure::Violation(format!("{} is {other}: {reason}", self.name)));
            }
        };
        let (name, known, asked) = (self.name, self.life, self.asked);
        check(self.may_be(life), || format!("{name} was {known:?}, {asked:?} was asked, and it is {life:?}"))?;
        let deployment = agents.first().map(|agent| &agent.deployment);
        if let Some(deployment) = deployment
            && self.deployments.last() != Some(deployment)
        {
            check(asked == Some(Asked::Deploy), || format!("{name} is {deployment} now, and nobody asked for it"))?;
            self.deployments.push(deployment.clone());
            self.since = clock.now().0;
        }
        let interrupted = matches!(asked, Some(Asked::PausedUpdate(_) | Asked::StoppedUpdate(_)));
        if matches!(life, Life::Running | Life::Paused) || interrupted {
            let found = &agents[0].version;
            let version = found.split('.').nth(1).and_then(|minor| minor.parse().ok()).unwrap_or(u32::MAX);
            let (was, asked) = (self.version, self.asked);
            check(self.may_run(version), || format!("{name} was 1.{was}.0, {asked:?} was asked, and it is {found}"))?;
            match self.asked {
                Some(Asked::Rollback(_)) if version != was => self.rolled_back(clock),
                Some(Asked::Update(_) | Asked::StoppedUpdate(_)) if version == was => self.before_update = None,
                // Nobody knows whether the chain has heard of it.
                Some(Asked::PausedUpdate(next)) if version == was && life == Life::Paused => self.pending = Some(next),
                _ => {
                    self.pending = self.pending.filter(|next| *next != version);
                    self.version = version;
                }
            }
        }
        match (self.asked, life) {
            (Some(Asked::Destroy), Life::Absent) => self.destroyed(clock),
            // Its state may be gone already.
            (Some(Asked::Destroy), Life::Stopped) => {
                (self.memory, self.before_update, self.reset_at) = (Memory::default(), None, clock.now().0);
            }
            _ => {}
        }
        self.life = life;
        Ok(())
    }

    /// The books hold what was acknowledged, once, and nothing that was never asked; the chain holds what they publish.
    async fn judge_books(&mut self, node: &Node, clock: &PausedClock, agent: &AgentStatus) -> Result<(), Failure> {
        let name = self.name;
        let begun = clock.now();
        loop {
            // In this order: what was published stood in the books before.
            let answers = chain::answers(node, &agent.deployment).await?;
            let answer = self.answer(node, agent).await?;
            let books = read(&answer.text);
            self.judge_lines(&books)?;
            let missing = self.judge_answers(&books, &answers)?;
            let handled = self.memory.due.is_none_or(|due| moments(&books, "alarm").iter().any(|at| *at >= due));
            if missing.is_none() && handled {
                self.memory.alarms = moments(&books, "alarm").into_iter().collect();
                return Ok(());
            }
            let long = clock.now().since_ms(begun) > DUE_MS_MAX;
            check(!long || handled, || {
                format!("{name} was told to wake at {:?} and did not: {books:?}", self.memory.due)
            })?;
            check(!long, || format!("{name} published {missing:?}, and the chain does not have it: {answers:?}"))?;
            rest().await;
        }
    }

    /// What its books say.
    async fn answer(&self, node: &Node, agent: &AgentStatus) -> Result<Answer, Failure> {
        for _ in 0..ASKED_MAX {
            if let Some(answer) = ask(node, agent, Method::GET, "/").await {
                return Ok(answer);
            }
            rest().await;
        }
        // Forgiven without power only.
        Err(std::io::Error::other(format!("ask {}, which runs", self.name)).into())
    }

    fn judge_lines(&self, books: &Books) -> Result<(), Failure> {
        let name = self.name;
        for (line, times) in books {
            // A deployment counts its incarnations from the beginning.
            let most = if line.starts_with("start/") { self.deployments.len() as u64 } else { 1 };
            check(*times <= most, || format!("{name} wrote {line} {times} times"))?;
            let known = !line.starts_with("call/") || self.tried.contains(line);
            check(known, || format!("{name} has {line}, which nobody sent"))?;
            check(!self.forgotten.contains(line), || format!("{name} remembers {line}, which was undone"))?;
        }
        check(books.keys().any(|line| line.starts_with("start/")), || format!("{name} runs and was never started"))?;
        for call in &self.memory.calls {
            check(books.contains_key(call), || format!("{name} answered {call} and lost it"))?;
        }
        for alarm in &self.memory.alarms {
            check(books.contains_key(&format!("alarm/{alarm}")), || format!("{name} lost the alarm of {alarm}"))?;
        }
        Ok(())
    }

    /// What was published once stands once on chain. Gives what is still missing there.
    fn judge_answers(&self, books: &Books, answers: &[u64]) -> Result<Option<u64>, Failure> {
        let (alarms, refused) = (moments(books, "alarm"), moments(books, "refused"));
        for (index, answer) in answers.iter().enumerate() {
            let (name, again) = (self.name, answers[..index].contains(answer));
            check(!again, || format!("{name} published {answer} twice: {answers:?}"))?;
            let told = *answer <= self.reset_at || alarms.contains(answer);
            check(told, || format!("{answer} was published for {name}, whose books do not know it: {books:?}"))?;
        }
        let due = |at: &&u64| **at > self.since.max(self.reset_at) && !refused.contains(at) && !answers.contains(at);
        Ok(alarms.iter().find(due).copied())
    }
}
