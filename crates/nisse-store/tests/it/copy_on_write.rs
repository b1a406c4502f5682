//! A disk on which everything may be done and nothing happens below.

use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use nisse_store::{CopyOnWrite, Disk, FileMode, Journal, JournalError, SystemDisk};
use nisse_testkit::{Random, SimDisk, SimEntropy};

use crate::disk::check_disk;

/// Every file with its bytes.
fn all(disk: &SimDisk) -> Vec<(PathBuf, Vec<u8>)> {
    disk.files().into_iter().map(|(path, _)| (path.clone(), disk.read(&path, 1 << 20).unwrap())).collect()
}

#[test]
fn it_keeps_the_rules_of_every_disk_and_leaves_the_one_below_alone() {
    let below = SimDisk::new(1);
    check_disk(&CopyOnWrite::new(Arc::new(below.clone())), Path::new("/sim"));
    assert_eq!(below.files(), []);

    let folder = tempfile::tempdir().unwrap();
    check_disk(&CopyOnWrite::new(Arc::new(SystemDisk)), folder.path());
    assert_eq!(SystemDisk.read_dir(folder.path()).unwrap(), Vec::<PathBuf>::new());
}

#[test]
fn what_is_written_is_read_back_as_from_any_disk() {
    let path = Path::new("/d/f");
    for seed in 0..200 {
        let mut random = Random::new(seed);
        let below = SimDisk::new(seed);
        below.create_dir_durable(Path::new("/d")).unwrap();
        let length = random.index(20_000);
        below.replace(path, &random.bytes(length)).unwrap();
        let before = all(&below);
        let (plain, over) = (below.fork(), CopyOnWrite::new(Arc::new(below.clone())));
        let files = [plain.open(path, FileMode::Write).unwrap(), over.open(path, FileMode::Write).unwrap()];
        for _ in 0..30 {
            match random.index(3) {
                0 => {
                    let length = random.below(25_000);
                    files.iter().for_each(|file| file.set_len(length).unwrap());
                }
                _ => {
                    let (length, offset) = (random.index(9_000), random.below(25_000));
                    let bytes = random.bytes(length);
                    files.iter().for_each(|file| file.write_all_at(&bytes, offset).unwrap());
                }
            }
            let (offset, length) = (random.below(25_000), random.index(9_000));
            let read = files.each_ref().map(|file| {
                let mut bytes = vec![0; length];
                file.read_exact_at(&mut bytes, offset).map(|()| bytes).map_err(|error| error.kind())
            });
            assert_eq!(read[0], read[1], "seed {seed}");
            assert_eq!(over.read(path, 1 << 20).unwrap(), plain.read(path, 1 << 20).unwrap(), "seed {seed}");
        }
        assert_eq!(all(&below), before, "seed {seed}: the disk below is as it was");
    }
}

#[test]
fn names_are_moved_and_removed_above_alone() {
    let below = SimDisk::new(1);
    below.create_dir_durable(Path::new("/d")).unwrap();
    for name in ["/d/a", "/d/b", "/d/c"] {
        below.replace(Path::new(name), name.as_bytes()).unwrap();
    }
    let before = all(&below);
    let over = CopyOnWrite::new(Arc::new(below.clone()));
    over.rename(Path::new("/d/a"), Path::new("/d/b")).unwrap();
    over.remove_file(Path::new("/d/c")).unwrap();
    over.replace(Path::new("/d/e"), b"new").unwrap();
    assert_eq!(over.read_dir(Path::new("/d")).unwrap(), [PathBuf::from("/d/b"), PathBuf::from("/d/e")]);
    assert_eq!(over.read(Path::new("/d/b"), 9).unwrap(), b"/d/a");
    assert_eq!(over.open(Path::new("/d/c"), FileMode::Read).err().unwrap().kind(), ErrorKind::NotFound);
    assert_eq!(over.access(Path::new("/d/c")).unwrap_err().kind(), ErrorKind::NotFound);
    let absent = over.open(Path::new("/nowhere/f"), FileMode::Write).err().unwrap();
    assert_eq!(absent.kind(), ErrorKind::NotFound);
    assert_eq!(all(&below), before);
}

#[test]
fn who_may_use_a_file_is_asked_below_and_of_a_new_one_nobody_is() {
    let folder = tempfile::tempdir().unwrap();
    let (kept, made) = (folder.path().join("kept"), folder.path().join("made"));
    SystemDisk.replace(&kept, b"1").unwrap();
    let over = CopyOnWrite::new(Arc::new(SystemDisk));
    over.open(&kept, FileMode::Write).unwrap().write_all_at(b"2", 0).unwrap();
    over.replace(&made, b"3").unwrap();
    assert_eq!(over.access(&kept).unwrap(), SystemDisk.access(&kept).unwrap());
    assert_eq!(over.access(&made).unwrap(), None);
    assert_eq!(SystemDisk.read(&kept, 9).unwrap(), b"1");
}

#[test]
fn a_journal_lives_on_it_and_goes_with_it() {
    let below = SimDisk::new(1);
    let folder = Path::new("/home/journal");
    let count = |disk: Arc<dyn Disk>, more: u64| {
        let mut found = 0;
        let each = |_, _: &[u8]| {
            found += 1;
            Ok::<_, JournalError>(())
        };
        let journal = Journal::open(disk, &SimEntropy::new(7), folder, each).unwrap();
        for _ in 0..more {
            journal.append(b"a record").unwrap().wait().unwrap();
        }
        found
    };
    count(Arc::new(below.clone()), 3);
    let before = all(&below);
    let over = CopyOnWrite::new(Arc::new(below.clone()));
    assert_eq!(count(Arc::new(over.clone()), 4), 3);
    assert_eq!(count(Arc::new(over), 0), 7);
    assert_eq!(all(&below), before);
}
