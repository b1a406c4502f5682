use std::path::Path;
use std::time::Duration;

use nisse_model::{Address, CutKind, RecordOutcome, Timestamp};
use nisse_store::Disk;
use nisse_testkit::{Fault, SimDisk, SimEntropy};

use super::waiting::HELD_BYTES_MAX;
use super::*;
use crate::entry::{Closing, Completion};
use crate::fixtures;

const AGENT: DeploymentId = DeploymentId { chain: 1, contract: Address([2; 20]), number: 3 };
/// Far more than any of this takes.
const PATIENCE: Duration = Duration::from_secs(60);

fn records(disk: &SimDisk) -> Arc<Records> {
    // The journal's disk alone meets faults.
    let index: Arc<dyn Disk> = Arc::new(SimDisk::new(9));
    index.create_dir_durable(Path::new("/home")).expect("the simulated disk has room");
    let database = Arc::new(Database::open(index, Path::new("/home/index")).expect("a fresh index"));
    let mut places = Places::default();
    let journal = open(disk, |position, record| {
        let (deployment, seq, record) = record_of(record).expect("a record");
        places.restore(deployment, seq, position, record);
    });
    Arc::new(Records::new(Arc::new(journal), database, places))
}

fn open(disk: &SimDisk, mut each: impl FnMut(Position, Entry)) -> Journal {
    let folder = Path::new("/home/journal");
    Journal::open(Arc::new(disk.clone()), &SimEntropy::new(7), folder, |position, bytes| {
        each(position, Entry::decode(bytes).expect("an entry"));
        Ok::<_, JournalError>(())
    })
    .expect("the journal opens")
}

/// What the disk holds after all.
fn found(disk: &SimDisk) -> Vec<InvocationRecord> {
    let mut all = Vec::new();
    drop(open(disk, |_, entry| {
        let (_, _, record) = record_of(entry).expect("a record");
        all.push(InvocationRecord::decode(&record).expect("it decodes"));
    }));
    all
}

fn record(seq: u64, previous: Hash256, outcome: RecordOutcome) -> Vec<u8> {
    InvocationRecord { previous, outcome, ..fixtures::record(AGENT, seq) }.encode()
}

fn completion(record: &[u8]) -> Completion {
    Completion {
        deployment: AGENT,
        owner: Address([1; 20]),
        agent: "a.b".parse().expect("a name"),
        at: Timestamp(1),
        invocation: [1; 16],
        succeeded: true,
        effects: Vec::new(),
        record: record.to_vec(),
    }
}

/// An agent's end of its chain.
struct Chain {
    seq: u64,
    previous: Hash256,
}

impl Chain {
    /// The next record, as an entry. `goes_on` when the chain goes on behind it.
    fn next(&mut self, goes_on: bool) -> Vec<u8> {
        let record = record(self.seq, self.previous, RecordOutcome::Ok);
        if goes_on {
            (self.seq, self.previous) = (self.seq + 1, Hash256::of(&record));
        }
        Entry::Completion(completion(&record)).encode()
    }
}

async fn later(records: &Records, entry: &[u8]) {
    let added = records.later(None, |buffer| buffer.extend_from_slice(entry));
    tokio::time::timeout(PATIENCE, added).await.expect("it is taken in time").expect("it is taken");
}

#[tokio::test]
async fn a_burst_of_more_than_the_journals_queue_takes_goes_out_in_parts() {
    let disk = SimDisk::new(1);
    let records = records(&disk);
    let mut chain = Chain { seq: 1, previous: Hash256::ZERO };
    let mut bytes = 0;
    {
        let mut waiting = lock(&records.waiting);
        while bytes <= nisse_store::QUEUE_BYTES_MAX {
            let mut long = completion(&record(chain.seq, chain.previous, RecordOutcome::Ok));
            long.effects = vec![nisse_model::Effect::StatePut { key: "a".to_owned(), value: vec![0; 4 << 20] }];
            (chain.seq, chain.previous) = (chain.seq + 1, Hash256::of(&long.record));
            let entry = Entry::Completion(long).encode();
            bytes += entry.len();
            waiting.push(Note::default(), |buffer| buffer.extend_from_slice(&entry));
        }
        assert!(!waiting.has_room().expect("no trouble yet"), "the next one has to wait");
    }
    let next = chain.next(true);
    later(&records, &next).await;
    let settled = tokio::time::timeout(PATIENCE, records.settled()).await;
    settled.expect("it comes to an end").expect("all of it is durable");
    assert_eq!(lock(&records.waiting).has_room().ok(), Some(true), "what is durable is let go");
    drop(records);
    let seqs: Vec<u64> = found(&disk).iter().map(|record| record.seq).collect();
    assert_eq!(seqs, (1..chain.seq).collect::<Vec<_>>());
}

#[tokio::test]
async fn a_refused_write_leaves_no_hole_in_a_chain() {
    for fault in 0..2 {
        let disk = SimDisk::new(2);
        let records = records(&disk);
        let mut chain = Chain { seq: 1, previous: Hash256::ZERO };
        later(&records, &chain.next(true)).await;
        records.settled().await.expect("the disk takes it");
        disk.fail(Fault::NoSpace(fault));
        // Answered, and not durable yet.
        later(&records, &chain.next(true)).await;
        let _ = records.settled().await;
        later(&records, &chain.next(true)).await;
        // Its caller waits, is told of the full disk, and its agent goes on with another of the same number.
        let refused = chain.next(false);
        let commit = records.now(None, true, |buffer| buffer.extend_from_slice(&refused)).await.expect("it is queued");
        commit.durable().await.expect_err("the disk is full");
        disk.heal();
        let entry = chain.next(true);
        let commit = records.now(None, true, |buffer| buffer.extend_from_slice(&entry)).await.expect("it is queued");
        commit.durable().await.expect("the disk takes it again");
        records.settled().await.expect("all is well");
        drop(records);
        let found = found(&disk);
        assert_eq!(found.iter().map(|record| record.seq).collect::<Vec<_>>(), [1, 2, 3, 4], "{fault}");
        for pair in found.windows(2) {
            assert_eq!(pair[1].previous, Hash256::of(&pair[0].encode()), "{fault}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn what_a_full_disk_refused_goes_out_by_itself_once_there_is_room() {
    let disk = SimDisk::new(3);
    let records = records(&disk);
    let supervisor = crate::supervisor::Supervisor::default();
    let runner = Arc::clone(&records);
    supervisor.spawn("records", |stop| async move { runner.run(stop).await.expect("the journal goes on") });
    let mut chain = Chain { seq: 1, previous: Hash256::ZERO };
    disk.fail(Fault::NoSpace(0));
    later(&records, &chain.next(true)).await;
    // Not only met by the disk: told to the journal, so that its next place is the first again.
    while records.journal.refusals() == 0 {
        tokio::time::sleep(QUEUE_PAUSE).await;
    }
    disk.heal();
    // Nobody adds anything any more.
    while records.journal.next() == Position(0) {
        tokio::time::sleep(QUEUE_PAUSE).await;
    }
    supervisor.shut_down().await;
    drop(supervisor);
    drop(records);
    assert_eq!(found(&disk).len(), 1);
}

#[tokio::test]
async fn a_disk_that_stays_full_is_said_once_as_much_is_held_as_may_be() {
    let disk = SimDisk::new(4);
    let records = records(&disk);
    disk.fail(Fault::NoSpace(0));
    let mut taken = 0;
    let refused = loop {
        let added = records.later(None, |buffer| buffer.resize(buffer.len() + (1 << 20), 0));
        match tokio::time::timeout(PATIENCE, added).await.expect("nobody waits for ever") {
            Ok(()) => taken += 1 << 20,
            Err(error) => break error,
        }
    };
    assert!(matches!(refused, AddError::Journal(JournalError::Refused(_))), "{refused}");
    assert!((HELD_BYTES_MAX..=HELD_BYTES_MAX + (1 << 20)).contains(&taken), "{taken}");
}

#[tokio::test]
async fn only_one_record_is_ever_given_for_a_streamed_answer() {
    let disk = SimDisk::new(5);
    let records = records(&disk);
    let opening = record(1, Hash256::ZERO, RecordOutcome::Cut(CutKind::Interrupted));
    let closing = record(1, Hash256::ZERO, RecordOutcome::Ok);
    records.open(AGENT, 1);
    let entry = Entry::Opening(completion(&opening)).encode();
    let commit = records.now(Some((AGENT, 1)), true, |buffer| buffer.extend_from_slice(&entry)).await;
    commit.expect("it is queued").durable().await.expect("the disk takes it");
    assert!(matches!(records.get(&AGENT, 1), Err(RecordError::Open(1))));
    let entry = Entry::Closing(Closing { deployment: AGENT, record: closing.clone() }).encode();
    records.close_later(AGENT, 1, |buffer| buffer.extend_from_slice(&entry)).await.expect("it is taken");
    assert!(matches!(records.get(&AGENT, 1), Err(RecordError::Open(1))), "its closing is not durable yet");
    records.settled().await.expect("the disk takes it");
    assert_eq!(records.get(&AGENT, 1).expect("it reads"), Some(closing));
}

#[tokio::test]
async fn an_opening_that_was_read_is_read_again() {
    let disk = SimDisk::new(6);
    let records = records(&disk);
    let opening = record(1, Hash256::ZERO, RecordOutcome::Cut(CutKind::Interrupted));
    let entry = Entry::Opening(completion(&opening)).encode();
    later(&records, &entry).await;
    lock(&records.places).mark(AGENT, 1, Position(0));
    records.settled().await.expect("the disk takes it");
    // What stood when the node went down, say.
    assert_eq!(records.get(&AGENT, 1).expect("it reads"), Some(opening));
    let closing = record(1, Hash256::ZERO, RecordOutcome::Ok);
    let entry = Entry::Closing(Closing { deployment: AGENT, record: closing.clone() }).encode();
    records.close_later(AGENT, 1, |buffer| buffer.extend_from_slice(&entry)).await.expect("it is taken");
    records.settled().await.expect("the disk takes it");
    assert_eq!(records.get(&AGENT, 1).expect("it reads"), Some(closing));
}

#[tokio::test]
async fn an_entry_whose_writing_panics_is_none_and_harms_no_other() {
    let disk = SimDisk::new(1);
    let records = records(&disk);
    let mut chain = Chain { seq: 1, previous: Hash256::ZERO };
    later(&records, &chain.next(true)).await;
    let broken = records.later(None, |buffer| {
        buffer.extend_from_slice(b"half an ent");
        panic!("as told")
    });
    let panicked = futures::FutureExt::catch_unwind(std::panic::AssertUnwindSafe(broken)).await;
    assert_eq!(panicked.expect_err("it panicked").downcast_ref(), Some(&"as told"));
    later(&records, &chain.next(true)).await;
    records.settled().await.expect("the disk takes it");
    drop(records);
    assert_eq!(found(&disk).iter().map(|record| record.seq).collect::<Vec<_>>(), [1, 2]);
}
