//! What the block log holds: the chain's parameters first, then one record per block.
//!
//! Format v1: one version byte, one kind byte, one RLP list. A block's record carries what its transaction did, so
//! that blocks before a snapshot are rebuilt without running them again; the header's roots check every part of it.

use alloy::consensus::TxEnvelope;
use alloy::eips::eip2718::{Decodable2718, Encodable2718};
use alloy::primitives::{Address, B256, Bytes, Log, U256, keccak256};
use alloy::rlp::{self, Decodable, Encodable};

use super::block::{Block, Mined};

const VERSION: u8 = 1;
const KIND_GENESIS: u8 = 0;
const KIND_BLOCK: u8 = 1;
const KIND_REORG: u8 = 2;
/// The rules that blocks are executed by; a log made under other rules is refused.
pub(crate) const SPEC: &str = "prague";

/// The parameters that a chain is born with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct GenesisRecord {
    pub(crate) chain_id: u64,
    pub(crate) timestamp: u64,
    pub(crate) allocations: Vec<(Address, U256)>,
}

/// One block as it is logged.
#[derive(Debug, Clone)]
pub(crate) struct BlockRecord {
    pub(crate) hash: B256,
    pub(crate) timestamp: u64,
    pub(crate) mined: Option<Mined>,
}

/// One record of the block log.
#[derive(Debug, Clone)]
pub(crate) enum Record {
    Genesis(GenesisRecord),
    Block(Box<BlockRecord>),
    /// The blocks above this number are abandoned (a development chain only).
    Reorg(u64),
}

/// Why bytes are not a record.
#[derive(Debug, thiserror::Error)]
pub enum RecordError {
    /// Written by a newer program.
    #[error("read a block record of version {0}: this program knows version 1")]
    Version(u8),
    /// Written under other rules of execution.
    #[error("use a chain with the rules `{0}`: this program runs `prague`")]
    Spec(String),
    /// Not a record at all.
    #[error("read a block record: it is malformed")]
    Malformed,
}

impl From<rlp::Error> for RecordError {
    fn from(_: rlp::Error) -> Self {
        Self::Malformed
    }
}

impl GenesisRecord {
    pub(crate) fn block(&self) -> Block {
        Block::genesis(self.timestamp, keccak256(Record::Genesis(self.clone()).encode()))
    }
}

impl BlockRecord {
    pub(crate) fn of(block: &Block) -> Self {
        Self { hash: block.hash, timestamp: block.header.timestamp, mined: block.mined.clone() }
    }
}

impl Record {
    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut out = vec![VERSION];
        match self {
            Self::Genesis(genesis) => {
                out.push(KIND_GENESIS);
                let allocations: Vec<Bytes> = genesis
                    .allocations
                    .iter()
                    .map(|(address, wei)| Bytes::from([address.as_slice(), &wei.to_be_bytes::<32>()].concat()))
                    .collect();
                encode_list(&mut out, &[&SPEC, &genesis.chain_id, &genesis.timestamp, &allocations]);
            }
            Self::Block(block) => {
                out.push(KIND_BLOCK);
                match &block.mined {
                    None => encode_list(&mut out, &[&block.hash, &block.timestamp]),
                    Some(mined) => {
                        let raw = Bytes::from(mined.envelope.encoded_2718());
                        let parts: [&dyn Encodable; 7] = [
                            &block.hash,
                            &block.timestamp,
                            &raw,
                            &mined.sender,
                            &mined.success,
                            &mined.gas_used,
                            &mined.logs,
                        ];
                        encode_list(&mut out, &parts);
                    }
                }
            }
            Self::Reorg(to) => {
                out.push(KIND_REORG);
                encode_list(&mut out, &[to]);
            }
        }
        out
    }

    pub(crate) fn decode(bytes: &[u8]) -> Result<Self, RecordError> {
        let (&[version, kind], mut rest) = bytes.split_first_chunk::<2>().ok_or(RecordError::Malformed)?;
        if version != VERSION {
            return Err(RecordError::Version(version));
        }
        let fields = &mut rlp::Header::decode_bytes(&mut rest, true)?;
        let record = match kind {
            KIND_GENESIS => {
                let spec = String::decode(fields)?;
                if spec != SPEC {
                    return Err(RecordError::Spec(spec));
                }
                let (chain_id, timestamp) = (u64::decode(fields)?, u64::decode(fields)?);
                let allocations = Vec::<Bytes>::decode(fields)?.iter().map(allocation).collect::<Option<Vec<_>>>();
                let allocations = allocations.ok_or(RecordError::Malformed)?;
                Self::Genesis(GenesisRecord { chain_id, timestamp, allocations })
            }
            KIND_BLOCK => {
                let (hash, timestamp) = (B256::decode(fields)?, u64::decode(fields)?);
                let mined = if fields.is_empty() { None } else { Some(mined(fields)?) };
                Self::Block(Box::new(BlockRecord { hash, timestamp, mined }))
            }
            KIND_REORG => Self::Reorg(u64::decode(fields)?),
            _ => return Err(RecordError::Malformed),
        };
        if fields.is_empty() && rest.is_empty() { Ok(record) } else { Err(RecordError::Malformed) }
    }
}

fn mined(fields: &mut &[u8]) -> Result<Mined, RecordError> {
    let raw = Bytes::decode(fields)?;
    Ok(Mined {
        envelope: TxEnvelope::decode_2718_exact(&raw).map_err(|_| RecordError::Malformed)?,
        sender: Address::decode(fields)?,
        success: bool::decode(fields)?,
        gas_used: u64::decode(fields)?,
        logs: Vec::<Log>::decode(fields)?,
    })
}

fn allocation(bytes: &Bytes) -> Option<(Address, U256)> {
    let (address, wei) = bytes.split_first_chunk::<20>()?;
    Some((Address::from(*address), U256::from_be_bytes(<[u8; 32]>::try_from(wei).ok()?)))
}

/// Appends one RLP list.
pub(crate) fn encode_list(out: &mut Vec<u8>, parts: &[&dyn Encodable]) {
    rlp::encode_list::<&dyn Encodable, dyn Encodable>(parts, out);
}
