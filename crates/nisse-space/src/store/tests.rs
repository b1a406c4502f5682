//! Chunks are kept in order, once, and summed up.

mod versions;

use std::collections::BTreeMap;
use std::sync::Arc;

use automerge::ChangeHash;
use nisse_model::{CredentialId, Did, Hash256, SigningKey, Timestamp};
use nisse_store::{Database, SystemDisk};

use super::{Store, Summary};
use crate::DocumentId;
use crate::chunk::{Changes, Chunk};

const SPACE: CredentialId = CredentialId(Hash256([1; 32]));
const DOCUMENT: DocumentId = DocumentId([2; 16]);

fn chunk(before: &[u8], after: &[u8], bytes: &[u8]) -> Chunk {
    let key = SigningKey::from_seed(&[3; 32]);
    let heads = |heads: &[u8]| heads.iter().map(|head| ChangeHash([*head; 32])).collect();
    let changes = Changes {
        space: SPACE,
        document: DOCUMENT,
        author: key.did(),
        identity: Did([4; 32]),
        subject: None,
        seen: vec![],
        before: heads(before),
        after: heads(after),
        signed: Timestamp(5),
        bytes: bytes.to_vec(),
    };
    let signature = key.sign(Changes::CONTEXT, &changes.signed_bytes());
    changes.with_signature(signature).expect("a chunk")
}

fn store(folder: &tempfile::TempDir) -> Store {
    let database = Database::open(Arc::new(SystemDisk), &folder.path().join("spaces")).expect("a database");
    Store::new(Arc::new(database), SPACE)
}

#[test]
fn chunks_are_kept_once_and_in_order_and_summed_up() {
    let folder = tempfile::tempdir().expect("a folder");
    let store = store(&folder);
    let (one, two, three) = (chunk(&[], &[1], b"one"), chunk(&[1], &[2], b"two"), chunk(&[1], &[3], b"three"));
    store.commit(&[one.clone(), two.clone()], &BTreeMap::new()).expect("kept");
    store.commit(&[two.clone(), one.clone(), three.clone()], &BTreeMap::new()).expect("kept");
    let summary = store.summary(DOCUMENT).expect("read").expect("a summary");
    let heads = vec![ChangeHash([2; 32]), ChangeHash([3; 32])];
    assert_eq!(summary, Summary { heads, chunks: 3, bytes: 11 });
    let stored = store.load(DOCUMENT, true).expect("loaded");
    assert_eq!((stored.view.as_slice(), stored.later.as_slice(), stored.chunks), (&b""[..], &b"onetwothree"[..], 3));
    assert!(store.holds(DOCUMENT, three.id()).expect("read"));
    assert!(!store.holds(DOCUMENT, chunk(&[], &[9], b"nine").id()).expect("read"));
}

#[test]
fn a_view_stands_for_the_chunks_before_it_and_can_be_thrown_away() {
    let folder = tempfile::tempdir().expect("a folder");
    let store = store(&folder);
    store.commit(&[chunk(&[], &[1], b"one"), chunk(&[1], &[2], b"two")], &BTreeMap::new()).expect("kept");
    store.keep_view(DOCUMENT, 1, b"view").expect("kept");
    let stored = store.load(DOCUMENT, true).expect("loaded");
    assert_eq!((stored.view.as_slice(), stored.later.as_slice(), stored.chunks), (&b"view"[..], &b"two"[..], 1));
    let whole = store.load(DOCUMENT, false).expect("loaded");
    assert_eq!((whole.view.as_slice(), whole.later.as_slice()), (&b""[..], &b"onetwo"[..]));
    store.forget_view(DOCUMENT).expect("forgotten");
    assert_eq!(store.load(DOCUMENT, true).expect("loaded").chunks, 2);
}

#[test]
fn spaces_of_one_database_do_not_see_each_other() {
    let folder = tempfile::tempdir().expect("a folder");
    let store = store(&folder);
    store.commit(&[chunk(&[], &[1], b"one")], &BTreeMap::new()).expect("kept");
    let other = Store::new(Arc::clone(&store.database), CredentialId(Hash256([9; 32])));
    assert_eq!(other.summary(DOCUMENT).expect("read"), None);
    let mut names = Vec::new();
    other
        .documents(|name, _| {
            names.push(name);
            true
        })
        .expect("read");
    assert_eq!(names, []);
    store
        .documents(|name, _| {
            names.push(name);
            true
        })
        .expect("read");
    assert_eq!(names, [DOCUMENT]);
}
