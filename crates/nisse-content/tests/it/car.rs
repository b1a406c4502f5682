//! CAR files written and read back, and senders that cheat.

use nisse_content::car::{CarError, CarLimits, CarReader, CarStream, DagScope, ReceiveError, assemble, receive};
use nisse_content::unixfs::Resolved;
use nisse_content::{Profile, VerifiedBlock};
use nisse_model::{ContentId, Hash256};
use proptest::prelude::*;

use crate::support::{Home, Seeded};

fn car(home: &Home, target: ContentId, scope: DagScope) -> Vec<u8> {
    let path = Resolved { through: vec![], target };
    let pieces: Result<Vec<_>, _> = CarStream::new(&*home.store, path, scope).collect();
    pieces.unwrap().concat()
}

/// Where each section of a CAR starts, its end last.
fn sections(car: &[u8]) -> Vec<usize> {
    let (mut at, mut starts) = (0, vec![]);
    while at < car.len() {
        starts.push(at);
        let (mut length, mut shift) = (0, 0);
        loop {
            let byte = car[at];
            at += 1;
            length |= usize::from(byte & 127) << shift;
            shift += 7;
            if byte < 128 {
                break;
            }
        }
        at += length;
    }
    starts.push(at);
    starts
}

fn refused(car: &[u8], root: ContentId) -> CarError {
    match assemble(&mut &*car, root, 10 << 20).unwrap_err() {
        ReceiveError::Car(error) => error,
        other => panic!("{other}"),
    }
}

#[test]
fn a_car_has_the_header_that_the_specification_shows() {
    let home = Home::new();
    let root = home.store.add_bytes(b"hello world", Profile::UnixFs2025).unwrap();
    let car = car(&home, root, DagScope::All);
    let mut expected = vec![0x3a, 0xa2, 0x65];
    expected.extend_from_slice(b"roots\x81\xd8\x2a\x58\x25\x00");
    expected.extend_from_slice(&root.to_bytes());
    expected.extend_from_slice(b"\x67version\x01\x2f");
    expected.extend_from_slice(&root.to_bytes());
    expected.extend_from_slice(b"hello world");
    assert_eq!(car, expected);
}

#[test]
fn what_one_store_writes_another_receives() {
    let bytes = Seeded::bytes("car", 3_200_000);
    for profile in [Profile::UnixFs2025, Profile::UnixFs2015, Profile::RawLeaves256KiB] {
        let (from, to) = (Home::new(), Home::new());
        let root = from.store.add_bytes(&bytes, profile).unwrap();
        let car = car(&from, root, DagScope::Entity);
        assert!(assemble(&mut &*car, root, 4_000_000).unwrap() == bytes);
        let batch = to.store.batch();
        let reader = CarReader::new(root, DagScope::All, CarLimits::file_bytes(4_000_000));
        let received = receive(&batch, &mut &*car, reader).unwrap();
        batch.commit_and_pin("added/received", &[root]).unwrap();
        assert_eq!(received.blocks, to.store.usage().blocks);
        let to = to.reopened();
        assert!(to.store.read_file(root, 4_000_000).unwrap() == bytes);
    }
}

#[test]
fn a_repeated_block_is_sent_once_and_counts_everywhere() {
    let home = Home::new();
    let bytes = vec![7; 3 << 20];
    let root = home.store.add_bytes(&bytes, Profile::UnixFs2025).unwrap();
    let car = car(&home, root, DagScope::All);
    assert!(car.len() < (1 << 20) + 1000);
    assert!(assemble(&mut &*car, root, 3 << 20).unwrap() == bytes);
}

#[test]
fn a_sender_that_cheats_is_refused() {
    let home = Home::new();
    let bytes = Seeded::bytes("cheat", 600_000);
    let root = home.store.add_bytes(&bytes, Profile::RawLeaves256KiB).unwrap();
    let other = home.store.add_bytes(b"unsolicited", Profile::RawLeaves256KiB).unwrap();
    let good = car(&home, root, DagScope::All);
    let alien = car(&home, other, DagScope::All);
    let (at, alien_at) = (sections(&good), sections(&alien));
    let section = |index: usize| &good[at[index]..at[index + 1]];

    let mut flipped = good.clone();
    flipped[at[3] - 9] ^= 1;
    assert!(matches!(refused(&flipped, root), CarError::Verify(_)));
    assert!(matches!(refused(&[&good[..], section(2)].concat(), root), CarError::Duplicate(_)));
    assert!(
        matches!(refused(&[&good[..], &alien[alien_at[1]..]].concat(), root), CarError::Unsolicited(cid) if cid == other)
    );
    assert!(matches!(refused(&alien, root), CarError::Unsolicited(_)));
    // A leaf before the node that names it was not asked for either.
    assert!(matches!(refused(&[section(0), section(2)].concat(), root), CarError::Unsolicited(_)));
    assert!(matches!(refused(&good[..at[4]], root), CarError::Missing { count: 1, .. }));
    assert!(matches!(refused(&good[..good.len() - 1], root), CarError::Truncated(_)));
    assert!(matches!(refused(&good[..at[1]], root), CarError::Missing { .. }));
    assert!(matches!(refused(b"", root), CarError::Truncated(0)));
    assert!(matches!(refused(&[0xff; 11], root), CarError::Length(_)));
    assert!(matches!(refused(&[section(0), &[0xff; 10]].concat(), root), CarError::Length(_)));
    assert!(matches!(refused(&[section(0), &[0x80, 0x80, 0x80, 0x02]].concat(), root), CarError::Section { .. }));
    assert!(matches!(refused(&[section(0), &[0]].concat(), root), CarError::Section { bytes: 0, .. }));
    assert!(matches!(refused(&[3, 1, 2, 3], root), CarError::Header));
    let mut version_2 = good.clone();
    version_2[at[1] - 1] = 2;
    assert!(matches!(refused(&version_2, root), CarError::Version(2)));
    // Blocks of another order are taken, as long as each was asked for when it comes.
    let reversed = [section(0), section(1), section(4), section(3), section(2)].concat();
    assert!(assemble(&mut &*reversed, root, 1 << 20).unwrap() == bytes);
}

#[test]
fn the_limits_of_a_car_are_held() {
    let home = Home::new();
    let root = home.store.add_bytes(&Seeded::bytes("limits", 600_000), Profile::RawLeaves256KiB).unwrap();
    let good = car(&home, root, DagScope::All);
    let run = |limits| {
        let mut reader = CarReader::new(root, DagScope::All, limits);
        reader.push(&good);
        loop {
            match reader.next_block() {
                Ok(Some(_)) => {}
                Ok(None) => return reader.finish(),
                Err(error) => return Err(error),
            }
        }
    };
    assert!(run(CarLimits { bytes_max: 601_000, blocks_max: 4 }).is_ok());
    assert!(matches!(run(CarLimits { bytes_max: 599_000, blocks_max: 4 }), Err(CarError::TooLarge(599_000))));
    assert!(matches!(run(CarLimits { bytes_max: 601_000, blocks_max: 3 }), Err(CarError::TooManyBlocks(3))));
}

proptest! {
    #[test]
    fn reading_never_panics(bytes in proptest::collection::vec(any::<u8>(), 0..400), head: bool) {
        let root = ContentId::raw(Hash256::of(b"x"));
        let mut stream = if head { b"\x11\xa2\x65roots\x80\x67version\x01".to_vec() } else { vec![] };
        stream.extend_from_slice(&bytes);
        let _ = assemble(&mut &*stream, root, 1000);
    }

    #[test]
    fn pieces_may_fall_anywhere(pieces in 1_usize..2000) {
        let leaf: &[u8] = b"some bytes in one block";
        let root = ContentId::raw(Hash256::of(leaf));
        let mut stream = b"\x11\xa2\x65roots\x80\x67version\x01".to_vec();
        stream.push((36 + leaf.len()) as u8);
        stream.extend_from_slice(&root.to_bytes());
        stream.extend_from_slice(leaf);
        let mut reader = CarReader::new(root, DagScope::All, CarLimits::file_bytes(100));
        let mut found: Vec<VerifiedBlock> = vec![];
        for piece in stream.chunks(pieces) {
            reader.push(piece);
            while let Some(block) = reader.next_block().unwrap() {
                found.push(block);
            }
        }
        reader.finish().unwrap();
        prop_assert_eq!(found[0].bytes(), leaf);
    }
}
