//! What one link, and one peer of it, may take up.

use std::time::Duration;

/// Caps of a link. A rate of zero is no cap.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Connections at once, dialled and accepted.
    pub connections: usize,
    /// Connections at once with one peer, dialled and accepted.
    pub connections_per_peer: usize,
    /// Those who knock and are not admitted yet, at once. One address gets half of them at most.
    pub handshakes: usize,
    /// Streams that a peer has open at once in one connection.
    pub streams_per_connection: u32,
    /// Bytes of one peer in a second, of all its streams and both ways. What was not used for a second is a burst.
    pub bytes_per_second: u64,
    /// Streams of one peer in a second, opened by either side.
    pub streams_per_second: u32,
    /// How long a connection lasts from which nothing is heard, not even a sign of life. The transport gives up a path
    /// after 15 seconds whatever this says.
    pub idle: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connections: 256,
            connections_per_peer: 8,
            handshakes: 64,
            streams_per_connection: 64,
            bytes_per_second: 64 << 20,
            streams_per_second: 1_000,
            idle: Duration::from_secs(15),
        }
    }
}
