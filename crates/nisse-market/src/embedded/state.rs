//! Everything that the embedded chain knows at one moment: accounts, and the canonical blocks with their indexes.

use std::collections::HashMap;
use std::sync::Arc;

use alloy::primitives::B256;
use revm::DatabaseCommit;
use revm::state::{AccountInfo, EvmState};

use super::block::{Block, Mined};
use super::evm::{self, Database, EvmError, Run};
use super::record::{BlockRecord, GenesisRecord};

/// The chain up to its head.
#[derive(Debug)]
pub(crate) struct State {
    pub(crate) chain_id: u64,
    pub(crate) database: Database,
    blocks: Vec<Arc<Block>>,
    by_hash: HashMap<B256, u64>,
    by_transaction: HashMap<B256, u64>,
    transactions: u64,
}

impl State {
    /// The chain at its birth.
    pub(crate) fn genesis(genesis: &GenesisRecord) -> Self {
        let mut state = Self {
            chain_id: genesis.chain_id,
            database: Database::default(),
            blocks: Vec::new(),
            by_hash: HashMap::new(),
            by_transaction: HashMap::new(),
            transactions: 0,
        };
        for (address, wei) in &genesis.allocations {
            state.database.insert_account_info(*address, AccountInfo { balance: *wei, ..AccountInfo::default() });
        }
        state.push(genesis.block());
        state
    }

    pub(crate) fn head(&self) -> &Arc<Block> {
        self.blocks.last().expect("a chain has its first block")
    }

    pub(crate) fn block(&self, number: u64) -> Option<&Arc<Block>> {
        self.blocks.get(usize::try_from(number).ok()?)
    }

    pub(crate) fn block_by_hash(&self, hash: B256) -> Option<&Arc<Block>> {
        self.block(*self.by_hash.get(&hash)?)
    }

    pub(crate) fn block_of_transaction(&self, hash: B256) -> Option<&Arc<Block>> {
        self.block(*self.by_transaction.get(&hash)?)
    }

    /// Blocks from `first` to `last`, both included.
    pub(crate) fn blocks(&self, first: u64, last: u64) -> &[Arc<Block>] {
        let end = usize::try_from(last).map_or(self.blocks.len(), |last| self.blocks.len().min(last.saturating_add(1)));
        let start = usize::try_from(first).unwrap_or(usize::MAX).min(end);
        &self.blocks[start..end]
    }

    /// Transactions mined since genesis.
    pub(crate) fn transactions(&self) -> u64 {
        self.transactions
    }

    /// Runs a signed transaction on top of the head: the block that it makes, and the changes to commit with it.
    pub(crate) fn execute(&self, mined: Unmined, timestamp: u64) -> Result<(Block, EvmState), EvmError> {
        let head = self.head();
        let tx = evm::signed_env(&mined.envelope, mined.sender);
        let done = evm::run(&self.database, self.chain_id, evm::block_env(head, timestamp), tx, Run::Transaction)?;
        let mined = Mined {
            envelope: mined.envelope,
            sender: mined.sender,
            success: done.result.is_success(),
            gas_used: evm::gas_used(&done.result),
            logs: if done.result.is_success() { done.result.into_logs() } else { Vec::new() },
        };
        Ok((Block::next(head, timestamp, Some(mined)), done.state))
    }

    /// Makes an executed block the head.
    pub(crate) fn commit(&mut self, block: Block, changes: EvmState) {
        self.database.commit(changes);
        self.push(block);
    }

    /// Runs a logged block again and takes it when it comes out the same. False when it does not.
    pub(crate) fn replay(&mut self, record: BlockRecord) -> bool {
        let (block, changes) = match record.mined {
            None => (Block::next(self.head(), record.timestamp, None), EvmState::default()),
            Some(mined) => {
                let unmined = Unmined { envelope: mined.envelope, sender: mined.sender };
                match self.execute(unmined, record.timestamp) {
                    Ok(done) => done,
                    Err(_) => return false,
                }
            }
        };
        let same = block.hash == record.hash;
        if same {
            self.commit(block, changes);
        }
        same
    }

    /// Takes a logged block that lies before a snapshot: its hash is checked, it is not run. False when it differs.
    pub(crate) fn adopt(&mut self, record: BlockRecord) -> bool {
        let block = Block::next(self.head(), record.timestamp, record.mined);
        let same = block.hash == record.hash;
        if same {
            self.push(block);
        }
        same
    }

    /// Puts a snapshot's accounts under the blocks that were adopted.
    pub(crate) fn adopt_database(&mut self, database: Database) {
        self.database = database;
        let head = self.head().number();
        for block in self.blocks(head.saturating_sub(255), head).to_vec() {
            evm::remember_block_hash(&mut self.database, block.number(), block.hash);
        }
    }

    fn push(&mut self, block: Block) {
        evm::remember_block_hash(&mut self.database, block.number(), block.hash);
        self.by_hash.insert(block.hash, block.number());
        if let Some(mined) = &block.mined {
            self.by_transaction.insert(*mined.envelope.tx_hash(), block.number());
            self.transactions += 1;
        }
        self.blocks.push(Arc::new(block));
    }
}

/// A signed transaction that no block holds yet.
#[derive(Debug, Clone)]
pub(crate) struct Unmined {
    pub(crate) envelope: alloy::consensus::TxEnvelope,
    pub(crate) sender: alloy::primitives::Address,
}
