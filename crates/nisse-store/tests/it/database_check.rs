//! A database that is read for what a disk may have spoilt.

use std::path::Path;
use std::sync::Arc;

use nisse_store::{Database, DatabaseError, Disk as _, Table};
use nisse_testkit::SimDisk;

const THINGS: Table = Table::new("things");
const PATH: &str = "/database";

fn open(disk: &SimDisk) -> Database {
    Database::open(Arc::new(disk.clone()), Path::new(PATH)).unwrap()
}

fn check(disk: &SimDisk) -> Result<(), DatabaseError> {
    Database::check(Arc::new(disk.clone()), Path::new(PATH))
}

/// A value that stands nowhere else.
fn value(number: u32) -> Vec<u8> {
    format!("value {number:08} ").repeat(200).into_bytes()
}

fn put(database: &Database, number: u32) {
    database.write(|rows| rows.put(THINGS, &number.to_be_bytes(), &value(number))).unwrap();
}

#[test]
fn a_sound_database_is_left_as_it_was_however_it_was_closed() {
    let disk = SimDisk::new(1);
    let database = open(&disk);
    (0..40).for_each(|number| put(&database, number));
    // The process dies here, with a change that was not flushed.
    database
        .write_lazily(|rows| rows.remove(THINGS, &7_u32.to_be_bytes()))
        .map_err(|error: DatabaseError| error)
        .unwrap();
    std::mem::forget(database);
    disk.kill();
    for closed in [false, true] {
        let before = disk.read(Path::new(PATH), 1 << 24).unwrap();
        check(&disk).unwrap_or_else(|error| panic!("closed in order: {closed}: {error}"));
        assert!(disk.read(Path::new(PATH), 1 << 24).unwrap() == before, "closed in order: {closed}");
        drop(open(&disk));
    }
    assert_eq!(disk.files().len(), 1, "nothing was made beside it");
}

#[test]
fn a_database_that_is_not_there_is_not_made() {
    let disk = SimDisk::new(1);
    assert!(matches!(check(&disk), Err(DatabaseError::Disk { .. })));
    assert_eq!(disk.files(), []);
}

#[test]
fn a_bit_that_the_disk_lost_in_a_value_is_found() {
    let disk = SimDisk::new(1);
    let database = open(&disk);
    (0..40).for_each(|number| put(&database, number));
    drop(database);
    let bytes = disk.read(Path::new(PATH), 1 << 24).unwrap();
    for number in [0, 7, 39] {
        let value = value(number);
        let copies = (0..bytes.len()).filter(|at| bytes[*at..].starts_with(&value));
        // A page that an earlier change left behind holds the same value, and is nobody's any more.
        let found = copies.filter(|at| {
            let broken = disk.fork();
            broken.flip_bit(Path::new(PATH), *at as u64 + 1_000, 0);
            matches!(check(&broken), Err(DatabaseError::Damaged { .. }))
        });
        assert_eq!(found.count(), 1, "value {number}");
    }
}
