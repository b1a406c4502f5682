//! nisse doctor: checks a home without changing it, running or not.

use std::path::Path;

use nisse_api::client::Client;
use nisse_node::NodeError;
use nisse_node::control::{AgentList, ContentEntry, NodeStatus};
use nisse_store::{Home, HomeError, SystemDisk};
use serde_json::json;

use crate::cli::Shared;
use crate::config;
use crate::failure::{Exit, Failure};
use crate::output;

/// One check and what it found.
struct Check {
    name: &'static str,
    problem: Option<String>,
}

pub(crate) async fn run(shared: &Shared) -> Result<(), Failure> {
    let home = config::home(shared.home.as_deref())?;
    let mut checks = vec![
        check("home", stands(&home).and_then(|()| closed(Home::check_closed(&SystemDisk, &home)))),
        check(
            "configuration",
            config::load(&home, &crate::cli::Up::default())
                .map(drop)
                .map_err(|_| "`nisse config show` says what is wrong".to_owned()),
        ),
        check("keys", closed(Home::check_secret(&SystemDisk, &home.join("keys/operator")))),
        check("token", closed(Home::check_secret(&SystemDisk, &home.join("token")))),
    ];
    match super::client(shared) {
        Err(failure) if failure.is_unreachable() => {
            checks.push(check("node", Err("not running; `nisse up` starts it".to_owned())));
        }
        Err(failure) => checks.push(check("node", Err(failure.text().to_owned()))),
        Ok(client) => running(&client, &mut checks).await,
    }
    let sound = checks.iter().all(|check| check.problem.is_none());
    if shared.json {
        let list: Vec<_> =
            checks.iter().map(|check| json!({ "check": check.name, "problem": check.problem })).collect();
        output::json(&json!({ "sound": sound, "checks": list }));
    } else {
        for check in &checks {
            output::line(format!("{:<14} {}", check.name, check.problem.as_deref().unwrap_or("in order")));
        }
    }
    if sound { Ok(()) } else { Err(Failure::new(Exit::Failed, "some checks failed")) }
}

fn check(name: &'static str, result: Result<(), String>) -> Check {
    Check { name, problem: result.err() }
}

fn stands(home: &Path) -> Result<(), String> {
    match std::fs::metadata(home.join("format")) {
        Ok(_) => Ok(()),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            Err("no home stands here; `nisse up` makes one".to_owned())
        }
        Err(error) => Err(format!("{}: {error}", home.display())),
    }
}

/// What is wrong with who may use a file or folder, and what to do about it.
fn closed(checked: Result<(), HomeError>) -> Result<(), String> {
    checked.map_err(|error| {
        let NodeError { text, hint, .. } = error.into();
        hint.map_or(text.clone(), |hint| format!("{text}; {hint}"))
    })
}

async fn running(client: &Client, checks: &mut Vec<Check>) {
    match client.get::<NodeStatus>("/api/v1/node").await {
        Ok(_) => checks.push(check("node", Ok(()))),
        Err(error) => return checks.push(check("node", Err(error.to_string()))),
    }
    if let Ok(AgentList { agents, .. }) = client.get("/api/v1/agents").await {
        let failed: Vec<_> =
            agents.iter().filter(|agent| agent.state == "failed").map(|agent| agent.agent_id.clone()).collect();
        let problem = (!failed.is_empty()).then(|| format!("failed: {}; `nisse status` says why", failed.join(", ")));
        checks.push(Check { name: "agents", problem });
    }
    // Each pinned block is read back by a gateway request; listing them shows whether the index is readable.
    let content = client.get::<Vec<ContentEntry>>("/api/v1/content").await;
    checks.push(check("content", content.map(drop).map_err(|error| error.to_string())));
}
