//! An agent of this node in the spaces of its owner: its key, its right, what it reads and what it tries.
//!
//! An agent is a device of its own there: its key follows from this device's key and its deployment, and what it may do
//! says a delegation, made when it comes to life. Whoever revokes that (`nisse device revoke`) ends it; it is made once. With the
//! deployment it ends by itself (`ended.rs`).

use std::collections::BTreeMap;
use std::sync::{Arc, Weak};
use std::time::Duration;

use hkdf::Hkdf;
use nisse_model::{
    Claim, Command, CredentialId, DeploymentId, Did, Effect, Hash256, Label, ParseScopeError, Role, Scope, SigningKey,
    SpaceRule, Timestamp, Word,
};
use nisse_sandbox::{HostFailureKind, HostReply, ObjectChange, ObjectWrite, SpaceGiven};
use nisse_space::objects::{Object, ObjectId, Query};
use nisse_space::{Author, Made, Registered, Space, SpaceError, SpaceObjectError, Write};
use nisse_store::{DatabaseError, Position, Rows as _, Table};
use serde_json::{Map, Value};
use sha2::Sha256;
use tokio::sync::watch;
use zeroize::Zeroizing;

use super::Standing;
use super::outbox::{Committed, space_changes};
use crate::core::Core;
use crate::error::{ErrorKind, NodeError};
use crate::identity;
use crate::node::{new_object_id, object_id, object_refused};
use crate::unapplied::Held;

/// The key of each deployment that was given a right in spaces: its name is known while the vault is sealed.
pub(super) const KEYS: Table = Table::new("agent_keys");
/// What an agent's key is derived for.
const PURPOSE: &[u8] = b"nisse agent key v1 ";
/// For how long a right is given; it is given again while the agent lives.
const RIGHT_DAYS: u64 = 365;
/// How long before its end that is.
const RENEW_DAYS: u64 = 180;
const DAY_MS: u64 = 24 * 3_600_000;
/// How long an agent's call waits for what it changed before.
const APPLIED_WITHIN: Duration = Duration::from_secs(10);
/// Objects of one answer, and bytes of them.
const OBJECTS_MAX: usize = 1_000;
const OBJECTS_BYTES_MAX: usize = 1 << 20;

/// What one agent has of spaces.
pub(crate) struct AgentSpaces {
    core: Weak<Core>,
    deployment: DeploymentId,
    label: String,
    rules: Vec<SpaceRule>,
}

/// What a query found.
pub(crate) struct Looked {
    pub(crate) found: BTreeMap<String, (Hash256, Value)>,
    /// Tells of what happens to the space from then on.
    pub(crate) turns: watch::Receiver<Standing>,
    /// How many turns had changed something.
    pub(crate) changes: u64,
}

/// What is done with an object, read.
pub(super) enum Change {
    Put(Map<String, Value>),
    Patch(Map<String, Value>),
    Delete,
}

impl Change {
    pub(super) fn as_write(&self) -> Write<'_> {
        match self {
            Self::Put(json) => Write::Put(json),
            Self::Patch(json) => Write::Patch(json),
            Self::Delete => Write::Delete,
        }
    }

    pub(super) fn read(write: &ObjectWrite) -> Result<Self, NodeError> {
        Ok(match write {
            ObjectWrite::Put { json } => Self::Put(fields(json)?),
            ObjectWrite::Patch { json } => Self::Patch(fields(json)?),
            ObjectWrite::Delete => Self::Delete,
        })
    }
}

/// An agent, as it signs what it changes: by its own key, and otherwise as its home does.
pub(super) struct ForAgent<'a> {
    pub(super) home: &'a dyn Author,
    pub(super) key: &'a SigningKey,
}

impl Author for ForAgent<'_> {
    fn names(&self) -> (Did, Did) {
        (self.key.did(), self.home.names().1)
    }

    fn seen(&self) -> Vec<CredentialId> {
        self.home.seen()
    }

    fn word(&self, by: Made<'_>) -> Word {
        self.home.word(by)
    }

    fn now(&self) -> Timestamp {
        self.home.now()
    }

    fn can_sign(&self) -> bool {
        self.home.can_sign()
    }

    fn sign(&self, context: &str, bytes: &[u8]) -> Option<[u8; 64]> {
        self.can_sign().then(|| self.key.sign(context, bytes))
    }
}

impl AgentSpaces {
    /// Of an agent that was granted some; none where it was not.
    pub(crate) fn new(
        core: &Arc<Core>,
        deployment: DeploymentId,
        label: &str,
        rules: &[SpaceRule],
    ) -> Option<Arc<Self>> {
        let (core, label, rules) = (Arc::downgrade(core), label.to_owned(), rules.to_vec());
        (!rules.is_empty()).then(|| Arc::new(Self { core, deployment, label, rules }))
    }

    /// Gives the agent its rights in the spaces that are here. What cannot be given now is given when it is first used.
    pub(crate) async fn come_to_life(&self) {
        let Some(core) = self.core.upgrade() else { return };
        let spaces = match core.spaces.all(&core) {
            Ok(spaces) => spaces,
            Err(error) => return tracing::warn!(agent = self.label, error = error.text, "no right in spaces is given"),
        };
        for space in spaces {
            let Some(rule) = self.rule(&space.name, Role::Read) else { continue };
            if let Err(error) = self.right(&core, &space, rule.role()).await {
                tracing::info!(
                    agent = self.label,
                    space = space.name,
                    error = error.text,
                    "no right in a space is given"
                );
            }
        }
    }

    /// The spaces that it reaches.
    pub(crate) async fn list(&self) -> HostReply {
        reply(self.listed().await)
    }

    async fn listed(&self) -> Result<HostReply, NodeError> {
        let core = self.core()?;
        let mut spaces = Vec::new();
        for space in core.spaces.all(&core)? {
            if self.rule(&space.name, Role::Read).is_some() && self.right(&core, &space, Role::Read).await.is_ok() {
                let edits = self.rule(&space.name, Role::Edit).is_some();
                let may_edit = edits && self.right(&core, &space, Role::Edit).await.is_ok();
                spaces.push(SpaceGiven { name: space.name, id: space.space.0.0, may_edit });
            }
        }
        spaces.sort_by(|one, next| one.name.cmp(&next.name));
        Ok(HostReply::Spaces { spaces })
    }

    /// One object, as its own changes make it.
    pub(crate) async fn get(&self, space: &str, id: &str, pending: Vec<ObjectChange>) -> HostReply {
        reply(self.got(space, id, pending).await)
    }

    async fn got(&self, space: &str, id: &str, pending: Vec<ObjectChange>) -> Result<HostReply, NodeError> {
        let (id, changes) = (object_id(id)?, read(&pending)?);
        let read = self.ask(space, Role::Read, move |space, author| match (changes.is_empty(), author) {
            (false, Some(author)) => Ok(space.suppose(&writes(&changes), author)?.remove(&id)),
            _ => space.object(id),
        });
        let object = read.await?;
        Ok(HostReply::Object { object: object.as_ref().map(text) })
    }

    /// What a query finds, as its own changes make it.
    pub(crate) async fn query(&self, space: &str, query: &str, pending: Vec<ObjectChange>) -> HostReply {
        reply(self.queried(space, query, pending).await)
    }

    async fn queried(&self, space: &str, query: &str, pending: Vec<ObjectChange>) -> Result<HostReply, NodeError> {
        let (query, changes) =
            (Query::from_json(query).map_err(|error| object_refused(&error.into()))?, read(&pending)?);
        let found = self.ask(space, Role::Read, move |space, author| match author {
            Some(author) => space.query_supposing(&query, &writes(&changes), author),
            None => space.query(&query),
        });
        let objects: Vec<String> = found.await?.iter().map(text).collect();
        let bytes: usize = objects.iter().map(String::len).sum();
        if objects.len() > OBJECTS_MAX || bytes > OBJECTS_BYTES_MAX {
            let text = format!("failed to answer a query: it finds {} objects of {bytes} bytes", objects.len());
            let hint = format!(
                "at most {OBJECTS_MAX} objects and {OBJECTS_BYTES_MAX} bytes are answered: use `limit` and `skip`"
            );
            return Ok(HostReply::failed(HostFailureKind::TooLarge, format!("{text}; {hint}")));
        }
        Ok(HostReply::Objects { objects })
    }

    /// What a query finds, each with a mark of how it is; and the turns of the space, from before that was asked.
    pub(crate) async fn look(&self, space: &str, query: &Query) -> Result<Looked, NodeError> {
        let core = self.core()?;
        let registered = self.space(&core, space)?;
        let mut turns = core.spaces.turns(&core, &registered)?;
        let changes = turns.borrow_and_update().changes;
        let query = query.clone();
        let found = self.ask(space, Role::Read, move |space, _| space.query(&query)).await?;
        let mark = |object: &Object| {
            let json = Value::Object(object.to_json());
            (object.id.to_string(), (Hash256::of(json.to_string().as_bytes()), json))
        };
        Ok(Looked { found: found.iter().map(mark).collect(), turns, changes })
    }

    /// How an object would be after one more change.
    pub(crate) async fn attempt(
        &self,
        space: &str,
        id: Option<&str>,
        write: &ObjectWrite,
        pending: Vec<ObjectChange>,
    ) -> HostReply {
        reply(self.attempted(space, id, write, pending).await)
    }

    async fn attempted(
        &self,
        space: &str,
        id: Option<&str>,
        write: &ObjectWrite,
        pending: Vec<ObjectChange>,
    ) -> Result<HostReply, NodeError> {
        let core = self.core()?;
        let change = Change::read(write)?;
        let id = match (id, &change) {
            (Some(id), _) => object_id(id)?,
            (None, Change::Put(json)) if json.contains_key("id") => {
                object_id(json.get("id").and_then(Value::as_str).unwrap_or_default())?
            }
            (None, _) => new_object_id(&core),
        };
        let mut changes = read(&pending)?;
        changes.retain(|(of, _)| *of == id);
        let is_begun = !changes.is_empty() || matches!(change, Change::Put(_));
        changes.push((id, change));
        let place = self.space(&core, space)?.space;
        let tried = self.ask(space, Role::Edit, move |space, author| {
            let author = author.ok_or(SpaceError::Sealed)?;
            if !is_begun && space.object(id)?.is_none() {
                return Err(SpaceObjectError::Unknown(id));
            }
            space.suppose(&writes(&changes), author)?.remove(&id).ok_or(SpaceObjectError::Unknown(id))
        });
        let object = text(&tried.await?);
        Ok(HostReply::Tried { space: place.0.0, id: id.to_string(), object })
    }

    /// Does something in a space where the agent may, once what it changed before is there. While the vault is sealed it is only read.
    async fn ask<T: Send + 'static>(
        &self,
        space: &str,
        role: Role,
        work: impl FnOnce(&mut Space, Option<&dyn Author>) -> Result<T, SpaceObjectError> + Send + 'static,
    ) -> Result<T, NodeError> {
        let core = self.core()?;
        let registered = self.space(&core, space)?;
        self.right(&core, &registered, role).await?;
        core.spaces.outbox.applied(&self.label, APPLIED_WITHIN).await?;
        let key = key(&core, self.deployment).ok();
        let asked = core.spaces.ask(&core, &registered, move |space, home| {
            let done = match &key {
                Some(key) if home.can_sign() => work(space, Some(&ForAgent { home, key })),
                _ => work(space, None),
            };
            (done, Vec::new())
        });
        asked.await?.map_err(|error| object_refused(&error))
    }

    /// Has made what an invocation committed.
    pub(crate) fn commit(&self, position: Position, effects: &[Effect], held: Option<&Held>) {
        let Some(core) = self.core.upgrade() else { return };
        for (space, changes) in space_changes(effects) {
            let (deployment, label, held) = (self.deployment, self.label.clone(), held.map(Held::twin));
            core.spaces.outbox.push(&core, Committed { deployment, label, position, space, changes, held });
        }
    }

    fn core(&self) -> Result<Arc<Core>, NodeError> {
        let gone = || NodeError::new(ErrorKind::Busy, "node_stopping", "failed to use a space: the node stops");
        self.core.upgrade().ok_or_else(gone)
    }

    fn rule(&self, space: &str, role: Role) -> Option<&SpaceRule> {
        // Its own rule before the one for all.
        let gives = |rule: &&SpaceRule| rule.gives(space, role);
        self.rules.iter().filter(gives).max_by_key(|rule| rule.name().is_some())
    }

    fn space(&self, core: &Arc<Core>, named: &str) -> Result<Registered, NodeError> {
        let spaces = core.spaces.all(core)?;
        spaces.into_iter().find(|space| space.name == named).ok_or_else(|| {
            let text = format!("failed to find the space {named}: this home holds none of that name");
            NodeError::new(ErrorKind::NotFound, "space_unknown", text)
        })
    }

    /// Whether the agent has this role in a space now. Where nobody has said so yet, this device does.
    async fn right(&self, core: &Arc<Core>, space: &Registered, role: Role) -> Result<(), NodeError> {
        let (known, now) = (core.identity.known(), core.clock.now());
        let identity = known.identity.ok_or_else(identity::none)?;
        let agent = did(core, self.deployment)?;
        let has = |known: &identity::Known| {
            known.access(&space.space, &agent, now).filter(|access| access.role >= role && access.identity == identity)
        };
        let lasts = |until: Option<Timestamp>| until.is_none_or(|until| until.since_ms(now) > RENEW_DAYS * DAY_MS);
        let access = has(&known);
        if access.is_some_and(|access| lasts(access.until)) {
            return Ok(());
        }
        if known.role(&space.space, &identity, now).is_none_or(|own| own < role) {
            let text = format!("failed to use the space {}: its owner has no role there that allows it", space.name);
            return Err(NodeError::new(ErrorKind::Refused, "role_too_low", text));
        }
        let rule = self.rule(&space.name, role);
        let scope = scope(rule, space, role)?;
        // It may have less by now, where its owner had less before. With nothing left it was revoked.
        let has_any = known.access(&space.space, &agent, now).is_some();
        if !has_any && core.identity.has_delegated(&agent, space.space, now) {
            let text = format!("failed to use the space {}: the agent's right was taken back", space.name);
            return Err(NodeError::new(ErrorKind::Refused, "right_revoked", text));
        }
        let given = self.give(core, agent, scope).await;
        match has(&core.identity.known()) {
            Some(_) => Ok(()),
            None => Err(given.err().unwrap_or_else(|| {
                let text =
                    format!("failed to use the space {}: this home cannot give the agent a right there", space.name);
                NodeError::new(ErrorKind::Refused, "right_not_given", text)
            })),
        }
    }

    async fn give(&self, core: &Arc<Core>, agent: Did, scope: Scope) -> Result<(), NodeError> {
        let name: String = self.label.chars().take(Label::LENGTH_MAX).collect();
        let name: Label = name.parse().map_err(|error| NodeError::caused(ErrorKind::Failed, "name_invalid", &error))?;
        let about = format!("{name} {agent} for {scope}");
        let (scopes, expires) = (vec![scope], core.clock.now().plus_ms(RIGHT_DAYS * DAY_MS));
        let kept = core.database.write(|rows| -> Result<(), DatabaseError> {
            rows.put(KEYS, self.deployment.to_string().as_bytes(), &agent.0)
        });
        kept.map_err(|error| NodeError::caused(ErrorKind::Failed, "database_failed", &error))?;
        let proof = core.identity.own_delegation(&scopes, expires);
        let saying = core.identity.say(Claim::AgentDelegation { agent, name, scopes, expires, proof });
        core.audit.around("node", "agent.add", &about, saying).await.map(drop)
    }
}

/// The key of a deployment's agent. Its device's is needed for it.
pub(super) fn key(core: &Core, deployment: DeploymentId) -> Result<SigningKey, NodeError> {
    let device = core.identity.device()?;
    let mut seed = Zeroizing::new([0; 32]);
    let info = [PURPOSE, deployment.to_string().as_bytes()].concat();
    let derived = Hkdf::<Sha256>::new(None, &*device.seed).expand(&info, &mut *seed);
    derived.expect("32 bytes are within what can be derived");
    Ok(SigningKey::from_seed(&seed))
}

/// Which key that is, known while the vault is sealed where it has a right.
pub(super) fn did(core: &Core, deployment: DeploymentId) -> Result<Did, NodeError> {
    match key(core, deployment) {
        Ok(key) => Ok(key.did()),
        Err(sealed) => {
            let name = deployment.to_string();
            let row = core.database.read(|rows| rows.get(KEYS, name.as_bytes()));
            let row =
                row.map_err(|error: DatabaseError| NodeError::caused(ErrorKind::Failed, "database_failed", &error))?;
            row.and_then(|row| row.try_into().ok()).map(Did).ok_or(sealed)
        }
    }
}

fn scope(rule: Option<&SpaceRule>, space: &Registered, role: Role) -> Result<Scope, NodeError> {
    let failed = |error: ParseScopeError| NodeError::caused(ErrorKind::Failed, "scope_invalid", &error);
    let command: Command = format!("/space/{}", role.as_str()).parse().map_err(failed)?;
    let conditions = match rule.and_then(SpaceRule::name) {
        Some(_) => [("space".to_owned(), space.space.to_string())].into(),
        None => [].into(),
    };
    Scope::new(command, conditions).map_err(failed)
}

fn read(pending: &[ObjectChange]) -> Result<Vec<(ObjectId, Change)>, NodeError> {
    pending.iter().map(|change| Ok((object_id(&change.object)?, Change::read(&change.write)?))).collect()
}

pub(super) fn writes(changes: &[(ObjectId, Change)]) -> Vec<(ObjectId, Write<'_>)> {
    changes.iter().map(|(id, change)| (*id, change.as_write())).collect()
}

fn fields(json: &str) -> Result<Map<String, Value>, NodeError> {
    serde_json::from_str(json).map_err(|error| NodeError::caused(ErrorKind::Usage, "object_invalid", &Unread(error)))
}

/// A text is no object.
#[derive(Debug, thiserror::Error)]
#[error("read the object: {0}")]
struct Unread(serde_json::Error);

fn text(object: &Object) -> String {
    Value::Object(object.to_json()).to_string()
}

fn reply(done: Result<HostReply, NodeError>) -> HostReply {
    done.unwrap_or_else(|error| {
        let kind = match error.kind {
            ErrorKind::Usage => HostFailureKind::Malformed,
            ErrorKind::NotFound => HostFailureKind::NotFound,
            ErrorKind::Refused => HostFailureKind::Denied,
            _ => HostFailureKind::Unavailable,
        };
        HostReply::failed(kind, error.text)
    })
}
