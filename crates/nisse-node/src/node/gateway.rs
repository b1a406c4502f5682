//! Content for anybody who asks the public listener: what is public here, by CID.
//!
//! Each piece is read where waiting for the disk is allowed, and strangers together never take all of these places, nor
//! one of them what belongs to the others ([`strangers`]): the node's own work goes on however many of them read.

mod strangers;

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures::StreamExt as _;
use futures::stream::BoxStream;
use http::{Request, Response};
use nisse_content::gateway::{self, Body};
use nisse_content::unixfs::ReadError;

use self::strangers::{Place, Stranger};
use super::Node;
use crate::agent::patience::Patience;
use crate::core::Core;
use crate::supervisor::CutOff;

pub(super) use self::strangers::Strangers;

/// The bytes of an answer, in pieces of at most 64 KiB.
pub(super) type ContentPieces = BoxStream<'static, Result<Bytes, ContentBroken>>;

/// Why an answer has no end: the connection has to be broken off.
#[derive(Debug, thiserror::Error)]
pub enum ContentBroken {
    /// A block is missing or damaged.
    #[error("read content")]
    Read(#[from] ReadError),
    /// The other side took it more slowly than the lowest rate.
    #[error("send content: it is taken too slowly")]
    Slow,
    /// The node is going down.
    #[error("read content: the node is going down")]
    GoingDown,
}

impl Node {
    /// Answers for `/ipfs/…`: only what is public here. What one address may take is counted where one is given.
    pub async fn gateway(&self, from: Option<IpAddr>, request: Request<()>) -> Response<ContentPieces> {
        let (core, stranger) = (Arc::clone(&self.core), self.strangers.one(from));
        let content = Arc::clone(&core.content);
        let Ok(answer) = read(&core, &stranger, move || gateway::handle(&content, &request)).await else {
            let nothing = futures::stream::once(async { Err(ContentBroken::GoingDown) });
            return Response::new(nothing.boxed());
        };
        answer.map(|body| {
            let handing = Handing { core, stranger, body: Some(body), patience: Patience::default(), given: None };
            futures::stream::unfold(handing, |mut handing| async move { Some((handing.next().await?, handing)) })
                .boxed()
        })
    }
}

/// An answer on its way to one stranger.
struct Handing {
    core: Arc<Core>,
    stranger: Arc<Stranger>,
    /// None once nothing follows any more.
    body: Option<Body>,
    patience: Patience,
    /// How long the last piece is, and when it was given.
    given: Option<(usize, Duration)>,
}

/// A piece that counts until it has left, or its connection has ended.
struct Piece {
    bytes: Bytes,
    _room: Place,
}

impl AsRef<[u8]> for Piece {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

impl Handing {
    async fn next(&mut self) -> Option<Result<Bytes, ContentBroken>> {
        let mut body = self.body.take()?;
        // The next piece is asked for when there is room for it on the connection: the time since is the client's.
        if let Some((bytes, at)) = self.given.take() {
            let waited = self.core.clock.elapsed().saturating_sub(at);
            if waited > self.patience.left() {
                return Some(Err(ContentBroken::Slow));
            }
            self.patience.took(bytes, waited);
        }
        let room = self.stranger.room().await;
        let next = move || (body.next(), body);
        let Ok((piece, body)) = read(&self.core, &self.stranger, next).await else {
            return Some(Err(ContentBroken::GoingDown));
        };
        match piece? {
            Ok(bytes) => {
                self.given = Some((bytes.len(), self.core.clock.elapsed()));
                self.body = Some(body);
                Some(Ok(Bytes::from_owner(Piece { bytes, _room: room })))
            }
            // Nothing follows what could not be read.
            Err(error) => Some(Err(error.into())),
        }
    }
}

/// The turn ends with the work, not with whoever waits for it: who goes away and asks anew waits for the work as well.
async fn read<T: Send + 'static>(
    core: &Core,
    stranger: &Arc<Stranger>,
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, CutOff> {
    let turn = stranger.turn().await;
    let work = move || {
        let _turn = turn;
        work()
    };
    core.supervisor.blocking("read content", work).await
}
