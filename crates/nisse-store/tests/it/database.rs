//! Tables in transactions.

use std::ops::Bound;
use std::path::Path;
use std::sync::Arc;

use nisse_store::{Database, DatabaseError, Disk, FileMode, Position, Rows, SystemDisk, Table};
use nisse_testkit::{Fault, Random, SimDisk};

const THINGS: Table = Table::new("things");
const OTHERS: Table = Table::new("others");
const PATH: &str = "/database";

fn open(disk: &SimDisk) -> Result<Database, DatabaseError> {
    Database::open(Arc::new(disk.clone()), Path::new(PATH))
}

fn get(database: &Database, table: Table, key: &[u8]) -> Option<Vec<u8>> {
    database.read(|rows| rows.get(table, key)).unwrap()
}

#[test]
fn what_is_written_together_is_seen_together() {
    let disk = SimDisk::new(1);
    let database = open(&disk).unwrap();
    assert_eq!(get(&database, THINGS, b"a"), None, "a table that does not exist yet is empty");
    database
        .write(|rows| {
            rows.put(THINGS, b"a", b"1")?;
            rows.put(OTHERS, b"a", b"2")?;
            assert_eq!(rows.get(THINGS, b"a")?, Some(b"1".to_vec()), "a change sees itself");
            rows.set_mark("applier", Position(4))
        })
        .unwrap();
    let dropped: Result<(), DatabaseError> = database.write(|rows| {
        rows.put(THINGS, b"a", b"9")?;
        rows.remove(OTHERS, b"a")?;
        rows.put(THINGS, &[0; 2000], b"")
    });
    assert!(matches!(dropped, Err(DatabaseError::KeyTooLong { length: 2000 })));
    drop(database);
    disk.power_cut(1);
    let database = open(&disk).unwrap();
    assert_eq!(
        (get(&database, THINGS, b"a"), get(&database, OTHERS, b"a")),
        (Some(b"1".to_vec()), Some(b"2".to_vec()))
    );
    assert_eq!(database.mark("applier").unwrap(), Some(Position(4)));
    assert_eq!(database.mark("another").unwrap(), None);
}

#[test]
fn a_mark_never_goes_back() {
    let database = open(&SimDisk::new(1)).unwrap();
    database.write(|rows| rows.set_mark("applier", Position(4))).unwrap();
    database.write(|rows| rows.set_mark("applier", Position(4))).unwrap();
    let error = database.write(|rows| rows.set_mark("applier", Position(3))).unwrap_err();
    assert_eq!(error.to_string(), "move the mark `applier` back from record 4 to 3");
    assert_eq!(database.mark("applier").unwrap(), Some(Position(4)));
}

#[test]
fn rows_come_in_the_order_of_their_keys() {
    let database = open(&SimDisk::new(1)).unwrap();
    let keys: [&[u8]; 7] = [b"a", b"b", b"b\0", b"ba", b"b\xff", b"b\xff\xff", b"c"];
    database
        .write(|rows| keys.iter().rev().try_for_each(|key| rows.put(THINGS, key, key)))
        .map_err(|error: DatabaseError| error)
        .unwrap();
    let list = |from: Bound<&[u8]>, to: Bound<&[u8]>| {
        let mut found = Vec::new();
        let each = &mut |key: &[u8], value: &[u8]| {
            assert_eq!(key, value);
            found.push(key.to_vec());
            true
        };
        database.read(|rows| rows.range(THINGS, from, to, each)).unwrap();
        found
    };
    assert_eq!(list(Bound::Unbounded, Bound::Unbounded), keys);
    assert_eq!(list(Bound::Excluded(b"b"), Bound::Excluded(b"c")), keys[2..6]);
    assert_eq!(list(Bound::Included(b"ba"), Bound::Included(b"ba")), keys[3..4]);
    for (from, to) in [(Bound::Excluded(b"b"), Bound::Excluded(b"b")), (Bound::Included(b"c"), Bound::Included(b"a"))] {
        assert_eq!(list(from.map(|key: &[u8; 1]| &key[..]), to.map(|key: &[u8; 1]| &key[..])), Vec::<Vec<u8>>::new());
    }
    let mut found = Vec::new();
    let first_two = &mut |key: &[u8], _: &[u8]| {
        found.push(key.to_vec());
        found.len() < 2
    };
    database.read(|rows| rows.with_prefix(THINGS, b"b", first_two)).unwrap();
    assert_eq!(found, keys[1..3]);
    assert_eq!(database.write(|rows| rows.remove_prefix(THINGS, b"b\xff")).unwrap(), 2);
    assert_eq!(database.write(|rows| rows.remove_prefix(THINGS, b"")).unwrap(), 5);
}

#[test]
fn a_reader_sees_one_state_while_another_is_written() {
    let database = open(&SimDisk::new(1)).unwrap();
    database.write(|rows| rows.put(THINGS, b"a", b"1")).unwrap();
    database
        .read(|before| {
            database.write(|rows| rows.put(THINGS, b"a", b"2"))?;
            assert_eq!(before.get(THINGS, b"a")?, Some(b"1".to_vec()));
            Ok::<_, DatabaseError>(())
        })
        .unwrap();
    assert_eq!(get(&database, THINGS, b"a"), Some(b"2".to_vec()));
}

#[test]
fn a_lazy_change_is_seen_at_once_and_survives_after_a_flush() {
    let disk = SimDisk::new(1);
    let database = open(&disk).unwrap();
    database.write_lazily(|rows| rows.put(THINGS, b"a", b"1")).unwrap();
    assert_eq!(get(&database, THINGS, b"a"), Some(b"1".to_vec()));
    database.flush().unwrap();
    database.write_lazily(|rows| rows.put(THINGS, b"b", b"2")).unwrap();
    std::mem::forget(database);
    disk.power_cut(0);
    let database = open(&disk).unwrap();
    assert_eq!(get(&database, THINGS, b"a"), Some(b"1".to_vec()));
    assert_eq!(get(&database, THINGS, b"b"), None);
}

#[test]
fn the_real_disk_keeps_a_database_too() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("database");
    let open = || Database::open(Arc::new(SystemDisk), &path).unwrap();
    open().write(|rows| rows.put(THINGS, b"a", b"1")).unwrap();
    assert_eq!(get(&open(), THINGS, b"a"), Some(b"1".to_vec()));
    let names = SystemDisk.read_dir(folder.path()).unwrap();
    assert_eq!(names, [path], "the file of the creation is gone");
}

#[test]
fn a_file_that_is_no_database_is_refused() {
    let disk = SimDisk::new(1);
    disk.replace(Path::new(PATH), &[7; 5000]).unwrap();
    assert!(matches!(open(&disk), Err(DatabaseError::Damaged { .. })));
    let empty = SimDisk::new(1);
    empty.open(Path::new(PATH), FileMode::CreateNew).unwrap();
    let error = open(&empty).unwrap_err();
    assert!(matches!(error, DatabaseError::Damaged { .. }), "an emptied file is not a new one: {error}");
}

#[test]
fn whatever_operation_fails_the_error_is_typed_and_a_reopened_database_is_whole() {
    for fault in [Fault::Io, Fault::NoSpace, Fault::Sync] {
        for nth in 0.. {
            let disk = SimDisk::new(nth);
            disk.fail(fault(nth));
            let mut acknowledged = 0;
            let lived: Result<(), DatabaseError> = (|| {
                let database = open(&disk)?;
                for number in 1..=6u8 {
                    database.write(|rows| {
                        rows.put(THINGS, b"a", &[number])?;
                        rows.put(OTHERS, &[number], &vec![number; 5000])
                    })?;
                    acknowledged = number;
                }
                Ok(())
            })();
            let met = disk.has_failed();
            assert!(met || lived.is_ok(), "{fault:?} {nth}: {lived:?} without a fault");
            disk.heal();
            if Random::new(nth).once_in(2) {
                disk.kill();
            } else {
                disk.power_cut(nth);
            }
            let database = open(&disk).unwrap();
            let number = get(&database, THINGS, b"a").map_or(0, |value| value[0]);
            assert!(number == acknowledged || number == acknowledged + 1, "{fault:?} {nth}: {acknowledged}, {number}");
            let others = (1..=6u8).filter(|number| get(&database, OTHERS, &[*number]) == Some(vec![*number; 5000]));
            assert_eq!(others.count(), usize::from(number), "{fault:?} {nth}");
            if !met {
                // Past the last operation of an undisturbed life: every one before it was made to fail.
                assert!(nth > 6 && acknowledged == 6, "{fault:?}: {nth} operations, {acknowledged} changes");
                break;
            }
        }
    }
}
