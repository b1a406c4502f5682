//! Looking for what became of a transaction: a receipt under any of its hashes, or a nonce that somebody else used.

use std::time::Duration;

use alloy::consensus::Transaction as _;
use alloy::eips::{BlockId, BlockNumberOrTag};
use alloy::primitives::{B256, Bytes, Log};
use alloy::providers::Provider as _;
use alloy::rpc::types::{Header, TransactionReceipt, TransactionRequest};
use alloy::transports::RpcError;

use super::{Driver, Spent};
use crate::revert;
use crate::tx::{BlockRef, ChainHash, MinedTx, QueueError, Revert, TxOutcome, to_alloy, to_model};

/// Looks at a spent nonce without a receipt under any known hash before the intent is given up as lost, on the chain in
/// this process: it has one word only.
const LOST_AFTER_LOOKS: u32 = 3;
/// The same on a chain elsewhere, once the nonce is spent at the final block: the endpoints behind one address do not all
/// stand at the same block, and what is lost is never sent again.
const LOST_AFTER: Duration = Duration::from_secs(5 * 60);
/// The same where an endpoint does not tell the nonce at the final block.
const LOST_AFTER_UNFINAL: Duration = Duration::from_secs(60 * 60);

fn logs(receipt: &TransactionReceipt) -> Vec<Log> {
    receipt.inner.logs().iter().map(|log| log.inner.clone()).collect()
}

/// How a receipt's block stands.
enum Depth {
    Shallow,
    Final,
    /// Another block is in its place.
    Undone,
}

/// How a transaction ends that is run again.
enum Run {
    Through,
    Reverted(Bytes),
    Unanswered,
}

impl Driver {
    /// Looks for a receipt under every known hash of a nonce; true once the intent is over.
    pub(super) async fn look(&mut self, nonce: u64) -> Result<bool, QueueError> {
        let Some(pending) = self.pending.get(&nonce) else { return Ok(true) };
        let mut undone = false;
        let hashes: Vec<B256> = pending.attempts.iter().rev().map(|attempt| *attempt.tx_hash()).collect();
        for hash in hashes {
            let receipt = self.client.provider().get_transaction_receipt(hash).await;
            let Some(receipt) = receipt.map_err(QueueError::from_question)? else { continue };
            match self.depth(&receipt).await? {
                Depth::Final => {}
                Depth::Shallow => return Ok(false),
                Depth::Undone => {
                    undone = true;
                    continue;
                }
            }
            let outcome = self.read(nonce, receipt).await;
            self.finish(nonce, outcome).await?;
            return Ok(true);
        }
        // An endpoint that tells of a block that is gone is no witness of a loss.
        if undone { Ok(false) } else { self.look_for_loss(nonce).await }
    }

    /// A spent nonce without any receipt of ours: given up only when no lagging endpoint can be the reason.
    async fn look_for_loss(&mut self, nonce: u64) -> Result<bool, QueueError> {
        let key = to_alloy(self.signer.address());
        let count = self.client.provider().get_transaction_count(key).await.map_err(QueueError::from_question)?;
        let at_final = match count > nonce && !self.client.is_embedded() {
            true => self.final_count().await?,
            false => None,
        };
        let (embedded, now) = (self.client.is_embedded(), self.clock.elapsed());
        let Some(pending) = self.pending.get_mut(&nonce) else { return Ok(true) };
        if count <= nonce {
            pending.spent = Spent::default();
            return Ok(false);
        }
        let spent = &mut pending.spent;
        spent.looks += 1;
        let newest_since = *spent.newest_since.get_or_insert(now);
        let is_lost = match at_final {
            _ if embedded => spent.looks >= LOST_AFTER_LOOKS,
            Some(count) if count > nonce => now.saturating_sub(*spent.final_since.get_or_insert(now)) >= LOST_AFTER,
            Some(_) => {
                spent.final_since = None;
                false
            }
            None => now.saturating_sub(newest_since) >= LOST_AFTER_UNFINAL,
        };
        if is_lost {
            self.finish(nonce, TxOutcome::Lost).await?;
        }
        Ok(is_lost)
    }

    /// The key's nonce at the chain's final block; `None` where the endpoint does not tell it.
    async fn final_count(&self) -> Result<Option<u64>, QueueError> {
        let key = to_alloy(self.signer.address());
        match self.client.provider().get_transaction_count(key).block_id(BlockId::finalized()).await {
            Ok(count) => Ok(Some(count)),
            Err(RpcError::ErrorResp(_)) => Ok(None),
            Err(error) => Err(QueueError::from_question(error)),
        }
    }

    /// Whether enough blocks stand on top of it, or the chain says that it is final.
    async fn depth(&self, receipt: &TransactionReceipt) -> Result<Depth, QueueError> {
        if self.options.confirmations == 0 {
            return Ok(Depth::Final);
        }
        let Some(number) = receipt.block_number else { return Ok(Depth::Shallow) };
        let head = self.client.provider().get_block_number().await.map_err(QueueError::from_question)?;
        if head < number + self.options.confirmations {
            // A chain without load mines nothing on top of a block, and may call it final all the same.
            let last = self.header(BlockNumberOrTag::Finalized).await?;
            if last.is_none_or(|last| last.number < number) {
                return Ok(Depth::Shallow);
            }
        }
        // A reorganisation may have come since the receipt was told, or another endpoint have told it.
        let now = self.header(BlockNumberOrTag::Number(number)).await?;
        Ok(match now {
            None => Depth::Shallow,
            Some(now) if Some(now.hash) == receipt.block_hash => Depth::Final,
            Some(_) => Depth::Undone,
        })
    }

    async fn header(&self, block: BlockNumberOrTag) -> Result<Option<Header>, QueueError> {
        let block = self.client.provider().get_block_by_number(block).await;
        Ok(block.map_err(QueueError::from_question)?.map(|block| block.header))
    }

    /// An outcome with what its contracts said, which the chain is asked for where it was let go.
    pub(super) async fn whole(&self, mut outcome: TxOutcome) -> Result<TxOutcome, QueueError> {
        if let TxOutcome::Mined(tx) = &mut outcome
            && tx.logs.is_none()
        {
            let receipt = self.client.provider().get_transaction_receipt(B256::from(tx.hash.0)).await;
            let receipt = receipt.map_err(QueueError::from_question)?;
            let receipt =
                receipt.ok_or_else(|| QueueError::Unreachable(format!("it has no receipt of {}", tx.hash)))?;
            tx.logs = Some(logs(&receipt));
        }
        Ok(outcome)
    }

    async fn read(&self, nonce: u64, receipt: TransactionReceipt) -> TxOutcome {
        let block = BlockRef {
            number: receipt.block_number.unwrap_or_default(),
            hash: ChainHash(receipt.block_hash.unwrap_or_default().0),
        };
        let mined = MinedTx {
            hash: ChainHash(receipt.transaction_hash.0),
            block,
            gas_used: receipt.gas_used,
            created: receipt.contract_address.map(to_model),
            logs: Some(logs(&receipt)),
        };
        if receipt.inner.status() {
            return TxOutcome::Mined(mined);
        }
        let reason = self.reason(nonce, mined.gas_used).await;
        TxOutcome::Reverted { tx: mined, reason }
    }

    /// Runs a reverted transaction again to hear why: with the gas that it had, and with more, since to lack it is a
    /// reason that no contract can tell.
    async fn reason(&self, nonce: u64, gas_used: u64) -> Revert {
        let attempt = self.pending.get(&nonce).and_then(|pending| pending.attempts.last());
        let Some(attempt) = attempt else { return revert::decode(&[]) };
        let mut request = TransactionRequest::default().from(to_alloy(self.signer.address()));
        request.to = Some(attempt.kind());
        request.value = Some(attempt.value());
        request.input = attempt.input().clone().into();
        let gas_limit = attempt.gas_limit();
        request.gas = Some(gas_limit);
        let told = self.run_again(request.clone()).await;
        if let Run::Reverted(data) = &told
            && !data.is_empty()
        {
            return revert::decode(data);
        }
        request.gas = None;
        match self.run_again(request).await {
            Run::Through if matches!(told, Run::Reverted(_)) || gas_used >= gas_limit => revert::out_of_gas(gas_limit),
            Run::Reverted(data) => revert::decode(&data),
            Run::Through | Run::Unanswered => revert::decode(&[]),
        }
    }

    async fn run_again(&self, request: TransactionRequest) -> Run {
        match self.client.provider().call(request).await {
            Ok(_) => Run::Through,
            Err(RpcError::ErrorResp(payload)) => Run::Reverted(payload.as_revert_data().unwrap_or_default()),
            Err(_) => Run::Unanswered,
        }
    }
}
