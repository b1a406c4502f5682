//! One form, one signature, nothing that says nothing.

use automerge::ChangeHash;
use nisse_model::{CredentialId, Did, Hash256, SigningKey, Timestamp};
use proptest::prelude::*;

use super::{Changes, Chunk, ChunkError};
use crate::DocumentId;

fn key() -> SigningKey {
    SigningKey::from_seed(&[3; 32])
}

fn changes() -> Changes {
    Changes {
        space: CredentialId(Hash256([1; 32])),
        document: DocumentId([2; 16]),
        author: key().did(),
        identity: Did([4; 32]),
        subject: None,
        seen: vec![CredentialId(Hash256([5; 32])), CredentialId(Hash256([6; 32]))],
        before: vec![],
        after: vec![ChangeHash([7; 32])],
        signed: Timestamp(1_700_000_000_000),
        bytes: b"what automerge made".to_vec(),
    }
}

fn sealed(changes: Changes) -> Result<Chunk, ChunkError> {
    let signature = key().sign(Changes::CONTEXT, &changes.signed_bytes());
    changes.with_signature(signature)
}

#[test]
fn a_chunk_is_written_and_read_and_its_name_is_its_digest() {
    for subject in [None, Some(Did([8; 32]))] {
        let chunk = sealed(Changes { subject, ..changes() }).expect("a chunk");
        assert_eq!(Chunk::decode(chunk.stored()), Ok(chunk.clone()));
        assert_eq!(chunk.id().0, Hash256::of(chunk.stored()));
    }
}

#[test]
fn no_flipped_bit_and_no_cut_is_the_same_chunk() {
    let chunk = sealed(changes()).expect("a chunk");
    for place in 0..chunk.stored().len() {
        assert!(Chunk::decode(&chunk.stored()[..place]).is_err(), "cut at {place}");
        for bit in 0..8 {
            let mut bytes = chunk.stored().to_vec();
            bytes[place] ^= 1 << bit;
            assert!(Chunk::decode(&bytes).is_err(), "bit {bit} of byte {place}");
        }
    }
    let mut longer = chunk.stored().to_vec();
    longer.push(0);
    assert_eq!(Chunk::decode(&longer), Err(ChunkError::NotCanonical));
}

#[test]
fn a_signature_of_another_key_or_for_something_else_is_refused() {
    let other = SigningKey::from_seed(&[9; 32]);
    let bytes = changes().signed_bytes();
    let refused = Err(ChunkError::Signature(key().did()));
    assert_eq!(changes().with_signature(other.sign(Changes::CONTEXT, &bytes)), refused);
    assert_eq!(changes().with_signature(key().sign("nisse credential v1", &bytes)), refused);
    let moved = Changes { space: CredentialId(Hash256([99; 32])), ..changes() };
    assert_eq!(moved.with_signature(key().sign(Changes::CONTEXT, &bytes)), refused);
}

#[test]
fn what_says_nothing_or_says_it_twice_is_refused() {
    let twice = vec![ChangeHash([7; 32]), ChangeHash([7; 32])];
    let refused = [
        Changes { bytes: vec![], ..changes() },
        Changes { bytes: vec![0; Changes::BYTES_MAX + 1], ..changes() },
        Changes { after: vec![], ..changes() },
        Changes { before: changes().after, ..changes() },
        Changes { before: twice.clone(), ..changes() },
        Changes { after: twice, ..changes() },
        Changes { seen: changes().seen.into_iter().rev().collect(), ..changes() },
        Changes { subject: Some(changes().identity), ..changes() },
    ];
    for changes in refused {
        assert!(matches!(sealed(changes), Err(ChunkError::Flaw(_))));
    }
}

#[test]
fn another_version_is_named() {
    let mut bytes = sealed(changes()).expect("a chunk").stored().to_vec();
    bytes[1] = 2;
    assert_eq!(Chunk::decode(&bytes), Err(ChunkError::Version(2)));
}

proptest! {
    #[test]
    fn no_bytes_make_it_panic(bytes in proptest::collection::vec(any::<u8>(), 0..400)) {
        let _ = Chunk::decode(&bytes);
    }
}
