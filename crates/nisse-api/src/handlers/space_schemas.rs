//! Schemas of a space's types.

use axum::extract::{Path, State};
use axum::{Extension, Json};
use http::StatusCode;
use nisse_node::control::{SchemaCheck, SchemaRequest, SpaceSchema};

use super::{Answer, Sent, Told, read};
use crate::control::App;
use crate::deeds::About;
use crate::problem::Problem;

pub(crate) async fn space_schema_list(State(app): State<App>, Path(space): Path<String>) -> Answer<Vec<SpaceSchema>> {
    Ok(Json(app.node.space_schema_list(&space).await?))
}

pub(crate) async fn space_schema_put(
    State(app): State<App>,
    Path(space): Path<String>,
    sent: Sent<SchemaRequest>,
) -> Told<SpaceSchema> {
    let declared = app.node.space_schema_put(&space, read(sent)?).await?;
    let about: Extension<About> = About::extension(format!("{space} {}", declared.of));
    Ok((about, Json(declared)))
}

pub(crate) async fn space_schema_get(
    State(app): State<App>,
    Path((space, of)): Path<(String, String)>,
) -> Answer<SpaceSchema> {
    Ok(Json(app.node.space_schema_get(&space, &of).await?))
}

pub(crate) async fn space_schema_remove(
    State(app): State<App>,
    Path((space, of)): Path<(String, String)>,
) -> Result<StatusCode, Problem> {
    app.node.space_schema_remove(&space, &of).await?;
    Ok(StatusCode::NO_CONTENT)
}

pub(crate) async fn space_schema_check(State(app): State<App>, Path(space): Path<String>) -> Answer<SchemaCheck> {
    Ok(Json(app.node.space_schema_check(&space).await?))
}
