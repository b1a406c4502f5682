//! Whoever means harm is sent away, and the others go on.

use automerge::transaction::Transactable as _;
use automerge::{ActorId, Automerge, ROOT};

use super::*;
use crate::repo_protocol::{Outgoing, PeerName};

/// A message of automerge's sync with these changes, by whoever says so.
fn bringing(changes: Vec<u8>, document: DocumentId) -> Vec<u8> {
    use automerge::sync::{ChunkList, Message, MessageVersion};
    let message = Message {
        heads: vec![automerge::ChangeHash([9; 32])],
        need: Vec::new(),
        have: Vec::new(),
        changes: ChunkList::from(changes),
        flags: None,
        version: MessageVersion::V1,
    };
    let name = PeerName::new("attacker").expect("a name");
    Outgoing::Sync { document, data: &message.encode() }.encode(&name, &name)
}

/// A change of this actor that stands on nothing.
fn change(actor: u8, key: &str) -> Vec<u8> {
    let mut automerge = Automerge::new().with_actor(ActorId::from([actor; 16].as_slice()));
    let mut transaction = automerge.transaction();
    transaction.put(ROOT, key, true).expect("written");
    transaction.commit();
    automerge.save_after(&[])
}

/// A world with one honest client, who has written something.
fn honest(folder: &Path) -> World {
    let mut world = World::new(folder);
    let mut honest = Client::new("honest", 1);
    honest.write(NOTES, "honest");
    world.connect(honest, Role::Edit);
    world.settle();
    world
}

/// Another one comes, says this, and is sent away with these words; the honest one goes on.
fn is_sent_away(world: &mut World, frame: Vec<u8>, words: &str) {
    let place = world.connect(Client::new("attacker", 66), Role::Edit);
    let peer = PeerKey(place as u64);
    world.turn(vec![Event::Frame { peer, bytes: frame }]);
    let (closed, why) = world.closed.last().expect("somebody was sent away");
    assert_eq!(*closed, peer);
    assert!(why.contains(words), "{why}");
    assert_eq!(world.clients[place].errors.last(), Some(why));
    let line = format!("after {place}");
    world.clients[0].write(NOTES, &line);
    world.settle();
    assert!(world.read(NOTES).contains(&line));
    assert_eq!(world.space.fault(), None);
}

#[test]
fn bytes_that_are_nothing_are_refused_and_the_honest_go_on() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut world = honest(folder.path());
    let chunks = world.chunks(NOTES).len();
    is_sent_away(&mut world, b"\xff\xff\xff".to_vec(), "failed to ");
    is_sent_away(&mut world, Vec::new(), "failed to ");
    is_sent_away(&mut world, bringing(b"no change".to_vec(), NOTES), "failed to ");
    let mut torn = change(66, "torn");
    torn.truncate(torn.len() - 3);
    is_sent_away(&mut world, bringing(torn, NOTES), "failed to ");
    // Its check sum is another one.
    let mut broken = change(66, "broken");
    broken[5] ^= 1;
    let name = PeerName::new("attacker").expect("a name");
    let place = world.connect(Client::new("attacker", 66), Role::Edit);
    world.turn(vec![Event::Frame { peer: PeerKey(place as u64), bytes: bringing(broken, NOTES) }]);
    world.settle();
    assert!(!world.read(NOTES).contains(&"broken".to_owned()));
    let written = world.chunks(NOTES).len() - chunks;
    assert_eq!(written, 4, "one chunk for each line of the honest client and none of {name:?}");
}

#[test]
fn a_bomb_is_refused_before_automerge_is_given_it() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut world = honest(folder.path());
    is_sent_away(&mut world, bringing(bomb(), NOTES), "are allowed");
}

#[test]
fn a_change_that_spoils_a_document_for_the_others_is_refused() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut world = honest(folder.path());
    for time in [i64::MIN, -1, i64::MAX] {
        let mut automerge = Automerge::new().with_actor(ActorId::from([66; 16].as_slice()));
        let mut transaction = automerge.transaction();
        transaction.put(ROOT, "spoiled", true).expect("written");
        transaction.commit_with(automerge::transaction::CommitOptions::default().with_time(time));
        is_sent_away(&mut world, bringing(automerge.save_after(&[]), NOTES), "");
        assert!(!world.read(NOTES).contains(&"spoiled".to_owned()));
    }
}

#[test]
fn two_changes_of_one_actor_and_number_are_not_both_taken() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut world = honest(folder.path());
    is_sent_away(&mut world, bringing(change(1, "forged"), NOTES), "failed to apply changes");
    assert!(!world.read(NOTES).contains(&"forged".to_owned()));
}

#[test]
fn changes_whose_causes_nobody_brings_are_kept_by_nobody() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut world = honest(folder.path());
    let before = world.chunks(NOTES).len();
    let mut automerge = Automerge::new().with_actor(ActorId::from([66; 16].as_slice()));
    for round in 0..50 {
        let mut transaction = automerge.transaction();
        transaction.put(ROOT, "orphan", round).expect("written");
        transaction.commit();
    }
    let orphans: Vec<u8> =
        automerge.get_changes(&[]).iter().skip(1).flat_map(|change| change.raw_bytes().to_vec()).collect();
    let place = world.connect(Client::new("attacker", 66), Role::Edit);
    let peer = PeerKey(place as u64);
    world.turn(vec![Event::Frame { peer, bytes: bringing(orphans, NOTES) }]);
    assert_eq!(world.chunks(NOTES).len(), before);
    assert_eq!(world.read(NOTES), ["honest"]);
    // With whoever brought them, they are gone.
    world.turn(vec![Event::Closed { peer }]);
    world.clients[place].gone = true;
    assert_eq!(world.space.loaded(), 0);
    world.clients[0].write(NOTES, "more");
    world.settle();
    assert_eq!(world.read(NOTES), ["honest", "more"]);
}

#[test]
fn ten_thousand_announced_documents_take_no_more_room_than_there_is() {
    let folder = tempfile::tempdir().expect("a folder");
    let limits = SpaceLimits { followed_max: 5_000, ..SpaceLimits::default() };
    let mut world = World::with(open(Arc::new(SystemDisk), folder.path(), limits));
    let mut honest = Client::new("honest", 1);
    honest.write(NOTES, "honest");
    world.connect(honest, Role::Edit);
    world.settle();
    let place = world.connect(Client::new("attacker", 66), Role::Edit);
    let peer = PeerKey(place as u64);
    for number in 0..5_001_u32 {
        let mut name = [7; 16];
        name[..4].copy_from_slice(&number.to_be_bytes());
        let frame = {
            use automerge::sync::{ChunkList, Message, MessageVersion};
            let heads = vec![automerge::ChangeHash([9; 32])];
            let message = Message {
                heads,
                need: Vec::new(),
                have: Vec::new(),
                changes: ChunkList::empty(),
                flags: None,
                version: MessageVersion::V1,
            };
            let name_of = PeerName::new("attacker").expect("a name");
            Outgoing::Sync { document: DocumentId(name), data: &message.encode() }.encode(&name_of, &name_of)
        };
        let effects = world.space.turn(vec![Event::Frame { peer, bytes: frame }], &world.keeper);
        if let Some(Effect::Close { why, .. }) = effects.last() {
            assert_eq!((number, why.as_str()), (5_000, "more than 5000 documents on one connection"));
        }
    }
    assert!(world.space.loaded() <= (64 << 20) / (16 << 10), "{} are loaded", world.space.loaded());
    let mut documents = 0;
    world
        .space
        .store()
        .documents(|_, _| {
            documents += 1;
            true
        })
        .expect("read");
    assert_eq!(documents, 1);
    world.clients[place].gone = true;
    world.clients[0].write(NOTES, "goes on");
    world.settle();
    assert_eq!(world.read(NOTES), ["goes on", "honest"]);
}
