//! The journal on a sound disk: order, limits, rotation, truncation; and what its other tests begin with.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use nisse_store::{
    Disk as _, Journal, JournalError, JournalOptions, Position, RECORD_BYTES_MAX, SystemDisk, SystemEntropy,
};
use nisse_testkit::{SimDisk, SimEntropy};

pub(crate) const FOLDER: &str = "/home/journal";

pub(crate) type Records = Vec<(Position, Vec<u8>)>;

pub(crate) fn open_with(disk: &SimDisk, options: JournalOptions) -> Result<(Journal, Records), JournalError> {
    let mut records = Vec::new();
    let entropy = SimEntropy::new(7);
    let journal =
        Journal::open_with(Arc::new(disk.clone()), &entropy, Path::new(FOLDER), options, |position, record| {
            records.push((position, record.to_vec()));
            Ok::<_, JournalError>(())
        })?;
    Ok((journal, records))
}

pub(crate) fn open(disk: &SimDisk) -> Result<(Journal, Records), JournalError> {
    open_with(disk, JournalOptions::default())
}

pub(crate) fn small_segments() -> JournalOptions {
    JournalOptions { segment_bytes: 1000 }
}

pub(crate) fn append(journal: &Journal, record: &[u8]) -> Result<Position, JournalError> {
    journal.append(record)?.wait()
}

pub(crate) fn numbered(range: std::ops::Range<u64>) -> Records {
    range.map(|number| (Position(number), format!("record {number}").into_bytes())).collect()
}

pub(crate) fn fill(journal: &Journal, range: std::ops::Range<u64>) {
    for (position, record) in numbered(range) {
        assert_eq!(append(journal, &record).unwrap(), position);
    }
}

pub(crate) fn segments(disk: &SimDisk) -> Vec<PathBuf> {
    disk.files().into_iter().map(|(path, _)| path).collect()
}

#[test]
fn records_come_back_in_order_with_their_positions() {
    let disk = SimDisk::new(1);
    let (journal, records) = open(&disk).unwrap();
    assert_eq!((records.len(), journal.first(), journal.next()), (0, Position(0), Position(0)));
    fill(&journal, 0..20);
    drop(journal);
    let (journal, records) = open(&disk).unwrap();
    assert_eq!(records, numbered(0..20));
    fill(&journal, 20..30);
    drop(journal);
    assert_eq!(open(&disk).unwrap().1, numbered(0..30));
}

#[test]
fn a_batch_stays_together_and_an_empty_one_waits_for_all_before() {
    let disk = SimDisk::new(1);
    let (journal, _) = open(&disk).unwrap();
    let commit = journal.append_batch(&[b"a", b"", b"c"]).unwrap();
    assert_eq!(commit.position(), Position(2));
    let barrier = journal.append_batch(&[]).unwrap();
    barrier.wait().unwrap();
    assert_eq!(commit.wait().unwrap(), Position(2));
    drop(journal);
    let expected = [b"a".to_vec(), Vec::new(), b"c".to_vec()];
    assert_eq!(open(&disk).unwrap().1.into_iter().map(|(_, record)| record).collect::<Vec<_>>(), expected);
}

#[tokio::test]
async fn a_commit_can_be_awaited() {
    let disk = SimDisk::new(1);
    let (journal, _) = open(&disk).unwrap();
    let commits: Vec<_> = (0..50u8).map(|byte| journal.append(&[byte]).unwrap()).collect();
    for (expected, commit) in commits.into_iter().enumerate() {
        assert_eq!(commit.durable().await.unwrap(), Position(expected as u64));
    }
}

#[test]
fn the_real_disk_keeps_a_journal_too() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("deep/journal");
    let open = || {
        let mut records = Vec::new();
        let journal = Journal::open(Arc::new(SystemDisk), &SystemEntropy, &path, |position, record| {
            records.push((position, record.to_vec()));
            Ok::<_, JournalError>(())
        });
        (journal.unwrap(), records)
    };
    let (journal, _) = open();
    std::thread::scope(|scope| {
        for thread in 0..8u8 {
            let journal = &journal;
            scope.spawn(move || {
                for number in 0..20u8 {
                    append(journal, &[thread, number]).unwrap();
                }
            });
        }
    });
    drop(journal);
    let (_, records) = open();
    assert_eq!(records.len(), 160);
    for thread in 0..8 {
        let own: Vec<u8> = records.iter().filter(|(_, record)| record[0] == thread).map(|(_, r)| r[1]).collect();
        assert_eq!(own, (0..20).collect::<Vec<u8>>(), "each thread's records keep their order");
    }
}

#[test]
fn a_record_over_the_limit_is_refused_and_one_at_the_limit_is_kept() {
    let disk = SimDisk::new(1);
    let (journal, _) = open(&disk).unwrap();
    let error = journal.append(&vec![0; RECORD_BYTES_MAX + 1]).unwrap_err();
    assert_eq!(error.to_string(), "append a record of 16777217 bytes to the journal: at most 16777216 are taken");
    let largest = vec![7; RECORD_BYTES_MAX];
    append(&journal, &largest).unwrap();
    drop(journal);
    assert_eq!(open(&disk).unwrap().1, [(Position(0), largest)]);
}

#[test]
fn a_journal_goes_on_in_new_segments_and_drops_old_ones() {
    let disk = SimDisk::new(1);
    let (journal, _) = open_with(&disk, small_segments()).unwrap();
    fill(&journal, 0..100);
    let before = segments(&disk);
    assert!(before.len() > 3, "{before:?}");
    let kept = journal.truncate_before(Position(50)).unwrap().wait().unwrap();
    assert!(kept <= Position(50) && kept > Position(25), "{kept}");
    assert_eq!(journal.first(), kept);
    fill(&journal, 100..120);
    drop(journal);
    let (journal, records) = open_with(&disk, small_segments()).unwrap();
    assert_eq!(records, numbered(kept.0..120));
    assert_eq!(journal.truncate_before(Position(u64::MAX)).unwrap().wait().unwrap(), journal.first());
    drop(journal);
    let (journal, records) = open_with(&disk, small_segments()).unwrap();
    assert_eq!((segments(&disk).len(), journal.next()), (1, Position(120)), "positions are never used again");
    assert!(records.len() < 30);
}

#[test]
fn durable_records_are_read_while_others_are_appended() {
    let disk = SimDisk::new(1);
    let (journal, _) = open_with(&disk, small_segments()).unwrap();
    fill(&journal, 0..100);
    let waiting: Vec<_> = numbered(100..110).iter().map(|(_, record)| journal.append(record).unwrap()).collect();
    let read = |from: u64, count: usize| {
        let mut records = Records::new();
        let each = |position, record: &[u8]| {
            records.push((position, record.to_vec()));
            Ok::<_, JournalError>(records.len() < count)
        };
        journal.read(Position(from), each).map(|()| records)
    };
    assert_eq!(read(0, 7).unwrap(), numbered(0..7));
    assert_eq!(read(93, 7).unwrap(), numbered(93..100));
    assert_eq!(read(110, 1).unwrap(), []);
    for commit in waiting {
        commit.wait().unwrap();
    }
    assert_eq!(read(47, usize::MAX).unwrap(), numbered(47..110));
    let first = journal.truncate_before(Position(70)).unwrap().wait().unwrap();
    assert_eq!(read(0, usize::MAX).unwrap(), numbered(first.0..110));
    let path = segments(&disk)[1].clone();
    disk.flip_bit(&path, 100, 1);
    assert!(matches!(read(0, usize::MAX), Err(JournalError::Damaged { .. })));
}

#[test]
fn what_is_truncated_while_it_is_read_is_left_out_and_what_is_missing_is_an_error() {
    let disk = SimDisk::new(1);
    let (journal, _) = open_with(&disk, small_segments()).unwrap();
    fill(&journal, 0..100);
    let (mut records, mut first) = (Records::new(), Position(0));
    let truncated = journal.read(Position(0), |position, record| {
        if position == Position(0) {
            first = journal.truncate_before(Position(70))?.wait()?;
        }
        records.push((position, record.to_vec()));
        Ok::<_, JournalError>(true)
    });
    truncated.unwrap();
    let (read_before, read_after) = records.split_at(records.len() - (100 - first.0 as usize));
    assert_eq!(
        (read_before.to_vec(), read_after.to_vec()),
        (numbered(0..read_before.len() as u64), numbered(first.0..100))
    );
    assert!(first > Position(60) && read_before.len() < 30, "{first}, {}", read_before.len());
    disk.remove_file(&segments(&disk)[1]).unwrap();
    let missing = journal.read(Position(0), |_, _| Ok::<_, JournalError>(true)).unwrap_err();
    assert!(matches!(missing, JournalError::Damaged { .. } | JournalError::Gap { .. }), "{missing}");
}
