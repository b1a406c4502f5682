use proptest::prelude::*;

use super::*;

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
    ]
}

fn answers() -> Vec<Answer> {
    let secret = |text, version| Secret { name: name(text), version, changed: Timestamp(version * 1_000) };
    let mut answers = vec![
        Answer::Status(VaultStatus { sealed: true, ways: UnlockKind::ALL.to_vec(), credential: true, trouble: None }),
        Answer::Status(VaultStatus { sealed: false, ways: vec![], credential: false, trouble: Some("why".to_owned()) }),
        Answer::Done,
        Answer::Version(u64::MAX),
        Answer::Value(Zeroizing::new(vec![1, 2, 3])),
        Answer::Secrets(vec![]),
        Answer::Secrets(vec![secret("a", 1), secret("b", 2)]),
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
    let mut input = (MESSAGE_BYTES_MAX + 1).to_be_bytes().to_vec();
    input.extend([0; 64]);
    assert!(read_message(&mut input.as_slice()).is_err());
    assert!(read_message(&mut [].as_slice()).expect("an end").is_none());
    assert!(read_message(&mut [0, 0, 0, 9, 1].as_slice()).is_err());
}

proptest! {
    #[test]
    fn any_bytes_are_read_without_a_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        let _ = (Request::decode(&bytes), Answer::decode(&bytes));
        let with_version = [&[1][..], &bytes].concat();
        let _ = (Request::decode(&with_version), Answer::decode(&with_version));
    }
}
