//! Who may write, who may read, and when that changes.

use super::*;

#[test]
fn a_readers_changes_are_refused_and_told_and_reach_nobody() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut world = World::new(folder.path());
    let mut editor = Client::new("editor", 1);
    editor.write(NOTES, "by the editor");
    world.connect(editor, Role::Edit);
    world.settle();
    let mut reader = Client::new("guest", 2);
    reader.find(NOTES);
    let reader = world.connect(reader, Role::Read);
    world.settle();
    world.clients[reader].write(NOTES, "by the reader");
    world.settle();
    assert_eq!(world.read(NOTES), ["by the editor"]);
    assert_eq!(world.chunks(NOTES).len(), 1);
    assert_eq!(world.closed, []);
    // A client of today learns from automerge itself that nothing of it is taken, and sends no changes at all; one that
    // sends them anyway is told no second time.
    assert_eq!(world.clients[reader].errors.len(), 1);
    let (automerge, state) = world.clients[reader].documents.get_mut(&NOTES).expect("it has it");
    (state.peer_read_only, state.in_flight, state.have_responded) = (false, false, false);
    assert_eq!(automerge.get_changes(&[]).len(), 2);
    world.settle();
    let told = &world.clients[reader].errors;
    assert_eq!(told.len(), 1, "{told:?}");
    assert!(told[0].contains("your role here is `read`, and `edit` is needed"), "{told:?}");
    assert_eq!(world.chunks(NOTES).len(), 1);
}

#[test]
fn a_role_that_changes_counts_on_open_connections() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut world = World::new(folder.path());
    let mut writer = Client::new("writer", 1);
    writer.write(NOTES, "one");
    let writer = world.connect(writer, Role::Edit);
    world.settle();
    let peer = PeerKey(writer as u64);
    let rights = |role| Event::Rights { peer, rights: Rights { subject: None, role } };

    world.turn(vec![rights(Role::Read)]);
    world.settle();
    world.clients[writer].write(NOTES, "two");
    world.settle();
    assert_eq!(world.read(NOTES), ["one"]);

    // What was written meanwhile is not lost: it is taken with the right to write.
    world.turn(vec![rights(Role::Edit)]);
    world.settle();
    assert_eq!(world.read(NOTES), ["one", "two"]);

    world.turn(vec![rights(Role::Relay)]);
    assert_eq!(world.closed, [(peer, "the right to read is gone".to_owned())]);
    world.turn(vec![Event::Frame { peer, bytes: world.clients[writer].join() }]);
    assert_eq!(world.closed.len(), 1);
}

#[test]
fn each_chunk_says_whose_it_is_and_who_vouches_for_it() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut world = World::new(folder.path());
    let guest = Did([7; 32]);
    let mut own = Client::new("own", 1);
    own.write(NOTES, "own");
    world.connect_as(own, Rights { subject: Some(IDENTITY), role: Role::Admin });
    world.settle();
    let mut other = Client::new("guest", 2);
    other.find(NOTES);
    let other = world.connect_as(other, Rights { subject: Some(guest), role: Role::Edit });
    world.settle();
    world.clients[other].write(NOTES, "the guest's");
    world.settle();
    let chunks = world.chunks(NOTES);
    let subjects: Vec<Option<Did>> = chunks.iter().map(|changes| changes.subject).collect();
    assert_eq!(subjects, [None, Some(guest)]);
    for changes in &chunks {
        assert_eq!((changes.author, changes.identity), (world.keeper.key.did(), IDENTITY));
        assert_eq!((changes.space, &changes.seen), (SPACE, &vec![SPACE]));
    }
    assert_eq!(chunks[0].after, chunks[1].before);
}

#[test]
fn a_sealed_home_serves_what_it_has_and_takes_nothing() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut world = World::new(folder.path());
    let mut writer = Client::new("writer", 1);
    writer.write(NOTES, "one");
    let writer = world.connect(writer, Role::Edit);
    world.settle();
    *world.keeper.sealed.lock().expect("not poisoned") = true;
    world.clients[writer].write(NOTES, "two");
    world.settle();
    assert_eq!(world.read(NOTES), ["one"]);
    assert_eq!(world.closed, []);
    *world.keeper.sealed.lock().expect("not poisoned") = false;
    world.clients[writer].write(NOTES, "three");
    world.settle();
    assert_eq!(world.read(NOTES), ["one", "three", "two"]);
}

#[test]
fn whoever_speaks_before_they_joined_or_another_version_is_sent_away() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut world = World::new(folder.path());
    let mut early = Client::new("early", 1);
    early.write(NOTES, "early");
    let frame = early.say().remove(0);
    world.clients.push(early);
    let peer = PeerKey(0);
    let rights = Rights { subject: None, role: Role::Edit };
    world
        .turn(vec![Event::Opened { peer, rights, speaks: Speaks::AutomergeRepo }, Event::Frame { peer, bytes: frame }]);
    assert_eq!(world.closed, [(peer, "the first message is to be `join`".to_owned())]);
    assert!(world.chunks(NOTES).is_empty());
}
