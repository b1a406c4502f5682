//! `nisse:agent/state`: the agent's own ordered map, read under the invocation's overlay.

use std::sync::atomic::Ordering;

use nisse_model::{Hash256, STATE_KEY_LENGTH_MAX, STATE_VALUE_LENGTH_MAX};
use wasmtime::component::HasSelf;

use super::{Capability, Need};
use crate::bindings::imports::nisse::agent::state::{self, Host, StateError};
use crate::guest_state::GuestState;
use crate::host::{HostCall, HostReply};

/// Keys that one call lists.
const KEYS_LISTED_MAX: u32 = 1000;

pub(super) const STATE: Capability = Capability {
    interfaces: &["nisse:agent/state"],
    need: Need::Nothing,
    link: |linker| state::add_to_linker::<_, HasSelf<GuestState>>(linker, |state| state),
};

impl Host for GuestState {
    async fn get(&mut self, key: String) -> wasmtime::Result<Result<Option<Vec<u8>>, StateError>> {
        if let Err(refused) = check_key(&key) {
            return Ok(Err(refused));
        }
        if let Some(written) = self.call.overlay.get(&key) {
            let value = written.map(<[u8]>::to_vec);
            self.buffer(value.as_ref().map_or(0, |value| value.len() as u64))?;
            let recorded = HostReply::Value { value: value.clone() };
            self.outgoing_http.dispatcher.note("state.get", &key, &recorded)?;
            return Ok(Ok(value));
        }
        match self.dispatcher().call(HostCall::StateGet { key }).await? {
            HostReply::Value { value } => {
                self.buffer(value.as_ref().map_or(0, |value| value.len() as u64))?;
                Ok(Ok(value))
            }
            reply => Ok(Err(unavailable(reply)?)),
        }
    }

    async fn put(&mut self, key: String, value: Vec<u8>) -> wasmtime::Result<Result<(), StateError>> {
        let refused = match check_key(&key).and_then(|()| self.check_open()).and_then(|()| check_value(&value)) {
            Ok(()) => self.check_quota(&key, &value).await?.err(),
            refused => refused.err(),
        };
        self.outgoing_http.dispatcher.worked(value.len());
        let arguments = (&key, Hash256::of(&value).0);
        self.outgoing_http.dispatcher.note("state.put", &arguments, &refused.is_some())?;
        if let Some(refused) = refused {
            return Ok(Err(refused));
        }
        self.buffer((key.len() + value.len()) as u64)?;
        self.call.overlay.write(key, Some(value))?;
        Ok(Ok(()))
    }

    async fn delete(&mut self, key: String) -> wasmtime::Result<Result<(), StateError>> {
        let refused = check_key(&key).and_then(|()| self.check_open()).err();
        self.outgoing_http.dispatcher.note("state.delete", &key, &refused.is_some())?;
        if let Some(refused) = refused {
            return Ok(Err(refused));
        }
        self.buffer(key.len() as u64)?;
        self.call.overlay.write(key, None)?;
        Ok(Ok(()))
    }

    async fn keys(
        &mut self,
        prefix: String,
        after: Option<String>,
        limit: u32,
    ) -> wasmtime::Result<Result<Vec<String>, StateError>> {
        if prefix.len() > STATE_KEY_LENGTH_MAX {
            return Ok(Err(StateError::KeyLength(prefix.len() as u32)));
        }
        let limit = limit.min(KEYS_LISTED_MAX) as usize;
        // Removed keys leave holes, so as many more are asked for as the overlay removes.
        let removed = self.call.overlay.changes(&prefix, after.as_deref()).filter(|(_, written)| !written).count();
        let asked = u32::try_from(limit + removed).unwrap_or(u32::MAX);
        let call = HostCall::StateKeys { prefix: prefix.clone(), after: after.clone(), limit: asked };
        let mut keys = match self.dispatcher().call(call).await? {
            HostReply::Keys { keys } => keys,
            reply => return Ok(Err(unavailable(reply)?)),
        };
        // Past the last key of a full page nothing is known, so the overlay's keys there wait for the next page.
        let end = (keys.len() == asked as usize).then(|| keys.last().cloned()).flatten();
        for (key, written) in self.call.overlay.changes(&prefix, after.as_deref()) {
            match (keys.binary_search_by(|known| known.as_str().cmp(key)), written) {
                (Ok(place), false) => drop(keys.remove(place)),
                (Err(place), true) if end.as_deref().is_none_or(|end| key <= end) => keys.insert(place, key.to_owned()),
                _ => {}
            }
        }
        keys.truncate(limit);
        self.buffer(keys.iter().map(|key| key.len() as u64).sum())?;
        Ok(Ok(keys))
    }
}

impl GuestState {
    fn check_open(&self) -> Result<(), StateError> {
        if self.call.closed.load(Ordering::Relaxed) { Err(StateError::Closed) } else { Ok(()) }
    }

    /// Whether the state may grow by this entry. What is replaced is only looked up where that decides.
    async fn check_quota(&mut self, key: &str, value: &[u8]) -> wasmtime::Result<Result<(), StateError>> {
        let entry = (key.len() + value.len()) as u64;
        let call = &self.call;
        let sum = call.state_bytes.saturating_add(call.overlay.state_bytes()).saturating_add(entry);
        if sum <= self.state_bytes_max {
            return Ok(Ok(()));
        }
        let mut replaced = 0;
        let mut keys: Vec<String> = self.call.overlay.changes("", None).map(|(key, _)| key.to_owned()).collect();
        match self.call.overlay.get(key) {
            Some(old) => replaced += old.map_or(0, |old| (key.len() + old.len()) as u64),
            None => keys.push(key.to_owned()),
        }
        for key in keys {
            match self.dispatcher().call(HostCall::StateGet { key: key.clone() }).await? {
                HostReply::Value { value: Some(value) } => replaced += (key.len() + value.len()) as u64,
                HostReply::Value { value: None } => {}
                reply => return Ok(Err(unavailable(reply)?)),
            }
        }
        if sum - replaced.min(sum) <= self.state_bytes_max {
            return Ok(Ok(()));
        }
        Ok(Err(StateError::Quota(self.state_bytes_max)))
    }
}

fn check_key(key: &str) -> Result<(), StateError> {
    if key.is_empty() || key.len() > STATE_KEY_LENGTH_MAX {
        return Err(StateError::KeyLength(u32::try_from(key.len()).unwrap_or(u32::MAX)));
    }
    Ok(())
}

fn check_value(value: &[u8]) -> Result<(), StateError> {
    if value.len() > STATE_VALUE_LENGTH_MAX { Err(StateError::ValueLength(value.len() as u64)) } else { Ok(()) }
}

/// The guest's error for a reply that carries none of what was asked for.
fn unavailable(reply: HostReply) -> wasmtime::Result<StateError> {
    match reply {
        HostReply::Failed { failure } => Ok(StateError::Unavailable(failure.text)),
        other => Err(wasmtime::format_err!("the host answered a state call with {other:?}")),
    }
}
