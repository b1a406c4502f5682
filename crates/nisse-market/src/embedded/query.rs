//! Reading the chain: accounts, calls, gas estimates, logs and filters.

use alloy::primitives::{Address, B256, Bytes, U256};
use alloy::rpc::types::{self, FilterBlockOption, TransactionRequest};
use alloy::sol_types::decode_revert_reason;
use revm::DatabaseRef;
use revm::context::result::{ExecutionResult, HaltReason};
use serde_json::Value;

use super::EmbeddedChain;
use super::block::BLOCK_GAS_MAX;
use super::budget::Budget;
use super::evm::{self, Run};
use super::rpc::{RpcError, value};
use super::send::refusal;

/// Logs that one answer holds.
const LOGS_MAX: usize = 10_000;
/// Bytes of data that they have together.
const LOGS_BYTES_MAX: usize = 8 << 20;
/// Filters open at once; the oldest one makes room.
const FILTERS_MAX: usize = 64;
/// What a call may always keep back from a callee (EIP-150), and the stipend of a transfer.
const CALL_STIPEND: u64 = 2_300;

/// A filter that a client polls.
pub(super) struct Filter {
    /// `None` reports block hashes.
    logs: Option<types::Filter>,
    /// First block that was not reported yet.
    next: u64,
}

impl Filter {
    /// Reports again what stands above block `number`.
    pub(super) fn back_to(&mut self, number: u64) {
        self.next = self.next.min(number + 1);
    }
}

impl EmbeddedChain {
    pub(super) fn balance(&self, address: Address) -> U256 {
        self.info(address).balance
    }

    pub(super) fn nonce(&self, address: Address) -> u64 {
        self.info(address).nonce
    }

    pub(super) fn code(&self, address: Address) -> Bytes {
        let state = self.read();
        let Ok(code) = state.database.basic_ref(address).map(|info| info.map(|info| info.code_hash));
        let code = code.and_then(|hash| state.database.cache.contracts.get(&hash));
        code.map(|code| code.original_bytes()).unwrap_or_default()
    }

    pub(super) fn storage(&self, address: Address, slot: U256) -> U256 {
        let Ok(value) = self.read().database.storage_ref(address, slot);
        value
    }

    fn info(&self, address: Address) -> revm::state::AccountInfo {
        let Ok(info) = self.read().database.basic_ref(address);
        info.unwrap_or_default()
    }

    /// `eth_call`, as if it stood in the next block.
    pub(super) fn call(&self, request: &TransactionRequest, budget: &mut Budget) -> Result<Bytes, RpcError> {
        let result = self.simulate(request, BLOCK_GAS_MAX, budget)?;
        finished(result).map(|(_, output)| output)
    }

    /// The least gas limit that this call goes through with.
    pub(super) fn estimate_gas(&self, request: &TransactionRequest, budget: &mut Budget) -> Result<u64, RpcError> {
        let mut request = request.clone();
        let ceiling = request.gas.take().unwrap_or(BLOCK_GAS_MAX).min(BLOCK_GAS_MAX);
        let (used, _) = finished(self.simulate(&request, ceiling, budget)?)?;
        // A limit below what was burnt cannot do; refunds come only at the end, so more may be needed on the way.
        let (mut too_low, mut enough) = (used.saturating_sub(1), ceiling);
        let guess = (used + CALL_STIPEND).saturating_mul(64) / 63;
        if guess < enough && self.goes_through(&request, guess, budget)? {
            enough = guess;
        }
        while enough - too_low > 1 {
            let middle = too_low + (enough - too_low) / 2;
            if self.goes_through(&request, middle, budget)? { enough = middle } else { too_low = middle }
        }
        Ok(enough)
    }

    fn goes_through(&self, request: &TransactionRequest, gas: u64, budget: &mut Budget) -> Result<bool, RpcError> {
        use revm::context::result::{EVMError, InvalidTransaction};
        match self.run(request, budget.for_run(gas)?, budget) {
            Ok(result) => Ok(result.is_success()),
            Err(EVMError::Transaction(
                InvalidTransaction::CallGasCostMoreThanGasLimit { .. }
                | InvalidTransaction::GasFloorMoreThanGasLimit { .. },
            )) => Ok(false),
            Err(error) => Err(refusal(&error)),
        }
    }

    fn simulate(
        &self,
        request: &TransactionRequest,
        gas_max: u64,
        budget: &mut Budget,
    ) -> Result<ExecutionResult, RpcError> {
        self.run(request, budget.for_run(gas_max)?, budget).map_err(|error| refusal(&error))
    }

    fn run(
        &self,
        request: &TransactionRequest,
        gas_max: u64,
        budget: &mut Budget,
    ) -> Result<ExecutionResult, evm::EvmError> {
        let now = self.time().seconds();
        let state = self.read();
        let block = evm::block_env(state.head(), now.max(state.head().header.timestamp));
        let nonce = state.database.basic_ref(request.from.unwrap_or_default());
        let nonce = nonce.map_or(0, |info| info.map_or(0, |info| info.nonce));
        let tx = evm::call_env(request, state.chain_id, nonce, gas_max);
        let result = evm::run(&state.database, state.chain_id, block, tx, Run::Call)?.result;
        budget.ran(evm::gas_used(&result));
        Ok(result)
    }

    pub(super) fn logs(&self, filter: &types::Filter) -> Result<Vec<types::Log>, RpcError> {
        let (first, last) = match filter.block_option {
            FilterBlockOption::AtBlockHash(hash) => {
                let block = self.find(hash.into()).ok_or_else(|| RpcError::refused("unknown block"))?;
                (block.number(), block.number())
            }
            FilterBlockOption::Range { from_block, to_block } => {
                let head = self.head().0;
                let number = |tag: Option<types::BlockNumberOrTag>| match tag {
                    Some(types::BlockNumberOrTag::Number(number)) => number,
                    Some(types::BlockNumberOrTag::Earliest) => 0,
                    _ => head,
                };
                let (first, last) = (number(from_block), number(to_block));
                if first > last {
                    return Err(RpcError::params("invalid block range params"));
                }
                (first, last)
            }
        };
        self.logs_between(filter, first, last)
    }

    fn logs_between(&self, filter: &types::Filter, first: u64, last: u64) -> Result<Vec<types::Log>, RpcError> {
        let state = self.read();
        let (mut found, mut bytes) = (Vec::new(), 0);
        for block in state.blocks(first, last) {
            if block.mined.is_none() || !filter.matches_bloom(block.header.logs_bloom) {
                continue;
            }
            for log in block.logs().into_iter().filter(|log| filter.matches(&log.inner)) {
                bytes += log.inner.data.data.len();
                found.push(log);
            }
            if found.len() > LOGS_MAX || bytes > LOGS_BYTES_MAX {
                let most = format!("{LOGS_MAX} results or {LOGS_BYTES_MAX} bytes");
                return Err(RpcError::new(-32005, format!("query returned more than {most}: ask for fewer blocks")));
            }
        }
        Ok(found)
    }

    pub(super) fn new_filter(&self, logs: Option<types::Filter>) -> Result<u64, RpcError> {
        if logs.as_ref().is_some_and(|logs| matches!(logs.block_option, FilterBlockOption::AtBlockHash(_))) {
            return Err(RpcError::params("a filter that is polled has no block hash"));
        }
        let next = self.head().0 + 1;
        let mut filters = self.filters();
        filters.next += 1;
        let id = filters.next;
        filters.open.insert(id, Filter { logs, next });
        if filters.open.len() > FILTERS_MAX {
            filters.open.pop_first();
        }
        Ok(id)
    }

    /// What came since the last call: logs, or block hashes.
    pub(super) fn filter_changes(&self, id: u64) -> Result<Value, RpcError> {
        let mut filters = self.filters();
        let filter = filters.open.get_mut(&id).ok_or_else(|| RpcError::refused("filter not found"))?;
        let head = self.head().0;
        // After blocks were undone (development only) the filter goes on behind the new head.
        let first = filter.next.min(head + 1);
        let answer = match &filter.logs {
            Some(logs) => value(self.logs_between(logs, first, head)?)?,
            None => {
                let hashes: Vec<B256> = self.read().blocks(first, head).iter().map(|block| block.hash).collect();
                value(hashes)?
            }
        };
        filter.next = head + 1;
        Ok(answer)
    }

    pub(super) fn filter_logs(&self, id: u64) -> Result<Value, RpcError> {
        let filters = self.filters();
        let filter = filters.open.get(&id).ok_or_else(|| RpcError::refused("filter not found"))?;
        let logs = filter.logs.as_ref().ok_or_else(|| RpcError::refused("filter not found"))?;
        value(self.logs(logs)?)
    }

    pub(super) fn drop_filter(&self, id: u64) -> bool {
        self.filters().open.remove(&id).is_some()
    }
}

/// Gas and output of a run that went through; the revert otherwise.
fn finished(result: ExecutionResult) -> Result<(u64, Bytes), RpcError> {
    let used = evm::gas_used(&result);
    match result {
        ExecutionResult::Success { output, .. } => Ok((used, output.into_data())),
        ExecutionResult::Revert { output, .. } => {
            let message = match decode_revert_reason(&output) {
                Some(reason) => format!("execution reverted: {reason}"),
                None => "execution reverted".to_owned(),
            };
            Err(RpcError { code: 3, message, data: Some(Value::String(output.to_string())) })
        }
        ExecutionResult::Halt { reason: HaltReason::OutOfGas(_), .. } => {
            Err(RpcError::refused(format!("out of gas: {used} were not enough")))
        }
        ExecutionResult::Halt { reason, .. } => Err(RpcError::refused(format!("execution halted: {reason:?}"))),
    }
}
