//! trigger ls, show, next, fire, pause, resume; why; invocation ls, dead, show, retry, cancel.

use nisse_node::control::{FireRequest, Fired, InvocationEntry, InvocationShown, Trigger};

use super::agents::show;
use super::{agent_path, client, invoke, segment};
use crate::cli::{InvocationCommand, Shared, TriggerCommand};
use crate::failure::Failure;
use crate::output;

pub(crate) async fn trigger(shared: &Shared, command: TriggerCommand) -> Result<(), Failure> {
    match command {
        TriggerCommand::Ls { agent } => {
            let triggers: Vec<Trigger> = client(shared).await?.get(&agent_path(&agent, "/triggers")?).await?;
            show(shared, &triggers, |triggers| print_triggers(triggers));
        }
        TriggerCommand::Show { agent, trigger } => {
            let trigger: Trigger = client(shared).await?.get(&trigger_path(&agent, &trigger, "")?).await?;
            show(shared, &trigger, print_trigger);
        }
        TriggerCommand::Next { agent, trigger } => {
            let trigger: Trigger = client(shared).await?.get(&trigger_path(&agent, &trigger, "")?).await?;
            show(shared, &trigger.next, |next| next.iter().for_each(|at| output::line(output::time(*at))));
            if trigger.next.is_empty() && !shared.json {
                output::aside(&format!("nothing ahead: {}", trigger.why));
            }
        }
        TriggerCommand::Fire { agent, trigger, event, key } => {
            let data = event.map(|event| invoke::request(&event, None, None)).transpose()?;
            let data = data.and_then(|request| request.data).unwrap_or_default();
            let path = trigger_path(&agent, &trigger, "/fire")?;
            let fired: Fired = client(shared).await?.post(&path, &FireRequest { data, key }).await?;
            show(shared, &fired, |fired| {
                let again = if fired.new { "" } else { ", as before" };
                output::line(format!("invocation {}{again}", fired.invocation));
            });
        }
        TriggerCommand::Pause { agent, trigger } => change(shared, &trigger_path(&agent, &trigger, "/pause")?).await?,
        TriggerCommand::Resume { agent, trigger } => {
            change(shared, &trigger_path(&agent, &trigger, "/resume")?).await?
        }
    }
    Ok(())
}

pub(crate) async fn why(shared: &Shared, agent: &str, trigger: &str) -> Result<(), Failure> {
    let trigger: Trigger = client(shared).await?.get(&trigger_path(agent, trigger, "")?).await?;
    show(shared, &trigger, |trigger| output::line(&trigger.why));
    Ok(())
}

pub(crate) async fn invocation(shared: &Shared, command: InvocationCommand) -> Result<(), Failure> {
    match command {
        InvocationCommand::Ls { agent, state, trigger, count } => {
            list(shared, &agent, (state.as_deref(), trigger.as_deref()), count).await
        }
        InvocationCommand::Dead { agent, count } => list(shared, &agent, (Some("failed"), None), count).await,
        InvocationCommand::Show { agent, invocation } => {
            let path = invocation_path(&agent, &invocation, "")?;
            let shown: InvocationShown = client(shared).await?.get(&path).await?;
            show(shared, &shown, print_shown);
            Ok(())
        }
        InvocationCommand::Retry { agent, invocation } => {
            let entry = client(shared).await?.post_nothing(&invocation_path(&agent, &invocation, "/retry")?).await?;
            show(shared, &entry, print_entry);
            Ok(())
        }
        InvocationCommand::Cancel { agent, invocation } => {
            let entry = client(shared).await?.post_nothing(&invocation_path(&agent, &invocation, "/cancel")?).await?;
            show(shared, &entry, print_entry);
            Ok(())
        }
    }
}

async fn change(shared: &Shared, path: &str) -> Result<(), Failure> {
    let trigger: Trigger = client(shared).await?.post_nothing(path).await?;
    show(shared, &trigger, |trigger| output::line(format!("{} is {}", trigger.name, trigger.state)));
    Ok(())
}

async fn list(
    shared: &Shared,
    agent: &str,
    (state, trigger): (Option<&str>, Option<&str>),
    count: usize,
) -> Result<(), Failure> {
    let mut path = agent_path(agent, &format!("/invocations?count={count}"))?;
    for (name, value) in [("state", state), ("trigger", trigger)] {
        if let Some(value) = value {
            path.push_str(&format!("&{name}={}", segment(value)));
        }
    }
    let entries: Vec<InvocationEntry> = client(shared).await?.get(&path).await?;
    show(shared, &entries, |entries| {
        let row = |entry: &InvocationEntry| {
            let InvocationEntry { invocation, function, trigger, state, time, attempts, reason, .. } = entry.clone();
            let (trigger, reason) = (trigger.unwrap_or_default(), reason.unwrap_or_default());
            vec![invocation, output::time(time), trigger, function, state, attempts.to_string(), reason]
        };
        let rows: Vec<Vec<String>> = entries.iter().map(row).collect();
        output::table(&["invocation", "event at", "trigger", "function", "state", "attempts", "reason"], &rows);
    });
    Ok(())
}

fn trigger_path(agent: &str, trigger: &str, rest: &str) -> Result<String, Failure> {
    agent_path(agent, &format!("/triggers/{}{rest}", segment(trigger)))
}

fn invocation_path(agent: &str, invocation: &str, rest: &str) -> Result<String, Failure> {
    agent_path(agent, &format!("/invocations/{}{rest}", segment(invocation)))
}

fn print_triggers(triggers: &[Trigger]) {
    let row = |trigger: &Trigger| {
        let next = trigger.next.first().map_or(String::new(), |at| output::time(*at));
        let Trigger { name, spec, function, state, count, .. } = trigger.clone();
        vec![name, spec, function, state, count.to_string(), next]
    };
    let rows: Vec<Vec<String>> = triggers.iter().map(row).collect();
    output::table(&["trigger", "raised by", "function", "state", "fired", "next"], &rows);
}

fn print_trigger(trigger: &Trigger) {
    let mut pairs = vec![
        ("trigger", trigger.name.clone()),
        ("raised by", trigger.spec.clone()),
        ("function", trigger.function.clone()),
        ("state", trigger.state.clone()),
        ("fired", trigger.count.to_string()),
    ];
    pairs.extend(trigger.next.first().map(|at| ("next", output::time(*at))));
    pairs.extend(trigger.last.as_ref().map(|last| ("last", format!("{} {}", last.invocation, last.state))));
    pairs.push(("why", trigger.why.clone()));
    output::pairs(&pairs);
}

fn print_entry(entry: &InvocationEntry) {
    let mut pairs = vec![
        ("invocation", entry.invocation.clone()),
        ("function", entry.function.clone()),
        ("trigger", entry.trigger.clone().unwrap_or_default()),
        ("state", entry.state.clone()),
        ("event", format!("{} at {}", entry.event, output::time(entry.time))),
        ("attempts", entry.attempts.to_string()),
    ];
    pairs.extend(entry.due.map(|at| ("tried again", output::time(at))));
    pairs.extend(entry.reason.clone().map(|reason| ("reason", reason)));
    pairs.extend(entry.ended.map(|at| ("ended", output::time(at))));
    pairs.extend(entry.attempt.as_ref().map(|attempt| {
        let seq = attempt.seq.map_or(String::new(), |seq| format!(", record {seq}"));
        ("last attempt", format!("{} ms, fuel {}{seq}", attempt.took_ms, attempt.fuel))
    }));
    output::pairs(&pairs);
}

fn print_shown(shown: &InvocationShown) {
    print_entry(&shown.entry);
    output::pairs(&[("event id", shown.event_id.clone()), ("source", shown.event_source.clone())]);
    match (&shown.text, &shown.base64) {
        (Some(text), _) if text.is_empty() => {}
        (Some(text), _) => output::line(format!("data       {text}")),
        (None, Some(base64)) => output::line(format!("data       {base64} (base64)")),
        (None, None) => {}
    }
}
