//! What goes wrong between peers.

use std::net::SocketAddr;

use nisse_model::Did;

/// What another library said; its type is nobody's business.
pub(crate) type Cause = Box<dyn std::error::Error + Send + Sync>;

/// Why there is no connection or stream. Each text completes "failed to …".
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LinkError {
    /// The address is taken, or not this machine's.
    #[error("listen on {address}")]
    Bind {
        /// The address that was asked for.
        address: SocketAddr,
        /// What the transport said.
        #[source]
        source: Cause,
    },
    /// The machine does not let anybody listen for announcements.
    #[error("listen for peers nearby")]
    Nearby(#[source] Cause),
    /// Not the URL of a relay.
    #[error("read `{0}` as a relay's URL: expected https://HOST")]
    Relay(String),
    /// These bytes are no point of the curve: nobody can have that key.
    #[error("read {peer} as the key of a peer")]
    NotAKey {
        /// The key.
        peer: Did,
    },
    /// Nobody said where the peer is, and there is no way to find out.
    #[error("find {peer}: no address of it is known, and neither a relay nor anyone nearby tells one")]
    Nowhere {
        /// The peer.
        peer: Did,
    },
    /// Nobody answers there, or not with that key, or not in that protocol.
    #[error("reach {peer}")]
    Unreachable {
        /// The peer.
        peer: Did,
        /// What the transport said.
        #[source]
        source: Cause,
    },
    /// The peer answered, and does not admit us.
    #[error("be admitted by {peer}")]
    Refused {
        /// The peer.
        peer: Did,
    },
    /// A limit is reached: here, or at the other side.
    #[error("stay within the limit of {0}")]
    Limit(&'static str),
    /// The connection is over.
    #[error("use a connection that is over: {0}")]
    Broken(String),
}
