//! What would make automerge inflate or allocate without end is refused, by its name.

use super::*;

/// The columns that the bombs stand in, by their specifications.
const ACTION: u32 = 4 << 4 | 2;
const KEY_TEXT: u32 = 1 << 4 | 5;
const INSERT: u32 = 3 << 4 | 4;
const VALUE_META: u32 = 5 << 4 | 6;
const PRED_COUNT: u32 = 7 << 4;
const PRED_ACTOR: u32 = 7 << 4 | 1;
const SUCC_COUNT: u32 = 8 << 4;
const SUCC_COUNTER: u32 = 8 << 4 | 3;
const ID_ACTOR: u32 = 2 << 4 | 1;
const OBJECT_ACTOR: u32 = 1;
const CHANGE_ACTOR: u32 = 1;
const CHANGE_MESSAGE: u32 = 3 << 4 | 5;
const CHANGE_LINK: u32 = 4 << 4 | 3;
const DEFLATED: u32 = 0b1000;

/// A run of so many times one small value.
fn many(count: u64, value: u8) -> Vec<u8> {
    [run(count), vec![value]].concat()
}

fn nulls(count: u64) -> Vec<u8> {
    [vec![0], number(count)].concat()
}

/// These bytes and a gibibyte of zeros, deflated: the same mebibyte over and over.
fn gibibyte(before: &[u8]) -> Vec<u8> {
    let mut encoder = DeflateEncoder::new(Vec::new(), Compression::best());
    encoder.write_all(before).expect("memory takes it");
    encoder.flush().expect("memory takes it");
    let start = encoder.get_ref().len();
    encoder.write_all(&vec![0; 1 << 20]).expect("memory takes it");
    encoder.flush().expect("memory takes it");
    let mebibyte = encoder.get_ref()[start..].to_vec();
    let before = &encoder.get_ref()[..start];
    // An empty block that says that it is the last.
    [before, &mebibyte.repeat(1 << 10), &[3, 0]].concat()
}

#[test]
fn a_gibibyte_of_zeros_is_not_inflated() {
    let zeros = gibibyte(&[]);
    assert!(zeros.len() < 2 << 20, "{} bytes", zeros.len());
    let few = Limits { inflated_bytes_max: 1 << 20, ..Limits::MESSAGE };
    let refusal = |bytes: &[u8]| measure(bytes, &few).expect_err("refused").to_string();
    let too_much = "take inflated bytes: at least 10";
    // As a change whose columns are followed by zeros, which mean nothing.
    let bomb = chunk(2, &gibibyte(&change_body(&[])), (1, &[]));
    assert!(refusal(&bomb).starts_with(too_much), "{}", refusal(&bomb));
    // As a column of a document that automerge does not know, as one of raw bytes, and as one with runs.
    for specification in [77 << 4 | 2, 5 << 4 | 7, ACTION] {
        let column = (specification | DEFLATED, zeros.clone());
        let bomb = document(&[], std::slice::from_ref(&column));
        assert!(refusal(&bomb).starts_with(too_much), "{specification}: {}", refusal(&bomb));
        let bomb = document(&[column], &[]);
        assert!(refusal(&bomb).starts_with(too_much), "{specification}: {}", refusal(&bomb));
    }
    // In many small pieces.
    let body = [change_body(&[]), vec![0; 100_000]].concat();
    let piece = chunk(2, &deflated(&body), (1, &body));
    assert!(measure(&piece.repeat(10), &few).is_ok());
    assert!(matches!(measure(&piece.repeat(11), &few), Err(GaugeError::TooMuch { .. })));
}

#[test]
fn a_run_of_two_to_the_fiftieth_is_refused_wherever_it_stands() {
    let endless = 1 << 50;
    let columns = [
        (ACTION, many(endless, 1)),
        (ACTION, nulls(endless)),
        (KEY_TEXT, nulls(endless)),
        (INSERT, [number(0), number(endless)].concat()),
        (VALUE_META, many(endless, 0)),
        (PRED_COUNT, many(endless, 0)),
        (PRED_COUNT, many(1, 0x7f)),
        (PRED_ACTOR, many(endless, 0)),
        (OBJECT_ACTOR, many(endless, 0)),
    ];
    let few = Limits { operations_max: 100, links_max: 100, ..Limits::MESSAGE };
    for (specification, data) in columns {
        let refused = measure(&change(&[(specification, data.clone())]), &few);
        assert!(matches!(refused, Err(GaugeError::TooMuch { .. })), "{specification} {data:?}: {refused:?}");
    }
    let columns = [(ID_ACTOR, many(endless, 0)), (SUCC_COUNT, many(endless, 1)), (SUCC_COUNTER, many(endless, 1))];
    for (specification, data) in columns {
        let refused = measure(&document(&[], &[(specification, data.clone())]), &Limits::MESSAGE);
        assert!(matches!(refused, Err(GaugeError::TooMuch { .. })), "{specification} {data:?}: {refused:?}");
    }
    for (specification, data) in [(CHANGE_ACTOR, many(endless, 0)), (CHANGE_LINK, many(endless, 1))] {
        let refused = measure(&document(&[(specification, data.clone())], &[]), &Limits::MESSAGE);
        assert!(matches!(refused, Err(GaugeError::TooMuch { .. })), "{specification} {data:?}: {refused:?}");
    }
}

#[test]
fn a_long_text_in_a_long_run_is_refused() {
    let text = |count: u64| [run(count), number(1_000), vec![b'x'; 1_000]].concat();
    assert!(measure(&change(&[(KEY_TEXT, text(60_000))]), &Limits::MESSAGE).is_ok());
    let refused = "take bytes of texts in runs: at least 70000000 where at most 67108864 are allowed";
    assert_eq!(refusal(&change(&[(KEY_TEXT, text(70_000))])), refused);
    assert_eq!(refusal(&document(&[(CHANGE_MESSAGE, text(70_000))], &[])), refused);
}

#[test]
fn an_actor_that_is_not_there_is_refused() {
    // automerge makes room for as many actors as the number says.
    let refused = "read an operation by actor 127 of 1";
    assert_eq!(refusal(&change(&[(OBJECT_ACTOR, many(1, 0x7f))])), refused);
    assert_eq!(refusal(&change(&[(PRED_ACTOR, many(1, 0x7f))])), refused);
    assert_eq!(refusal(&document(&[], &[(ID_ACTOR, many(1, 0x7f))])), refused);
    assert_eq!(refusal(&document(&[(CHANGE_ACTOR, many(1, 0x7f))], &[])), refused);
}

#[test]
fn a_column_that_automerge_does_not_know_is_passed_over() {
    // Later versions may write these; automerge 0.12 reads none of their runs.
    let unknown = (77 << 4 | 2, many(1 << 50, 1));
    assert!(measure(&change(&[(ACTION, many(3, 1)), unknown.clone()]), &Limits::MESSAGE).is_ok());
    assert!(measure(&document(&[], &[unknown]), &Limits::MESSAGE).is_ok());
}

#[test]
fn lengths_past_the_end_are_refused() {
    let whole = change(&[(ACTION, many(3, 1))]);
    for length in 1..whole.len() {
        assert!(measure(&whole[..length], &Limits::MESSAGE).is_err(), "{length}");
    }
    let of_length = |length: u64| [&MAGIC[..], &[0; 4], &[1], &number(length), &[0; 100]].concat();
    assert_eq!(refusal(&of_length(101)), "read a chunk: the bytes end before it does");
    assert_eq!(refusal(&of_length(u64::MAX)), "read a chunk: the bytes end before it does");
    let body = [vec![0, 2, 0xaa, 0xbb, 1, 1, 0], number(u64::MAX)].concat();
    assert_eq!(refusal(&chunk(1, &body, (1, &body))), "read a change: the bytes end before it does");
    let body = [change_body(&[]), vec![9]].concat();
    assert!(measure(&chunk(1, &body, (1, &body)), &Limits::MESSAGE).is_ok(), "a change may end with anything");
    let mut metadata = change_body(&[]);
    metadata.pop();
    let body = [metadata, number(1), number(ACTION.into()), number(u64::MAX)].concat();
    assert_eq!(refusal(&chunk(1, &body, (1, &body))), "read a column: the bytes end before it does");
}

#[test]
fn what_is_no_chunk_is_refused() {
    let whole = change(&[(ACTION, many(3, 1))]);
    assert_eq!(refusal(b"what"), "find a chunk at byte 0");
    assert_eq!(refusal(&[whole.clone(), b"what".to_vec()].concat()), format!("find a chunk at byte {}", whole.len()));
    assert_eq!(refusal(&[whole, vec![0x85]].concat()), "read a chunk's header: the bytes end before it does");
    assert_eq!(refusal(&chunk(3, &[], (3, &[]))), "take a bundle of changes: changes come one by one or as a document");
    assert_eq!(refusal(&chunk(4, &[], (4, &[]))), "read a chunk of type 4: 0, 1 and 2 are known");
    assert_eq!(refusal(&change(&[(ACTION | DEFLATED, vec![1])])), "read a change with a deflated column");
    assert_eq!(refusal(&chunk(2, &[0xff; 9], (1, &[]))), "inflate a chunk");
    let body = [vec![0, 65], vec![0xaa; 65], vec![1, 1, 0, 0, 0, 0]].concat();
    let long = "take bytes of an actor's name: at least 65 where at most 64 are allowed";
    assert_eq!(refusal(&chunk(1, &body, (1, &body))), long);
    let body = [document(&[], &[])[PREFIX_BYTES as usize + 1..].to_vec(), vec![0]].concat();
    assert_eq!(refusal(&chunk(0, &body, (0, &body))), "read a document: bytes follow it");
}

/// A message without heads and needs, with one summary whose Bloom filter is this.
fn message_with_bloom(bloom: &[u8]) -> Vec<u8> {
    [&[0x42, 0, 0, 1, 0][..], &number(bloom.len() as u64), bloom, &[0]].concat()
}

#[test]
fn a_message_that_names_much_in_few_bytes_is_refused() {
    let refusal = |bytes: &[u8]| measure_message(bytes, &Limits::MESSAGE).expect_err("refused").to_string();
    assert!(measure_message(&[0x42, 0, 0, 0, 0], &Limits::MESSAGE).is_ok());
    assert_eq!(refusal(&[]), "read a sync message: the bytes end before it does");
    assert_eq!(refusal(&[0x41]), "read a sync message of type 65: 66 and 67 are known");
    let many = number(1_000_000);
    let heads = [&[0x42][..], &many].concat();
    assert_eq!(refusal(&heads), "take heads: at least 1000000 where at most 1000 are allowed");
    let needs = [&[0x42, 0][..], &many].concat();
    assert_eq!(refusal(&needs), "take changes asked for: at least 1000000 where at most 10000 are allowed");
    let haves = [&[0x42, 0, 0][..], &many].concat();
    assert_eq!(refusal(&haves), "take summaries of changes: at least 1000000 where at most 16 are allowed");
    let entries = [&[0x42, 0, 0, 0][..], &many, &vec![0; 1_000_000]].concat();
    assert_eq!(refusal(&entries), "take entries of a sync message: at least 1000000 where at most 200000 are allowed");
    assert!(measure_message(&message_with_bloom(&[]), &Limits::MESSAGE).is_ok());
    assert!(measure_message(&message_with_bloom(&[1, 10, 7, 0, 0]), &Limits::MESSAGE).is_ok());
    assert_eq!(
        refusal(&message_with_bloom(&[&[1, 10][..], &many, &[0, 0]].concat())),
        "take probes of a Bloom filter: at least 1000000 where at most 32 are allowed"
    );
    assert_eq!(refusal(&message_with_bloom(&[1, 0, 7])), "read a Bloom filter of 1 changes without a bit");
    assert_eq!(refusal(&message_with_bloom(&[100, 100, 7])), "read a sync message: the bytes end before it does");
    let large = vec![0; 1 << 20 | 1];
    assert!(refusal(&message_with_bloom(&large)).starts_with("take bytes of a Bloom filter"));
    // An entry holds whole chunks: automerge would join what is cut in two.
    let whole = change(&[]);
    let (one, two) = whole.split_at(7);
    let cut = [&[0x42, 0, 0, 0, 2, 7][..], one, &number(two.len() as u64), two].concat();
    assert_eq!(refusal(&cut), "read a chunk's header: the bytes end before it does");
}

#[test]
fn broken_bytes_never_panic() {
    let mut sample = everything();
    let small = Limits { inflated_bytes_max: 100_000, operations_max: 10_000, ..Limits::MESSAGE };
    let last = sample.get_last_local_change().map(|change| change.raw_bytes().to_vec()).expect("it has one");
    let mut state = automerge::sync::State::new();
    let message = automerge::sync::SyncDoc::generate_sync_message(&sample.sync(), &mut state);
    let message = message.map(automerge::sync::Message::encode).unwrap_or_default();
    for bytes in [sample.save(), sample.save_nocompress(), last, message] {
        for length in 0..bytes.len() {
            let _ = measure(&bytes[..length], &small);
            let _ = measure_message(&bytes[..length], &small);
        }
        for place in 0..bytes.len() {
            for flip in [0x01, 0x08, 0x40, 0x80, 0xff] {
                let mut other = bytes.clone();
                other[place] ^= flip;
                for size in [measure(&other, &small), measure_message(&other, &small)].into_iter().flatten() {
                    assert!(size.inflated <= small.inflated_bytes_max && size.operations <= small.operations_max);
                }
            }
        }
    }
}
