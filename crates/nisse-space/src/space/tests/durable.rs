//! What is told was kept.

use nisse_testkit::{Fault, Random, SimDisk};

use super::*;

/// A client's own view of what the space said it has.
fn acknowledged(client: &Client) -> bool {
    let (automerge, state) = &client.documents[&NOTES];
    state.their_heads.as_ref() == Some(&automerge.get_heads())
}

#[test]
fn views_thrown_away_are_made_anew_with_the_same_heads() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut world = World::new(folder.path());
    let writer = world.connect(Client::new("writer", 1), Role::Edit);
    for round in 0..200 {
        world.clients[writer].write(NOTES, &format!("line {round}"));
        world.settle();
    }
    let heads = world.clients[writer].documents[&NOTES].0.get_heads();
    let lines = world.clients[writer].lines(NOTES);
    let World { space, .. } = world;
    let store = space.store().clone();
    drop(space);
    for with_views in [true, false] {
        if !with_views {
            store.forget_views().expect("thrown away");
        }
        let space = Space::open(store.clone(), "replica", SpaceLimits::default());
        let mut world = World::with(space);
        assert_eq!(world.read(NOTES), lines);
        assert_eq!(world.clients[0].documents[&NOTES].0.get_heads(), heads);
    }
    // One that is damaged counts as thrown away.
    store.keep_view(NOTES, 150, b"what automerge never wrote").expect("kept");
    let mut world = World::with(Space::open(store, "replica", SpaceLimits::default()));
    assert_eq!(world.read(NOTES), lines);
}

/// What one client wrote and what it was told of being kept, until the power goes.
fn live(disk: &SimDisk, random: &mut Random, kept: &mut Vec<String>, written: &mut Vec<String>) {
    let folder = Path::new("/home");
    disk.create_dir_durable(folder).expect("a folder");
    let mut world = World::with(open(Arc::new(disk.clone()), folder, SpaceLimits::default()));
    let mut writer = Client::new("writer", 1);
    writer.find(NOTES);
    let writer = world.connect(writer, Role::Edit);
    world.settle();
    disk.cut_after_changes(random.below(120));
    for round in 0..100 {
        let line = format!("line {round}");
        world.clients[writer].write(NOTES, &line);
        written.push(line);
        world.settle();
        if acknowledged(&world.clients[writer]) && !world.clients[writer].gone {
            *kept = world.clients[writer].lines(NOTES);
        }
        if disk.is_off() {
            return;
        }
    }
}

#[test]
fn what_was_acknowledged_is_there_after_a_power_cut() {
    let (mut acknowledged, mut beyond) = (0, 0);
    for seed in 0..200 {
        let (disk, mut random) = (SimDisk::new(seed), Random::new(seed));
        let (mut kept, mut written) = (Vec::new(), Vec::new());
        live(&disk, &mut random, &mut kept, &mut written);
        disk.power_cut(seed);
        let mut world = World::with(open(Arc::new(disk), Path::new("/home"), SpaceLimits::default()));
        let found = world.read(NOTES);
        assert!(kept.iter().all(|line| found.contains(line)), "seed {seed}: {kept:?} was kept, {found:?} is there");
        assert!(found.iter().all(|line| written.contains(line)), "seed {seed}: {found:?}");
        acknowledged += kept.len();
        beyond += found.len() - kept.len();
    }
    assert!(acknowledged > 500, "only {acknowledged} lines were acknowledged");
    assert!(beyond > 0, "no cut came between a sync and its answer");
}

#[test]
fn a_space_whose_disk_fails_acknowledges_nothing_and_says_so() {
    let disk = SimDisk::new(1);
    let folder = Path::new("/home");
    disk.create_dir_durable(folder).expect("a folder");
    let mut world = World::with(open(Arc::new(disk.clone()), folder, SpaceLimits::default()));
    let mut writer = Client::new("writer", 1);
    writer.write(NOTES, "kept");
    let writer = world.connect(writer, Role::Edit);
    world.settle();
    disk.fail(Fault::NoSpace(0));
    world.clients[writer].write(NOTES, "lost");
    world.settle();
    assert!(!acknowledged(&world.clients[writer]));
    assert_eq!(world.closed.len(), 1);
    assert!(world.closed[0].1.starts_with("failed to keep changes: "), "{:?}", world.closed);
    assert!(world.space.fault().is_some());
    assert_eq!(world.read(NOTES), ["kept"]);
    // Whoever comes back is told why nothing is taken.
    let mut again = Client::new("again", 3);
    again.write(NOTES, "again");
    let again = world.connect(again, Role::Edit);
    world.settle();
    assert_eq!(world.read(NOTES), ["kept"]);
    assert!(!acknowledged(&world.clients[again]));
}
