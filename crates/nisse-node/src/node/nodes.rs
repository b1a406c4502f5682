//! The nodes of the market, and what they are known for.

use std::collections::BTreeSet;

use futures::{StreamExt as _, TryStreamExt as _};
use nisse_market::{Market, MarketEvent, NodeFacts, NodeStatus, NodeView};
use nisse_model::{Address, Amount};

use super::market::tell_all;
use super::{Node, market_error};
use crate::control::{MarketNode, MarketNodes, NodeReputation};
use crate::error::NodeError;
use crate::logs::plain;
use crate::wallets::KeyName;

/// Nodes that are listed, those that registered last.
const LISTED_MAX: usize = 200;
/// Nodes that are asked about at once.
const ASKED_AT_ONCE: usize = 16;

/// A registered node, and what it is known for.
pub(super) type Known = (Address, NodeView, Option<NodeFacts>);

impl Node {
    /// The registered nodes, those that registered last first.
    pub async fn market_nodes(&self) -> Result<MarketNodes, NodeError> {
        let market = self.market(KeyName::Operator)?;
        let (nodes, older) = self.registered(&market, LISTED_MAX).await?;
        let nodes = nodes.into_iter().map(|(operator, node, facts)| listed(operator, node, facts)).collect();
        Ok(MarketNodes { nodes, older })
    }

    /// The nodes that registered last, newest first, and how many are older than these.
    pub(super) async fn registered(&self, market: &Market, most: usize) -> Result<(Vec<Known>, u64), NodeError> {
        let mut registered: Vec<Address> = Vec::new();
        let mut known = BTreeSet::new();
        let first = self.first_block(market).await?;
        let told = tell_all(market.node_events(first), |at| {
            if let MarketEvent::NodeRegistered { node, .. } = at.event
                && known.insert(node)
            {
                registered.push(node);
            }
        });
        told.await?;
        let older = registered.len().saturating_sub(most) as u64;
        let newest = registered.into_iter().rev().take(most);
        let asked = futures::stream::iter(newest).map(|operator| async move {
            let node = market.node(operator).await?;
            let facts = market.facts(operator).await?;
            Ok(node.map(|node| (operator, node, facts)))
        });
        let nodes = asked.buffered(ASKED_AT_ONCE).try_filter_map(|node| async move { Ok(node) }).try_collect();
        Ok((nodes.await.map_err(|error| market_error(&error))?, older))
    }
}

fn listed(operator: Address, node: NodeView, facts: Option<NodeFacts>) -> MarketNode {
    MarketNode {
        operator: operator.to_string(),
        endpoint: plain(&node.endpoint),
        stake: node.stake.to_string(),
        free: Amount(node.stake.0.saturating_sub(node.locked.0)).to_string(),
        cpu: node.capacity.cpu.to_string(),
        memory: node.capacity.memory.to_string(),
        paused: node.status == NodeStatus::Paused,
        registered: node.registered.0,
        reputation: facts.map(reputation),
    }
}

pub(super) fn reputation(facts: NodeFacts) -> NodeReputation {
    let NodeFacts { score, newcomer, worked_seconds, fault_seconds, .. } = facts;
    NodeReputation { score, newcomer, worked_seconds, fault_seconds }
}
