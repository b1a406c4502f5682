//! A journal that is looked through as it lies there.

use std::path::Path;

use nisse_store::{Disk as _, FileMode, Journal, JournalError, JournalSurvey, Position};
use nisse_testkit::{Random, SimDisk};

use crate::journal::{FOLDER, Records, fill, numbered, open, open_with, segments, small_segments};

fn survey(disk: &SimDisk) -> Result<(JournalSurvey, Records), JournalError> {
    let mut records = Records::new();
    let each = |position, record: &[u8]| {
        records.push((position, record.to_vec()));
        Ok::<_, JournalError>(())
    };
    let survey = Journal::survey(disk, Path::new(FOLDER), each)?;
    Ok((survey, records))
}

/// What must not change.
fn contents(disk: &SimDisk) -> Vec<Vec<u8>> {
    segments(disk).iter().map(|path| disk.read(path, 1 << 20).unwrap()).collect()
}

#[test]
fn it_gives_what_opening_would_give() {
    let disk = SimDisk::new(1);
    assert_eq!(survey(&disk).unwrap().0, JournalSurvey::default(), "where no journal was begun");
    let (journal, _) = open_with(&disk, small_segments()).unwrap();
    fill(&journal, 0..60);
    journal.truncate_before(Position(30)).unwrap().wait().unwrap();
    let first = journal.first();
    drop(journal);
    let (found, records) = survey(&disk).unwrap();
    assert_eq!(records, numbered(first.0..60));
    assert_eq!((found.first, found.next, found.torn_bytes), (first, Position(60), 0));
    assert_eq!((found.records(), found.segments), (60 - first.0, segments(&disk).len()));
    assert!(first.0 > 0 && found.segments > 1);
}

#[test]
fn a_torn_tail_is_told_and_left_alone() {
    let disk = SimDisk::new(1);
    let (journal, _) = open(&disk).unwrap();
    fill(&journal, 0..5);
    drop(journal);
    let (path, length) = disk.files().remove(0);
    disk.open(&path, FileMode::Write).unwrap().write_all_at(&[7; 900], length).unwrap();
    let before = contents(&disk);
    let (found, records) = survey(&disk).unwrap();
    assert_eq!((records, found.torn_bytes), (numbered(0..5), 900));
    assert_eq!(contents(&disk), before);
    // A segment whose birth a power cut interrupted is a torn tail, too.
    let unborn = Path::new(FOLDER).join("00000000000000000005.journal");
    disk.open(&unborn, FileMode::CreateNew).unwrap().write_all_at(&[0; 40], 0).unwrap();
    let (found, records) = survey(&disk).unwrap();
    assert_eq!((records, found.segments, found.torn_bytes), (numbered(0..5), 1, 940));
    assert_eq!(segments(&disk).len(), 2);
}

#[test]
fn it_finds_the_damage_that_opening_finds_and_changes_nothing() {
    let disk = SimDisk::new(1);
    let (journal, _) = open_with(&disk, small_segments()).unwrap();
    fill(&journal, 0..60);
    drop(journal);
    let mut random = Random::new(1);
    for _ in 0..300 {
        let broken = disk.fork();
        let (path, length) = random.pick(&disk.files()).clone();
        broken.flip_bit(&path, random.below(length), 0);
        let before = contents(&broken);
        let surveyed = survey(&broken).map(|(_, records)| records).map_err(|error| error.to_string());
        assert_eq!(contents(&broken), before);
        let opened = open(&broken).map(|(_, records)| records).map_err(|error| error.to_string());
        assert_eq!(surveyed, opened);
    }
    disk.remove_file(&segments(&disk)[1]).unwrap();
    assert!(matches!(survey(&disk), Err(JournalError::Gap { .. })));
}
