//! A copy of an embedded chain in memory, for simulated worlds: real contracts and the real EVM, without what has tests of
//! its own. It takes anybody's writes unsigned, several in a block, writes no disk, and undoes its newest blocks.

use std::collections::HashMap;
use std::sync::Arc;

use alloy::primitives::{Address, Bytes, Log, TxKind, U256};
use revm::DatabaseCommit;
use revm::DatabaseRef;
use revm::context::TxEnv;
use revm::context::result::{ExecutionResult, ResultAndState};
use revm::state::{AccountInfo, EvmState};

use super::EmbeddedChain;
use super::block::{BLOCK_GAS_MAX, Block};
use super::evm::{self, Database, EvmError, Run};

/// A chain that forgets when it is dropped.
#[derive(Debug, Clone)]
pub(crate) struct ChainCopy {
    chain_id: u64,
    database: Database,
    /// The block that was copied, and those that were made on it.
    blocks: Vec<Arc<Block>>,
    /// What each block made here found, newest last.
    found: Vec<Vec<Found>>,
}

/// An account as it was before a transaction.
#[derive(Debug, Clone)]
struct Found {
    address: Address,
    info: AccountInfo,
    slots: HashMap<U256, U256>,
}

/// What a transaction of a block came to.
pub(crate) enum Ran {
    /// It is in the block.
    Done(Vec<Log>),
    /// It is in the block and changed nothing but its sender's nonce.
    Reverted(Bytes),
    /// It is in no block: its nonce is not the sender's next.
    NotNext,
}

impl EmbeddedChain {
    /// The chain as it is now, to be gone on with apart from it.
    pub(crate) fn copy(&self) -> ChainCopy {
        let state = self.read();
        let blocks = vec![Arc::clone(state.head())];
        ChainCopy { chain_id: state.chain_id, database: state.database.clone(), blocks, found: Vec::new() }
    }
}

impl ChainCopy {
    pub(crate) fn head(&self) -> &Block {
        self.blocks.last().expect("a copy has the block that was copied")
    }

    /// The next nonce of an account.
    pub(crate) fn nonce(&self, address: Address) -> u64 {
        let Ok(info) = self.database.basic_ref(address);
        info.map_or(0, |info| info.nonce)
    }

    /// A block of these calls on top of the head: from whom, with which nonce, to whom, what.
    pub(crate) fn seal(&mut self, time: u64, calls: Vec<(Address, u64, Address, Bytes)>) -> Vec<Ran> {
        self.found.push(Vec::new());
        let ran = calls.into_iter().map(|(from, nonce, to, data)| {
            let tx = TxEnv {
                caller: from,
                gas_limit: BLOCK_GAS_MAX,
                kind: TxKind::Call(to),
                data,
                nonce,
                chain_id: Some(self.chain_id),
                ..TxEnv::default()
            };
            let Ok(ResultAndState { result, state }) = self.run(time, tx, Run::Transaction) else {
                return Ran::NotNext;
            };
            self.commit(state);
            match result {
                ExecutionResult::Success { logs, .. } => Ran::Done(logs),
                ExecutionResult::Revert { output, .. } => Ran::Reverted(output),
                ExecutionResult::Halt { .. } => Ran::Reverted(Bytes::new()),
            }
        });
        let ran = ran.collect();
        let block = Block::next(self.head(), time, None);
        evm::remember_block_hash(&mut self.database, block.number(), block.hash);
        self.blocks.push(Arc::new(block));
        ran
    }

    /// Undoes the newest blocks. What was copied stays.
    pub(crate) fn undo(&mut self, depth: usize) {
        for _ in 0..depth.min(self.found.len()) {
            self.blocks.pop();
            for found in self.found.pop().unwrap_or_default().into_iter().rev() {
                let account = self.database.cache.accounts.entry(found.address).or_default();
                account.info = found.info;
                account.storage.extend(found.slots);
            }
        }
    }

    /// A call as it would come out at this time.
    pub(crate) fn call(&self, time: u64, from: Address, to: Address, data: Bytes) -> Result<Bytes, Bytes> {
        let tx = TxEnv {
            caller: from,
            gas_limit: BLOCK_GAS_MAX,
            kind: TxKind::Call(to),
            data,
            nonce: self.nonce(from),
            chain_id: Some(self.chain_id),
            ..TxEnv::default()
        };
        match self.run(time, tx, Run::Call).map(|ran| ran.result) {
            Ok(ExecutionResult::Success { output, .. }) => Ok(output.into_data()),
            Ok(ExecutionResult::Revert { output, .. }) => Err(output),
            Ok(ExecutionResult::Halt { .. }) | Err(_) => Err(Bytes::new()),
        }
    }

    fn run(&self, time: u64, tx: TxEnv, run: Run) -> Result<ResultAndState, EvmError> {
        evm::run(&self.database, self.chain_id, evm::block_env(self.head(), time), tx, run)
    }

    fn commit(&mut self, state: EvmState) {
        let touched = state.iter().filter(|(_, account)| account.is_touched());
        let found: Vec<_> = touched
            .map(|(address, account)| {
                let Ok(info) = self.database.basic_ref(*address);
                let changed = account.storage.iter().filter(|(_, slot)| slot.is_changed());
                let slots = changed.map(|(key, slot)| (*key, slot.original_value())).collect();
                Found { address: *address, info: info.unwrap_or_default(), slots }
            })
            .collect();
        self.found.last_mut().expect("a block is being made").extend(found);
        self.database.commit(state);
    }
}
