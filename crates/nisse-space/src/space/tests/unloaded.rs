//! What is done without loading a document, and what does not stay loaded.

use super::*;

fn documents() -> Vec<DocumentId> {
    (0..20).map(|number| DocumentId([number; 16])).collect()
}

/// A world in which somebody wrote, a chunk for each line, and everything is closed again.
fn written(folder: &Path, lines: usize) -> World {
    let mut world = World::new(folder);
    let writer = world.connect(Client::new("writer", 1), Role::Edit);
    for line in 0..lines {
        for document in documents() {
            world.clients[writer].write(document, &format!("line {line:03}"));
        }
        world.settle();
    }
    reopened(&world)
}

fn reopened(world: &World) -> World {
    World::with(Space::open(world.space.store().clone(), "replica", SpaceLimits::default()))
}

fn reads_all(world: &mut World, lines: usize) {
    let mut reader = Client::new("reader", 2);
    for document in documents() {
        reader.find(document);
    }
    let reader = world.connect(reader, Role::Read);
    world.settle();
    for document in documents() {
        assert_eq!(world.clients[reader].lines(document).len(), lines, "{document}");
    }
}

#[test]
fn a_client_that_has_nothing_is_sent_everything_without_loading_it() {
    // Without a view, with one, and with one that has chunks behind it.
    for lines in [1, 64, 90] {
        let folder = tempfile::tempdir().expect("a folder");
        let mut world = written(folder.path(), lines);
        let views = world.space.store().load(documents()[0], true).expect("read").view;
        assert_eq!(views.is_empty(), lines < 64);
        reads_all(&mut world, lines);
        assert_eq!(world.space.loaded(), 0);
        // And goes on from there, in both ways.
        let writer = world.connect(Client::new("writer", 3), Role::Edit);
        world.clients[writer].write(documents()[3], "new");
        world.settle();
        assert_eq!(world.clients[0].lines(documents()[3]).len(), lines + 1);
        assert_eq!(world.clients[writer].lines(documents()[3]).len(), lines + 1);
    }
}

#[test]
fn a_damaged_view_is_sent_to_nobody() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut world = written(folder.path(), 70);
    let store = world.space.store().clone();
    let view = store.load(documents()[0], true).expect("read").view;
    for (document, place) in documents().into_iter().zip([4, 8, 20, view.len() / 2, view.len() - 1]) {
        let mut damaged = view.clone();
        damaged[place] ^= 1;
        store.keep_view(document, 64, &damaged).expect("kept");
    }
    store.keep_view(documents()[6], 64, &view[..view.len() - 1]).expect("kept");
    store.keep_view(documents()[7], 64, b"what automerge never wrote").expect("kept");
    reads_all(&mut world, 70);
}

#[test]
fn small_documents_do_not_stay_loaded_when_nobody_uses_them() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut world = World::new(folder.path());
    let mut writer = Client::new("writer", 1);
    for document in documents() {
        writer.write(document, "text");
    }
    let long = DocumentId([200; 16]);
    for line in 0..600 {
        writer.write(long, &format!("line {line}"));
    }
    let writer = world.connect(writer, Role::Edit);
    world.settle();
    assert_eq!(world.space.loaded(), 21);
    // What was just used may be used again.
    assert!(world.space.let_go());
    assert_eq!(world.space.loaded(), 21);
    world.clients[writer].write(documents()[5], "more");
    world.settle();
    assert!(world.space.let_go());
    assert_eq!(world.space.loaded(), 2, "the one in use, and the long one");
    assert!(!world.space.let_go());
    assert_eq!(world.space.loaded(), 1, "the long one");
    for document in documents() {
        world.clients[writer].write(document, "again");
    }
    world.settle();
    for document in documents() {
        assert!(world.read(document).contains(&"again".to_owned()));
    }
    assert_eq!(world.clients[writer].errors, Vec::<String>::new());
}
