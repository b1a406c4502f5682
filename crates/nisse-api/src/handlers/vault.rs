//! The vault, its secrets, the wallets and the audit log. A secret comes as the body and leaves in an export alone.

use axum::Json;
use axum::body::Bytes;
use axum::extract::{Path, State};
use axum::response::Response;
use http::StatusCode;
use nisse_node::control::{AuditEntry, ExportRequest, SecretEntry, SecretSet, VaultStatus, Wallet};
use serde::Deserialize;
use zeroize::{Zeroize as _, Zeroizing};

use super::{Answer, Asked, LOG_LINES_DEFAULT, Sent, octets, query, read};
use crate::control::App;
use crate::problem::Problem;

/// A body that is a secret: a copy that is wiped when it is dropped, and the original wiped now where nobody else holds it.
fn taken(body: Bytes) -> Zeroizing<Vec<u8>> {
    let secret = Zeroizing::new(body.to_vec());
    if let Ok(mut body) = body.try_into_mut() {
        body.zeroize();
    }
    secret
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct AuditQuery {
    lines: Option<usize>,
    from: Option<u64>,
}

pub(crate) async fn audit_lines(State(app): State<App>, asked: Asked<AuditQuery>) -> Answer<Vec<AuditEntry>> {
    let AuditQuery { lines, from } = query(asked)?;
    Ok(Json(app.node.audit(from, lines.unwrap_or(LOG_LINES_DEFAULT)).await?))
}

pub(crate) async fn vault_status(State(app): State<App>) -> Answer<VaultStatus> {
    Ok(Json(app.node.vault_status().await?))
}

pub(crate) async fn vault_unlock(State(app): State<App>, passphrase: Bytes) -> Answer<VaultStatus> {
    Ok(Json(app.node.vault_unlock(taken(passphrase)).await?))
}

pub(crate) async fn vault_seal(State(app): State<App>) -> Answer<VaultStatus> {
    Ok(Json(app.node.vault_seal().await?))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct ProtectQuery {
    #[serde(default)]
    credential: bool,
    #[serde(default)]
    key_file: bool,
}

pub(crate) async fn vault_protect(
    State(app): State<App>,
    asked: Asked<ProtectQuery>,
    passphrase: Bytes,
) -> Answer<VaultStatus> {
    let ProtectQuery { credential, key_file } = query(asked)?;
    Ok(Json(app.node.vault_protect(taken(passphrase), credential, key_file).await?))
}

pub(crate) async fn vault_export(State(app): State<App>, request: Sent<ExportRequest>) -> Result<Response, Problem> {
    let ExportRequest { recipients } = read(request)?;
    Ok(octets(app.node.vault_export(recipients).await?))
}

pub(crate) async fn wallet_list(State(app): State<App>) -> Answer<Vec<Wallet>> {
    Ok(Json(app.node.wallets().await?))
}

pub(crate) async fn wallet_export(State(app): State<App>, Path(wallet): Path<String>) -> Result<Response, Problem> {
    let key = app.node.wallet_export(&wallet).await?;
    Ok(octets(Bytes::from_owner(key)))
}

pub(crate) async fn secret_list(State(app): State<App>) -> Answer<Vec<SecretEntry>> {
    Ok(Json(app.node.secrets().await?))
}

pub(crate) async fn secret_set(State(app): State<App>, Path(secret): Path<String>, value: Bytes) -> Answer<SecretSet> {
    Ok(Json(app.node.secret_set(&secret, taken(value)).await?))
}

pub(crate) async fn secret_rotate(
    State(app): State<App>,
    Path(secret): Path<String>,
    value: Bytes,
) -> Answer<SecretSet> {
    Ok(Json(app.node.secret_rotate(&secret, taken(value)).await?))
}

pub(crate) async fn secret_remove(State(app): State<App>, Path(secret): Path<String>) -> Result<StatusCode, Problem> {
    app.node.secret_remove(&secret).await?;
    Ok(StatusCode::NO_CONTENT)
}
