mod bombs;
mod made_by_automerge;

use std::io::Write as _;

use automerge::marks::{ExpandMark, Mark};
use automerge::transaction::Transactable as _;
use automerge::{ActorId, AutoCommit, ObjType, ROOT, ScalarValue};
use flate2::Compression;
use flate2::write::DeflateEncoder;
use sha2::{Digest as _, Sha256};

use super::*;

/// A document with one of everything: maps, lists, texts, counters, marks, deletions, two actors and what they did at
/// once.
fn everything() -> AutoCommit {
    let mut one = AutoCommit::new().with_actor(ActorId::from([1; 16]));
    let mut write = || -> Result<AutoCommit, automerge::AutomergeError> {
        one.put(ROOT, "title", "the barn")?;
        one.put(ROOT, "count", ScalarValue::counter(3))?;
        let list = one.put_object(ROOT, "list", ObjType::List)?;
        let text = one.put_object(ROOT, "text", ObjType::Text)?;
        one.splice_text(&text, 0, 0, "every night the cats are fed, and nobody sees by whom")?;
        one.commit();
        let mut two = one.fork().with_actor(ActorId::from([2; 16]));
        for number in 0..40_i64 {
            one.insert(&list, number as usize, number * number)?;
            two.insert(&list, 0, -number)?;
            two.put(ROOT, "title", format!("the barn at {number}"))?;
            one.increment(ROOT, "count", 1)?;
            one.commit();
            two.commit();
        }
        one.splice_text(&text, 6, 5, "morning")?;
        one.mark(&text, Mark::new("bold".to_owned(), true, 0, 5), ExpandMark::Both)?;
        two.delete(&list, 3)?;
        two.put(ROOT, "bytes", vec![7_u8; 2_000])?;
        one.merge(&mut two)?;
        one.delete(ROOT, "title")?;
        one.commit();
        Ok(one.clone())
    };
    write().expect("what the rules of automerge allow")
}

/// The bytes of a number.
fn number(number: u64) -> Vec<u8> {
    let (mut rest, mut bytes) = (number, Vec::new());
    while rest > 0x7f {
        bytes.push(rest as u8 | 0x80);
        rest >>= 7;
    }
    bytes.push(rest as u8);
    bytes
}

/// The bytes of a run of so many, which must be above zero.
fn run(count: u64) -> Vec<u8> {
    // A clear sign bit at the end makes a signed number of an unsigned one.
    let mut bytes = number(count);
    if let Some(last) = bytes.last_mut()
        && *last & 0x40 != 0
    {
        *last |= 0x80;
        bytes.push(0);
    }
    bytes
}

/// A chunk as automerge would take it, with a right check sum over `summed`.
fn chunk(kind: u8, body: &[u8], summed: (u8, &[u8])) -> Vec<u8> {
    let digest = Sha256::new()
        .chain_update([summed.0])
        .chain_update(number(summed.1.len() as u64))
        .chain_update(summed.1)
        .finalize();
    [&MAGIC[..], &digest[..4], &[kind], &number(body.len() as u64), body].concat()
}

fn deflated(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = DeflateEncoder::new(Vec::new(), Compression::best());
    encoder.write_all(bytes).expect("memory takes it");
    encoder.finish().expect("memory takes it")
}

/// A table: its columns by specification, with their data.
fn table(columns: &[(u32, Vec<u8>)]) -> (Vec<u8>, Vec<u8>) {
    let mut metadata = number(columns.len() as u64);
    let mut data = Vec::new();
    for (specification, bytes) in columns {
        metadata.extend(number((*specification).into()));
        metadata.extend(number(bytes.len() as u64));
        data.extend(bytes);
    }
    (metadata, data)
}

/// The body of a change by one actor with these columns.
fn change_body(columns: &[(u32, Vec<u8>)]) -> Vec<u8> {
    let (metadata, data) = table(columns);
    // No dependencies; the actor; the first of its changes, from operation 1, at time 0, without a text; no others.
    [&[0, 2, 0xaa, 0xbb, 1, 1, 0, 0, 0], &metadata[..], &data].concat()
}

fn change(columns: &[(u32, Vec<u8>)]) -> Vec<u8> {
    let body = change_body(columns);
    chunk(1, &body, (1, &body))
}

/// A document by one actor, without heads.
fn document(changes: &[(u32, Vec<u8>)], operations: &[(u32, Vec<u8>)]) -> Vec<u8> {
    let (changes, operations) = (table(changes), table(operations));
    let body = [&[1, 2, 0xaa, 0xbb, 0][..], &changes.0, &operations.0, &changes.1, &operations.1].concat();
    chunk(0, &body, (0, &body))
}

fn refusal(bytes: &[u8]) -> String {
    measure(bytes, &Limits::MESSAGE).expect_err("refused").to_string()
}

#[test]
fn a_number_has_as_many_bytes_as_its_bits_need() {
    for shift in 0..64 {
        for value in [1_u64 << shift, (1 << shift) - 1, u64::MAX >> shift] {
            let bytes = number(value);
            assert_eq!(number_bytes(value), bytes.len() as u64, "{value}");
            assert_eq!(Stream::plain(&bytes).number("it").ok(), Some(value));
        }
    }
    assert!(Stream::plain(&[0x80; 11]).number("it").is_err());
    assert!(Stream::plain(&[0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x02]).number("it").is_err());
    let signed = |bytes: &[u8]| Stream::plain(bytes).signed("it").ok();
    assert_eq!(signed(&[0x3f]), Some(63));
    assert_eq!(signed(&[0x40]), Some(-64));
    assert_eq!(signed(&[0x7f]), Some(-1));
    assert_eq!(signed(&[0xc0, 0x00]), Some(64));
    assert_eq!(signed(&[0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x7f]), Some(i64::MIN));
    assert_eq!(signed(&[0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x00]), Some(i64::MAX));
    assert_eq!(signed(&[0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x01]), None);
    assert_eq!(signed(&[0x80; 11]), None);
}

#[test]
fn a_panic_is_told_and_ends_nothing_else() {
    assert_eq!(guarded(|| 7), Ok(7));
    let nothing: Vec<u8> = Vec::new();
    let panicked = guarded(|| nothing[nothing.len()]).expect_err("it panics");
    assert!(panicked.to_string().contains("index out of bounds"), "{panicked}");
}
