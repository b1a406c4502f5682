//! Power cuts over the journal: what was acknowledged stands, what was not stands whole and in order or not at all.

use std::path::Path;
use std::sync::Arc;

use nisse_store::{Journal, JournalError, JournalOptions, Position};
use nisse_testkit::{Failure, PowerCuts, Random, SimDisk, SimEntropy, Subject, check};

/// The journal and what it was told.
#[derive(Default)]
struct JournalSubject {
    /// All records appended, by position; those from `acknowledged` on may be lost.
    records: Vec<Vec<u8>>,
    acknowledged: usize,
    /// No record before this one need be held.
    truncated: u64,
}

impl JournalSubject {
    fn open(&mut self, disk: &SimDisk, random: &mut Random) -> Result<Journal, Failure> {
        let options = JournalOptions { segment_bytes: 2000 };
        let entropy = SimEntropy::new(random.next_u64());
        let mut found: Vec<(Position, Vec<u8>)> = Vec::new();
        let disk = Arc::new(disk.clone());
        let journal = Journal::open_with(disk, &entropy, Path::new("/node/journal"), options, |position, record| {
            found.push((position, record.to_vec()));
            Ok::<_, JournalError>(())
        })?;
        let first = found.first().map_or(journal.next().0, |(position, _)| position.0);
        check(first <= self.truncated, || format!("records before {first} are gone"))?;
        for (index, (position, record)) in found.iter().enumerate() {
            check(position.0 == first + index as u64, || format!("record {position} stands at {index} after {first}"))?;
            let expected = self.records.get(position.0 as usize);
            check(expected == Some(record), || format!("record {position} is not what was appended"))?;
        }
        let next = journal.next().0 as usize;
        check(next >= self.acknowledged, || {
            format!("{} records were acknowledged and {next} stand", self.acknowledged)
        })?;
        self.records.truncate(next);
        self.acknowledged = next;
        Ok(journal)
    }

    fn append(&mut self, journal: &Journal, random: &mut Random) -> Result<(), Failure> {
        let count = if random.once_in(3) { random.index(6) } else { 1 };
        let mut batch = Vec::new();
        for _ in 0..count {
            let length_max = if random.once_in(10) { 1500 } else { 120 };
            let length = random.index(length_max);
            batch.push(random.bytes(length));
        }
        let records: Vec<&[u8]> = batch.iter().map(Vec::as_slice).collect();
        let next = journal.next().0 as usize;
        check(next == self.records.len(), || format!("record {next} comes after {}", self.records.len()))?;
        self.records.extend(batch.iter().cloned());
        journal.append_batch(&records)?.wait()?;
        self.acknowledged = self.records.len();
        Ok(())
    }
}

impl Subject for JournalSubject {
    fn live(&mut self, disk: &SimDisk, random: &mut Random) -> Result<(), Failure> {
        let journal = self.open(disk, random)?;
        for _ in 0..random.index(16) {
            if random.once_in(12) {
                let before = Position(random.below(self.acknowledged as u64 + 1));
                self.truncated = self.truncated.max(before.0);
                journal.truncate_before(before)?.wait()?;
            } else {
                self.append(&journal, random)?;
            }
        }
        Ok(())
    }
}

#[test]
fn no_power_cut_loses_an_acknowledged_record() {
    let report = PowerCuts::share("journal", 65).run(JournalSubject::default).unwrap_or_else(|text| panic!("{text}"));
    println!("{report:?}");
    assert!(report.lossy * 10 > report.cuts, "the cuts should lose something unsynced: {report:?}");
    assert!(report.interrupting * 2 > report.cuts, "the cuts should meet the journal at work: {report:?}");
}

#[test]
fn no_power_cut_after_a_failed_operation_loses_an_acknowledged_record() {
    let cuts = PowerCuts::share("journal with faults", 15).with_faults();
    let report = cuts.run(JournalSubject::default).unwrap_or_else(|text| panic!("{text}"));
    println!("{report:?}");
    assert!(report.lossy * 10 > report.cuts, "the cuts should lose something unsynced: {report:?}");
}

#[test]
fn a_missing_sync_is_noticed() {
    let planted = PowerCuts::new("journal", 4000).planting(|disk| disk.skip_sync_every(7));
    let text = planted.run(JournalSubject::default).unwrap_err();
    assert!(text.contains("seed"), "{text}");
}

#[test]
fn a_missing_sync_of_a_folder_is_noticed() {
    let planted = PowerCuts::new("journal", 4000).planting(|disk| disk.skip_dir_sync_every(3));
    let text = planted.run(JournalSubject::default).unwrap_err();
    assert!(text.contains("seed"), "{text}");
}
