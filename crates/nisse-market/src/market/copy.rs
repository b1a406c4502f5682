//! The market on a copy of an embedded chain, for simulated worlds: the same calls, events, views and refusals as
//! [`Market`](super::Market) has, at once and without a queue.

use alloy::primitives::aliases::U40;
use alloy::primitives::{Bytes, U256};
use alloy::sol_types::SolCall;
use nisse_model::{Address, Amount, DeploymentId, Timestamp};

use super::view::{self, DeploymentView, NodeView};
use super::{MarketAddresses, MarketCall};
use crate::contracts::{Escrow, Heartbeats, Manager, Nodes, Reputation, TalosToken};
use crate::embedded::{ChainCopy, EmbeddedChain, Ran};
use crate::event::{EventAt, MarketEvent, amount};
use crate::revert;
use crate::tx::{BlockRef, ChainHash, Revert, to_alloy, to_model};

/// A market that a simulated world owns.
#[derive(Debug, Clone)]
pub struct MarketCopy {
    chain: ChainCopy,
    addresses: MarketAddresses,
    time: u64,
}

/// One write in a block.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CopiedWrite {
    /// Who sends it.
    pub from: Address,
    /// The sender's count of writes: another than the next one is not taken.
    pub nonce: u64,
    /// What.
    pub call: MarketCall,
}

/// What became of a write.
#[derive(Debug, Clone, PartialEq)]
pub enum Fate {
    /// It is in the block, and this happened.
    Done(Vec<EventAt>),
    /// It is in the block and changed nothing.
    Reverted(Revert),
    /// It is in no block: its nonce is not the sender's next.
    NotNext,
}

impl MarketCopy {
    /// The market as it is now, to be gone on with apart from its chain.
    pub fn of(chain: &EmbeddedChain, addresses: MarketAddresses) -> Self {
        Self { chain: chain.copy(), addresses, time: chain.time().seconds() }
    }

    /// Where the contracts are.
    pub fn addresses(&self) -> &MarketAddresses {
        &self.addresses
    }

    /// The newest block.
    pub fn head(&self) -> BlockRef {
        BlockRef { number: self.chain.head().number(), hash: ChainHash(self.chain.head().hash.0) }
    }

    /// The full name of deployment `number`.
    pub fn deployment_id(&self, number: u64) -> DeploymentId {
        DeploymentId { chain: self.addresses.chain, contract: self.addresses.manager, number }
    }

    /// The time at which views answer now, in seconds since 1970.
    pub fn time(&self) -> u64 {
        self.time
    }

    /// The time at which views answer from now on, in seconds since 1970.
    pub fn pass_to(&mut self, time: u64) {
        self.time = self.time.max(time);
    }

    /// Makes a block of these writes, now. Says what became of each, in order.
    pub fn seal(&mut self, writes: &[CopiedWrite]) -> Vec<Fate> {
        let encoded = writes.iter().map(|write| {
            let intent = write.call.intent(&self.addresses);
            let to = intent.to.expect("a call has a contract");
            (to_alloy(write.from), write.nonce, to_alloy(to), intent.data)
        });
        let ran = self.chain.seal(self.time, encoded.collect());
        let block = self.head();
        let mut log_index = 0;
        ran.into_iter()
            .enumerate()
            .map(|(index, ran)| match ran {
                Ran::Done(logs) => Fate::Done(
                    logs.iter()
                        .filter_map(|log| {
                            log_index += 1;
                            Some(EventAt {
                                block,
                                time: Timestamp(self.time * 1000),
                                tx: name(block, index),
                                log_index,
                                contract: to_model(log.address),
                                event: MarketEvent::read(log)?,
                            })
                        })
                        .collect(),
                ),
                Ran::Reverted(data) => Fate::Reverted(revert::decode(&data)),
                Ran::NotNext => Fate::NotNext,
            })
            .collect()
    }

    /// Undoes the newest blocks, as a reorganisation does. What comes instead must carry a later time.
    pub fn undo(&mut self, depth: usize) {
        self.chain.undo(depth);
    }

    /// Whether a write would go through now.
    pub fn check(&self, from: Address, call: &MarketCall) -> Result<(), Revert> {
        let intent = call.intent(&self.addresses);
        let to = intent.to.expect("a call has a contract");
        let called = self.chain.call(self.time, to_alloy(from), to_alloy(to), intent.data);
        called.map(drop).map_err(|data| revert::decode(&data))
    }

    /// The next nonce of a sender.
    pub fn nonce(&self, from: Address) -> u64 {
        self.chain.nonce(to_alloy(from))
    }

    /// One deployment by number; `None` where there is none.
    pub fn deployment(&self, number: u64) -> Option<DeploymentView> {
        let found = self.ask(self.addresses.manager, Manager::deploymentCall { id: number })?;
        view::read_deployment(&found)
    }

    /// How many deployments there are.
    pub fn deployments(&self) -> u64 {
        self.ask(self.addresses.manager, Manager::deploymentsCall {}).unwrap_or_default()
    }

    /// A node, or `None` when it is not registered.
    pub fn node(&self, operator: Address) -> Option<NodeView> {
        view::read_node(self.ask(self.addresses.nodes, Nodes::nodeCall { operator: to_alloy(operator) })?)
    }

    /// Tokens in somebody's hands.
    pub fn balance(&self, account: Address) -> Amount {
        self.sum(self.addresses.token, TalosToken::balanceOfCall { account: to_alloy(account) })
    }

    /// Tokens that somebody may draw from the Escrow.
    pub fn claimable(&self, payee: Address) -> Amount {
        self.sum(self.addresses.escrow, Escrow::claimableCall { payee: to_alloy(payee) })
    }

    /// All that somebody was ever credited with.
    pub fn earned(&self, payee: Address) -> Amount {
        self.sum(self.addresses.escrow, Escrow::earnedCall { payee: to_alloy(payee) })
    }

    /// What somebody is owed of slashes.
    pub fn owed_of_slashes(&self, account: Address) -> Amount {
        self.sum(self.addresses.nodes, Nodes::claimableCall { account: to_alloy(account) })
    }

    /// Whether the market knows a node for no work, or for more faults than work.
    pub fn is_newcomer(&self, node: Address) -> bool {
        let call = Reputation::isNewcomerCall { node: to_alloy(node) };
        self.addresses.reputation.and_then(|reputation| self.ask(reputation, call)).unwrap_or(true)
    }

    /// Whether a node showed life in a period.
    pub fn has_beaten(&self, node: Address, period: u64) -> bool {
        let call = Heartbeats::hasBeatenCall { node: to_alloy(node), period: U40::saturating_from(period) };
        self.addresses.heartbeats.and_then(|heartbeats| self.ask(heartbeats, call)).unwrap_or_default()
    }

    /// The number of the last period in which a node showed life; 0 for never.
    pub fn last_heartbeat(&self, node: Address) -> u64 {
        let call = Heartbeats::lastOfCall { node: to_alloy(node) };
        let last = self.addresses.heartbeats.and_then(|heartbeats| self.ask(heartbeats, call));
        last.map_or(0, |last| last.to())
    }

    fn sum<C: SolCall<Return = U256>>(&self, contract: Address, call: C) -> Amount {
        self.ask(contract, call).map(amount).unwrap_or_default()
    }

    fn ask<C: SolCall>(&self, contract: Address, call: C) -> Option<C::Return> {
        let data = Bytes::from(call.abi_encode());
        let answer = self.chain.call(self.time, to_alloy(contract), to_alloy(contract), data).ok()?;
        C::abi_decode_returns(&answer).ok()
    }
}

/// A name for an unsigned write: its place.
fn name(block: BlockRef, index: usize) -> ChainHash {
    let mut hash = block.hash.0;
    hash[..8].copy_from_slice(&(index as u64).to_be_bytes());
    ChainHash(hash)
}
