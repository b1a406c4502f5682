//! Agents' states: entries, roots, quotas, exports.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use nisse_model::{Address, Hash256};
use nisse_store::{
    AgentState, OVERLAY_BYTES_MAX, Overlay, Position, STATE_VALUE_BYTES_MAX, Snapshot, StateError, StateStore,
    StateUsage, StateWrite, state_root,
};
use nisse_testkit::{Random, SimDisk};
use proptest::collection::vec;
use proptest::prelude::*;

type Model = BTreeMap<String, Vec<u8>>;

fn store() -> StateStore {
    StateStore::open(Arc::new(SimDisk::new(1)), Path::new("/state")).unwrap()
}

fn agent_of(store: &StateStore, owner: u8, name: &str) -> AgentState {
    store.agent(Address([owner; 20]), &name.parse().unwrap())
}

fn agent() -> AgentState {
    agent_of(&store(), 1, "tester")
}

fn set(key: &str, value: &[u8]) -> StateWrite {
    StateWrite { key: key.into(), value: Some(value.to_vec()) }
}

fn remove(key: &str) -> StateWrite {
    StateWrite { key: key.into(), value: None }
}

fn model_root(model: &Model) -> Hash256 {
    state_root(model.iter().map(|(key, value)| (key.as_str(), value.as_slice())))
}

fn content(agent: &AgentState) -> Model {
    let keys = agent.keys("", None, usize::MAX).unwrap();
    keys.into_iter().map(|key| (key.clone(), agent.get(&key).unwrap().unwrap())).collect()
}

#[test]
fn entries_are_read_back_in_the_order_of_their_keys() {
    let agent = agent();
    assert_eq!((agent.root().unwrap(), agent.applied().unwrap()), (Hash256::ZERO, None));
    agent.apply(Position(0), &[set("b", b"2"), set("a", b"1"), set("b/1", b"3"), set("c", b"")]).unwrap();
    assert_eq!(agent.get("b").unwrap(), Some(b"2".to_vec()));
    assert_eq!(agent.get("missing").unwrap(), None);
    assert_eq!(agent.keys("", None, 99).unwrap(), ["a", "b", "b/1", "c"]);
    assert_eq!(agent.keys("b", None, 99).unwrap(), ["b", "b/1"]);
    assert_eq!(agent.keys("b", Some("b"), 99).unwrap(), ["b/1"]);
    assert_eq!(agent.keys("b", Some("a"), 1).unwrap(), ["b"]);
    assert_eq!(agent.keys("", Some("c"), 99).unwrap(), Vec::<String>::new());
    assert_eq!(agent.keys("", None, 0).unwrap(), Vec::<String>::new());
    assert_eq!(agent.usage().unwrap(), StateUsage { bytes: 9, keys: 4 });
}

#[test]
fn a_record_applied_twice_changes_nothing() {
    let agent = agent();
    let first = agent.apply(Position(3), &[set("a", b"1")]).unwrap();
    let second = agent.apply(Position(5), &[set("a", b"2"), set("b", b"2")]).unwrap();
    assert_ne!(first, second);
    for (position, write) in [(5, set("c", b"")), (3, set("a", b"1")), (4, remove("b")), (0, remove("a"))] {
        assert_eq!(agent.apply(Position(position), &[write]).unwrap(), second);
    }
    assert_eq!(agent.applied().unwrap(), Some(Position(5)));
    assert_eq!(agent.keys("", None, 9).unwrap(), ["a", "b"]);
    agent.import(Position(5), &Snapshot::read(&agent_with(&[]).export().unwrap()).unwrap()).unwrap();
    agent.destroy(Position(2)).unwrap();
    assert_eq!(agent.root().unwrap(), second);
}

fn agent_with(writes: &[StateWrite]) -> AgentState {
    let agent = agent();
    agent.apply(Position(0), writes).unwrap();
    agent
}

#[test]
fn agents_do_not_see_each_other() {
    let store = store();
    let names = [(1, "a"), (1, "ab"), (1, "a.b"), (2, "a")];
    for (index, (owner, name)) in names.into_iter().enumerate() {
        let own = agent_of(&store, owner, name);
        own.apply(Position(index as u64), &[set("b", name.as_bytes()), set("owner", &[owner])]).unwrap();
    }
    for (owner, name) in names {
        let own = agent_of(&store, owner, name);
        assert_eq!(own.keys("", None, 9).unwrap(), ["b", "owner"]);
        assert_eq!(own.get("b").unwrap(), Some(name.as_bytes().to_vec()));
    }
    agent_of(&store, 1, "a").destroy(Position(9)).unwrap();
    assert_eq!(agent_of(&store, 1, "a").root().unwrap(), Hash256::ZERO);
    assert_eq!(agent_of(&store, 1, "ab").keys("", None, 9).unwrap().len(), 2);
    assert_eq!(store.agents().unwrap().len(), 4, "a destroyed state stays known, so that no old record revives it");
}

#[test]
fn the_root_of_known_entries_never_changes() {
    // Computed by the rules in `state/root.rs` with another program; a change here breaks every receipt.
    let agent = agent_with(&[set("price/eth", b"2650.15"), set("price/btc", b"67000"), set("history/1", b"")]);
    let root = agent.root().unwrap();
    assert_eq!(root.to_string(), "85056170f1cbca349544f5e830eae8f7c21dc3877ca378ee690b371dda4f1f5b");
    assert_eq!(
        agent_with(&[set("a", b"1")]).root().unwrap().to_string(),
        "565388d4bc00257133f799d9366ac97f6e949c18acc53d17457f8859ba0f08d3"
    );
}

#[test]
fn a_root_is_known_before_it_is_applied() {
    let agent = agent();
    let mut random = Random::new(9);
    for position in 0..60 {
        let writes: Vec<StateWrite> = (0..random.index(5)).map(|_| random_write(&mut random)).collect();
        let before = agent.root().unwrap();
        let foreseen = agent.root_after(&writes).unwrap();
        assert_eq!(agent.root().unwrap(), before, "nothing was changed");
        assert_eq!(agent.apply(Position(position), &writes).unwrap(), foreseen);
        assert_eq!(model_root(&content(&agent)), foreseen);
    }
}

fn random_write(random: &mut Random) -> StateWrite {
    let key = format!("k{}", random.below(30));
    if random.once_in(3) { remove(&key) } else { set(&key, &random.next_u64().to_le_bytes()) }
}

#[test]
fn limits_are_held_before_anything_is_committed() {
    let mut overlay = Overlay::new(agent_with(&[set("old", &[0; 95])]), 100).unwrap();
    let error = overlay.set("", b"").unwrap_err();
    assert_eq!(error.to_string(), "use a key of 0 bytes in a state: 1 to 512 are allowed");
    assert!(matches!(overlay.set(&"k".repeat(513), b""), Err(StateError::Key { length: 513 })));
    assert!(matches!(overlay.get(&"k".repeat(513)), Err(StateError::Key { .. })));
    let error = overlay.set("k", &vec![0; STATE_VALUE_BYTES_MAX + 1]).unwrap_err();
    assert_eq!(error.to_string(), "keep a value of 1048577 bytes in a state: at most 1048576 are allowed");
    overlay.set("k", b"1").unwrap();
    let error = overlay.set("l", b"1").unwrap_err();
    assert_eq!(error.to_string(), "keep 102 bytes in a state: its quota is 100");
    overlay.remove("old").unwrap();
    overlay.set("l", b"1").unwrap();
    assert_eq!(overlay.held_bytes(), 4);

    // A quota that was lowered: what makes the state smaller is taken.
    let mut lowered = Overlay::new(agent_with(&[set("old", &[0; 95])]), 10).unwrap();
    lowered.set("old", &[1; 50]).unwrap();
    assert!(matches!(lowered.set("old", &[1; 51]), Err(StateError::Quota { .. })));

    let mut large = Overlay::new(agent(), u64::MAX).unwrap();
    let value = vec![0; STATE_VALUE_BYTES_MAX];
    let mut taken = 0;
    while large.set(&format!("k{taken}"), &value).is_ok() {
        taken += 1;
    }
    assert_eq!(taken, OVERLAY_BYTES_MAX / STATE_VALUE_BYTES_MAX as u64 - 1);
    assert!(matches!(large.set("more", &value), Err(StateError::TooManyWrites)));
    assert!(matches!(agent().apply(Position(0), &[set("", b"")]), Err(StateError::Key { .. })));
}

#[test]
fn an_export_is_the_same_for_the_same_entries_and_restores_them() {
    let entries = [set("a", b"1"), set("b", &[7; 1000]), set("c", b"")];
    let first = agent_with(&entries);
    let second = agent();
    second.apply(Position(0), &[set("z", b"gone"), set("c", b"x")]).unwrap();
    second.apply(Position(1), &[entries[2].clone(), remove("z"), entries[1].clone(), entries[0].clone()]).unwrap();
    let export = first.export().unwrap();
    assert_eq!(second.export().unwrap(), export);
    let snapshot = Snapshot::read(&export).unwrap();
    assert_eq!((snapshot.root(), snapshot.usage()), (first.root().unwrap(), first.usage().unwrap()));

    let later = agent_with(&[set("b", b"later"), set("d", b"later")]);
    assert_eq!(later.import(Position(1), &snapshot).unwrap(), first.root().unwrap());
    assert_eq!((content(&later), later.usage().unwrap()), (content(&first), first.usage().unwrap()));
    assert_eq!(later.export().unwrap(), export);
    later.apply(Position(2), &[remove("a"), remove("b"), remove("c")]).unwrap();
    assert_eq!((later.root().unwrap(), later.usage().unwrap()), (Hash256::ZERO, StateUsage::default()));
}

#[test]
fn an_export_with_one_changed_bit_is_refused() {
    let export = agent_with(&[set("a", b"1"), set("b", b"22"), set("c", b"")]).export().unwrap();
    for bit in 0..export.len() * 8 {
        let mut broken = export.clone();
        broken[bit / 8] ^= 1 << (bit % 8);
        assert!(Snapshot::read(&broken).is_err(), "bit {bit}");
    }
    for length in 0..export.len() {
        assert!(Snapshot::read(&export[..length]).is_err(), "cut to {length}");
    }
    assert!(Snapshot::read(&[&export[..], &[0]].concat()).is_err());
    let mut newer = export.clone();
    newer[8] = 2;
    let error = Snapshot::read(&newer).unwrap_err();
    assert_eq!(error.to_string(), "read a state's export: it was made by a newer nisse (format 2)");
}

#[derive(Debug, Clone)]
enum Step {
    Apply(Vec<(u8, Option<u8>)>),
    Restore,
    Keep,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let writes = vec((0..40u8, proptest::option::weighted(0.7, any::<u8>())), 0..6);
    vec(prop_oneof![8 => writes.prop_map(Step::Apply), 1 => Just(Step::Restore), 1 => Just(Step::Keep)], 0..40)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn a_state_is_what_a_plain_map_is(steps in steps()) {
        let agent = agent();
        let (mut model, mut kept) = (Model::new(), (agent.export().unwrap(), Model::new()));
        for (position, step) in steps.into_iter().enumerate() {
            let position = Position(position as u64);
            match step {
                Step::Apply(writes) => {
                    let mut overlay = Overlay::new(agent.clone(), 1000).unwrap();
                    for (key, value) in writes {
                        let key = format!("{}/{key}", key % 3);
                        match value {
                            Some(value) => {
                                overlay.set(&key, &[value]).unwrap();
                                model.insert(key, vec![value]);
                            }
                            None => {
                                overlay.remove(&key).unwrap();
                                model.remove(&key);
                            }
                        }
                    }
                    for prefix in ["", "0", "1/", "2/3", "3"] {
                        let expected: Vec<&String> = model.keys().filter(|key| key.starts_with(prefix)).collect();
                        let all = overlay.keys(prefix, None, 99).unwrap();
                        prop_assert_eq!(all.iter().collect::<Vec<_>>(), expected);
                        let mut paged: Vec<String> = Vec::new();
                        loop {
                            let page = overlay.keys(prefix, paged.last().map(String::as_str), 2).unwrap();
                            if page.is_empty() {
                                break;
                            }
                            paged.extend(page);
                        }
                        prop_assert_eq!(paged, all);
                    }
                    for key in model.keys() {
                        prop_assert_eq!(overlay.get(key).unwrap(), model.get(key).cloned());
                    }
                    agent.apply(position, &overlay.into_writes()).unwrap();
                }
                Step::Restore => {
                    agent.import(position, &Snapshot::read(&kept.0).unwrap()).unwrap();
                    model = kept.1.clone();
                }
                Step::Keep => kept = (agent.export().unwrap(), model.clone()),
            }
            prop_assert_eq!(content(&agent), model.clone());
            prop_assert_eq!(agent.root().unwrap(), model_root(&model));
            let bytes = model.iter().map(|(key, value)| (key.len() + value.len()) as u64).sum();
            prop_assert_eq!(agent.usage().unwrap(), StateUsage { bytes, keys: model.len() as u64 });
        }
    }

    #[test]
    fn no_bytes_make_reading_an_export_panic(bytes in vec(any::<u8>(), 0..300)) {
        let _ = Snapshot::read(&bytes);
        let mut headed = b"NISSESTA\x01\0\0\0".to_vec();
        headed.extend(bytes);
        let _ = Snapshot::read(&headed);
    }
}
