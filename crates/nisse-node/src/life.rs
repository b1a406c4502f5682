//! An agent's steps on this node: prepare, start, halt, swap, alarm. All but the alarm run in the agent's lane.

mod kept;
mod swap;

use std::sync::Arc;

use nisse_model::{
    AuditLine, DeploymentId, Event as AgentEvent, FailureKind, Invocation, InvocationId, Permission, Timestamp,
};
use nisse_orchestrator::{ActionResult, Alarm, AlarmEnd, Declared, FailureStage, Placement, PrepareError};

pub(crate) use kept::kept_name;
pub(crate) use swap::{Swap, is_on_trial, swap_step};

use crate::access::Guard;
use crate::agent::{self, AgentContent, AgentHandle, AgentHost, AgentParts, CallError, Committer, EventAnswer, Stats};
use crate::audit::Deed;
use crate::core::{Core, Running};
use crate::driver::finished;
use crate::error::chain;
use crate::packages::{BroughtFor, bring};
use crate::prepare::Checked;
use crate::spaces::AgentSpaces;
use crate::supervisor::apart;
use crate::unapplied::Held;

/// How long a `started` or `alarm` handler may take.
const HANDLER_MS: u64 = 60_000;
/// Permissions in one line of the audit log: as long as they may be, they fit.
const RIGHTS_PER_LINE: usize = AuditLine::TEXT_LENGTH_MAX / (Permission::LENGTH_MAX + 16);
/// Calls of one agent that may wait or run; the last place is for events.
const AGENT_QUEUE_MAX: usize = 256;

/// Why an agent did not come up.
pub(crate) enum StartError {
    /// A halt came meanwhile: nobody waits for this start any more.
    Superseded,
    /// It did not start: the package's fault at its own stage, or this node's.
    Failed(PrepareError),
}

impl From<PrepareError> for StartError {
    fn from(error: PrepareError) -> Self {
        Self::Failed(error)
    }
}

/// Fetches and verifies what an order asks for, before a bid.
pub(crate) async fn inspect(
    core: &Arc<Core>,
    deployment: DeploymentId,
    placement: &Placement,
) -> Result<(), PrepareError> {
    // Held until it is looked at.
    let _brought = bring(core, placement, BroughtFor::Bid(deployment)).await?;
    core.preparer.check(placement).await.map(drop)
}

/// Fetches and verifies the package of an agent of this node, and keeps it.
async fn check(core: &Arc<Core>, deployment: DeploymentId, placement: &Placement) -> Result<Checked, PrepareError> {
    let brought = bring(core, placement, BroughtFor::Agent(deployment)).await?;
    let checked = core.preparer.check(placement).await?;
    brought.keep().await?;
    Ok(checked)
}

/// Fetches, verifies and compiles; the code is in the cache afterwards.
pub(crate) async fn prepare(core: &Arc<Core>, deployment: DeploymentId, placement: Placement, ticket: u64) {
    let result = check_and_compile(core, deployment, &placement, ticket).await;
    if core.lane(deployment).ticket() == ticket {
        let result = result.map(|checked| core.set_prepared(deployment, Arc::new(checked)));
        finished(core, deployment, ActionResult::Prepared(result)).await;
    }
}

async fn check_and_compile(
    core: &Arc<Core>,
    deployment: DeploymentId,
    placement: &Placement,
    ticket: u64,
) -> Result<Checked, PrepareError> {
    // Whoever holds this agent back does not wait for other nodes.
    let lane = core.lane(deployment);
    let brought = tokio::select! {
        brought = bring(core, placement, BroughtFor::Agent(deployment)) => brought?,
        () = lane.revoked(ticket) => {
            let reason = "fetch the package: it was held back meanwhile".to_owned();
            return Err(PrepareError { stage: FailureStage::Fetch, reason });
        }
    };
    let fetched = core.preparer.fetch(&placement.package).await?;
    core.milestone(deployment, "fetched", format!("{} bytes, each block checked by its CID", fetched.bytes()));
    let checked = core.preparer.verify(placement, fetched).await?;
    brought.keep().await?;
    core.milestone(deployment, "verified", format!("artifact {}", placement.package.artifact_hash));
    core.preparer.compile(&checked).await?;
    core.milestone(deployment, "compiled", "native code is in the cache");
    Ok(checked)
}

/// Brings an agent up and says so.
pub(crate) async fn start_step(
    core: &Arc<Core>,
    deployment: DeploymentId,
    placement: Placement,
    incarnation: u32,
    raise_started: bool,
    ticket: u64,
) {
    if core.lane(deployment).ticket() != ticket {
        return;
    }
    // The state of an agent belongs to one instance: whatever ran before is gone first.
    halt(core, deployment).await;
    let id = started_id(deployment, incarnation);
    let started = raise_started.then_some(id);
    let ready = kept::settle(core, deployment, &placement).await;
    let start = async {
        ready.map_err(|error| at(FailureStage::Node, error.text))?;
        start(core, deployment, &placement, incarnation, started, ticket).await
    };
    let mut held = None;
    let result = match start.await {
        Ok(handled) => {
            held = handled;
            ActionResult::Started(Ok(()))
        }
        Err(StartError::Failed(PrepareError { stage: FailureStage::Start, reason })) => {
            ActionResult::Started(Err(reason))
        }
        // It never came as far as its own start.
        Err(StartError::Failed(error)) => ActionResult::Prepared(Err(error)),
        Err(StartError::Superseded) => return,
    };
    finished(core, deployment, result).await;
    decided(core, held).await;
}

/// Lets the journal go on when everything is decided that the orchestrator was told before: what was handled is not
/// handled again, by its completion or by the decision about it.
pub(crate) async fn decided(core: &Core, held: Option<Held>) {
    let Some(held) = held else { return };
    kept::look(core, |_| ()).await;
    held.let_go();
}

/// Ends the agent and waits for it: its last commit is done when this returns, and nothing of it holds a connection.
pub(crate) async fn halt(core: &Core, deployment: DeploymentId) {
    if let Some(running) = core.take_running(&deployment) {
        core.driver.routes_changed().await;
        running.handle.halt().await;
        core.egress.forget(&running.label);
    }
}

/// Brings an agent to life, and has its `started` event handled under this name where it is to be raised. Gives what holds
/// that one's completion.
async fn start(
    core: &Arc<Core>,
    deployment: DeploymentId,
    placement: &Placement,
    incarnation: u32,
    started: Option<InvocationId>,
    ticket: u64,
) -> Result<Option<Held>, StartError> {
    let lane = core.lane(deployment);
    let checked = match core.take_prepared(&deployment) {
        Some(checked) => checked,
        None => tokio::select! {
            checked = check(core, deployment, placement) => Arc::new(checked?),
            () = lane.revoked(ticket) => return Err(StartError::Superseded),
        },
    };
    let running = bring_to_life(core, deployment, placement, incarnation, &checked).await?;
    if !lane.starting(ticket, &running.handle) {
        running.handle.halt().await;
        return Err(StartError::Superseded);
    }
    let started = match started {
        Some(id) => handle_started(core, id, &running).await,
        None => Ok(None),
    };
    let (handle, label) = (running.handle.clone(), running.label.clone());
    let live = lane.go_live(ticket, || {
        if started.is_ok() {
            core.set_running(deployment, running);
        }
    });
    if !live || started.is_err() {
        handle.halt().await;
        core.egress.forget(&label);
    }
    match (live, started) {
        (false, started) => {
            if let Ok(Some(held)) = started {
                held.let_go();
            }
            Err(StartError::Superseded)
        }
        (true, Ok(held)) => Ok(held),
        (true, Err(error)) => Err(StartError::Failed(error)),
    }
}

async fn bring_to_life(
    core: &Arc<Core>,
    deployment: DeploymentId,
    placement: &Placement,
    incarnation: u32,
    checked: &Checked,
) -> Result<Running, PrepareError> {
    let (owner, name) = placement.key();
    let label = core.label(owner, &name);
    let state = core.states.agent(owner, &name);
    let log = core.logs.of(&label);
    note_rights(core, &label, checked).await;
    core.egress.set_permissions(&label, checked.grants.network_rules(), checked.grants.local_services());
    let spaces = AgentSpaces::new(core, deployment, &label, checked.grants.space_rules());
    if let Some(spaces) = &spaces {
        spaces.come_to_life().await;
    }
    let host = AgentHost {
        spaces: spaces.clone(),
        label: label.clone(),
        grants: checked.grants.clone(),
        audit: Arc::clone(&core.audit),
        state: state.clone(),
        journal: Arc::clone(&core.journal),
        content: Arc::new(AgentContent::new(core, owner)),
        egress: core.egress.clone(),
        log: Arc::clone(&log),
        clock: Arc::clone(&core.clock),
        entropy: Arc::clone(&core.entropy),
    };
    let program = core.preparer.link(checked, Arc::new(host)).await?;
    let asked = || core.asked_of(&label);
    let guard = Guard::new(&checked.manifest.access, &name, owner == core.operator, asked, &log);
    // The index lags behind: what was committed since the node came up is in memory.
    let last = match core.ledger.tip(&deployment) {
        Some(tip) => Some(tip),
        None => core.records.last(&deployment).map_err(|error| at(FailureStage::Node, chain(&error)))?,
    };
    let parts = AgentParts {
        deployment,
        owner,
        package: placement.package.clone(),
        engine: core.preparer.engine.hash(),
        state,
        publishes: checked.grants.may_publish(),
        records: Arc::clone(&core.records),
        ledger: Arc::clone(&core.ledger),
        unapplied: Arc::clone(&core.unapplied),
        outward: core.outward.clone(),
        spaces: spaces.clone(),
        log,
        clock: Arc::clone(&core.clock),
        entropy: Arc::clone(&core.entropy),
        stats: Arc::new(Stats::default()),
    };
    let committer = Committer::new(parts, last).map_err(|error| at(FailureStage::Node, chain(&error)))?;
    let handle = AgentHandle::new(deployment, AGENT_QUEUE_MAX, program, committer);
    let agent = handle.clone();
    core.supervisor.spawn(format!("agent {deployment}"), |stop| apart(deployment, agent::run(agent, stop)));
    let permissions = checked.manifest.permissions.iter().map(ToString::to_string).collect();
    let declared = Arc::new(Declared {
        functions: checked.manifest.functions.clone(),
        triggers: checked.manifest.triggers.clone(),
    });
    Ok(Running { handle, label, permissions, guard, declared, spaces, incarnation })
}

/// Tells which rights an agent comes to life with. It lives without that line, too: a full disk stops no agent.
async fn note_rights(core: &Core, label: &str, checked: &Checked) {
    let given: Vec<_> = checked.manifest.permissions.iter().map(ToString::to_string).collect();
    let lines: Vec<_> = given.chunks(RIGHTS_PER_LINE).map(|some| some.join(", ")).collect();
    let outcomes: Vec<_> = match lines.len() {
        0 => vec!["without permissions".to_owned()],
        1 => vec![format!("with {}", lines[0])],
        count => lines.iter().enumerate().map(|(at, some)| format!("with ({} of {count}) {some}", at + 1)).collect(),
    };
    for outcome in outcomes {
        let deed = Deed { by: "node".to_owned(), act: "agent.start".into(), about: label.to_owned(), outcome };
        // Whoever starts and stops it again and again fills no log.
        if let Err(error) = core.audit.often(deed).await {
            tracing::error!(agent = label, %error, "an agent starts without a line in the audit log");
        }
    }
}

/// The name of an incarnation's `started`: the same before and after a crash, so that a handled one is not handled
/// again.
pub(crate) fn started_id(deployment: DeploymentId, incarnation: u32) -> InvocationId {
    let name = deployment.to_string();
    Core::stable_invocation(Timestamp(0), &[b"started", name.as_bytes(), &incarnation.to_be_bytes()])
}

async fn handle_started(core: &Core, id: InvocationId, running: &Running) -> Result<Option<Held>, PrepareError> {
    let now = core.clock.now();
    let event = AgentEvent::started(format!("started:{}", running.incarnation), now);
    match running.handle.named_event(invocation(id, event, 1, now), false, &core.unapplied).await {
        Ok((EventAnswer { result: Ok(_), .. }, held)) => Ok(Some(held)),
        Ok((EventAnswer { result: Err(failure), .. }, held)) => {
            held.let_go();
            Err(at(FailureStage::Start, failure.text))
        }
        // A component without the handler has nothing to do at its start.
        Err(CallError::NoHandler) => Ok(None),
        // Its disk, for one: no fault of the package.
        Err(error @ (CallError::Node(_) | CallError::Full)) => Err(at(FailureStage::Node, error.to_string())),
        Err(error) => Err(at(FailureStage::Start, error.to_string())),
    }
}

fn at(stage: FailureStage, reason: String) -> PrepareError {
    PrepareError { stage, reason }
}

/// The name of an alarm's handling. Every attempt at one alarm has the same.
pub(crate) fn alarm_id(deployment: DeploymentId, alarm: &Alarm) -> InvocationId {
    let name = deployment.to_string();
    Core::stable_invocation(alarm.at, &[b"alarm", name.as_bytes(), &alarm.number.to_be_bytes()])
}

/// Raises an alarm. A package whose turn is not decided yet handles none. Gives what holds the alarm's completion as
/// well.
pub(crate) async fn raise_alarm(
    core: &Core,
    deployment: DeploymentId,
    incarnation: u32,
    alarm: Alarm,
) -> (AlarmEnd, Option<Held>) {
    let id = alarm_id(deployment, &alarm);
    let running = core.running(&deployment).filter(|running| running.incarnation == incarnation);
    let Some(running) = running else { return (AlarmEnd::NotUp, None) };
    let event = AgentEvent::alarm(format!("alarm:{}", alarm.number), alarm.at);
    let invocation = invocation(id, event, alarm.attempt, core.clock.now());
    let (answer, held) = match running.handle.named_event(invocation, false, &core.unapplied).await {
        Ok((answer, held)) => (Ok(answer), Some(held)),
        Err(error) => (Err(error), None),
    };
    let end = match answer.map(|answer| answer.result) {
        Ok(Ok(_)) => AlarmEnd::Done,
        Ok(Err(failure)) => match failure.kind {
            FailureKind::Retryable => AlarmEnd::Retry,
            FailureKind::Permanent => AlarmEnd::GiveUp,
        },
        Err(CallError::NoHandler) => AlarmEnd::GiveUp,
        Err(CallError::Halted | CallError::Busy(_) | CallError::Full) => AlarmEnd::NotUp,
        Err(_) => AlarmEnd::Retry,
    };
    (end, held)
}

fn invocation(id: InvocationId, event: AgentEvent, attempt: u32, now: Timestamp) -> Invocation {
    let deadline = now.plus_ms(HANDLER_MS);
    Invocation { id, function: Invocation::MAIN.to_owned(), event, attempt, deadline }
}
