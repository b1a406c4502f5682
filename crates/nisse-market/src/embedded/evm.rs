//! The one place that runs the EVM: Prague's rules with Prague's gas, base fee zero.

use std::convert::Infallible;

use alloy::consensus::{Transaction as _, TxEnvelope};
use alloy::primitives::{Address, B256, U256};
use alloy::rpc::types::TransactionRequest;
use revm::context::either::Either;
use revm::context::result::{EVMError, ExecutionResult, ResultAndState};
use revm::context::{BlockEnv, TxEnv};
use revm::context_interface::block::BlobExcessGasAndPrice;
use revm::database::{CacheDB, EmptyDB};
use revm::database_interface::WrapDatabaseRef;
use revm::primitives::hardfork::SpecId;
use revm::{Context, ExecuteEvm, MainBuilder, MainContext};

use super::block::{BLOCK_GAS_MAX, Block, randomness};

/// Accounts, code and storage.
pub(crate) type Database = CacheDB<EmptyDB>;
/// What a run can fail with before it starts.
pub(crate) type EvmError = EVMError<Infallible>;

/// Who asks for a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Run {
    /// A signed transaction: nonce and sender are checked.
    Transaction,
    /// `eth_call` and `eth_estimateGas`: any sender, any nonce.
    Call,
}

/// Runs one transaction over `database` without changing it.
pub(crate) fn run(
    database: &Database,
    chain_id: u64,
    block: BlockEnv,
    tx: TxEnv,
    run: Run,
) -> Result<ResultAndState, EvmError> {
    let mut evm = Context::mainnet()
        .modify_cfg_chained(|cfg| {
            cfg.set_spec_and_mainnet_gas_params(SpecId::PRAGUE);
            cfg.chain_id = chain_id;
            if run == Run::Call {
                cfg.disable_nonce_check = true;
                cfg.disable_eip3607 = true;
            }
        })
        .with_block(block)
        .with_db(WrapDatabaseRef(database))
        .build_mainnet();
    evm.transact(tx)
}

/// The surroundings of the block behind `parent`.
pub(crate) fn block_env(parent: &Block, timestamp: u64) -> BlockEnv {
    BlockEnv {
        number: U256::from(parent.number() + 1),
        beneficiary: Address::ZERO,
        timestamp: U256::from(timestamp),
        gas_limit: BLOCK_GAS_MAX,
        basefee: 0,
        difficulty: U256::ZERO,
        prevrandao: Some(randomness(parent.hash)),
        blob_excess_gas_and_price: Some(BlobExcessGasAndPrice::new_with_spec(0, SpecId::PRAGUE)),
        ..BlockEnv::default()
    }
}

/// A signed transaction as the EVM takes it.
pub(crate) fn signed_env(tx: &TxEnvelope, sender: Address) -> TxEnv {
    TxEnv {
        tx_type: tx.tx_type() as u8,
        caller: sender,
        gas_limit: tx.gas_limit(),
        gas_price: tx.max_fee_per_gas(),
        kind: tx.kind(),
        value: tx.value(),
        data: tx.input().clone(),
        nonce: tx.nonce(),
        chain_id: tx.chain_id(),
        access_list: tx.access_list().cloned().unwrap_or_default(),
        gas_priority_fee: tx.max_priority_fee_per_gas(),
        blob_hashes: Vec::new(),
        max_fee_per_blob_gas: 0,
        authorization_list: tx.authorization_list().unwrap_or_default().iter().cloned().map(Either::Left).collect(),
    }
}

/// An unsigned call as the EVM takes it, with at most `gas_max` gas.
pub(crate) fn call_env(request: &TransactionRequest, chain_id: u64, nonce: u64, gas_max: u64) -> TxEnv {
    let fee = request.max_fee_per_gas.or(request.gas_price).unwrap_or(0);
    TxEnv {
        tx_type: if request.max_fee_per_gas.is_some() || request.access_list.is_some() { 2 } else { 0 },
        caller: request.from.unwrap_or_default(),
        gas_limit: request.gas.unwrap_or(gas_max).min(gas_max),
        gas_price: fee,
        kind: request.to.unwrap_or_default(),
        value: request.value.unwrap_or_default(),
        data: request.input.input().cloned().unwrap_or_default(),
        nonce,
        chain_id: Some(chain_id),
        access_list: request.access_list.clone().unwrap_or_default(),
        gas_priority_fee: request.max_fee_per_gas.map(|_| request.max_priority_fee_per_gas.unwrap_or(0)),
        ..TxEnv::default()
    }
}

/// Makes `hash` what the `BLOCKHASH` instruction answers for `number`; only the last 256 are ever asked for.
pub(crate) fn remember_block_hash(database: &mut Database, number: u64, hash: B256) {
    database.cache.block_hashes.insert(U256::from(number), hash);
    if let Some(old) = number.checked_sub(256) {
        database.cache.block_hashes.remove(&U256::from(old));
    }
}

/// Gas that stands in the receipt.
pub(crate) fn gas_used(result: &ExecutionResult) -> u64 {
    result.tx_gas_used()
}
