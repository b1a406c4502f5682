//! Two who know a code, and all the ways not to.

use nisse_link::Protocol;
use nisse_link::pairing::{self, Code, PairError, Purpose};
use nisse_model::Did;
use nisse_testkit::SimEntropy;
use proptest::prelude::*;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, DuplexStream, duplex};

use crate::world::{did, everybody, link, soon};

fn code(text: &str) -> Code {
    text.parse().unwrap()
}

struct Side {
    purpose: Purpose,
    code: Code,
    host: Did,
    guest: Did,
    entropy: SimEntropy,
}

fn side(digits: &str, seed: u64) -> Side {
    Side { purpose: Purpose::Device, code: code(digits), host: did(1), guest: did(2), entropy: SimEntropy::new(seed) }
}

impl Side {
    async fn host(self, mut stream: DuplexStream) -> Result<(), PairError> {
        pairing::host(&mut stream, self.purpose, &self.code, &self.host, &self.guest, &self.entropy).await
    }

    async fn guest(self, mut stream: DuplexStream) -> Result<(), PairError> {
        pairing::guest(&mut stream, self.purpose, &self.code, &self.host, &self.guest, &self.entropy).await
    }
}

async fn pair(host: Side, guest: Side) -> (Result<(), PairError>, Result<(), PairError>) {
    let (one, other) = duplex(1_024);
    tokio::join!(host.host(one), guest.guest(other))
}

/// A message as it stands on the wire.
async fn message(stream: &mut DuplexStream) -> Vec<u8> {
    let length = stream.read_u8().await.unwrap();
    let mut bytes = vec![0; usize::from(length)];
    stream.read_exact(&mut bytes).await.unwrap();
    [&[length][..], &bytes].concat()
}

#[tokio::test]
async fn two_who_have_the_same_code_are_paired() {
    let (host, guest) = pair(side("483-920", 1), side("483920", 2)).await;
    assert!(host.is_ok() && guest.is_ok(), "{host:?} {guest:?}");
}

#[tokio::test]
async fn a_wrong_code_is_found_out_on_both_sides() {
    let (host, guest) = pair(side("483-920", 1), side("483-921", 2)).await;
    assert!(matches!((host, guest), (Err(PairError::WrongCode), Err(PairError::WrongCode))));
}

#[tokio::test]
async fn a_code_for_one_thing_is_none_for_another() {
    let invited = Side { purpose: Purpose::Invitation, ..side("483-920", 2) };
    let (host, guest) = pair(side("483-920", 1), invited).await;
    assert!(matches!((host, guest), (Err(PairError::WrongCode), Err(PairError::WrongCode))));
    let both = |seed| Side { purpose: Purpose::Invitation, ..side("483-920", seed) };
    let (host, guest) = pair(both(1), both(2)).await;
    assert!(host.is_ok() && guest.is_ok(), "{host:?} {guest:?}");
}

#[tokio::test]
async fn keys_that_are_swapped_or_others_are_found_out() {
    let swapped = Side { host: did(2), guest: did(1), ..side("483-920", 2) };
    let (host, guest) = pair(side("483-920", 1), swapped).await;
    assert!(matches!((host, guest), (Err(PairError::WrongCode), Err(PairError::WrongCode))));
    // Somebody in between has a key of its own on each side.
    let between = Side { host: did(3), ..side("483-920", 2) };
    let (host, guest) = pair(side("483-920", 1), between).await;
    assert!(matches!((host, guest), (Err(PairError::WrongCode), Err(PairError::WrongCode))));
    let between = Side { guest: did(3), ..side("483-920", 1) };
    let (host, guest) = pair(between, side("483-920", 2)).await;
    assert!(matches!((host, guest), (Err(PairError::WrongCode), Err(PairError::WrongCode))));
}

#[tokio::test]
async fn what_a_side_said_does_not_do_as_an_answer() {
    // A host that echoes the guest.
    let (mut echo, theirs) = duplex(1_024);
    let echoing = async {
        let said = message(&mut echo).await;
        echo.write_all(&said).await.unwrap();
    };
    let (guest, ()) = tokio::join!(side("483-920", 1).guest(theirs), echoing);
    assert!(matches!(guest, Err(PairError::Malformed)));

    // A guest that gives one host's message to another, with the host's mark or with the guest's.
    for mark in [b'A', b'B'] {
        let (mut one, at_one) = duplex(1_024);
        let (mut two, at_two) = duplex(1_024);
        let echoing = async move {
            one.write_all(&guests_first_message().await).await.unwrap();
            let mut said = message(&mut one).await;
            said[1] = mark;
            two.write_all(&said).await.unwrap();
            let answer = two.read_u8().await;
            // Nothing that the hosts say after that does as a proof.
            let _ = two.write_all(&[&[32][..], &[0; 32]].concat()).await;
            answer
        };
        let hosting = async { tokio::join!(side("483-920", 1).host(at_one), side("483-920", 2).host(at_two)) };
        let ((_, second), _) = tokio::join!(hosting, echoing);
        assert!(matches!(second, Err(PairError::Malformed | PairError::WrongCode)), "{second:?}");
    }

    // A host that gives the guest its own proof back.
    let (mut between_host, at_host) = duplex(1_024);
    let (mut between_guest, at_guest) = duplex(1_024);
    let carrying = async move {
        let first = message(&mut between_guest).await;
        between_host.write_all(&first).await.unwrap();
        let second = message(&mut between_host).await;
        between_guest.write_all(&second).await.unwrap();
        let proof = message(&mut between_guest).await;
        between_guest.write_all(&proof).await.unwrap();
    };
    let (guest, _host, ()) =
        tokio::join!(side("483-920", 1).guest(at_guest), side("483-920", 2).host(at_host), carrying);
    assert!(matches!(guest, Err(PairError::WrongCode)));
}

async fn guests_first_message() -> Vec<u8> {
    let (mut host, at_guest) = duplex(1_024);
    let first = async { message(&mut host).await };
    tokio::select! {
        said = first => said,
        _ = side("483-920", 9).guest(at_guest) => panic!("the guest waits for an answer"),
    }
}

#[tokio::test]
async fn a_host_proves_nothing_to_a_guest_that_has_not() {
    let (mut guest, at_host) = duplex(1_024);
    let guessing = async move {
        guest.write_all(&guests_first_message().await).await.unwrap();
        message(&mut guest).await;
        guest.write_all(&[&[32][..], &[0; 32]].concat()).await.unwrap();
        let mut rest = Vec::new();
        guest.read_to_end(&mut rest).await.unwrap();
        rest
    };
    let (host, rest) = tokio::join!(side("483-920", 1).host(at_host), guessing);
    assert!(matches!(host, Err(PairError::WrongCode)));
    assert_eq!(rest, [0], "a refusal, and nothing to try codes on");
}

#[tokio::test]
async fn messages_that_are_too_long_or_cut_off_are_refused() {
    let first = guests_first_message().await;
    for length in (0..=u8::MAX).filter(|length| *length != 33) {
        let (mut guest, at_host) = duplex(1_024);
        guest.write_all(&[&[length][..], &[0x42; 255]].concat()).await.unwrap();
        assert!(matches!(side("483-920", 1).host(at_host).await, Err(PairError::Malformed)), "{length}");
    }
    for length in 0..first.len() {
        let (mut guest, at_host) = duplex(1_024);
        guest.write_all(&first[..length]).await.unwrap();
        drop(guest);
        assert!(matches!(side("483-920", 1).host(at_host).await, Err(PairError::Broken(_))), "{length}");
    }
    // The same where a proof is due, on either side.
    for (length, sent) in [(33, 33), (31, 31), (0, 0), (32, 31)] {
        let (mut guest, at_host) = duplex(1_024);
        guest.write_all(&[&first[..], &[length], &vec![7; sent]].concat()).await.unwrap();
        guest.shutdown().await.unwrap();
        let refused = side("483-920", 1).host(at_host).await;
        assert!(matches!(refused, Err(PairError::Malformed | PairError::Broken(_))), "{length} {sent}");
    }
}

#[tokio::test]
async fn a_point_that_is_none_is_refused() {
    let (mut guest, at_host) = duplex(1_024);
    // Two is the y of no point of the curve.
    let mut said = vec![33, b'B', 2];
    said.resize(34, 0);
    guest.write_all(&said).await.unwrap();
    assert!(matches!(side("483-920", 1).host(at_host).await, Err(PairError::Malformed)));
}

#[tokio::test(start_paused = true)]
async fn who_says_nothing_is_not_waited_for_forever() {
    let (_silent, at_host) = duplex(1_024);
    assert!(matches!(side("483-920", 1).host(at_host).await, Err(PairError::TimedOut)));
    let (_silent, at_guest) = duplex(1_024);
    assert!(matches!(side("483-920", 1).guest(at_guest).await, Err(PairError::TimedOut)));
}

#[tokio::test]
async fn two_links_pair_over_a_stream() {
    let (alice, bob) = (link(1).await, link(2).await);
    for (typed, is_right) in [("483-920", true), ("111-111", false)] {
        let hosting = async {
            let connection = alice.accept(&everybody()).await.unwrap();
            let mut stream = connection.accept().await.unwrap();
            let (ours, theirs) = (alice.did(), connection.peer());
            pairing::host(&mut stream, Purpose::Device, &code("483-920"), &ours, &theirs, &SimEntropy::new(1)).await
        };
        let joining = async {
            let connection = bob.dial(alice.did(), &alice.addresses(), Protocol::Pair).await.unwrap();
            let mut stream = connection.open().await.unwrap();
            let (ours, theirs) = (bob.did(), connection.peer());
            pairing::guest(&mut stream, Purpose::Device, &code(typed), &theirs, &ours, &SimEntropy::new(2)).await
        };
        let (host, guest) = tokio::join!(soon(hosting), soon(joining));
        assert_eq!((host.is_ok(), guest.is_ok()), (is_right, is_right), "{host:?} {guest:?}");
        if !is_right {
            assert!(matches!((host, guest), (Err(PairError::WrongCode), Err(PairError::WrongCode))));
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn whatever_is_said_pairs_nobody_and_breaks_nothing(said in prop::collection::vec(any::<u8>(), 0..200), hosts in any::<bool>()) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
        let refused = runtime.block_on(async {
            let (mut other, stream) = duplex(1_024);
            other.write_all(&said).await.unwrap();
            other.shutdown().await.unwrap();
            let side = side("483-920", 1);
            if hosts { side.host(stream).await } else { side.guest(stream).await }
        });
        prop_assert!(refused.is_err());
    }
}
