//! A store that an older nisse wrote is brought into today's form; one that a newer nisse wrote is left as it is.

use nisse_store::{Rows as _, Table};

use super::*;
use crate::space::{Space, SpaceLimits};
use crate::store::{ITEMS, Registered, SUMMARIES, StoreError};

const REGISTER: Table = Table::new("space.register");
const STANDINGS: Table = Table::new("space.standings");

fn database(folder: &tempfile::TempDir) -> Arc<Database> {
    Arc::new(Database::open(Arc::new(SystemDisk), &folder.path().join("spaces")).expect("a database"))
}

/// Each row of all tables. The file itself is another each time that it was opened: redb notes so in its header.
fn rows(folder: &tempfile::TempDir) -> Vec<(usize, Vec<u8>, Vec<u8>)> {
    let tables =
        ["register", "chunks", "items", "documents", "views", "applied", "aside", "standings", "touched", "kept"];
    let names = tables.map(|name| Table::new(["space.", name].concat().leak()));
    let mut all = Vec::new();
    let read = database(folder).read::<_, StoreError>(|rows| {
        for (number, table) in names.into_iter().enumerate() {
            rows.with_prefix(table, &[], &mut |key, row| {
                all.push((number, key.to_vec(), row.to_vec()));
                true
            })?;
        }
        Ok(())
    });
    read.expect("read");
    assert!(all.len() > 4, "it holds something");
    all
}

/// As today's nisse writes it.
fn written(folder: &tempfile::TempDir) -> Vec<Chunk> {
    let database = database(folder);
    let chunks = vec![chunk(&[], &[1], b"one"), chunk(&[1], &[2], b"two")];
    Registered { space: SPACE, name: "notes".to_owned(), replica: [7; 16] }.keep(&database).expect("kept");
    Store::new(database, SPACE).commit(&chunks, &BTreeMap::new()).expect("kept");
    chunks
}

/// Writes a row as another nisse would.
fn plant(folder: &tempfile::TempDir, table: Table, key: &[u8], row: &[u8]) {
    database(folder).write::<_, StoreError>(|rows| Ok(rows.put(table, key, row)?)).expect("planted");
}

/// A row of the register of this version.
fn registered(version: u8) -> Vec<u8> {
    [&[0x83, version, 0x65][..], b"notes", &[0x50], &[7; 16]].concat()
}

#[test]
fn a_store_of_the_version_before_is_brought_into_todays_form_with_all_that_it_held() {
    let folder = tempfile::tempdir().expect("a folder");
    let chunks = written(&folder);
    let today = |folder| {
        let (mut items, store) = (Vec::new(), Store::new(database(folder), SPACE));
        store
            .items(&[], None, |document, chunk| {
                items.push((document, chunk));
                true
            })
            .expect("read");
        (items, store.places(DOCUMENT).expect("read"), store.summary(DOCUMENT).expect("read"))
    };
    let before = today(&folder);
    assert_eq!(before.0.len(), chunks.len());
    // It had no names of chunks, and noted nobody's standing.
    plant(&folder, REGISTER, &SPACE.0.0, &registered(1));
    let older = database(&folder);
    older
        .write::<_, StoreError>(|rows| {
            rows.remove_prefix(ITEMS, &SPACE.0.0)?;
            rows.remove_prefix(STANDINGS, &SPACE.0.0)?;
            Ok(())
        })
        .expect("planted");
    assert!(!Store::new(Arc::clone(&older), SPACE).holds(DOCUMENT, chunks[0].id()).expect("read"));
    assert!(Registered::has_older(&older).expect("read"));
    for _ in 0..2 {
        let all = Registered::all(&older).expect("read");
        assert_eq!(all, [Registered { space: SPACE, name: "notes".to_owned(), replica: [7; 16] }]);
        assert!(!Registered::has_older(&older).expect("read"));
    }
    drop(older);
    assert_eq!(today(&folder), before);
    let row = database(&folder).read(|rows| rows.get(REGISTER, &SPACE.0.0)).expect("read");
    assert_eq!(row, Some(registered(2)));
}

#[test]
fn a_list_of_spaces_that_a_newer_nisse_wrote_is_refused_and_stays_as_it_is() {
    let folder = tempfile::tempdir().expect("a folder");
    written(&folder);
    // One that is older beside it is not brought into any form either.
    plant(&folder, REGISTER, &[9; 32], &registered(1));
    plant(&folder, REGISTER, &SPACE.0.0, &registered(3));
    let before = rows(&folder);
    let refused = Registered::all(&database(&folder)).expect_err("it is newer").to_string();
    let wanted = "read which spaces there are: one is of version 3, and this nisse knows version 2: use a newer nisse";
    assert_eq!(refused, wanted);
    assert!(rows(&folder) == before, "all is as it was");
}

#[test]
fn a_document_that_a_newer_nisse_wrote_is_refused_and_stays_as_it_is() {
    let number = [SPACE.0.0.as_slice(), &DOCUMENT.0, &0_u64.to_be_bytes()].concat();
    let key = [SPACE.0.0.as_slice(), &DOCUMENT.0].concat();
    for (table, key, wanted) in [
        (super::super::CHUNKS, &number, "read a chunk of version 2: this nisse knows version 1"),
        (SUMMARIES, &key, "its summary is of version 2"),
    ] {
        let folder = tempfile::tempdir().expect("a folder");
        written(&folder);
        let row = database(&folder).read(|rows| rows.get(table, key)).expect("read").expect("a row");
        let mut newer = row.clone();
        // The first item of an array.
        assert_eq!(std::mem::replace(&mut newer[1], 2), 1, "{wanted}");
        plant(&folder, table, key, &newer);
        let before = rows(&folder);
        let store = Store::new(database(&folder), SPACE);
        let refused = match table == SUMMARIES {
            true => store.documents(|_, _| true).expect_err("it is newer"),
            false => store.load(DOCUMENT, true).map(drop).expect_err("it is newer"),
        };
        assert!(refused.to_string().contains(wanted), "{refused}");
        drop(store);
        assert!(rows(&folder) == before, "all is as it was: {wanted}");
    }
}

#[test]
fn a_space_that_a_newer_nisse_keeps_a_part_of_takes_nothing_and_stays_as_it_is() {
    let folder = tempfile::tempdir().expect("a folder");
    written(&folder);
    plant(&folder, Table::new("space.kept"), &SPACE.0.0, &[2]);
    let before = rows(&folder);
    let space = Space::open(Store::new(database(&folder), SPACE), "replica", SpaceLimits::default());
    let fault = space.fault().expect("it takes nothing").to_owned();
    assert_eq!(fault, "read which spaces there are: which documents are kept is none of this nisse's");
    drop(space);
    assert!(rows(&folder) == before, "all is as it was");
}
