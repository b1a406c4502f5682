use automerge::ChangeHash;
use proptest::prelude::*;

use super::writer::Writer;
use super::*;
use crate::DocumentId;

/// Frames that automerge-repo 2.5.6 made, a name and hexadecimal bytes in each line.
const FIXTURES: &str = include_str!("fixtures/fixtures.txt");

fn frames(wanted: &str) -> Vec<Vec<u8>> {
    let lines = FIXTURES.lines().filter_map(|line| line.split_once(' '));
    lines.filter(|(name, _)| *name == wanted).map(|(_, bytes)| hex::decode(bytes).expect("hexadecimal")).collect()
}

fn frame(name: &str) -> Vec<u8> {
    frames(name).pop().unwrap_or_else(|| panic!("no fixture `{name}`"))
}

fn peer(name: &str) -> PeerName {
    PeerName::new(name).expect("a short name")
}

fn storage(name: &str) -> StorageName {
    StorageName::new(name).expect("a short name")
}

fn document() -> DocumentId {
    "4NMNnkMhL8jXrdJ9jamS58PAVdXu".parse().expect("automerge-repo's own example")
}

fn heads() -> Vec<ChangeHash> {
    let hash = hex::decode("0123456789abcdef".repeat(4)).expect("hexadecimal");
    vec![ChangeHash([0; 32]), ChangeHash(hash.try_into().expect("32 bytes"))]
}

const DATA: &[u8] = &[66, 0, 1, 2, 255];
const LONG: &[u8] = &[7; 300];

fn check(name: &str, expected: &Incoming<'_>) {
    assert_eq!(&Incoming::decode(&frame(name)).unwrap_or_else(|error| panic!("{name}: {error}")), expected, "{name}");
}

#[test]
fn what_a_client_sends_is_read() {
    let (sender, target) = (peer("client-1"), Some(peer("server-1")));
    let join = |metadata, speaks_v1| Incoming::Join { sender: sender.clone(), metadata, speaks_v1 };
    let stored = PeerMetadata { storage: Some(storage("storage-1")), is_ephemeral: false };
    check("join", &join(stored, true));
    check("join_bare", &join(PeerMetadata::default(), true));
    check("join_undefined", &join(PeerMetadata { storage: None, is_ephemeral: true }, true));
    check("join_later", &join(PeerMetadata::default(), false));
    check("leave", &Incoming::Leave { sender: sender.clone() });
    let sync = |data| Incoming::Sync { sender: sender.clone(), target: target.clone(), document: document(), data };
    check("sync", &sync(DATA));
    check("sync_long", &sync(LONG));
    let (document, data) = (document(), DATA);
    check("request", &Incoming::Request { sender: sender.clone(), target: target.clone(), document, data });
    check("unavailable", &Incoming::Unavailable { sender: sender.clone(), target: target.clone(), document });
    let (session, count) = ("k3x9", 7);
    let ephemeral =
        |count| Incoming::Ephemeral { sender: sender.clone(), target: target.clone(), document, count, session, data };
    check("ephemeral", &ephemeral(count));
    check("ephemeral_counted", &ephemeral(1 << 40));
    let add = vec![storage("storage-1"), storage("storage-2")];
    let remove = Vec::new();
    check(
        "subscription",
        &Incoming::RemoteSubscription { sender: sender.clone(), target: target.clone(), add, remove },
    );
    let stores = vec![RemoteHeads { storage: storage("storage-1"), heads: heads(), timestamp_ms: 1_780_000_000_123 }];
    check("heads", &Incoming::RemoteHeads { sender, target, document, stores });
}

#[test]
fn an_unknown_type_of_message_is_told_whatever_its_keys_hold() {
    check("unknown", &Incoming::Unknown("keyhive"));
    // What only servers send is none of a client's.
    check("out_peer", &Incoming::Unknown("peer"));
    check("out_error", &Incoming::Unknown("error"));
}

#[test]
fn what_two_live_clients_sent_is_read() {
    let types = ["join", "sync", "request", "ephemeral", "doc-unavailable", "remote-subscription-change"];
    for name in types {
        let frames = frames(&format!("live:{name}"));
        assert!(!frames.is_empty(), "{name}");
        for frame in frames {
            match (name, Incoming::decode(&frame).unwrap_or_else(|error| panic!("{name}: {error}"))) {
                ("join", Incoming::Join { speaks_v1: true, .. })
                | ("ephemeral", Incoming::Ephemeral { .. })
                | ("doc-unavailable", Incoming::Unavailable { .. })
                | ("remote-subscription-change", Incoming::RemoteSubscription { .. }) => {}
                ("sync", Incoming::Sync { data, .. }) | ("request", Incoming::Request { data, .. }) => {
                    automerge::sync::Message::decode(data).expect("automerge's own message");
                }
                (_, other) => panic!("{name} was read as {other:?}"),
            }
        }
    }
}

#[test]
fn what_a_server_sends_is_what_automerge_repo_would_send() {
    let (server, client, author) = (peer("server-1"), peer("client-1"), peer("client-2"));
    let check = |name: &str, message: Outgoing<'_>| {
        assert_eq!(hex::encode(message.encode(&server, &client)), hex::encode(frame(name)), "{name}");
    };
    let stored = PeerMetadata { storage: Some(storage("storage-9")), is_ephemeral: false };
    check("out_peer", Outgoing::Peer { metadata: &stored });
    check("out_peer_bare", Outgoing::Peer { metadata: &PeerMetadata { storage: None, is_ephemeral: true } });
    check("out_error", Outgoing::Error { message: "unsupported protocol version" });
    let (document, data, session) = (document(), DATA, "k3x9");
    check("out_sync", Outgoing::Sync { document, data });
    check("out_sync_long", Outgoing::Sync { document, data: LONG });
    check("out_request", Outgoing::Request { document, data });
    check("out_unavailable", Outgoing::Unavailable { document });
    check("out_ephemeral", Outgoing::Ephemeral { author: &author, document, count: 7, session, data });
    check("out_ephemeral_counted", Outgoing::Ephemeral { author: &author, document, count: 1 << 40, session, data });
    let (heads, storage) = (heads(), storage("storage-1"));
    let timestamp_ms = 1_780_000_000_123;
    check("out_heads", Outgoing::RemoteHeads { document, storage: &storage, heads: &heads, timestamp_ms });
}

/// A message whose keys `write` writes.
fn message(pairs: u16, write: impl FnOnce(&mut Writer)) -> Vec<u8> {
    let mut writer = Writer::default();
    writer.map(pairs);
    write(&mut writer);
    writer.into_bytes()
}

fn refusal(frame: &[u8]) -> String {
    Incoming::decode(frame).expect_err("refused").to_string()
}

#[test]
fn what_is_past_a_limit_is_refused_and_named() {
    let leave = |sender: &str| message(2, |writer| _ = writer.text("type").text("leave").text("senderId").text(sender));
    assert!(Incoming::decode(&leave(&"p".repeat(256))).is_ok());
    assert_eq!(refusal(&leave(&"p".repeat(257))), "take `senderId` of 257: at most 256 are allowed");
    assert_eq!(refusal(&leave("")), "take an empty `senderId`");
    let kind = "t".repeat(65);
    let frame = message(1, |writer| _ = writer.text("type").text(&kind));
    assert_eq!(refusal(&frame), "take `type` of 65: at most 64 are allowed");
    let frame = message(40, |_| ());
    assert_eq!(refusal(&frame), "take `a message` of 40: at most 32 are allowed");
    assert_eq!(refusal(&vec![0; FRAME_BYTES_MAX + 1]), "take a frame of 16777217 bytes: at most 16777216 are allowed");
    let versions = message(3, |writer| {
        writer.text("type").text("join").text("senderId").text("p");
        writer.text("supportedProtocolVersions").list(17);
        (0..17).for_each(|_| _ = writer.text("1"));
    });
    assert_eq!(refusal(&versions), "take `supportedProtocolVersions` of 17: at most 16 are allowed");
    // A list that says that it is long, and is not.
    let frame = message(3, |writer| {
        writer.text("type").text("remote-subscription-change").text("senderId").text("p").text("add").list(1_001);
        (0..1_001).for_each(|_| _ = writer.text("s"));
    });
    assert_eq!(refusal(&frame), "take `add` of 1001: at most 1000 are allowed");
}

#[test]
fn what_is_no_message_is_refused_and_named() {
    assert_eq!(refusal(&[]), "read a message at byte 0");
    assert_eq!(refusal(&[0x80]), "read a message at byte 0");
    assert_eq!(refusal(&[0xbf, 0xff]), "read a message at byte 0");
    assert_eq!(refusal(&message(0, |_| ())), "find `type` in the message");
    assert_eq!(refusal(&[frame("leave"), vec![0]].concat()), "take a frame with 1 bytes after its message");
    let twice = message(2, |writer| _ = writer.text("type").text("leave").text("type").text("leave"));
    assert_eq!(refusal(&twice), "read a map that names `type` twice");
    let unavailable = |document: &str| {
        message(3, |writer| {
            writer.text("type").text("doc-unavailable").text("senderId").text("p").text("documentId").text(document);
        })
    };
    assert!(Incoming::decode(&unavailable("4NMNnkMhL8jXrdJ9jamS58PAVdXu")).is_ok());
    let other = unavailable("4NMNnkMhL8jXrdJ9jamS58PAVdXv");
    assert_eq!(refusal(&other), "find out which document a message is about");
    assert!(matches!(Incoming::decode(&other), Err(MessageError::Document(_))));
    let long = unavailable(&"4".repeat(65));
    assert_eq!(refusal(&long), "take `documentId` of 65: at most 64 are allowed");
}

#[test]
fn a_number_is_taken_however_it_is_written() {
    let counted = |number: &[u8]| {
        let mut frame = message(6, |writer| {
            writer.text("type").text("ephemeral").text("senderId").text("p").text("sessionId").text("s");
            writer.text("documentId").text(&document().to_string()).text("data").data(DATA).text("count");
        });
        frame.extend(number);
        match Incoming::decode(&frame) {
            Ok(Incoming::Ephemeral { count, .. }) => Ok(count),
            Ok(other) => panic!("{other:?}"),
            Err(error) => Err(error.to_string()),
        }
    };
    assert_eq!(counted(&[7]), Ok(7));
    assert_eq!(counted(&[0x18, 7]), Ok(7));
    assert_eq!(counted(&[0x1b, 0, 0, 1, 0, 0, 0, 0, 0]), Ok(1 << 40));
    assert_eq!(counted(&[0xf9, 0x47, 0x00]), Ok(7));
    assert_eq!(counted(&[0xfa, 0x40, 0xe0, 0, 0]), Ok(7));
    assert_eq!(counted(&[0xfb, 0x40, 0x1c, 0, 0, 0, 0, 0, 0]), Ok(7));
    let refused = |found: &str| Err(format!("read `count` as a whole number from 0 to 2^53: found {found}"));
    assert_eq!(counted(&[0x20]), refused("-1"));
    assert_eq!(counted(&[0xf9, 0x38, 0x00]), refused("0.5"));
    assert_eq!(counted(&[0xf9, 0x7e, 0x00]), refused("NaN"));
    assert_eq!(counted(&[0xf9, 0x7c, 0x00]), refused("inf"));
    assert_eq!(counted(&[0x1b, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff]), refused("18446744073709552000"));
}

#[test]
fn data_may_be_a_typed_array() {
    let synced = |tag: u8| {
        let mut frame = message(4, |writer| {
            writer.text("type").text("sync").text("senderId").text("p");
            writer.text("documentId").text(&document().to_string()).text("data");
        });
        frame.extend([0xd8, tag, 0x42, 1, 2]);
        matches!(Incoming::decode(&frame), Ok(Incoming::Sync { data: [1, 2], .. }))
    };
    assert!(synced(64));
    assert!(!synced(65));
}

#[test]
fn a_value_that_is_passed_over_ends_where_it_ends() {
    let with = |value: &[u8]| {
        let mut frame = message(3, |writer| _ = writer.text("type").text("leave").text("later"));
        frame.extend(value);
        let mut rest = Writer::default();
        rest.text("senderId").text("p");
        frame.extend(rest.into_bytes());
        Incoming::decode(&frame).map(|message| message == Incoming::Leave { sender: peer("p") })
    };
    let values: [&[u8]; 12] = [
        &[0x80],
        &[0xa0],
        &[0x82, 0x80, 0xa0],
        &[0x9f, 0x01, 0x9f, 0xff, 0xff],
        &[0xbf, 0x61, b'x', 0x82, 0xa1, 0x01, 0x81, 0x02, 0x03, 0xff],
        &[0x5f, 0x41, 1, 0x41, 2, 0xff],
        &[0x7f, 0x61, b'x', 0xff],
        &[0xd9, 0xdf, 0xf9, 0x82, 0xc1, 0x00, 0xf7],
        &[0x3b, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff],
        &[0xfb, 0, 0, 0, 0, 0, 0, 0, 0],
        &[0xf8, 0x20],
        &[0x83, 0xf4, 0xf5, 0xf6],
    ];
    for value in values {
        assert!(with(value).unwrap_or_else(|error| panic!("{value:x?}: {error}")), "{value:x?}");
    }
    let nested = |depth: usize| [vec![0x81; depth], vec![0x00]].concat();
    assert!(with(&nested(DEPTH_MAX)).is_ok());
    assert!(matches!(with(&nested(DEPTH_MAX + 1)), Err(MessageError::TooDeep { .. })));
    assert!(with(&[0xff]).is_err());
    assert!(with(&[0x81, 0xff]).is_err());
    assert!(with(&[0x9b, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff]).is_err());
    assert!(with(&[0xbb, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff]).is_err());
}

#[test]
fn a_broken_frame_is_refused_and_never_panics() {
    for line in FIXTURES.lines() {
        let frame = hex::decode(line.split_once(' ').expect("a name and bytes").1).expect("hexadecimal");
        for length in 0..frame.len() {
            assert!(Incoming::decode(&frame[..length]).is_err(), "{length} bytes of {line}");
        }
        for place in 0..frame.len() {
            for flip in [0x01, 0x20, 0x80, 0xff] {
                let mut other = frame.clone();
                other[place] ^= flip;
                let _ = Incoming::decode(&other);
            }
        }
    }
}

/// The types of message that are known.
const KINDS: [&str; 8] = [
    "join",
    "leave",
    "sync",
    "request",
    "doc-unavailable",
    "ephemeral",
    "remote-heads-changed",
    "remote-subscription-change",
];

fn name() -> impl Strategy<Value = String> {
    "[a-z0-9-]{1,40}|\\PC{1,40}"
}

proptest! {
    #[test]
    fn any_bytes_are_read_or_refused(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        let _ = Incoming::decode(&bytes);
    }

    #[test]
    fn any_value_in_a_message_is_read_or_refused(
        bytes in prop::collection::vec(any::<u8>(), 0..60),
        kind in 0..KINDS.len(),
    ) {
        let keys = ["peerMetadata", "senderId", "data", "documentId", "targetId", "count", "newHeads", "add"];
        for key in keys {
            let mut frame = message(2, |writer| _ = writer.text("type").text(KINDS[kind]).text(key));
            frame.extend(&bytes);
            let _ = Incoming::decode(&frame);
        }
    }

    #[test]
    fn what_both_directions_share_is_read_as_it_was_written(
        (from, to, session, store) in (name(), name(), name(), name()),
        (document, hashes) in (any::<[u8; 16]>(), prop::collection::vec(any::<[u8; 32]>(), 0..4)),
        data in prop::collection::vec(any::<u8>(), 0..70_000),
        (count, timestamp_ms) in (0..=1_u64 << 53, 0..=1_u64 << 53),
    ) {
        let (sender, to) = (&peer(&from), &peer(&to));
        let (document, data, session, store) = (DocumentId(document), &data[..], &session[..], storage(&store));
        let heads: Vec<_> = hashes.into_iter().map(ChangeHash).collect();
        let said = |outgoing: Outgoing<'_>, incoming: &Incoming<'_>| {
            let frame = outgoing.encode(sender, to);
            assert_eq!(&Incoming::decode(&frame).expect("what was just written"), incoming);
        };
        let (sender, target) = (sender.clone(), Some(to.clone()));
        said(
            Outgoing::Sync { document, data },
            &Incoming::Sync { sender: sender.clone(), target: target.clone(), document, data },
        );
        said(
            Outgoing::Request { document, data },
            &Incoming::Request { sender: sender.clone(), target: target.clone(), document, data },
        );
        said(
            Outgoing::Unavailable { document },
            &Incoming::Unavailable { sender: sender.clone(), target: target.clone(), document },
        );
        said(
            Outgoing::Ephemeral { author: &sender, document, count, session, data },
            &Incoming::Ephemeral { sender: sender.clone(), target: target.clone(), document, count, session, data },
        );
        let stores = vec![RemoteHeads { storage: store.clone(), heads: heads.clone(), timestamp_ms }];
        said(
            Outgoing::RemoteHeads { document, storage: &store, heads: &heads, timestamp_ms },
            &Incoming::RemoteHeads { sender: sender.clone(), target, document, stores },
        );
    }
}
