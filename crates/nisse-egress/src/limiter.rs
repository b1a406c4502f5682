//! Keeps the counts behind the caps.
//!
//! Counts are kept per scope: the agent, the agent's rule, the destination's address and its network (/24 or /48), the
//! last two across all agents of the node, so that many agents together do not flood one host. A cap that is reached
//! refuses at once: nothing waits in a queue.

mod counters;

use std::collections::{HashMap, HashSet};
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use self::counters::{Bucket, Window};
use crate::error::EgressError;
use crate::limits::{EgressLimits, ScopeLimits};
use crate::special_purpose::network_of;

/// Scopes remembered at once; idle ones are forgotten first.
const SCOPES_MAX: usize = 16 * 1024;
const MINUTE: Duration = Duration::from_secs(60);
const HOUR: Duration = Duration::from_secs(60 * 60);
const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// Up to the other side, or down to the guest.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Direction {
    Up,
    Down,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
enum Scope {
    Agent(Arc<str>),
    Rule(Arc<str>, Arc<str>),
    Address(IpAddr),
    Network(IpAddr),
}

#[derive(Debug)]
struct ScopeState {
    connections: u32,
    new_connections: Bucket,
    requests: Bucket,
    resolutions: Bucket,
    minute: [Window; 2],
    day: [Window; 2],
    names: HashSet<String>,
    names_hour: u128,
    used_at: Duration,
}

impl ScopeState {
    fn new(limits: &ScopeLimits, resolutions: u32, now: Duration) -> Self {
        Self {
            connections: 0,
            new_connections: Bucket::full(limits.connections_per_second, now),
            requests: Bucket::full(limits.requests_per_second, now),
            resolutions: Bucket::full(resolutions, now),
            minute: [Window::default(); 2],
            day: [Window::default(); 2],
            names: HashSet::new(),
            names_hour: 0,
            used_at: now,
        }
    }

    /// Nothing is lost by forgetting it: no open connection, no budget that still runs.
    fn is_idle(&self, now: Duration) -> bool {
        let spent = self.day.iter().any(|window| window.count(DAY, now) > 0);
        self.connections == 0 && !spent && self.names.is_empty() && now.saturating_sub(self.used_at) > MINUTE
    }
}

/// Keeps the counts.
pub(crate) struct Limiter {
    limits: EgressLimits,
    scopes: Mutex<HashMap<Scope, ScopeState>>,
}

/// One open connection; counted until it is dropped.
pub(crate) struct ConnectionPermit {
    limiter: Arc<Limiter>,
    scopes: Vec<Scope>,
}

impl Drop for ConnectionPermit {
    fn drop(&mut self) {
        let mut scopes = self.limiter.lock();
        for scope in &self.scopes {
            if let Some(state) = scopes.get_mut(scope) {
                state.connections = state.connections.saturating_sub(1);
            }
        }
    }
}

impl Limiter {
    pub(crate) fn new(limits: EgressLimits) -> Arc<Self> {
        Arc::new(Self { limits, scopes: Mutex::default() })
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Scope, ScopeState>> {
        self.scopes.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn limits_of(&self, scope: &Scope) -> (&ScopeLimits, [&'static str; 3]) {
        match scope {
            Scope::Agent(_) => (
                &self.limits.agent,
                ["agent.connections_max", "agent.connections_per_second", "agent.requests_per_second"],
            ),
            Scope::Rule(..) => {
                (&self.limits.rule, ["rule.connections_max", "rule.connections_per_second", "rule.requests_per_second"])
            }
            Scope::Address(_) | Scope::Network(_) => (
                &self.limits.destination,
                [
                    "destination.connections_max",
                    "destination.connections_per_second",
                    "destination.requests_per_second",
                ],
            ),
        }
    }

    /// The states of `wanted`, all of them present.
    fn ensure(
        &self,
        scopes: &mut HashMap<Scope, ScopeState>,
        wanted: &[Scope],
        now: Duration,
    ) -> Result<(), EgressError> {
        if scopes.len() + wanted.len() > SCOPES_MAX {
            scopes.retain(|_, state| !state.is_idle(now));
            if scopes.len() + wanted.len() > SCOPES_MAX {
                return Err(EgressError::Limit { limit: "scopes_max", max: SCOPES_MAX as u64 });
            }
        }
        for scope in wanted {
            let (limits, _) = self.limits_of(scope);
            scopes
                .entry(scope.clone())
                .or_insert_with(|| ScopeState::new(limits, self.limits.resolutions_per_second, now))
                .used_at = now;
        }
        Ok(())
    }

    /// Takes one request from the agent and its rule, or from neither.
    pub(crate) fn admit_request(&self, agent: &Arc<str>, rule: &Arc<str>, now: Duration) -> Result<(), EgressError> {
        self.take_request(&[Scope::Agent(agent.clone()), Scope::Rule(agent.clone(), rule.clone())], now)
    }

    /// Takes one request from the destination's address and network, or from neither.
    pub(crate) fn admit_destination(&self, address: IpAddr, now: Duration) -> Result<(), EgressError> {
        self.take_request(&destination_scopes(address), now)
    }

    fn take_request(&self, wanted: &[Scope], now: Duration) -> Result<(), EgressError> {
        let mut scopes = self.lock();
        self.ensure(&mut scopes, wanted, now)?;
        for scope in wanted {
            let (limits, [_, _, name]) = self.limits_of(scope);
            let max = limits.requests_per_second;
            if scopes.get(scope).is_some_and(|state| !state.requests.has_one(max, now)) {
                return Err(EgressError::Limit { limit: name, max: max.into() });
            }
        }
        for scope in wanted {
            let max = self.limits_of(scope).0.requests_per_second;
            if let Some(state) = scopes.get_mut(scope) {
                state.requests.take(max, now);
            }
        }
        Ok(())
    }

    /// Counts one more connection on all four scopes, or on none.
    pub(crate) fn admit_connection(
        self: &Arc<Self>,
        agent: &Arc<str>,
        rule: &Arc<str>,
        address: IpAddr,
        now: Duration,
    ) -> Result<ConnectionPermit, EgressError> {
        let [address, network] = destination_scopes(address);
        let wanted = vec![Scope::Agent(agent.clone()), Scope::Rule(agent.clone(), rule.clone()), address, network];
        let mut scopes = self.lock();
        self.ensure(&mut scopes, &wanted, now)?;
        for scope in &wanted {
            let (limits, [open, new, _]) = self.limits_of(scope);
            let Some(state) = scopes.get(scope) else { continue };
            if state.connections >= limits.connections_max {
                return Err(EgressError::Limit { limit: open, max: limits.connections_max.into() });
            }
            if !state.new_connections.has_one(limits.connections_per_second, now) {
                return Err(EgressError::Limit { limit: new, max: limits.connections_per_second.into() });
            }
        }
        for scope in &wanted {
            let rate = self.limits_of(scope).0.connections_per_second;
            if let Some(state) = scopes.get_mut(scope) {
                state.connections += 1;
                state.new_connections.take(rate, now);
            }
        }
        drop(scopes);
        Ok(ConnectionPermit { limiter: self.clone(), scopes: wanted })
    }

    /// Takes one question to the name servers from the agent.
    pub(crate) fn admit_resolution(&self, agent: &Arc<str>, now: Duration) -> Result<(), EgressError> {
        let (scope, max) = (Scope::Agent(agent.clone()), self.limits.resolutions_per_second);
        let mut scopes = self.lock();
        self.ensure(&mut scopes, std::slice::from_ref(&scope), now)?;
        match scopes.get_mut(&scope) {
            Some(state) if state.resolutions.has_one(max, now) => {
                state.resolutions.take(max, now);
                Ok(())
            }
            _ => Err(EgressError::Limit { limit: "resolutions_per_second", max: max.into() }),
        }
    }

    /// Counts a name under a wildcard rule: a new one only while the hour's cap is not reached.
    pub(crate) fn admit_wildcard_name(
        &self,
        agent: &Arc<str>,
        rule: &Arc<str>,
        name: &str,
        now: Duration,
    ) -> Result<(), EgressError> {
        let label = name.split('.').next().unwrap_or_default();
        if label.len() > self.limits.wildcard_label_bytes_max {
            let max = self.limits.wildcard_label_bytes_max as u64;
            return Err(EgressError::Limit { limit: "wildcard_label_bytes_max", max });
        }
        let scope = Scope::Rule(agent.clone(), rule.clone());
        let mut scopes = self.lock();
        self.ensure(&mut scopes, std::slice::from_ref(&scope), now)?;
        let Some(state) = scopes.get_mut(&scope) else { return Ok(()) };
        let hour = now.as_nanos() / HOUR.as_nanos();
        if state.names_hour != hour {
            state.names.clear();
            state.names_hour = hour;
        }
        if !state.names.contains(name) {
            if state.names.len() >= self.limits.wildcard_names_per_hour as usize {
                let max = self.limits.wildcard_names_per_hour.into();
                return Err(EgressError::Limit { limit: "wildcard_names_per_hour", max });
            }
            state.names.insert(name.to_owned());
        }
        Ok(())
    }

    /// Takes bytes from the agent's minute and day. What has been read or sent already still counts.
    pub(crate) fn spend_bytes(
        &self,
        agent: &Arc<str>,
        direction: Direction,
        bytes: u64,
        now: Duration,
    ) -> Result<(), EgressError> {
        let scope = Scope::Agent(agent.clone());
        let mut scopes = self.lock();
        self.ensure(&mut scopes, std::slice::from_ref(&scope), now)?;
        let Some(state) = scopes.get_mut(&scope) else { return Ok(()) };
        let limits = &self.limits;
        let (index, minute, day) = match direction {
            Direction::Up => {
                let minute = ("up_bytes_per_minute", limits.up_bytes_per_minute);
                (0, minute, ("up_bytes_per_day", limits.up_bytes_per_day))
            }
            Direction::Down => {
                let minute = ("down_bytes_per_minute", limits.down_bytes_per_minute);
                (1, minute, ("down_bytes_per_day", limits.down_bytes_per_day))
            }
        };
        state.minute[index].add(bytes, MINUTE, now);
        state.day[index].add(bytes, DAY, now);
        let spent = [(state.minute[index].count(MINUTE, now), minute), (state.day[index].count(DAY, now), day)];
        match spent.into_iter().find(|(count, (_, max))| count > max) {
            Some((_, (limit, max))) => Err(EgressError::TooLarge { limit, max }),
            None => Ok(()),
        }
    }
}

fn destination_scopes(address: IpAddr) -> [Scope; 2] {
    [Scope::Address(address.to_canonical()), Scope::Network(network_of(address))]
}
