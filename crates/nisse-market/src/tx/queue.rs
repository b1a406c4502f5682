//! The transaction queue's handle: one queue per key, spoken to by a bounded channel.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use nisse_model::Address;
use nisse_store::{Clock, Disk, Entropy, Journal, JournalOptions};
use tokio::sync::{mpsc, oneshot};

use super::driver::Driver;
use super::record::Record;
use super::{QueueError, TxIntent, TxOutcome};
use crate::provider::ChainClient;
use crate::signer::Signer;

/// Longest name of an intent, in bytes.
pub(super) const INTENT_NAME_BYTES_MAX: usize = 200;
/// The longest rest after a look that failed: the chain did not answer, or the disk did not take an outcome.
const REST_MAX: Duration = Duration::from_secs(5);
/// Requests that wait for the driver; a caller beyond them waits.
const COMMANDS_MAX: usize = 256;

/// How a queue treats its chain.
#[derive(Debug, Clone)]
pub struct TxQueueOptions {
    /// The chain that the key's transactions are for; any other one is refused.
    pub chain_id: u64,
    /// Blocks on top of a transaction before its outcome is final.
    pub confirmations: u64,
    /// How often a waiting transaction is looked for.
    pub poll: Duration,
    /// How long an attempt may wait before it is sent again, with higher fees where gas has a price.
    pub resend_after: Duration,
    /// The most that is ever offered, in wei per gas.
    pub fee_per_gas_max: u128,
    /// Outcomes after which the journal is written anew, at the earliest.
    pub compact_after: usize,
    /// Bytes after which the journal goes on in another file; whole files go when it was written anew.
    pub segment_bytes: u64,
}

/// What keeps journals of some megabytes for each key.
const COMPACT_AFTER: usize = 4_096;
const JOURNAL_SEGMENT_BYTES: u64 = 4 << 20;

impl TxQueueOptions {
    /// For the embedded chain, where a block is final at once and gas is free.
    pub fn embedded(chain_id: u64) -> Self {
        Self {
            chain_id,
            confirmations: 0,
            poll: Duration::from_millis(20),
            resend_after: Duration::from_secs(2),
            fee_per_gas_max: 0,
            compact_after: COMPACT_AFTER,
            segment_bytes: JOURNAL_SEGMENT_BYTES,
        }
    }

    /// For a public chain with blocks of a few seconds.
    pub fn remote(chain_id: u64) -> Self {
        Self {
            chain_id,
            confirmations: 2,
            poll: Duration::from_secs(1),
            resend_after: Duration::from_secs(30),
            fee_per_gas_max: 100_000_000_000,
            compact_after: COMPACT_AFTER,
            segment_bytes: JOURNAL_SEGMENT_BYTES,
        }
    }
}

/// A handle to the queue of one key. Cheap to clone.
#[derive(Clone)]
pub struct TxQueue {
    key: Address,
    chain_id: u64,
    fee_per_gas_max: u128,
    commands: mpsc::Sender<Command>,
}

/// The queue's own task: the node spawns [`TxDriver::run`] and stops it by dropping every handle.
pub struct TxDriver {
    driver: Driver,
    commands: mpsc::Receiver<Command>,
}

/// Intents that stand together or not at all.
pub(super) struct Batch {
    pub(super) names: Vec<String>,
    /// What they are, in the order of their names, when the first one goes out with this nonce.
    pub(super) make: Box<dyn FnOnce(u64) -> Vec<TxIntent> + Send>,
}

pub(super) enum Command {
    Submit { name: String, intent: TxIntent, reply: oneshot::Sender<Result<(), QueueError>> },
    Batch { batch: Batch, reply: oneshot::Sender<Result<(), QueueError>> },
    Outcome { name: String, reply: oneshot::Sender<Result<TxOutcome, QueueError>> },
}

impl TxQueue {
    /// Opens the queue of `signer`'s key with its journal in `folder`. Needs no chain: transactions that wait since
    /// the last run go out again, with the same bytes, once the driver runs.
    pub fn open(
        disk: Arc<dyn Disk>,
        clock: Arc<dyn Clock>,
        entropy: &dyn Entropy,
        folder: &Path,
        client: ChainClient,
        signer: Arc<dyn Signer>,
        options: TxQueueOptions,
    ) -> Result<(Self, TxDriver), QueueError> {
        let (key, chain_id, fee_per_gas_max) = (signer.address(), options.chain_id, options.fee_per_gas_max);
        let mut records = Vec::new();
        let layout = JournalOptions { segment_bytes: options.segment_bytes };
        let journal = Journal::open_with(disk, entropy, folder, layout, |_, bytes| -> Result<(), QueueError> {
            records.push(Record::decode(bytes)?);
            Ok(())
        })?;
        let driver = Driver::new(journal, clock, client, signer, options, records)?;
        let (sender, commands) = mpsc::channel(COMMANDS_MAX);
        Ok((Self { key, chain_id, fee_per_gas_max, commands: sender }, TxDriver { driver, commands }))
    }

    /// The key's address.
    pub fn address(&self) -> Address {
        self.key
    }

    /// The chain's id.
    pub fn chain_id(&self) -> u64 {
        self.chain_id
    }

    /// The most that this key offers, in wei per gas.
    pub(crate) fn fee_per_gas_max(&self) -> u128 {
        self.fee_per_gas_max
    }

    /// Takes an intent under the caller's name. Once this returns, the transaction is durable and will be sent, and
    /// the same name will never be sent as a second one, whatever crashes.
    pub(crate) async fn submit(&self, name: &str, intent: TxIntent) -> Result<(), QueueError> {
        check_name(name)?;
        let (reply, answer) = oneshot::channel();
        let command = Command::Submit { name: name.to_owned(), intent, reply };
        self.commands.send(command).await.map_err(|_| QueueError::Ended)?;
        answer.await.map_err(|_| QueueError::Ended)?
    }

    /// Takes all of these intents or none, with nonces that follow each other: `make` is told the first. Where their
    /// names are known already nothing is made: what was journalled goes on, though it be of other content.
    pub(crate) async fn submit_batch(
        &self,
        names: Vec<String>,
        make: impl FnOnce(u64) -> Vec<TxIntent> + Send + 'static,
    ) -> Result<(), QueueError> {
        names.iter().try_for_each(|name| check_name(name))?;
        let (reply, answer) = oneshot::channel();
        let batch = Batch { names, make: Box::new(make) };
        self.commands.send(Command::Batch { batch, reply }).await.map_err(|_| QueueError::Ended)?;
        answer.await.map_err(|_| QueueError::Ended)?
    }

    /// Waits for what becomes of an intent, of this run or of an earlier one.
    pub async fn outcome(&self, name: &str) -> Result<TxOutcome, QueueError> {
        let (reply, answer) = oneshot::channel();
        let command = Command::Outcome { name: name.to_owned(), reply };
        self.commands.send(command).await.map_err(|_| QueueError::Ended)?;
        answer.await.map_err(|_| QueueError::Ended)?
    }
}

impl TxDriver {
    /// Runs until every handle is dropped.
    pub async fn run(mut self) {
        let poll = self.driver.poll_interval();
        let mut pause = poll;
        // Its time goes on while commands are handled: however many come, what waits is looked for.
        let rest = tokio::time::sleep(pause);
        tokio::pin!(rest);
        loop {
            tokio::select! {
                command = self.commands.recv() => match command {
                    Some(command) => self.handle(command).await,
                    None => return,
                },
                () = &mut rest, if self.driver.waits() => {
                    pause = if self.driver.tick().await { poll } else { (pause * 2).min(REST_MAX.max(poll)) };
                    rest.set(tokio::time::sleep(pause));
                }
            }
        }
    }

    async fn handle(&mut self, command: Command) {
        match command {
            Command::Submit { name, intent, reply } => {
                let taken = self.driver.submit(name, intent).await;
                // A caller that no longer waits has its intent all the same.
                let _ = reply.send(taken);
            }
            Command::Batch { batch, reply } => {
                let taken = self.driver.submit_batch(batch).await;
                let _ = reply.send(taken);
            }
            Command::Outcome { name, reply } => self.driver.outcome(&name, reply).await,
        }
    }
}

fn check_name(name: &str) -> Result<(), QueueError> {
    if name.is_empty() || name.len() > INTENT_NAME_BYTES_MAX {
        return Err(QueueError::IntentName { length: name.len(), max: INTENT_NAME_BYTES_MAX });
    }
    Ok(())
}

impl std::fmt::Debug for TxQueue {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "TxQueue({} on {})", self.key, self.chain_id)
    }
}
