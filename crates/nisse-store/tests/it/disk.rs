//! The disk seam: the machine's and the simulated one keep the same rules, and the simulated one loses what it may.

use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use nisse_store::{Disk, FileMode, SystemDisk};
use nisse_testkit::{Fault, Random, SECTOR_BYTES, SimDisk};

/// What every disk does while nothing fails.
pub(crate) fn check_disk(disk: &dyn Disk, root: &Path) {
    let folder = root.join("a/b");
    disk.create_dir_durable(&folder).unwrap();
    disk.create_dir_durable(&folder).unwrap();
    let path = folder.join("file");
    assert_eq!(disk.open(&path, FileMode::Read).err().unwrap().kind(), ErrorKind::NotFound);
    let file = disk.open(&path, FileMode::CreateNew).unwrap();
    assert_eq!(disk.open(&path, FileMode::CreateNew).err().unwrap().kind(), ErrorKind::AlreadyExists);
    file.write_all_at(b"hello", 3).unwrap();
    assert_eq!(file.len().unwrap(), 8);
    let mut bytes = [9; 8];
    file.read_exact_at(&mut bytes, 0).unwrap();
    assert_eq!(&bytes, b"\0\0\0hello");
    assert_eq!(file.read_exact_at(&mut bytes, 1).unwrap_err().kind(), ErrorKind::UnexpectedEof);
    file.set_len(4).unwrap();
    file.set_len(6).unwrap();
    file.sync_data().unwrap();
    assert_eq!(disk.read(&path, 6).unwrap(), b"\0\0\0h\0\0");
    assert_eq!(disk.read(&path, 5).unwrap_err().kind(), ErrorKind::FileTooLarge);
    assert!(disk.open(&path, FileMode::Read).unwrap().write_all_at(b"x", 0).is_err());

    disk.replace(&folder.join("other"), b"1").unwrap();
    disk.replace(&folder.join("other"), b"22").unwrap();
    assert_eq!(disk.read_dir(&folder).unwrap(), [path.clone(), folder.join("other")]);
    disk.rename(&folder.join("other"), &path).unwrap();
    assert_eq!(disk.read(&path, 9).unwrap(), b"22");
    assert!(!disk.exists(&folder.join("other")) && disk.exists(&path) && disk.exists(&folder));
    disk.sync_dir(&folder).unwrap();
    disk.remove_file(&path).unwrap();
    assert_eq!(disk.remove_file(&path).unwrap_err().kind(), ErrorKind::NotFound);
    assert_eq!(disk.read_dir(&folder).unwrap(), Vec::<PathBuf>::new());

    let lock = disk.try_lock(&folder.join("lock")).unwrap();
    assert!(lock.is_some());
    assert!(disk.try_lock(&folder.join("lock")).unwrap().is_none(), "held, in the same process too");
    drop(lock);
    assert!(disk.try_lock(&folder.join("lock")).unwrap().is_some());
}

#[test]
fn the_machine_and_the_simulation_keep_the_same_rules() {
    let folder = tempfile::tempdir().unwrap();
    check_disk(&SystemDisk, folder.path());
    check_disk(&SimDisk::new(1), Path::new("/sim"));
}

#[test]
fn what_was_synced_survives_every_power_cut() {
    for seed in 0..500 {
        let disk = SimDisk::new(seed);
        disk.create_dir_durable(Path::new("/d")).unwrap();
        disk.replace(Path::new("/d/f"), b"kept").unwrap();
        let file = disk.open(Path::new("/d/f"), FileMode::Write).unwrap();
        file.write_all_at(b" or not", 4).unwrap();
        disk.power_cut(seed);
        assert_eq!(disk.read(Path::new("/d/f"), 99).unwrap()[..4], *b"kept");
        assert!(file.len().is_err(), "a handle does not outlive the power");
    }
}

#[test]
fn what_was_not_synced_is_kept_lost_or_torn_by_sectors() {
    let (mut kept, mut lost, mut torn, mut unnamed) = (0, 0, 0, 0);
    for seed in 0..500 {
        let disk = SimDisk::new(seed);
        disk.create_dir_durable(Path::new("/d")).unwrap();
        let file = disk.open(Path::new("/d/f"), FileMode::CreateNew).unwrap();
        if seed % 2 == 0 {
            disk.sync_dir(Path::new("/d")).unwrap();
        }
        file.write_all_at(&[1; 2048], 0).unwrap();
        disk.power_cut(seed);
        let Ok(bytes) = disk.read(Path::new("/d/f"), 4096) else {
            assert_ne!(seed % 2, 0, "a synced name was lost");
            unnamed += 1;
            continue;
        };
        for sector in bytes.chunks(SECTOR_BYTES as usize) {
            assert!(sector.iter().all(|byte| *byte == sector[0]), "a sector is written at once");
        }
        match bytes.iter().filter(|byte| **byte == 1).count() {
            2048 => kept += 1,
            0 => lost += 1,
            _ => torn += 1,
        }
    }
    assert!(kept > 50 && lost > 50 && torn > 50 && unnamed > 50, "{kept} {lost} {torn} {unnamed}");
}

#[test]
fn a_later_write_may_survive_an_earlier_one() {
    let survivors = (0..500).filter(|seed| {
        let disk = SimDisk::new(*seed);
        disk.replace(Path::new("/f"), &[0; 2048]).unwrap();
        let file = disk.open(Path::new("/f"), FileMode::Write).unwrap();
        file.write_all_at(&[1; 512], 0).unwrap();
        file.write_all_at(&[2; 512], 1024).unwrap();
        disk.power_cut(*seed);
        let bytes = disk.read(Path::new("/f"), 4096).unwrap();
        bytes[0] == 0 && bytes[1024] == 2
    });
    assert!(survivors.count() > 20);
}

#[test]
fn the_same_seed_gives_the_same_loss() {
    let run = |seed| {
        let disk = SimDisk::new(seed);
        let mut random = Random::new(seed);
        let file = disk.open(Path::new("/f"), FileMode::CreateNew).unwrap();
        for _ in 0..50 {
            let length = random.index(3000);
            file.write_all_at(&random.bytes(length), random.below(9000)).unwrap();
        }
        disk.sync_dir(Path::new("/")).unwrap();
        disk.power_cut(seed);
        disk.read(Path::new("/f"), 1 << 20).unwrap()
    };
    assert_eq!(run(3), run(3));
    assert!((0..9).any(|seed| run(seed) != run(seed + 1)));
}

#[test]
fn a_failed_sync_is_never_made_good_by_the_next() {
    let disk = SimDisk::new(1);
    let file = disk.open(Path::new("/f"), FileMode::CreateNew).unwrap();
    disk.sync_dir(Path::new("/")).unwrap();
    file.write_all_at(b"gone", 0).unwrap();
    disk.fail(Fault::Sync(0));
    assert!(file.sync_data().is_err());
    file.sync_data().unwrap();
    assert_eq!(disk.read(Path::new("/f"), 9).unwrap(), b"gone", "as long as the power is on, it is seen");
    disk.power_cut(1);
    assert_eq!(disk.read(Path::new("/f"), 9).unwrap(), b"");
}

#[test]
fn a_full_disk_fails_what_needs_space_until_it_is_healed() {
    let disk = SimDisk::new(1);
    let file = disk.open(Path::new("/f"), FileMode::CreateNew).unwrap();
    disk.fail(Fault::NoSpace(1));
    file.write_all_at(b"1234", 0).unwrap();
    for _ in 0..2 {
        assert_eq!(file.write_all_at(b"5678", 4).unwrap_err().kind(), ErrorKind::StorageFull);
    }
    file.set_len(2).unwrap();
    disk.heal();
    file.write_all_at(b"9", 2).unwrap();
    assert_eq!(disk.read(Path::new("/f"), 9).unwrap(), b"129");
}
