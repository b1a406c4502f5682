//! Fetching from the node's own store, within limits.

use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use nisse_content::{BlockSource, FetchError, FetchLimits, Fetched, LocalSource, Profile, Reader};
use nisse_model::{ContentId, Hash256, Timestamp};
use nisse_store::Clock;
use nisse_testkit::SimClock;

use crate::support::{Home, Seeded, node};

const LIMITS: FetchLimits =
    FetchLimits { bytes_max: 3_000_000, deadline: Duration::from_secs(60), reader: Reader::Node };

/// The local source never waits, so one poll is all it takes.
fn fetch(home: &Home, cid: ContentId, limits: FetchLimits) -> Result<Fetched, FetchError> {
    fetch_by(Arc::new(SimClock::default()), home, cid, limits)
}

fn fetch_by(clock: Arc<dyn Clock>, home: &Home, cid: ContentId, limits: FetchLimits) -> Result<Fetched, FetchError> {
    let source = LocalSource::new(Arc::clone(&home.store), clock);
    let mut fetching = source.fetch(cid, limits);
    match fetching.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(result) => result,
        Poll::Pending => panic!("the local source waits for nobody"),
    }
}

#[test]
fn what_is_held_is_fetched_whole() {
    let home = Home::new();
    let bytes = Seeded::bytes("fetch", 2_900_000);
    let cid = home.store.add_bytes(&bytes, Profile::UnixFs2025).unwrap();
    assert!(fetch(&home, cid, LIMITS).unwrap().bytes == bytes);
    let error = fetch(&home, cid, FetchLimits { bytes_max: 2_899_999, ..LIMITS }).unwrap_err();
    assert_eq!(error.to_string(), format!("fetch {cid}"));
    assert_eq!(error.hint().unwrap(), "raise the limit above 2900000 bytes, if you trust the content");
}

#[test]
fn what_is_not_held_is_named() {
    let home = Home::new();
    let cid = ContentId::raw(Hash256::of(b"elsewhere"));
    let error = fetch(&home, cid, LIMITS).unwrap_err();
    assert_eq!(error.to_string(), format!("fetch {cid} from local: block {cid} is not there"));
    assert_eq!(error.hint().unwrap(), format!("add the file that {cid} names with `nisse content add FILE`"));
}

/// Each look at it takes half a minute.
struct SlowClock(SimClock);

impl Clock for SlowClock {
    fn now(&self) -> Timestamp {
        self.0.now()
    }

    fn elapsed(&self) -> Duration {
        self.0.advance(Duration::from_secs(30));
        self.0.elapsed()
    }
}

#[test]
fn a_fetch_ends_at_its_deadline() {
    let home = Home::new();
    let cid = home.store.add_bytes(&Seeded::bytes("slow", 2_900_000), Profile::UnixFs2025).unwrap();
    let error = fetch_by(Arc::new(SlowClock(SimClock::default())), &home, cid, LIMITS).unwrap_err();
    assert_eq!(error.to_string(), format!("fetch {cid} within 60000 ms"));
}

#[test]
fn an_agent_reads_what_is_public_and_cannot_tell_what_else_is_held() {
    let home = Home::new();
    let bytes = Seeded::bytes("theirs", 1_500_000);
    let cid = home.store.add_bytes(&bytes, Profile::UnixFs2025).unwrap();
    let agent = FetchLimits { reader: Reader::Agent, ..LIMITS };
    for name in ["config/1", "state/1/2", "destroyed/1"] {
        home.store.pin(name, &[cid]).unwrap();
        assert!(
            matches!(fetch(&home, cid, agent), Err(FetchError::NotFound { missing, .. }) if missing == cid),
            "{name}"
        );
        assert!(fetch(&home, cid, LIMITS).unwrap().bytes == bytes);
    }
    home.store.pin("added/1", &[cid]).unwrap();
    assert!(fetch(&home, cid, agent).unwrap().bytes == bytes);
    home.store.unpin("added/1").unwrap();
    assert!(fetch(&home, cid, agent).is_err(), "what was read a moment ago is not remembered for it");
}

#[test]
fn bytes_that_are_public_lead_to_nothing_that_is_not() {
    let home = Home::new();
    let secret = home.store.add_bytes(b"a secret", Profile::UnixFs2025).unwrap();
    home.store.pin("state/1/1", &[secret]).unwrap();
    // A public file whose bytes are a node that links to it.
    let link = node(&[(secret, "")], 2, b"", 8, &[8]);
    let file = home.store.add_bytes(link.bytes(), Profile::UnixFs2025).unwrap();
    home.store.pin("added/1", &[file]).unwrap();
    let agent = FetchLimits { reader: Reader::Agent, ..LIMITS };
    assert!(fetch(&home, file, agent).unwrap().bytes == link.bytes());
    assert!(matches!(fetch(&home, link.cid(), agent), Err(FetchError::NotFound { missing, .. }) if missing == secret));
}
