//! An answer that leaves while its guest makes it: the node's side of the sandbox's outflow.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};

use async_trait::async_trait;
use bytes::Bytes;
use http_body::Frame;
use nisse_model::{CutKind, InvocationId};
use nisse_sandbox::{Opening, Outflow};
use tokio::sync::{mpsc, oneshot};

use super::patience::Patience;
use super::{Committer, HttpAnswer};

/// Chunks that wait for the client; the guest stands still while there is no room for one more.
const CHUNKS_WAITING_MAX: usize = 4;
/// The body of an agent's answer.
pub enum AnswerBody {
    /// In one piece.
    Whole(Bytes),
    /// As the guest makes it.
    Stream(ChunkStream),
}

/// The chunks of an answer that is being made.
pub struct ChunkStream {
    chunks: mpsc::Receiver<Bytes>,
    /// Set by the guest's side when the last chunk was the answer's end.
    whole: Arc<AtomicBool>,
    ended: bool,
}

/// The answer has no end: its guest was stopped, or its client was too slow.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("send the answer to its end")]
pub struct BrokenOff;

impl http_body::Body for ChunkStream {
    type Data = Bytes;
    type Error = BrokenOff;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BrokenOff>>> {
        self.chunks.poll_recv(context).map(|chunk| match chunk {
            Some(chunk) => Some(Ok(Frame::data(chunk))),
            None if self.whole.load(Ordering::Acquire) || self.ended => None,
            None => {
                self.ended = true;
                Some(Err(BrokenOff))
            }
        })
    }
}

/// The guest's end of a [`ChunkStream`]. Dropped without [`Ending::whole`], it breaks the answer off.
pub(super) struct Ending {
    _chunks: mpsc::Sender<Bytes>,
    whole: Arc<AtomicBool>,
}

impl Ending {
    /// The last chunk was the answer's end.
    pub(super) fn whole(self) {
        self.whole.store(true, Ordering::Release);
    }
}

/// One call's way out.
pub(super) struct Outlet<'a> {
    committer: &'a mut Committer,
    id: InvocationId,
    /// Takes the head.
    answered: Option<oneshot::Sender<HttpAnswer>>,
    chunks: Option<mpsc::Sender<Bytes>>,
    whole: Arc<AtomicBool>,
    /// Ready once nobody takes chunks any more.
    gone: Option<Pin<Box<dyn Future<Output = ()> + Send>>>,
    patience: Patience,
}

impl<'a> Outlet<'a> {
    pub(super) fn new(committer: &'a mut Committer, id: InvocationId, answered: oneshot::Sender<HttpAnswer>) -> Self {
        let (whole, patience) = (Arc::default(), Patience::default());
        Self { committer, id, answered: Some(answered), chunks: None, whole, gone: None, patience }
    }

    /// The end of the body, to be told of how it ended. `None` when nothing has left.
    pub(super) fn into_ending(self) -> Option<Ending> {
        let whole = self.whole;
        self.chunks.map(|chunks| Ending { _chunks: chunks, whole })
    }
}

#[async_trait]
impl Outflow for Outlet<'_> {
    async fn begin(&mut self, opening: Opening) -> Result<(), String> {
        let Opening { head, effects, trace } = opening;
        let seq = self.committer.open(self.id, effects, trace).await?;
        let (sender, receiver) = mpsc::channel(CHUNKS_WAITING_MAX);
        let watched = sender.clone();
        self.gone = Some(Box::pin(async move { watched.closed().await }));
        self.chunks = Some(sender);
        let response = head.map(|()| {
            AnswerBody::Stream(ChunkStream { chunks: receiver, whole: Arc::clone(&self.whole), ended: false })
        });
        if let Some(answered) = self.answered.take() {
            // A client that has gone meanwhile is noticed at the first chunk.
            let _ = answered.send(HttpAnswer { response, seq });
        }
        Ok(())
    }

    async fn chunk(&mut self, bytes: Bytes) -> Result<(), CutKind> {
        let Some(chunks) = &self.chunks else { return Err(CutKind::Gone) };
        let (clock, length) = (&self.committer.parts.clock, bytes.len());
        let begun = clock.elapsed();
        match tokio::time::timeout(self.patience.left(), chunks.send(bytes)).await {
            Ok(Ok(())) => {
                self.patience.took(length, clock.elapsed().saturating_sub(begun));
                Ok(())
            }
            Ok(Err(_)) => Err(CutKind::Gone),
            Err(_) => Err(CutKind::Stalled),
        }
    }

    fn poll_gone(&mut self, context: &mut Context<'_>) -> Poll<()> {
        match &mut self.gone {
            Some(gone) => gone.as_mut().poll(context),
            None => Poll::Pending,
        }
    }
}

#[cfg(test)]
mod tests;
