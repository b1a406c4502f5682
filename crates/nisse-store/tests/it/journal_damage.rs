//! A damaged journal: a torn tail is cut, and anything else that is not as it was written is named.

use std::path::Path;
use std::sync::Arc;

use nisse_store::{Disk, FileMode, Journal, JournalError, Position};
use nisse_testkit::{Random, SimDisk, SimEntropy};

use crate::journal::{FOLDER, Records, append, fill, numbered, open, open_with, segments, small_segments};

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
