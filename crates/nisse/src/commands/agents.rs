//! deploy, status, ls, logs, start, stop, pause, resume, update, rollback, destroy, invoke, fund.

use std::path::Path;

use nisse_api::client::Client;
use nisse_node::control::{
    AgentList, AgentSpace, AgentStatus, DeployRequest, Deployed, Destroyed, FundRequest, GasStatus, LogLine,
    PackageUpload, UpdateRequest,
};
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::pkg::{self, OnDisk};
use super::{agent_path, client, invoke};
use crate::cli::{Command, Shared};
use crate::failure::{Exit, Failure};
use crate::{output, progress};

pub(crate) async fn run(shared: &Shared, command: Command) -> Result<(), Failure> {
    match command {
        Command::Deploy(deploy) => {
            let package = upload(&deploy.dir, deploy.artifact_cid, deploy.set)?;
            let request = DeployRequest {
                package,
                payment: deploy.payment,
                max_rate: deploy.max_rate,
                bid_window_seconds: deploy.bid_window,
                select: deploy.select,
                instant: deploy.instant,
                key: deploy.key,
                wait_ms: deploy.wait.map(|seconds| seconds.saturating_mul(1_000)),
                space: deploy.space,
            };
            let client = client(shared).await?;
            let deployed: Deployed = progress::during("deploying", client.post("/api/v1/agents", &request)).await?;
            show(shared, &deployed, print_deployed);
            if deploy.wait == Some(0) { Ok(()) } else { live(deployed) }
        }
        Command::Status { agent: None } | Command::Ls => list(shared).await,
        Command::Status { agent: Some(agent) } => {
            status(shared, client(shared).await?.get(&agent_path(&agent, "")?).await?)
        }
        Command::Logs { agent, follow, lines } => logs(shared, &agent, follow, lines).await,
        Command::Start { agent } => {
            let (client, path) = (client(shared).await?, agent_path(&agent, "/start")?);
            let deployed: Deployed = progress::during("starting", client.post_nothing(&path)).await?;
            show(shared, &deployed, print_deployed);
            live(deployed)
        }
        Command::Stop { agent } => act(shared, &agent, "/stop").await,
        Command::Pause { agent } => act(shared, &agent, "/pause").await,
        Command::Resume { agent } => act(shared, &agent, "/resume").await,
        Command::Rollback { agent } => act(shared, &agent, "/rollback").await,
        Command::Update(update) => {
            let package = upload(&update.dir, update.artifact_cid, update.set)?;
            let request = UpdateRequest { package, allow_downgrade: update.allow_downgrade };
            send(shared, &update.agent, "/update", &request, status).await
        }
        Command::Destroy { agent } => {
            let (client, path) = (client(shared).await?, agent_path(&agent, "/destroy")?);
            let destroyed: Destroyed = progress::during("destroying", client.post_nothing(&path)).await?;
            show(shared, &destroyed, |destroyed| {
                output::line(format!("destroyed {}", destroyed.agent_id));
                if let Some(cid) = &destroyed.state_cid {
                    output::line(format!("its state is kept as {cid}"));
                }
            });
            Ok(())
        }
        Command::Invoke { agent, event, kind, content_type } => {
            let request = invoke::request(&event, kind, content_type)?;
            send(shared, &agent, "/invoke", &request, invoke::answer).await
        }
        Command::Fund { agent, amount } => send(shared, &agent, "/fund", &FundRequest { amount }, status).await,
        _ => Err(Failure::usage("failed to find this command")),
    }
}

/// A deployment is done when its agent runs. An order that no node took stands, and what is still on its way goes on:
/// neither is a success.
fn live(deployed: Deployed) -> Result<(), Failure> {
    let Deployed { deployment, agent_id, state, reason, hint, elapsed_ms, .. } = deployed;
    let reason = reason.map(|reason| format!(": {reason}")).unwrap_or_default();
    let failure = match state.as_str() {
        "running" => return Ok(()),
        "open" | "unverified" => {
            Failure::new(Exit::Refused, format!("failed to bring {agent_id} up: its order is {state}{reason}"))
        }
        "assigned" | "preparing" | "starting" => {
            let seconds = elapsed_ms / 1_000;
            let text =
                format!("failed to see {agent_id} running within {seconds} s: it goes on, and is {state}{reason}");
            Failure::new(Exit::Failed, text).hint(format!("`nisse status {deployment}` says how far it is"))
        }
        _ => Failure::new(Exit::Failed, format!("failed to bring {agent_id} up: it is {state}{reason}")),
    };
    Err(match hint {
        Some(hint) => failure.hint(hint),
        None => failure,
    })
}

/// A package on its way to the node.
fn upload(dir: &Path, artifact_cid: Option<String>, set: Vec<String>) -> Result<PackageUpload, Failure> {
    let package = match artifact_cid {
        None => {
            let OnDisk { text, artifact, .. } = pkg::read(dir)?;
            PackageUpload::of(text, &artifact)
        }
        Some(cid) => PackageUpload::by_cid(pkg::read_manifest(dir)?.0, cid),
    };
    Ok(package.set(set))
}

pub(super) fn show<T: Serialize>(shared: &Shared, value: &T, print: impl FnOnce(&T)) {
    if shared.json { output::json(value) } else { print(value) }
}

async fn act(shared: &Shared, agent: &str, rest: &str) -> Result<(), Failure> {
    let (client, path) = (client(shared).await?, agent_path(agent, rest)?);
    status(shared, progress::during("waiting for the node", client.post_nothing(&path)).await?)
}

async fn send<T: DeserializeOwned>(
    shared: &Shared,
    agent: &str,
    rest: &str,
    body: &impl Serialize,
    then: impl FnOnce(&Shared, T) -> Result<(), Failure>,
) -> Result<(), Failure> {
    let (client, path) = (client(shared).await?, agent_path(agent, rest)?);
    let answer = progress::during("waiting for the node", client.post(&path, body)).await?;
    then(shared, answer)
}

async fn list(shared: &Shared) -> Result<(), Failure> {
    let AgentList { agents, incomplete, .. } = client(shared).await?.get("/api/v1/agents").await?;
    show(shared, &agents, |agents| {
        if agents.is_empty() {
            return output::line("no agents yet: `nisse deploy DIR` runs one");
        }
        // Most homes run nothing but their own.
        let owned = agents.iter().any(|agent| agent.space.is_some());
        let row = |agent: &AgentStatus| {
            let space = owned.then(|| agent.space.as_ref().map(called).unwrap_or_default());
            let AgentStatus { agent_id, state, endpoint, lease, .. } = agent;
            [agent_id, state, endpoint, &lease.rate].into_iter().cloned().chain(space).collect::<Vec<_>>()
        };
        let heads = ["agent", "state", "endpoint", "rate", "space"];
        let heads = if owned { &heads[..] } else { &heads[..4] };
        output::table(heads, &agents.iter().map(row).collect::<Vec<_>>());
    });
    if let Some(incomplete) = incomplete {
        output::note(shared.json, &incomplete);
    }
    Ok(())
}

fn status(shared: &Shared, agent: AgentStatus) -> Result<(), Failure> {
    show(shared, &agent, print_status);
    Ok(())
}

fn gas(gas: &GasStatus) -> String {
    let allowed = gas.allowed.map_or(String::new(), |allowed| format!(" of {allowed} by now"));
    let refused = gas.refused.as_ref().map_or(String::new(), |why| format!("; {why}"));
    format!("{} spent{allowed}{refused}", gas.spent)
}

fn stated(state: &str, reason: Option<&str>) -> String {
    reason.map_or_else(|| state.to_owned(), |reason| format!("{state}: {reason}"))
}

/// What the home that runs an agent calls the space that owns it.
fn called(space: &AgentSpace) -> String {
    space.name.clone().unwrap_or_else(|| space.space.clone())
}

/// The space by its name and its id.
fn named(space: &AgentSpace) -> String {
    match &space.name {
        Some(name) => format!("{name} {}", space.space),
        None => format!("{}, which its host does not hold any more", space.space),
    }
}

fn print_status(agent: &AgentStatus) {
    let lease = match agent.lease.rate.as_str() {
        "0" => "home, no end".to_owned(),
        rate if matches!(agent.state.as_str(), "open" | "unverified") => {
            format!("at most {rate} TALOS per hour, {} deposited", agent.lease.balance)
        }
        rate => format!("{rate} TALOS per hour, {} paid, {} left", agent.lease.paid, agent.lease.balance),
    };
    output::pairs(&[
        ("agent", agent.agent_id.clone()),
        ("state", stated(&agent.state, agent.reason.as_deref())),
        ("hint", agent.hint.clone().unwrap_or_default()),
        ("endpoint", agent.endpoint.clone()),
        ("deployment", agent.deployment.clone()),
        ("owner", agent.owner.clone()),
        ("space", agent.space.as_ref().map(named).unwrap_or_default()),
        ("host", agent.space.as_ref().and_then(|space| space.host.clone()).unwrap_or_default()),
        ("node", agent.node.clone().unwrap_or_default()),
        ("since", agent.since.map(output::time).unwrap_or_default()),
        ("restarts", agent.restarts.to_string()),
        ("memory", format!("{} bytes", agent.memory_bytes)),
        ("fuel", agent.fuel_used.to_string()),
        ("invocations", agent.invocations.to_string()),
        ("state kept", format!("{} bytes, root {}", agent.state_bytes, agent.state_root)),
        ("alarm", agent.alarm.map(output::time).unwrap_or_default()),
        ("permissions", agent.permissions.join(", ")),
        ("artifact", agent.cid.clone()),
        ("lease", lease),
        ("gas", agent.gas.as_ref().map(gas).unwrap_or_default()),
        ("ends", agent.lease.ends_at.map(output::time).unwrap_or_default()),
        ("warning", agent.lease.warning.clone().unwrap_or_default()),
        ("update", agent.update_refused.clone().map(|why| format!("refused: {why}")).unwrap_or_default()),
    ]);
}

pub(crate) fn print_deployed(deployed: &Deployed) {
    deployed.steps.iter().for_each(output::step);
    output::pairs(&[
        ("agent", deployed.agent_id.clone()),
        ("state", stated(&deployed.state, deployed.reason.as_deref())),
        ("deployment", deployed.deployment.clone()),
        ("endpoint", deployed.endpoint.clone()),
    ]);
}

async fn logs(shared: &Shared, agent: &str, follow: bool, lines: usize) -> Result<(), Failure> {
    let client: Client = client(shared).await?;
    let print = |line: &LogLine| {
        if shared.json {
            // One document a line, so that a followed log can be read as it comes.
            output::line(serde_json::to_string(line).unwrap_or_default());
        } else {
            output::line(format!("{} {:<5} {}", output::time(line.time), line.level, line.text));
        }
    };
    let last: Vec<LogLine> = client.get(&agent_path(agent, &format!("/logs?lines={lines}"))?).await?;
    last.iter().for_each(&print);
    if follow {
        let after = last.last().map_or(0, |line| line.number);
        let path = agent_path(agent, &format!("/logs/follow?after={after}"))?;
        client
            .follow(&path, |data| {
                if let Ok(line) = serde_json::from_str::<LogLine>(data) {
                    print(&line);
                }
                true
            })
            .await?;
        output::aside(&format!("the log ends here: `nisse status {agent}` says why"));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn deployed(state: &str, reason: Option<&str>) -> Deployed {
        Deployed {
            deployment: "7:0xab:3".to_owned(),
            agent_id: "a.b@v1.0.0".to_owned(),
            cid: String::new(),
            manifest_cid: String::new(),
            node: None,
            state: state.to_owned(),
            reason: reason.map(str::to_owned),
            hint: None,
            endpoint: String::new(),
            elapsed_ms: 180_004,
            steps: Vec::new(),
        }
    }

    fn told(deployed: Deployed) -> String {
        live(deployed).expect_err("it does not run").told()
    }

    #[test]
    fn a_deployment_is_done_when_its_agent_runs_and_never_before() {
        assert!(live(deployed("running", Some("the chain has not taken the start yet"))).is_ok());
        insta::assert_snapshot!(told(deployed("preparing", Some("its package is being compiled"))), @r"
        exit 1
        error: failed to see a.b@v1.0.0 running within 180 s: it goes on, and is preparing: its package is being compiled
        hint: `nisse status 7:0xab:3` says how far it is
        ");
        for (state, exit) in [("starting", 1), ("assigned", 1), ("stopped", 1), ("open", 3), ("unverified", 3)] {
            let told = told(deployed(state, None));
            assert!(told.starts_with(&format!("exit {exit}\n")), "{state}: {told}");
        }
    }
}
