//! Invocations, outcomes and the names in them.

use nisse_model::{
    AssetName, Event, FAILURE_TEXT_LENGTH_MAX, Failure, FailureKind, Invocation, InvocationId, Outcome, Timestamp,
};
use proptest::prelude::*;

fn invocation() -> Invocation {
    Invocation {
        id: InvocationId::new(Timestamp(1_000), [7; 10]),
        function: Invocation::MAIN.to_owned(),
        event: Event::manual("1".to_owned(), Timestamp(999), "text/plain".to_owned(), b"hello".to_vec()),
        attempt: 1,
        deadline: Timestamp(11_000),
    }
}

#[test]
fn each_field_that_the_handler_sees_changes_the_input_hash() {
    let hash = invocation().input_hash();
    assert_eq!(hash, invocation().input_hash());
    let changes: [fn(&mut Invocation); 11] = [
        |it| it.id.0[15] ^= 1,
        |it| it.function.push('x'),
        |it| it.event.id.push('x'),
        |it| it.event.source.push('x'),
        |it| it.event.kind.push('x'),
        |it| it.event.time.0 += 1,
        |it| it.event.content_type.push('x'),
        |it| it.event.data.push(0),
        |it| it.attempt += 1,
        |it| it.deadline.0 += 1,
        |it| std::mem::swap(&mut it.event.source, &mut it.event.kind),
    ];
    for (number, change) in changes.iter().enumerate() {
        let mut changed = invocation();
        change(&mut changed);
        assert_ne!(changed.input_hash(), hash, "change {number}");
    }
}

#[test]
fn an_answer_and_a_failure_never_share_a_hash() {
    let outcome = Outcome { content_type: "retryable".to_owned(), data: b"text".to_vec() };
    let failures = [FailureKind::Retryable, FailureKind::Permanent].map(|kind| Failure::new(kind, "text".to_owned()));
    assert_ne!(outcome.output_hash(), failures[0].output_hash());
    assert_ne!(failures[0].output_hash(), failures[1].output_hash());
}

#[test]
fn a_long_failure_is_cut_between_characters() {
    let failure = Failure::new(FailureKind::Permanent, format!("x{}", "ä".repeat(FAILURE_TEXT_LENGTH_MAX)));
    assert_eq!(failure.text.len(), FAILURE_TEXT_LENGTH_MAX - 1);
}

#[test]
fn an_event_has_limits() {
    let event = |kind: String, data| Event { kind, ..Event::manual("1".into(), Timestamp(0), String::new(), data) };
    assert_eq!(event("x".repeat(256), vec![0; 1 << 20]).check(), Ok(()));
    insta::assert_snapshot!(event("x".repeat(257), Vec::new()).check().unwrap_err(), @"take an event whose type has 257 bytes: at most 256 are allowed");
    insta::assert_snapshot!(event("x".into(), vec![0; (1 << 20) + 1]).check().unwrap_err(), @"take an event with 1048577 bytes of data: at most 1048576 are allowed");
}

#[test]
fn events_of_the_node_carry_their_source_and_no_data() {
    let started = Event::started("1".into(), Timestamp(5));
    assert_eq!((started.source.as_str(), started.kind.as_str()), ("nisse:node", "started"));
    let alarm = Event::alarm("2".into(), Timestamp(6));
    assert_eq!((alarm.source.as_str(), alarm.kind.as_str(), alarm.data.len()), ("nisse:alarm", "alarm", 0));
}

#[test]
fn names_of_invocations_sort_by_time() {
    let name = |time, chance| InvocationId::new(Timestamp(time), [chance; 10]);
    assert!(name(1, 255) < name(2, 0) && name(255, 9) < name(256, 0));
}

#[test]
fn an_asset_has_a_short_plain_name() {
    for name in ["ETH/USD", "a", &"x".repeat(31)] {
        assert_eq!(name.parse::<AssetName>().unwrap().as_str(), name);
    }
    for name in ["", "ETH USD", "ETH\n", "ÉTH", &"x".repeat(32)] {
        assert!(name.parse::<AssetName>().is_err(), "{name:?}");
    }
}

proptest! {
    #[test]
    fn an_invocation_id_reads_what_it_prints(bytes: [u8; 16]) {
        let id = InvocationId(bytes);
        prop_assert_eq!(id.to_string().parse::<InvocationId>().unwrap(), id);
        prop_assert!(id.to_string().to_ascii_uppercase() == id.to_string()
            || id.to_string().to_ascii_uppercase().parse::<InvocationId>().is_err());
    }
}
