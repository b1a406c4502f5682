use nisse_model::Timestamp;
use proptest::prelude::*;

use super::*;
use crate::signing::KeyEntry;
use crate::unlock::UnlockKind;
use crate::vault::{Restored, Secret, Setting};

fn name(text: &str) -> SecretName {
    text.parse().expect("a name")
}

fn requests() -> Vec<Request> {
    let bytes = |text: &[u8]| Zeroizing::new(text.to_vec());
    let tenant = || "0xabc".to_owned();
    vec![
        Request::Status,
        Request::Unlock { passphrase: bytes(b"words") },
        Request::Seal,
        Request::Protect { passphrase: Some(bytes(b"")), credential: true, key_file: false },
        Request::Protect { passphrase: None, credential: false, key_file: true },
        Request::Set { tenant: tenant(), name: name("a"), value: bytes(&[0, 255]), setting: Setting::New },
        Request::Set { tenant: tenant(), name: name("b"), value: bytes(b"v"), setting: Setting::Rotated },
        Request::Reveal { tenant: tenant(), name: name("a") },
        Request::List { tenant: String::new() },
        Request::Remove { tenant: tenant(), name: name("c") },
        Request::Keys,
        Request::DrawKey { name: name("wallet"), kind: KeyKind::Secp256k1 },
        Request::ImportKey { name: name("device"), kind: KeyKind::Ed25519, secret: bytes(&[1; 32]) },
        Request::DeriveKey { from: name("wallet"), purpose: "renting".to_owned(), name: name("renting") },
        Request::SignDigest { name: name("wallet"), digest: [9; 32] },
        Request::SignMessage { name: name("device"), message: bytes(b"") },
        Request::RevealKey { name: name("wallet") },
        Request::Restore { document: bytes(b"document"), identity: bytes(b"identity") },
        Request::DerivedKey { from: name("wallet"), purpose: "renting".to_owned() },
    ]
}

fn answers() -> Vec<Answer> {
    let secret = |text, version| Secret { name: name(text), version, changed: Timestamp(version * 1_000) };
    let entry =
        |text, kind, length| KeyEntry { name: name(text), kind, public: vec![2; length], created: Timestamp(7) };
    let mut answers = vec![
        Answer::Status(VaultStatus { sealed: true, ways: UnlockKind::ALL.to_vec(), credential: true, trouble: None }),
        Answer::Status(VaultStatus { sealed: false, ways: vec![], credential: false, trouble: Some("why".to_owned()) }),
        Answer::Done,
        Answer::Version(u64::MAX),
        Answer::Value(Zeroizing::new(vec![1, 2, 3])),
        Answer::Secrets(vec![]),
        Answer::Secrets(vec![secret("a", 1), secret("b", 2)]),
        Answer::Keys(vec![]),
        Answer::Keys(vec![entry("a", KeyKind::Secp256k1, 33), entry("b", KeyKind::Ed25519, 32)]),
        Answer::Document(Zeroizing::new(b"age".to_vec())),
        Answer::Restored(Restored { keys: 1, secrets: 0 }),
    ];
    answers.extend(RefusalKind::ALL.map(|kind| Answer::Refused { kind, text: "why".to_owned() }));
    answers
}

#[test]
fn each_message_reads_back_as_it_was_written() {
    for request in requests() {
        let bytes = request.encode();
        assert_eq!(Request::decode(&bytes).expect("a request").encode(), bytes);
    }
    for answer in answers() {
        let bytes = answer.encode();
        assert_eq!(Answer::decode(&bytes).expect("an answer").encode(), bytes);
    }
}

#[test]
fn a_message_that_is_cut_or_longer_is_refused() {
    for bytes in requests().iter().map(Request::encode) {
        for end in 0..bytes.len() {
            let cut = Request::decode(&bytes[..end]);
            assert!(cut.is_err(), "{end} of {} bytes", bytes.len());
        }
        let longer = [bytes.as_slice(), &[0, 0, 0, 0]].concat();
        assert!(Request::decode(&longer).is_err());
    }
    assert!(Request::decode(&[2, 0]).is_err(), "another version");
    assert!(Request::decode(&[1, 99]).is_err(), "another kind");
}

#[test]
fn a_length_over_the_limit_is_refused_unread() {
    // What follows is not there: whoever reads it fails otherwise.
    let room = |length: usize, kind| {
        let length = u32::try_from(length).expect("short").to_be_bytes();
        message_room(length, [VERSION, kind], Request::RESTORE).map(|message| message.len())
    };
    assert_eq!(room(MESSAGE_BYTES_MAX, 4).expect("room"), MESSAGE_BYTES_MAX);
    assert_eq!(room(LARGE_MESSAGE_BYTES_MAX, Request::RESTORE).expect("room"), LARGE_MESSAGE_BYTES_MAX);
    for (length, kind) in [(MESSAGE_BYTES_MAX + 1, 4), (LARGE_MESSAGE_BYTES_MAX + 1, Request::RESTORE), (1, 0), (0, 0)]
    {
        assert!(room(length, kind).is_err(), "{length} bytes of kind {kind}");
    }
    let read = |input: &[u8]| read_message(&mut &*input, Request::RESTORE);
    assert!(read(&[]).expect("an end").is_none());
    for cut in [&[0, 0, 0, 9, 1][..], &[0, 0, 0, 2, 1], &[0, 0, 0, 9, 1, 0], &[0, 0, 0, 0]] {
        assert!(read(cut).is_err(), "{cut:?}");
    }
    let mut written = Vec::new();
    write_message(&mut written, &Request::Status.encode()).expect("written");
    assert_eq!(read(&written).expect("read").expect("a message"), Request::Status.encode());
}

#[test]
fn an_export_fits_into_its_message() {
    let document = Zeroizing::new(vec![b'x'; crate::export::EXPORT_BYTES_MAX]);
    let identity = Zeroizing::new(vec![b'y'; 1 << 19]);
    assert!(Request::Restore { document: document.clone(), identity }.encode().len() <= LARGE_MESSAGE_BYTES_MAX);
    assert!(Answer::Document(document).encode().len() <= LARGE_MESSAGE_BYTES_MAX);
}

#[test]
fn recipients_are_as_many_as_there_are() {
    for recipients in [vec![], vec!["age1a".to_owned()], vec!["age1a".to_owned(), String::new()]] {
        let request = Request::Export { recipients: recipients.clone() };
        let Request::Export { recipients: read } = Request::decode(&request.encode()).expect("a request") else {
            panic!("another request");
        };
        assert_eq!(read, recipients);
    }
}

#[test]
fn a_kind_of_key_that_is_not_known_is_refused() {
    let drawn = Request::DrawKey { name: name("a"), kind: KeyKind::Ed25519 }.encode();
    for kind in [2, 255] {
        let mut other = drawn.to_vec();
        *other.last_mut().expect("the kind") = kind;
        assert!(Request::decode(&other).is_err());
    }
    assert!(Request::decode(&[&drawn[..drawn.len() - 5], &[0, 0, 0, 0]].concat()).is_err(), "none");
    assert!(Request::decode(&[&drawn[..drawn.len() - 5], &[0, 0, 0, 2, 1, 1]].concat()).is_err(), "two");
    let short = Request::SignMessage { name: name("a"), message: Zeroizing::new(vec![1; 31]) }.encode();
    assert!(Request::decode(&[&[1, 12], &short[2..]].concat()).is_err(), "a digest has 32 bytes");
    let refused = Answer::Refused { kind: RefusalKind::KeyExists, text: String::new() }.encode();
    let mut other = refused.to_vec();
    other[6] = 9;
    assert!(Answer::decode(&other).is_err(), "a refusal of a kind that is not known");
}

proptest! {
    #[test]
    fn any_bytes_are_read_without_a_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        let _ = (Request::decode(&bytes), Answer::decode(&bytes));
        let with_version = [&[1][..], &bytes].concat();
        let _ = (Request::decode(&with_version), Answer::decode(&with_version));
    }
}
