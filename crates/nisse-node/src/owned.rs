//! Agents that a space owns: whose each is, and what the space's members may do with it from their own homes.
//!
//! This is the one place that says what a role gives. What does not stand in [`GIVES`] is refused, and a member sees no
//! agent but those of spaces in which they have a role.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use nisse_model::{AgentName, CredentialId, Did, Manifest, Role, Scope, Standing, Timestamp};
use nisse_store::Disk;
use serde::{Deserialize, Serialize};
use tokio::sync::watch;

use crate::caller::Asker;
use crate::core::Core;
use crate::error::{ErrorKind, NodeError};
use crate::identity::Known;

/// The file of the home, its version, and its most bytes.
const FILE: &str = "owned.json";
const VERSION: u32 = 1;
const FILE_BYTES_MAX: u64 = 1 << 20;
/// Names in it: each is at most 128 bytes long.
const OWNED_MAX: usize = 4_096;

/// The list of agents that a member sees, which has none but those of their spaces.
const LIST: &str = "/agent/list";
/// Everything else that a member may do, and the least role that gives it.
const GIVES: [(&str, Role); 19] = [
    ("/agent/status", Role::Read),
    ("/agent/trigger/list", Role::Read),
    ("/agent/trigger/show", Role::Read),
    ("/agent/invocation/list", Role::Edit),
    ("/agent/invocation/show", Role::Edit),
    ("/agent/trigger/fire", Role::Edit),
    ("/agent/trigger/pause", Role::Admin),
    ("/agent/trigger/resume", Role::Admin),
    ("/agent/invocation/retry", Role::Admin),
    ("/agent/invocation/cancel", Role::Admin),
    ("/agent/logs", Role::Edit),
    ("/agent/logs/follow", Role::Edit),
    ("/agent/invoke", Role::Edit),
    ("/agent/start", Role::Admin),
    ("/agent/stop", Role::Admin),
    ("/agent/pause", Role::Admin),
    ("/agent/resume", Role::Admin),
    ("/agent/update", Role::Admin),
    ("/agent/destroy", Role::Admin),
];

/// The commands that a space can give its members at homes that run its agents: no other route is there for them.
pub fn commands_of_members() -> impl Iterator<Item = &'static str> {
    GIVES.iter().map(|(command, _)| *command).chain([LIST])
}

/// Whose each agent of this home's operator is, by its name, as its state is kept: an update or another start changes
/// nothing.
pub(crate) struct Owned {
    path: PathBuf,
    /// One writes at a time.
    writing: Mutex<()>,
    agents: watch::Sender<Arc<Owners>>,
}

type Owners = BTreeMap<AgentName, CredentialId>;

/// The file.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Kept {
    version: u32,
    agents: BTreeMap<String, String>,
}

impl Owned {
    /// Those of a home; none where none were given to a space.
    pub(crate) fn open(disk: &dyn Disk, home: &Path) -> Result<Self, NodeError> {
        let path = home.join(FILE);
        let owners = read(disk, &path)?;
        Ok(Self { path, writing: Mutex::default(), agents: watch::Sender::new(Arc::new(owners)) })
    }

    /// The space that owns an agent.
    pub(crate) fn space_of(&self, agent: &AgentName) -> Option<CredentialId> {
        self.agents.borrow().get(agent).copied()
    }

    pub(crate) fn all(&self) -> Arc<Owners> {
        Arc::clone(&self.agents.borrow())
    }

    /// Hears of each change.
    pub(crate) fn changes(&self) -> watch::Receiver<Arc<Owners>> {
        self.agents.subscribe()
    }

    /// Says whose an agent is: a space's, or the home's own. It is durable before it counts.
    pub(crate) fn set(&self, disk: &dyn Disk, agent: &AgentName, space: Option<CredentialId>) -> Result<(), NodeError> {
        let _one = self.writing.lock().unwrap_or_else(PoisonError::into_inner);
        let mut owners = Owners::clone(&self.all());
        if owners.get(agent).copied() == space {
            return Ok(());
        }
        match space {
            Some(space) => owners.insert(agent.clone(), space),
            None => owners.remove(agent),
        };
        if owners.len() > OWNED_MAX {
            let text = format!("failed to give {agent} to a space: {OWNED_MAX} agents of this home are given already");
            return Err(NodeError::new(ErrorKind::Refused, "owned_many", text));
        }
        let agents = owners.iter().map(|(agent, space)| (agent.to_string(), space.to_string())).collect();
        let text = serde_json::to_vec_pretty(&Kept { version: VERSION, agents }).expect("names and ids are JSON");
        disk.replace(&self.path, &text).map_err(|error| {
            let text = format!("failed to write {}: {error}", self.path.display());
            NodeError::new(ErrorKind::Failed, "owned_failed", text)
        })?;
        self.agents.send_replace(Arc::new(owners));
        Ok(())
    }
}

fn read(disk: &dyn Disk, path: &Path) -> Result<Owners, NodeError> {
    if !disk.exists(path) {
        return Ok(Owners::new());
    }
    let failed = |why: &dyn std::fmt::Display| {
        NodeError::new(ErrorKind::Failed, "owned_failed", format!("failed to read {}: {why}", path.display()))
            .with_hint("put it back from a copy; without it every agent is the home's own".to_owned())
    };
    let bytes = disk.read(path, FILE_BYTES_MAX).map_err(|error| failed(&error))?;
    let kept: Kept = serde_json::from_slice(&bytes).map_err(|error| failed(&error))?;
    if kept.version != VERSION {
        return Err(failed(&format!("it has the version {}, and {VERSION} is known here", kept.version)));
    }
    let one = |(agent, space): (String, String)| {
        let agent: AgentName = agent.parse().map_err(|error| failed(&error))?;
        Ok((agent, space.parse().map_err(|error| failed(&error))?))
    };
    kept.agents.into_iter().map(one).collect()
}

/// What the device of a member has here now.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Held {
    /// Each agent that they see, for whom, and by which role in its space.
    agents: BTreeMap<AgentName, (Did, Role)>,
}

impl Held {
    fn of(owners: &Owners, known: &Known, key: &Did, now: Timestamp) -> Self {
        // Whoever is something to this home's identity has what that gives, and nothing beside it.
        if known.standing(key, now) != Standing::Nothing {
            return Self::default();
        }
        let one = |(agent, space): (&AgentName, &CredentialId)| {
            let access = known.access(space, key, now)?;
            // What ends is an agent's delegation: it was given for the space, and not for what the space owns.
            let is_device = access.until.is_none();
            (is_device && access.role >= Role::Read).then(|| (agent.clone(), (access.identity, access.role)))
        };
        Self { agents: owners.iter().filter_map(one).collect() }
    }

    pub(crate) fn is_nothing(&self) -> bool {
        self.agents.is_empty()
    }

    /// Whether an agent exists, as far as they are told.
    pub(crate) fn sees(&self, agent: &AgentName) -> bool {
        self.agents.contains_key(agent)
    }

    /// Whether they may do this. An agent is named by its name alone.
    pub(crate) fn may(&self, right: &Scope) -> bool {
        let (command, conditions) = (right.command().as_str(), right.conditions());
        if command == LIST {
            return conditions.is_empty() && !self.is_nothing();
        }
        let least = GIVES.iter().find(|(gives, _)| *gives == command).map(|(_, least)| *least);
        let (Some(least), Some(agent), 1) = (least, conditions.get("agent"), conditions.len()) else { return false };
        let has = agent.parse().ok().and_then(|agent: AgentName| self.agents.get(&agent));
        has.is_some_and(|(_, role)| *role >= least)
    }

    /// Whether they have all that they had.
    fn still_has(&self, had: &Self) -> bool {
        let keeps = |(agent, (member, role)): (&AgentName, &(Did, Role))| {
            self.agents.get(agent).is_some_and(|(now, has)| now == member && has >= role)
        };
        had.agents.iter().all(keeps)
    }
}

impl Core {
    /// What a key that is nothing to this home's identity has by the spaces that own agents here.
    pub(crate) fn held_by(&self, key: &Did) -> Held {
        Held::of(&self.owned.all(), &self.identity.known(), key, self.clock.now())
    }

    /// In whose name a member's device acts.
    pub(crate) fn member_asker(&self, key: &Did) -> Asker {
        let held = self.held_by(key);
        Asker::member(member_name(&held, key), held)
    }

    /// What a key is called in the audit log, if it is a member's.
    pub(crate) fn member_named(&self, key: &Did) -> Option<String> {
        let held = self.held_by(key);
        (!held.is_nothing()).then(|| member_name(&held, key))
    }

    /// Returns once a member's device has less than it had, or something else: what it has open was begun by what it had.
    pub(crate) async fn has_less_by_spaces(&self, key: Did) {
        let (mut credentials, mut owners) = (self.identity.changes(), self.owned.changes());
        let mut had = Held::default();
        loop {
            credentials.borrow_and_update();
            owners.borrow_and_update();
            let held = self.held_by(&key);
            if held.is_nothing() || !held.still_has(&had) {
                return;
            }
            had = held;
            tokio::select! {
                changed = credentials.changed() => if changed.is_err() { return },
                changed = owners.changed() => if changed.is_err() { return },
            }
        }
    }
}

fn member_name(held: &Held, key: &Did) -> String {
    match held.agents.values().next() {
        Some((member, _)) => format!("member {member} by its device {key}"),
        None => format!("member by the device {key}"),
    }
}

/// Refuses a member's update that would take more of this home than its owner gave the agent.
pub(crate) fn check_modest(old: &Manifest, new: &Manifest) -> Result<(), NodeError> {
    let refused = |what: String| {
        let name = &old.agent_id.name;
        NodeError::new(ErrorKind::Refused, "update_takes_more", format!("failed to update {name}: {what}"))
            .with_hint("the owner of the home that runs it gives an agent more, by an update of their own".to_owned())
    };
    if let Some(more) = new.permissions.iter().find(|permission| !old.permissions.contains(permission)) {
        return Err(refused(format!("the new package asks for `{more}`, which it does not have")));
    }
    let (has, wants) = (old.resources, new.resources);
    if wants.cpu > has.cpu || wants.memory > has.memory || (wants.gpu && !has.gpu) {
        return Err(refused("the new package asks for more cpu, memory or gpu than it has".to_owned()));
    }
    Ok(())
}

#[cfg(test)]
mod tests;
