//! The events that triggers raise of their own: time that went by, functions that ended.

use std::sync::Arc;

use nisse_model::{
    EVENT_DATA_LENGTH_MAX, Event, FunctionName, Missed, OnEnd, Outcome, Schedule, Timestamp, Trigger, TriggerName,
    TriggerSpec,
};
use serde_json::{Value, json};

use super::queue::Queue;
use super::{AgentKey, Cursor, Declared, Job, JobChange, JobEffects, JobEnd, News, WaitingJob};

/// How late a timer whose missed runs are passed over may be.
const LATE_MAX_MS: u64 = 60_000;
/// Missed runs that are caught up on at a time.
const CATCH_UP_MAX: usize = 100;
/// How long a timer waits for room among its agent's jobs.
const NO_ROOM_PAUSE_MS: u64 = 1_000;
/// How many functions may follow one upon another.
const DEPTH_MAX: u16 = 32;

/// Where an event stands among others.
struct Place {
    /// How many functions that ended led to it.
    depth: u16,
    due: Timestamp,
    /// The time in its name, the same whenever it is raised.
    born: Timestamp,
}

impl Queue {
    /// Works out when each timer fires next. One that is new begins now.
    pub(super) fn arm_timers(&mut self, key: &Arc<AgentKey>, now: Timestamp, effects: &mut JobEffects) {
        let Some(declared) = self.declared.clone() else { return };
        self.timers.clear();
        for (place, trigger) in declared.triggers.iter().enumerate() {
            let TriggerSpec::Timer { schedule, .. } = &trigger.spec else { continue };
            let cursor = *self.cursors.entry(trigger.name.clone()).or_insert_with(|| {
                let cursor = Cursor { at: now, count: 0, is_paused: false };
                let (agent, trigger) = ((**key).clone(), trigger.name.clone());
                effects.changes.push(JobChange::Moved { agent, trigger, cursor });
                cursor
            });
            if trigger.enabled
                && !cursor.is_paused
                && let Some(next) = schedule.next_after(cursor.at)
            {
                self.timers.insert(place, next);
            }
        }
    }

    /// A timer that an update has changed begins now: what its new moments would have been is not missed.
    pub(super) fn begin_changed_timers(
        &mut self,
        key: &Arc<AgentKey>,
        before: Option<&Declared>,
        now: Timestamp,
        effects: &mut JobEffects,
    ) {
        let (Some(before), Some(declared)) = (before, self.declared.clone()) else { return };
        for trigger in &declared.triggers {
            let of_before = before.triggers.iter().find(|other| other.name == trigger.name);
            let is_changed =
                of_before.is_some_and(|other| other.spec != trigger.spec || other.enabled != trigger.enabled);
            let cursor = self.cursors.get_mut(&trigger.name).filter(|cursor| is_changed && cursor.at < now);
            if let Some(cursor) = cursor {
                cursor.at = now;
                let (agent, trigger, cursor) = ((**key).clone(), trigger.name.clone(), *cursor);
                effects.changes.push(JobChange::Moved { agent, trigger, cursor });
            }
        }
    }

    /// Raises the events of timers that are due.
    pub(super) fn fire_timers(
        &mut self,
        key: &Arc<AgentKey>,
        now: Timestamp,
        open_max: usize,
        effects: &mut JobEffects,
    ) {
        let Some(declared) = self.declared.clone() else { return };
        let due: Vec<usize> = self.timers.iter().filter(|(_, at)| **at <= now).map(|(place, _)| *place).collect();
        for place in due {
            let trigger = &declared.triggers[place];
            let TriggerSpec::Timer { schedule, missed } = &trigger.spec else { continue };
            let Some(mut cursor) = self.cursors.get(&trigger.name).copied() else { continue };
            let before = cursor;
            let mut next = schedule.next_after(cursor.at);
            for _ in 0..CATCH_UP_MAX {
                let Some(at) = next.filter(|at| *at <= now) else { break };
                if self.open.len() >= open_max {
                    next = Some(now.plus_ms(NO_ROOM_PAUSE_MS));
                    break;
                }
                let (fires, passed) = due_run((schedule, *missed), at, now);
                if let Some(at) = fires {
                    cursor.count += 1;
                    self.raise_timer(key, trigger, (at, cursor.count), effects);
                }
                cursor.at = passed;
                next = schedule.next_after(passed);
            }
            if cursor != before {
                self.cursors.insert(trigger.name.clone(), cursor);
                let (agent, trigger) = ((**key).clone(), trigger.name.clone());
                effects.changes.push(JobChange::Moved { agent, trigger, cursor });
            }
            match next {
                // The others come first, where this one has more to catch up on.
                Some(next) => drop(self.timers.insert(place, next.max(now.plus_ms(1)))),
                None => drop(self.timers.remove(&place)),
            }
        }
    }

    fn raise_timer(
        &mut self,
        key: &Arc<AgentKey>,
        trigger: &Trigger,
        (at, tick): (Timestamp, u64),
        effects: &mut JobEffects,
    ) {
        let event = Event {
            id: format!("{}:{}", trigger.name, at.0),
            source: "nisse:timer".to_owned(),
            kind: "timer".to_owned(),
            time: at,
            content_type: String::new(),
            data: Vec::new(),
        };
        self.raise(key, trigger, event, &json!({ "tick": tick }), Place { depth: 0, due: at, born: at }, effects);
    }

    /// Whether an answer of this function is wanted once it completed.
    pub(super) fn is_followed(&self, function: &FunctionName) -> bool {
        let Some(declared) = &self.declared else { return false };
        declared.triggers.iter().any(|trigger| follows(trigger, function, OnEnd::Completed))
    }

    /// Raises the events of triggers that wait for the end of a function.
    pub(super) fn raise_followers(
        &mut self,
        key: &Arc<AgentKey>,
        ended: &WaitingJob,
        end: &JobEnd,
        now: Timestamp,
        effects: &mut JobEffects,
    ) {
        let Some(declared) = self.declared.clone() else { return };
        let (on_end, data) = match end {
            JobEnd::Completed(answer) => (OnEnd::Completed, json!({ "output": output(answer.as_ref()) })),
            JobEnd::Failed(reason) => (OnEnd::Failed, json!({ "reason": reason })),
            JobEnd::Cancelled => return,
        };
        for trigger in declared.triggers.iter().filter(|trigger| follows(trigger, &ended.function, on_end)) {
            let paused = self.cursors.get(&trigger.name).is_some_and(|cursor| cursor.is_paused);
            if paused || !trigger.enabled {
                continue;
            }
            let mut data = data.clone();
            data["function"] = ended.function.as_str().into();
            data["invocation"] = ended.id.to_string().into();
            let event = Event {
                id: format!("{}:{}", trigger.name, ended.id),
                source: "nisse:function".to_owned(),
                kind: format!("function.{}", end.word()),
                time: now,
                content_type: String::new(),
                data: Vec::new(),
            };
            let cursor =
                self.cursors.entry(trigger.name.clone()).or_insert(Cursor { at: now, count: 0, is_paused: false });
            *cursor = Cursor { at: now.max(cursor.at), count: cursor.count + 1, ..*cursor };
            let (agent, name, cursor) = ((**key).clone(), trigger.name.clone(), *cursor);
            let moved = JobChange::Moved { agent, trigger: name, cursor };
            // Raised again after a crash, it has the same name, whatever the time is then.
            let place = Place { depth: ended.depth.saturating_add(1), due: now, born: ended.id.time() };
            self.raise(key, trigger, event, &data, place, effects);
            effects.changes.push(moved);
        }
    }

    /// Raises the events of what a source found. Each stands before the word that it was told.
    pub(super) fn tell(
        &mut self,
        key: &Arc<AgentKey>,
        name: &TriggerName,
        (news, open_max): (Vec<News>, usize),
        now: Timestamp,
        effects: &mut JobEffects,
    ) -> usize {
        let Some(trigger) = self.trigger(name).cloned() else { return 0 };
        let begun = Cursor { at: now, count: 0, is_paused: false };
        let mut cursor = self.cursors.get(name).copied().unwrap_or(begun);
        let before = self.cursors.get(name).copied();
        let mut told = 0;
        for News { item, mark, event, raises } in news {
            let raises = raises.filter(|_| !cursor.is_paused && trigger.enabled);
            if raises.is_some() && self.open.len() >= open_max {
                break;
            }
            if let Some((kind, data)) = raises {
                cursor = Cursor { at: now.max(cursor.at), count: cursor.count + 1, ..cursor };
                let (source, content_type) = (format!("nisse:{}", trigger.spec.kind()), String::new());
                let event = Event { id: event, source, kind, time: now, content_type, data: Vec::new() };
                self.raise(key, &trigger, event, &data, Place { depth: 0, due: now, born: now }, effects);
            }
            let (agent, trigger) = ((**key).clone(), name.clone());
            effects.changes.push(JobChange::Seen { agent, trigger, item, mark });
            told += 1;
        }
        if before != Some(cursor) {
            self.cursors.insert(name.clone(), cursor);
            let (agent, trigger) = ((**key).clone(), name.clone());
            effects.changes.push(JobChange::Moved { agent, trigger, cursor });
        }
        told
    }

    /// Adds the job that an event of a trigger is: its data, or what the trigger makes of that. What cannot be made is told
    /// by a job that failed.
    fn raise(
        &mut self,
        key: &Arc<AgentKey>,
        trigger: &Trigger,
        mut event: Event,
        data: &Value,
        Place { depth, due, born }: Place,
        effects: &mut JobEffects,
    ) {
        let rendered = trigger.input.as_ref().map_or_else(|| Ok(data.clone()), |input| input.render(data));
        let bytes = match rendered {
            Ok(data) => Ok(data.to_string().into_bytes()),
            Err(error) => Err(format!("failed to {error}")),
        };
        let bytes = bytes.and_then(|bytes| match bytes.len() {
            length if length > EVENT_DATA_LENGTH_MAX => {
                Err(format!("the event has {length} bytes of data: at most {EVENT_DATA_LENGTH_MAX} are allowed"))
            }
            _ if depth > DEPTH_MAX => Err(format!("more than {DEPTH_MAX} functions followed one upon another")),
            _ => Ok(bytes),
        });
        let refused = bytes.as_ref().err().cloned();
        event.content_type = "application/json".to_owned();
        event.data = bytes.unwrap_or_default();
        let agent = (**key).clone();
        let id = Job::name(&agent, Some(&trigger.name), (&event.source, &event.id), born);
        if self.open.contains_key(&id) {
            return;
        }
        let (function, trigger) = (trigger.function.clone(), Some(trigger.name.clone()));
        let job = Job { id, agent, function, trigger, event, depth, due };
        match refused {
            None => self.add(job, effects),
            Some(reason) => {
                let agent = job.agent.clone();
                effects.changes.push(JobChange::Added(job));
                let end = JobEnd::Failed(reason);
                effects.changes.push(JobChange::Ended { agent, id, attempts: 0, end, at: due, attempt: None });
            }
        }
    }
}

/// Which run a timer that was due at `at` comes to now, and up to when nothing else does.
fn due_run((schedule, missed): (&Schedule, Missed), at: Timestamp, now: Timestamp) -> (Option<Timestamp>, Timestamp) {
    match missed {
        Missed::All => (Some(at), at),
        Missed::Once => (Some(at), now),
        Missed::Skip => {
            let in_time = Timestamp(now.0.saturating_sub(LATE_MAX_MS + 1));
            let first = if at > in_time { Some(at) } else { schedule.next_after(in_time) };
            // At most one for each second.
            let runs = std::iter::successors(first, |at| schedule.next_after(*at));
            (runs.take_while(|at| *at <= now).last(), now)
        }
    }
}

fn follows(trigger: &Trigger, ended: &FunctionName, how: OnEnd) -> bool {
    matches!(&trigger.spec, TriggerSpec::Function { function, on_end } if function == ended && *on_end == how)
}

/// What a handler answered, as JSON where it is.
fn output(answer: Option<&Outcome>) -> Value {
    let Some(Outcome { data, .. }) = answer else { return Value::Null };
    match (serde_json::from_slice(data), std::str::from_utf8(data)) {
        (Ok(json), _) => json,
        (Err(_), Ok(text)) => text.into(),
        (Err(_), Err(_)) => Value::Null,
    }
}
