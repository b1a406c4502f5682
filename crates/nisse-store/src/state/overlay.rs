//! The writes of one invocation over a state: seen by the invocation, dropped with it unless they are committed.

use std::collections::BTreeMap;
use std::ops::Bound;

use super::{AgentState, OVERLAY_BYTES_MAX, STATE_BYTES_MAX, STATE_KEYS_LISTED_MAX, StateError, StateWrite};
use super::{check_key, check_value};

/// One invocation's view of its agent's state. Limits are held here, before anything is committed.
#[derive(Debug)]
pub struct Overlay {
    base: AgentState,
    writes: BTreeMap<String, Option<Vec<u8>>>,
    quota: u64,
    /// Bytes that the state would hold with these writes.
    held: u64,
    /// Bytes of the writes themselves.
    written: u64,
}

impl Overlay {
    /// A view without writes. The quota is in bytes of keys and values together, [`STATE_BYTES_MAX`] at most.
    pub fn new(base: AgentState, quota: u64) -> Result<Self, StateError> {
        let held = base.usage()?.bytes;
        Ok(Self { base, writes: BTreeMap::new(), quota: quota.min(STATE_BYTES_MAX), held, written: 0 })
    }

    /// The value of a key, own writes first.
    pub fn get(&self, key: &str) -> Result<Option<Vec<u8>>, StateError> {
        check_key(key)?;
        self.writes.get(key).map_or_else(|| self.base.get(key), |value| Ok(value.clone()))
    }

    /// Writes one entry. A write that leaves no more than was held before is taken even over the quota.
    pub fn set(&mut self, key: &str, value: &[u8]) -> Result<(), StateError> {
        check_key(key)?;
        check_value(value)?;
        self.put(key, Some(value))
    }

    /// Removes one entry; one that is not there is no error.
    pub fn remove(&mut self, key: &str) -> Result<(), StateError> {
        check_key(key)?;
        self.put(key, None)
    }

    /// Keys as [`AgentState::keys`] lists them, own writes seen.
    pub fn keys(&self, prefix: &str, after: Option<&str>, limit: usize) -> Result<Vec<String>, StateError> {
        let limit = limit.min(STATE_KEYS_LISTED_MAX);
        let start = after.filter(|after| *after >= prefix);
        let from = start.map_or(Bound::Included(prefix), Bound::Excluded);
        let own = self.writes.range::<str, _>((from, Bound::Unbounded));
        let mut own = own.take_while(|(key, _)| key.starts_with(prefix)).peekable();
        let mut keys = Vec::new();
        let mut cursor = start.map(str::to_owned);
        let (mut base, mut base_ended) = (Vec::new().into_iter().peekable(), false);
        while keys.len() < limit {
            if base.peek().is_none() && !base_ended {
                let page = self.base.keys(prefix, cursor.as_deref(), limit)?;
                base_ended = page.len() < limit;
                cursor = page.last().cloned().or(cursor);
                base = page.into_iter().peekable();
            }
            // The smaller key of the two sides; where both have it, the own write decides.
            let own_first = match (own.peek(), base.peek()) {
                (None, None) => break,
                (Some((own_key, _)), Some(base_key)) => *own_key <= base_key,
                (own_key, _) => own_key.is_some(),
            };
            if !own_first {
                keys.extend(base.next());
                continue;
            }
            let Some((key, value)) = own.next() else { break };
            base.next_if_eq(key);
            keys.extend(value.is_some().then(|| key.clone()));
        }
        Ok(keys)
    }

    /// What the writes need: bytes that the state would hold with them.
    pub fn held_bytes(&self) -> u64 {
        self.held
    }

    /// The writes, one per key, in the order of the keys.
    pub fn into_writes(self) -> Vec<StateWrite> {
        self.writes.into_iter().map(|(key, value)| StateWrite { key, value }).collect()
    }

    fn put(&mut self, key: &str, value: Option<&[u8]>) -> Result<(), StateError> {
        let size = |length: usize| (key.len() + length) as u64;
        let before = self.get(key)?.map_or(0, |value| size(value.len()));
        let after = value.map_or(0, |value| size(value.len()));
        let held = self.held.saturating_sub(before) + after;
        if after > before && held > self.quota {
            return Err(StateError::Quota { needed: held, quota: self.quota });
        }
        let replaced = self.writes.get(key).map_or(0, |old| size(old.as_ref().map_or(0, Vec::len)));
        let written = self.written - replaced + size(value.map_or(0, <[u8]>::len));
        if written > OVERLAY_BYTES_MAX {
            return Err(StateError::TooManyWrites);
        }
        (self.held, self.written) = (held, written);
        self.writes.insert(key.to_owned(), value.map(<[u8]>::to_vec));
        Ok(())
    }
}
