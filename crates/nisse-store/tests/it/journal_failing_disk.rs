//! The journal on a disk that fails: what was acknowledged stands, and what was not is refused by a typed error.

use nisse_store::{JournalError, Position};
use nisse_testkit::{Fault, SimDisk};

use crate::journal::{append, fill, numbered, open, open_with, small_segments};

/// An undisturbed life below syncs at least so often.
const OPERATIONS_MIN: u64 = 30;

#[test]
fn a_failed_sync_stops_the_journal_for_good() {
    let disk = SimDisk::new(1);
    let (journal, _) = open(&disk).unwrap();
    fill(&journal, 0..3);
    disk.fail(Fault::Sync(0));
    let error = append(&journal, b"lost").unwrap_err();
    assert!(matches!(error, JournalError::Poisoned(_)), "{error}");
    assert!(matches!(journal.append(b"later"), Err(JournalError::Poisoned(_))));
    assert!(matches!(journal.truncate_before(Position(1)), Err(JournalError::Poisoned(_))));
    assert!(journal.failure().is_some());
    drop(journal);
    disk.power_cut(3);
    let (journal, records) = open(&disk).unwrap();
    assert_eq!(records[..3], numbered(0..3));
    assert!(records.len() <= 4);
    append(&journal, b"again").unwrap();
}

#[test]
fn a_full_disk_refuses_records_and_takes_them_again_when_there_is_space() {
    let disk = SimDisk::new(1);
    let (journal, _) = open(&disk).unwrap();
    fill(&journal, 0..3);
    disk.fail(Fault::NoSpace(0));
    for _ in 0..3 {
        let error = append(&journal, b"too much").unwrap_err();
        assert!(matches!(error, JournalError::Refused(_)), "{error}");
    }
    disk.heal();
    fill(&journal, 3..6);
    drop(journal);
    assert_eq!(open(&disk).unwrap().1, numbered(0..6));
}

#[test]
fn a_record_that_follows_a_refused_one_is_not_queued_in_its_place() {
    let disk = SimDisk::new(7);
    let (journal, _) = open(&disk).unwrap();
    let refusals = journal.refusals();
    let follow = |record: &[u8]| journal.append_batch_unless_refused(refusals, &[record]).unwrap();
    follow(b"first").expect("nothing was refused").wait().unwrap();
    disk.fail(Fault::NoSpace(0));
    let refused = journal.append(b"refused").unwrap();
    refused.clone().wait().unwrap_err();
    disk.heal();
    assert!(follow(b"behind it").is_none(), "what it follows is gone");
    assert_eq!(journal.refusals(), refusals + 1);
    assert!(matches!(refused.outcome(), Some(Err(JournalError::Refused(_)))));
    drop(journal);
    assert_eq!(open(&disk).unwrap().1, [(Position(0), b"first".to_vec())]);
}

#[test]
fn whatever_operation_fails_the_error_is_typed_and_a_reopened_journal_is_whole() {
    for fault in [Fault::Io, Fault::NoSpace, Fault::Sync] {
        for nth in 0.. {
            let disk = SimDisk::new(nth);
            let mut acknowledged = 0;
            disk.fail(fault(nth));
            let lived: Result<(), JournalError> = (|| {
                let (journal, _) = open_with(&disk, small_segments())?;
                for (position, record) in numbered(0..30) {
                    assert_eq!(append(&journal, &record)?, position);
                    acknowledged = position.0 + 1;
                }
                journal.truncate_before(Position(20))?.wait()?;
                Ok(())
            })();
            let met = disk.has_failed();
            assert!(met || lived.is_ok(), "{fault:?} {nth}: {lived:?} without a fault");
            disk.heal();
            disk.power_cut(nth);
            let (journal, records) = open_with(&disk, small_segments()).unwrap();
            let first = records.first().map_or(0, |(position, _)| position.0);
            assert!(first <= 20 && journal.next().0 >= acknowledged, "{fault:?} {nth}");
            assert_eq!(records, numbered(first..journal.next().0), "{fault:?} {nth}");
            drop(journal);
            if !met {
                // Past the last operation of an undisturbed life: every one before it was made to fail.
                assert!(
                    nth > OPERATIONS_MIN && acknowledged == 30,
                    "{fault:?}: {nth} operations, {acknowledged} records"
                );
                break;
            }
        }
    }
}
