//! The queue's state and its one task: journal, then send; look for receipts; send again.
//!
//! Every step may be the last one before a crash. What is journalled decides: an intent without a signed attempt was
//! never sent; one with attempts is sent again as the same bytes; one with an outcome is over.

mod batch;
mod compaction;
mod looking;
mod sending;

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use alloy::consensus::{SignableTransaction as _, Transaction as _, TxEip1559, TxEnvelope};
use alloy::eips::BlockId;
use alloy::eips::eip2718::{Decodable2718, Encodable2718};
use alloy::primitives::{B256, Bytes, TxKind, U256, keccak256};
use alloy::providers::Provider as _;
use alloy::rpc::types::TransactionRequest;
use nisse_store::{Clock, Journal};
use tokio::sync::oneshot;

use super::fees::Fees;
use super::record::{Record, Signed, TxRecordError};
use super::{QueueError, TxIntent, TxOutcome, TxQueueOptions, to_alloy, to_model};
use crate::provider::ChainClient;
use crate::signer::Signer;

/// Transactions that wait to be mined at once.
const IN_FLIGHT_MAX: usize = 16;
/// Signed transactions kept after their end, to fill a gap that a reorganisation tore.
const KEPT_RAW_MAX: usize = 64;
/// Spare gas on top of the estimate, in percent: what time may add to a call between estimate and block.
const GAS_SPARE_PERCENT: u64 = 25;
/// And in gas: three words that are written for the first time when a second has passed in between, as the first one that
/// is owed for a lease.
const GAS_SPARE: u64 = 70_000;
/// Gas that no transaction is given more of.
const GAS_MAX: u64 = 30_000_000;

type Waiter = oneshot::Sender<Result<TxOutcome, QueueError>>;

pub(super) struct Driver {
    journal: Journal,
    clock: Arc<dyn Clock>,
    client: ChainClient,
    signer: Arc<dyn Signer>,
    options: TxQueueOptions,
    /// The next nonce by the journal; `None` until the key was adopted.
    next_nonce: Option<u64>,
    /// Whether the chain was found to be the configured one, with no foreign transactions.
    checked: bool,
    intents: HashMap<String, Intent>,
    pending: BTreeMap<u64, Pending>,
    kept: VecDeque<(u64, Bytes)>,
    /// Intents that are over and whose logs are held, oldest first.
    with_logs: VecDeque<String>,
    /// Outcomes that were journalled since the journal was last written anew.
    outcomes: usize,
    waiters: HashMap<String, Vec<Waiter>>,
}

/// An intent that was journalled.
struct Intent {
    content: B256,
    outcome: Option<TxOutcome>,
}

/// A nonce that waits to be mined.
struct Pending {
    /// Empty for a filler.
    intent: String,
    /// Every attempt, oldest first; any of them may be the one that is mined.
    attempts: Vec<TxEnvelope>,
    /// When the newest attempt went out; `None` since a restart.
    sent_at: Option<Duration>,
    /// How often in a row a node had no room for it.
    refused: u32,
    /// How its nonce looks while no receipt is found.
    spent: Spent,
}

/// A nonce that is spent on the chain, and no receipt says by what.
#[derive(Default)]
struct Spent {
    looks: u32,
    /// Since when it is seen so at the newest block, and at the final one.
    newest_since: Option<Duration>,
    final_since: Option<Duration>,
}

impl Driver {
    pub(super) fn new(
        journal: Journal,
        clock: Arc<dyn Clock>,
        client: ChainClient,
        signer: Arc<dyn Signer>,
        options: TxQueueOptions,
        records: Vec<Record>,
    ) -> Result<Self, QueueError> {
        let mut driver = Self {
            journal,
            clock,
            client,
            signer,
            options,
            next_nonce: None,
            checked: false,
            intents: HashMap::new(),
            pending: BTreeMap::new(),
            kept: VecDeque::new(),
            with_logs: VecDeque::new(),
            outcomes: 0,
            waiters: HashMap::new(),
        };
        for record in records {
            driver.recover(record)?;
        }
        Ok(driver)
    }

    fn recover(&mut self, record: Record) -> Result<(), QueueError> {
        match record {
            Record::Adopted { chain_id, key, nonce } => {
                if chain_id != self.options.chain_id || key != self.signer.address() {
                    return Err(QueueError::OtherJournal { key, chain: chain_id });
                }
                // The journal says it again when it is written anew.
                self.next_nonce = Some(self.next_nonce.unwrap_or(0).max(nonce));
            }
            Record::Signed(signed) => self.recover_signed(signed)?,
            Record::Batch(batch) => {
                for signed in batch {
                    self.recover_signed(signed)?;
                }
            }
            Record::Done { intent, nonce, outcome } => self.leave(&intent, nonce, outcome),
            Record::Known { intent, content, outcome } => self.know(intent, content, outcome),
            Record::Kept { nonce, raw } => self.keep(nonce, raw),
        }
        Ok(())
    }

    fn recover_signed(&mut self, Signed { intent, nonce, raw }: Signed) -> Result<(), QueueError> {
        let envelope = TxEnvelope::decode_2718_exact(&raw).map_err(|_| TxRecordError::Malformed)?;
        self.enter(intent, nonce, envelope, None);
        Ok(())
    }

    /// An attempt that is journalled.
    fn enter(&mut self, intent: String, nonce: u64, envelope: TxEnvelope, sent_at: Option<Duration>) {
        let content = content(envelope.to().map(to_model), envelope.value(), envelope.input());
        if !intent.is_empty() {
            self.intents.insert(intent.clone(), Intent { content, outcome: None });
        }
        self.next_nonce = Some(self.next_nonce.unwrap_or(0).max(nonce + 1));
        let pending = self.pending.entry(nonce).or_insert_with(|| Pending {
            intent,
            attempts: Vec::new(),
            sent_at: None,
            refused: 0,
            spent: Spent::default(),
        });
        if pending.attempts.iter().all(|known| known.tx_hash() != envelope.tx_hash()) {
            pending.attempts.push(envelope);
        }
        pending.sent_at = sent_at;
    }

    /// An outcome that is journalled.
    fn leave(&mut self, name: &str, nonce: u64, outcome: TxOutcome) {
        if let Some(pending) = self.pending.remove(&nonce)
            && let Some(last) = pending.attempts.last()
        {
            let raw = last.encoded_2718().into();
            self.keep(nonce, raw);
        }
        self.outcomes += 1;
        if let Some(intent) = self.intents.get_mut(name) {
            intent.outcome = Some(outcome.clone());
            self.hold_logs(name.to_owned());
        }
        for waiter in self.waiters.remove(name).unwrap_or_default() {
            let _ = waiter.send(Ok(outcome.clone()));
        }
    }

    pub(super) fn poll_interval(&self) -> Duration {
        self.options.poll
    }

    /// Whether anything waits to be mined.
    pub(super) fn waits(&self) -> bool {
        !self.pending.is_empty()
    }

    pub(super) async fn outcome(&mut self, name: &str, reply: Waiter) {
        let answer = match self.intents.get(name) {
            None => Err(QueueError::UnknownIntent(name.to_owned())),
            Some(Intent { outcome: Some(outcome), .. }) => self.whole(outcome.clone()).await,
            Some(_) => {
                self.waiters.entry(name.to_owned()).or_default().push(reply);
                return;
            }
        };
        let _ = reply.send(answer);
    }

    pub(super) async fn submit(&mut self, name: String, intent: TxIntent) -> Result<(), QueueError> {
        if let Some(known) = self.intents.get(&name) {
            let same = known.content == content(intent.to, intent.value, &intent.data);
            return if same { Ok(()) } else { Err(QueueError::IntentDiffers(name)) };
        }
        self.make_room(1).await?;
        let nonce = self.check_chain().await?;
        let gas = self.estimate(&intent, nonce).await?;
        let fees = Fees::current(self.client.provider(), self.options.fee_per_gas_max).await;
        let fees = fees.map_err(QueueError::from_question)?;
        self.check_funds(intent.value, gas, fees).await?;
        let tx = TxEip1559 {
            chain_id: self.options.chain_id,
            nonce,
            gas_limit: gas,
            max_fee_per_gas: fees.max,
            max_priority_fee_per_gas: fees.tip,
            to: intent.to.map_or(TxKind::Create, |to| TxKind::Call(to_alloy(to))),
            value: intent.value,
            access_list: Default::default(),
            input: intent.data,
        };
        self.attempt(name, tx).await?;
        self.send_first(nonce).await;
        Ok(())
    }

    /// Waits for nothing: what is mined by now makes room, or there is none.
    async fn make_room(&mut self, count: usize) -> Result<(), QueueError> {
        if self.pending.len() + count > IN_FLIGHT_MAX {
            self.tick().await;
            if self.pending.len() + count > IN_FLIGHT_MAX {
                return Err(QueueError::Full(self.pending.len()));
            }
        }
        Ok(())
    }

    /// Sends what was journalled a moment ago. It may be mined at once.
    async fn send_first(&mut self, nonce: u64) {
        self.send(nonce).await;
        if let Err(error) = self.look(nonce).await {
            tracing::debug!(nonce, %error, "could not look for a transaction");
        }
    }

    /// Signs and journals one attempt. It is durable when this returns, and has not been sent.
    async fn attempt(&mut self, intent: String, tx: TxEip1559) -> Result<(), QueueError> {
        let (nonce, envelope) = (tx.nonce, self.sign(tx).await?);
        let record = Record::Signed(Signed { intent: intent.clone(), nonce, raw: envelope.encoded_2718().into() });
        self.journal.append(&record.encode())?.durable().await?;
        self.enter(intent, nonce, envelope, None);
        Ok(())
    }

    async fn sign(&self, tx: TxEip1559) -> Result<TxEnvelope, QueueError> {
        let signature = self.signer.sign_hash(tx.signature_hash().0).await?;
        Ok(TxEnvelope::from(tx.into_signed(signature.0)))
    }

    async fn estimate(&self, intent: &TxIntent, nonce: u64) -> Result<u64, QueueError> {
        let mut request = TransactionRequest::default().from(to_alloy(self.signer.address()));
        request.to = Some(intent.to.map_or(TxKind::Create, |to| TxKind::Call(to_alloy(to))));
        request.value = Some(intent.value);
        request.input = intent.data.clone().into();
        request.nonce = Some(nonce);
        let estimate = self.client.provider().estimate_gas(request).block(BlockId::pending()).await;
        let gas = estimate.map_err(QueueError::from_call)?;
        Ok(gas.saturating_add(gas * GAS_SPARE_PERCENT / 100).saturating_add(GAS_SPARE).min(GAS_MAX))
    }

    /// A signed transaction that no node takes would hold its nonce for good, so its price is checked before.
    async fn check_funds(&self, value: U256, gas: u64, fees: Fees) -> Result<(), QueueError> {
        let needed = U256::from(gas).saturating_mul(U256::from(fees.max)).saturating_add(value);
        if needed.is_zero() {
            return Ok(());
        }
        let key = to_alloy(self.signer.address());
        let balance = self.client.provider().get_balance(key).await.map_err(QueueError::from_question)?;
        if balance < needed {
            return Err(QueueError::NotTaken(format!(
                "insufficient funds for gas: {} has {balance} wei, {needed} may be needed",
                self.signer.address()
            )));
        }
        Ok(())
    }

    /// Makes sure, once, that this is the right chain and that nobody else signs with the key. The next nonce.
    async fn check_chain(&mut self) -> Result<u64, QueueError> {
        if let (true, Some(nonce)) = (self.checked, self.next_nonce) {
            return Ok(nonce);
        }
        let provider = self.client.provider();
        let found = provider.get_chain_id().await.map_err(QueueError::from_question)?;
        if found != self.options.chain_id {
            return Err(QueueError::WrongChain { expected: self.options.chain_id, found });
        }
        let key = self.signer.address();
        let chain = provider.get_transaction_count(to_alloy(key)).await.map_err(QueueError::from_question)?;
        let nonce = match self.next_nonce {
            Some(known) if chain > known => return Err(QueueError::ForeignTransactions { key, chain, known }),
            Some(known) => known,
            None => {
                let record = Record::Adopted { chain_id: found, key, nonce: chain };
                self.journal.append(&record.encode())?.durable().await?;
                self.next_nonce = Some(chain);
                chain
            }
        };
        self.checked = true;
        Ok(nonce)
    }

    async fn finish(&mut self, nonce: u64, outcome: TxOutcome) -> Result<(), QueueError> {
        let Some(pending) = self.pending.get(&nonce) else { return Ok(()) };
        let intent = pending.intent.clone();
        let record = Record::Done { intent: intent.clone(), nonce, outcome: outcome.clone() };
        self.journal.append(&record.encode())?.durable().await?;
        self.leave(&intent, nonce, outcome);
        self.compact_when_due().await;
        Ok(())
    }
}

/// What makes two intents the same.
fn content(to: Option<nisse_model::Address>, value: U256, data: &[u8]) -> B256 {
    let to = to.map(|to| to.0.to_vec()).unwrap_or_default();
    keccak256([&[to.len() as u8], to.as_slice(), &value.to_be_bytes::<32>(), data].concat())
}
