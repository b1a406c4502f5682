//! Pinning: a name keeps some roots and all that lies beneath them.

use std::collections::HashSet;

use nisse_model::{ByteSize, ContentId, Hash256};

use super::pin_name::{PinKind, PinName};
use super::pins::{LogError, PIN_NAME_BYTES_MAX, PIN_ROOTS_MAX, PINS_MAX, PinLog};
use super::walk::{Reached, WalkError, reach};
use super::{BlockStore, Index};
use crate::StoreError;

/// A pin in a listing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pin {
    /// Its name.
    pub name: String,
    /// What it names.
    pub roots: Vec<ContentId>,
    /// Blocks beneath, each once.
    pub blocks: u64,
    /// Their bytes.
    pub bytes: ByteSize,
    /// Whether all of it is there.
    pub state: PinState,
}

/// Whether what a pin names is all there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PinState {
    /// Every block is held.
    Complete,
    /// Something is missing or damaged; the text says what.
    Broken(String),
}

/// What a pin reaches, kept so that serving needs no walk.
pub(super) struct PinReach {
    digests: HashSet<Hash256>,
    bytes: u64,
    broken: Option<String>,
}

/// How many pins reach a block.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Reaching {
    all: u32,
    /// Of a public kind.
    pub(super) public: u32,
}

impl From<Reached> for PinReach {
    fn from(reached: Reached) -> Self {
        let broken = reached.broken.map(|error| error.to_string());
        Self { digests: reached.digests, bytes: reached.bytes, broken }
    }
}

impl BlockStore {
    /// Pins `roots` under `name`, durably, after checking that every block beneath is held and durable. A pin of the
    /// same name is replaced. Its name begins with its kind.
    pub fn pin(&self, name: &str, roots: &[ContentId]) -> Result<(), PinError> {
        let spelled = name.len() <= PIN_NAME_BYTES_MAX && name.bytes().all(|byte| byte.is_ascii_graphic());
        if !spelled || PinKind::of(name).is_none() {
            return Err(PinError::Name(name.chars().take(80).collect()));
        }
        if roots.is_empty() || roots.len() > PIN_ROOTS_MAX {
            return Err(PinError::Roots(roots.len()));
        }
        let mut log = self.lock_pins();
        if log.live.len() >= PINS_MAX && !log.live.contains_key(name) {
            return Err(PinError::TooMany);
        }
        self.holds.made(name);
        let mut reached = reach(self, roots);
        if let Some(source) = reached.broken.take() {
            return Err(PinError::Incomplete { name: name.to_owned(), source });
        }
        // The blocks before the pin: a pin that survives a power cut finds all that it names.
        self.sync(&mut self.lock_packs())?;
        log.pin(name, roots).map_err(|error| self.log_failed(log.path(), error))?;
        self.write_index().set_reach(name, Some(reached.into()));
        Ok(())
    }

    /// Ends a pin, durably. What no other pin reaches goes with the next collection.
    pub fn unpin(&self, name: &str) -> Result<(), PinError> {
        self.check_running()?;
        let mut log = self.lock_pins();
        if !log.live.contains_key(name) {
            return Err(PinError::NoSuchPin(name.chars().take(80).collect()));
        }
        Ok(self.end_pin(&mut log, name)?)
    }

    pub(super) fn end_pin(&self, log: &mut PinLog, name: &str) -> Result<(), StoreError> {
        log.unpin(name).map_err(|error| self.log_failed(log.path(), error))?;
        self.holds.ended(name);
        self.write_index().set_reach(name, None);
        Ok(())
    }

    /// Whether a pin of this name stands.
    pub fn has_pin(&self, name: &PinName) -> bool {
        self.lock_pins().live.contains_key(name.as_str())
    }

    /// All pins, by name.
    pub fn pins(&self) -> Vec<Pin> {
        let log = self.lock_pins();
        let index = self.read_index();
        let pin = |(name, roots): (&String, &Vec<ContentId>)| {
            let reach = index.reached.get(name);
            let damaged = reach.and_then(|reach| reach.digests.intersection(&index.damaged).next());
            let broken = match (reach.and_then(|reach| reach.broken.clone()), damaged) {
                (Some(text), _) => Some(text),
                (None, digest) => digest.map(|digest| format!("block {} is damaged", ContentId::raw(*digest))),
            };
            Pin {
                name: name.clone(),
                roots: roots.clone(),
                blocks: reach.map_or(0, |reach| reach.digests.len() as u64),
                bytes: ByteSize(reach.map_or(0, |reach| reach.bytes)),
                state: broken.map_or(PinState::Complete, PinState::Broken),
            }
        };
        log.live.iter().map(pin).collect()
    }

    /// Walks every pin once, when the store is opened.
    pub(super) fn reach_all(&self) {
        let log = self.lock_pins();
        for (name, roots) in &log.live {
            let reached = reach(self, roots);
            if let Some(error) = &reached.broken {
                tracing::error!(pin = name, %error, "a pin is broken; add or fetch its content again");
            }
            self.write_index().set_reach(name, Some(reached.into()));
        }
    }

    fn log_failed(&self, path: &std::path::Path, error: LogError) -> StoreError {
        match error {
            LogError::Write(source) => StoreError::Io { action: "write", path: path.to_owned(), source },
            LogError::Sync(source) => self.stop(source),
        }
    }
}

impl Index {
    fn set_reach(&mut self, name: &str, reach: Option<PinReach>) {
        // Whatever stands in the log under a kind that this version does not know is kept, and private.
        let public = u32::from(PinKind::of(name).is_some_and(PinKind::is_public));
        for digest in reach.iter().flat_map(|reach| &reach.digests) {
            let reaching = self.pinned.entry(*digest).or_default();
            reaching.all += 1;
            reaching.public += public;
        }
        let before = match reach {
            Some(reach) => self.reached.insert(name.to_owned(), reach),
            None => self.reached.remove(name),
        };
        for digest in before.iter().flat_map(|reach| &reach.digests) {
            if let Some(reaching) = self.pinned.get_mut(digest) {
                reaching.all -= 1;
                reaching.public -= public;
                if reaching.all == 0 {
                    self.pinned.remove(digest);
                }
            }
        }
    }
}

/// Why content was not pinned or unpinned.
#[derive(Debug, thiserror::Error)]
pub enum PinError {
    /// Not a name.
    #[error(
        "use `{0}` as a pin's name: a known kind and a slash come first, and at most {PIN_NAME_BYTES_MAX} printable ASCII \
         characters without spaces are taken"
    )]
    Name(String),
    /// Too few or too many roots.
    #[error("pin {0} roots under one name: 1 to {PIN_ROOTS_MAX} are taken")]
    Roots(usize),
    /// Too many pins.
    #[error("keep more than {PINS_MAX} pins")]
    TooMany,
    /// No such pin.
    #[error("find pin `{0}`")]
    NoSuchPin(String),
    /// Some of the content is not here.
    #[error("pin `{name}`: not all of it is held")]
    Incomplete {
        /// The pin.
        name: String,
        /// What is missing.
        source: WalkError,
    },
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl PinError {
    /// What to do about it, if there is something.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::NoSuchPin(_) => Some("`nisse content ls` lists the pins".to_owned()),
            Self::Incomplete { .. } => Some("fetch or add the content first, then pin it".to_owned()),
            Self::Store(error) => error.hint(),
            Self::Name(_) | Self::Roots(_) | Self::TooMany => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::{Profile, StoreOptions};

    #[test]
    fn a_pin_of_a_kind_that_is_not_known_is_kept_and_private() {
        let folder = tempfile::tempdir().expect("a folder");
        let open = || {
            let disk = Arc::new(nisse_store::SystemDisk);
            BlockStore::open(disk, folder.path().join("content"), StoreOptions::default()).expect("it opens")
        };
        let store = open();
        let cid = store.add_bytes(b"of another version", Profile::UnixFs2025).expect("there is room");
        assert!(matches!(store.pin("later/a", &[cid]), Err(PinError::Name(_))));
        assert!(store.lock_pins().pin("later/a", &[cid]).is_ok(), "as another version wrote it");
        drop(store);
        let store = open();
        assert_eq!(store.pins().first().map(|pin| pin.name.as_str()), Some("later/a"));
        assert!(store.is_pinned(&cid) && !store.is_public(&cid));
        store.unpin("later/a").expect("its owner may give it up");
        assert_eq!(store.gc().expect("nothing is broken").blocks, 1);
    }
}
