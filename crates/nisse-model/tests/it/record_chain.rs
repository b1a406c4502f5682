//! Chains of records: nothing left out, put in or changed goes unseen.

use nisse_model::{
    ChainError, DeploymentId, Hash256, InstanceId, InvocationRecord, RecordChain, RecordOutcome, TrapKind,
};
use proptest::prelude::*;

use crate::record::example;

/// `length` records of one instance, each naming the one before.
fn records(length: u64) -> Vec<InvocationRecord> {
    let mut previous = Hash256::ZERO;
    let next = |seq: u64| {
        let record = InvocationRecord { seq, index: seq as u32 - 1, previous, ..example() };
        previous = record.hash();
        record
    };
    (1..=length).map(next).collect()
}

fn verify(records: &[InvocationRecord]) -> Result<RecordChain, ChainError> {
    RecordChain::verify(example().deployment, records)
}

#[test]
fn records_in_order_are_a_chain() {
    let records = records(5);
    let chain = verify(&records).unwrap();
    assert_eq!((chain.head(), chain.next_seq()), (records[4].hash(), 6));
    assert_eq!(chain, RecordChain::after(&records[4]));
    let mut resumed = RecordChain::resume(example().deployment, records[2].hash(), 4);
    assert_eq!(resumed.append(&records[3]).unwrap(), records[3].hash());
}

#[test]
fn a_record_left_out_repeated_or_moved_is_caught() {
    let records = records(4);
    let without = [&records[..1], &records[2..]].concat();
    assert_eq!(verify(&without), Err(ChainError::Seq { expected: 2, found: 3 }));
    assert_eq!(verify(&[records[0].clone(), records[0].clone()]), Err(ChainError::Seq { expected: 2, found: 1 }));
    assert_eq!(verify(&records[1..]), Err(ChainError::Seq { expected: 1, found: 2 }));
}

#[test]
fn a_renumbered_record_is_caught_by_its_predecessor() {
    let mut records = records(3);
    records.remove(1);
    records[1].seq = 2;
    assert!(matches!(verify(&records), Err(ChainError::Previous { seq: 2, .. })));
}

#[test]
fn a_record_of_another_deployment_is_caught() {
    let mut records = records(2);
    records[1].deployment = DeploymentId { number: 8, ..records[1].deployment };
    assert!(matches!(verify(&records), Err(ChainError::Deployment { .. })));
}

#[test]
fn an_instance_counts_its_calls_and_a_trap_ends_it() {
    let first = InvocationRecord { outcome: RecordOutcome::Trap(TrapKind::Unreachable), ..example() };
    let next = |index, instance| InvocationRecord { seq: 2, index, instance, previous: first.hash(), ..example() };
    let ended = verify(&[first.clone(), next(1, first.instance)]);
    assert_eq!(ended, Err(ChainError::InstanceEnded { seq: 2 }));
    assert!(verify(&[first.clone(), next(0, InstanceId([9; 16]))]).is_ok());

    let skipped = InvocationRecord { seq: 2, index: 2, previous: example().hash(), ..example() };
    assert_eq!(verify(&[example(), skipped]), Err(ChainError::Index { seq: 2, expected: 1, found: 2 }));
}

#[test]
fn a_refused_record_changes_nothing() {
    let records = records(3);
    let mut chain = verify(&records[..1]).unwrap();
    let before = chain.clone();
    assert!(chain.append(&records[2]).is_err());
    assert_eq!(chain, before);
    assert!(chain.append(&records[1]).is_ok());
}

proptest! {
    #[test]
    fn one_changed_byte_of_any_record_but_the_last_breaks_the_chain(
        which in 0..3usize,
        place: prop::sample::Index,
        change in 1..=255u8,
    ) {
        let mut records = records(4);
        let mut bytes = records[which].encode();
        let position = place.index(bytes.len());
        bytes[position] ^= change;
        if let Ok(changed) = InvocationRecord::decode(&bytes) {
            records[which] = changed;
            prop_assert!(verify(&records).is_err());
        }
    }
}
