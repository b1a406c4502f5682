//! Spaces: begun, looked at, tickets to them, and their objects.

use std::convert::Infallible;

use axum::Json;
use axum::extract::{Path, State};
use axum::response::sse::{Event, Sse};
use futures::Stream;
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use nisse_node::control::{
    InvitationRequest, JoinRequest, MemberRequest, ObjectHistory, OpenSpaceInvitation, SpaceEntry, SpaceInvitation,
    SpaceKeepRequest, SpaceMember, SpaceRequest, SpaceStatus, SpaceTicket, SpaceTicketRequest,
};
use serde::Deserialize;
use serde_json::Value;

use super::{Answer, Asked, Sent, query, read, told};
use crate::control::App;
use crate::problem::Problem;

/// How many objects there are besides of which nothing is here, where a part of the space is kept.
pub(crate) const ELSEWHERE: HeaderName = HeaderName::from_static("nisse-elsewhere");

pub(crate) async fn space_list(State(app): State<App>) -> Answer<Vec<SpaceEntry>> {
    Ok(Json(app.node.space_list().await?))
}

pub(crate) async fn space_create(State(app): State<App>, sent: Sent<SpaceRequest>) -> Answer<SpaceStatus> {
    Ok(Json(app.node.space_create(&read(sent)?).await?))
}

pub(crate) async fn space_show(State(app): State<App>, Path(space): Path<String>) -> Answer<SpaceStatus> {
    Ok(Json(app.node.space_show(&space).await?))
}

pub(crate) async fn space_keep(
    State(app): State<App>,
    Path(space): Path<String>,
    sent: Sent<SpaceKeepRequest>,
) -> Answer<SpaceStatus> {
    Ok(Json(app.node.space_keep(&space, &read(sent)?).await?))
}

pub(crate) async fn space_members(State(app): State<App>, Path(space): Path<String>) -> Answer<Vec<SpaceMember>> {
    Ok(Json(app.node.space_members(&space).await?))
}

pub(crate) async fn space_member(
    State(app): State<App>,
    Path(space): Path<String>,
    sent: Sent<MemberRequest>,
) -> Answer<Vec<SpaceMember>> {
    Ok(Json(app.node.space_member(&space, &read(sent)?).await?))
}

pub(crate) async fn space_invite(
    State(app): State<App>,
    Path(space): Path<String>,
    sent: Sent<InvitationRequest>,
) -> Answer<SpaceInvitation> {
    Ok(Json(app.node.space_invite(&space, &read(sent)?).await?))
}

pub(crate) async fn space_invitations(
    State(app): State<App>,
    Path(space): Path<String>,
) -> Answer<Vec<OpenSpaceInvitation>> {
    Ok(Json(app.node.space_invitations(&space).await?))
}

pub(crate) async fn space_uninvite(
    State(app): State<App>,
    Path((space, invitation)): Path<(String, String)>,
) -> Result<StatusCode, Problem> {
    app.node.space_uninvite(&space, &invitation).await?;
    Ok(StatusCode::NO_CONTENT)
}

pub(crate) async fn space_join(State(app): State<App>, sent: Sent<JoinRequest>) -> Answer<SpaceStatus> {
    Ok(Json(app.node.space_join(&read(sent)?).await?))
}

pub(crate) async fn space_leave(State(app): State<App>, Path(space): Path<String>) -> Answer<SpaceStatus> {
    Ok(Json(app.node.space_leave(&space).await?))
}

pub(crate) async fn space_ticket(
    State(app): State<App>,
    Path(space): Path<String>,
    sent: Sent<SpaceTicketRequest>,
) -> Answer<SpaceTicket> {
    Ok(Json(app.node.space_ticket(&space, &read(sent)?).await?))
}

pub(crate) async fn space_put(State(app): State<App>, Path(space): Path<String>, sent: Sent<Value>) -> Answer<Value> {
    Ok(Json(app.node.space_put(&space, read(sent)?).await?))
}

pub(crate) async fn space_patch(
    State(app): State<App>,
    Path((space, object)): Path<(String, String)>,
    sent: Sent<Value>,
) -> Answer<Value> {
    Ok(Json(app.node.space_patch(&space, &object, read(sent)?).await?))
}

pub(crate) async fn space_get(State(app): State<App>, Path((space, object)): Path<(String, String)>) -> Answer<Value> {
    Ok(Json(app.node.space_get(&space, &object).await?))
}

pub(crate) async fn space_remove(
    State(app): State<App>,
    Path((space, object)): Path<(String, String)>,
) -> Result<StatusCode, Problem> {
    app.node.space_delete(&space, &object).await?;
    Ok(StatusCode::NO_CONTENT)
}

pub(crate) async fn space_history(
    State(app): State<App>,
    Path((space, object)): Path<(String, String)>,
) -> Answer<ObjectHistory> {
    Ok(Json(app.node.space_history(&space, &object).await?))
}

/// What somebody watches.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct WatchQuery {
    query: Option<String>,
}

pub(crate) async fn space_watch(
    State(app): State<App>,
    Path(space): Path<String>,
    asked: Asked<WatchQuery>,
) -> Result<Sse<impl Stream<Item = Result<Event, Infallible>>>, Problem> {
    let asked = query(asked)?;
    Ok(told(app.node.space_watch(&space, asked.query.as_deref()).await?))
}

pub(crate) async fn space_query(
    State(app): State<App>,
    Path(space): Path<String>,
    sent: Sent<Value>,
) -> Result<(HeaderMap, Json<Vec<Value>>), Problem> {
    let (found, elsewhere) = app.node.space_query(&space, &read(sent)?).await?;
    let mut headers = HeaderMap::new();
    if elsewhere > 0 {
        headers.insert(ELSEWHERE, HeaderValue::from(elsewhere));
    }
    Ok((headers, Json(found)))
}
