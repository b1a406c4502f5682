//! Downloads from providers that lie, rest, refuse and break off, on a clock of their own: who serves is our own gateway,
//! what arrives is bent on the way.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use bytes::Bytes;
use http::Request;
use nisse_content::download::{Ask, AskId, Download, DownloadError, DownloadLimits, PROGRESS_BYTES, Step, Wanted};
use nisse_content::{Profile, gateway};
use nisse_model::ContentId;

use crate::support::{Home, Seeded, node};

const MS: Duration = Duration::from_millis(1);
const PIECE_BYTES: usize = 64 * 1024;

/// What a provider does with what it should have answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Manner {
    Honest,
    /// Knows raw blocks and no CAR.
    WithoutCar,
    /// Flips a bit of this byte of each answer.
    Flips(usize),
    /// Breaks off behind so many bytes of each answer.
    BreaksOff(usize),
    /// Ends behind so many bytes, as if that were all.
    EndsEarly(usize),
    /// Never answers.
    Silent,
    /// Sends so many bytes and then nothing.
    Rests(usize),
    /// A byte every hundred milliseconds.
    Trickles,
    /// More than was asked for, without an end.
    Endless,
    Answers(u16),
}

#[derive(Debug, Clone)]
enum Event {
    Head(AskId, u16, String),
    Piece(AskId, Bytes),
    End(AskId, Result<(), String>),
}

/// A seeded world would be more than is needed: events happen in the order of their time, then of their making.
struct World {
    home: Home,
    now: Duration,
    download: Download,
    providers: Vec<Manner>,
    events: BTreeMap<(Duration, u64), Event>,
    made: u64,
    asks: Vec<Ask>,
}

impl World {
    fn new(home: Home, root: ContentId, bytes_max: u64, providers: &[Manner]) -> Self {
        let mut download = Download::new(root, DownloadLimits::file_bytes(bytes_max), Duration::ZERO);
        for number in 0..providers.len() {
            assert_eq!(download.offer(&format!("provider-{number}")), Some(number));
        }
        download.nobody_else();
        let (now, providers, events) = (Duration::ZERO, providers.to_vec(), BTreeMap::new());
        Self { home, now, download, providers, events, made: 0, asks: vec![] }
    }

    /// Goes on until it ends; the clock jumps from one thing to the next.
    fn run(mut self) -> Ended {
        loop {
            match self.download.step(self.now) {
                Step::Done => break,
                Step::Failed(error) => {
                    return Ended { error: Some(error), bytes: vec![], at: self.now, asks: self.asks };
                }
                // Answers to what was dropped come all the same: nobody minds them.
                Step::Go { asks, look_again_at, .. } => {
                    for ask in asks {
                        self.answer(ask.clone());
                        self.asks.push(ask);
                    }
                    let next = self.events.first_key_value().map(|((at, _), _)| *at).filter(|at| *at <= look_again_at);
                    assert!(next.unwrap_or(look_again_at) >= self.now, "time goes on");
                    self.now = next.unwrap_or(look_again_at);
                }
            }
            while let Some(entry) = self.events.first_entry().filter(|entry| entry.key().0 <= self.now) {
                match entry.remove() {
                    Event::Head(ask, status, kind) => self.download.head(ask, status, &kind),
                    Event::Piece(ask, bytes) => _ = self.download.piece(ask, &bytes, self.now),
                    Event::End(ask, ended) => self.download.end(ask, ended),
                }
            }
        }
        let (mut seen, elsewhere) = (BTreeSet::new(), Home::new());
        let batch = elsewhere.store.batch();
        for block in self.download.into_blocks() {
            assert!(seen.insert(block.cid()), "no block comes twice");
            batch.put(&block).unwrap();
        }
        batch.commit().unwrap();
        let root = match self.asks[0].wanted {
            Wanted::Car(cid) | Wanted::Block(cid) => cid,
        };
        let bytes = elsewhere.store.read_file(root, 1 << 30).unwrap();
        Ended { error: None, bytes, at: self.now, asks: self.asks }
    }

    fn later(&mut self, after: Duration, event: Event) {
        self.made += 1;
        self.events.insert((self.now + after, self.made), event);
    }

    fn answer(&mut self, ask: Ask) {
        let (manner, id) = (self.providers[ask.provider], ask.id);
        let request =
            Request::get(ask.wanted.path_and_query()).header("accept", ask.wanted.media_type()).body(()).unwrap();
        let (head, mut body) = gateway::handle(&self.home.store, &request).into_parts();
        let kind = head.headers["content-type"].to_str().unwrap().to_owned();
        let mut bytes: Vec<u8> = std::iter::from_fn(|| body.next()).flat_map(|piece| piece.unwrap()).collect();
        let (mut ended, mut apart) = (Some(Ok(())), MS);
        match manner {
            Manner::Honest => {}
            Manner::Silent => return,
            Manner::Answers(status) => return self.later(MS, Event::Head(id, status, String::new())),
            Manner::WithoutCar if matches!(ask.wanted, Wanted::Car(_)) => {
                return self.later(MS, Event::Head(id, 406, String::new()));
            }
            Manner::WithoutCar => {}
            Manner::Flips(at) => {
                if let Some(byte) = bytes.get_mut(at) {
                    *byte ^= 1;
                }
            }
            Manner::BreaksOff(after) => {
                if bytes.len() > after {
                    bytes.truncate(after);
                    ended = Some(Err("broke off".to_owned()));
                }
            }
            Manner::EndsEarly(after) => bytes.truncate(after),
            Manner::Rests(after) => {
                bytes.truncate(after);
                ended = None;
            }
            Manner::Trickles => apart = 100 * MS,
            Manner::Endless => bytes.resize(8 << 20, 7),
        }
        self.later(MS, Event::Head(id, head.status.as_u16(), kind));
        let size = if manner == Manner::Trickles { 1 } else { PIECE_BYTES };
        let mut at = MS;
        for piece in bytes.chunks(size).take(2_000) {
            at += apart;
            self.later(at, Event::Piece(id, Bytes::copy_from_slice(piece)));
        }
        if let Some(ended) = ended {
            self.later(at + apart, Event::End(id, ended));
        }
    }
}

struct Ended {
    error: Option<DownloadError>,
    bytes: Vec<u8>,
    at: Duration,
    asks: Vec<Ask>,
}

impl Ended {
    fn asked_of(&self, provider: usize) -> Vec<Wanted> {
        self.asks.iter().filter(|ask| ask.provider == provider).map(|ask| ask.wanted).collect()
    }
}

/// A file of five leaves and a root.
fn large() -> (Home, ContentId, Vec<u8>) {
    let (home, bytes) = (Home::new(), Seeded::bytes("large", (5 << 20) - 7));
    let cid = add(&home, &bytes);
    (home, cid, bytes)
}

fn small() -> (Home, ContentId, Vec<u8>) {
    let (home, bytes) = (Home::new(), Seeded::bytes("small", 300_000));
    let cid = add(&home, &bytes);
    (home, cid, bytes)
}

fn add(home: &Home, bytes: &[u8]) -> ContentId {
    let cid = home.store.add_bytes(bytes, Profile::UnixFs2025).unwrap();
    home.store.pin("added/it", &[cid]).unwrap();
    cid
}

fn check((home, cid, bytes): (Home, ContentId, Vec<u8>), providers: &[Manner]) -> Ended {
    let ended = World::new(home, cid, 64 << 20, providers).run();
    assert_eq!(ended.error, None);
    assert!(ended.bytes == bytes, "the bytes are those that were added");
    ended
}

#[test]
fn a_small_file_is_one_block_and_one_request() {
    let ended = check(small(), &[Manner::Honest, Manner::Honest]);
    assert_eq!(ended.asks.len(), 1);
    assert!(matches!(ended.asks[0].wanted, Wanted::Block(_)));
}

#[test]
fn a_large_file_is_one_car_of_the_first_provider() {
    let ended = check(large(), &[Manner::Honest, Manner::Honest]);
    assert_eq!(ended.asks.len(), 1);
    assert!(matches!(ended.asks[0].wanted, Wanted::Car(_)));
}

#[test]
fn a_gateway_without_cars_is_asked_for_blocks_several_at_once() {
    let ended = check(large(), &[Manner::WithoutCar]);
    // The CAR that it does not know, the root, and five leaves.
    assert_eq!(ended.asks.len(), 7);
    assert!(ended.at < 200 * MS, "{:?}", ended.at);
}

#[test]
fn whoever_gives_something_else_is_left_for_the_next() {
    for useless in [
        Manner::Flips(200_000),
        Manner::EndsEarly(1_000),
        Manner::BreaksOff(0),
        Manner::Endless,
        Manner::Answers(404),
        Manner::Answers(302),
        Manner::Answers(500),
    ] {
        for file in [small(), large()] {
            let ended = check(file, &[useless, Manner::Honest]);
            assert_eq!(ended.asked_of(0).len(), 1, "{useless:?} is asked nothing more");
            assert!(ended.at < 1_000 * MS, "{useless:?} cost {:?}", ended.at);
        }
    }
}

#[test]
fn what_came_before_a_car_broke_off_is_kept() {
    let (home, cid, bytes) = large();
    let ended = check((home, cid, bytes), &[Manner::BreaksOff((2 << 20) + 4_000), Manner::Honest]);
    let rest = ended.asked_of(1);
    assert!(rest.iter().all(|wanted| matches!(wanted, Wanted::Block(_))), "{rest:?}");
    assert_eq!(rest.len(), 3, "two of five leaves and the root had come");
}

#[test]
fn whoever_rests_is_hedged_before_it_is_given_up() {
    for slow in [Manner::Silent, Manner::Trickles, Manner::Rests(100_000)] {
        for file in [small(), large()] {
            let ended = check(file, &[slow, Manner::Honest]);
            assert!(ended.at >= 500 * MS && ended.at < 1_500 * MS, "{slow:?} cost {:?}", ended.at);
        }
    }
}

#[test]
fn two_that_trickle_hold_up_a_download_no_longer_than_their_stall() {
    let ended = check(large(), &[Manner::Trickles, Manner::Trickles, Manner::Honest]);
    assert!(ended.at >= 10_000 * MS && ended.at < 12_000 * MS, "{:?}", ended.at);
}

#[test]
fn a_download_that_nobody_can_end_says_what_each_provider_did() {
    let (home, cid, _) = large();
    let useless = [Manner::Answers(404), Manner::Answers(301), Manner::Flips(2_000_000), Manner::Silent];
    let ended = World::new(home, cid, 64 << 20, &useless).run();
    let said = ended.error.unwrap().to_string();
    assert!(said.starts_with(&format!("fetch {cid}: provider-0 does not hold it; provider-1 answered 301")), "{said}");
    assert!(said.contains("provider-2 failed to verify block"), "{said}");
    assert!(said.ends_with(&format!("provider-3 sent less than {PROGRESS_BYTES} bytes in 10 s")), "{said}");
    let (home, cid, _) = small();
    let said = World::new(home, cid, 64 << 20, &[]).run().error.unwrap().to_string();
    assert_eq!(said, format!("fetch {cid}: nobody is known who holds it"));
}

#[test]
fn the_deadline_holds_whoever_keeps_it_going() {
    let (home, cid, _) = large();
    let ended = World::new(home, cid, 64 << 20, &[Manner::Trickles; 16]).run();
    assert!(matches!(ended.error, Some(DownloadError::Deadline { .. })), "{:?}", ended.error);
    assert_eq!(ended.at, Duration::from_secs(60));
}

#[test]
fn what_is_too_large_is_given_up_with_its_root() {
    for (file, most) in [(large(), (5 << 20) - 8), (small(), 299_999)] {
        let (home, cid, bytes) = file;
        let ended = World::new(home, cid, most, &[Manner::Honest, Manner::Honest]).run();
        assert_eq!(ended.error, Some(DownloadError::TooLarge { cid, bytes_max: most }), "{} bytes", bytes.len());
        assert_eq!(ended.asks.len(), 1);
    }
}

fn only_ask(download: &mut Download) -> Ask {
    match download.step(Duration::ZERO) {
        Step::Go { mut asks, .. } if asks.len() == 1 => asks.remove(0),
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_verified_node_that_is_no_unixfs_is_nobodys_fault_and_no_file() {
    let odd = node(&[], 99, b"", 0, &[]);
    let mut download = Download::new(odd.cid(), DownloadLimits::file_bytes(1 << 20), Duration::ZERO);
    assert_eq!(download.offer("honest"), Some(0));
    let car = only_ask(&mut download);
    assert_eq!(car.wanted, Wanted::Car(odd.cid()));
    download.head(car.id, 406, "");
    let block = only_ask(&mut download);
    assert_eq!(block.wanted, Wanted::Block(odd.cid()));
    download.head(block.id, 200, "application/vnd.ipld.raw");
    download.piece(block.id, odd.bytes(), MS);
    download.end(block.id, Ok(()));
    let failed = download.step(MS);
    assert!(matches!(&failed, Step::Failed(DownloadError::Node { cid, .. }) if *cid == odd.cid()), "{failed:?}");
}

#[test]
fn a_provider_is_known_once_and_only_so_many_are_taken() {
    let (_, cid, _) = small();
    let mut download = Download::new(cid, DownloadLimits::file_bytes(1), Duration::ZERO);
    assert_eq!((download.offer("a"), download.offer("b"), download.offer("a")), (Some(0), Some(1), None));
    for number in 2..16 {
        assert_eq!(download.offer(&format!("p{number}")), Some(number));
    }
    assert_eq!(download.offer("one too many"), None);
}

#[test]
fn ones_own_gateways_are_taken_however_many_others_name_themselves() {
    let (_, cid, _) = small();
    let mut download = Download::new(cid, DownloadLimits::file_bytes(1), Duration::ZERO);
    let strangers = (0..40).filter_map(|number| download.offer(&format!("stranger {number}"))).count();
    assert_eq!((strangers, download.offer_own("gateway")), (16, Some(16)));
    assert_eq!(download.offer_own("stranger 3"), None, "it is known");
}

#[test]
fn a_limit_of_ones_own_rests_a_provider_and_does_not_give_it_up() {
    let (home, cid, _) = small();
    let mut download = Download::new(cid, DownloadLimits::file_bytes(1 << 20), Duration::ZERO);
    download.offer("busy").unwrap();
    download.nobody_else();
    let asks = |download: &mut Download, now| match download.step(now) {
        Step::Go { asks, look_again_at, .. } => (asks, look_again_at),
        other => panic!("{other:?}"),
    };
    let (first, _) = asks(&mut download, Duration::ZERO);
    download.not_now(first[0].id, 10 * MS);
    let (none, look_again_at) = asks(&mut download, 10 * MS);
    assert_eq!((none, look_again_at), (vec![], 510 * MS), "it is asked again, and not at once");
    let (again, _) = asks(&mut download, look_again_at);
    assert_eq!(again.len(), 1);
    download.head(again[0].id, 200, "application/vnd.ipld.raw");
    let bytes = home.store.get_block(&cid).unwrap().unwrap().into_bytes();
    download.piece(again[0].id, &bytes, 520 * MS);
    download.end(again[0].id, Ok(()));
    assert!(matches!(download.step(520 * MS), Step::Done));
}
