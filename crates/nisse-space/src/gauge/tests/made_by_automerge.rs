//! What automerge itself makes is measured exactly, and never refused.

use automerge::sync::{State, SyncDoc as _};
use automerge::{Automerge, Change};

use super::*;

/// The size of changes by automerge's own counts.
fn expected(changes: &[Change]) -> Size {
    let actors: std::collections::BTreeSet<_> = changes.iter().flat_map(Change::actors).collect();
    Size {
        chunks: changes.len(),
        inflated: changes.iter().map(|change| change.raw_bytes().len() as u64).sum(),
        operations: changes.iter().map(|change| change.len() as u64).sum(),
        links: changes.iter().map(links).sum(),
        changes: changes.len() as u64,
        actors: actors.len() as u64,
        expanded: changes.iter().map(expanded).sum(),
    }
}

fn links(change: &Change) -> u64 {
    let operations = change.decode().operations;
    (change.deps().len() + operations.iter().map(|operation| operation.pred.len()).sum::<usize>()) as u64
}

/// The bytes of keys and of the names of marks.
fn expanded(change: &Change) -> u64 {
    use automerge::legacy::{Key, OpType};
    let operations = change.decode().operations;
    let bytes = operations.iter().map(|operation| {
        let key = if let Key::Map(key) = &operation.key { key.len() } else { 0 };
        key + if let OpType::MarkBegin(mark) = &operation.action { mark.name.len() } else { 0 }
    });
    bytes.sum::<usize>() as u64
}

fn check(document: &mut AutoCommit) {
    let limits = Limits::MESSAGE;
    let changes = document.get_changes(&[]);
    let raw: Vec<u8> = changes.iter().flat_map(Change::raw_bytes).copied().collect();
    assert_eq!(measure(&raw, &limits).expect("automerge made it"), expected(&changes));
    let deflated: Vec<u8> = changes.iter().flat_map(|change| change.clone().bytes().into_owned()).collect();
    assert_eq!(measure(&deflated, &limits).expect("automerge made it"), expected(&changes));

    let (whole, plain) = (document.save(), document.save_nocompress());
    let rows = Automerge::new().load_incremental(&whole).expect("automerge made it") as u64;
    let size = measure(&whole, &limits).expect("automerge made it");
    let told = expected(&changes);
    assert_eq!(
        (size.chunks, size.inflated, size.operations, size.changes, size.actors),
        (1, plain.len() as u64, rows, told.changes, told.actors),
    );
    assert_eq!(measure(&plain, &limits).expect("automerge made it"), size);
    // A document names what follows an operation, a change what it follows: the same links from the other end.
    assert_eq!(size.links, told.links);
}

#[test]
fn a_document_with_one_of_everything() {
    let mut document = everything();
    check(&mut document);
    assert!(document.get_changes(&[]).iter().any(|change| change.raw_bytes().len() > 256), "one is deflated");
}

#[test]
fn no_changes_and_empty_changes() {
    assert_eq!(measure(&[], &Limits::MESSAGE).expect("nothing"), Size::default());
    let mut document = AutoCommit::new();
    check(&mut document);
    document.empty_change(automerge::transaction::CommitOptions::default().with_message("for the record"));
    check(&mut document);
}

#[test]
fn a_long_text_and_ten_thousand_changes() {
    let mut document = AutoCommit::new();
    let text = document.put_object(ROOT, "text", ObjType::Text).expect("the root takes it");
    document.splice_text(&text, 0, 0, &"a text in one change ".repeat(100)).expect("a text takes it");
    document.commit();
    for number in 0..10_000_usize {
        document.put(ROOT, format!("key {}", number % 100), number as u64).expect("the root takes it");
        document.commit();
    }
    check(&mut document);
    let size = measure(&document.save(), &Limits::MESSAGE).expect("automerge made it");
    assert_eq!((size.changes, size.operations), (10_001, 12_101));
}

#[test]
fn what_came_after_some_heads() {
    let mut document = everything();
    let heads = document.get_heads();
    document.put(ROOT, "later", "x".repeat(1_000)).expect("the root takes it");
    document.commit();
    let after = document.save_after(&heads);
    let size = measure(&after, &Limits::MESSAGE).expect("automerge made it");
    assert_eq!((size.chunks, size.changes, size.operations), (1, 1, 1));
    // A save and what came after it in one run of chunks.
    let both = [document.save(), after].concat();
    assert_eq!(measure(&both, &Limits::MESSAGE).expect("automerge made it").chunks, 2);
}

/// Measures the next message of one document to another and hands it over.
fn hand_over(
    from: &mut Automerge,
    of_from: &mut State,
    to: &mut Automerge,
    of_to: &mut State,
    strip_flags: bool,
) -> Option<Size> {
    let mut message = from.generate_sync_message(of_from)?;
    if strip_flags {
        // As the first version of the protocol had it.
        message.flags = None;
    }
    let bytes = message.encode();
    let size = measure_message(&bytes, &Limits::MESSAGE).expect("automerge made it");
    let message = automerge::sync::Message::decode(&bytes).expect("automerge made it");
    to.receive_sync_message(of_to, message).expect("automerge made it");
    Some(size)
}

/// Lets two documents talk until they are the same, and measures each message.
fn talk(one: &mut Automerge, two: &mut Automerge, strip_flags: bool) -> (u64, u64) {
    let (mut with_two, mut with_one) = (State::new(), State::new());
    let (mut changes, mut operations) = (0, 0);
    for _ in 0..40 {
        let there = hand_over(one, &mut with_two, two, &mut with_one, strip_flags);
        let back = hand_over(two, &mut with_one, one, &mut with_two, strip_flags);
        if there.is_none() && back.is_none() {
            assert_eq!(one.get_heads(), two.get_heads());
            return (changes, operations);
        }
        for size in [there, back].into_iter().flatten() {
            (changes, operations) = (changes + size.changes, operations + size.operations);
        }
    }
    panic!("they never came to an end");
}

#[test]
fn sync_messages_of_both_versions() {
    for strip_flags in [false, true] {
        let mut one = everything();
        let mut one = Automerge::load(&one.save()).expect("automerge made it");
        let mut two = Automerge::new();
        let all = one.get_changes(&[]).len() as u64;
        let (changes, _) = talk(&mut one, &mut two, strip_flags);
        assert_eq!(changes, all);
        let mut both = one.transaction();
        both.put(ROOT, "more", 1).expect("the root takes it");
        both.commit();
        assert_eq!(talk(&mut one, &mut two, strip_flags), (1, 1));
    }
}

#[test]
fn at_its_limits_it_is_taken_and_one_below_refused() {
    let mut document = everything();
    for bytes in [
        document.save(),
        document.get_changes(&[]).iter().flat_map(|change| change.clone().bytes().into_owned()).collect(),
    ] {
        let size = measure(&bytes, &Limits::MESSAGE).expect("automerge made it");
        let exact = Limits {
            inflated_bytes_max: size.inflated,
            expanded_bytes_max: size.expanded,
            operations_max: size.operations,
            links_max: size.links,
            changes_max: size.changes,
            actors_max: size.actors,
            clocks_max: size.changes * size.actors,
            actor_bytes_max: 16,
        };
        assert_eq!(measure(&bytes, &exact).expect("within the limits"), size);
        let below = [
            Limits { inflated_bytes_max: exact.inflated_bytes_max - 1, ..exact },
            Limits { expanded_bytes_max: exact.expanded_bytes_max - 1, ..exact },
            Limits { operations_max: exact.operations_max - 1, ..exact },
            Limits { links_max: exact.links_max - 1, ..exact },
            Limits { changes_max: exact.changes_max - 1, ..exact },
            Limits { actors_max: exact.actors_max - 1, ..exact },
            Limits { clocks_max: exact.clocks_max - 1, ..exact },
            Limits { actor_bytes_max: exact.actor_bytes_max - 1, ..exact },
        ];
        for limits in below {
            let refused = measure(&bytes, &limits);
            assert!(matches!(refused, Err(GaugeError::TooMuch { .. })), "{limits:?}: {refused:?}");
        }
    }
}
