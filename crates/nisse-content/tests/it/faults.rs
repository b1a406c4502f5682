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
    store.pin("kept", &[kept]).unwrap();
    disk.fail(Fault::Sync(0));
    let error = store.add_bytes(b"lost", Profile::UnixFs2025).unwrap_err();
    assert!(matches!(error, AddError::Store(StoreError::Io { action: "sync", .. })), "{error}");
    disk.heal();
    let error = store.add_bytes(b"more", Profile::UnixFs2025).unwrap_err();
    assert!(matches!(error, AddError::Store(StoreError::Stopped)), "{error}");
    assert_eq!(error.hint().unwrap(), "check the disk, then start the node again");
    assert!(matches!(store.pin("more", &[kept]), Err(PinError::Store(StoreError::Stopped))));
    assert!(matches!(store.unpin("kept"), Err(PinError::Store(StoreError::Stopped))));
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
        assert!(store.pin("kept", &[kept]).is_err());
        disk.heal();
    }
    let other = store.add_bytes(b"other", Profile::UnixFs2025).unwrap();
    store.pin("both", &[kept, other]).unwrap();
    drop(store);
    let store = open(&disk);
    assert_eq!(store.pins().len(), 1);
    assert_eq!(store.read_file(kept, 100).unwrap(), b"kept");
    assert_eq!(store.read_file(other, 100).unwrap(), b"other");
    assert_eq!(store.usage().damaged.0, 0);
}

#[test]
fn the_pin_log_is_rewritten_when_most_of_it_is_history() {
    let disk = SimDisk::new(3);
    let store = open(&disk);
    let cid = store.add_bytes(b"pinned often", Profile::UnixFs2025).unwrap();
    store.pin("stays", &[cid]).unwrap();
    let name = "n".repeat(200);
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
    store.pin("after", &[cid]).unwrap();
    drop(store);
    disk.power_cut(9);
    assert_eq!(open(&disk).pins().len(), 2);
}
