//! A connection with an admitted peer.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use iroh::TransportAddr;
use iroh::endpoint::{Connection as Quic, ConnectionError, RecvStream, SendStream};
use nisse_model::Did;

use crate::error::LinkError;
use crate::farewells::Farewells;
use crate::peers::Place;
use crate::protocol::Protocol;
use crate::stream::Stream;
use crate::transport::CloseCode;

/// Characters of the other side's reason that are passed on.
const REASON_CHARS_MAX: usize = 120;

/// A connection with a peer whose key is proven. It ends when all clones and streams of it are dropped, and what was
/// written to those has been delivered.
#[derive(Clone)]
pub struct Connection(Arc<Open>);

/// What connection and streams share.
pub(crate) struct Open {
    quic: Quic,
    peer: Did,
    protocol: Protocol,
    pub(crate) place: Place,
    /// The stream that showed that we are admitted, until somebody wants one.
    first: Mutex<Option<(SendStream, RecvStream)>>,
    pub(crate) farewells: Arc<Farewells>,
}

impl Connection {
    pub(crate) fn new(
        (quic, peer, protocol): (Quic, Did, Protocol),
        place: Place,
        first: Option<(SendStream, RecvStream)>,
        farewells: Arc<Farewells>,
    ) -> Self {
        Self(Arc::new(Open { quic, peer, protocol, place, first: Mutex::new(first), farewells }))
    }

    /// The key that the other side has proven to have.
    pub fn peer(&self) -> Did {
        self.0.peer
    }

    /// What is spoken here.
    pub fn protocol(&self) -> Protocol {
        self.0.protocol
    }

    /// Where the peer is reached now; `None` over a relay. It may change.
    pub fn address(&self) -> Option<SocketAddr> {
        let paths = self.0.quic.paths();
        let path = paths.iter().find(|path| path.is_selected()).or_else(|| paths.iter().next())?;
        match path.remote_addr() {
            TransportAddr::Ip(address) => Some(*address),
            _ => None,
        }
    }

    /// Opens a stream. Waits while as many are open as the peer allows, or while this second's are used up. The other
    /// side hears of the stream with its first byte.
    pub async fn open(&self) -> Result<Stream, LinkError> {
        self.0.place.allowance.stream_turn().await;
        let first = self.0.first.lock().expect("nothing panics with a stream in hand").take();
        let (send, receive) = match first {
            Some(first) => match self.0.quic.close_reason() {
                Some(error) => return Err(LinkError::Broken(reason(&error))),
                None => first,
            },
            None => self.0.quic.open_bi().await.map_err(|error| LinkError::Broken(reason(&error)))?,
        };
        self.0.place.allowance.streams.take(1);
        Ok(Stream::new(self.0.clone(), send, receive))
    }

    /// The next stream that the peer opens; `None` once the connection is over.
    pub async fn accept(&self) -> Option<Stream> {
        self.0.place.allowance.stream_turn().await;
        let (send, receive) = self.0.quic.accept_bi().await.ok()?;
        self.0.place.allowance.streams.take(1);
        Some(Stream::new(self.0.clone(), send, receive))
    }

    /// Ends the connection at once; what is under way may be lost. The other side is told why.
    pub fn close(&self, reason: &str) {
        self.0.quic.close(CloseCode::Done.number(), printable(reason).as_bytes());
    }

    /// Returns when the connection is over, and why it is.
    pub async fn closed(&self) -> String {
        reason(&self.0.quic.closed().await)
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        self.quic.close(CloseCode::Done.number(), b"done");
    }
}

/// Why a connection is over, for people.
pub(crate) fn reason(error: &ConnectionError) -> String {
    match error {
        ConnectionError::ApplicationClosed(close) => match printable(&String::from_utf8_lossy(&close.reason)) {
            reason if reason.is_empty() => "closed by the peer".to_owned(),
            reason => format!("closed by the peer: {reason}"),
        },
        ConnectionError::LocallyClosed => "closed here".to_owned(),
        ConnectionError::TimedOut => "nothing heard for too long".to_owned(),
        other => printable(&other.to_string()),
    }
}

/// A text that anybody may have written, fit for a line of a log.
pub(crate) fn printable(text: &str) -> String {
    text.chars().filter(|letter| !letter.is_control()).take(REASON_CHARS_MAX).collect()
}
