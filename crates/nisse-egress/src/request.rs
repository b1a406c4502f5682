//! A request as it comes in, and what it gets back.

use std::time::Duration;

use http::{HeaderMap, StatusCode};
use nisse_model::{LocalService, NetworkRule, SecretRule};

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
    /// Cut to the node's; never zero. What the node itself asks may wait for a head as long as for everything.
    pub(crate) fn within(&self, reach: Reach<'_>, limits: &Timeouts) -> Timeouts {
        let first_byte_max = match reach {
            Reach::Granted { .. } => limits.first_byte,
            Reach::Public => limits.total,
        };
        let cut = |asked: Option<Duration>, max: Duration| asked.unwrap_or(max).clamp(Duration::from_millis(1), max);
        Timeouts {
            connect: cut(self.connect, limits.connect),
            first_byte: cut(self.first_byte, first_byte_max),
            idle: cut(self.idle, limits.idle),
            total: cut(self.total, limits.total),
        }
    }
}

/// How far a request may reach.
#[derive(Debug, Clone, Copy)]
pub enum Reach<'a> {
    /// As far as an agent's permissions say.
    Granted {
        /// Its `network_outbound` permissions.
        rules: &'a [NetworkRule],
        /// Its `network_local` permissions.
        local: &'a [LocalService],
        /// Its `secret` permissions.
        secrets: &'a [SecretRule],
    },
    /// To any public host: the node itself asks whom strangers named, such as a provider of content.
    Public,
}

/// A request as a guest made it, or as strangers' words made the node make it: nothing in it is trusted.
pub struct GuestRequest<'a> {
    /// Who asks; caps and audit lines are counted by it. Unique per (owner, agent name) on the node.
    pub agent: String,
    /// How far it may reach.
    pub reach: Reach<'a>,
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
