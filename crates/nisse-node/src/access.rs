//! The `access` of an agent that runs: whom its rules admit, how much each of them may, and what its owner is told of
//! whoever was refused.
//!
//! What the rules say of a request follows from its head. Who asks is proven to the node (`node/admit_call.rs`); what that
//! key is for the owner is asked of the home's credentials.

mod flaws;
mod rates;
mod refusals;

use std::collections::BTreeSet;
use std::sync::Arc;

use nisse_model::{Access, AccessRule, AccessTo, AgentName, Did, Scope, Standing, Timestamp};

pub(crate) use self::flaws::{Flaw, FlawKind};
pub(crate) use self::rates::Asker;
use self::rates::Rates;
use self::refusals::Refusals;
use crate::identity::Known;
use crate::logs::AgentLog;
use crate::remote::Nonces;
use crate::token::NONCE_BYTES;

/// Requests of one who asks an agent that are good at the same time.
const NONCES_OF_ONE_MAX: usize = 8_192;
/// Those who ask one agent with requests that are good at the same time.
const ASKERS_MAX: usize = 4_096;
/// All requests to one agent that are good at the same time.
const NONCES_MAX: usize = 65_536;

/// What was asked of one agent, over all its lives: an update admits no request again.
pub(crate) type CallNonces = Nonces<Did, [u8; NONCE_BYTES]>;

/// The command that lets somebody call an agent.
const CALL: &str = "/agent/call";

/// The nonces of an agent that nobody has asked.
pub(crate) fn nonces() -> CallNonces {
    Nonces::sized(NONCES_OF_ONE_MAX, ASKERS_MAX, NONCES_MAX)
}

/// The rules of one live agent.
pub(crate) struct Guard {
    rules: Vec<Guarded>,
    /// What whoever calls it by a capability has to have.
    right: Scope,
    /// Whether its owner is this node's, so that the home's identity is theirs.
    at_home: bool,
    pub(crate) nonces: Arc<CallNonces>,
    log: Arc<AgentLog>,
    refusals: Refusals,
}

struct Guarded {
    rule: AccessRule,
    rates: Option<Rates>,
}

/// Whom a rule that admits by who asks would admit, as far as this node's credentials say.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Stands {
    /// This very key is named, whatever becomes of any identity.
    Named,
    /// It is something to an identity.
    ByIdentity,
    /// Not without a capability that gives it.
    WithCapability,
}

impl Guard {
    /// Nothing, where everybody is admitted to everything.
    pub(crate) fn new(
        access: &Access,
        agent: &AgentName,
        at_home: bool,
        nonces: impl FnOnce() -> Arc<CallNonces>,
        log: &Arc<AgentLog>,
    ) -> Option<Arc<Self>> {
        let Access::Rules(rules) = access else { return None };
        let guarded = |rule: &AccessRule| Guarded { rule: rule.clone(), rates: rule.rate.map(Rates::new) };
        let conditions = [("agent".to_owned(), agent.to_string())].into();
        Some(Arc::new(Self {
            rules: rules.iter().map(guarded).collect(),
            right: Scope::new(CALL.parse().expect("a command"), conditions).expect("a name is a condition"),
            at_home,
            nonces: nonces(),
            log: Arc::clone(log),
            refusals: Refusals::default(),
        }))
    }

    /// Each rule that admits by who asks, or each other one: its number, and whether it is about such a request.
    pub(crate) fn about(
        &self,
        method: &str,
        path: &str,
        identified: bool,
    ) -> impl Iterator<Item = (usize, &AccessRule, Result<(), Flaw>)> {
        let rules = self.rules.iter().enumerate().filter(move |(_, one)| one.rule.to.is_identified() == identified);
        rules.map(move |(number, Guarded { rule, .. })| {
            let is_about = match (rule.has_path(path), rule.has_method(method)) {
                (false, _) => Err(FlawKind::Path.into()),
                (true, false) => Err(FlawKind::Method.into()),
                (true, true) => Ok(()),
            };
            (number, rule, is_about)
        })
    }

    pub(crate) fn rule(&self, number: usize) -> &AccessRule {
        &self.rules[number].rule
    }

    /// What a capability has to give.
    pub(crate) fn right(&self) -> &Scope {
        &self.right
    }

    /// Counts a request that a rule admits; otherwise says for how many seconds to wait.
    pub(crate) fn count(&self, number: usize, asker: Asker, now: std::time::Duration) -> Result<(), u64> {
        self.rules[number].rates.as_ref().map_or(Ok(()), |rates| rates.take(asker, now))
    }

    /// Whether a rule is for this key.
    pub(crate) fn admits(&self, to: &AccessTo, key: &Did, known: &Known, now: Timestamp) -> Result<Stands, Flaw> {
        let is_device = || matches!(known.standing(key, now), Standing::Root | Standing::Device);
        if to.needs_own_node() && (!self.at_home || known.identity.is_none()) {
            return Err(FlawKind::Elsewhere.into());
        }
        match to {
            AccessTo::Public => Ok(Stands::Named),
            AccessTo::Keys(keys) if keys.contains(key) => Ok(Stands::Named),
            AccessTo::Keys(keys) if self.is_of_one(keys, key, known, now) => Ok(Stands::ByIdentity),
            AccessTo::Keys(_) => Err(FlawKind::Key.into()),
            AccessTo::Owner if is_device() => Ok(Stands::ByIdentity),
            AccessTo::Owner => Err(FlawKind::Device.into()),
            AccessTo::Space { space, role } => match known.role(space, key, now) {
                Some(has) if has >= *role => Ok(Stands::ByIdentity),
                Some(_) => Err(FlawKind::Role.into()),
                None if known.has_space(space) => Err(FlawKind::Member.into()),
                None => Err(FlawKind::Space.into()),
            },
            AccessTo::Capability if known.may(key, &self.right, now) => Ok(Stands::ByIdentity),
            AccessTo::Capability => Ok(Stands::WithCapability),
        }
    }

    /// Whether this key acts for an identity that is listed. Of its agents, only the owner's own say for whose agent of this
    /// name they may ask.
    fn is_of_one(&self, keys: &BTreeSet<Did>, key: &Did, known: &Known, now: Timestamp) -> bool {
        if !known.identity.is_some_and(|identity| keys.contains(&identity)) {
            return false;
        }
        match known.standing(key, now) {
            Standing::Root | Standing::Device => true,
            Standing::Agent(_) => self.at_home && known.may(key, &self.right, now),
            Standing::Nothing => false,
        }
    }

    /// Tells the owner, in the agent's log, of a request that was refused, and which rule refused it why.
    pub(crate) fn tell(&self, now: Timestamp, elapsed: std::time::Duration, what: &str, flaws: Vec<(usize, Flaw)>) {
        if let Some(since) = self.refusals.is_due(elapsed, &flaws) {
            let rules: Vec<_> = flaws
                .into_iter()
                .map(|(number, flaw)| format!("rule {} ({}): {flaw}", number + 1, self.rule(number).to))
                .collect();
            let why = if rules.is_empty() { "`access` has no rule".to_owned() } else { rules.join("; ") };
            let more = if since == 0 { String::new() } else { format!("; {since} more since the last line like this") };
            self.log.write(now, "warn", &format!("access refused {what}: {why}{more}"));
        }
    }
}

#[cfg(test)]
mod tests;
