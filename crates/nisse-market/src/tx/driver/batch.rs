//! Several intents that stand together or not at all: one record of the journal holds all of them, signed.
//!
//! A crash, and another program after it, can thus never leave a part of them and add other parts later.

use alloy::consensus::TxEip1559;
use alloy::eips::eip2718::Encodable2718;
use alloy::primitives::{TxKind, U256};

use super::{Driver, IN_FLIGHT_MAX};
use crate::tx::fees::Fees;
use crate::tx::queue::Batch;
use crate::tx::record::{Record, Signed};
use crate::tx::{QueueError, to_alloy};

/// Gas that each of them may burn: what a later one needs cannot be asked before an earlier one is mined. No chain may
/// refuse one transaction so much (EIP-7825 caps one at 2^24).
const GAS_EACH: u64 = 15_000_000;

impl Driver {
    /// Takes all intents of a batch, unless it is known already: then it goes on as it was journalled, whatever this
    /// program would make of it.
    pub(in crate::tx) async fn submit_batch(&mut self, batch: Batch) -> Result<(), QueueError> {
        let unknown: Vec<&String> = batch.names.iter().filter(|name| !self.intents.contains_key(*name)).collect();
        if unknown.is_empty() {
            return Ok(());
        }
        if unknown.len() < batch.names.len() {
            let unknown: Vec<&str> = unknown.into_iter().map(String::as_str).collect();
            return Err(QueueError::HalfKnown(unknown.join(", ")));
        }
        debug_assert!(batch.names.len() <= IN_FLIGHT_MAX, "a batch that never has room");
        self.make_room(batch.names.len()).await?;
        let first = self.check_chain().await?;
        let intents = (batch.make)(first);
        assert_eq!(intents.len(), batch.names.len(), "each intent has a name");
        let fees = Fees::current(self.client.provider(), self.options.fee_per_gas_max).await;
        let fees = fees.map_err(QueueError::from_question)?;
        let value = intents.iter().fold(U256::ZERO, |sum, intent| sum.saturating_add(intent.value));
        self.check_funds(value, GAS_EACH.saturating_mul(intents.len() as u64), fees).await?;
        let mut envelopes = Vec::new();
        for (nonce, intent) in (first..).zip(intents) {
            let tx = TxEip1559 {
                chain_id: self.options.chain_id,
                nonce,
                gas_limit: GAS_EACH,
                max_fee_per_gas: fees.max,
                max_priority_fee_per_gas: fees.tip,
                to: intent.to.map_or(TxKind::Create, |to| TxKind::Call(to_alloy(to))),
                value: intent.value,
                access_list: Default::default(),
                input: intent.data,
            };
            envelopes.push(self.sign(tx).await?);
        }
        let signed = (first..).zip(&batch.names).zip(&envelopes);
        let signed = signed.map(|((nonce, intent), envelope)| Signed {
            intent: intent.clone(),
            nonce,
            raw: envelope.encoded_2718().into(),
        });
        let record = Record::Batch(signed.collect());
        self.journal.append(&record.encode())?.durable().await?;
        for ((nonce, name), envelope) in (first..).zip(batch.names).zip(envelopes) {
            self.enter(name, nonce, envelope, None);
            self.send_first(nonce).await;
        }
        Ok(())
    }
}
