//! The JSON-RPC methods of the embedded chain, one `match`.
//!
//! Only the newest state is kept: a call at an older block is refused, never answered with the wrong state. The tags
//! latest, pending, safe and finalized are the same block, since a block here is final once it exists; on a development
//! chain, whose blocks can be undone, only those are final that no call can undo.

use alloy::eips::{BlockId, BlockNumberOrTag, RpcBlockHash};
use alloy::primitives::{Address, B256, Bytes, U64, U256};
use alloy::rpc::types::{Filter, TransactionRequest};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use super::EmbeddedChain;
use super::budget::Budget;

/// Blocks that one `eth_feeHistory` answer covers.
const FEE_HISTORY_BLOCKS_MAX: u64 = 1_024;
/// Percentiles that it takes, as other nodes do.
const FEE_HISTORY_PERCENTILES_MAX: usize = 100;

/// The code of an error that may be gone at another try (EIP-1474: resource unavailable).
pub(crate) const UNAVAILABLE: i64 = -32002;

/// A JSON-RPC error object.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[error("{message}")]
pub struct RpcError {
    /// -32700 to -32600 as JSON-RPC defines them, -32000 for a refusal, -32002 for what another try may bring, 3 for a
    /// revert.
    pub code: i64,
    /// What went wrong, in the words that other Ethereum nodes use.
    pub message: String,
    /// A revert's data as a hexadecimal string.
    pub data: Option<Value>,
}

impl RpcError {
    pub(super) fn new(code: i64, message: impl Into<String>) -> Self {
        Self { code, message: message.into(), data: None }
    }

    pub(super) fn refused(message: impl Into<String>) -> Self {
        Self::new(-32000, message)
    }

    pub(super) fn unavailable(message: impl Into<String>) -> Self {
        Self::new(UNAVAILABLE, message)
    }

    pub(super) fn internal(message: impl Into<String>) -> Self {
        Self::new(-32603, message)
    }

    pub(super) fn params(message: impl Into<String>) -> Self {
        Self::new(-32602, message)
    }
}

type Answer = Result<Value, RpcError>;

impl EmbeddedChain {
    /// Answers one call. Blocks for an fsync when the call sends a transaction.
    pub fn handle(&self, method: &str, params: &Value) -> Result<Value, RpcError> {
        self.handle_within(method, params, &mut Budget::unlimited())
    }

    pub(super) fn handle_within(&self, method: &str, params: &Value, budget: &mut Budget) -> Result<Value, RpcError> {
        let params = &Params::new(params)?;
        match method {
            "web3_clientVersion" => Ok(json!(concat!("nisse/", env!("CARGO_PKG_VERSION")))),
            "net_version" => Ok(json!(self.chain_id().to_string())),
            "eth_chainId" => quantity(self.chain_id()),
            "eth_syncing" => Ok(json!(false)),
            "eth_accounts" => Ok(json!([])),
            "eth_blockNumber" => quantity(self.head().0),
            "eth_gasPrice" | "eth_maxPriorityFeePerGas" => quantity(0),
            "eth_feeHistory" => self.fee_history(params),
            "eth_getBalance" => self.account(params, 1, |chain, address| value(chain.balance(address))),
            "eth_getTransactionCount" => self.account(params, 1, |chain, address| quantity(chain.nonce(address))),
            "eth_getCode" => self.account(params, 1, |chain, address| value(chain.code(address))),
            "eth_getStorageAt" => {
                let slot: U256 = params.get(1, "a storage slot")?;
                self.account(params, 2, |chain, address| value(B256::from(chain.storage(address, slot))))
            }
            "eth_call" => {
                self.check_call(params)?;
                value(self.call(&params.get(0, "a call")?, budget)?)
            }
            "eth_estimateGas" => {
                self.check_call(params)?;
                quantity(self.estimate_gas(&params.get::<TransactionRequest>(0, "a call")?, budget)?)
            }
            "eth_sendRawTransaction" => value(self.send_raw(&params.get::<Bytes>(0, "a signed transaction")?)?),
            "eth_getTransactionByHash" => {
                let block = self.read().block_of_transaction(params.get(0, "a transaction hash")?).cloned();
                value(block.and_then(|block| block.rpc_transaction()))
            }
            "eth_getTransactionReceipt" => {
                let block = self.read().block_of_transaction(params.get(0, "a transaction hash")?).cloned();
                value(block.and_then(|block| block.rpc_receipt()))
            }
            "eth_getBlockReceipts" => {
                let block = self.find(params.get(0, "a block")?);
                value(block.map(|block| block.rpc_receipt().into_iter().collect::<Vec<_>>()))
            }
            "eth_getBlockByNumber" => {
                let tag: BlockNumberOrTag = params.get(0, "a block number or tag")?;
                let full = params.optional(1, "true or false")?.unwrap_or(false);
                value(self.find(tag.into()).map(|block| block.rpc_block(full)))
            }
            "eth_getBlockByHash" => {
                let hash: B256 = params.get(0, "a block hash")?;
                let full = params.optional(1, "true or false")?.unwrap_or(false);
                value(self.read().block_by_hash(hash).map(|block| block.rpc_block(full)))
            }
            "eth_getLogs" => value(self.logs(&params.get::<Filter>(0, "a filter")?)?),
            "eth_newFilter" => quantity(self.new_filter(Some(params.get::<Filter>(0, "a filter")?))?),
            "eth_newBlockFilter" => quantity(self.new_filter(None)?),
            "eth_getFilterChanges" => self.filter_changes(params.get::<U64>(0, "a filter id")?.to()),
            "eth_getFilterLogs" => self.filter_logs(params.get::<U64>(0, "a filter id")?.to()),
            "eth_uninstallFilter" => Ok(json!(self.drop_filter(params.get::<U64>(0, "a filter id")?.to()))),
            _ if self.inner.dev && method.starts_with("nisse_") => self.handle_dev(method, params),
            _ => Err(unknown_method(method)),
        }
    }

    fn account(&self, params: &Params<'_>, block: usize, read: impl Fn(&Self, Address) -> Answer) -> Answer {
        let address = params.get(0, "an address")?;
        self.check_newest(params, block)?;
        read(self, address)
    }

    fn check_call(&self, params: &Params<'_>) -> Result<(), RpcError> {
        self.check_newest(params, 1)?;
        for overrides in 2..4 {
            if params.optional::<Value>(overrides, "an override")?.is_some() {
                return Err(RpcError::params("state and block overrides are not supported"));
            }
        }
        Ok(())
    }

    /// Refuses a block other than the newest.
    fn check_newest(&self, params: &Params<'_>, index: usize) -> Result<(), RpcError> {
        let Some(id) = params.optional::<BlockId>(index, "a block")? else { return Ok(()) };
        let head = self.head().0;
        match self.find(id) {
            Some(block) if block.number() == head => Ok(()),
            Some(block) => {
                Err(RpcError::refused(format!("state of block {} is not kept: only the newest is", block.number())))
            }
            None => Err(RpcError::refused("header not found")),
        }
    }

    pub(super) fn find(&self, id: BlockId) -> Option<std::sync::Arc<super::block::Block>> {
        let state = self.read();
        let found = match id {
            BlockId::Hash(RpcBlockHash { block_hash, .. }) => state.block_by_hash(block_hash),
            BlockId::Number(BlockNumberOrTag::Number(number)) => state.block(number),
            BlockId::Number(BlockNumberOrTag::Earliest) => state.block(0),
            BlockId::Number(BlockNumberOrTag::Finalized) if self.inner.dev => {
                state.block(state.head().number().saturating_sub(super::dev::BLOCKS_MAX))
            }
            BlockId::Number(_) => Some(state.head()),
        };
        found.cloned()
    }

    fn fee_history(&self, params: &Params<'_>) -> Answer {
        let count = params.get::<U64>(0, "a number of blocks")?.to::<u64>().min(FEE_HISTORY_BLOCKS_MAX);
        let newest = self.find(params.get::<BlockNumberOrTag>(1, "a block")?.into());
        let newest = newest.ok_or_else(|| RpcError::refused("header not found"))?.number();
        let percentiles: Vec<f64> = params.optional(2, "percentiles")?.unwrap_or_default();
        if percentiles.len() > FEE_HISTORY_PERCENTILES_MAX {
            return Err(RpcError::params(format!("at most {FEE_HISTORY_PERCENTILES_MAX} percentiles are taken")));
        }
        let first = (newest + 1).saturating_sub(count);
        let state = self.read();
        let ratio = |block: &super::block::Block| block.header.gas_used as f64 / block.header.gas_limit as f64;
        let ratios: Vec<f64> = state.blocks(first, newest).iter().map(|block| ratio(block)).collect();
        Ok(json!({
            "oldestBlock": U64::from(first),
            "baseFeePerGas": vec!["0x0"; ratios.len() + 1],
            "baseFeePerBlobGas": vec!["0x1"; ratios.len() + 1],
            "blobGasUsedRatio": vec![0.0; ratios.len()],
            "reward": vec![vec!["0x0"; percentiles.len()]; ratios.len()],
            "gasUsedRatio": ratios,
        }))
    }
}

pub(super) fn unknown_method(method: &str) -> RpcError {
    let method: String = method.chars().take(60).collect();
    RpcError::new(-32601, format!("the method {method} does not exist/is not available"))
}

/// A call's parameters by position.
pub(super) struct Params<'a>(&'a [Value]);

impl<'a> Params<'a> {
    fn new(params: &'a Value) -> Result<Self, RpcError> {
        match params {
            Value::Array(list) => Ok(Self(list)),
            Value::Null => Ok(Self(&[])),
            _ => Err(RpcError::params("parameters are a list")),
        }
    }

    pub(super) fn get<T: DeserializeOwned>(&self, index: usize, expected: &str) -> Result<T, RpcError> {
        self.optional(index, expected)?
            .ok_or_else(|| RpcError::params(format!("missing value for required argument {index}: {expected}")))
    }

    pub(super) fn optional<T: DeserializeOwned>(&self, index: usize, expected: &str) -> Result<Option<T>, RpcError> {
        match self.0.get(index) {
            None | Some(Value::Null) => Ok(None),
            Some(value) => T::deserialize(value)
                .map(Some)
                .map_err(|error| RpcError::params(format!("invalid argument {index}: expected {expected}: {error}"))),
        }
    }
}

pub(super) fn quantity(number: u64) -> Answer {
    value(U64::from(number))
}

pub(super) fn value(content: impl serde::Serialize) -> Answer {
    serde_json::to_value(content).map_err(|error| RpcError::internal(error.to_string()))
}
