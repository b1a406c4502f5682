//! The stored form of an invocation record, version 1: one CBOR array of 18 items, written by hand.
//!
//! Deterministic (RFC 8949 §4.2.1): definite lengths and shortest integers only. Decoding encodes again and compares,
//! so one record has exactly one form and a flipped bit can't hide in an unused spelling.

use minicbor::decode::{Decoder, Error as CborError};
use minicbor::encode::Encoder;

use super::{CutKind, HostCallRecord, HostCallResult, InstanceId, InvocationRecord, RecordOutcome, TrapKind};
use crate::{Address, DeploymentId, Fuel, Hash256, Timestamp};

/// The first item of the stored form.
const VERSION: u64 = 1;
/// Items of the outer array.
const ITEMS: u64 = 18;
/// Items of a host call: function, arguments, and the result as bytes or hash.
const HOST_CALL_ITEMS: u64 = 4;

const RESULT_BYTES: u64 = 0;
const RESULT_HASH: u64 = 1;
const OUTCOME_OK: u64 = 0;
const OUTCOME_FAILURE: u64 = 1;
/// A trap of kind k is stored as this plus k.
const OUTCOME_TRAP_BASE: u64 = 2;
/// A cut of kind k is stored as this plus k.
const OUTCOME_CUT_BASE: u64 = 128;

const _: () = assert!(OUTCOME_TRAP_BASE + (TrapKind::ALL.len() as u64) <= OUTCOME_CUT_BASE);

/// Why bytes are not a stored record. Each text completes "failed to …".
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DecodeRecordError {
    /// Longer than [`InvocationRecord::LENGTH_MAX`].
    #[error("read a record of {length} bytes: at most {max} are allowed", max = InvocationRecord::LENGTH_MAX)]
    TooLong {
        /// Bytes found.
        length: usize,
    },
    /// A form of another version.
    #[error("read a record of version {0}: this nisse knows version 1")]
    Version(u64),
    /// Not the CBOR that a record is made of.
    #[error("read a record: {0}")]
    Malformed(String),
    /// The same record spelled otherwise, or with something behind it.
    #[error("read a record: it is not in its one canonical form")]
    NotCanonical,
}

impl From<CborError> for DecodeRecordError {
    fn from(error: CborError) -> Self {
        Self::Malformed(error.to_string())
    }
}

pub(super) fn encode(record: &InvocationRecord) -> Vec<u8> {
    let mut bytes = Vec::new();
    encode_into(record, &mut bytes);
    bytes
}

pub(super) fn encode_into(record: &InvocationRecord, buffer: &mut Vec<u8>) {
    buffer.reserve(512 + 128 * record.host_calls.len());
    write(record, &mut Encoder::new(buffer)).expect("writing to memory does not fail");
}

pub(super) fn seq_of(bytes: &[u8]) -> Option<u64> {
    let mut decoder = Decoder::new(bytes);
    if decoder.array().ok()? != Some(ITEMS) || decoder.u64().ok()? != VERSION {
        return None;
    }
    decoder.u64().ok()?;
    decoder.bytes().ok()?;
    decoder.u64().ok()?;
    decoder.u64().ok()
}

type Written = Result<(), minicbor::encode::Error<core::convert::Infallible>>;

fn write(record: &InvocationRecord, encoder: &mut Encoder<&mut Vec<u8>>) -> Written {
    let DeploymentId { chain, contract, number } = record.deployment;
    encoder.array(ITEMS)?.u64(VERSION)?.u64(chain)?.bytes(&contract.0)?.u64(number)?;
    encoder.u64(record.seq)?.u64(record.time.0)?;
    for hash in [record.artifact, record.config, record.engine] {
        encoder.bytes(&hash.0)?;
    }
    encoder.bytes(&record.instance.0)?.u32(record.index)?;
    encoder.bytes(&record.input.0)?.bytes(&record.output.0)?;
    encoder.array(record.host_calls.len() as u64)?;
    for call in &record.host_calls {
        encoder.array(HOST_CALL_ITEMS)?.str(&call.function)?.bytes(&call.arguments.0)?;
        match &call.result {
            HostCallResult::Bytes(bytes) => encoder.u64(RESULT_BYTES)?.bytes(bytes)?,
            HostCallResult::Hash(hash) => encoder.u64(RESULT_HASH)?.bytes(&hash.0)?,
        };
    }
    encoder.u64(record.fuel.0)?;
    encoder.array(2)?.bytes(&record.state_before.0)?.bytes(&record.state_after.0)?;
    encoder.u64(outcome_number(record.outcome))?.bytes(&record.previous.0)?;
    Ok(())
}

fn outcome_number(outcome: RecordOutcome) -> u64 {
    match outcome {
        RecordOutcome::Ok => OUTCOME_OK,
        RecordOutcome::Failure => OUTCOME_FAILURE,
        RecordOutcome::Trap(kind) => {
            let position = TrapKind::ALL.iter().position(|known| *known == kind).expect("ALL holds every kind");
            OUTCOME_TRAP_BASE + position as u64
        }
        RecordOutcome::Cut(kind) => {
            let position = CutKind::ALL.iter().position(|known| *known == kind).expect("ALL holds every kind");
            OUTCOME_CUT_BASE + position as u64
        }
    }
}

pub(super) fn decode(bytes: &[u8]) -> Result<InvocationRecord, DecodeRecordError> {
    if bytes.len() > InvocationRecord::LENGTH_MAX {
        return Err(DecodeRecordError::TooLong { length: bytes.len() });
    }
    let mut decoder = Decoder::new(bytes);
    let record = read(&mut decoder)?;
    if encode(&record) != bytes {
        return Err(DecodeRecordError::NotCanonical);
    }
    Ok(record)
}

/// Reads field by field in the order of the stored form; a struct literal evaluates its fields as they are written.
fn read(decoder: &mut Decoder<'_>) -> Result<InvocationRecord, DecodeRecordError> {
    let items = array(decoder)?;
    let version = decoder.u64()?;
    if version != VERSION {
        return Err(DecodeRecordError::Version(version));
    }
    expect_items(items, ITEMS)?;
    let deployment = DeploymentId {
        chain: decoder.u64()?,
        contract: Address(fixed(decoder, "a contract's address")?),
        number: decoder.u64()?,
    };
    let (seq, time) = (decoder.u64()?, Timestamp(decoder.u64()?));
    let (artifact, config, engine) = (hash(decoder)?, hash(decoder)?, hash(decoder)?);
    let (instance, index) = (InstanceId(fixed(decoder, "an instance")?), decoder.u32()?);
    let (input, output) = (hash(decoder)?, hash(decoder)?);
    let host_calls = read_host_calls(decoder)?;
    let fuel = Fuel(decoder.u64()?);
    expect_items(array(decoder)?, 2)?;
    let (state_before, state_after) = (hash(decoder)?, hash(decoder)?);
    let outcome = read_outcome(decoder.u64()?)?;
    let previous = hash(decoder)?;
    Ok(InvocationRecord {
        deployment,
        seq,
        time,
        artifact,
        config,
        engine,
        instance,
        index,
        input,
        output,
        host_calls,
        fuel,
        state_before,
        state_after,
        outcome,
        previous,
    })
}

fn read_host_calls(decoder: &mut Decoder<'_>) -> Result<Vec<HostCallRecord>, DecodeRecordError> {
    let count = array(decoder)?;
    if count > InvocationRecord::HOST_CALLS_MAX as u64 {
        return Err(malformed(format!("{count} host calls are more than {}", InvocationRecord::HOST_CALLS_MAX)));
    }
    // No capacity is reserved from a number that the bytes merely claim.
    let mut calls = Vec::new();
    for _ in 0..count {
        expect_items(array(decoder)?, HOST_CALL_ITEMS)?;
        let function = decoder.str()?;
        if function.len() > HostCallRecord::FUNCTION_LENGTH_MAX {
            return Err(malformed("a host call's name is too long".to_owned()));
        }
        let arguments = hash(decoder)?;
        let result = match decoder.u64()? {
            RESULT_BYTES => HostCallResult::Bytes(inline(decoder.bytes()?)?),
            RESULT_HASH => HostCallResult::Hash(hash(decoder)?),
            other => return Err(malformed(format!("a host call's result of kind {other} is unknown"))),
        };
        calls.push(HostCallRecord { function: function.to_owned(), arguments, result });
    }
    Ok(calls)
}

fn inline(bytes: &[u8]) -> Result<Vec<u8>, DecodeRecordError> {
    if bytes.len() > HostCallResult::INLINE_LENGTH_MAX {
        return Err(malformed("a host call's result is too long to stand in a record".to_owned()));
    }
    Ok(bytes.to_vec())
}

fn read_outcome(number: u64) -> Result<RecordOutcome, DecodeRecordError> {
    match number {
        OUTCOME_OK => Ok(RecordOutcome::Ok),
        OUTCOME_FAILURE => Ok(RecordOutcome::Failure),
        _ => {
            let known = |base| number.checked_sub(base).and_then(|place: u64| usize::try_from(place).ok());
            let trap = known(OUTCOME_TRAP_BASE).and_then(|place| TrapKind::ALL.get(place)).copied();
            let cut = known(OUTCOME_CUT_BASE).and_then(|place| CutKind::ALL.get(place)).copied();
            let outcome = trap.map(RecordOutcome::Trap).or(cut.map(RecordOutcome::Cut));
            outcome.ok_or_else(|| malformed(format!("outcome {number} is unknown")))
        }
    }
}

fn array(decoder: &mut Decoder<'_>) -> Result<u64, DecodeRecordError> {
    decoder.array()?.ok_or(DecodeRecordError::NotCanonical)
}

fn expect_items(found: u64, expected: u64) -> Result<(), DecodeRecordError> {
    if found == expected {
        Ok(())
    } else {
        Err(malformed(format!("an array of {found} stands where {expected} belong")))
    }
}

fn hash(decoder: &mut Decoder<'_>) -> Result<Hash256, DecodeRecordError> {
    fixed(decoder, "a digest").map(Hash256)
}

fn fixed<const N: usize>(decoder: &mut Decoder<'_>, what: &str) -> Result<[u8; N], DecodeRecordError> {
    let bytes = decoder.bytes()?;
    bytes.try_into().map_err(|_| malformed(format!("{what} has {} bytes instead of {N}", bytes.len())))
}

fn malformed(text: String) -> DecodeRecordError {
    DecodeRecordError::Malformed(text)
}
