//! Triggers and invocations, as an owner asks about them.

use base64::Engine as _;
use nisse_model::{Event, InvocationId, Timestamp, Trigger, TriggerName, TriggerSpec};
use nisse_orchestrator::{Agent, AgentKey, Attempt, Cursor, Job, JobEnd};

use super::Node;
use super::life::not_now;
use crate::control::{FireRequest, Fired, InvocationAttempt, InvocationEntry, InvocationShown, Trigger as Shown};
use crate::error::{ErrorKind, NodeError};
use crate::jobs::table::{self, JobRow};
use crate::jobs::{failed, refused};

/// Runs of a timer that are worked out ahead.
const NEXT_MAX: usize = 10;
/// Invocations of one list.
const LIST_MAX: usize = 1_000;

impl Node {
    /// The triggers of an agent.
    pub async fn triggers(&self, text: &str) -> Result<Vec<Shown>, NodeError> {
        let (_, agent) = self.find_here(text, "show the triggers of").await?;
        let manifest = self.manifest_of(&agent.placement.package).await?;
        let mut shown = Vec::with_capacity(manifest.triggers.len());
        for trigger in manifest.triggers {
            shown.push(self.shown_trigger(&agent, &trigger).await?);
        }
        Ok(shown)
    }

    /// One trigger of an agent.
    pub async fn trigger(&self, text: &str, name: &str) -> Result<Shown, NodeError> {
        let (agent, trigger) = self.trigger_named(text, name, "show a trigger of").await?;
        self.shown_trigger(&agent, &trigger).await
    }

    /// Raises an event of a trigger by hand; durable when this returns.
    pub async fn fire_trigger(&self, text: &str, name: &str, request: FireRequest) -> Result<Fired, NodeError> {
        let (agent, trigger) = self.trigger_named(text, name, "fire a trigger of").await?;
        if !agent.life.is_live() {
            return Err(not_now("fire a trigger of", &agent));
        }
        let now = self.core.clock.now();
        let FireRequest { data, key } = request;
        // The same name comes to the same job, whenever it is said.
        let (id, time) = match key {
            Some(key) => (format!("{name}:{key}"), Timestamp(0)),
            None => (self.core.fresh_name(name), now),
        };
        let data = trigger.input.as_ref().map_or_else(|| Ok(data.clone()), |input| input.render(&data));
        let data = data.map_err(|error| invalid(format!("failed to {error}")))?;
        let event = Event::manual(id, time, "application/json".to_owned(), data.to_string().into_bytes());
        event.check().map_err(|error| invalid(format!("failed to {error}")))?;
        let agent = key_of(&agent);
        let id = Job::name(&agent, Some(&trigger.name), (&event.source, &event.id), event.time);
        let (function, trigger) = (trigger.function, Some(trigger.name));
        let event = Event { time: now, ..event };
        let job = Job { id, agent, function, trigger, event, depth: 0, due: now };
        let new = self.core.jobs.add(&self.core, job).await?;
        Ok(Fired { invocation: id.to_string(), new })
    }

    /// Pauses a trigger or lets it go on.
    pub async fn pause_trigger(&self, text: &str, name: &str, is_paused: bool) -> Result<Shown, NodeError> {
        let verb = if is_paused { "pause a trigger of" } else { "resume a trigger of" };
        let (agent, trigger) = self.trigger_named(text, name, verb).await?;
        let (key, name) = (key_of(&agent), trigger.name.clone());
        let paused = self.core.jobs.ask(move |jobs, now, effects| jobs.pause(&key, &name, is_paused, now, effects));
        paused.await?.map_err(|error| refused(&error))?;
        self.shown_trigger(&agent, &trigger).await
    }

    /// The invocations of an agent by events, the newest first: those in one state, of one trigger, or all.
    pub async fn invocations(
        &self,
        text: &str,
        (state, trigger): (Option<String>, Option<String>),
        max: usize,
    ) -> Result<Vec<InvocationEntry>, NodeError> {
        let (_, agent) = self.find_here(text, "show the invocations of").await?;
        let known = ["waiting", "running", "completed", "failed", "cancelled"];
        if let Some(state) = state.as_deref().filter(|state| !known.contains(state)) {
            let text = format!("failed to look for invocations that are `{state}`: expected {}", known.join(", "));
            return Err(NodeError::new(ErrorKind::Usage, "state_unknown", text));
        }
        let key = key_of(&agent);
        let running = self.running_job(&key).await?;
        let wanted = |row: &JobRow| {
            let is_of = trigger
                .as_deref()
                .is_none_or(|name| row.waiting.trigger.as_ref().is_some_and(|of| of.as_str() == name));
            is_of && state.as_deref().is_none_or(|state| state_of(row, running) == state)
        };
        let rows =
            table::jobs(&self.core.database, &key, max.min(LIST_MAX), &wanted).map_err(|error| failed(&error))?;
        Ok(rows.iter().map(|row| shown_row(row, running)).collect())
    }

    /// One invocation, with its event.
    pub async fn invocation(&self, text: &str, id: &str) -> Result<InvocationShown, NodeError> {
        let (key, row) = self.job_named(text, id, "show an invocation of").await?;
        let event = table::event(&self.core.database, &key, row.waiting.id).map_err(|error| failed(&error))?;
        let (content_type, data) = event.map(|event| (event.content_type, event.data)).unwrap_or_default();
        let (text, base64) = match String::from_utf8(data) {
            Ok(text) => (Some(text), None),
            Err(error) => (None, Some(base64::engine::general_purpose::STANDARD.encode(error.into_bytes()))),
        };
        Ok(InvocationShown {
            entry: shown_row(&row, self.running_job(&key).await?),
            event_id: row.event_id,
            event_source: row.event_source,
            content_type,
            text,
            base64,
        })
    }

    /// Has an invocation handled again that failed or was cancelled.
    pub async fn retry_invocation(&self, text: &str, id: &str) -> Result<InvocationEntry, NodeError> {
        let (key, row) = self.job_named(text, id, "retry an invocation of").await?;
        let id = row.waiting.id;
        if let Some(row) = self.core.jobs.again(&self.core, key.clone(), id).await? {
            let text = format!("failed to retry {id}: it is {}", state_of(&row, self.running_job(&key).await?));
            return Err(NodeError::new(ErrorKind::Conflict, "not_now", text));
        }
        self.shown_job(&key, id).await
    }

    /// Calls an invocation off that has not begun.
    pub async fn cancel_invocation(&self, text: &str, id: &str) -> Result<InvocationEntry, NodeError> {
        let (key, row) = self.job_named(text, id, "cancel an invocation of").await?;
        let (agent, id) = (key.clone(), row.waiting.id);
        let cancelled = self.core.jobs.ask(move |jobs, now, effects| jobs.cancel(&agent, id, now, effects));
        cancelled.await?.map_err(|error| refused(&error))?;
        self.shown_job(&key, id).await
    }

    async fn shown_job(&self, key: &AgentKey, id: InvocationId) -> Result<InvocationEntry, NodeError> {
        let row = table::job(&self.core.database, key, id).map_err(|error| failed(&error))?;
        let row = row.ok_or_else(|| unknown_invocation(&id.to_string()))?;
        Ok(shown_row(&row, self.running_job(key).await?))
    }

    async fn job_named(&self, text: &str, id: &str, verb: &str) -> Result<(AgentKey, JobRow), NodeError> {
        let (_, agent) = self.find_here(text, verb).await?;
        let key = key_of(&agent);
        let bytes: Option<[u8; 16]> = hex::decode(id).ok().and_then(|bytes| bytes.try_into().ok());
        let row = bytes.map(|bytes| table::job(&self.core.database, &key, InvocationId(bytes)));
        let row = row.transpose().map_err(|error| failed(&error))?.flatten();
        row.map(|row| (key, row)).ok_or_else(|| unknown_invocation(id))
    }

    async fn running_job(&self, key: &AgentKey) -> Result<Option<InvocationId>, NodeError> {
        let key = key.clone();
        self.core.jobs.ask(move |jobs, _, _| jobs.open(&key).1).await
    }

    async fn trigger_named(&self, text: &str, name: &str, verb: &str) -> Result<(Agent, Trigger), NodeError> {
        let (_, agent) = self.find_here(text, verb).await?;
        let manifest = self.manifest_of(&agent.placement.package).await?;
        let known: Vec<String> = manifest.triggers.iter().map(|trigger| trigger.name.to_string()).collect();
        let found = manifest.triggers.into_iter().find(|trigger| trigger.name.as_str() == name);
        found.map(|trigger| (agent, trigger)).ok_or_else(|| {
            let text = format!("failed to find the trigger `{name}` of {text}");
            let hint = match known.is_empty() {
                true => "its agent.yaml declares no triggers".to_owned(),
                false => format!("its triggers are {}", known.join(", ")),
            };
            NodeError::new(ErrorKind::NotFound, "trigger_unknown", text).with_hint(hint)
        })
    }

    async fn shown_trigger(&self, agent: &Agent, trigger: &Trigger) -> Result<Shown, NodeError> {
        let key = key_of(agent);
        let (asked, name) = (key.clone(), trigger.name.clone());
        let now = self.core.clock.now();
        let looked =
            self.core.jobs.ask(move |jobs, _, _| (jobs.cursor(&asked, &name), jobs.open(&asked).1, jobs.is_up(&asked)));
        let (cursor, running, is_up) = looked.await?;
        let wanted = |row: &JobRow| row.waiting.trigger.as_ref() == Some(&trigger.name);
        let last = table::jobs(&self.core.database, &key, 1, &wanted).map_err(|error| failed(&error))?;
        let state = match cursor {
            _ if !trigger.enabled => "off",
            Some(Cursor { is_paused: true, .. }) => "paused",
            _ if !is_up => "down",
            _ => "on",
        };
        let next = if state == "on" { next_runs(trigger, cursor.map_or(now, |cursor| cursor.at)) } else { Vec::new() };
        let last = last.first().map(|row| shown_row(row, running));
        Ok(Shown {
            name: trigger.name.to_string(),
            function: trigger.function.to_string(),
            kind: trigger.spec.kind().to_owned(),
            spec: trigger.spec.to_string(),
            state: state.to_owned(),
            count: cursor.map_or(0, |cursor| cursor.count),
            why: why(trigger, state, agent, (next.first().copied(), last.as_ref())),
            next,
            last,
        })
    }
}

fn next_runs(trigger: &Trigger, after: Timestamp) -> Vec<u64> {
    let TriggerSpec::Timer { schedule, .. } = &trigger.spec else { return Vec::new() };
    let runs = std::iter::successors(schedule.next_after(after), |at| schedule.next_after(*at));
    runs.take(NEXT_MAX).map(|at| at.0).collect()
}

/// Why it fired last or did not.
fn why(trigger: &Trigger, state: &str, agent: &Agent, (next, last): (Option<u64>, Option<&InvocationEntry>)) -> String {
    let name = &agent.placement.package.agent_id.name;
    let now = match (state, &trigger.spec) {
        ("off", _) => "agent.yaml says `enabled: false`".to_owned(),
        ("paused", _) => "it is paused: what happens meanwhile is passed over".to_owned(),
        ("down", _) => format!("{name} is {}: it takes no events", agent.life.word()),
        (_, TriggerSpec::Timer { .. }) if next.is_none() => "its time has passed for good".to_owned(),
        (_, TriggerSpec::Timer { .. }) => "it waits for its time".to_owned(),
        (_, TriggerSpec::Function { function, .. }) => format!("it waits for the function `{function}` to end"),
        (_, TriggerSpec::Space { space, .. }) => format!("it waits for a change in the space {space}"),
        (_, TriggerSpec::Manual) => "it waits for somebody to fire it".to_owned(),
    };
    match last {
        None => format!("it has not fired: {now}"),
        Some(last) => {
            let reason = last.reason.as_ref().map_or(String::new(), |reason| format!(" ({reason})"));
            format!("its last invocation is {}{reason}; {now}", last.state)
        }
    }
}

fn state_of(row: &JobRow, running: Option<InvocationId>) -> &'static str {
    match &row.end {
        Some((end, _)) => end.word(),
        None if running == Some(row.waiting.id) => "running",
        None => "waiting",
    }
}

fn shown_row(row: &JobRow, running: Option<InvocationId>) -> InvocationEntry {
    let state = state_of(row, running);
    let reason = match &row.end {
        Some((JobEnd::Failed(reason), _)) => Some(reason.clone()),
        Some(_) => None,
        None => row.reason.clone(),
    };
    InvocationEntry {
        invocation: row.waiting.id.to_string(),
        function: row.waiting.function.to_string(),
        trigger: row.waiting.trigger.as_ref().map(TriggerName::to_string),
        state: state.to_owned(),
        event: row.event_kind.clone(),
        time: row.event_time.0,
        attempts: row.waiting.attempts,
        due: (state == "waiting").then_some(row.waiting.due.0),
        reason,
        ended: row.end.as_ref().map(|(_, at)| at.0),
        attempt: row.attempt.map(|Attempt { began, ended, seq, fuel }| InvocationAttempt {
            began: began.0,
            took_ms: ended.since_ms(began),
            fuel: fuel.0,
            seq,
        }),
    }
}

fn key_of(agent: &Agent) -> AgentKey {
    let (owner, name) = agent.placement.key();
    AgentKey { owner, name }
}

fn invalid(text: String) -> NodeError {
    NodeError::new(ErrorKind::Usage, "event_invalid", text)
}

fn unknown_invocation(id: &str) -> NodeError {
    let text = format!("failed to find the invocation `{id}`");
    NodeError::new(ErrorKind::NotFound, "invocation_unknown", text)
        .with_hint("`nisse invocation ls AGENT` shows those that are kept".to_owned())
}
