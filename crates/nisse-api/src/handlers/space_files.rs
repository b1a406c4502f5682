//! Spaces as files: streamed out and in, since they may be larger than memory.

use std::time::Duration;

use axum::Json;
use axum::body::Body;
use axum::extract::{Path, Request, State};
use axum::response::Response;
use bytes::Bytes;
use futures::stream;
use http_body_util::BodyExt as _;
use nisse_node::control::SpaceImported;
use serde::Deserialize;
use tokio::sync::mpsc;
use tokio::time::timeout;

use super::{Answer, Asked, octets, query};
use crate::body::{BODY_STALL_MAX, BodyError};
use crate::control::App;
use crate::problem::Problem;

/// Pieces of an import that wait for the node.
const PIECES_MAX: usize = 4;
/// Bytes of the longest import.
const IMPORT_BYTES_MAX: u64 = 64 << 30;
/// How long what is refused is read on, so that whoever sends it hears why.
const DISCARD_TIME_MAX: Duration = Duration::from_secs(60);

pub(crate) async fn space_export(State(app): State<App>, Path(space): Path<String>) -> Result<Response, Problem> {
    let export = app.node.space_export(&space).await?;
    let pieces = stream::unfold(export, |mut export| async move {
        let piece = export.next().await?.map_err(|error| std::io::Error::other(error.text));
        Some((piece, export))
    });
    Ok(octets(Body::from_stream(pieces)))
}

/// What an import is asked to do.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct ImportQuery {
    #[serde(rename = "as")]
    name: Option<String>,
}

pub(crate) async fn space_import(
    State(app): State<App>,
    asked: Asked<ImportQuery>,
    request: Request,
) -> Answer<SpaceImported> {
    let asked = query(asked)?;
    let (pieces, received) = mpsc::channel(PIECES_MAX);
    let importing = app.node.space_import(asked.name.as_deref(), received);
    let (fed, imported) = tokio::join!(feed(request.into_body(), pieces), importing);
    // Why it broke off is told before what that made of it.
    match (fed, imported) {
        (Err(error), Err(_)) => Err(Problem::new(error.status(), "body_refused", error.to_string())),
        (_, imported) => Ok(Json(imported?)),
    }
}

/// Hands on what comes, and reads on for a while when nobody takes it any more.
async fn feed(mut body: Body, pieces: mpsc::Sender<Bytes>) -> Result<(), BodyError> {
    let mut bytes = 0;
    loop {
        let Some(piece) = next(&mut body).await? else { return Ok(()) };
        bytes += piece.len() as u64;
        if bytes > IMPORT_BYTES_MAX {
            return Err(BodyError::TooLarge(usize::try_from(IMPORT_BYTES_MAX).unwrap_or(usize::MAX)));
        }
        if pieces.send(piece).await.is_err() {
            break;
        }
    }
    let rest = async { while let Ok(Some(_)) = next(&mut body).await {} };
    let _ = timeout(DISCARD_TIME_MAX, rest).await;
    Ok(())
}

/// The next piece, within its time.
async fn next(body: &mut Body) -> Result<Option<Bytes>, BodyError> {
    loop {
        let frame = timeout(BODY_STALL_MAX, body.frame()).await.map_err(|_| BodyError::Slow)?;
        let Some(frame) = frame else { return Ok(None) };
        if let Ok(piece) = frame.map_err(|_| BodyError::Broken)?.into_data() {
            return Ok(Some(piece));
        }
    }
}
