//! How the QUIC transport is set: nothing that we do not use, and a bound on what a peer can make us hold.

use std::time::Duration;

use iroh::endpoint::{ConnectionError, IdleTimeout, QuicTransportConfig, VarInt};

use crate::limits::Limits;

/// Bytes of one stream that may wait here unread. Twice as many make it slower: they leave the processor's cache.
const STREAM_WINDOW_BYTES: u32 = 1 << 20;
/// Bytes of all streams of one connection that may wait here unread.
const CONNECTION_WINDOW_BYTES: u32 = 4 << 20;
/// Bytes of one connection that may wait here unacknowledged.
const SEND_WINDOW_BYTES: u64 = 4 << 20;
/// iroh gives up a path from which nothing came for this long, and takes no longer time.
const PATH_IDLE_MAX: Duration = Duration::from_secs(15);
/// iroh sends a sign of life on each path after this long, and takes no longer time.
const SIGN_OF_LIFE_MAX: Duration = Duration::from_secs(5);

/// Why a connection is closed, as the other side is told it. A part of the protocol: numbers keep their meaning.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum CloseCode {
    /// Nobody uses it any more.
    Done = 0,
    /// The gate does not admit this key.
    Refused = 1,
    /// No room for one more.
    Full = 2,
    /// The key was admitted and is not any more.
    Cut = 3,
    /// The link is closed.
    Leaving = 4,
}

impl CloseCode {
    pub(crate) const fn number(self) -> VarInt {
        VarInt::from_u32(self as u32)
    }

    /// Whether the other side closed with this code.
    pub(crate) fn is_in(self, error: &ConnectionError) -> bool {
        matches!(error, ConnectionError::ApplicationClosed(close) if close.error_code == self.number())
    }
}

/// How connections that we dial are set: whom we dialled may open streams.
pub(crate) fn dialling(limits: &Limits) -> QuicTransportConfig {
    transport(limits, limits.streams_per_connection)
}

/// How connections that we are asked for are set: not one stream, until the peer is admitted.
pub(crate) fn listening(limits: &Limits) -> QuicTransportConfig {
    transport(limits, 0)
}

fn transport(limits: &Limits, streams: u32) -> QuicTransportConfig {
    let idle = limits.idle.clamp(Duration::from_secs(1), Duration::from_secs(3_600));
    let sign_of_life = (idle / 3).min(SIGN_OF_LIFE_MAX);
    QuicTransportConfig::builder()
        .max_concurrent_bidi_streams(VarInt::from_u32(streams))
        .max_concurrent_uni_streams(VarInt::from_u32(0))
        .datagram_receive_buffer_size(None)
        .stream_receive_window(VarInt::from_u32(STREAM_WINDOW_BYTES))
        .receive_window(VarInt::from_u32(CONNECTION_WINDOW_BYTES))
        .send_window(SEND_WINDOW_BYTES)
        .max_idle_timeout(Some(IdleTimeout::try_from(idle).expect("an hour is a time that QUIC can say")))
        .keep_alive_interval(sign_of_life)
        .default_path_max_idle_timeout(idle.min(PATH_IDLE_MAX))
        .default_path_keep_alive_interval(sign_of_life)
        .build()
}
