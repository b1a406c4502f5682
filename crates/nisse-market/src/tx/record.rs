//! What the transaction queue journals: each signed attempt before it is sent, and each outcome before it is told.
//!
//! Format v1: one version byte, one kind byte, one RLP list.

use alloy::primitives::{B256, Bytes, Log};
use alloy::rlp::{self, Decodable, Encodable};
use nisse_model::Address;

use super::{BlockRef, ChainHash, MinedTx, Revert, TxOutcome, to_alloy, to_model};

const VERSION: u8 = 1;
const KIND_ADOPTED: u8 = 0;
const KIND_SIGNED: u8 = 1;
const KIND_DONE: u8 = 2;
const KIND_BATCH: u8 = 3;
const KIND_KNOWN: u8 = 4;
const KIND_KEPT: u8 = 5;

/// One record of the queue's journal.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Record {
    /// The first record: whose queue this is, and the nonce that it starts from.
    Adopted { chain_id: u64, key: Address, nonce: u64 },
    /// An attempt: the first one under its nonce, or one with higher fees.
    Signed(Signed),
    /// First attempts that stand together or not at all.
    Batch(Vec<Signed>),
    /// The end of an intent.
    Done { intent: String, nonce: u64, outcome: TxOutcome },
    /// An intent that is over, told again so that the records of its life can go. Without its logs when it is long over.
    Known { intent: String, content: B256, outcome: TxOutcome },
    /// A signed transaction that was mined, told again.
    Kept { nonce: u64, raw: Bytes },
}

/// A signed transaction of an intent. An empty intent only fills its nonce.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Signed {
    pub(crate) intent: String,
    pub(crate) nonce: u64,
    pub(crate) raw: Bytes,
}

/// Why bytes are not a record of the queue.
#[derive(Debug, thiserror::Error)]
pub enum TxRecordError {
    /// Written by a newer program.
    #[error("read a transaction record of version {0}: this program knows version 1")]
    Version(u8),
    /// Not a record at all.
    #[error("read a transaction record: it is malformed")]
    Malformed,
}

impl From<rlp::Error> for TxRecordError {
    fn from(_: rlp::Error) -> Self {
        Self::Malformed
    }
}

impl Record {
    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut out = vec![VERSION];
        match self {
            Self::Adopted { chain_id, key, nonce } => {
                out.push(KIND_ADOPTED);
                list(&mut out, &[chain_id, &to_alloy(*key), nonce]);
            }
            Self::Signed(signed) => {
                out.push(KIND_SIGNED);
                signed.encode(&mut out);
            }
            Self::Batch(batch) => {
                out.push(KIND_BATCH);
                let encoded = |signed: &Signed| {
                    let mut out = Vec::new();
                    signed.encode(&mut out);
                    Bytes::from(out)
                };
                let batch: Vec<Bytes> = batch.iter().map(encoded).collect();
                list(&mut out, &[&batch]);
            }
            Self::Done { intent, nonce, outcome } => {
                out.push(KIND_DONE);
                let (tx, reason) = match outcome {
                    TxOutcome::Mined(tx) => (tx, None),
                    TxOutcome::Reverted { tx, reason } => (tx, Some(reason)),
                    TxOutcome::Lost => {
                        return {
                            list(&mut out, &[intent, nonce]);
                            out
                        };
                    }
                };
                let created: Bytes = tx.created.map(|address| address.0.to_vec().into()).unwrap_or_default();
                let no_logs = Vec::new();
                let (name, text) = reason.map_or(("", ""), |reason| (&reason.name, &reason.text));
                let parts: [&dyn Encodable; 11] = [
                    intent,
                    nonce,
                    &tx.hash.0,
                    &tx.block.number,
                    &tx.block.hash.0,
                    &tx.gas_used,
                    &created,
                    tx.logs.as_ref().unwrap_or(&no_logs),
                    &reason.is_some(),
                    &name,
                    &text,
                ];
                list(&mut out, &parts);
            }
            Self::Known { intent, content, outcome } => {
                out.push(KIND_KNOWN);
                let let_go = matches!(outcome, TxOutcome::Mined(MinedTx { logs: None, .. }));
                let done = Self::Done { intent: intent.clone(), nonce: 0, outcome: outcome.clone() };
                list(&mut out, &[content, &let_go, &Bytes::from(done.encode())]);
            }
            Self::Kept { nonce, raw } => {
                out.push(KIND_KEPT);
                list(&mut out, &[nonce, raw]);
            }
        }
        out
    }

    pub(crate) fn decode(bytes: &[u8]) -> Result<Self, TxRecordError> {
        let (&[version, kind], mut rest) = bytes.split_first_chunk::<2>().ok_or(TxRecordError::Malformed)?;
        if version != VERSION {
            return Err(TxRecordError::Version(version));
        }
        let fields = &mut rlp::Header::decode_bytes(&mut rest, true)?;
        let record = match kind {
            KIND_ADOPTED => Self::Adopted {
                chain_id: u64::decode(fields)?,
                key: to_model(alloy::primitives::Address::decode(fields)?),
                nonce: u64::decode(fields)?,
            },
            KIND_SIGNED => Self::Signed(Signed::decode_fields(fields)?),
            KIND_BATCH => {
                let batch = Vec::<Bytes>::decode(fields)?;
                Self::Batch(batch.iter().map(|bytes| Signed::decode(bytes)).collect::<Result<_, _>>()?)
            }
            KIND_DONE => {
                Self::Done { intent: String::decode(fields)?, nonce: u64::decode(fields)?, outcome: outcome(fields)? }
            }
            KIND_KNOWN => {
                let (content, let_go) = (B256::decode(fields)?, bool::decode(fields)?);
                let Self::Done { intent, mut outcome, .. } = Self::decode(&Bytes::decode(fields)?)? else {
                    return Err(TxRecordError::Malformed);
                };
                if let (true, TxOutcome::Mined(tx)) = (let_go, &mut outcome) {
                    tx.logs = None;
                }
                Self::Known { intent, content, outcome }
            }
            KIND_KEPT => Self::Kept { nonce: u64::decode(fields)?, raw: Bytes::decode(fields)? },
            _ => return Err(TxRecordError::Malformed),
        };
        if fields.is_empty() && rest.is_empty() { Ok(record) } else { Err(TxRecordError::Malformed) }
    }
}

impl Signed {
    fn encode(&self, out: &mut Vec<u8>) {
        list(out, &[&self.intent, &self.nonce, &self.raw]);
    }

    fn decode(mut bytes: &[u8]) -> Result<Self, TxRecordError> {
        let fields = &mut rlp::Header::decode_bytes(&mut bytes, true)?;
        let signed = Self::decode_fields(fields)?;
        if fields.is_empty() && bytes.is_empty() { Ok(signed) } else { Err(TxRecordError::Malformed) }
    }

    fn decode_fields(fields: &mut &[u8]) -> Result<Self, TxRecordError> {
        Ok(Self { intent: String::decode(fields)?, nonce: u64::decode(fields)?, raw: Bytes::decode(fields)? })
    }
}

fn outcome(fields: &mut &[u8]) -> Result<TxOutcome, TxRecordError> {
    if fields.is_empty() {
        return Ok(TxOutcome::Lost);
    }
    let hash = ChainHash(<[u8; 32]>::decode(fields)?);
    let block = BlockRef { number: u64::decode(fields)?, hash: ChainHash(<[u8; 32]>::decode(fields)?) };
    let gas_used = u64::decode(fields)?;
    let created = Bytes::decode(fields)?;
    let created = match created.len() {
        0 => None,
        _ => Some(Address(created.as_ref().try_into().map_err(|_| TxRecordError::Malformed)?)),
    };
    let tx = MinedTx { hash, block, gas_used, created, logs: Some(Vec::<Log>::decode(fields)?) };
    let reverted = bool::decode(fields)?;
    let reason = Revert { name: String::decode(fields)?, text: String::decode(fields)? };
    Ok(if reverted { TxOutcome::Reverted { tx, reason } } else { TxOutcome::Mined(tx) })
}

fn list(out: &mut Vec<u8>, parts: &[&dyn Encodable]) {
    rlp::encode_list::<&dyn Encodable, dyn Encodable>(parts, out);
}
