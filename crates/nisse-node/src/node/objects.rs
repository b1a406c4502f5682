//! Objects of a space as this home reads and writes them.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use futures::{Stream, stream};
use nisse_model::Role;
use nisse_space::objects::{ObjectId, Query};
use nisse_space::{Registered, SpaceError, SpaceObjectError, Write};
use serde_json::{Map, Value};
use tokio::sync::watch;

use super::Node;
use crate::control::{ObjectChange, ObjectHistory, ObjectTouched, SpaceChange};
use crate::core::Core;
use crate::error::{ErrorKind, NodeError};
use crate::spaces::Standing;

/// Changes of one answer.
const CHANGES_MAX: usize = 200;

/// The query that finds every object.
const ALL: &str = r#"{"type":"select","filter":{"type":"object","typename":null,"props":{}}}"#;
/// How long changes are gathered before a watched query is asked again.
const GATHER: Duration = Duration::from_millis(100);

/// A query that somebody watches.
struct Watching {
    core: Arc<Core>,
    registered: Registered,
    query: Query,
    /// The turns of the open space; none: it is to be opened.
    turns: Option<watch::Receiver<Standing>>,
    /// How many turns had changed something when it was asked last.
    seen: u64,
    /// What it found last.
    found: BTreeMap<String, Value>,
    is_ready: bool,
    waiting: VecDeque<SpaceChange>,
}

impl Watching {
    /// The next change; `None` once the space can't be read any more.
    async fn next(&mut self) -> Option<SpaceChange> {
        loop {
            if let Some(change) = self.waiting.pop_front() {
                return Some(change);
            }
            if self.is_ready {
                self.changed().await?;
            }
            self.look().await?;
        }
    }

    /// Waits for a turn that changed something.
    async fn changed(&mut self) -> Option<()> {
        let Some(turns) = &mut self.turns else { return Some(()) };
        let seen = self.seen;
        if turns.wait_for(|standing| standing.changes != seen).await.is_err() {
            // It was closed, since nobody else needed it; or the node stops.
            self.turns = None;
        }
        tokio::time::sleep(GATHER).await;
        Some(())
    }

    /// Asks again, and notes what is different.
    async fn look(&mut self) -> Option<()> {
        let (known, now) = (self.core.identity.known(), self.core.clock.now());
        let reads = known.identity.and_then(|own| known.role(&self.registered.space, &own, now));
        reads.filter(|role| *role >= Role::Read)?;
        if self.turns.is_none() {
            self.turns = Some(self.core.spaces.turns(&self.core, &self.registered).ok()?);
        }
        if let Some(turns) = &mut self.turns {
            // What happens from here on is looked at again.
            self.seen = turns.borrow_and_update().changes;
        }
        let query = self.query.clone();
        let asked =
            self.core.spaces.ask(&self.core, &self.registered, move |space, _| (space.query(&query), Vec::new()));
        let found = asked.await.ok()?.ok()?;
        let found = found.iter().map(|object| (object.id.to_string(), Value::Object(object.to_json())));
        let found: BTreeMap<String, Value> = found.collect();
        for (id, object) in &found {
            if self.found.get(id) != Some(object) {
                let (id, object) = (Some(id.clone()), Some(object.clone()));
                self.waiting.push_back(SpaceChange { change: "object".to_owned(), id, object });
            }
        }
        for id in self.found.keys().filter(|id| !found.contains_key(*id)) {
            self.waiting.push_back(SpaceChange { change: "gone".to_owned(), id: Some(id.clone()), object: None });
        }
        self.found = found;
        if !std::mem::replace(&mut self.is_ready, true) {
            self.waiting.push_back(SpaceChange { change: "ready".to_owned(), id: None, object: None });
        }
        Some(())
    }
}

impl Node {
    /// Makes an object what the JSON says; without an `id` in it, it is a new one.
    pub async fn space_put(&self, space: &str, json: Value) -> Result<Value, NodeError> {
        let json = fields(json)?;
        let id = match json.get("id") {
            Some(id) => object_id(id.as_str().unwrap_or_default())?,
            None => self.new_object_id(),
        };
        self.write_object(space, id, |json| Write::Put(json), json).await
    }

    /// Changes an object by a merge patch.
    pub async fn space_patch(&self, space: &str, id: &str, patch: Value) -> Result<Value, NodeError> {
        let (id, patch) = (object_id(id)?, fields(patch)?);
        // A patch of what is not there would make it.
        self.space_get(space, &id.to_string()).await?;
        self.write_object(space, id, |patch| Write::Patch(patch), patch).await
    }

    /// Marks an object as deleted; its history stays.
    pub async fn space_delete(&self, space: &str, id: &str) -> Result<Value, NodeError> {
        self.write_object(space, object_id(id)?, |_| Write::Delete, Map::new()).await
    }

    async fn write_object(
        &self,
        space: &str,
        id: ObjectId,
        write: impl FnOnce(&Map<String, Value>) -> Write<'_> + Send + 'static,
        json: Map<String, Value>,
    ) -> Result<Value, NodeError> {
        let registered = self.space_named(space)?;
        self.may(&registered, Role::Edit)?;
        let done = self.core.spaces.ask(&self.core, &registered, move |space, author| {
            match space.write_object(id, write(&json), author) {
                Ok((object, effects)) => (Ok(Value::Object(object.to_json())), effects),
                Err(error) => (Err(error), Vec::new()),
            }
        });
        done.await?.map_err(|error| refused(&error))
    }

    /// One object.
    pub async fn space_get(&self, space: &str, id: &str) -> Result<Value, NodeError> {
        let (registered, id) = (self.space_named(space)?, object_id(id)?);
        self.may(&registered, Role::Read)?;
        let read = self.core.spaces.ask(&self.core, &registered, move |space, _| (space.object(id), Vec::new()));
        let object = read.await?.map_err(|error| refused(&error))?;
        let unknown = || match self.kept_of(&registered) {
            Ok(Some(_)) => refused(&SpaceObjectError::Unknown(id)).with_hint(
                "this home keeps a part of the space: `nisse space keep SPACE --all` keeps the rest".to_owned(),
            ),
            _ => refused(&SpaceObjectError::Unknown(id)),
        };
        object.map(|object| Value::Object(object.to_json())).ok_or_else(unknown)
    }

    /// The objects that a query of ECHO finds; and how many there are besides of which nothing is here, where a part is kept.
    pub async fn space_query(&self, space: &str, query: &Value) -> Result<(Vec<Value>, u64), NodeError> {
        let registered = self.space_named(space)?;
        self.may(&registered, Role::Read)?;
        let query = Query::from_json(&query.to_string()).map_err(|error| refused(&error.into()))?;
        let found = self.core.spaces.ask(&self.core, &registered, move |space, _| {
            let found = space.query(&query).and_then(|found| Ok((found, space.elsewhere()?)));
            (found, Vec::new())
        });
        let (found, elsewhere) = found.await?.map_err(|error| refused(&error))?;
        Ok((found.iter().map(|object| Value::Object(object.to_json())).collect(), elsewhere))
    }

    /// What a query finds, and whatever changes in that from then on.
    pub async fn space_watch(
        &self,
        space: &str,
        query: Option<&str>,
    ) -> Result<impl Stream<Item = SpaceChange> + Send + use<>, NodeError> {
        let registered = self.space_named(space)?;
        self.may(&registered, Role::Read)?;
        let query = Query::from_json(query.unwrap_or(ALL)).map_err(|error| refused(&error.into()))?;
        let watching = Watching {
            core: Arc::clone(&self.core),
            registered,
            query,
            turns: None,
            seen: 0,
            found: BTreeMap::new(),
            is_ready: false,
            waiting: VecDeque::new(),
        };
        Ok(stream::unfold(watching, |mut watching| async move {
            let change = watching.next().await?;
            Some((change, watching))
        }))
    }

    /// The newest changes of an object, and whose they are.
    pub async fn space_history(&self, space: &str, id: &str) -> Result<ObjectHistory, NodeError> {
        let (registered, id) = (self.space_named(space)?, object_id(id)?);
        self.may(&registered, Role::Read)?;
        let read =
            self.core.spaces.ask(&self.core, &registered, move |space, _| (space.history(id, CHANGES_MAX), Vec::new()));
        let (history, vouched) = read.await?.map_err(|error| refused(&error))?;
        let known = self.core.identity.known();
        let changes = history.changes.into_iter().map(|change| {
            let voucher = vouched.get(&change.hash);
            ObjectChange {
                change: change.hash.to_string(),
                time: change.time.0,
                device: voucher.map(|voucher| voucher.author.to_string()),
                name: voucher.and_then(|voucher| known.name(&voucher.author)).map(str::to_owned),
                identity: voucher.map(|voucher| voucher.subject.unwrap_or(voucher.identity).to_string()),
                touched: change
                    .touched
                    .into_iter()
                    .map(|touched| ObjectTouched { object: touched.object.to_string(), key: touched.key })
                    .collect(),
            }
        });
        Ok(ObjectHistory { changes: changes.collect(), total: history.changes_total as u64 })
    }

    pub(super) fn new_object_id(&self) -> ObjectId {
        new_object_id(&self.core)
    }
}

/// A name that no other object has.
pub(crate) fn new_object_id(core: &Core) -> ObjectId {
    let mut random = [0; 10];
    core.entropy.fill(&mut random);
    ObjectId::new(core.clock.now().0, random)
}

pub(crate) fn object_id(text: &str) -> Result<ObjectId, NodeError> {
    text.parse().map_err(|error| NodeError::caused(ErrorKind::Usage, "object_id_invalid", &error))
}

fn fields(json: Value) -> Result<Map<String, Value>, NodeError> {
    match json {
        Value::Object(json) => Ok(json),
        _ => {
            let text = "failed to read the object: a JSON object is expected";
            Err(NodeError::new(ErrorKind::Usage, "object_invalid", text))
        }
    }
}

pub(crate) fn refused(error: &SpaceObjectError) -> NodeError {
    let (kind, code) = match error {
        SpaceObjectError::Unknown(_) => (ErrorKind::NotFound, "object_unknown"),
        SpaceObjectError::Undeclared(_) => (ErrorKind::NotFound, "schema_unknown"),
        SpaceObjectError::Object(_) => (ErrorKind::Usage, "object_invalid"),
        SpaceObjectError::Misfit(_) => (ErrorKind::Usage, "object_misfit"),
        SpaceObjectError::Schema(_) => (ErrorKind::Usage, "schema_invalid"),
        SpaceObjectError::Query(_) => (ErrorKind::Usage, "query_invalid"),
        SpaceObjectError::Space(SpaceError::Sealed) => (ErrorKind::Conflict, "vault_sealed"),
        SpaceObjectError::Space(_) => (ErrorKind::Failed, "space_failed"),
    };
    let refusal = NodeError::caused(kind, code, error);
    match error {
        SpaceObjectError::Misfit(misfit) => {
            refusal.with_hint(format!("`nisse space schema get SPACE {}` shows what it has to be", misfit.type_uri))
        }
        SpaceObjectError::Undeclared(_) => refusal.with_hint("`nisse space schema ls SPACE` lists what is".to_owned()),
        _ => refusal,
    }
}
