//! Replicas of one space that bring each other chunks.

mod keeping;

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use automerge::transaction::Transactable as _;
use automerge::{ActorId, Automerge, ROOT};
use nisse_testkit::Random;

use super::*;
use crate::chunk_sync::{Frame, Wanted};

/// Several replicas, each with a keeper of its own, and the links between them.
pub(super) struct Net {
    pub(super) replicas: Vec<World>,
    /// The client of each that writes.
    pub(super) writers: Vec<Option<usize>>,
    /// How many there were: no two write as the same actor.
    actors: u8,
    pub(super) links: Vec<Link>,
    pub(super) frames: usize,
    bytes: usize,
    _folders: Vec<tempfile::TempDir>,
}

/// Two ends: which replica, and by which number it knows the link.
pub(super) struct Link {
    pub(super) ends: [(usize, PeerKey); 2],
    is_up: bool,
    /// What is under way to each end.
    to: [VecDeque<Vec<u8>>; 2],
}

const LINK: u64 = 1_000;

impl Net {
    pub(super) fn new(count: usize) -> Self {
        let folders: Vec<_> = (0..count).map(|_| tempfile::tempdir().expect("a folder")).collect();
        let replica = |place: usize| {
            let mut world = World::new(folders[place].path());
            world.keeper = Keeper::new(100 + place as u8);
            world
        };
        let replicas = (0..count).map(replica).collect();
        Self {
            replicas,
            writers: vec![None; count],
            actors: 100,
            links: Vec::new(),
            frames: 0,
            bytes: 0,
            _folders: folders,
        }
    }

    pub(super) fn link(&mut self, one: usize, other: usize) -> usize {
        self.link_with(one, other, [Wanted::All, Wanted::All])
    }

    pub(super) fn link_with(&mut self, one: usize, other: usize, wanted: [Wanted; 2]) -> usize {
        let place = self.links.len();
        let key = PeerKey(LINK + place as u64);
        self.links.push(Link { ends: [(one, key), (other, key)], is_up: true, to: Default::default() });
        for (end, wanted) in wanted.into_iter().enumerate().rev() {
            let rights = Rights { subject: None, role: Role::Edit };
            let speaks = Speaks::Chunks { first: end == 0, wanted };
            self.turn([one, other][end], vec![Event::Opened { peer: key, rights, speaks }]);
        }
        place
    }

    fn cut(&mut self, link: usize) {
        self.links[link].is_up = false;
        for (replica, peer) in self.links[link].ends {
            self.turn(replica, vec![Event::Closed { peer }]);
        }
    }

    pub(super) fn turn(&mut self, replica: usize, events: Vec<Event>) {
        let world = &mut self.replicas[replica];
        let effects = world.space.turn(events, &world.keeper);
        self.deliver(replica, effects);
    }

    fn deliver(&mut self, replica: usize, effects: Vec<Effect>) {
        for effect in effects {
            let (Effect::Send { peer, .. } | Effect::Close { peer, .. }) = &effect;
            let Some(link) = peer.0.checked_sub(LINK).map(|link| link as usize) else {
                self.replicas[replica].deliver(vec![effect]);
                continue;
            };
            let other = usize::from(self.links[link].ends[0].0 == replica);
            match effect {
                Effect::Send { bytes, .. } => {
                    (self.frames, self.bytes) = (self.frames + 1, self.bytes + bytes.len());
                    self.links[link].to[other].push_back(bytes);
                }
                Effect::Close { peer, why } => {
                    self.replicas[replica].closed.push((peer, why));
                    self.links[link].is_up = false;
                }
            }
        }
    }

    /// Carries one frame; `false`: none is under way.
    fn carry(&mut self, random: Option<&mut Random>) -> bool {
        let mut ways: Vec<(usize, usize)> = Vec::new();
        for (link, one) in self.links.iter().enumerate().filter(|(_, link)| link.is_up) {
            ways.extend((0..2).filter(|end| !one.to[*end].is_empty()).map(|end| (link, end)));
        }
        if ways.is_empty() {
            return false;
        }
        let (link, end) = ways[random.map_or(0, |random| random.below(ways.len() as u64) as usize)];
        let bytes = self.links[link].to[end].pop_front().expect("one is under way");
        let (replica, peer) = self.links[link].ends[end];
        self.turn(replica, vec![Event::Frame { peer, bytes }]);
        true
    }

    pub(super) fn settle(&mut self) {
        for _ in 0..100_000 {
            if !self.carry(None) {
                return;
            }
        }
        panic!("they never come to an end");
    }

    /// Somebody at a replica writes a line, as its own client.
    pub(super) fn write(&mut self, replica: usize, document: DocumentId, line: &str) {
        let world = &mut self.replicas[replica];
        let writer = match self.writers[replica].filter(|writer| !world.clients[*writer].gone) {
            Some(writer) => writer,
            // One that was sent away begins anew, as somebody else.
            None => {
                self.actors += 1;
                world.connect(Client::new("client", self.actors), Role::Edit)
            }
        };
        self.writers[replica] = Some(writer);
        self.beyond(replica);
        if !self.replicas[replica].clients[writer].documents.contains_key(&document) {
            self.replicas[replica].clients[writer].find(document);
        }
        self.talk(replica);
        self.replicas[replica].clients[writer].write(document, line);
        self.talk(replica);
    }

    /// Lets a replica's clients talk.
    pub(super) fn talk(&mut self, replica: usize) {
        for _ in 0..1_000 {
            let mut events = Vec::new();
            for (place, client) in self.replicas[replica].clients.iter_mut().enumerate() {
                let peer = PeerKey(place as u64);
                events.extend(client.say().into_iter().map(|bytes| Event::Frame { peer, bytes }));
            }
            if events.is_empty() {
                return;
            }
            self.turn(replica, events);
        }
    }

    fn lines(&mut self, replica: usize, document: DocumentId) -> Vec<String> {
        let lines = self.replicas[replica].read(document);
        self.beyond(replica);
        lines
    }

    /// Puts on its way what a replica says to others while its clients come.
    fn beyond(&mut self, replica: usize) {
        let effects = std::mem::take(&mut self.replicas[replica].beyond);
        self.deliver(replica, effects);
    }

    fn closed(&self) -> Vec<&(PeerKey, String)> {
        self.replicas.iter().flat_map(|world| &world.closed).collect()
    }

    /// What a replica knows of the devices of others.
    fn know(&mut self, replica: usize, of: usize, word: Word) {
        let author = self.replicas[of].keeper.key.did();
        self.replicas[replica].keeper.words.lock().expect("no test panics here").insert(author, word);
        self.turn(replica, vec![Event::Credentials]);
    }
}

fn document(number: usize) -> DocumentId {
    let mut name = [7; 16];
    name[..8].copy_from_slice(&(number as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15).to_be_bytes());
    DocumentId(name)
}

#[test]
fn what_one_has_the_other_gets_by_a_third_who_is_never_online_with_the_first() {
    let mut net = Net::new(3);
    net.write(0, NOTES, "milk");
    net.write(0, NOTES, "bread");
    let laptop = net.link(0, 1);
    net.settle();
    net.cut(laptop);
    net.write(2, NOTES, "by the phone");
    net.link(2, 1);
    net.settle();
    assert_eq!(net.lines(2, NOTES), ["bread", "by the phone", "milk"]);
    assert_eq!(net.lines(1, NOTES), ["bread", "by the phone", "milk"]);
    let chunks = |replica: usize| -> BTreeSet<Did> {
        net.replicas[replica].chunks(NOTES).iter().map(|changes| changes.author).collect()
    };
    assert_eq!(chunks(2), [0, 2].map(|place: usize| net.replicas[place].keeper.key.did()).into());
    assert!(net.closed().is_empty(), "{:?}", net.closed());
}

#[test]
fn what_is_written_while_they_are_connected_goes_to_all_and_to_none_twice() {
    let mut net = Net::new(3);
    net.link(0, 1);
    net.link(1, 2);
    net.settle();
    let before = net.frames;
    net.write(0, NOTES, "one");
    net.settle();
    assert_eq!(net.frames - before, 2);
    assert_eq!(net.lines(2, NOTES), ["one"]);
    net.write(2, NOTES, "two");
    net.settle();
    assert_eq!(net.lines(0, NOTES), ["one", "two"]);
}

#[test]
fn a_thousand_documents_come_over_and_cost_two_frames_when_nothing_is_new() {
    let mut net = Net::new(2);
    let mut client = Client::new("client", 1);
    for number in 0..1_000 {
        client.write(document(number), "line");
    }
    net.replicas[0].connect(client, Role::Edit);
    net.talk(0);
    let first = net.link(0, 1);
    net.settle();
    let mut count = 0;
    let counted = net.replicas[1].space.store().documents(|_, _| {
        count += 1;
        true
    });
    counted.expect("read");
    assert_eq!(count, 1_000);
    assert_eq!(net.lines(1, document(77)), ["line"]);
    net.cut(first);
    let (frames, bytes) = (net.frames, net.bytes);
    net.link(1, 0);
    net.settle();
    assert_eq!(net.frames - frames, 2);
    assert!(net.bytes - bytes < 300, "{} bytes", net.bytes - bytes);
}

#[test]
fn who_wants_some_documents_gets_no_others() {
    let mut net = Net::new(2);
    for number in 0..20 {
        net.write(0, document(number), "line");
    }
    let some: BTreeSet<DocumentId> = [3, 5, 99].map(document).into();
    net.link_with(0, 1, [Wanted::All, Wanted::Only(some.clone())]);
    net.settle();
    net.write(0, document(5), "later");
    net.write(0, document(6), "later");
    net.settle();
    let mut there = BTreeSet::new();
    let read = net.replicas[1].space.store().documents(|name, _| there.insert(name));
    read.expect("read");
    assert_eq!(there, [3, 5].map(document).into());
    assert_eq!(net.lines(1, document(5)), ["later", "line"]);
    assert!(net.closed().is_empty(), "{:?}", net.closed());
    // As the one that begins, too.
    let mut other = Net::new(2);
    other.write(1, document(3), "three");
    other.write(1, document(4), "four");
    other.link_with(0, 1, [Wanted::Only(some), Wanted::All]);
    other.settle();
    assert_eq!(other.lines(0, document(3)), ["three"]);
    assert!(other.lines(0, document(4)).is_empty());
    assert!(other.closed().is_empty());
}

#[test]
fn what_a_revoked_author_wrote_is_in_nobodys_state_unless_somebody_had_it_before() {
    let mut net = Net::new(3);
    // All have what the second wrote early, and the first built on it.
    let links = [net.link(1, 0), net.link(1, 2), net.link(0, 2)];
    net.settle();
    net.write(1, NOTES, "early");
    net.settle();
    net.write(0, NOTES, "on it");
    net.settle();
    for link in links {
        net.cut(link);
    }
    // It is cut off at the first; the third does not know, and takes what it writes afterwards.
    net.know(0, 1, Word::CutOff);
    assert_eq!(net.lines(0, NOTES), ["early", "on it"]);
    net.link(1, 2);
    net.settle();
    net.write(1, NOTES, "late");
    net.settle();
    assert_eq!(net.lines(2, NOTES), ["early", "late", "on it"]);
    net.link(2, 0);
    net.settle();
    assert_eq!(net.lines(0, NOTES), ["early", "on it"]);
    // Now the third hears of it.
    net.know(2, 1, Word::CutOff);
    net.settle();
    assert_eq!(net.lines(2, NOTES), ["early", "on it"]);
    let heads =
        |replica: usize| net.replicas[replica].space.store().summary(NOTES).expect("read").expect("it is there").heads;
    assert_eq!(heads(0), heads(2));
}

#[test]
fn what_is_set_aside_comes_back_with_an_edit_of_somebody_who_had_it() {
    let mut net = Net::new(3);
    let link = net.link(1, 2);
    net.settle();
    net.write(1, NOTES, "by the revoked");
    net.settle();
    net.cut(link);
    net.know(0, 1, Word::CutOff);
    net.link(1, 0);
    net.settle();
    assert!(net.lines(0, NOTES).is_empty());
    // The third had it before it knew, and wrote on it: neither is lost.
    net.write(2, NOTES, "by a member");
    net.know(2, 1, Word::CutOff);
    assert_eq!(net.lines(2, NOTES), ["by a member", "by the revoked"]);
    net.link(2, 0);
    net.settle();
    assert_eq!(net.lines(0, NOTES), ["by a member", "by the revoked"]);
    assert!(net.closed().is_empty(), "{:?}", net.closed());
}

#[test]
fn what_is_vouched_for_before_a_revocation_stays_everywhere() {
    let mut net = Net::new(3);
    net.link(1, 0);
    net.settle();
    net.write(1, NOTES, "kept");
    net.settle();
    let who = net.replicas[1].keeper.key.did();
    let world = &mut net.replicas[0];
    let effects = world.space.vouch_for(who, &world.keeper).expect("vouched");
    net.deliver(0, effects);
    net.settle();
    assert_eq!(net.replicas[0].chunks(NOTES).len(), 2);
    let world = &mut net.replicas[0];
    assert_eq!(world.space.vouch_for(who, &world.keeper).expect("vouched"), []);
    net.know(0, 1, Word::CutOff);
    net.know(2, 1, Word::CutOff);
    net.write(1, NOTES, "not kept");
    net.settle();
    net.link(0, 2);
    net.settle();
    assert_eq!(net.lines(0, NOTES), ["kept"]);
    assert_eq!(net.lines(2, NOTES), ["kept"]);
}

#[test]
fn a_client_that_had_what_was_taken_out_is_sent_away_to_begin_anew() {
    let mut net = Net::new(2);
    net.link(1, 0);
    net.settle();
    net.write(1, NOTES, "late");
    net.settle();
    let mut reader = Client::new("reader", 50);
    reader.find(NOTES);
    net.replicas[0].connect(reader, Role::Read);
    net.talk(0);
    assert_eq!(net.replicas[0].clients[0].lines(NOTES), ["late"]);
    net.know(0, 1, Word::Nothing);
    assert_eq!(net.replicas[0].closed.len(), 1);
    assert!(net.replicas[0].closed[0].1.contains("connect again"), "{:?}", net.replicas[0].closed);
    assert!(net.lines(0, NOTES).is_empty());
}

#[test]
fn chunks_of_authors_nobody_knows_yet_wait_for_their_credentials() {
    let mut net = Net::new(2);
    net.know(0, 1, Word::Unknown);
    net.link(1, 0);
    net.settle();
    net.write(1, NOTES, "one");
    net.write(1, NOTES, "two");
    net.settle();
    assert!(net.lines(0, NOTES).is_empty());
    net.know(0, 1, Word::Counts);
    net.settle();
    assert_eq!(net.lines(0, NOTES), ["one", "two"]);
}

#[test]
fn what_somebody_wrote_whom_nobody_here_knows_stays_where_a_member_wrote_on() {
    let mut net = Net::new(3);
    net.know(0, 1, Word::Unknown);
    net.link(1, 2);
    net.settle();
    net.write(1, NOTES, "of nobody");
    net.settle();
    net.write(2, NOTES, "of a member");
    net.settle();
    net.link(2, 0);
    net.settle();
    assert_eq!(net.lines(0, NOTES), ["of a member", "of nobody"]);
}

/// A chunk of this key, whatever it says.
fn forged(keeper: &Keeper, change: impl FnOnce(&mut Changes)) -> Chunk {
    let mut automerge = Automerge::new().with_actor(ActorId::from([66; 16].as_slice()));
    let mut transaction = automerge.transaction();
    transaction.put(ROOT, "forged", true).expect("written");
    transaction.commit();
    let (author, identity) = keeper.names();
    let mut changes = Changes {
        space: SPACE,
        document: NOTES,
        author,
        identity,
        subject: None,
        seen: keeper.seen(),
        before: Vec::new(),
        after: automerge.get_heads(),
        signed: Timestamp(1_000),
        bytes: automerge.save_after(&[]),
    };
    change(&mut changes);
    let signature = keeper.key.sign(Changes::CONTEXT, &changes.signed_bytes());
    changes.with_signature(signature).expect("a chunk")
}

#[test]
fn a_peer_that_brings_what_no_honest_one_has_is_sent_away_and_the_others_go_on() {
    type Spoil = fn(&mut Changes);
    let cases: [(Spoil, &str); 6] = [
        (|changes| changes.space = CredentialId(Hash256([9; 32])), "another space"),
        (|changes| changes.bytes = b"no changes at all".to_vec(), "is not taken"),
        (|changes| changes.bytes.truncate(20), "is not taken"),
        (|changes| changes.after = vec![automerge::ChangeHash([9; 32])], "does not lead where it says"),
        (
            |changes| {
                let mut automerge = Automerge::load(&changes.bytes).expect("loaded");
                let mut transaction = automerge.transaction();
                transaction.put(ROOT, "more", true).expect("written");
                transaction.commit();
                changes.bytes = automerge.get_last_local_change().expect("one").raw_bytes().to_vec();
                changes.after = automerge.get_heads();
            },
            "stands on more than it says",
        ),
        (
            |changes| {
                let mut automerge = Automerge::new().with_actor(ActorId::from([66; 16].as_slice()));
                let mut transaction = automerge.transaction();
                transaction.put(ROOT, "spoiled", true).expect("written");
                transaction.commit_with(automerge::transaction::CommitOptions::default().with_time(-1));
                changes.bytes = automerge.save_after(&[]);
                changes.after = automerge.get_heads();
            },
            "claims a time",
        ),
    ];
    let mut net = Net::new(2);
    net.write(0, document(1), "honest");
    for (spoil, words) in cases {
        let chunk = forged(&net.replicas[1].keeper, spoil);
        let link = net.link(0, 1);
        net.settle();
        let bytes = Frame::Chunks { chunks: vec![chunk.stored().into()], missing: Vec::new() }.encode();
        let peer = net.links[link].ends[0].1;
        net.turn(0, vec![Event::Frame { peer, bytes }]);
        let (closed, why) = net.replicas[0].closed.last().expect("somebody was sent away");
        assert_eq!(*closed, peer);
        assert!(why.contains(words), "{why}");
        net.replicas[1].closed.clear();
        net.cut(link);
    }
    assert!(net.lines(0, NOTES).is_empty());
    net.write(0, document(1), "and on");
    net.link(0, 1);
    net.settle();
    assert_eq!(net.lines(1, document(1)), ["and on", "honest"]);
    assert_eq!(net.replicas[0].space.fault(), None);
}

#[test]
fn a_hello_of_another_space_and_frames_before_it_are_refused() {
    let mut net = Net::new(2);
    for bytes in [
        Frame::Hello { space: CredentialId(Hash256([9; 32])), wanted: Wanted::All, ranges: Vec::new() }.encode(),
        Frame::Reconcile { ranges: Vec::new() }.encode(),
        b"nothing".to_vec(),
        Vec::new(),
    ] {
        let peer = PeerKey(5_000);
        let rights = Rights { subject: None, role: Role::Edit };
        let speaks = Speaks::Chunks { first: false, wanted: Wanted::All };
        let world = &mut net.replicas[0];
        let effects =
            world.space.turn(vec![Event::Opened { peer, rights, speaks }, Event::Frame { peer, bytes }], &world.keeper);
        assert!(matches!(effects.last(), Some(Effect::Close { .. })), "{effects:?}");
    }
}

/// Writes, links, cuts and revocations at random; all who know the same have the same in the end.
#[test]
fn replicas_converge_whatever_order_things_come_in() {
    for seed in 0..40 {
        let mut random = Random::new(seed);
        let count = 3 + random.below(3) as usize;
        let mut net = Net::new(count);
        let revoked = (random.below(3) == 0).then(|| random.below(count as u64) as usize);
        let mut written = Vec::new();
        let mut links: Vec<usize> = Vec::new();
        for round in 0..60 {
            match random.below(10) {
                0..4 => {
                    let (who, place) = (random.below(count as u64) as usize, random.below(4) as usize);
                    let line = format!("{who}:{round}");
                    net.write(who, document(place), &line);
                    written.push((who, place, line));
                }
                4..6 => {
                    let one = random.below(count as u64) as usize;
                    let other = (one + 1 + random.below(count as u64 - 1) as usize) % count;
                    links.push(net.link(one, other));
                }
                6 if !links.is_empty() => {
                    let link = links.swap_remove(random.below(links.len() as u64) as usize);
                    net.cut(link);
                }
                7 => {
                    if let Some(revoked) = revoked.filter(|_| round > 30) {
                        let at = random.below(count as u64) as usize;
                        if at != revoked {
                            net.know(at, revoked, Word::CutOff);
                        }
                    }
                }
                _ => {
                    for _ in 0..random.below(20) {
                        net.carry(Some(&mut random));
                    }
                }
            }
        }
        for link in links {
            net.cut(link);
        }
        if let Some(revoked) = revoked {
            for at in (0..count).filter(|at| *at != revoked) {
                net.know(at, revoked, Word::CutOff);
            }
        }
        let honest: Vec<usize> = (0..count).filter(|place| Some(*place) != revoked).collect();
        for pair in honest.windows(2) {
            net.link(pair[0], pair[1]);
        }
        net.settle();
        for place in 0..4 {
            let found = net.lines(honest[0], document(place));
            for other in &honest[1..] {
                assert_eq!(found, net.lines(*other, document(place)), "seed {seed}, document {place}");
            }
            for (who, at, line) in &written {
                if *at == place && Some(*who) != revoked {
                    assert!(found.contains(line), "seed {seed}: {line} of a member is lost");
                }
            }
        }
        assert!(net.closed().iter().all(|(_, why)| why.contains("connect again")), "seed {seed}: {:?}", net.closed());
    }
}

impl Net {
    /// Brings a replica a chunk, as a peer of it would.
    fn bring(&mut self, replica: usize, chunk: &Chunk) {
        let peer = PeerKey(9_000 + self.frames as u64);
        self.frames += 1;
        let rights = Rights { subject: None, role: Role::Read };
        let speaks = Speaks::Chunks { first: false, wanted: Wanted::All };
        let hello = Frame::Hello { space: SPACE, wanted: Wanted::All, ranges: Vec::new() }.encode();
        let bytes = Frame::Chunks { chunks: vec![chunk.stored().into()], missing: Vec::new() }.encode();
        let world = &mut self.replicas[replica];
        let opened = Event::Opened { peer, rights, speaks };
        let frames = [hello, bytes].map(|bytes| Event::Frame { peer, bytes });
        let effects = world.space.turn([opened].into_iter().chain(frames).collect(), &world.keeper);
        for effect in effects {
            match effect {
                Effect::Close { peer: whose, why } if whose == peer => world.closed.push((peer, why)),
                Effect::Send { peer: whose, .. } if whose == peer => {}
                other => world.deliver(vec![other]),
            }
        }
        let effects = world.space.turn(vec![Event::Closed { peer }], &world.keeper);
        assert_eq!(effects, []);
    }
}

/// A chunk by this keeper that puts these lines behind what `before` holds, by an actor.
fn lines_by(keeper: &Keeper, before: &mut Automerge, lines: &[&str]) -> Chunk {
    let heads = before.get_heads();
    for line in lines {
        let mut transaction = before.transaction();
        transaction.put(ROOT, *line, true).expect("written");
        transaction.commit();
    }
    let (bytes, after) = (before.save_after(&heads), before.get_heads());
    forged(keeper, |changes| (changes.before, changes.after, changes.bytes) = (heads, after, bytes))
}

fn by_actor(actor: u8) -> Automerge {
    Automerge::new().with_actor(ActorId::from([actor; 16].as_slice()))
}

#[test]
fn a_bomb_is_not_even_set_aside() {
    let mut net = Net::new(2);
    net.know(0, 1, Word::Nothing);
    let chunk = forged(&net.replicas[1].keeper, |changes| changes.bytes = bomb());
    net.bring(0, &chunk);
    assert!(net.replicas[0].closed[0].1.contains("are allowed"), "{:?}", net.replicas[0].closed);
    assert!(!net.replicas[0].space.store().holds(NOTES, chunk.id()).expect("read"));
}

#[test]
fn what_is_hung_on_an_early_change_by_who_was_revoked_does_not_come_in_with_it() {
    let mut net = Net::new(2);
    let mut document = by_actor(66);
    let early = lines_by(&net.replicas[1].keeper, &mut document, &["early"]);
    net.bring(0, &early);
    // A member writes on it, and the author is revoked.
    net.write(0, NOTES, "on it");
    net.know(0, 1, Word::CutOff);
    // A chunk that brings the early change once more, with a late one beside it.
    let both = lines_by(&net.replicas[1].keeper, &mut by_actor(66), &["early", "late"]);
    net.bring(0, &both);
    assert_eq!(net.lines(0, NOTES), ["early", "on it"]);
    net.know(0, 1, Word::Nothing);
    assert_eq!(net.lines(0, NOTES), ["early", "on it"]);
    assert!(net.replicas[0].space.store().holds(NOTES, both.id()).expect("read"));
}

#[test]
fn of_two_changes_that_exclude_each_other_the_same_one_is_in_everywhere() {
    for swapped in [false, true] {
        let mut net = Net::new(2);
        let mut one = lines_by(&net.replicas[1].keeper, &mut by_actor(66), &["one"]);
        let mut other = lines_by(&net.replicas[1].keeper, &mut by_actor(66), &["other"]);
        if swapped {
            std::mem::swap(&mut one, &mut other);
        }
        net.bring(0, &one);
        net.bring(1, &other);
        net.link(0, 1);
        net.settle();
        let found = net.lines(0, NOTES);
        assert_eq!(found.len(), 1);
        assert_eq!(found, net.lines(1, NOTES));
        assert!(net.closed().is_empty(), "{:?}", net.closed());
    }
}

#[test]
fn what_came_before_what_it_stands_on_is_in_when_that_comes_though_something_is_set_aside() {
    let mut net = Net::new(2);
    let stray = lines_by(&Keeper::new(77), &mut by_actor(77), &["stray"]);
    let stranger = Keeper::new(77).key.did();
    net.replicas[0].keeper.words.lock().expect("no test panics here").insert(stranger, Word::Nothing);
    net.bring(0, &stray);
    let mut document = by_actor(66);
    let first = lines_by(&net.replicas[1].keeper, &mut document, &["first"]);
    let second = lines_by(&net.replicas[1].keeper, &mut document, &["second"]);
    net.bring(0, &second);
    assert!(net.lines(0, NOTES).is_empty());
    net.bring(0, &first);
    assert_eq!(net.lines(0, NOTES), ["first", "second"]);
}

#[test]
fn a_document_of_many_chunks_comes_over_once_and_in_order() {
    let mut net = Net::new(2);
    let mut document = by_actor(66);
    let chunk = |number| lines_by(&net.replicas[0].keeper, &mut document, &[&format!("line {number}")]);
    let chunks: Vec<Chunk> = (0..5_000).map(chunk).collect();
    net.replicas[0].space.store().commit(&chunks, &BTreeMap::new()).expect("kept");
    net.link(1, 0);
    let before = net.bytes;
    net.settle();
    assert_eq!(net.replicas[1].chunks(NOTES).len(), 5_000);
    let held: usize = net.replicas[0].chunks(NOTES).iter().map(|changes| changes.signed_bytes().len() + 66).sum();
    let sent = net.bytes - before;
    assert!(sent < held * 2, "{sent} bytes for {held}");
    assert!(net.closed().is_empty(), "{:?}", net.closed());
}

#[test]
fn what_counts_finds_room_where_all_of_what_is_set_aside_is_taken() {
    let mut net = Net::new(2);
    let folder = tempfile::tempdir().expect("a folder");
    let limits = SpaceLimits { aside_bytes_max: 600, ..SpaceLimits::default() };
    net.replicas[0] = World::with(open(Arc::new(SystemDisk), folder.path(), limits));
    let stranger = Keeper::new(77);
    net.replicas[0].keeper.words.lock().expect("no test panics here").insert(stranger.key.did(), Word::Nothing);
    let strays: Vec<Chunk> = (0..4).map(|actor| lines_by(&stranger, &mut by_actor(70 + actor), &["stray"])).collect();
    for stray in &strays {
        net.bring(0, stray);
    }
    let held = |chunk: &Chunk| net.replicas[0].space.store().holds(NOTES, chunk.id()).expect("read");
    assert_eq!(strays.iter().map(held).collect::<Vec<_>>(), [true, false, false, false]);
    let counts = lines_by(&net.replicas[1].keeper, &mut by_actor(66), &["counts"]);
    net.bring(0, &counts);
    assert_eq!(net.lines(0, NOTES), ["counts"]);
    assert!(net.closed().is_empty(), "{:?}", net.closed());
}
