//! What a journal makes of an empty home.

use std::path::Path;
use std::sync::Arc;

use nisse_content::StoreOptions;
use nisse_model::{Effect, Event};
use nisse_orchestrator::{AgentKey, Cursor, Job, JobEnd, WaitingJob};
use nisse_store::Disk;
use nisse_testkit::SimDisk;

use nisse_model::Timestamp;

use super::*;
use crate::fixtures::{OWNER, assigned, deployment, name, orchestrator};

struct World {
    states: StateStore,
    database: Database,
    content: BlockStore,
}

fn world() -> World {
    let disk: Arc<dyn Disk> = Arc::new(SimDisk::new(7));
    disk.create_dir_durable(Path::new("/home/state")).expect("the simulated disk has room");
    World {
        states: StateStore::open(Arc::clone(&disk), Path::new("/home/state/agents")).expect("fresh states"),
        database: Database::open(Arc::clone(&disk), Path::new("/home/state/index")).expect("a fresh index"),
        content: BlockStore::open(disk, "/home/content".into(), StoreOptions::default()).expect("a fresh store"),
    }
}

fn completion(invocation: u8, effects: Vec<Effect>) -> Entry {
    Entry::Completion(Completion {
        deployment: deployment(1),
        owner: OWNER,
        agent: name(),
        at: Timestamp(1),
        invocation: [invocation; 16],
        succeeded: true,
        effects,
        record: Vec::new(),
    })
}

fn put(value: u8) -> Effect {
    Effect::StatePut { key: "count".to_owned(), value: vec![value] }
}

/// Recovers a journal that begins at `first`.
fn recover(world: &World, first: u64, entries: &[Entry]) -> Recovered {
    let make = || orchestrator();
    let mut recovery = Recovery::new((&world.states, &world.database), &world.content, &make);
    for (index, entry) in entries.iter().enumerate() {
        recovery.take(Position(first + index as u64), &entry.encode()).expect("the journal reads");
    }
    recovery.finish().expect("the states take it")
}

fn count(world: &World) -> Option<Vec<u8>> {
    world.states.agent(OWNER, &name()).get("count").expect("the state reads")
}

#[test]
fn committed_writes_are_applied_once_however_often_the_journal_is_read() {
    let world = world();
    let entries = [Entry::Decision(assigned()), completion(1, vec![put(1)]), completion(2, vec![put(2)])];
    for _ in 0..3 {
        let recovered = recover(&world, 0, &entries);
        assert_eq!(count(&world), Some(vec![2]));
        assert!(recovered.orchestrator.agent(&deployment(1)).is_some());
        assert_eq!(recovered.completed.len(), 2);
    }
}

/// Ten completions over three keys, with the state gone in the middle.
fn history() -> Vec<Entry> {
    let key = |at: u8| format!("key-{}", at % 3);
    let change = |at: u8| match at % 4 {
        3 => Effect::StateDelete { key: key(at + 1) },
        _ => Effect::StatePut { key: key(at), value: vec![at] },
    };
    let mut entries: Vec<_> = (1..=10).map(|at| completion(at, vec![change(at), put(at)])).collect();
    entries.insert(5, Entry::State(StateChange { owner: OWNER, agent: name(), snapshot: None }));
    entries
}

#[test]
fn a_state_is_the_same_whether_its_records_were_applied_one_by_one_or_at_once_or_some_before() {
    let entries = history();
    let root = |world: &World| world.states.agent(OWNER, &name()).root().expect("the state reads");
    let one_by_one = world();
    for (at, entry) in entries.iter().enumerate() {
        recover(&one_by_one, at as u64, std::slice::from_ref(entry));
    }
    assert_eq!(count(&one_by_one), Some(vec![10]));
    for before in 0..=entries.len() {
        let world = world();
        recover(&world, 0, &entries[..before]);
        recover(&world, 0, &entries);
        assert_eq!(root(&world), root(&one_by_one), "{before} records were applied before");
    }
}

#[test]
fn a_write_before_a_snapshot_is_applied_though_its_assignment_is_in_a_segment_that_went() {
    let world = world();
    let mut known = orchestrator();
    known.restore(&assigned());
    let entries = [completion(1, vec![put(5)]), Entry::Snapshot(known.compacted()), completion(2, Vec::new())];
    let recovered = recover(&world, 900, &entries);
    assert_eq!(count(&world), Some(vec![5]));
    assert!(recovered.orchestrator.agent(&deployment(1)).is_some(), "the snapshot stands for what went");
}

/// A decision about the alarm that the completion at this place set.
fn taken_up(completion: u64) -> Entry {
    let at = Timestamp(77);
    let (attempt, number, completion) = (1, 1, Some(completion));
    Entry::Decision(Decision::AlarmSet {
        deployment: deployment(1),
        at,
        due: at,
        attempt,
        number,
        completion,
        on_trial: false,
    })
}

fn handled() -> Entry {
    Entry::Decision(Decision::AlarmCleared { deployment: deployment(1), completion: None, on_trial: false })
}

fn sets(at: u64) -> Entry {
    completion(1, vec![Effect::AlarmSet { at: Timestamp(at) }])
}

/// What is told again of a journal that begins at `first`.
fn told_again(first: u64, entries: &[Entry]) -> Option<(Position, Option<Timestamp>)> {
    match recover(&world(), first, entries).outward[..] {
        [] => None,
        [Outward::Alarm { position, at, .. }] => Some((position, at)),
        ref more => panic!("{more:?}"),
    }
}

#[test]
fn an_alarm_that_no_decision_took_up_is_told_again_and_one_that_was_taken_up_is_not() {
    let lost = [Entry::Decision(assigned()), sets(77)];
    assert_eq!(told_again(0, &lost), Some((Position(1), Some(Timestamp(77)))));
    let taken = [lost.as_slice(), &[taken_up(1)]].concat();
    assert_eq!(told_again(0, &taken), None);
    // Of two that were set in a row, the decision about the first leaves the second.
    let second = [lost.as_slice(), &[sets(88), taken_up(1)]].concat();
    assert_eq!(told_again(0, &second), Some((Position(2), Some(Timestamp(88)))));
    // What cleared the alarm itself is taken up by its own decision.
    let clear = completion(5, vec![Effect::AlarmClear]);
    let cleared = Decision::AlarmCleared { deployment: deployment(1), completion: Some(3), on_trial: false };
    let cleared = [taken.as_slice(), &[clear, Entry::Decision(cleared)]].concat();
    assert_eq!(told_again(0, &cleared[..4]), Some((Position(3), None)));
    assert_eq!(told_again(0, &cleared), None);
}

#[test]
fn an_alarm_that_was_set_while_another_was_handled_is_told_again() {
    // The decision that the first alarm was handled comes behind a completion that set the next one.
    let entries = [Entry::Decision(assigned()), sets(77), taken_up(1), completion(2, Vec::new()), sets(99), handled()];
    assert_eq!(told_again(0, &entries[..4]), None);
    assert_eq!(told_again(0, &entries), Some((Position(4), Some(Timestamp(99)))));
}

#[test]
fn a_decision_about_a_completion_that_the_journal_let_go_takes_up_no_other() {
    // The journal was cut between a completion at 899 and the decision about it.
    let entries = [sets(99), taken_up(899)];
    assert_eq!(told_again(900, &entries), Some((Position(900), Some(Timestamp(99)))));
}

#[test]
fn a_decision_that_an_older_nisse_wrote_takes_up_what_was_told_before_it() {
    let at = Timestamp(77);
    let old = |attempt| Decision::AlarmSet {
        deployment: deployment(1),
        at,
        due: at,
        attempt,
        number: 1,
        completion: None,
        on_trial: false,
    };
    let first = [Entry::Decision(assigned()), sets(77), Entry::Decision(old(1))];
    assert_eq!(told_again(0, &first), None);
    let next = [first.as_slice(), &[sets(99), Entry::Decision(old(2))]].concat();
    assert_eq!(told_again(0, &next), Some((Position(3), Some(Timestamp(99)))), "another try takes up nothing");
}

#[test]
fn of_several_words_of_one_completion_about_its_alarm_the_last_counts() {
    let (early, late) = (Effect::AlarmSet { at: Timestamp(1) }, Effect::AlarmSet { at: Timestamp(2) });
    let twice = [Entry::Decision(assigned()), completion(1, vec![early.clone(), Effect::AlarmClear, late])];
    assert_eq!(told_again(0, &twice), Some((Position(1), Some(Timestamp(2)))));
    let cleared = [Entry::Decision(assigned()), completion(1, vec![early, Effect::AlarmClear])];
    assert_eq!(told_again(0, &cleared), Some((Position(1), None)));
}

#[test]
fn a_publication_is_handed_out_again_under_its_own_name() {
    let asset = "ETH/USD".parse().expect("an asset");
    let publish = Effect::PublishToChain { asset, value: 5, decimals: 0 };
    let entries = [Entry::Decision(assigned()), completion(3, vec![put(1), publish])];
    let keys: Vec<String> = (0..2)
        .flat_map(|_| recover(&world(), 0, &entries).outward)
        .map(|outward| match outward {
            Outward::Publish { key, position, .. } => {
                assert_eq!(position, Position(1), "the place of its record");
                key
            }
            Outward::Alarm { .. } => panic!("no alarm was set"),
        })
        .collect();
    assert_eq!(keys[0], keys[1], "the same name goes out once");
}

#[test]
fn a_destroyed_state_stays_destroyed() {
    let world = world();
    let gone = Entry::State(StateChange { owner: OWNER, agent: name(), snapshot: None });
    let entries = [Entry::Decision(assigned()), completion(1, vec![put(1)]), gone];
    recover(&world, 0, &entries);
    recover(&world, 0, &entries);
    assert_eq!(count(&world), None);
}

#[test]
fn jobs_are_as_they_were_from_wherever_the_journal_is_read_again() {
    let agent = AgentKey { owner: OWNER, name: name() };
    let job = |key: &str| {
        let event = Event::manual(key.to_owned(), Timestamp(5), "application/json".to_owned(), b"{}".to_vec());
        let id = Job::name(&agent, None, (&event.source, &event.id), event.time);
        let (agent, function) = (agent.clone(), "one".parse().expect("a name"));
        Job { id, agent, function, trigger: None, event, depth: 0, due: Timestamp(5) }
    };
    let (done, waits) = (job("done"), job("waits"));
    let (key, at) = (agent.clone(), Timestamp(9));
    let answer = nisse_model::Outcome { content_type: "text/plain".to_owned(), data: b"fine".to_vec() };
    let end = JobEnd::Completed(Some(answer.clone()));
    let entries = [
        Entry::Jobs(vec![JobChange::Added(done.clone()), JobChange::Added(waits.clone())]),
        Entry::Jobs(vec![JobChange::Ended {
            agent: key.clone(),
            id: done.id,
            attempts: 1,
            end: end.clone(),
            at,
            attempt: None,
        }]),
        Entry::Jobs(vec![JobChange::Retried {
            agent: key.clone(),
            id: waits.id,
            attempts: 2,
            due: Timestamp(77),
            reason: Some("as told".to_owned()),
            attempt: None,
        }]),
        Entry::Jobs(vec![JobChange::Moved {
            agent: key,
            trigger: "tick".parse().expect("a name"),
            cursor: Cursor { at, count: 3, is_paused: true },
        }]),
        completion(7, vec![Effect::Answer(answer.clone())]),
    ];
    let world = world();
    for first in [0, 1, 3, 0] {
        let recovered = recover(&world, first, &entries[first as usize..]);
        assert_eq!(recovered.completed, Completed::from([([7; 16], Some(answer.clone()))]));
        let (open, cursors) = table::all(&world.database).expect("the rows read");
        let expected = WaitingJob { attempts: 2, due: Timestamp(77), ..waits.waiting() };
        assert_eq!(open, [(agent.clone(), expected)]);
        let cursor = Cursor { at, count: 3, is_paused: true };
        assert_eq!(cursors, [(agent.clone(), "tick".parse().expect("a name"), cursor)]);
        let ended = table::job(&world.database, &agent, done.id).expect("the rows read").expect("it is kept");
        assert_eq!(ended.end, Some((end.clone(), at)));
        assert_eq!(table::event(&world.database, &agent, waits.id).expect("the rows read"), Some(waits.event.clone()));
    }
    recover(&world, 5, &[Entry::Jobs(vec![JobChange::Forgotten { agent: agent.clone() }])]);
    assert_eq!(table::all(&world.database).expect("the rows read"), (Vec::new(), Vec::new()));
    assert_eq!(table::job(&world.database, &agent, done.id).expect("the rows read"), None);
}

#[test]
fn a_record_of_another_kind_is_named_with_its_place() {
    let world = world();
    let make = || orchestrator();
    let mut recovery = Recovery::new((&world.states, &world.database), &world.content, &make);
    let error = recovery.take(Position(4), &[250]).expect_err("no such kind");
    assert_eq!(error.text, "failed to recover record 4 of the journal: read a journal record of kind Some(250)");
}
