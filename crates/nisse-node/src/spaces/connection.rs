//! A client's connection to a space, from the side of whoever has its socket.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use nisse_space::PeerKey;
use tokio::sync::mpsc;

use super::worker::Told;

/// Messages that may wait for one client to read them.
const WAITING_MAX: usize = 20_000;
/// Bytes of them.
const WAITING_BYTES_MAX: usize = 64 << 20;

/// What is said to a client.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SpaceSaid {
    /// One message.
    Message(Vec<u8>),
    /// The connection is over, and why.
    End(String),
}

/// A connection that was let in. Whoever drops both halves of it ends it.
pub struct SpaceConnection {
    ear: SpaceEar,
    mouth: SpaceMouth,
}

/// What takes in what the client says.
pub struct SpaceEar {
    peer: PeerKey,
    told: mpsc::Sender<Told>,
}

/// What tells what the client is to hear.
pub struct SpaceMouth {
    said: mpsc::Receiver<SpaceSaid>,
    waiting: Arc<AtomicUsize>,
}

/// The other end of it.
#[derive(Clone)]
pub(super) struct Said {
    said: mpsc::Sender<SpaceSaid>,
    waiting: Arc<AtomicUsize>,
}

pub(super) fn mouth() -> (Said, SpaceMouth) {
    let (sender, said) = mpsc::channel(WAITING_MAX);
    let waiting = Arc::new(AtomicUsize::new(0));
    (Said { said: sender, waiting: Arc::clone(&waiting) }, SpaceMouth { said, waiting })
}

impl SpaceConnection {
    pub(super) fn new(peer: PeerKey, told: mpsc::Sender<Told>, mouth: SpaceMouth) -> Self {
        Self { ear: SpaceEar { peer, told }, mouth }
    }

    /// Both halves.
    pub fn split(self) -> (SpaceEar, SpaceMouth) {
        (self.ear, self.mouth)
    }
}

impl SpaceEar {
    /// Gives what the client said; waits while there is no room. `false`: the connection is over.
    pub async fn hear(&self, message: Vec<u8>) -> bool {
        self.told.send(Told::Frame { peer: self.peer, bytes: message }).await.is_ok()
    }
}

impl Drop for SpaceEar {
    fn drop(&mut self) {
        // Where there is no room, the other half tells it.
        let _ = self.told.try_send(Told::Closed { peer: self.peer });
    }
}

impl SpaceMouth {
    /// What is to be said next; [`SpaceSaid::End`] last.
    pub async fn say(&mut self) -> SpaceSaid {
        match self.said.recv().await {
            Some(SpaceSaid::Message(bytes)) => {
                self.waiting.fetch_sub(bytes.len(), Ordering::Relaxed);
                SpaceSaid::Message(bytes)
            }
            Some(end) => end,
            None => SpaceSaid::End("the space was closed".to_owned()),
        }
    }
}

impl Said {
    /// Lets a message wait for the client; `false` where it reads too slowly, or is gone.
    pub(super) fn say(&self, bytes: Vec<u8>) -> bool {
        let length = bytes.len();
        let waiting = self.waiting.fetch_add(length, Ordering::Relaxed) + length;
        waiting <= WAITING_BYTES_MAX && self.said.try_send(SpaceSaid::Message(bytes)).is_ok()
    }

    /// Ends it. Where the queue is full, its end says so.
    pub(super) fn end(self, why: String) {
        let _ = self.said.try_send(SpaceSaid::End(why));
    }

    /// Returns once nobody listens any more.
    pub(super) fn is_gone(&self) -> bool {
        self.said.is_closed()
    }
}
