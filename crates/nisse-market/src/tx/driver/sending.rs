//! Sending, and sending again: what waits too long, with higher fees where gas has a price, and what a reorganisation
//! took away.

use std::time::Duration;

use alloy::consensus::{TxEip1559, TxEnvelope};
use alloy::eips::eip2718::Encodable2718;
use alloy::primitives::{Bytes, TxKind, U256};
use alloy::providers::Provider as _;
use alloy::transports::{RpcError, TransportError};

use super::{Driver, KEPT_RAW_MAX};
use crate::embedded::UNAVAILABLE;
use crate::tx::fees::Fees;
use crate::tx::{QueueError, to_alloy};

/// The first rest of a transaction that a node has no room for now; it doubles.
const REFUSED_RETRY_FIRST: Duration = Duration::from_millis(250);
/// And the longest.
const REFUSED_RETRY_MAX: Duration = Duration::from_secs(30);

impl Driver {
    /// Sends the newest attempt of a nonce. That the chain knows it already is as good as taking it.
    pub(super) async fn send(&mut self, nonce: u64) {
        let Some(pending) = self.pending.get_mut(&nonce) else { return };
        let Some(attempt) = pending.attempts.last() else { return };
        pending.sent_at = Some(self.clock.elapsed());
        let raw = attempt.encoded_2718();
        let sent = self.client.provider().send_raw_transaction(&raw).await;
        let Some(pending) = self.pending.get_mut(&nonce) else { return };
        pending.refused = match &sent {
            Err(error) if is_unavailable(error) => pending.refused.saturating_add(1),
            _ => 0,
        };
        match sent {
            Ok(_) => {}
            Err(error) if is_known(&error) => {}
            Err(error) => tracing::debug!(nonce, %error, "a transaction was not taken; it is sent again later"),
        }
    }

    /// Looks for every waiting transaction, and sends again what waits too long. False when the look failed.
    pub(in crate::tx) async fn tick(&mut self) -> bool {
        let nonces: Vec<u64> = self.pending.keys().copied().collect();
        for nonce in nonces {
            match self.look(nonce).await {
                Ok(true) => {}
                Ok(false) => self.press(nonce).await,
                Err(error) => {
                    tracing::debug!(nonce, %error, "could not look for a transaction");
                    return false;
                }
            }
        }
        true
    }

    /// Sends a transaction again when its time has come.
    async fn press(&mut self, nonce: u64) {
        let now = self.clock.elapsed();
        let Some(pending) = self.pending.get(&nonce) else { return };
        let wait = match pending.refused {
            0 => self.options.resend_after,
            refused => {
                let doubled = 1u32.checked_shl(refused - 1).and_then(|times| REFUSED_RETRY_FIRST.checked_mul(times));
                doubled.unwrap_or(REFUSED_RETRY_MAX).min(REFUSED_RETRY_MAX)
            }
        };
        let due = pending.sent_at.is_none_or(|sent| now.saturating_sub(sent) >= wait);
        if !due {
            return;
        }
        // What was never taken is not outbid.
        let first = pending.sent_at.is_none() || pending.refused > 0;
        if let Err(error) = self.fill_gap().await {
            tracing::debug!(nonce, %error, "could not fill the nonces below a waiting transaction");
        }
        if !first && let Err(error) = self.bump(nonce).await {
            tracing::debug!(nonce, %error, "could not raise a transaction's fees");
        }
        self.send(nonce).await;
    }

    /// Journals an attempt with higher fees, where gas has a price and the cap allows it.
    async fn bump(&mut self, nonce: u64) -> Result<(), QueueError> {
        let Some(pending) = self.pending.get(&nonce) else { return Ok(()) };
        let Some(TxEnvelope::Eip1559(last)) = pending.attempts.last() else { return Ok(()) };
        let (intent, tx) = (pending.intent.clone(), last.tx().clone());
        let cap = self.options.fee_per_gas_max;
        let offered = Fees { tip: tx.max_priority_fee_per_gas, max: tx.max_fee_per_gas };
        let current = Fees::current(self.client.provider(), cap).await.map_err(QueueError::from_question)?;
        let Some(fees) = offered.bumped(current, cap) else { return Ok(()) };
        let tx = TxEip1559 { max_fee_per_gas: fees.max, max_priority_fee_per_gas: fees.tip, ..tx };
        self.attempt(intent, tx).await
    }

    /// Nonces below the lowest waiting one that the chain does not have (a reorganisation took them): the same
    /// transactions are sent again; a nonce of which nothing is known is filled with a transfer of nothing to oneself.
    async fn fill_gap(&mut self) -> Result<(), QueueError> {
        let Some((&lowest, _)) = self.pending.first_key_value() else { return Ok(()) };
        let key = to_alloy(self.signer.address());
        let chain = self.client.provider().get_transaction_count(key).await.map_err(QueueError::from_question)?;
        for nonce in (chain..lowest).take(KEPT_RAW_MAX) {
            if let Some((_, raw)) = self.kept.iter().find(|(kept, _)| *kept == nonce) {
                let sent = self.client.provider().send_raw_transaction(raw).await;
                tracing::info!(nonce, again = sent.is_ok(), "a mined transaction had left the chain");
                continue;
            }
            let fees = Fees::current(self.client.provider(), self.options.fee_per_gas_max).await;
            let fees = fees.map_err(QueueError::from_question)?;
            let filler = TxEip1559 {
                chain_id: self.options.chain_id,
                nonce,
                gas_limit: 21_000,
                max_fee_per_gas: fees.max,
                max_priority_fee_per_gas: fees.tip,
                to: TxKind::Call(key),
                value: U256::ZERO,
                access_list: Default::default(),
                input: Bytes::new(),
            };
            tracing::warn!(nonce, "filling a nonce that nothing is known of");
            self.attempt(String::new(), filler).await?;
            self.send(nonce).await;
        }
        Ok(())
    }
}

/// Whether a node says that another try may go through, as the embedded chain does while its disk is full.
fn is_unavailable(error: &TransportError) -> bool {
    matches!(error, RpcError::ErrorResp(payload) if payload.code == UNAVAILABLE)
}

/// Whether a node says that it has this very transaction.
fn is_known(error: &TransportError) -> bool {
    let RpcError::ErrorResp(payload) = error else { return false };
    let text = payload.message.to_lowercase();
    ["already known", "known transaction", "already imported", "already exists"]
        .iter()
        .any(|known| text.contains(known))
}
