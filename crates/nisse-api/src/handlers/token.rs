//! Capability tokens: made, and taken back.

use axum::Json;
use axum::extract::State;
use http::StatusCode;
use nisse_node::control::{TokenCreated, TokenRequest, TokenRevoke};

use super::{Answer, Sent, read};
use crate::control::App;
use crate::needs;
use crate::problem::Problem;

pub(crate) async fn token_create(State(app): State<App>, sent: Sent<TokenRequest>) -> Answer<TokenCreated> {
    let request = read(sent)?;
    for scope in request.scopes()? {
        needs::check_known(&scope)?;
    }
    Ok(Json(app.node.token_create(&request).await?))
}

pub(crate) async fn token_revoke(State(app): State<App>, sent: Sent<TokenRevoke>) -> Result<StatusCode, Problem> {
    app.node.token_revoke(&read(sent)?).await?;
    Ok(StatusCode::NO_CONTENT)
}
