//! What the journal holds and nothing else does yet.
//!
//! A record's effects reach the databases, the driver and the decisions a moment after the record is durable. Whoever
//! appends one from which something follows takes a hold before, and lets it go when all of that is in place: below the
//! oldest hold the journal may be cut (DESIGN §5.1). A handler that has a name is held as well, effects or none, until it
//! is decided what it came to.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use nisse_store::{Clock, Journal, Position};

/// A hold is let go before this: no handler and no disk that goes on takes so long. One that stands longer is told.
const HELD_FOR_MAX: Duration = Duration::from_secs(900);

/// All holds of one journal.
pub(crate) struct Unapplied {
    journal: Arc<Journal>,
    clock: Arc<dyn Clock>,
    held: Mutex<BTreeMap<Position, Holds>>,
}

/// The holds on one place.
struct Holds {
    count: usize,
    /// When the first of them was taken.
    since: Duration,
}

/// Keeps the journal from a place on. One that is dropped stays as long as the node lives, as one that is
/// [left](Held::leave_to_the_next_start): whoever dropped it broke off.
#[must_use = "the journal is not cut any more where a hold is not let go"]
pub(crate) struct Held {
    unapplied: Arc<Unapplied>,
    from: Position,
}

impl Unapplied {
    pub(crate) fn new(journal: Arc<Journal>, clock: Arc<dyn Clock>) -> Arc<Self> {
        Arc::new(Self { journal, clock, held: Mutex::default() })
    }

    /// Taken before anything is appended. No record behind this call gets a place before the durable ones, whatever the
    /// disk refuses meanwhile.
    pub(crate) fn hold(self: &Arc<Self>) -> Held {
        let mut held = self.lock();
        let from = self.journal.durable();
        held.entry(from).or_insert_with(|| Holds { count: 0, since: self.clock.elapsed() }).count += 1;
        Held { unapplied: Arc::clone(self), from }
    }

    /// As [`Self::hold`], from a record on that a journal had when it was opened.
    pub(crate) fn hold_from(self: &Arc<Self>, from: Position) -> Held {
        let mut held = self.lock();
        held.entry(from).or_insert_with(|| Holds { count: 0, since: self.clock.elapsed() }).count += 1;
        Held { unapplied: Arc::clone(self), from }
    }

    /// How far everything before `end`, which is durable, is in place.
    pub(crate) fn settled(&self, end: Position) -> Position {
        self.lock().first_key_value().map_or(end, |(oldest, _)| end.min(*oldest))
    }

    /// What is wrong where a hold stands that should have gone: the journal is not cut, and grows.
    pub(crate) fn overdue(&self) -> Option<String> {
        let oldest = self.lock().values().map(|holds| holds.since).min()?;
        let stands_for = self.clock.elapsed().saturating_sub(oldest);
        let minutes = stands_for.as_secs() / 60;
        let why = "something that the journal holds was not brought to its end";
        (stands_for >= HELD_FOR_MAX)
            .then(|| format!("{why} for {minutes} minutes: the journal grows until the next start"))
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<Position, Holds>> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Held {
    /// All that follows from the record is in place, or the record stands nowhere.
    pub(crate) fn let_go(self) {
        let mut held = self.unapplied.lock();
        if let Some(holds) = held.get_mut(&self.from) {
            holds.count -= 1;
            if holds.count == 0 {
                held.remove(&self.from);
            }
        }
    }

    /// Another hold on the same place.
    pub(crate) fn twin(&self) -> Self {
        if let Some(holds) = self.unapplied.lock().get_mut(&self.from) {
            holds.count += 1;
        }
        Self { unapplied: Arc::clone(&self.unapplied), from: self.from }
    }

    /// What follows from the record cannot be done here any more: only the next start, which reads the journal, can.
    pub(crate) fn leave_to_the_next_start(self) {
        drop(self);
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use nisse_store::JournalError;
    use nisse_testkit::{Fault, SimClock, SimDisk, SimEntropy};

    use super::*;

    fn journal(disk: &SimDisk) -> Arc<Journal> {
        let opened = Journal::open(Arc::new(disk.clone()), &SimEntropy::new(7), Path::new("/home/journal"), |_, _| {
            Ok::<_, JournalError>(())
        });
        Arc::new(opened.expect("the journal opens"))
    }

    fn unapplied(journal: &Arc<Journal>, clock: &SimClock) -> Arc<Unapplied> {
        Unapplied::new(Arc::clone(journal), Arc::new(clock.clone()))
    }

    fn append(journal: &Journal) -> Result<Position, JournalError> {
        journal.append(b"an entry")?.wait()
    }

    #[test]
    fn the_oldest_hold_that_was_not_let_go_bounds_what_is_settled() {
        let journal = journal(&SimDisk::new(1));
        let unapplied = unapplied(&journal, &SimClock::default());
        append(&journal).expect("there is room");
        let (first, twin) = (unapplied.hold(), unapplied.hold());
        append(&journal).expect("there is room");
        let second = unapplied.hold();
        append(&journal).expect("there is room");
        assert_eq!(unapplied.settled(journal.next()), Position(1));
        first.let_go();
        assert_eq!(unapplied.settled(journal.next()), Position(1), "another holds the same place");
        twin.let_go();
        assert_eq!(unapplied.settled(journal.next()), Position(2));
        assert_eq!(unapplied.settled(Position(1)), Position(1), "never behind what was asked for");
        second.let_go();
        assert_eq!(unapplied.settled(journal.next()), Position(3));
        drop(unapplied.hold());
        append(&journal).expect("there is room");
        assert_eq!(unapplied.settled(journal.next()), Position(3), "who broke off has not said that it is applied");
    }

    #[test]
    fn a_hold_that_stands_too_long_is_told() {
        let (journal, clock) = (journal(&SimDisk::new(1)), SimClock::default());
        let unapplied = unapplied(&journal, &clock);
        let held = unapplied.hold();
        clock.advance(HELD_FOR_MAX - Duration::from_secs(1));
        assert_eq!(unapplied.overdue(), None);
        clock.advance(Duration::from_secs(1));
        assert!(unapplied.overdue().is_some_and(|said| said.contains("for 15 minutes")));
        held.let_go();
        assert_eq!(unapplied.overdue(), None);
        unapplied.hold().leave_to_the_next_start();
        clock.advance(HELD_FOR_MAX);
        assert!(unapplied.overdue().is_some(), "it stands until then");
    }

    #[test]
    fn a_record_that_takes_the_place_of_a_refused_one_is_held() {
        let disk = SimDisk::new(1);
        let journal = journal(&disk);
        let unapplied = unapplied(&journal, &SimClock::default());
        disk.fail(Fault::NoSpace(0));
        // Its place is given, and given again once the disk has refused it.
        let refused = journal.append(b"a read-only record").expect("it is queued");
        let held = unapplied.hold();
        refused.wait().expect_err("there is no room");
        disk.heal();
        let place = append(&journal).expect("there is room again");
        assert!(unapplied.settled(journal.next()) <= place);
        held.let_go();
        assert_eq!(unapplied.settled(journal.next()), place.next());
    }
}
