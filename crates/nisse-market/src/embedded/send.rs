//! Taking a signed transaction: checked, run, logged durably, and only then part of the chain.

use std::error::Error as _;

use alloy::consensus::transaction::SignerRecoverable;
use alloy::consensus::{Transaction as _, TxEnvelope};
use alloy::eips::eip2718::Decodable2718;
use alloy::primitives::B256;
use nisse_store::JournalError;
use revm::context::result::{EVMError, InvalidTransaction};
use revm::state::EvmState;

use super::block::Block;
use super::evm::EvmError;
use super::open::SNAPSHOT_TRANSACTIONS;
use super::record::{BlockRecord, Record};
use super::rpc::RpcError;
use super::state::Unmined;
use super::{EmbeddedChain, Writer};

/// Largest signed transaction, in bytes.
const TRANSACTION_BYTES_MAX: usize = 128 * 1024;
/// Data in the logs of one transaction, in bytes: they are kept for ever, and gas is free here.
const LOG_BYTES_MAX: usize = 256 * 1024;
/// What is said once nothing can be written any more.
const FAILED: &str = "the block log failed: restart the node";

impl EmbeddedChain {
    /// Mines one signed transaction and returns its hash. Blocks until it is durable.
    pub(super) fn send_raw(&self, raw: &[u8]) -> Result<B256, RpcError> {
        let unmined = self.check(raw)?;
        let hash = *unmined.envelope.tx_hash();
        let mut writer = self.writer();
        let snapshot_due = self.mine(&mut writer, Some(unmined))?;
        if snapshot_due {
            self.save_snapshot();
        }
        Ok(hash)
    }

    /// Makes one block on top of the head; true when a snapshot is due.
    pub(super) fn mine(&self, writer: &mut Writer, unmined: Option<Unmined>) -> Result<bool, RpcError> {
        let (block, changes) = {
            let state = self.read();
            if let Some(unmined) = &unmined
                && state.block_of_transaction(*unmined.envelope.tx_hash()).is_some()
            {
                return Err(RpcError::refused("already known"));
            }
            let timestamp = self.timestamp(writer, state.head());
            match unmined {
                Some(unmined) => state.execute(unmined, timestamp).map_err(|error| refusal(&error))?,
                None => (Block::next(state.head(), timestamp, None), EvmState::default()),
            }
        };
        let log_bytes: usize = block.mined.iter().flat_map(|mined| &mined.logs).map(|log| log.data.data.len()).sum();
        if log_bytes > LOG_BYTES_MAX {
            let text = format!("the transaction logs {log_bytes} bytes: at most {LOG_BYTES_MAX} are kept");
            return Err(RpcError::refused(text));
        }
        self.log(writer, &Record::Block(Box::new(BlockRecord::of(&block))))?;
        writer.next_timestamp = None;
        let counts = block.mined.is_some();
        let mut state = self.write();
        state.commit(block, changes);
        Ok(counts && state.transactions().is_multiple_of(SNAPSHOT_TRANSACTIONS))
    }

    /// Appends one record durably. What the disk refuses is not written, and may come again; after any other failure
    /// nothing more is ever written.
    pub(super) fn log(&self, writer: &mut Writer, record: &Record) -> Result<(), RpcError> {
        self.log_all(writer, std::slice::from_ref(record))
    }

    /// The same for several records, which become durable together.
    pub(super) fn log_all(&self, writer: &mut Writer, records: &[Record]) -> Result<(), RpcError> {
        if self.failure().is_some() {
            return Err(RpcError::internal(FAILED));
        }
        let records: Vec<Vec<u8>> = records.iter().map(Record::encode).collect();
        let records: Vec<&[u8]> = records.iter().map(Vec::as_slice).collect();
        let durable = writer.log.append_batch(&records).and_then(|commit| commit.wait());
        durable.map(drop).map_err(|error| match error {
            JournalError::Refused(cause) => {
                tracing::warn!(%cause, "the disk refuses a block");
                RpcError::unavailable(format!("the disk refuses the block: {cause}"))
            }
            JournalError::QueueFull => RpcError::unavailable("the block log is busy"),
            JournalError::TooLong { length } => {
                RpcError::refused(format!("a block of {length} bytes is too long for the log"))
            }
            error => {
                tracing::error!(%error, "the block log failed");
                let cause = error.source().map(|cause| format!(": {cause}")).unwrap_or_default();
                // The first reason is the one to tell.
                let _ = self.inner.failure.set(format!("{error}{cause}"));
                RpcError::internal(FAILED)
            }
        })
    }

    /// The next block's time: never before its parent's (DESIGN §4).
    pub(super) fn timestamp(&self, writer: &Writer, head: &Block) -> u64 {
        let now = self.inner.clock.now().seconds().saturating_add(writer.ahead_seconds);
        writer.next_timestamp.unwrap_or(now).max(head.header.timestamp)
    }

    /// All that can be checked without the state.
    fn check(&self, raw: &[u8]) -> Result<Unmined, RpcError> {
        if raw.len() > TRANSACTION_BYTES_MAX {
            let text = format!("oversized data: {} bytes, at most {TRANSACTION_BYTES_MAX} are taken", raw.len());
            return Err(RpcError::refused(text));
        }
        let envelope = TxEnvelope::decode_2718_exact(raw)
            .map_err(|error| RpcError::refused(format!("malformed transaction: {error}")))?;
        if matches!(envelope, TxEnvelope::Eip4844(_)) {
            return Err(RpcError::refused("blob transactions are not taken by this chain"));
        }
        if envelope.chain_id().is_none() {
            return Err(RpcError::refused("only replay-protected (EIP-155) transactions are taken"));
        }
        let sender = envelope.recover_signer().map_err(|_| RpcError::refused("invalid sender"))?;
        Ok(Unmined { envelope, sender })
    }
}

/// The words that wallets and libraries know from other nodes.
pub(super) fn refusal(error: &EvmError) -> RpcError {
    let EVMError::Transaction(invalid) = error else {
        return RpcError::internal(error.to_string());
    };
    RpcError::refused(match invalid {
        InvalidTransaction::NonceTooLow { tx, state } => format!("nonce too low: next nonce {state}, tx nonce {tx}"),
        InvalidTransaction::NonceTooHigh { tx, state } => format!("nonce too high: next nonce {state}, tx nonce {tx}"),
        InvalidTransaction::InvalidChainId => "invalid chain id for signer".to_owned(),
        InvalidTransaction::LackOfFundForMaxFee { fee, balance } => {
            format!("insufficient funds for gas * price + value: balance {balance}, tx cost {fee}")
        }
        InvalidTransaction::CallerGasLimitMoreThanBlock => "exceeds block gas limit".to_owned(),
        InvalidTransaction::CallGasCostMoreThanGasLimit { initial_gas, gas_limit } => {
            format!("intrinsic gas too low: gas {gas_limit}, minimum needed {initial_gas}")
        }
        InvalidTransaction::GasFloorMoreThanGasLimit { gas_floor, gas_limit } => {
            format!("intrinsic gas too low: gas {gas_limit}, minimum needed {gas_floor}")
        }
        other => other.to_string(),
    })
}
