//! Invocation records: one form per record, and no byte of it may change.

use nisse_model::{
    Address, CutKind, DecodeRecordError, DeploymentId, Fuel, Hash256, HostCallRecord, HostCallResult, InstanceId,
    InvocationRecord, RecordOutcome, Timestamp, TrapKind,
};
use proptest::prelude::*;

/// A small record with everything in it.
pub(crate) fn example() -> InvocationRecord {
    InvocationRecord {
        deployment: DeploymentId { chain: 4_242, contract: Address([0xaa; 20]), number: 7 },
        seq: 1,
        time: Timestamp(1_760_000_000_000),
        artifact: Hash256([1; 32]),
        config: Hash256([2; 32]),
        engine: Hash256([3; 32]),
        instance: InstanceId([4; 16]),
        index: 0,
        input: Hash256([5; 32]),
        output: Hash256([6; 32]),
        host_calls: vec![
            HostCallRecord {
                function: "state.get".to_owned(),
                arguments: Hash256([7; 32]),
                result: HostCallResult::of(b"value"),
            },
            HostCallRecord {
                function: "http.send".to_owned(),
                arguments: Hash256([8; 32]),
                result: HostCallResult::of(&[9; 2000]),
            },
        ],
        fuel: Fuel(1_234_567),
        state_before: Hash256([10; 32]),
        state_after: Hash256([11; 32]),
        outcome: RecordOutcome::Ok,
        previous: Hash256::ZERO,
    }
}

#[test]
fn the_stored_form_of_version_1_never_changes() {
    insta::assert_snapshot!(example().hash(), @"5de896d97fa30570a95f1e2d84ab2bd8a09834e36531b1bfa478782d8b0f1658");
    assert_eq!(example().encode()[..2], [0x92, 1]);
}

#[test]
fn every_flipped_bit_is_refused_or_gives_another_record() {
    let bytes = example().encode();
    for position in 0..bytes.len() {
        for bit in 0..8 {
            let mut flipped = bytes.clone();
            flipped[position] ^= 1 << bit;
            if let Ok(record) = InvocationRecord::decode(&flipped) {
                assert_ne!(record, example(), "bit {bit} of byte {position}");
                assert_ne!(record.hash(), example().hash());
            }
        }
    }
}

#[test]
fn a_cut_or_continued_form_is_refused() {
    let bytes = example().encode();
    for length in 0..bytes.len() {
        assert!(InvocationRecord::decode(&bytes[..length]).is_err(), "{length} bytes");
    }
    let continued = [&bytes[..], &[0]].concat();
    assert_eq!(InvocationRecord::decode(&continued), Err(DecodeRecordError::NotCanonical));
}

#[test]
fn another_spelling_of_the_same_record_is_refused() {
    let bytes = example().encode();
    // The version as a two-byte integer, and the outer array without a length.
    let long_integer = [&[0x92, 0x18, 1], &bytes[2..]].concat();
    assert_eq!(InvocationRecord::decode(&long_integer), Err(DecodeRecordError::NotCanonical));
    let indefinite = [&[0x9f], &bytes[1..], &[0xff]].concat();
    assert_eq!(InvocationRecord::decode(&indefinite), Err(DecodeRecordError::NotCanonical));
}

#[test]
fn a_later_version_is_refused_by_its_number() {
    let mut bytes = example().encode();
    bytes[1] = 2;
    assert_eq!(InvocationRecord::decode(&bytes), Err(DecodeRecordError::Version(2)));
}

#[test]
fn limits_are_held_while_reading() {
    let long = vec![0; InvocationRecord::LENGTH_MAX + 1];
    assert_eq!(InvocationRecord::decode(&long), Err(DecodeRecordError::TooLong { length: long.len() }));

    let call = example().host_calls[0].clone();
    let many = InvocationRecord { host_calls: vec![call.clone(); InvocationRecord::HOST_CALLS_MAX + 1], ..example() };
    assert!(matches!(InvocationRecord::decode(&many.encode()), Err(DecodeRecordError::Malformed(_))));

    let named = HostCallRecord { function: "x".repeat(65), ..call.clone() };
    let named = InvocationRecord { host_calls: vec![named], ..example() };
    assert!(matches!(InvocationRecord::decode(&named.encode()), Err(DecodeRecordError::Malformed(_))));

    let inline = HostCallRecord { result: HostCallResult::Bytes(vec![0; 1025]), ..call };
    let inline = InvocationRecord { host_calls: vec![inline], ..example() };
    assert!(matches!(InvocationRecord::decode(&inline.encode()), Err(DecodeRecordError::Malformed(_))));
}

#[test]
fn every_kind_of_trap_has_its_own_name_and_number() {
    let names: std::collections::BTreeSet<_> = TrapKind::ALL.iter().map(|kind| kind.name()).collect();
    assert_eq!(names.len(), TrapKind::ALL.len());
    for kind in TrapKind::ALL {
        let record = InvocationRecord { outcome: RecordOutcome::Trap(kind), ..example() };
        assert_eq!(InvocationRecord::decode(&record.encode()).unwrap().outcome, record.outcome, "{}", kind.name());
    }
}

#[test]
fn the_largest_record_within_its_limits_fits() {
    let call = HostCallRecord {
        function: "x".repeat(HostCallRecord::FUNCTION_LENGTH_MAX),
        arguments: Hash256([7; 32]),
        result: HostCallResult::of(&[9; HostCallResult::INLINE_LENGTH_MAX]),
    };
    let record = InvocationRecord { host_calls: vec![call; InvocationRecord::HOST_CALLS_MAX], ..example() };
    assert_eq!(InvocationRecord::decode(&record.encode()).unwrap(), record);
}

fn hashes() -> impl Strategy<Value = Hash256> {
    any::<[u8; 32]>().prop_map(Hash256)
}

fn outcomes() -> impl Strategy<Value = RecordOutcome> {
    prop_oneof![
        Just(RecordOutcome::Ok),
        Just(RecordOutcome::Failure),
        prop::sample::select(&TrapKind::ALL[..]).prop_map(RecordOutcome::Trap),
        prop::sample::select(&CutKind::ALL[..]).prop_map(RecordOutcome::Cut),
    ]
}

fn host_calls() -> impl Strategy<Value = Vec<HostCallRecord>> {
    let result = prop_oneof![
        prop::collection::vec(any::<u8>(), 0..40).prop_map(HostCallResult::Bytes),
        hashes().prop_map(HostCallResult::Hash),
    ];
    let call = ("[a-z.]{0,64}", hashes(), result);
    let call = call.prop_map(|(function, arguments, result)| HostCallRecord { function, arguments, result });
    prop::collection::vec(call, 0..6)
}

fn records() -> impl Strategy<Value = InvocationRecord> {
    let numbers = (any::<[u64; 5]>(), any::<u32>(), any::<[u8; 20]>(), any::<[u8; 16]>());
    (numbers, prop::array::uniform8(hashes()), host_calls(), outcomes()).prop_map(
        |((numbers, index, contract, instance), hashes, host_calls, outcome)| InvocationRecord {
            deployment: DeploymentId { chain: numbers[0], contract: Address(contract), number: numbers[1] },
            seq: numbers[2],
            time: Timestamp(numbers[3]),
            artifact: hashes[0],
            config: hashes[1],
            engine: hashes[2],
            instance: InstanceId(instance),
            index,
            input: hashes[3],
            output: hashes[4],
            host_calls,
            fuel: Fuel(numbers[4]),
            state_before: hashes[5],
            state_after: hashes[6],
            outcome,
            previous: hashes[7],
        },
    )
}

proptest! {
    #[test]
    fn a_record_reads_what_it_writes(record in records()) {
        prop_assert_eq!(InvocationRecord::decode(&record.encode()).unwrap(), record);
    }

    #[test]
    fn one_changed_byte_is_caught(record in records(), place: prop::sample::Index, change in 1..=255u8) {
        let mut bytes = record.encode();
        let position = place.index(bytes.len());
        bytes[position] ^= change;
        if let Ok(other) = InvocationRecord::decode(&bytes) {
            prop_assert_ne!(other.hash(), record.hash());
        }
    }

    #[test]
    fn no_bytes_make_the_reader_of_records_panic(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        let _ = InvocationRecord::decode(&bytes);
        let _ = InvocationRecord::decode(&[&[0x92, 1], &bytes[..]].concat());
    }

    #[test]
    fn what_is_read_is_written_the_same(mut bytes in Just(example().encode()), place: prop::sample::Index, byte: u8) {
        let position = place.index(bytes.len());
        bytes[position] = byte;
        if let Ok(record) = InvocationRecord::decode(&bytes) {
            prop_assert_eq!(record.encode(), bytes);
        }
    }
}
