//! Reading everything back: what is missing or spoilt is named with whoever needs it, and nothing else is.

use std::collections::BTreeSet;
use std::sync::Arc;

use nisse_content::{
    BlockStore, FAULTS_MAX, MISSED_BY_MAX, Need, Profile, StoreError, StoreOptions, Verified, WalkError,
};
use nisse_model::{ContentId, Hash256};
use nisse_store::{CopyOnWrite, SystemDisk};

use crate::support::{Home, Seeded};

const PROFILE: Profile = Profile::UnixFs2025;

fn needs(store: &BlockStore) -> Vec<Need> {
    store.pins().iter().map(Need::from).collect()
}

/// Each fault's id, cause and who misses it.
fn told(verified: &Verified) -> Vec<(ContentId, &'static str, Vec<&str>)> {
    let cause = |why: &WalkError| match why {
        WalkError::NotHeld(_) => "missing",
        WalkError::Store(StoreError::Damaged { .. }) => "damaged",
        other => panic!("{other}"),
    };
    let told = verified.faults.iter();
    told.map(|fault| (fault.cid, cause(&fault.why), fault.missed_by.iter().map(String::as_str).collect())).collect()
}

#[test]
fn every_block_that_is_needed_is_read_once() {
    let home = Home::new();
    let bytes = Seeded::bytes("all", 3_000_000);
    let cid = home.store.add_bytes(&bytes, PROFILE).unwrap();
    home.store.add_bytes(b"nobody's", PROFILE).unwrap();
    home.store.pin("added/one", &[cid]).unwrap();
    home.store.pin("added/two", &[cid]).unwrap();
    let verified = home.store.verify(&needs(&home.store));
    assert_eq!((verified.blocks, verified.faults.len()), (4, 0));
    assert!(verified.bytes.0 > 3_000_000, "{}", verified.bytes);
}

#[test]
fn a_spoilt_leaf_is_named_with_every_pin_above_it() {
    let home = Home::new();
    let cid = home.store.add_bytes(&Seeded::bytes("flip", 2_500_000), PROFILE).unwrap();
    let other = home.store.add_bytes(b"beside it", PROFILE).unwrap();
    home.store.pin("added/one", &[other, cid]).unwrap();
    home.store.pin("added/two", &[cid]).unwrap();
    home.store.pin("added/sound", &[other]).unwrap();
    let sound = home.store.verify(&needs(&home.store));
    // Before the small file stands the root, before that the third leaf.
    home.flip(0, 1_000);
    let verified = home.store.verify(&needs(&home.store));
    let told = told(&verified);
    assert_eq!((told[0].1, &told[0].2[..]), ("damaged", &["pin `added/one`", "pin `added/two`"][..]));
    assert_eq!((told.len(), verified.blocks), (1, sound.blocks - 1));
    // The newest pack is read whole when a store is opened: what does not fit its checksum is not held from then on.
    let home = home.reopened();
    let again = home.store.verify(&needs(&home.store));
    assert_eq!((again.faults[0].cid, again.faults.len()), (verified.faults[0].cid, 1));
    assert!(matches!(again.faults[0].why, WalkError::NotHeld(_)));
}

#[test]
fn what_others_than_pins_need_is_looked_for_too() {
    let home = Home::new();
    let (held, absent) = (home.store.add_bytes(b"held", PROFILE).unwrap(), ContentId::raw(Hash256::of(b"absent")));
    let need = Need { by: "agent a.b".to_owned(), roots: vec![held, absent] };
    assert_eq!(told(&home.store.verify(&[need])), [(absent, "missing", vec!["agent a.b"])]);
}

#[test]
fn what_is_named_has_a_limit() {
    let home = Home::new();
    let absent = |number: usize| ContentId::raw(Hash256::of(&number.to_be_bytes()));
    let need = |by: usize, count: usize| Need { by: by.to_string(), roots: (0..count).map(absent).collect() };
    let verified = home.store.verify(&[need(0, FAULTS_MAX + 7)]);
    assert_eq!((verified.faults.len(), verified.faults_left_out), (FAULTS_MAX, 7));
    let verified = home.store.verify(&(0..MISSED_BY_MAX + 3).map(|by| need(by, 1)).collect::<Vec<_>>());
    let by: BTreeSet<&String> = verified.faults[0].missed_by.iter().collect();
    assert_eq!(by.len(), MISSED_BY_MAX);
}

#[test]
fn a_list_of_pins_that_was_spoilt_says_so_and_a_look_changes_nothing() {
    let home = Home::new();
    let cid = home.store.add_bytes(b"kept", PROFILE).unwrap();
    for name in ["added/lost", "added/kept"] {
        home.store.pin(name, &[cid]).unwrap();
    }
    assert_eq!(home.store.usage().damaged_pins.0, 0);
    let path = home.content().join("pins");
    let mut bytes = std::fs::read(&path).unwrap();
    bytes[60] ^= 1;
    bytes.extend_from_slice(b"a torn tail");
    std::fs::write(&path, &bytes).unwrap();
    let disk = Arc::new(CopyOnWrite::new(Arc::new(SystemDisk)));
    let looked = BlockStore::open(disk, home.content(), StoreOptions::default()).unwrap();
    assert_eq!(looked.pins().len(), 1);
    assert!(looked.usage().damaged_pins.0 > 0);
    assert_eq!(std::fs::read(&path).unwrap(), bytes);
}
