//! One form, whatever is said; and nothing else is taken.

use nisse_model::Hash256;
use proptest::prelude::*;

use super::*;
use crate::chunk::ChunkId;

fn item(number: u8) -> Item {
    Item { document: DocumentId([number; 16]), chunk: ChunkId(Hash256([number; 32])) }
}

fn prefix(bytes: &[u8]) -> Bound {
    let mut all = [0; Item::LENGTH];
    all[..bytes.len()].copy_from_slice(bytes);
    Bound::Before(Item::from_bytes(all))
}

fn ranges() -> Vec<Range> {
    vec![
        Range { upto: prefix(&[1]), part: Part::Skip },
        Range { upto: prefix(&[1, 0, 2]), part: Part::Fingerprint([0xab; 16]) },
        Range { upto: Bound::End, part: Part::Items(vec![item(3)]) },
    ]
}

fn hello(wanted: Wanted) -> Frame<'static> {
    let ranges = vec![Range { upto: Bound::End, part: Part::Fingerprint([0xcd; 16]) }];
    Frame::Hello { space: CredentialId(Hash256([9; 32])), wanted, ranges }
}

fn presence(data: &'static [u8], hops: u8) -> Frame<'static> {
    let (sender, document) = (PeerName::new("app").expect("a name"), DocumentId([2; 16]));
    Frame::Presence { sender, document, count: 7, session: "s".into(), data: data.into(), hops }
}

/// One of each, and its bytes.
fn golden() -> Vec<(Frame<'static>, String)> {
    let [two, three] = [2, 3].map(|number: u8| format!("5830{}", hex::encode([number; 48])));
    let space = format!("5820{}", "09".repeat(32));
    let fingerprint = "cd".repeat(16);
    let only = Wanted::Only(BTreeSet::from([DocumentId([2; 16]), DocumentId([1; 16])]));
    let documents = format!("8250{}50{}", "01".repeat(16), "02".repeat(16));
    vec![
        (hello(Wanted::All), format!("850100{space}f682f650{fingerprint}")),
        (hello(only), format!("850100{space}{documents}82f650{fingerprint}")),
        (Frame::Reconcile { ranges: ranges() }, format!("830101864101f64301000250{}f681{three}", "ab".repeat(16))),
        (Frame::Reconcile { ranges: Vec::new() }, "83010180".to_owned()),
        (Frame::Offer { items: vec![item(2), item(3)] }, format!("83010282{two}{three}")),
        (Frame::Want { items: vec![item(2)] }, format!("83010381{two}")),
        (
            Frame::Chunks { chunks: vec![b"later"[..].into(), b"a"[..].into()], missing: vec![item(3)] },
            format!("84010482456c61746572416181{three}"),
        ),
        (Frame::Offer { items: Vec::new() }, "83010280".to_owned()),
        (presence(b"hi", 1), format!("88010663{}50{}07617342686901", hex::encode("app"), "02".repeat(16))),
        (Frame::Error { message: "no such space".to_owned() }, "8301056d6e6f2073756368207370616365".to_owned()),
    ]
}

#[test]
fn every_frame_has_its_one_form() {
    for (frame, bytes) in golden() {
        assert_eq!(hex::encode(frame.encode()), bytes, "{frame:?}");
        let bytes = hex::decode(bytes).expect("hex digits");
        assert_eq!(Frame::decode(&bytes), Ok(frame));
    }
}

#[test]
fn no_cut_and_nothing_behind_is_a_frame() {
    for (frame, bytes) in golden() {
        let mut bytes = hex::decode(bytes).expect("hex digits");
        for place in 0..bytes.len() {
            assert!(Frame::decode(&bytes[..place]).is_err(), "{frame:?} cut at {place}");
        }
        bytes.push(0);
        assert_eq!(Frame::decode(&bytes), Err(FrameError::NotCanonical), "{frame:?}");
    }
}

fn refused(bytes: &str) -> FrameError {
    let bytes = hex::decode(bytes.replace(' ', "")).expect("hex digits");
    Frame::decode(&bytes).expect_err("it is no frame")
}

#[test]
fn other_spellings_are_refused() {
    let three = format!("5830{}", "03".repeat(48));
    let documents = |one: &str, other: &str| {
        format!("850100 5820{} 8250{}50{} 80", "09".repeat(32), one.repeat(16), other.repeat(16))
    };
    assert!(Frame::decode(&hex::decode(documents("01", "02").replace(' ', "")).expect("hex digits")).is_ok());
    for bytes in [
        "9f010180ff",            // an array without its length
        "83010190ff",            // the ranges' length is not there
        "8301019fff",            // ranges without their number
        "8318010180",            // a longer integer
        "84010180",              // more items than there are
        "82010180",              // fewer
        "830101 81 f6",          // half a range
        "830101 82 420100 f6",   // a bound with a zero behind
        "830101 82 40 f6",       // a bound before everything
        "830101 82 5f4101ff f6", // a bound in pieces
        "830105 7f6161ff",       // a text in pieces
        "830105 780161",         // a longer length
        "830105 61ff",           // no UTF-8
        &documents("02", "01"),  // documents out of order
        &documents("01", "01"),  // a document twice
        &format!("83010282{three}{three}"),
        "",
        "f6",
        "80",
    ] {
        refused(bytes);
    }
    assert_eq!(refused("83020180"), FrameError::Version(2));
    assert_eq!(refused("8202f6"), FrameError::Version(2));
    assert_eq!(refused("83010780"), FrameError::Kind(7));
}

#[test]
fn a_number_that_is_merely_claimed_is_refused() {
    for bytes in [
        "830101 9bffffffffffffffff",
        "830101 9a00001002",
        "830101 82 f6 9bffffffffffffffff",
        "830101 82 f6 994001",
        "830101 82 5bffffffffffffffff f6",
        "830101 82 5831 f6",
        "830102 9bffffffffffffffff",
        "830103 9a7fffffff",
        "830102 994000",
        "840104 9bffffffffffffffff 80",
        "840104 994001 80",
        "840104 81 5bffffffffffffffff 80",
        "830105 7bffffffffffffffff",
    ] {
        refused(bytes);
    }
    let hello = format!("850100 5820{} 9bffffffffffffffff", "09".repeat(32));
    refused(&hello);
    assert_eq!(refused("830101 9a00001002"), FrameError::Ranges(RangesError::TooMany(2_049)));
}

#[test]
fn limits_are_held() {
    let length = Frame::BYTES_MAX + 1;
    assert_eq!(Frame::decode(&vec![0; length]), Err(FrameError::TooLong { length }));
    for (long, cut) in
        [("ä".repeat(300), "ä".repeat(200)), (format!("a{}", "ä".repeat(300)), format!("a{}", "ä".repeat(199)))]
    {
        let frame = Frame::Error { message: long };
        assert_eq!(Frame::decode(&frame.encode()), Ok(Frame::Error { message: cut }));
    }
    assert!(matches!(refused(&format!("830105790191{}", "61".repeat(401))), FrameError::Flaw(_)));
    assert!(matches!(refused("840104814080"), FrameError::Flaw(_)), "an empty chunk");
    // The longest chunk travels, with all that may be missing.
    let chunk = vec![1; Chunk::LENGTH_MAX];
    let many: Vec<Item> = (0..ITEMS_MAX as u32).map(numbered).collect();
    let frame = Frame::Chunks { chunks: vec![chunk.as_slice().into()], missing: many.clone() };
    assert!(Frame::decode(&frame.encode()).as_ref() == Ok(&frame));
    let frame = Frame::Offer { items: many };
    assert_eq!(Frame::decode(&frame.encode()).as_ref(), Ok(&frame));
    let longer = format!("84010481 5a00d00001 {} 80", "01".repeat(Chunk::LENGTH_MAX + 1));
    assert!(matches!(refused(&longer), FrameError::Flaw(_)));
}

#[test]
fn what_a_list_may_not_hold_is_refused() {
    let (two, three) = (format!("5830{}", "02".repeat(48)), format!("5830{}", "03".repeat(48)));
    for kind in ["02", "03"] {
        assert_eq!(refused(&format!("8301{kind}82{three}{two}")), RangesError::Order.into());
    }
    assert_eq!(refused(&format!("84010480 82{three}{two}")), RangesError::Order.into());
    assert_eq!(refused("830101 84 f6 f6 f6 f6"), RangesError::Bounds.into());
    assert_eq!(refused("830101 84 4102 f6 4101 f6"), RangesError::Bounds.into());
    assert_eq!(refused(&format!("830101 84 4103 f6 f6 81{two}")), RangesError::Outside.into());
    assert_eq!(refused(&format!("830101 82 4103 81{three}")), RangesError::Outside.into());
    let all: String = (0..9_000).map(|number| format!("5830{}", hex::encode(numbered(number).to_bytes()))).collect();
    let next: String =
        (9_000..18_000).map(|number| format!("5830{}", hex::encode(numbered(number).to_bytes()))).collect();
    let bound = hex::encode(&numbered(9_000).to_bytes()[..4]);
    assert!(matches!(refused(&format!("830101 84 44{bound} 992328{all} f6 992328{next}")), FrameError::Malformed(_)));
}

fn numbered(number: u32) -> Item {
    let mut bytes = [0; Item::LENGTH];
    bytes[..4].copy_from_slice(&(number + 1).to_be_bytes());
    Item::from_bytes(bytes)
}

fn any_items() -> impl Strategy<Value = Vec<Item>> {
    let set = prop::collection::btree_set(any::<u32>(), 0..20);
    set.prop_map(|numbers| numbers.into_iter().map(|number| numbered(number >> 1)).collect::<BTreeSet<_>>())
        .prop_map(|items| items.into_iter().collect())
}

fn any_ranges() -> impl Strategy<Value = Vec<Range>> {
    let part =
        prop_oneof![Just(Part::Skip), any::<[u8; 16]>().prop_map(Part::Fingerprint), Just(Part::Items(Vec::new())),];
    (prop::collection::btree_map(1_u32..1_000, part, 0..20), prop::option::of(any_items())).prop_map(|(parts, last)| {
        let mut ranges: Vec<Range> = parts
            .into_iter()
            .map(|(number, part)| {
                // An item of its own stands at the end of each list.
                let part = match part {
                    Part::Items(_) => Part::Items(vec![numbered(number - 1)]),
                    other => other,
                };
                Range { upto: Bound::Before(numbered(number)), part }
            })
            .collect();
        if let Some(mut items) = last {
            items.retain(|item| *item > numbered(1_000));
            ranges.push(Range { upto: Bound::End, part: Part::Items(items) });
        }
        ranges
    })
}

fn any_frame() -> impl Strategy<Value = Frame<'static>> {
    let wanted = prop::option::of(prop::collection::btree_set(any::<[u8; 16]>(), 0..30)).prop_map(|documents| {
        documents.map_or(Wanted::All, |documents| Wanted::Only(documents.into_iter().map(DocumentId).collect()))
    });
    let chunk = prop::collection::vec(any::<u8>(), 1..70).prop_map(Cow::Owned);
    prop_oneof![
        (any::<[u8; 32]>(), wanted, any_ranges()).prop_map(|(space, wanted, ranges)| Frame::Hello {
            space: CredentialId(Hash256(space)),
            wanted,
            ranges
        }),
        any_ranges().prop_map(|ranges| Frame::Reconcile { ranges }),
        any_items().prop_map(|items| Frame::Offer { items }),
        any_items().prop_map(|items| Frame::Want { items }),
        (prop::collection::vec(chunk, 0..10), any_items())
            .prop_map(|(chunks, missing)| Frame::Chunks { chunks, missing }),
        ".{0,100}".prop_map(|message| Frame::Error { message }),
    ]
}

proptest! {
    #[test]
    fn what_is_written_reads_the_same(frame in any_frame()) {
        let bytes = frame.encode();
        prop_assert_eq!(Frame::decode(&bytes), Ok(frame));
    }

    #[test]
    fn what_reads_is_in_its_one_form(
        frame in any_frame(),
        edits in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..4),
    ) {
        let mut bytes = frame.encode();
        for (place, byte) in edits {
            let place = place.index(bytes.len());
            bytes[place] = byte;
        }
        if let Ok(frame) = Frame::decode(&bytes) {
            prop_assert_eq!(frame.encode(), bytes);
        }
    }

    #[test]
    fn any_bytes_are_read_without_a_panic(
        kind in 0_u8..7,
        tail in prop::collection::vec(any::<u8>(), 0..200),
    ) {
        let _ = Frame::decode(&tail);
        let _ = Frame::decode(&[&[0x83, 1, kind], tail.as_slice()].concat());
    }
}

#[test]
fn what_is_passed_on_is_bounded() {
    let presence = |name: &str, session: &str, bytes: usize, hops: u8| {
        let mut frame = Vec::new();
        let mut encoder = Encoder::new(&mut frame);
        let mut write = || -> Written {
            encoder.array(8)?.u64(1)?.u64(6)?.str(name)?.bytes(&[2; 16])?.u64(7)?.str(session)?;
            encoder.bytes(&vec![0; bytes])?.u8(hops)?.ok()
        };
        write().expect("written");
        Frame::decode(&frame).map(drop).map_err(|error| error.to_string())
    };
    assert_eq!(presence("app", "s", Frame::PRESENCE_BYTES_MAX, Frame::HOPS_MAX), Ok(()));
    for (name, session, bytes, hops) in [
        ("", "s", 1, 1),
        ("app", &"s".repeat(SESSION_BYTES_MAX + 1), 1, 1),
        ("app", "s", Frame::PRESENCE_BYTES_MAX + 1, 1),
        ("app", "s", 1, 0),
        ("app", "s", 1, Frame::HOPS_MAX + 1),
    ] {
        presence(name, session, bytes, hops).expect_err("it is refused");
    }
}
