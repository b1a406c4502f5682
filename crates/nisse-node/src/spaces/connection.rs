//! A client's connection to a space, from the side of whoever has its socket.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use nisse_space::PeerKey;
use tokio::sync::{Semaphore, mpsc};

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
    room: Arc<Semaphore>,
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
    pub(super) fn new(peer: PeerKey, told: mpsc::Sender<Told>, room: Arc<Semaphore>, mouth: SpaceMouth) -> Self {
        Self { ear: SpaceEar { peer, told, room }, mouth }
    }

    /// Both halves.
    pub fn split(self) -> (SpaceEar, SpaceMouth) {
        (self.ear, self.mouth)
    }
}

impl SpaceEar {
    /// Gives what the client said; waits while there is no room. `false`: the space was closed. Why a connection ends is
    /// for the other half to say.
    pub async fn hear(&self, message: Vec<u8>) -> bool {
        // No message is longer than all the room there is.
        let bytes = u32::try_from(message.len()).unwrap_or(u32::MAX);
        let Ok(room) = Arc::clone(&self.room).acquire_many_owned(bytes).await else { return false };
        self.told.send(Told::Frame { peer: self.peer, bytes: message, room }).await.is_ok()
    }
}

impl Drop for SpaceEar {
    fn drop(&mut self) {
        // Where there is no room, the other half tells it.
        let _ = self.told.try_send(Told::Closed { peer: self.peer });
    }
}

impl SpaceMouth {
    /// What is to be said next; [`SpaceSaid::End`] last. Nothing is lost where the wait is broken off.
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

#[cfg(test)]
mod tests {
    use futures::FutureExt as _;

    use super::*;

    #[tokio::test]
    async fn what_is_said_waits_for_room_and_room_is_free_when_it_was_read() {
        let (told, mut inbox) = mpsc::channel(8);
        let (_said, mouth) = mouth();
        let (ear, _mouth) = SpaceConnection::new(PeerKey(1), told, Arc::new(Semaphore::new(10)), mouth).split();
        assert!(ear.hear(vec![1; 8]).await);
        let mut second = Box::pin(ear.hear(vec![2; 8]));
        assert_eq!((&mut second).now_or_never(), None);
        drop(inbox.recv().await);
        assert!(second.await);
        assert!(matches!(inbox.recv().await, Some(Told::Frame { bytes, .. }) if bytes == [2; 8]));
        drop(ear);
        assert!(matches!(inbox.recv().await, Some(Told::Closed { peer: PeerKey(1) })));
    }

    #[tokio::test]
    async fn a_client_that_reads_too_slowly_finds_no_more_room_and_is_told_why_it_ends() {
        let (said, mut mouth) = mouth();
        for _ in 0..4 {
            assert!(said.say(vec![0; 16 << 20]));
        }
        assert!(!said.say(vec![0]), "more than there is room for");
        said.end("it reads too slowly".to_owned());
        for _ in 0..4 {
            assert!(matches!(mouth.say().await, SpaceSaid::Message(bytes) if bytes.len() == 16 << 20));
        }
        assert_eq!(mouth.say().await, SpaceSaid::End("it reads too slowly".to_owned()));
        assert_eq!(mouth.say().await, SpaceSaid::End("the space was closed".to_owned()));
    }
}
