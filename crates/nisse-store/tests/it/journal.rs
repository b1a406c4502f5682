//! The journal's behaviour without power cuts: order, limits, rotation, truncation, damage, failing disks.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use nisse_store::{
    Disk, FileMode, Journal, JournalError, JournalOptions, Position, RECORD_BYTES_MAX, SystemDisk, SystemEntropy,
};
use nisse_testkit::{Fault, Random, SimDisk, SimEntropy};

const FOLDER: &str = "/home/journal";

type Records = Vec<(Position, Vec<u8>)>;

fn open_with(disk: &SimDisk, options: JournalOptions) -> Result<(Journal, Records), JournalError> {
    let mut records = Vec::new();
    let entropy = SimEntropy::new(7);
    let journal =
        Journal::open_with(Arc::new(disk.clone()), &entropy, Path::new(FOLDER), options, |position, record| {
            records.push((position, record.to_vec()));
            Ok::<_, JournalError>(())
        })?;
    Ok((journal, records))
}

fn open(disk: &SimDisk) -> Result<(Journal, Records), JournalError> {
    open_with(disk, JournalOptions::default())
}

fn small_segments() -> JournalOptions {
    JournalOptions { segment_bytes: 1000 }
}

fn append(journal: &Journal, record: &[u8]) -> Result<Position, JournalError> {
    journal.append(record)?.wait()
}

fn numbered(range: std::ops::Range<u64>) -> Records {
    range.map(|number| (Position(number), format!("record {number}").into_bytes())).collect()
}

fn fill(journal: &Journal, range: std::ops::Range<u64>) {
    for (position, record) in numbered(range) {
        assert_eq!(append(journal, &record).unwrap(), position);
    }
}

fn segments(disk: &SimDisk) -> Vec<PathBuf> {
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
fn a_missing_segment_is_named() {
    let disk = SimDisk::new(1);
    let (journal, _) = open_with(&disk, small_segments()).unwrap();
    fill(&journal, 0..60);
    drop(journal);
    disk.remove_file(&segments(&disk)[1]).unwrap();
    let error = open(&disk).unwrap_err();
    assert!(matches!(error, JournalError::Gap { .. }), "{error}");
}

#[test]
fn a_tail_that_comes_back_behind_a_whole_segment_is_no_damage() {
    // A torn tail was cut, the cut met a failing sync, and the journal went on in a new segment.
    let disk = SimDisk::new(1);
    let (journal, _) = open_with(&disk, small_segments()).unwrap();
    fill(&journal, 0..60);
    drop(journal);
    let (path, length) = disk.files()[1].clone();
    let broken = disk.fork();
    disk.open(&path, FileMode::Write).unwrap().write_all_at(&[7; 900], length).unwrap();
    let (journal, records) = open_with(&disk, small_segments()).unwrap();
    assert_eq!(records, numbered(0..60));
    let mut read = Records::new();
    let each = |position, record: &[u8]| {
        read.push((position, record.to_vec()));
        Ok::<_, JournalError>(true)
    };
    journal.read(Position(0), each).unwrap();
    assert_eq!(read, numbered(0..60));

    broken.flip_bit(&path, length - 1, 3);
    let error = open(&broken).unwrap_err();
    assert!(matches!(&error, JournalError::Damaged { path: found, .. } if *found == path), "{error}");
}

#[test]
fn a_newer_format_is_refused_by_name() {
    let disk = SimDisk::new(1);
    drop(open(&disk).unwrap());
    let path = segments(&disk).remove(0);
    let mut header = disk.read(&path, 100).unwrap();
    header[8] = 2;
    let checksum = crc32c::crc32c(&header[..36]);
    header[36..40].copy_from_slice(&checksum.to_le_bytes());
    disk.open(&path, FileMode::Write).unwrap().write_all_at(&header, 0).unwrap();
    let error = open(&disk).unwrap_err();
    assert_eq!(
        error.to_string(),
        "read the journal: /home/journal/00000000000000000000.journal was written by a newer nisse (format 2)"
    );
}

#[test]
fn each_bit_flipped_in_a_closed_journal_is_found_or_harmless() {
    let disk = SimDisk::new(1);
    let (journal, _) = open_with(&disk, small_segments()).unwrap();
    fill(&journal, 0..40);
    drop(journal);
    let mut damaged = 0;
    let mut flips = 0;
    for (path, length) in disk.files() {
        for offset in 0..length {
            let broken = disk.fork();
            broken.flip_bit(&path, offset, (offset % 8) as u8);
            flips += 1;
            match open(&broken) {
                Ok((_, records)) => assert_eq!(records, numbered(0..40), "bit at {offset} of {}", path.display()),
                Err(JournalError::Damaged { .. } | JournalError::Gap { .. } | JournalError::Newer { .. }) => {
                    damaged += 1
                }
                Err(error) => panic!("bit at {offset} of {}: {error}", path.display()),
            }
        }
    }
    assert!(damaged * 100 > flips * 95, "{damaged} of {flips}: only the last mark's bits are harmless");
}

#[test]
fn damage_before_the_last_batch_names_file_and_offset() {
    let disk = SimDisk::new(1);
    let (journal, _) = open(&disk).unwrap();
    fill(&journal, 0..3);
    // The process dies here: no mark closes the journal, and only later batches prove the first.
    let crashed = disk.fork();
    drop(journal);
    crashed.flip_bit(&segments(&crashed)[0], 40 + 36, 0);
    let error = open(&crashed).unwrap_err();
    assert_eq!(
        error.to_string(),
        "read the journal: /home/journal/00000000000000000000.journal is damaged at byte 40, where record 0 should be"
    );
}

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
            let _: Result<(), JournalError> = (|| {
                let (journal, _) = open_with(&disk, small_segments())?;
                for (position, record) in numbered(0..30) {
                    assert_eq!(append(&journal, &record)?, position);
                    acknowledged = position.0 + 1;
                }
                journal.truncate_before(Position(20))?.wait()?;
                Ok(())
            })();
            let met = disk.has_failed();
            disk.heal();
            disk.power_cut(nth);
            let (journal, records) = open_with(&disk, small_segments()).unwrap();
            let first = records.first().map_or(0, |(position, _)| position.0);
            assert!(first <= 20 && journal.next().0 >= acknowledged, "{fault:?} {nth}");
            assert_eq!(records, numbered(first..journal.next().0), "{fault:?} {nth}");
            drop(journal);
            if !met {
                break;
            }
        }
    }
}

#[test]
fn a_payload_that_imitates_frames_is_no_proof_of_damage() {
    // A guest's record holds what looks like a later frame, for every salt but the right one; then the record is torn.
    let disk = SimDisk::new(1);
    let (journal, _) = open(&disk).unwrap();
    fill(&journal, 0..2);
    let other = SimDisk::new(2);
    let foreign = Journal::open(Arc::new(other.clone()), &SimEntropy::new(99), Path::new(FOLDER), |_, _| {
        Ok::<_, JournalError>(())
    });
    fill(&foreign.unwrap(), 0..50);
    let imitation = other.read(&segments(&other)[0], 1 << 20).unwrap();
    append(&journal, &imitation).unwrap();
    let crashed = disk.fork();
    drop(journal);
    let path = segments(&crashed).remove(0);
    let start = crashed.read(&path, 1 << 20).unwrap().len() - imitation.len();
    crashed.flip_bit(&path, start as u64, 0);
    assert_eq!(open(&crashed).unwrap().1, numbered(0..2), "an unsealed last record that is torn is cut");
}

#[test]
fn any_bytes_behind_the_last_batch_are_cut() {
    for seed in 0..200 {
        let mut random = Random::new(seed);
        let disk = SimDisk::new(seed);
        let (journal, _) = open(&disk).unwrap();
        fill(&journal, 0..5);
        drop(journal);
        let (path, length) = disk.files().remove(0);
        let length_rubbish = random.index(2000);
        let rubbish = random.bytes(length_rubbish);
        disk.open(&path, FileMode::Write).unwrap().write_all_at(&rubbish, length).unwrap();
        let (journal, records) = open(&disk).unwrap();
        assert_eq!(records, numbered(0..5), "seed {seed}");
        drop(journal);
        assert!(disk.files()[0].1 <= length + 36, "the cut, and at most another mark");
    }
}
