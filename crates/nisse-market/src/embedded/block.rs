//! Blocks of the embedded chain: real RLP headers and hashes, one transaction per block at most.
//!
//! The state root is left zero: the chain keeps no trie, and the block log with its checksums is what is verified.

use alloy::consensus::proofs::{calculate_receipt_root, calculate_transaction_root};
use alloy::consensus::transaction::Recovered;
use alloy::consensus::{
    EMPTY_OMMER_ROOT_HASH, EMPTY_ROOT_HASH, Eip658Value, Header, Receipt, ReceiptEnvelope, ReceiptWithBloom,
    Transaction as _, TxEnvelope, TxType,
};
use alloy::primitives::{Address, B64, B256, Bloom, Bytes, Log, U256, keccak256, logs_bloom};
use alloy::rpc::types as rpc;

/// Gas that one block, and so one transaction, may burn.
pub(crate) const BLOCK_GAS_MAX: u64 = 30_000_000;

/// A transaction and what it did.
#[derive(Debug, Clone)]
pub(crate) struct Mined {
    pub(crate) envelope: TxEnvelope,
    pub(crate) sender: Address,
    pub(crate) success: bool,
    pub(crate) gas_used: u64,
    pub(crate) logs: Vec<Log>,
}

/// A block and its hash.
#[derive(Debug)]
pub(crate) struct Block {
    pub(crate) hash: B256,
    pub(crate) header: Header,
    pub(crate) mined: Option<Mined>,
}

impl Block {
    /// The first block: `seed` is the digest of the chain's parameters, so that they are part of every hash after it.
    pub(crate) fn genesis(timestamp: u64, seed: B256) -> Self {
        let header = Header { mix_hash: seed, ..header(B256::ZERO, 0, timestamp) };
        Self { hash: header.hash_slow(), header, mined: None }
    }

    /// The block behind `parent`.
    pub(crate) fn next(parent: &Self, timestamp: u64, mined: Option<Mined>) -> Self {
        let mut header = header(parent.hash, parent.header.number + 1, timestamp);
        header.mix_hash = randomness(parent.hash);
        if let Some(mined) = &mined {
            header.gas_used = mined.gas_used;
            header.logs_bloom = logs_bloom(mined.logs.iter());
            header.transactions_root = calculate_transaction_root(std::slice::from_ref(&mined.envelope));
            header.receipts_root = calculate_receipt_root(&[mined.receipt()]);
        }
        Self { hash: header.hash_slow(), header, mined }
    }

    pub(crate) fn number(&self) -> u64 {
        self.header.number
    }

    /// The logs as `eth_getLogs` gives them.
    pub(crate) fn logs(&self) -> Vec<rpc::Log> {
        let Some(mined) = &self.mined else { return Vec::new() };
        let log = |(index, log): (usize, &Log)| rpc::Log {
            inner: log.clone(),
            block_hash: Some(self.hash),
            block_number: Some(self.number()),
            block_timestamp: Some(self.header.timestamp),
            transaction_hash: Some(*mined.envelope.tx_hash()),
            transaction_index: Some(0),
            log_index: Some(index as u64),
            removed: false,
        };
        mined.logs.iter().enumerate().map(log).collect()
    }

    /// The receipt as `eth_getTransactionReceipt` gives it.
    pub(crate) fn rpc_receipt(&self) -> Option<rpc::TransactionReceipt> {
        let mined = self.mined.as_ref()?;
        Some(rpc::TransactionReceipt {
            inner: envelope(
                mined.envelope.tx_type(),
                mined.success,
                mined.gas_used,
                self.logs(),
                self.header.logs_bloom,
            ),
            transaction_hash: *mined.envelope.tx_hash(),
            transaction_index: Some(0),
            block_hash: Some(self.hash),
            block_number: Some(self.number()),
            gas_used: mined.gas_used,
            effective_gas_price: mined.envelope.effective_gas_price(Some(0)),
            blob_gas_used: None,
            blob_gas_price: None,
            from: mined.sender,
            to: mined.envelope.to(),
            contract_address: mined.created(),
        })
    }

    /// The transaction as `eth_getTransactionByHash` gives it.
    pub(crate) fn rpc_transaction(&self) -> Option<rpc::Transaction> {
        let mined = self.mined.as_ref()?;
        Some(rpc::Transaction {
            inner: Recovered::new_unchecked(mined.envelope.clone(), mined.sender),
            block_hash: Some(self.hash),
            block_number: Some(self.number()),
            transaction_index: Some(0),
            effective_gas_price: Some(mined.envelope.effective_gas_price(Some(0))),
            block_timestamp: Some(self.header.timestamp),
        })
    }

    /// The block as `eth_getBlockByNumber` gives it.
    pub(crate) fn rpc_block(&self, full: bool) -> rpc::Block {
        let transactions = if full {
            rpc::BlockTransactions::Full(self.rpc_transaction().into_iter().collect())
        } else {
            rpc::BlockTransactions::Hashes(self.mined.iter().map(|mined| *mined.envelope.tx_hash()).collect())
        };
        let header = rpc::Header {
            hash: self.hash,
            inner: self.header.clone(),
            total_difficulty: Some(U256::ZERO),
            size: Some(U256::from(alloy::rlp::encode(&self.header).len())),
        };
        rpc::Block { header, uncles: Vec::new(), transactions, withdrawals: Some(Default::default()) }
    }
}

impl Mined {
    /// The contract that this transaction created, if it was a creation and went through.
    fn created(&self) -> Option<Address> {
        (self.envelope.is_create() && self.success).then(|| self.sender.create(self.envelope.nonce()))
    }

    fn receipt(&self) -> ReceiptEnvelope<Log> {
        let bloom = logs_bloom(self.logs.iter());
        envelope(self.envelope.tx_type(), self.success, self.gas_used, self.logs.clone(), bloom)
    }
}

/// The `PREVRANDAO` of the block behind `parent`: predictable, as on most rollups; contracts must not trust it.
pub(crate) fn randomness(parent: B256) -> B256 {
    keccak256(parent)
}

fn envelope<T>(kind: TxType, success: bool, gas_used: u64, logs: Vec<T>, bloom: Bloom) -> ReceiptEnvelope<T> {
    let receipt = Receipt { status: Eip658Value::Eip658(success), cumulative_gas_used: gas_used, logs };
    let receipt = ReceiptWithBloom { receipt, logs_bloom: bloom };
    match kind {
        TxType::Legacy => ReceiptEnvelope::Legacy(receipt),
        TxType::Eip2930 => ReceiptEnvelope::Eip2930(receipt),
        TxType::Eip1559 => ReceiptEnvelope::Eip1559(receipt),
        TxType::Eip4844 => ReceiptEnvelope::Eip4844(receipt),
        TxType::Eip7702 => ReceiptEnvelope::Eip7702(receipt),
    }
}

/// An empty block's header, in the fields that Prague asks for.
fn header(parent_hash: B256, number: u64, timestamp: u64) -> Header {
    Header {
        parent_hash,
        ommers_hash: EMPTY_OMMER_ROOT_HASH,
        beneficiary: Address::ZERO,
        state_root: B256::ZERO,
        transactions_root: EMPTY_ROOT_HASH,
        receipts_root: EMPTY_ROOT_HASH,
        logs_bloom: Bloom::ZERO,
        difficulty: U256::ZERO,
        number,
        gas_limit: BLOCK_GAS_MAX,
        gas_used: 0,
        timestamp,
        extra_data: Bytes::from_static(b"nisse"),
        mix_hash: B256::ZERO,
        nonce: B64::ZERO,
        base_fee_per_gas: Some(0),
        withdrawals_root: Some(EMPTY_ROOT_HASH),
        blob_gas_used: Some(0),
        excess_blob_gas: Some(0),
        parent_beacon_block_root: Some(B256::ZERO),
        ..Header::default()
    }
}
