//! What the journal holds and nothing else does yet.
//!
//! A record's effects reach the databases, the driver and the decisions a moment after the record is durable. Whoever
//! appends one that has effects takes a hold before, and lets it go when all that follows from the record is in place:
//! below the oldest hold the journal may be cut (DESIGN §5.1).

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use nisse_store::{Journal, Position};

/// All holds of one journal.
pub(crate) struct Unapplied {
    journal: Arc<Journal>,
    /// How many holds there are on each place.
    held: Mutex<BTreeMap<Position, usize>>,
}

/// Keeps the journal from a place on. One that is dropped stays as long as the node lives: whoever dropped it broke off,
/// and only the next start knows what is left to do.
#[must_use = "the journal is not cut any more where a hold is not let go"]
pub(crate) struct Held {
    unapplied: Arc<Unapplied>,
    from: Position,
}

impl Unapplied {
    pub(crate) fn new(journal: Arc<Journal>) -> Arc<Self> {
        Arc::new(Self { journal, held: Mutex::default() })
    }

    /// Taken before anything is appended. No record behind this call gets a place before the durable ones, whatever the
    /// disk refuses meanwhile.
    pub(crate) fn hold(self: &Arc<Self>) -> Held {
        let mut held = self.lock();
        let from = self.journal.durable();
        *held.entry(from).or_default() += 1;
        Held { unapplied: Arc::clone(self), from }
    }

    /// How far everything before `end`, which is durable, is in place.
    pub(crate) fn settled(&self, end: Position) -> Position {
        self.lock().first_key_value().map_or(end, |(oldest, _)| end.min(*oldest))
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<Position, usize>> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Held {
    /// All that follows from the record is in place, or the record stands nowhere.
    pub(crate) fn let_go(self) {
        let mut held = self.unapplied.lock();
        if let Some(count) = held.get_mut(&self.from) {
            *count -= 1;
            if *count == 0 {
                held.remove(&self.from);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use nisse_store::JournalError;
    use nisse_testkit::{Fault, SimDisk, SimEntropy};

    use super::*;

    fn journal(disk: &SimDisk) -> Arc<Journal> {
        let opened = Journal::open(Arc::new(disk.clone()), &SimEntropy::new(7), Path::new("/home/journal"), |_, _| {
            Ok::<_, JournalError>(())
        });
        Arc::new(opened.expect("the journal opens"))
    }

    fn append(journal: &Journal) -> Result<Position, JournalError> {
        journal.append(b"an entry")?.wait()
    }

    #[test]
    fn the_oldest_hold_that_was_not_let_go_bounds_what_is_settled() {
        let journal = journal(&SimDisk::new(1));
        let unapplied = Unapplied::new(Arc::clone(&journal));
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
    fn a_record_that_takes_the_place_of_a_refused_one_is_held() {
        let disk = SimDisk::new(1);
        let journal = journal(&disk);
        let unapplied = Unapplied::new(Arc::clone(&journal));
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
