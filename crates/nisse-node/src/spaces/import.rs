//! What an export brings, given to its space as another replica gives it: nothing is taken here that a peer could not bring.

use std::borrow::Cow;
use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use futures::FutureExt as _;
use nisse_model::Did;
use nisse_space::chunk_sync::{Frame, Item, Wanted};
use nisse_space::{ExportError, Registered, StoreError, Whereabouts, item_of_stored};

use super::{SpaceEar, SpaceMouth, SpaceSaid, failed};
use crate::core::Core;
use crate::error::{ErrorKind, NodeError};

/// Bytes of chunks that are given at a time, or one chunk.
const PORTION_BYTES: usize = 4 << 20;
/// Chunks that are given at a time.
const PORTION_MAX: usize = 4_096;
/// Chunks that are looked at again at the end, since what they stood on came behind them.
const LEFT_MAX: usize = 65_536;
/// How often, and after how long, credentials that came last are waited for until the space has heard of them.
const SETTLE_TRIES: usize = 50;
const SETTLE_PAUSE: Duration = Duration::from_millis(100);

/// How many chunks became what.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Imported {
    /// In their documents, and new.
    pub(crate) new: u64,
    /// Here already.
    pub(crate) held: u64,
    /// Set aside, and new.
    pub(crate) aside: u64,
    /// Not taken: what they stand on is not here, or there is no room to set more aside.
    pub(crate) left: u64,
}

/// An import that is under way.
pub(crate) struct Import {
    core: Arc<Core>,
    registered: Registered,
    ear: SpaceEar,
    mouth: SpaceMouth,
    /// What is given with the next portion.
    waiting: Vec<(Item, Vec<u8>)>,
    waiting_bytes: usize,
    left: Vec<Item>,
    count: Imported,
}

impl Import {
    /// Connects as this home's own device does that brings what another one has.
    pub(crate) async fn begin(core: &Arc<Core>, registered: &Registered, own: Did) -> Result<Self, NodeError> {
        let connection = core.spaces.connect_file(core, registered, own).await?;
        let (ear, mouth) = connection.split();
        // Nothing is wanted of the space.
        let wanted = Wanted::Only(BTreeSet::new());
        let mut import = Self {
            core: Arc::clone(core),
            registered: registered.clone(),
            ear,
            mouth,
            waiting: Vec::new(),
            waiting_bytes: 0,
            left: Vec::new(),
            count: Imported::default(),
        };
        import.say(&Frame::Hello { space: registered.space, wanted, ranges: Vec::new() }).await?;
        Ok(import)
    }

    /// Takes a chunk, whatever it is; it is given to the space with others.
    pub(crate) async fn chunk(&mut self, stored: Vec<u8>) -> Result<(), NodeError> {
        let item =
            item_of_stored(&stored).map_err(|error| NodeError::caused(ErrorKind::Refused, "import_refused", &error))?;
        if self.waiting_bytes + stored.len() > PORTION_BYTES || self.waiting.len() == PORTION_MAX {
            self.give().await?;
        }
        self.waiting_bytes += stored.len();
        self.waiting.push((item, stored));
        Ok(())
    }

    /// Gives the rest; says what became of all of them. `awaited`: credentials came last.
    pub(crate) async fn end(mut self, awaited: bool) -> Result<Imported, NodeError> {
        self.give().await?;
        for _ in 0..SETTLE_TRIES {
            let left = std::mem::take(&mut self.left);
            for (item, place) in left.iter().zip(self.places(left.clone()).await?) {
                self.note(*item, place);
            }
            if self.left.is_empty() || !awaited {
                break;
            }
            tokio::time::sleep(SETTLE_PAUSE).await;
        }
        self.check_open()?;
        self.count.left += self.left.len() as u64;
        Ok(self.count)
    }

    async fn give(&mut self) -> Result<(), NodeError> {
        let waiting = std::mem::take(&mut self.waiting);
        self.waiting_bytes = 0;
        let before = self.places(waiting.iter().map(|(item, _)| *item).collect()).await?;
        // Whatever became of the portion before was said by now.
        self.check_open()?;
        let new = |((item, stored), place)| (place == Whereabouts::Nowhere).then_some((item, stored));
        let count = waiting.len();
        let (items, chunks): (Vec<_>, Vec<_>) = waiting.into_iter().zip(before).filter_map(new).unzip();
        self.count.held += (count - items.len()) as u64;
        if chunks.is_empty() {
            return Ok(());
        }
        let chunks = chunks.into_iter().map(Cow::Owned).collect();
        self.say(&Frame::Chunks { chunks, missing: Vec::new() }).await?;
        for (item, place) in items.iter().zip(self.places(items.clone()).await?) {
            self.note(*item, place);
        }
        Ok(())
    }

    fn note(&mut self, item: Item, place: Whereabouts) {
        match place {
            Whereabouts::Placed => self.count.new += 1,
            Whereabouts::Aside => self.count.aside += 1,
            Whereabouts::Nowhere if self.left.len() < LEFT_MAX => self.left.push(item),
            Whereabouts::Nowhere => self.count.left += 1,
        }
    }

    async fn say(&mut self, frame: &Frame<'_>) -> Result<(), NodeError> {
        if self.ear.hear(frame.encode()).await { Ok(()) } else { Err(closed("the space was closed")) }
    }

    /// Where the space has these, once it has taken what was said before.
    async fn places(&mut self, items: Vec<Item>) -> Result<Vec<Whereabouts>, NodeError> {
        let places = self.core.spaces.ask(&self.core, &self.registered, move |space, _| {
            let store = space.store();
            (items.into_iter().map(|item| store.whereabouts(item)).collect::<Result<_, StoreError>>(), Vec::new())
        });
        places.await?.map_err(|error| failed(&error))
    }

    /// Refuses to go on where the space does: what it was given is not taken.
    fn check_open(&mut self) -> Result<(), NodeError> {
        while let Some(said) = self.mouth.say().now_or_never() {
            if let SpaceSaid::End(why) = said {
                return Err(closed(&why));
            }
        }
        Ok(())
    }
}

fn closed(why: &str) -> NodeError {
    NodeError::new(ErrorKind::Refused, "import_refused", format!("failed to import: {why}"))
}

/// An export that can't be read.
pub(crate) fn unreadable(error: &ExportError) -> NodeError {
    NodeError::caused(ErrorKind::Usage, "export_invalid", error)
        .with_hint("what it held up to there was taken, each part by its signature: import a whole copy".to_owned())
}
