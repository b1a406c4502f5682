//! A space that is exported, and brought back as by a replica.

use std::borrow::Cow;
use std::collections::BTreeSet;

use super::*;
use crate::chunk_sync::{Frame, Wanted};
use crate::{Export, ExportHeader, ExportPart, ExportReader, Whereabouts, item_of_stored};

const FILE: PeerKey = PeerKey(7_000);

fn exported(world: &World) -> Vec<Vec<u8>> {
    let header = ExportHeader { space: SPACE, name: "notes".to_owned(), begun: Timestamp(5) };
    let (mut export, mut bytes) = Export::begin(world.space.store().clone(), &header);
    while let Some(portion) = export.chunks().expect("the store can be read") {
        bytes.extend(portion);
    }
    bytes.extend(export.end());
    let (mut reader, mut chunks, mut is_over) = (ExportReader::default(), Vec::new(), false);
    reader.push(&bytes);
    while let Some(part) = reader.part().expect("it reads as it was written") {
        match part {
            ExportPart::Chunk(stored) => chunks.push(stored),
            ExportPart::End => is_over = true,
            _ => {}
        }
    }
    assert!(is_over && reader.finish().is_ok());
    chunks
}

/// Brings chunks as the import does; gives why that came to an end, if it did.
fn bring(world: &mut World, chunks: &[Vec<u8>]) -> Option<String> {
    let rights = Rights { subject: None, role: Role::Read };
    let nothing = Wanted::Only(BTreeSet::new());
    let hello = Frame::Hello { space: SPACE, wanted: nothing, ranges: Vec::new() }.encode();
    let speaks = Speaks::Chunks { first: false, wanted: Wanted::All };
    let mut events = vec![Event::Opened { peer: FILE, rights, speaks }, Event::Frame { peer: FILE, bytes: hello }];
    for portion in chunks.chunks(3) {
        let chunks = portion.iter().map(|chunk| Cow::Borrowed(chunk.as_slice())).collect();
        events.push(Event::Frame { peer: FILE, bytes: Frame::Chunks { chunks, missing: Vec::new() }.encode() });
    }
    events.push(Event::Closed { peer: FILE });
    let mut why = None;
    for event in events {
        for effect in world.space.turn(vec![event], &world.keeper) {
            match effect {
                Effect::Close { peer: FILE, why: told } => why = Some(told),
                Effect::Send { peer: FILE, .. } => {}
                other => world.deliver(vec![other]),
            }
        }
    }
    why
}

fn written(folder: &std::path::Path, keeper: u8, lines: &[&str]) -> World {
    let mut world = World::new(folder);
    world.keeper = Keeper::new(keeper);
    let writer = world.connect(Client::new("writer", keeper), Role::Edit);
    for (place, line) in lines.iter().enumerate() {
        world.clients[writer].write(if place % 2 == 0 { NOTES } else { DocumentId([4; 16]) }, line);
        world.settle();
    }
    world
}

fn whereabouts(world: &World, chunks: &[Vec<u8>]) -> Vec<Whereabouts> {
    let at = |chunk: &Vec<u8>| {
        let item = item_of_stored(chunk).expect("a chunk");
        world.space.store().whereabouts(item).expect("the store can be read")
    };
    chunks.iter().map(at).collect()
}

#[test]
fn what_was_exported_is_there_again_and_a_second_time_changes_nothing() {
    let folders = [(); 2].map(|()| tempfile::tempdir().expect("a folder"));
    let world = written(folders[0].path(), 20, &["milk", "bread", "salt", "tea"]);
    let chunks = exported(&world);
    assert_eq!(chunks.len(), 4);
    let mut other = World::new(folders[1].path());
    assert_eq!(whereabouts(&other, &chunks), [Whereabouts::Nowhere; 4]);
    assert_eq!(bring(&mut other, &chunks), None);
    assert_eq!(whereabouts(&other, &chunks), [Whereabouts::Placed; 4]);
    assert_eq!(other.read(NOTES), ["milk", "salt"]);
    let changes = other.space.changes();
    assert_eq!(bring(&mut other, &chunks), None);
    assert_eq!(other.space.changes(), changes, "nothing was new");
    assert_eq!(exported(&other), chunks, "the same, in the same order");
}

#[test]
fn it_is_merged_with_what_is_there_by_now() {
    let folders = [(); 2].map(|()| tempfile::tempdir().expect("a folder"));
    let world = written(folders[0].path(), 20, &["milk"]);
    let mut other = written(folders[1].path(), 30, &["bread"]);
    assert_eq!(bring(&mut other, &exported(&world)), None);
    assert_eq!(other.read(NOTES), ["bread", "milk"]);
}

#[test]
fn what_is_set_aside_is_exported_and_set_aside_again() {
    let folders = [(); 2].map(|()| tempfile::tempdir().expect("a folder"));
    let mut world = written(folders[0].path(), 20, &["milk", "bread", "salt"]);
    let author = world.keeper.key.did();
    let cut = |world: &mut World| {
        world.keeper.words.lock().expect("no test panics here").insert(author, Word::CutOff);
        world.turn(vec![Event::Credentials]);
    };
    cut(&mut world);
    let chunks = exported(&world);
    assert_eq!(whereabouts(&world, &chunks), [Whereabouts::Aside; 3]);
    let mut other = World::new(folders[1].path());
    cut(&mut other);
    assert_eq!(bring(&mut other, &chunks), None);
    assert_eq!(whereabouts(&other, &chunks), [Whereabouts::Aside; 3]);
    other.keeper.words.lock().expect("no test panics here").clear();
    other.turn(vec![Event::Credentials]);
    assert_eq!(whereabouts(&other, &chunks), [Whereabouts::Placed; 3]);
}

#[test]
fn whose_author_nobody_knows_is_set_aside_until_they_are_known() {
    let folders = [(); 2].map(|()| tempfile::tempdir().expect("a folder"));
    let world = written(folders[0].path(), 20, &["milk", "bread", "salt"]);
    let chunks = exported(&world);
    let mut other = World::new(folders[1].path());
    other.keeper.words.lock().expect("no test panics here").insert(world.keeper.key.did(), Word::Unknown);
    assert_eq!(bring(&mut other, &chunks), None);
    assert_eq!(whereabouts(&other, &chunks), [Whereabouts::Aside; 3]);
    other.keeper.words.lock().expect("no test panics here").clear();
    other.turn(vec![Event::Credentials]);
    assert_eq!(whereabouts(&other, &chunks), [Whereabouts::Placed; 3]);
}

#[test]
fn a_chunk_that_is_another_ends_the_import() {
    let folders = [(); 2].map(|()| tempfile::tempdir().expect("a folder"));
    let world = written(folders[0].path(), 20, &["milk", "bread", "salt"]);
    let chunks = exported(&world);
    let mut forged = chunks.clone();
    let last = forged[1].len() - 1;
    forged[1][last] ^= 1;
    let mut third = World::new(folders[1].path());
    let why = bring(&mut third, &forged).expect("it is refused");
    assert!(why.contains("its signature is not one of"), "{why}");
    // One that stands before it in the same frame is a chunk like any other.
    assert_eq!(whereabouts(&third, &chunks)[1..], [Whereabouts::Nowhere; 2]);

    let mut foreign = Chunk::decode(&chunks[0]).expect("a chunk").changes().clone();
    foreign.space = CredentialId(Hash256([9; 32]));
    let signature = world.keeper.key.sign(Changes::CONTEXT, &foreign.signed_bytes());
    let foreign = foreign.with_signature(signature).expect("signed").stored().to_vec();
    let why = bring(&mut third, &[foreign]).expect("it is refused");
    assert!(why.contains("a chunk of another space"), "{why}");
}
