//! What clients say to others, over homes that pass it on.

use super::replicas::Net;
use super::*;
use crate::chunk_sync::{Frame, Wanted};

/// A client at each of these replicas, following [`NOTES`].
fn followers(net: &mut Net, replicas: &[usize]) -> Vec<(usize, usize)> {
    net.write(replicas[0], NOTES, "notes");
    net.settle();
    let mut followers = Vec::new();
    for (number, replica) in replicas.iter().enumerate() {
        let mut client = Client::new(&format!("app-{replica}"), 200 + number as u8);
        client.find(NOTES);
        let place = net.replicas[*replica].clients.len();
        let (peer, rights, join) = (PeerKey(place as u64), Rights { subject: None, role: Role::Read }, client.join());
        net.replicas[*replica].clients.push(client);
        let opened = Event::Opened { peer, rights, speaks: Speaks::AutomergeRepo };
        net.turn(*replica, vec![opened, Event::Frame { peer, bytes: join }]);
        net.talk(*replica);
        followers.push((*replica, place));
    }
    net.settle();
    (0..replicas.len()).for_each(|_| replicas.iter().for_each(|replica| net.talk(*replica)));
    net.settle();
    followers
}

fn say(net: &mut Net, (replica, place): (usize, usize), count: u64) {
    let name = format!("app-{replica}");
    let bytes = net.replicas[replica].clients[place].ephemeral(NOTES, &name, count, b"cursor");
    net.turn(replica, vec![Event::Frame { peer: PeerKey(place as u64), bytes }]);
    net.settle();
}

fn heard(net: &Net, (replica, place): (usize, usize)) -> usize {
    net.replicas[replica].clients[place].passed.len()
}

#[test]
fn a_chain_of_homes_passes_on_what_a_client_says_and_nothing_is_kept() {
    let mut net = Net::new(3);
    net.link(0, 1);
    net.link(1, 2);
    // Nobody is connected to the one in between.
    let ends = followers(&mut net, &[0, 2]);
    let before: Vec<usize> = net.replicas.iter().map(|world| world.chunks(NOTES).len()).collect();
    say(&mut net, ends[0], 1);
    assert_eq!((heard(&net, ends[0]), heard(&net, ends[1])), (0, 1));
    assert_eq!(net.replicas[2].clients[ends[1].1].passed[0], ("app-0".to_owned(), b"cursor".to_vec()));
    say(&mut net, ends[1], 1);
    assert_eq!((heard(&net, ends[0]), heard(&net, ends[1])), (1, 1));
    let after: Vec<usize> = net.replicas.iter().map(|world| world.chunks(NOTES).len()).collect();
    assert_eq!(before, after);
}

#[test]
fn a_ring_of_homes_passes_each_message_on_once() {
    let mut net = Net::new(4);
    for (one, other) in [(0, 1), (1, 2), (2, 3), (3, 0), (0, 2)] {
        net.link(one, other);
    }
    let all = followers(&mut net, &[0, 1, 2, 3]);
    say(&mut net, all[0], 1);
    let of_all = |net: &Net| all.iter().map(|one| heard(net, *one)).collect::<Vec<_>>();
    assert_eq!(of_all(&net), [0, 1, 1, 1]);
    net.frames = 0;
    say(&mut net, all[0], 2);
    assert_eq!(of_all(&net), [0, 2, 2, 2]);
    assert!(net.frames <= 10, "each way at most once: {}", net.frames);
    say(&mut net, all[0], 2);
    assert_eq!(of_all(&net), [0, 2, 2, 2], "what was said is not said again");
}

#[test]
fn a_home_that_knows_of_none_is_sent_none_and_nothing_is_said_before_somebody_speaks() {
    let mut net = Net::new(2);
    net.link(0, 1);
    net.settle();
    let frames = net.frames;
    let all = followers(&mut net, &[0]);
    net.frames = 0;
    assert!(frames <= 3, "{frames}");
    // An older nisse: it compares, and passes over what is offered to it that is nothing.
    let (old, rights) = (PeerKey(9_000), Rights { subject: None, role: Role::Edit });
    let speaks = Speaks::Chunks { first: false, wanted: Wanted::All };
    let hello = Frame::Hello { space: SPACE, wanted: Wanted::All, ranges: Vec::new() }.encode();
    let world = &mut net.replicas[0];
    let opened = vec![Event::Opened { peer: old, rights, speaks }, Event::Frame { peer: old, bytes: hello }];
    world.space.turn(opened, &world.keeper);
    let mut offers = 0;
    for count in 1..10 {
        let place = all[0].1;
        let bytes = world.clients[place].ephemeral(NOTES, "app-0", count, b"cursor");
        for effect in world.space.turn(vec![Event::Frame { peer: PeerKey(place as u64), bytes }], &world.keeper) {
            let Effect::Send { peer, bytes } = effect else { panic!("nobody is sent away") };
            if peer == old {
                assert_eq!(Frame::decode(&bytes), Ok(Frame::Offer { items: Vec::new() }));
                offers += 1;
            }
        }
    }
    assert_eq!(offers, 1);
}

#[test]
fn what_nobody_asked_for_is_refused_and_too_much_is_passed_over() {
    let mut net = Net::new(2);
    let link = net.link(0, 1);
    net.settle();
    let presence = |count: u64, hops: u8| {
        let sender = crate::repo_protocol::PeerName::new("far").expect("a name");
        let (session, data) = ("s".into(), vec![0; 10 << 10].into());
        Frame::Presence { sender, document: NOTES, count, session, data, hops }.encode()
    };
    let (replica, peer) = net.links[link].ends[1];
    net.turn(replica, vec![Event::Frame { peer, bytes: presence(1, 1) }]);
    assert!(net.replicas[1].closed[0].1.contains("nobody here said to take"), "{:?}", net.replicas[1].closed);

    let mut net = Net::new(3);
    let link = net.link(0, 1);
    net.link(1, 2);
    let all = followers(&mut net, &[1, 2]);
    let (replica, peer) = net.links[link].ends[1];
    // They say that they take it, and so does this one.
    net.turn(replica, vec![Event::Frame { peer, bytes: Frame::Offer { items: Vec::new() }.encode() }]);
    let flood = (1..=1_000).map(|count| Event::Frame { peer, bytes: presence(count, Frame::HOPS_MAX) }).collect();
    net.turn(replica, flood);
    net.settle();
    // One second has room for 1 MiB; and what went through as many homes as may goes to clients alone.
    assert_eq!((heard(&net, all[0]), heard(&net, all[1])), ((1 << 20) / (10 << 10), 0));
    assert!(net.replicas[1].closed.is_empty(), "{:?}", net.replicas[1].closed);
}

#[test]
fn what_is_said_of_documents_that_a_home_does_not_want_does_not_go_there() {
    let mut net = Net::new(2);
    let other = DocumentId([9; 16]);
    net.link_with(0, 1, [Wanted::All, Wanted::Only([other].into())]);
    let all = followers(&mut net, &[0, 1]);
    say(&mut net, all[0], 1);
    assert_eq!(heard(&net, all[1]), 0);
}
