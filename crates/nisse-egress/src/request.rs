//! A guest's request as it comes in, and what it gets back.

use std::time::Duration;

use http::{HeaderMap, StatusCode};
use nisse_model::{LocalService, NetworkRule};

use crate::body::{RequestBody, ResponseBody};
use crate::limits::Timeouts;

/// Deadlines that a guest asks for; each is cut to the node's own.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct RequestTimeouts {
    /// For connecting.
    pub connect: Option<Duration>,
    /// For the response's head.
    pub first_byte: Option<Duration>,
    /// Between two pieces of the body.
    pub idle: Option<Duration>,
    /// For everything together.
    pub total: Option<Duration>,
}

impl RequestTimeouts {
    /// Cut to the node's; never zero.
    pub(crate) fn within(&self, limits: &Timeouts) -> Timeouts {
        let cut = |asked: Option<Duration>, max: Duration| asked.unwrap_or(max).clamp(Duration::from_millis(1), max);
        Timeouts {
            connect: cut(self.connect, limits.connect),
            first_byte: cut(self.first_byte, limits.first_byte),
            idle: cut(self.idle, limits.idle),
            total: cut(self.total, limits.total),
        }
    }
}

/// A request as a guest made it: nothing in it is trusted.
pub struct GuestRequest<'a> {
    /// Who asks; caps and audit lines are counted by it. Unique per (owner, agent name) on the node.
    pub agent: String,
    /// Its `network_outbound` permissions.
    pub rules: &'a [NetworkRule],
    /// Its `network_local` permissions.
    pub local: &'a [LocalService],
    /// Such as `GET`.
    pub method: String,
    /// `https` or `http`.
    pub scheme: String,
    /// `HOST[:PORT]`.
    pub authority: String,
    /// Beginning with `/`, or empty.
    pub path_and_query: String,
    /// Names and values.
    pub headers: Vec<(String, Vec<u8>)>,
    /// The body.
    pub body: RequestBody,
    /// Shorter deadlines than the node's.
    pub timeouts: RequestTimeouts,
}

/// What came back, as it came: redirects are not followed, nothing is decompressed.
#[derive(Debug)]
pub struct GuestResponse {
    /// Its status, never 101.
    pub status: StatusCode,
    /// End-to-end headers.
    pub headers: HeaderMap,
    /// The body, still coming.
    pub body: ResponseBody,
}
