use std::path::Path;

use nisse_model::{ContentId, CutKind, Fuel};
use nisse_store::{Database, Disk, Journal, JournalError, StateStore};
use nisse_testkit::{Fault, SimClock, SimDisk, SimEntropy};

use super::*;
use crate::agent::{OUTWARD_QUEUE_MAX, Stats};
use crate::entry::Entry;
use crate::records::Places;

const AGENT: DeploymentId = DeploymentId { chain: 1, contract: Address([2; 20]), number: 3 };
const OWNER: Address = Address([1; 20]);

/// A home whose journal is on one disk, and whose states are on another.
pub(in crate::agent) struct World {
    journals: SimDisk,
    states: SimDisk,
}

impl World {
    pub(in crate::agent) fn new() -> Self {
        let (journals, states) = (SimDisk::new(1), SimDisk::new(2));
        states.create_dir_durable(Path::new("/home")).expect("the simulated disk has room");
        Self { journals, states }
    }

    pub(in crate::agent) fn states(&self) -> StateStore {
        StateStore::open(Arc::new(self.states.clone()), Path::new("/home/states")).expect("the states open")
    }

    fn journal(&self, mut each: impl FnMut(Entry)) -> Journal {
        let disk = Arc::new(self.journals.clone());
        Journal::open(disk, &SimEntropy::new(7), Path::new("/home/journal"), |_, bytes| {
            each(Entry::decode(bytes).expect("an entry"));
            Ok::<_, JournalError>(())
        })
        .expect("the journal opens")
    }

    pub(in crate::agent) fn committer(&self, states: &StateStore) -> Committer {
        let package = package();
        let state = states.agent(OWNER, &package.agent_id.name);
        let index: Arc<dyn Disk> = Arc::new(SimDisk::new(3));
        index.create_dir_durable(Path::new("/home")).expect("the simulated disk has room");
        let database = Arc::new(Database::open(index, Path::new("/home/index")).expect("a fresh index"));
        let journal = Arc::new(self.journal(|_| {}));
        let parts = AgentParts {
            spaces: None,
            deployment: AGENT,
            owner: OWNER,
            package,
            engine: Hash256::ZERO,
            state,
            publishes: false,
            unapplied: Unapplied::new(Arc::clone(&journal), Arc::new(SimClock::default())),
            records: Arc::new(Records::new(journal, database, Places::default())),
            ledger: Arc::default(),
            outward: mpsc::channel(OUTWARD_QUEUE_MAX).0,
            log: Arc::default(),
            clock: Arc::new(SimClock::new(Timestamp(1))),
            entropy: Arc::new(SimEntropy::new(4)),
            stats: Arc::new(Stats::default()),
        };
        Committer::new(parts, None).expect("the state reads")
    }
}

fn package() -> PackageRef {
    let hash = Hash256::of(b"filler");
    PackageRef {
        agent_id: "filler@v1.0.0".parse().expect("an id"),
        manifest_cid: ContentId::raw(hash),
        artifact_cid: ContentId::raw(hash),
        artifact_hash: hash,
        config_hash: hash,
    }
}

pub(in crate::agent) fn trace(outcome: RecordOutcome) -> Trace {
    Trace {
        instance: InstanceId([0; 16]),
        index: 0,
        input: Hash256::ZERO,
        output: Hash256::ZERO,
        host_calls: Vec::new(),
        fuel: Fuel(1),
        outcome,
        log_lines_dropped: 0,
    }
}

/// A place that no journal reaches.
const NEVER: Position = Position(u64::MAX);

fn megabyte(key: u64) -> Vec<Effect> {
    vec![Effect::StatePut { key: format!("{key:03}"), value: vec![7; 1 << 20] }]
}

#[tokio::test]
async fn an_agent_whose_durable_change_is_not_applied_changes_nothing_more() {
    let world = World::new();
    let states = world.states();
    let mut committer = world.committer(&states);
    world.states.fail(Fault::NoSpace(0));
    let mut made = 0;
    let refused = loop {
        assert!(made < 100, "a state of a hundred megabytes takes room");
        match committer.commit(InvocationId([1; 16]), megabyte(made), trace(RecordOutcome::Ok), false).await {
            Ok(seq) => made = seq,
            Err(error) => break error,
        }
    };
    assert!(refused.starts_with("apply what an agent changed to its state: "), "{refused}");
    assert_eq!(held(&committer), Some(Position(made)), "only the next start can apply it");
    world.states.heal();
    for may_wait in [false, true] {
        let next = committer.commit(InvocationId([2; 16]), Vec::new(), trace(RecordOutcome::Ok), may_wait).await;
        assert!(next.expect_err("the state lags behind").starts_with("go on before the node is started again: "));
    }
    committer
        .open(InvocationId([3; 16]), megabyte(0), trace(RecordOutcome::Cut(CutKind::Interrupted)))
        .await
        .expect_err("the state lags behind");
    let supervisor = crate::supervisor::Supervisor::default();
    committer.parts.records.run(supervisor.stop_signal()).await.expect_err("the node cannot go on");
    // Whoever lives next does not give the number of a durable record again.
    let ledger = Arc::clone(&committer.parts.ledger);
    drop(committer);
    assert_eq!(ledger.tip(&AGENT).map(|(seq, _)| seq), Some(made + 1));
    let mut seqs = Vec::new();
    drop(world.journal(|entry| {
        let Entry::Completion(completion) = entry else { panic!("{entry:?}") };
        seqs.extend(InvocationRecord::seq_of(&completion.record));
    }));
    assert_eq!(seqs, (1..=made + 1).collect::<Vec<_>>());
}

#[tokio::test]
async fn a_streamed_answer_whose_end_is_refused_is_followed_by_what_follows_its_opening() {
    let world = World::new();
    let states = world.states();
    let mut committer = world.committer(&states);
    let interrupted = trace(RecordOutcome::Cut(CutKind::Interrupted));
    let seq = committer.open(InvocationId([1; 16]), megabyte(1), interrupted).await.expect("its head leaves");
    committer.parts.records.end("go on".to_owned());
    committer.close(Some(trace(RecordOutcome::Ok))).await.expect_err("nothing is taken");
    let (records, ledger) = (Arc::clone(&committer.parts.records), Arc::clone(&committer.parts.ledger));
    drop(committer);
    let opening = records.get(&AGENT, seq).expect("it is not open any more").expect("it is durable");
    assert_eq!(ledger.tip(&AGENT), Some((seq, Hash256::of(&opening))));
}

/// From where on the journal is kept for what is not in place yet.
fn held(committer: &Committer) -> Option<Position> {
    Some(committer.parts.unapplied.settled(NEVER)).filter(|held| *held != NEVER)
}

/// A commit that is left alone in the middle, as a panic or the end of its runtime would leave it.
async fn broken_off(committer: &mut Committer) -> u64 {
    for made in 0..1_000 {
        let id = InvocationId([9; 16]);
        let commit = committer.commit(id, megabyte(made), trace(RecordOutcome::Ok), false);
        // Most of a megabyte's way to the disk is still before it, but a machine may be faster than that.
        if futures::poll!(std::pin::pin!(commit)).is_pending() {
            return made;
        }
    }
    panic!("no commit ever waited");
}

#[tokio::test]
async fn a_number_whose_record_may_stand_is_never_given_again() {
    let world = World::new();
    let states = world.states();
    let mut committer = world.committer(&states);
    let stands = broken_off(&mut committer).await + 1;
    let unapplied = Arc::clone(&committer.parts.unapplied);
    let refused = committer.commit(InvocationId([1; 16]), Vec::new(), trace(RecordOutcome::Ok), true).await;
    let words = "learn whether an agent's last record stands: the call that made it broke off";
    assert_eq!(refused.expect_err("nobody knows what came before"), words);
    let interrupted = trace(RecordOutcome::Cut(CutKind::Interrupted));
    committer.open(InvocationId([1; 16]), Vec::new(), interrupted).await.expect_err("an opening is a record as well");
    let (records, ledger) = (Arc::clone(&committer.parts.records), Arc::clone(&committer.parts.ledger));
    drop(committer);
    assert_eq!(unapplied.settled(NEVER), Position(stands - 1), "what it changes is kept for the next start");
    assert_eq!(ledger.tip(&AGENT), None, "nobody goes on from there in this life of the node");
    let supervisor = crate::supervisor::Supervisor::default();
    records.run(supervisor.stop_signal()).await.expect_err("the node cannot go on");
    drop(records);
    let mut seqs = Vec::new();
    drop(world.journal(|entry| {
        let Entry::Completion(completion) = entry else { panic!("{entry:?}") };
        seqs.extend(InvocationRecord::seq_of(&completion.record));
    }));
    assert_eq!(seqs, (1..=stands).collect::<Vec<_>>(), "each number once");
}

#[tokio::test]
async fn a_number_is_given_again_when_the_disk_has_refused_its_record() {
    let world = World::new();
    let states = world.states();
    let mut committer = world.committer(&states);
    let ok = || trace(RecordOutcome::Ok);
    assert_eq!(committer.commit(InvocationId([1; 16]), megabyte(1), ok(), false).await, Ok(1));
    world.journals.fail(Fault::NoSpace(0));
    committer.commit(InvocationId([2; 16]), megabyte(2), ok(), false).await.expect_err("there is no room");
    assert_eq!(held(&committer), None, "it stands nowhere");
    world.journals.heal();
    assert_eq!(committer.commit(InvocationId([3; 16]), megabyte(3), ok(), false).await, Ok(2));
    assert_eq!(held(&committer), None, "all of it is in place");
}
