//! Content for anybody who asks the public listener: what is pinned here, by CID.
//!
//! Each piece is read where waiting for the disk is allowed, and strangers together never take all of these places: the
//! node's own work goes on however many of them read.

use std::sync::Arc;

use bytes::Bytes;
use futures::StreamExt as _;
use futures::stream::BoxStream;
use http::{Request, Response};
use nisse_content::gateway::{self, Body};
use nisse_content::unixfs::ReadError;
use tokio::sync::Semaphore;

use super::Node;
use crate::core::Core;
use crate::supervisor::CutOff;

/// Pieces that are read from the disk for strangers at once; more of them wait for their turn.
pub(super) const READS_MAX: usize = 4;

/// The bytes of an answer, in pieces of at most one block.
type ContentPieces = BoxStream<'static, Result<Bytes, ContentBroken>>;

/// Why an answer has no end: the connection has to be broken off.
#[derive(Debug, thiserror::Error)]
pub enum ContentBroken {
    /// A block is missing or damaged.
    #[error("read content")]
    Read(#[from] ReadError),
    /// The node is going down.
    #[error("read content: the node is going down")]
    GoingDown,
}

impl Node {
    /// Answers for `/ipfs/…`: only what is pinned here.
    pub async fn gateway(&self, request: Request<()>) -> Response<ContentPieces> {
        let (core, turns) = (Arc::clone(&self.core), Arc::clone(&self.strangers_reads));
        let content = Arc::clone(&core.content);
        let Ok(answer) = read(&core, &turns, move || gateway::handle(&content, &request)).await else {
            let nothing = futures::stream::once(async { Err(ContentBroken::GoingDown) });
            return Response::new(nothing.boxed());
        };
        answer.map(|body| pieces(core, turns, body))
    }
}

fn pieces(core: Arc<Core>, turns: Arc<Semaphore>, body: Body) -> ContentPieces {
    let left = (core, turns, Some(body));
    futures::stream::unfold(left, |(core, turns, body)| async move {
        let mut body = body?;
        let next = move || {
            let piece = body.next();
            (piece, body)
        };
        match read(&core, &turns, next).await {
            Ok((piece, body)) => {
                let piece = piece?.map_err(ContentBroken::Read);
                // Nothing follows what could not be read.
                let rest = piece.is_ok().then_some(body);
                Some((piece, (core, turns, rest)))
            }
            Err(CutOff) => Some((Err(ContentBroken::GoingDown), (core, turns, None))),
        }
    })
    .boxed()
}

async fn read<T: Send + 'static>(
    core: &Core,
    turns: &Semaphore,
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, CutOff> {
    let _turn = turns.acquire().await.map_err(|_| CutOff)?;
    core.supervisor.blocking("read content", work).await
}
