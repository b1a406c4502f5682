//! Which agent a name means: this home's own under the bare name, a stranger's only under its full one.
//!
//! Whoever is let in chooses the names of what they deploy. So a name never leads to a stranger's agent unless its owner
//! stands in it.

use std::collections::BTreeSet;

use nisse_model::{Address, AgentId, AgentName, DeploymentId};

use crate::error::{ErrorKind, NodeError};

/// Hex digits that name an owner: at least the eight that a host name shows.
const OWNER_DIGITS_MIN: usize = 8;

/// What an owner typed: `NAME` or `NAME--OWNER`, either with `@vVERSION`.
#[derive(Debug)]
pub(super) struct Wanted {
    pub(super) name: AgentName,
    pub(super) owner: Option<String>,
    /// With the version, where one was given.
    exact: Option<AgentId>,
}

/// Something that can be meant.
pub(super) struct Candidate {
    pub(super) deployment: DeploymentId,
    pub(super) agent_id: AgentId,
    pub(super) owner: Address,
}

/// Why none of the candidates is meant.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Miss {
    /// Nothing bears that name.
    Unknown,
    /// Only agents of other owners bear it: their full names.
    Strangers(Vec<String>),
    /// Agents of several owners are meant: their full names.
    Several(Vec<String>),
    /// It is there in other versions: those.
    Versions(Vec<AgentId>),
}

impl Wanted {
    /// `None` where the text can name no agent.
    pub(super) fn read(text: &str) -> Result<Option<Self>, NodeError> {
        let (bare, version) = match text.split_once('@') {
            Some((bare, version)) => (bare, Some(version)),
            None => (text, None),
        };
        let (name, owner) = match bare.split_once("--") {
            Some((name, owner)) => (name, Some(owner.to_owned())),
            None => (bare, None),
        };
        let Ok(name) = name.parse::<AgentName>() else { return Ok(None) };
        let exact = version.map(|version| format!("{name}@{version}").parse::<AgentId>()).transpose();
        let exact =
            exact.map_err(|error| NodeError::new(ErrorKind::Usage, "version_invalid", format!("failed to {error}")))?;
        Ok(Some(Self { name, owner, exact }))
    }

    /// The first of the candidates that is meant; they come best first.
    pub(super) fn choose(&self, candidates: &[Candidate], own: &BTreeSet<Address>) -> Result<DeploymentId, Miss> {
        let named: Vec<&Candidate> = candidates.iter().filter(|candidate| self.names(candidate)).collect();
        let ours: Vec<&Candidate> = named.iter().copied().filter(|candidate| own.contains(&candidate.owner)).collect();
        let meant = match (ours.is_empty(), named.is_empty(), &self.owner) {
            (_, true, _) => return Err(Miss::Unknown),
            (true, false, None) => return Err(Miss::Strangers(full_names(&named))),
            // Eight digits can be imitated: a key of this home comes before whoever shares them.
            (false, ..) => ours,
            (true, false, Some(_)) => named,
        };
        let fits = |candidate: &&&Candidate| self.exact.as_ref().is_none_or(|exact| candidate.agent_id == *exact);
        let fitting: Vec<&Candidate> = meant.iter().filter(fits).copied().collect();
        let Some(best) = fitting.first() else {
            let versions: BTreeSet<&AgentId> = meant.iter().map(|candidate| &candidate.agent_id).collect();
            return Err(Miss::Versions(versions.into_iter().cloned().collect()));
        };
        if fitting.iter().any(|candidate| candidate.owner != best.owner) {
            return Err(Miss::Several(full_names(&fitting)));
        }
        Ok(best.deployment)
    }

    fn names(&self, candidate: &Candidate) -> bool {
        let is_owner = |digits: &String| {
            digits.len() >= OWNER_DIGITS_MIN && hex::encode(candidate.owner.0).starts_with(digits.as_str())
        };
        candidate.agent_id.name == self.name && self.owner.as_ref().is_none_or(is_owner)
    }
}

impl Miss {
    /// As the owner reads it. What nothing bears has no text here: the nearest name is for the caller to offer.
    pub(super) fn told(&self, text: &str) -> Option<NodeError> {
        let in_full = |names: &[String]| {
            let names: Vec<String> = names.iter().map(|name| format!("`{name}`")).collect();
            format!("name it in full: {}", names.join(" or "))
        };
        Some(match self {
            Self::Unknown => return None,
            Self::Strangers(names) => {
                let text = format!("failed to find the agent `{text}` of this home: another owner's bears that name");
                NodeError::new(ErrorKind::NotFound, "agent_unknown", text).with_hint(in_full(names))
            }
            Self::Several(names) => {
                let text = format!("failed to tell which `{text}` is meant: several owners have one");
                NodeError::new(ErrorKind::Conflict, "agent_ambiguous", text).with_hint(in_full(names))
            }
            Self::Versions(versions) => {
                let versions: Vec<String> = versions.iter().map(|agent_id| format!("v{}", agent_id.version)).collect();
                let text = format!("failed to find the agent `{text}`: there is only {}", versions.join(", "));
                NodeError::new(ErrorKind::NotFound, "version_unknown", text)
                    .with_hint("leave the version out, or name one that is there".to_owned())
            }
        })
    }
}

/// Each owner's agent once, as it can be typed.
fn full_names(candidates: &[&Candidate]) -> Vec<String> {
    let owners: BTreeSet<Address> = candidates.iter().map(|candidate| candidate.owner).collect();
    let shared = |owner: &Address| owners.iter().filter(|other| other.short() == owner.short()).count() > 1;
    let digits = |owner: &Address| if shared(owner) { hex::encode(owner.0) } else { owner.short() };
    let name = candidates.first().map(|candidate| &candidate.agent_id.name);
    name.map_or_else(Vec::new, |name| owners.iter().map(|owner| format!("{name}--{}", digits(owner))).collect())
}

#[cfg(test)]
mod tests;
