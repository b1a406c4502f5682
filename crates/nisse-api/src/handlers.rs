//! One function for each control route: read what came, ask the node, answer.

mod identity;
mod job;
mod space;
mod space_files;
mod space_schemas;
mod token;
mod vault;

use std::convert::Infallible;
use std::time::Duration;

use axum::body::Bytes;
use axum::extract::rejection::{JsonRejection, QueryRejection};
use axum::extract::{Path, Query, State};
use axum::response::Response;
use axum::response::sse::{Event, KeepAlive, Sse};
use axum::{Extension, Json};
use futures::{Stream, StreamExt as _};
use http::{HeaderMap, HeaderValue, StatusCode, header};
use nisse_node::control::{
    AgentList, AgentStatus, Check, ContentAdded, ContentCollected, ContentEntry, ContentProvided, ContentProviders,
    DeployRequest, Deployed, Destroyed, FundRequest, HeartbeatProof, InvokeRequest, Invoked, LogLine, MarketEntry,
    MarketList, MarketNodes, MarketOffers, MarketRates, NodeEarnings, NodeOffer, NodeStatus, NodeWithdrawn, OfferAsked,
    ReceiptBundle, RollbackTo, UpdateRequest,
};
use serde::Deserialize;

use crate::control::App;
use crate::deeds::About;
use crate::problem::Problem;

/// Log lines given when the caller does not say how many.
const LOG_LINES_DEFAULT: usize = 100;
/// A followed log says this often that it is still there.
const KEEP_ALIVE: Duration = Duration::from_secs(15);

pub(crate) use identity::{
    device_list, device_pair, device_pair_close, device_pair_status, device_rename, device_revoke, identity_begin,
    identity_device, identity_profile, identity_profile_set, identity_show,
};
pub(crate) use job::{
    agent_invocation_cancel, agent_invocation_list, agent_invocation_retry, agent_invocation_show, agent_trigger_fire,
    agent_trigger_list, agent_trigger_pause, agent_trigger_resume, agent_trigger_show,
};
pub(crate) use space::{
    space_create, space_get, space_history, space_invitations, space_invite, space_join, space_keep, space_leave,
    space_list, space_member, space_members, space_patch, space_put, space_query, space_remove, space_show,
    space_ticket, space_uninvite, space_watch,
};
pub(crate) use space_files::{space_export, space_import};
pub(crate) use space_schemas::{
    space_schema_check, space_schema_get, space_schema_list, space_schema_put, space_schema_remove,
};
pub(crate) use token::{token_create, token_revoke};
pub(crate) use vault::{
    audit_lines, secret_list, secret_remove, secret_rotate, secret_set, vault_export, vault_protect, vault_seal,
    vault_status, vault_unlock, wallet_export, wallet_list,
};
// The same answers for owners elsewhere, under names of their own in generated clients.
pub(crate) use {
    agent_invoke as signed_invoke, agent_status as signed_status, heartbeat_show as signed_heartbeat,
    receipt_show as signed_receipt,
};

/// What is told at once of a log to somebody elsewhere, and how long one request follows it.
const SIGNED_LOG_BYTES_MAX: usize = 1 << 20;
const SIGNED_FOLLOW_MAX: Duration = Duration::from_secs(120);

type Answer<T> = Result<Json<T>, Problem>;
/// With what it was about, where its path does not say so.
type Told<T> = Result<(Extension<About>, Json<T>), Problem>;
type Sent<T> = Result<Json<T>, JsonRejection>;
type Asked<T> = Result<Query<T>, QueryRejection>;

/// What stands behind the `?` and cannot be read.
fn query<T>(asked: Asked<T>) -> Result<T, Problem> {
    asked.map(|Query(value)| value).map_err(|rejection| {
        let text = format!("failed to read the query: {}", rejection.body_text());
        Problem::new(rejection.status(), "query_invalid", text)
    })
}

/// A body that is not the JSON it should be.
fn read<T>(sent: Sent<T>) -> Result<T, Problem> {
    sent.map(|Json(value)| value).map_err(|rejection| {
        let text = format!("failed to read the request's body: {}", rejection.body_text());
        Problem::new(rejection.status(), "body_invalid", text)
    })
}

pub(crate) async fn health(State(app): State<App>) -> Json<serde_json::Value> {
    let vault = if app.node.vault_glance().sealed { "sealed" } else { "open" };
    Json(serde_json::json!({ "status": "serving", "version": env!("CARGO_PKG_VERSION"), "vault": vault }))
}

pub(crate) async fn openapi() -> Json<serde_json::Value> {
    Json(crate::openapi::document())
}

pub(crate) async fn node_status(State(app): State<App>) -> Answer<NodeStatus> {
    Ok(Json(app.node.status().await?))
}

pub(crate) async fn node_check(State(app): State<App>) -> Answer<Vec<Check>> {
    Ok(Json(app.node.check().await?))
}

pub(crate) async fn node_earnings(State(app): State<App>) -> Answer<NodeEarnings> {
    Ok(Json(app.node.earnings().await?))
}

pub(crate) async fn node_withdraw(State(app): State<App>, to: Sent<Option<String>>) -> Told<NodeWithdrawn> {
    let to: Option<String> = read(to)?;
    let drawn = app.node.withdraw(to.as_deref()).await?;
    Ok((About::extension(format!("{} TALOS to {}", drawn.amount, drawn.to)), Json(drawn)))
}

pub(crate) async fn node_drain(State(app): State<App>, draining: Sent<bool>) -> Result<StatusCode, Problem> {
    app.node.drain(read(draining)?).await?;
    Ok(StatusCode::NO_CONTENT)
}

pub(crate) async fn agent_list(State(app): State<App>) -> Answer<AgentList> {
    Ok(Json(app.node.agents().await?))
}

pub(crate) async fn agent_deploy(State(app): State<App>, request: Sent<DeployRequest>) -> Told<Deployed> {
    let deployed = app.node.deploy(read(request)?, &mut app.node.timeline()).await?;
    Ok((About::extension(format!("{} {}", deployed.agent_id, deployed.deployment)), Json(deployed)))
}

pub(crate) async fn agent_status(State(app): State<App>, Path(agent): Path<String>) -> Answer<AgentStatus> {
    Ok(Json(app.node.agent(&agent).await?))
}

#[derive(Deserialize)]
pub(crate) struct LogQuery {
    lines: Option<usize>,
}

pub(crate) async fn agent_logs(
    State(app): State<App>,
    Path(agent): Path<String>,
    asked: Asked<LogQuery>,
) -> Answer<Vec<LogLine>> {
    let lines = query(asked)?.lines.unwrap_or(LOG_LINES_DEFAULT);
    Ok(Json(app.node.logs(&agent, lines).await?))
}

#[derive(Deserialize)]
pub(crate) struct FollowQuery {
    after: Option<u64>,
}

pub(crate) async fn agent_logs_follow(
    State(app): State<App>,
    Path(agent): Path<String>,
    asked: Asked<FollowQuery>,
    headers: HeaderMap,
) -> Result<Sse<impl Stream<Item = Result<Event, Infallible>>>, Problem> {
    // What a reader of events says that comes back after its connection broke.
    let seen = headers.get("last-event-id").and_then(|id| id.to_str().ok()?.parse().ok());
    Ok(events(app.node.follow_logs(&agent, seen.or(query(asked)?.after)).await?))
}

/// As server-sent events that a proxy keeps open.
fn told<T: serde::Serialize>(
    things: impl Stream<Item = T> + Send + 'static,
) -> Sse<impl Stream<Item = Result<Event, Infallible>>> {
    let events = things.map(|thing| Ok(Event::default().json_data(&thing).unwrap_or_default()));
    Sse::new(events).keep_alive(KeepAlive::new().interval(KEEP_ALIVE))
}

fn events(lines: impl Stream<Item = LogLine> + Send + 'static) -> Sse<impl Stream<Item = Result<Event, Infallible>>> {
    let events = lines.map(|line| {
        let event = Event::default().id(line.number.to_string());
        Ok(event.json_data(&line).unwrap_or_default())
    });
    Sse::new(events).keep_alive(KeepAlive::new().interval(KEEP_ALIVE))
}

/// As many of the last lines as are told at once to somebody elsewhere.
pub(crate) async fn signed_logs(
    State(app): State<App>,
    Path(deployment): Path<String>,
    asked: Asked<LogQuery>,
) -> Answer<Vec<LogLine>> {
    let mut lines = app.node.logs(&deployment, query(asked)?.lines.unwrap_or(LOG_LINES_DEFAULT)).await?;
    let mut bytes = 0;
    let fits = |line: &&LogLine| {
        bytes += line.text.len();
        bytes <= SIGNED_LOG_BYTES_MAX
    };
    let told = lines.iter().rev().take_while(fits).count();
    lines.drain(..lines.len() - told);
    Ok(Json(lines))
}

/// For a while: whoever goes on asks again. Only what is signed counts.
pub(crate) async fn signed_logs_follow(
    State(app): State<App>,
    Path(deployment): Path<String>,
    asked: Asked<FollowQuery>,
) -> Result<Sse<impl Stream<Item = Result<Event, Infallible>>>, Problem> {
    let lines = app.node.follow_logs(&deployment, query(asked)?.after).await?;
    Ok(events(lines.take_until(tokio::time::sleep(SIGNED_FOLLOW_MAX))))
}

pub(crate) async fn signed_rollback(
    State(app): State<App>,
    Path(deployment): Path<String>,
    request: Sent<RollbackTo>,
) -> Result<StatusCode, Problem> {
    app.node.note_rollback(&deployment, &read(request)?).await?;
    Ok(StatusCode::NO_CONTENT)
}

pub(crate) async fn agent_start(State(app): State<App>, Path(agent): Path<String>) -> Answer<Deployed> {
    Ok(Json(app.node.start(&agent).await?))
}

pub(crate) async fn agent_stop(State(app): State<App>, Path(agent): Path<String>) -> Answer<AgentStatus> {
    Ok(Json(app.node.stop(&agent).await?))
}

pub(crate) async fn agent_pause(State(app): State<App>, Path(agent): Path<String>) -> Answer<AgentStatus> {
    Ok(Json(app.node.pause(&agent).await?))
}

pub(crate) async fn agent_resume(State(app): State<App>, Path(agent): Path<String>) -> Answer<AgentStatus> {
    Ok(Json(app.node.resume(&agent).await?))
}

pub(crate) async fn agent_update(
    State(app): State<App>,
    Path(agent): Path<String>,
    request: Sent<UpdateRequest>,
) -> Told<AgentStatus> {
    let updated = app.node.update(&agent, read(request)?).await?;
    Ok((About::extension(format!("{agent} to {}", updated.agent_id)), Json(updated)))
}

pub(crate) async fn agent_rollback(State(app): State<App>, Path(agent): Path<String>) -> Answer<AgentStatus> {
    Ok(Json(app.node.rollback(&agent).await?))
}

pub(crate) async fn agent_destroy(State(app): State<App>, Path(agent): Path<String>) -> Answer<Destroyed> {
    Ok(Json(app.node.destroy(&agent).await?))
}

pub(crate) async fn agent_invoke(
    State(app): State<App>,
    Path(agent): Path<String>,
    request: Sent<InvokeRequest>,
) -> Answer<Invoked> {
    Ok(Json(app.node.invoke(&agent, read(request)?).await?))
}

pub(crate) async fn agent_fund(
    State(app): State<App>,
    Path(agent): Path<String>,
    request: Sent<FundRequest>,
) -> Answer<AgentStatus> {
    Ok(Json(app.node.fund(&agent, read(request)?).await?))
}

pub(crate) async fn content_list(State(app): State<App>) -> Answer<Vec<ContentEntry>> {
    Ok(Json(app.node.content_list().await?))
}

pub(crate) async fn content_add(State(app): State<App>, bytes: Bytes) -> Told<ContentAdded> {
    let added = app.node.content_add(bytes).await?;
    Ok((About::extension(added.cid.clone()), Json(added)))
}

pub(crate) async fn content_get(State(app): State<App>, Path(cid): Path<String>) -> Result<Response, Problem> {
    Ok(octets(app.node.content_get(&cid).await?))
}

/// Bytes as an answer.
fn octets(bytes: impl axum::response::IntoResponse) -> Response {
    let mut response = bytes.into_response();
    let octets = HeaderValue::from_static("application/octet-stream");
    response.headers_mut().insert(header::CONTENT_TYPE, octets);
    response
}

pub(crate) async fn content_find(State(app): State<App>, Path(cid): Path<String>) -> Answer<ContentProviders> {
    Ok(Json(app.node.content_find(&cid).await?))
}

pub(crate) async fn content_provide(State(app): State<App>, Path(cid): Path<String>) -> Answer<ContentProvided> {
    Ok(Json(app.node.content_provide(&cid).await?))
}

pub(crate) async fn content_remove(State(app): State<App>, Path(cid): Path<String>) -> Result<StatusCode, Problem> {
    app.node.content_remove(&cid).await?;
    Ok(StatusCode::NO_CONTENT)
}

pub(crate) async fn content_collect(State(app): State<App>) -> Answer<ContentCollected> {
    Ok(Json(app.node.content_collect().await?))
}

pub(crate) async fn market_list(State(app): State<App>) -> Answer<MarketList> {
    Ok(Json(app.node.market_list().await?))
}

pub(crate) async fn market_nodes(State(app): State<App>) -> Answer<MarketNodes> {
    Ok(Json(app.node.market_nodes().await?))
}

pub(crate) async fn market_offers(State(app): State<App>, asked: Asked<OfferAsked>) -> Answer<MarketOffers> {
    Ok(Json(app.node.market_offers(query(asked)?).await?))
}

pub(crate) async fn node_offer(State(app): State<App>, asked: Asked<OfferAsked>) -> Answer<NodeOffer> {
    Ok(Json(app.node.offer(query(asked)?).await?))
}

pub(crate) async fn market_rates(State(app): State<App>) -> Answer<MarketRates> {
    Ok(Json(app.node.market_rates().await?))
}

pub(crate) async fn market_show(State(app): State<App>, Path(deployment): Path<String>) -> Answer<MarketEntry> {
    Ok(Json(app.node.market_show(&deployment).await?))
}

pub(crate) async fn receipt_show(
    State(app): State<App>,
    Path((deployment, seq)): Path<(String, u64)>,
) -> Answer<ReceiptBundle> {
    Ok(Json(app.node.receipt(&deployment, seq).await?))
}

pub(crate) async fn heartbeat_show(State(app): State<App>, Path(deployment): Path<String>) -> Answer<HeartbeatProof> {
    Ok(Json(app.node.heartbeat(&deployment).await?))
}
