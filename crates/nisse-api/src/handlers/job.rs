//! Triggers of agents, and the invocations that they lead to.

use axum::Json;
use axum::extract::{Path, State};
use nisse_node::control::{FireRequest, Fired, InvocationEntry, InvocationShown, Trigger};
use serde::Deserialize;

use super::{Answer, Asked, Sent, query, read};
use crate::control::App;

/// Invocations given when the caller does not say how many.
const COUNT_DEFAULT: usize = 20;

type Named = Path<(String, String)>;

pub(crate) async fn agent_trigger_list(State(app): State<App>, Path(agent): Path<String>) -> Answer<Vec<Trigger>> {
    Ok(Json(app.node.triggers(&agent).await?))
}

pub(crate) async fn agent_trigger_show(State(app): State<App>, Path((agent, name)): Named) -> Answer<Trigger> {
    Ok(Json(app.node.trigger(&agent, &name).await?))
}

pub(crate) async fn agent_trigger_fire(
    State(app): State<App>,
    Path((agent, name)): Named,
    request: Sent<FireRequest>,
) -> Answer<Fired> {
    Ok(Json(app.node.fire_trigger(&agent, &name, read(request)?).await?))
}

pub(crate) async fn agent_trigger_pause(State(app): State<App>, Path((agent, name)): Named) -> Answer<Trigger> {
    Ok(Json(app.node.pause_trigger(&agent, &name, true).await?))
}

pub(crate) async fn agent_trigger_resume(State(app): State<App>, Path((agent, name)): Named) -> Answer<Trigger> {
    Ok(Json(app.node.pause_trigger(&agent, &name, false).await?))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct InvocationQuery {
    count: Option<usize>,
    state: Option<String>,
    trigger: Option<String>,
}

pub(crate) async fn agent_invocation_list(
    State(app): State<App>,
    Path(agent): Path<String>,
    asked: Asked<InvocationQuery>,
) -> Answer<Vec<InvocationEntry>> {
    let InvocationQuery { count, state, trigger } = query(asked)?;
    Ok(Json(app.node.invocations(&agent, (state, trigger), count.unwrap_or(COUNT_DEFAULT)).await?))
}

pub(crate) async fn agent_invocation_show(State(app): State<App>, Path((agent, id)): Named) -> Answer<InvocationShown> {
    Ok(Json(app.node.invocation(&agent, &id).await?))
}

pub(crate) async fn agent_invocation_retry(
    State(app): State<App>,
    Path((agent, id)): Named,
) -> Answer<InvocationEntry> {
    Ok(Json(app.node.retry_invocation(&agent, &id).await?))
}

pub(crate) async fn agent_invocation_cancel(
    State(app): State<App>,
    Path((agent, id)): Named,
) -> Answer<InvocationEntry> {
    Ok(Json(app.node.cancel_invocation(&agent, &id).await?))
}
