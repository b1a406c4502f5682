//! A disk that fails: what the store says, and that nothing acknowledged is lost.

use std::path::PathBuf;
use std::sync::Arc;

use nisse_content::{AddError, BlockStore, GcError, PinError, PinState, Profile, StoreError, StoreOptions};
use nisse_testkit::{Fault, SimDisk};

fn open(disk: &SimDisk) -> BlockStore {
    BlockStore::open(Arc::new(disk.clone()), PathBuf::from("/content"), StoreOptions::default()).unwrap()
}

#[test]
fn after_a_failed_sync_nothing_is_written_until_the_store_is_opened_again() {
    let disk = SimDisk::new(1);
    let store = open(&disk);
    let kept = store.add_bytes(b"kept", Profile::UnixFs2025).unwrap();
    store.pin("added/kept", &[kept]).unwrap();
    disk.fail(Fault::Sync(0));
    let error = store.add_bytes(b"lost", Profile::UnixFs2025).unwrap_err();
    assert!(matches!(error, AddError::Store(StoreError::Io { action: "sync", .. })), "{error}");
    disk.heal();
    let error = store.add_bytes(b"more", Profile::UnixFs2025).unwrap_err();
    assert!(matches!(error, AddError::Store(StoreError::Stopped)), "{error}");
    assert_eq!(error.hint().unwrap(), "check the disk, then start the node again");
    assert!(matches!(store.pin("added/more", &[kept]), Err(PinError::Store(StoreError::Stopped))));
    assert!(matches!(store.unpin("added/kept"), Err(PinError::Store(StoreError::Stopped))));
    assert!(matches!(store.gc(), Err(GcError::Store(StoreError::Stopped))));
    assert_eq!(store.read_file(kept, 100).unwrap(), b"kept");
    drop(store);
    let store = open(&disk);
    assert_eq!(store.pins()[0].state, PinState::Complete);
    store.add_bytes(b"more", Profile::UnixFs2025).unwrap();
}

#[test]
fn a_full_disk_is_told_and_passes() {
    let disk = SimDisk::new(2);
    let store = open(&disk);
    let kept = store.add_bytes(b"kept", Profile::UnixFs2025).unwrap();
    for room in 0..2 {
        disk.fail(Fault::NoSpace(room));
        let error = store.add_bytes(&[room as u8; 3000], Profile::UnixFs2025).unwrap_err();
        assert_eq!(error.hint().unwrap(), "free some space on the disk, or run `nisse content gc`");
        disk.heal();
    }
    for room in 0..2 {
        disk.fail(Fault::NoSpace(room));
        assert!(store.pin("added/kept", &[kept]).is_err());
        disk.heal();
    }
    let other = store.add_bytes(b"other", Profile::UnixFs2025).unwrap();
    store.pin("added/both", &[kept, other]).unwrap();
    drop(store);
    let store = open(&disk);
    assert_eq!(store.pins().len(), 1);
    assert_eq!(store.read_file(kept, 100).unwrap(), b"kept");
    assert_eq!(store.read_file(other, 100).unwrap(), b"other");
    assert_eq!(store.usage().damaged.0, 0);
}

fn stored(disk: &SimDisk) -> u64 {
    disk.files().iter().filter(|(path, _)| path.extension().is_some_and(|end| end == "pack")).map(|(_, len)| len).sum()
}

#[test]
fn a_collection_on_a_full_disk_drops_whole_packs_and_says_what_needs_room() {
    let disk = SimDisk::new(4);
    let options = StoreOptions { pack_bytes_max: 10_000, ..StoreOptions::default() };
    let open = || BlockStore::open(Arc::new(disk.clone()), PathBuf::from("/content"), options).unwrap();
    let store = open();
    let file = |seed: u8| [seed; 4_000];
    // Three packs: one of which everything is kept, one of which a half is, one of which nothing is.
    let cids: Vec<_> = (0..6).map(|seed| store.add_bytes(&file(seed), Profile::UnixFs2025).unwrap()).collect();
    for (name, kept) in [("added/a", 0), ("added/b", 1), ("added/c", 2)] {
        store.pin(name, &[cids[kept]]).unwrap();
    }
    disk.fail(Fault::NoSpace(0));
    let before = stored(&disk);
    let collected = store.gc().unwrap();
    assert_eq!((collected.blocks, collected.crowded_packs, collected.copied), (2, 1, 0));
    assert_eq!(stored(&disk), before - collected.freed.0);
    let said = collected.left().unwrap();
    assert_eq!(
        said,
        "packs that stay, for the disk has no room for a copy of what is kept in them: 1; with 4052B more room the next \
         collection goes on"
    );
    // The second try has nothing left that goes without room: it refuses, and takes none of the disk.
    let error = store.gc().unwrap_err();
    assert!(matches!(error, GcError::NoRoom { .. }), "{error}");
    assert_eq!(
        error.to_string(),
        "collect: 4052B that are kept must be copied first, and the disk has no room for them"
    );
    assert!(error.hint().unwrap().starts_with("free 4052B on the disk, then run `nisse content gc` again"));
    assert_eq!(stored(&disk), before - collected.freed.0);
    // A copy that is half there when the room ends is taken back.
    disk.heal();
    let more = store.add_bytes(&file(9), Profile::UnixFs2025).unwrap();
    store.add_bytes(&[7; 100], Profile::UnixFs2025).unwrap();
    store.pin("added/d", &[more]).unwrap();
    let before = stored(&disk);
    for room in 1..4 {
        disk.fail(Fault::NoSpace(room));
        let _ = store.gc();
        assert!(stored(&disk) <= before, "after {room} writes");
        disk.heal();
    }
    drop(store);
    let store = open();
    assert!(store.gc().unwrap().left().is_none());
    for (cid, seed) in [(cids[0], 0), (cids[1], 1), (cids[2], 2), (more, 9)] {
        assert_eq!(store.read_file(cid, 10_000).unwrap(), file(seed));
    }
    assert_eq!((store.usage().blocks, store.usage().damaged.0), (4, 0));
    assert_eq!(store.usage().stored.0, stored(&disk));
}

#[test]
fn the_pin_log_is_rewritten_when_most_of_it_is_history() {
    let disk = SimDisk::new(3);
    let store = open(&disk);
    let cid = store.add_bytes(b"pinned often", Profile::UnixFs2025).unwrap();
    store.pin("added/stays", &[cid]).unwrap();
    let name = format!("added/{}", "n".repeat(194));
    for _ in 0..600 {
        store.pin(&name, &[cid]).unwrap();
        store.unpin(&name).unwrap();
    }
    let length = |disk: &SimDisk| disk.files().iter().find(|(path, _)| path.ends_with("pins")).unwrap().1;
    assert!(length(&disk) > 256 * 1024);
    drop(store);
    let store = open(&disk);
    assert!(length(&disk) < 200);
    assert_eq!(store.pins().len(), 1);
    store.pin("added/after", &[cid]).unwrap();
    drop(store);
    disk.power_cut(9);
    assert_eq!(open(&disk).pins().len(), 2);
}
