//! What one invocation has changed and nobody else can see yet: state writes, the alarm, answers for the chain.
//!
//! A trap or a failure drops it whole; otherwise it becomes the effects of the completion record.

use std::collections::BTreeMap;
use std::ops::{Bound, Deref, DerefMut};
use std::sync::Arc;

use nisse_model::{AssetName, CredentialId, EFFECTS_MAX, Effect, Hash256, SpaceWrite, Timestamp};

use crate::host::ObjectChange;

/// The changes of one invocation. Later writes of a key replace earlier ones.
#[derive(Debug, Default, Clone)]
pub(crate) struct Overlay {
    /// `None` is a removed key.
    state: BTreeMap<String, Option<Vec<u8>>>,
    /// Keys and values that `state` holds, in bytes.
    state_bytes: u64,
    alarm: Option<Alarm>,
    publications: Vec<Publication>,
    objects: Vec<ObjectWrite>,
    /// Bytes of JSON that `objects` hold.
    objects_bytes: usize,
}

#[derive(Debug, Clone, Copy)]
enum Alarm {
    Set(Timestamp),
    Clear,
}

/// A change of an object of a space, by the name that the guest knows the space by.
#[derive(Debug, Clone)]
struct ObjectWrite {
    space_name: String,
    space: [u8; 32],
    object: String,
    write: SpaceWrite,
}

#[derive(Debug, Clone)]
struct Publication {
    asset: AssetName,
    value: i64,
    decimals: u8,
}

/// One more effect than a completion record holds.
#[derive(Debug, thiserror::Error)]
#[error("make another change: {EFFECTS_MAX} are allowed in one invocation")]
pub(crate) struct EffectsSpent;

impl Overlay {
    /// What this invocation wrote under `key`: `None` when it did not touch it, `Some(None)` when it removed it.
    pub(crate) fn get(&self, key: &str) -> Option<Option<&[u8]>> {
        self.state.get(key).map(|value| value.as_deref())
    }

    /// Replaces a value, or removes it with `None`.
    pub(crate) fn write(&mut self, key: String, value: Option<Vec<u8>>) -> Result<(), EffectsSpent> {
        let added = entry_bytes(&key, value.as_deref());
        let removed = self.state.get(&key).map_or(0, |old| entry_bytes(&key, old.as_deref()));
        if removed == 0 && !self.state.contains_key(&key) {
            self.room()?;
        }
        self.state.insert(key, value);
        self.state_bytes = self.state_bytes + added - removed;
        Ok(())
    }

    /// Bytes of keys and values that were written and stand in the overlay.
    pub(crate) fn state_bytes(&self) -> u64 {
        self.state_bytes
    }

    /// Keys that were written (`true`) or removed (`false`), with `prefix`, after `after`, in order.
    pub(crate) fn changes<'a>(
        &'a self,
        prefix: &'a str,
        after: Option<&'a str>,
    ) -> impl Iterator<Item = (&'a str, bool)> {
        let start = match after {
            Some(after) if after >= prefix => Bound::Excluded(after),
            _ => Bound::Included(prefix),
        };
        let keys = self.state.range::<str, _>((start, Bound::Unbounded));
        keys.take_while(move |(key, _)| key.starts_with(prefix)).map(|(key, value)| (key.as_str(), value.is_some()))
    }

    pub(crate) fn set_alarm(&mut self, at: Timestamp) -> Result<(), EffectsSpent> {
        self.room()?;
        self.alarm = Some(Alarm::Set(at));
        Ok(())
    }

    pub(crate) fn clear_alarm(&mut self) -> Result<(), EffectsSpent> {
        self.room()?;
        self.alarm = Some(Alarm::Clear);
        Ok(())
    }

    /// Adds an answer for the chain and gives its place among this invocation's answers.
    pub(crate) fn publish(&mut self, asset: AssetName, value: i64, decimals: u8) -> Result<usize, EffectsSpent> {
        self.room()?;
        self.publications.push(Publication { asset, value, decimals });
        Ok(self.publications.len() - 1)
    }

    /// Answers for the chain so far.
    pub(crate) fn publications(&self) -> usize {
        self.publications.len()
    }

    /// Adds a change of an object, which was tried.
    pub(crate) fn change_object(
        &mut self,
        space_name: String,
        space: [u8; 32],
        object: String,
        write: SpaceWrite,
    ) -> Result<(), EffectsSpent> {
        self.room()?;
        self.objects_bytes += write.bytes();
        self.objects.push(ObjectWrite { space_name, space, object, write });
        Ok(())
    }

    /// How many objects' changes there are, and bytes of their JSON.
    pub(crate) fn object_changes(&self) -> (usize, usize) {
        (self.objects.len(), self.objects_bytes)
    }

    /// What was changed in a space so far, in order; of one object alone where it is named.
    pub(crate) fn objects_of(&self, space_name: &str, object: Option<&str>) -> Vec<ObjectChange> {
        let wanted = |change: &&ObjectWrite| {
            change.space_name == space_name && object.is_none_or(|object| object == change.object)
        };
        let change = |ObjectWrite { object, write, .. }: &ObjectWrite| ObjectChange {
            object: object.clone(),
            write: write.clone().into(),
        };
        self.objects.iter().filter(wanted).map(change).collect()
    }

    /// The effects in the order in which they are applied: answers for the chain first, so that an answer's place is
    /// its effect's index and thereby its intent id; then state by key; then objects as they were changed; then the alarm.
    pub(crate) fn into_effects(self) -> Vec<Effect> {
        let publications = self
            .publications
            .into_iter()
            .map(|Publication { asset, value, decimals }| Effect::PublishToChain { asset, value, decimals });
        let state = self.state.into_iter().map(|(key, value)| match value {
            Some(value) => Effect::StatePut { key, value },
            None => Effect::StateDelete { key },
        });
        let alarm = self.alarm.map(|alarm| match alarm {
            Alarm::Set(at) => Effect::AlarmSet { at },
            Alarm::Clear => Effect::AlarmClear,
        });
        let objects = self.objects.into_iter().map(|ObjectWrite { space, object, write, .. }| Effect::Space {
            space: CredentialId(Hash256(space)),
            object,
            write,
        });
        publications.chain(state).chain(objects).chain(alarm).collect()
    }

    fn is_empty(&self) -> bool {
        self.state.is_empty() && self.alarm.is_none() && self.publications.is_empty() && self.objects.is_empty()
    }

    fn room(&self) -> Result<(), EffectsSpent> {
        // One is kept for the alarm, which replaces itself.
        let used = self.state.len() + self.publications.len() + self.objects.len() + 1;
        if used < EFFECTS_MAX { Ok(()) } else { Err(EffectsSpent) }
    }
}

/// An overlay that can be looked at from outside while its guest runs. What is shared does not change any more: a
/// later change would be made to a copy.
#[derive(Debug, Default, Clone)]
pub(crate) struct SharedOverlay(Arc<Overlay>);

impl SharedOverlay {
    /// Takes the changes and leaves none.
    pub(crate) fn take(&mut self) -> Overlay {
        if self.0.is_empty() {
            return Overlay::default();
        }
        Arc::unwrap_or_clone(std::mem::take(&mut self.0))
    }
}

impl Deref for SharedOverlay {
    type Target = Overlay;

    fn deref(&self) -> &Overlay {
        &self.0
    }
}

impl DerefMut for SharedOverlay {
    fn deref_mut(&mut self) -> &mut Overlay {
        Arc::make_mut(&mut self.0)
    }
}

fn entry_bytes(key: &str, value: Option<&[u8]>) -> u64 {
    value.map_or(0, |value| (key.len() + value.len()) as u64)
}
