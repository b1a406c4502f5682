//! Ending pins that nothing needs any more, beside whoever makes new ones.
//!
//! Whether something is needed is found out while the store goes on. So a pin is ended only if nobody held it when the
//! question was asked, nobody holds it now, and nobody has made it anew in between.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::{BlockStore, PinError, PinName};

/// What is known of pins besides the log: lost with the process, as are those who hold them.
#[derive(Default)]
pub(super) struct Holds(Mutex<Held>);

#[derive(Default)]
struct Held {
    by: HashMap<String, u32>,
    /// When each was made, counted from the opening of the store; older ones are not here.
    made: HashMap<String, u64>,
    last: u64,
}

impl Holds {
    fn lock(&self) -> MutexGuard<'_, Held> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn made(&self, name: &str) {
        let mut held = self.lock();
        held.last += 1;
        let last = held.last;
        held.made.insert(name.to_owned(), last);
    }

    pub(super) fn ended(&self, name: &str) {
        self.lock().made.remove(name);
    }
}

/// Keeps pins, made or yet to be made, from being ended as loose ones.
pub struct PinHold {
    store: Arc<BlockStore>,
    names: Vec<String>,
}

impl Drop for PinHold {
    fn drop(&mut self) {
        let mut held = self.store.holds.lock();
        for name in &self.names {
            if let Some(count) = held.by.get_mut(name) {
                *count -= 1;
                if *count == 0 {
                    held.by.remove(name);
                }
            }
        }
    }
}

/// A pin that nobody held when it was looked at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LoosePin {
    name: String,
    made: Option<u64>,
}

impl LoosePin {
    /// Its name.
    pub fn name(&self) -> &str {
        &self.name
    }
}

impl BlockStore {
    /// Holds pins of these names until what is returned is dropped.
    pub fn hold(self: &Arc<Self>, names: impl IntoIterator<Item = PinName>) -> PinHold {
        let names: Vec<String> = names.into_iter().map(|name| name.as_str().to_owned()).collect();
        let mut held = self.holds.lock();
        for name in &names {
            *held.by.entry(name.clone()).or_default() += 1;
        }
        drop(held);
        PinHold { store: Arc::clone(self), names }
    }

    /// The pins that nobody holds.
    pub fn loose_pins(&self) -> Vec<LoosePin> {
        let log = self.lock_pins();
        let held = self.holds.lock();
        let loose = log.live.keys().filter(|name| !held.by.contains_key(*name));
        loose.map(|name| LoosePin { name: name.clone(), made: held.made.get(name).copied() }).collect()
    }

    /// Ends a pin as [`unpin`](Self::unpin) does, unless it is held, was made anew, or is gone. Says whether it did.
    pub fn unpin_loose(&self, pin: &LoosePin) -> Result<bool, PinError> {
        self.check_running()?;
        let mut log = self.lock_pins();
        let is_loose = {
            let held = self.holds.lock();
            !held.by.contains_key(&pin.name) && held.made.get(&pin.name).copied() == pin.made
        };
        if !is_loose || !log.live.contains_key(&pin.name) {
            return Ok(false);
        }
        self.end_pin(&mut log, &pin.name)?;
        Ok(true)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{PinKind, Profile, StoreOptions};

    #[test]
    fn a_pin_that_is_held_or_made_anew_is_not_ended_as_a_loose_one() {
        let folder = tempfile::tempdir().expect("a folder");
        let disk = Arc::new(nisse_store::SystemDisk);
        let store = BlockStore::open(disk, folder.path().join("content"), StoreOptions::default());
        let store = Arc::new(store.expect("it opens"));
        let cid = store.add_bytes(b"a package", Profile::UnixFs2025).expect("there is room");
        let name = PinKind::Package.name("1");
        let pin = || store.pin(name.as_str(), &[cid]).expect("it is held");
        let end = |pin: &LoosePin| store.unpin_loose(pin).expect("the disk works");
        let loose = || store.loose_pins().pop();

        pin();
        let seen = loose().expect("nobody holds it");
        let hold = store.hold([name.clone()]);
        assert!(loose().is_none() && !end(&seen), "it is held");
        drop(hold);
        pin();
        assert!(!end(&seen), "it was made anew");
        let seen = loose().expect("nobody holds it");
        assert!(end(&seen) && !end(&seen) && store.pins().is_empty());
        pin();
        assert!(!end(&seen), "another one has its name");

        let hold = store.hold([name.clone()]);
        let again = store.hold([name.clone()]);
        drop(hold);
        assert!(loose().is_none(), "one of two still holds it");
        drop(again);
        assert!(loose().is_some());
    }
}
