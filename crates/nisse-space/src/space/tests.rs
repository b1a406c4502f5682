//! Clients that sync with a space: what they bring, what they are told, and what is kept.

mod applying;
mod client;
mod durable;
mod export;
mod hostile;
mod objects;
mod presence;
mod replicas;
mod rights;
mod schemas;
mod unloaded;
mod world;

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{Arc, Mutex};

use nisse_model::{CredentialId, Did, Hash256, Role, SigningKey, Timestamp, Word};
use nisse_store::{Database, Disk, SystemDisk};

use super::{Author, Effect, Event, Made, PeerKey, Rights, Space, SpaceLimits, Speaks};
use crate::chunk::{Changes, Chunk};
use crate::document_id::DocumentId;
use crate::store::Store;
use client::Client;

const SPACE: CredentialId = CredentialId(Hash256([1; 32]));
const IDENTITY: Did = Did([2; 32]);
const NOTES: DocumentId = DocumentId([3; 16]);

/// A home that can be sealed.
struct Keeper {
    key: SigningKey,
    sealed: Mutex<bool>,
    /// What is known of authors, if it is not that all count.
    words: Mutex<BTreeMap<Did, Word>>,
}

impl Keeper {
    fn new(seed: u8) -> Self {
        Self { key: SigningKey::from_seed(&[seed; 32]), sealed: Mutex::default(), words: Mutex::default() }
    }
}

impl Author for Keeper {
    fn names(&self) -> (Did, Did) {
        (self.key.did(), IDENTITY)
    }

    fn seen(&self) -> Vec<CredentialId> {
        vec![SPACE]
    }

    fn word(&self, by: Made<'_>) -> Word {
        self.words.lock().expect("no test panics here").get(&by.author).copied().unwrap_or(Word::Counts)
    }

    fn now(&self) -> Timestamp {
        Timestamp(1_000)
    }

    fn can_sign(&self) -> bool {
        !*self.sealed.lock().expect("no test panics here")
    }

    fn sign(&self, context: &str, bytes: &[u8]) -> Option<[u8; 64]> {
        self.can_sign().then(|| self.key.sign(context, bytes))
    }
}

/// A compressed change whose body is 80 MiB of zeros in 80 KiB.
fn bomb() -> Vec<u8> {
    let mut body = Vec::new();
    let mut deflate = flate2::write::DeflateEncoder::new(&mut body, flate2::Compression::best());
    for _ in 0..80 {
        std::io::Write::write_all(&mut deflate, &vec![0; 1 << 20]).expect("written");
    }
    deflate.finish().expect("written");
    let mut bomb = vec![0x85, 0x6f, 0x4a, 0x83, 0, 0, 0, 0, 2];
    let mut length = body.len();
    while length >= 0x80 {
        bomb.push((length & 0x7f) as u8 | 0x80);
        length >>= 7;
    }
    bomb.push(length as u8);
    bomb.extend(&body);
    assert!(bomb.len() < 100 << 10, "{}", bomb.len());
    bomb
}

/// A space and those who sync with it.
struct World {
    space: Space,
    keeper: Keeper,
    clients: Vec<Client>,
    closed: Vec<(PeerKey, String)>,
    /// What is for those who are no clients.
    beyond: Vec<Effect>,
}

fn open(disk: Arc<dyn Disk>, folder: &Path, limits: SpaceLimits) -> Space {
    let database = Database::open(disk, &folder.join("spaces")).expect("a database");
    Space::open(Store::new(Arc::new(database), SPACE), "replica", limits)
}

impl World {
    fn new(folder: &Path) -> Self {
        Self::with(open(Arc::new(SystemDisk), folder, SpaceLimits::default()))
    }

    fn with(space: Space) -> Self {
        Self { space, keeper: Keeper::new(4), clients: Vec::new(), closed: Vec::new(), beyond: Vec::new() }
    }

    /// Connects a client; it has joined when this returns.
    fn connect(&mut self, client: Client, role: Role) -> usize {
        self.connect_as(client, Rights { subject: None, role })
    }

    fn connect_as(&mut self, client: Client, rights: Rights) -> usize {
        let place = self.clients.len();
        let peer = PeerKey(place as u64);
        let join = client.join();
        self.clients.push(client);
        self.turn(vec![
            Event::Opened { peer, rights, speaks: Speaks::AutomergeRepo },
            Event::Frame { peer, bytes: join },
        ]);
        place
    }

    /// One turn, and what it says delivered.
    fn turn(&mut self, events: Vec<Event>) {
        let effects = self.space.turn(events, &self.keeper);
        self.deliver(effects);
    }

    fn deliver(&mut self, effects: Vec<Effect>) {
        for effect in effects {
            let (Effect::Send { peer, .. } | Effect::Close { peer, .. }) = &effect;
            if peer.0 as usize >= self.clients.len() {
                self.beyond.push(effect);
                continue;
            }
            match effect {
                Effect::Send { peer, bytes } => self.clients[peer.0 as usize].hear(&bytes),
                Effect::Close { peer, why } => {
                    self.clients[peer.0 as usize].gone = true;
                    self.closed.push((peer, why));
                }
            }
        }
    }

    /// Lets everybody talk until nobody has anything to say.
    fn settle(&mut self) {
        for _ in 0..1_000 {
            let mut events = Vec::new();
            for (place, client) in self.clients.iter_mut().enumerate() {
                let peer = PeerKey(place as u64);
                events.extend(client.say().into_iter().map(|bytes| Event::Frame { peer, bytes }));
            }
            if events.is_empty() {
                return;
            }
            self.turn(events);
        }
        panic!("they never come to an end");
    }

    /// What one who connects only now reads.
    fn read(&mut self, document: DocumentId) -> Vec<String> {
        let mut reader = Client::new("reader", 99);
        reader.find(document);
        let place = self.connect(reader, Role::Read);
        self.settle();
        self.clients[place].lines(document)
    }

    fn chunks(&self, document: DocumentId) -> Vec<Changes> {
        let mut chunks = Vec::new();
        let read = self.space.store().chunks(document, |stored| {
            chunks.push(Chunk::decode(stored).expect("a sound chunk").changes().clone());
            true
        });
        read.expect("the chunks can be read");
        chunks
    }
}

#[test]
fn what_one_writes_another_reads_who_comes_when_the_first_is_gone() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut world = World::new(folder.path());
    let mut laptop = Client::new("laptop", 1);
    laptop.write(NOTES, "milk");
    laptop.write(NOTES, "bread");
    let laptop = world.connect(laptop, Role::Edit);
    world.settle();
    world.turn(vec![Event::Closed { peer: PeerKey(laptop as u64) }]);
    world.clients[laptop].gone = true;
    assert_eq!(world.read(NOTES), ["bread", "milk"]);
    assert_eq!(world.closed, []);
}

#[test]
fn two_who_write_at_once_both_keep_what_they_wrote() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut world = World::new(folder.path());
    let (one, two) =
        (world.connect(Client::new("one", 1), Role::Edit), world.connect(Client::new("two", 2), Role::Edit));
    for round in 0..20 {
        world.clients[one].write(NOTES, &format!("one {round}"));
        world.clients[two].write(NOTES, &format!("two {round}"));
        if round % 3 == 0 {
            world.settle();
        }
    }
    world.settle();
    let lines = world.clients[one].lines(NOTES);
    assert_eq!(lines.len(), 40);
    assert_eq!(world.clients[two].lines(NOTES), lines);
    assert_eq!(world.read(NOTES), lines);
}

#[test]
fn a_document_that_nobody_has_is_unavailable_until_somebody_brings_it() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut world = World::new(folder.path());
    let mut waiting = Client::new("waiting", 1);
    waiting.find(NOTES);
    let waiting = world.connect(waiting, Role::Edit);
    world.settle();
    assert!(world.clients[waiting].unavailable.contains(&NOTES));
    let mut other = Client::new("other", 2);
    other.write(NOTES, "here it is");
    world.connect(other, Role::Edit);
    world.settle();
    assert_eq!(world.clients[waiting].lines(NOTES), ["here it is"]);
}

#[test]
fn what_is_only_passed_on_reaches_the_others_and_is_kept_nowhere() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut world = World::new(folder.path());
    let mut one = Client::new("one", 1);
    one.write(NOTES, "text");
    let one = world.connect(one, Role::Edit);
    let mut two = Client::new("two", 2);
    two.find(NOTES);
    let two = world.connect(two, Role::Read);
    world.settle();
    let before = world.chunks(NOTES).len();
    let cursor = world.clients[two].ephemeral(NOTES, "two", 1, b"\x63at5");
    world.turn(vec![Event::Frame { peer: PeerKey(two as u64), bytes: cursor }]);
    assert_eq!(world.clients[one].passed, [("two".to_owned(), b"\x63at5".to_vec())]);
    assert!(world.clients[two].passed.is_empty());
    // In the name of another it goes nowhere.
    let forged = world.clients[two].ephemeral(NOTES, "one", 2, b"\x63at6");
    world.turn(vec![Event::Frame { peer: PeerKey(two as u64), bytes: forged }]);
    assert_eq!(world.clients[one].passed.len(), 1);
    assert_eq!(world.chunks(NOTES).len(), before);
}

#[test]
fn documents_that_there_is_no_room_for_are_loaded_again() {
    let folder = tempfile::tempdir().expect("a folder");
    let limits = SpaceLimits { loaded_bytes_max: 100 << 10, ..SpaceLimits::default() };
    let mut world = World::with(open(Arc::new(SystemDisk), folder.path(), limits));
    let mut writer = Client::new("writer", 1);
    let documents: Vec<DocumentId> = (0..50).map(|number| DocumentId([number; 16])).collect();
    for document in &documents {
        writer.write(*document, "text");
    }
    let writer = world.connect(writer, Role::Edit);
    world.settle();
    assert!(world.space.loaded() < 10, "{} are loaded", world.space.loaded());
    for document in &documents {
        world.clients[writer].write(*document, "more");
    }
    world.settle();
    for document in documents {
        assert_eq!(world.read(document), ["more", "text"]);
    }
}

#[test]
fn a_client_that_comes_back_with_nothing_new_loads_nothing() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut world = World::new(folder.path());
    let mut writer = Client::new("writer", 1);
    let documents: Vec<DocumentId> = (0..100).map(|number| DocumentId([number; 16])).collect();
    for document in &documents {
        writer.write(*document, "text");
        writer.write(*document, "more");
    }
    let place = world.connect(writer, Role::Edit);
    world.settle();
    let store = world.space.store().clone();
    let mut back = world.clients.remove(place);
    for (_, state) in back.documents.values_mut() {
        *state = automerge::sync::State::new();
    }
    let mut world = World::with(Space::open(store, "replica", SpaceLimits::default()));
    let place = world.connect(back, Role::Edit);
    world.settle();
    assert_eq!(world.space.loaded(), 0);
    // What is new afterwards goes both ways.
    world.clients[place].write(documents[5], "new");
    world.settle();
    assert_eq!(world.read(documents[5]), ["more", "new", "text"]);
    let mut other = Client::new("other", 2);
    other.find(documents[7]);
    let other = world.connect(other, Role::Edit);
    world.settle();
    world.clients[other].write(documents[7], "of another");
    world.settle();
    assert_eq!(world.clients[place].lines(documents[7]), ["more", "of another", "text"]);
}
