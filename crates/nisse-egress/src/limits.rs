//! Caps with names: how much an agent, a rule and a destination may use.

use std::time::Duration;

/// Caps of one scope.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ScopeLimits {
    /// Connections open at the same time.
    pub connections_max: u32,
    /// Connections opened per second, with a burst of one second's worth.
    pub connections_per_second: u32,
    /// Requests sent per second, with a burst of one second's worth.
    pub requests_per_second: u32,
}

/// Deadlines of one request. A guest may ask for less, never for more and never for none.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Timeouts {
    /// For resolving, connecting and TLS, each.
    pub connect: Duration,
    /// From the request's head to the response's head.
    pub first_byte: Duration,
    /// Between two pieces of the response's body.
    pub idle: Duration,
    /// For everything together.
    pub total: Duration,
}

/// All caps of the way out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EgressLimits {
    /// Per agent.
    pub agent: ScopeLimits,
    /// Per rule of an agent.
    pub rule: ScopeLimits,
    /// Per destination address and per destination network, across all agents.
    pub destination: ScopeLimits,
    /// Names that an agent may ask the name servers for, per second.
    pub resolutions_per_second: u32,
    /// Different names that one wildcard rule may reach per hour: labels carry data to whoever owns the domain.
    pub wildcard_names_per_hour: u32,
    /// Longest first label under a wildcard, in bytes.
    pub wildcard_label_bytes_max: usize,
    /// Largest request body.
    pub request_body_bytes_max: u64,
    /// Largest response body, as received; nothing is decompressed here. The CAR of the largest artifact fits.
    pub response_body_bytes_max: u64,
    /// Bytes sent per agent and minute.
    pub up_bytes_per_minute: u64,
    /// Bytes received per agent and minute.
    pub down_bytes_per_minute: u64,
    /// Bytes sent per agent and day.
    pub up_bytes_per_day: u64,
    /// Bytes received per agent and day.
    pub down_bytes_per_day: u64,
    /// Longest deadlines, and those that stand when a guest names none.
    pub timeouts: Timeouts,
}

impl Default for EgressLimits {
    fn default() -> Self {
        let mib = 1 << 20;
        let scope = ScopeLimits { connections_max: 16, connections_per_second: 20, requests_per_second: 50 };
        Self {
            agent: ScopeLimits { connections_max: 32, connections_per_second: 40, requests_per_second: 100 },
            rule: scope,
            destination: ScopeLimits { connections_max: 20, ..scope },
            resolutions_per_second: 20,
            wildcard_names_per_hour: 64,
            wildcard_label_bytes_max: 40,
            request_body_bytes_max: 16 * mib,
            response_body_bytes_max: 72 * mib,
            up_bytes_per_minute: 64 * mib,
            down_bytes_per_minute: 256 * mib,
            up_bytes_per_day: 4096 * mib,
            down_bytes_per_day: 16 * 1024 * mib,
            timeouts: Timeouts {
                connect: Duration::from_secs(10),
                first_byte: Duration::from_secs(30),
                idle: Duration::from_secs(30),
                total: Duration::from_secs(120),
            },
        }
    }
}
