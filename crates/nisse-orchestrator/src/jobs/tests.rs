//! Jobs as stories; here, what all of them begin with.

mod stories;
mod timers;
mod world;

use std::sync::Arc;

use nisse_model::{
    Address, DeploymentId, Event, FailureKind, Fuel, FunctionName, InvocationId, Missed, OnEnd, Outcome, Period,
    RetryPolicy, Schedule, Timestamp, Trigger, TriggerName, TriggerSpec,
};

use super::*;

const NOW: Timestamp = Timestamp(1_700_000_000_000);
const MINUTE_MS: u64 = 60_000;

fn agent(name: &str) -> AgentKey {
    AgentKey { owner: Address([2; 20]), name: name.parse().expect("a name") }
}

fn function(name: &str) -> Function {
    let retry = RetryPolicy { attempts: 3, first_ms: 1_000, max_ms: 10_000 };
    Function { name: name.parse().expect("a name"), retry, ..Function::main() }
}

fn trigger(name: &str, function: &str, spec: TriggerSpec) -> Trigger {
    let name: TriggerName = name.parse().expect("a name");
    let function: FunctionName = function.parse().expect("a name");
    Trigger { name, function, spec, input: None, enabled: true }
}

fn every(ms: u64, missed: Missed) -> TriggerSpec {
    TriggerSpec::Timer { schedule: Schedule::every(Period::from_ms(ms)).expect("a schedule"), missed }
}

fn after(name: &str, on_end: OnEnd) -> TriggerSpec {
    TriggerSpec::Function { function: name.parse().expect("a name"), on_end }
}

fn up(incarnation: u32, triggers: Vec<Trigger>) -> Up {
    let deployment = DeploymentId { chain: 7, contract: Address([9; 20]), number: 1 };
    let functions = ["one", "two", "three"].map(function).to_vec();
    Up { deployment, incarnation, declared: Arc::new(Declared { functions, triggers }) }
}

fn job(whose: &str, key: &str, function: &str) -> Job {
    let event = Event::manual(key.to_owned(), NOW, "application/json".to_owned(), b"{}".to_vec());
    let agent = agent(whose);
    let id = Job::name(&agent, None, (&event.source, &event.id), event.time);
    Job { id, agent, function: function.parse().expect("a name"), trigger: None, event, depth: 0, due: NOW }
}

fn attempt(at: Timestamp) -> Attempt {
    Attempt { began: at, ended: at, seq: Some(1), fuel: Fuel(5) }
}

fn completed(text: &str) -> AttemptEnd {
    AttemptEnd::Completed(Some(Outcome { content_type: "text/plain".to_owned(), data: text.as_bytes().to_vec() }))
}

fn failed(kind: FailureKind) -> AttemptEnd {
    AttemptEnd::Failed { kind, reason: "as told".to_owned() }
}

/// What runs by these effects: whose, which, and which attempt.
fn runs(effects: &JobEffects) -> Vec<(String, InvocationId, u32)> {
    let run = |action: &JobAction| {
        let JobAction::Run { agent, id, attempt, .. } = action;
        (agent.name.to_string(), *id, *attempt)
    };
    effects.actions.iter().map(run).collect()
}

fn ends(effects: &JobEffects) -> Vec<(InvocationId, JobEnd)> {
    let end = |change: &JobChange| match change {
        JobChange::Ended { id, end, .. } => Some((*id, end.clone())),
        _ => None,
    };
    effects.changes.iter().filter_map(end).collect()
}

fn added(effects: &JobEffects) -> Vec<Job> {
    let added = |change: &JobChange| match change {
        JobChange::Added(job) => Some(job.clone()),
        _ => None,
    };
    effects.changes.iter().filter_map(added).collect()
}

/// Does one thing, and gives what follows.
fn tell(jobs: &mut Jobs, act: impl FnOnce(&mut Jobs, &mut JobEffects)) -> JobEffects {
    let mut effects = JobEffects::default();
    act(jobs, &mut effects);
    effects
}

fn with(triggers: Vec<Trigger>) -> Jobs {
    let mut jobs = Jobs::new(JobLimits { running_max: 2, open_max: 4 });
    tell(&mut jobs, |jobs, effects| jobs.come_up(agent("a"), up(1, triggers), NOW, effects));
    jobs
}
