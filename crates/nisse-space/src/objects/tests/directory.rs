use automerge::transaction::Transactable;
use automerge::{ActorId, Automerge, ObjType, ROOT, ReadDoc};
use serde_json::json;

use super::{access, actor, document, id, map, read, writer};
use crate::DocumentId;
use crate::objects::{Access, Directory, ObjectError, begin_object, begin_root, link, put};

fn first_change(document: &Automerge) -> Vec<u8> {
    document.get_changes(&[])[0].raw_bytes().to_vec()
}

#[test]
fn a_document_begins_with_the_same_bytes_everywhere() {
    let root = |device| begin_root(&access(), &[id(2), id(1)], &actor(device)).expect("a root");
    assert_eq!(first_change(&root(1)), first_change(&root(2)));
    assert_eq!(root(1).get_actor(), &actor(1), "further edits are the device's own");
    let again = begin_root(&access(), &[id(1), id(2), id(2)], &actor(3)).expect("a root");
    assert_eq!(first_change(&root(1)), first_change(&again), "a set has no order");
    assert_eq!(first_change(&document(id(1), 1)), first_change(&document(id(1), 2)));
    let change = root(1).get_changes(&[])[0].clone();
    assert_eq!((change.seq(), change.timestamp()), (1, 0));
    // These bytes are on disks and at peers: a change of them is a new version of the format.
    assert_eq!(root(1).get_heads()[0].to_string(), ROOT_HASH);
    assert_eq!(document(id(1), 1).get_heads()[0].to_string(), OBJECT_HASH);
}

const ROOT_HASH: &str = "882286494dfeb00f7ac7c23a3fc240c386069e981e5c9aec7fbddd50c37434dc";
const OBJECT_HASH: &str = "3fe95aa7c904d24e40fdea52cff88b363b8b5e6ac363c04358b947f5a3829e27";

#[test]
fn different_documents_begin_by_different_actors() {
    let other = Access::SpaceKey("B2NJDFNVZIW77OQSXUBNAD7BUMBD3G5PO".into());
    let documents = [
        begin_root(&access(), &[], &actor(1)),
        begin_root(&access(), &[id(1)], &actor(1)),
        begin_root(&other, &[], &actor(1)),
        begin_object(&access(), id(1), &actor(1)),
        begin_object(&access(), id(2), &actor(1)),
        begin_object(&other, id(1), &actor(1)),
    ];
    let mut actors: Vec<ActorId> =
        documents.into_iter().map(|document| document.expect("begun").get_changes(&[])[0].actor_id().clone()).collect();
    actors.sort();
    actors.dedup();
    assert_eq!(actors.len(), 6);
    let long = Access::SpaceId("x".repeat(257));
    assert!(matches!(begin_root(&long, &[], &actor(1)), Err(ObjectError::TooLarge { .. })));
}

#[test]
fn two_devices_that_begin_apart_keep_both_their_edits() {
    let (mut one, mut two) = (document(id(1), 1), document(id(1), 2));
    put(&mut one, id(1), &map(json!({ "@meta": { "keys": [{ "source": "a", "id": "1" }] }, "a": 1 })), &writer(1))
        .expect("put");
    put(&mut two, id(1), &map(json!({ "@meta": { "keys": [{ "source": "b", "id": "2" }] }, "b": 2 })), &writer(2))
        .expect("put");
    one.merge(&mut two).expect("merged");
    let object = read(&one, id(1));
    assert_eq!(object.data, map(json!({ "a": 1, "b": 2 })));
    assert_eq!(object.foreign_keys().len(), 2);
    let (mut one, mut two) = (
        begin_root(&access(), &[], &actor(1)).expect("a root"),
        begin_root(&access(), &[], &actor(2)).expect("a root"),
    );
    link(&mut one, id(1), DocumentId([1; 16]), &writer(1)).expect("linked");
    link(&mut two, id(2), DocumentId([2; 16]), &writer(2)).expect("linked");
    one.merge(&mut two).expect("merged");
    assert_eq!(Directory::read(&one).expect("read").links.len(), 2);
}

#[test]
fn a_directory_says_what_stands_where() {
    let mut root = begin_root(&access(), &[id(1)], &actor(1)).expect("a root");
    assert!(link(&mut root, id(2), DocumentId([2; 16]), &writer(1)).expect("linked").is_some());
    assert!(link(&mut root, id(2), DocumentId([2; 16]), &writer(1)).expect("linked").is_none());
    let directory = Directory::read(&root).expect("read");
    assert_eq!(directory.access, Some(access()));
    assert_eq!(directory.inline.into_iter().collect::<Vec<_>>(), [id(1)]);
    assert_eq!(directory.links.into_iter().collect::<Vec<_>>(), [(id(2), DocumentId([2; 16]))]);
    assert_eq!(directory.unreadable, 0);
    // Moved: the link is replaced whole.
    link(&mut root, id(2), DocumentId([3; 16]), &writer(1)).expect("linked");
    assert_eq!(Directory::read(&root).expect("read").links[&id(2)], DocumentId([3; 16]));
}

#[test]
fn a_bad_entry_hides_no_other() {
    let mut root = begin_root(&access(), &[id(1)], &actor(1)).expect("a root");
    link(&mut root, id(2), DocumentId([2; 16]), &writer(1)).expect("linked");
    let mut edit = root.transaction();
    let (_, objects) = edit.get(ROOT, "objects").expect("get").expect("objects");
    let (_, links) = edit.get(ROOT, "links").expect("get").expect("links");
    edit.put(&objects, "no id", 1).expect("put");
    edit.put(&objects, id(5).to_string(), "no map").expect("put");
    edit.put(&links, id(6).to_string(), "https://example.org").expect("put");
    edit.put_object(&links, id(7).to_string(), ObjType::Map).expect("put");
    // A stock client's links are text objects.
    let text = edit.put_object(&links, id(8).to_string(), ObjType::Text).expect("put");
    edit.splice_text(&text, 0, 0, &format!("automerge:{}", DocumentId([8; 16]))).expect("splice");
    edit.commit();
    let directory = Directory::read(&root).expect("read");
    assert_eq!(directory.unreadable, 4);
    assert_eq!(directory.inline.len(), 1);
    assert_eq!(directory.links[&id(8)], DocumentId([8; 16]));
    assert!(link(&mut root, id(8), DocumentId([8; 16]), &writer(1)).expect("linked").is_none());
    assert_eq!(Directory::read(&Automerge::new()).expect("read").access, None);
    assert!(link(&mut Automerge::new(), id(1), DocumentId([1; 16]), &writer(1)).is_err());
}
