//! What an owner is told about the node itself.

use nisse_market::{MarketAddresses, NodeFacts};
use nisse_model::Amount;

use super::nodes::reputation;
use super::{Node, market_error};
use crate::control::NodeStatus;
use crate::error::NodeError;
use crate::options::{AcceptList, ChainChoice};
use crate::wallets::KeyName;

/// Said wherever strangers are let in.
const IN_PROCESS: &str = "strangers' agents run in this process, behind WebAssembly alone";

/// What a status shows that the chain alone knows.
struct OfChain {
    at: MarketAddresses,
    block: u64,
    stake: Amount,
    earned: Amount,
    /// Seconds of a heartbeat period.
    period: Option<u64>,
    /// When the period began in which this node last showed life.
    shown: Option<u64>,
    facts: Option<NodeFacts>,
}

impl Node {
    /// The node itself.
    pub async fn status(&self) -> Result<NodeStatus, NodeError> {
        let core = &self.core;
        let (used, draining, live) = self
            .glance(|all| {
                let live = all.agents().values().filter(|agent| agent.life.is_live()).count();
                (all.used(), all.is_draining(), live)
            })
            .await?;
        let (told, away) = match self.told_by_chain().await {
            Ok(told) => (Some(told), None),
            Err(error) => {
                (None, Some([Some(error.text), error.hint].into_iter().flatten().collect::<Vec<_>>().join("; ")))
            }
        };
        let of_chain = told.as_ref();
        let options = &core.options;
        let (accept, isolation) = match &options.accept {
            AcceptList::Own => ("own".to_owned(), None),
            AcceptList::HomeKeys => ("own, and this home's deployer".to_owned(), None),
            AcceptList::Owners(owners) => {
                let owners: Vec<_> = owners.iter().map(ToString::to_string).collect();
                (owners.join(", "), Some(IN_PROCESS.to_owned()))
            }
            AcceptList::Any => ("any".to_owned(), Some(IN_PROCESS.to_owned())),
        };
        let listening = self.listeners.get();
        Ok(NodeStatus {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            operator: core.operator.to_string(),
            chain: core.keys.chain_id(),
            chain_url: self.chain_url(),
            market: of_chain.map(|told| told.at.manager.to_string()),
            contract: of_chain.map(|told| told.at.book.to_string()),
            market_version: of_chain.map(|told| told.at.version),
            market_newer: core.keys.newer_version(),
            block: of_chain.map(|told| told.block),
            chain_time: core.chain_time(core.clock.now()).0,
            stake: of_chain.map(|told| told.stake.to_string()),
            earned: of_chain.map(|told| told.earned.to_string()),
            heartbeat_seconds: of_chain.and_then(|told| told.period),
            heartbeat_last: of_chain.and_then(|told| told.shown),
            reputation: told.and_then(|told| told.facts).map(reputation),
            accept,
            isolation,
            price: options.prices.floor.to_string(),
            price_cpu: options.prices.cpu.to_string(),
            price_memory: options.prices.memory.to_string(),
            price_load: options.prices.load_percent,
            draining,
            trouble: core.trouble().or(away),
            cpu: [options.cpu.to_string(), used.cpu.to_string()],
            memory: [options.memory.to_string(), used.memory.to_string()],
            agents: live,
            vault: self.vault_glance(),
            exceptions: options.connect_to.iter().map(exception).collect(),
            since: core.since.0,
            api: listening.map_or(String::new(), |listening| listening.api.to_string()),
            public: listening.map_or(String::new(), |listening| listening.public.to_string()),
            rpc: listening.and_then(|listening| listening.rpc).map(|rpc| rpc.to_string()),
        })
    }

    /// What the chain alone knows of this node.
    async fn told_by_chain(&self) -> Result<OfChain, NodeError> {
        let (operator, market) = (self.core.operator, self.market(KeyName::Operator)?);
        let refused = |error| market_error(&error);
        let period = market.heartbeat_period().await.map_err(refused)?;
        let last = market.last_heartbeat(operator).await.map_err(refused)?;
        Ok(OfChain {
            at: *market.addresses(),
            block: market.head().await.map_err(refused)?,
            stake: market.node(operator).await.map_err(refused)?.map_or(Amount(0), |node| node.stake),
            earned: self.withdrawable().await?.0,
            period,
            shown: period.filter(|_| last > 0).map(|period| last * period * 1000),
            facts: market.facts(operator).await.map_err(refused)?,
        })
    }

    /// Where others reach the chain that this node is on.
    fn chain_url(&self) -> Option<String> {
        match &self.core.options.chain {
            ChainChoice::Embedded { .. } => {
                let rpc = self.listeners.get().and_then(|listening| listening.rpc);
                rpc.map(|rpc| format!("http://{rpc}"))
            }
            ChainChoice::Remote { url, .. } => Some(url.clone()),
        }
    }
}

fn exception(exception: &nisse_egress::ConnectTo) -> String {
    let authority = if exception.ca.is_some() { " (own authority)" } else { "" };
    format!("{}:{} is dialled at {}{authority}", exception.host, exception.port, exception.to)
}
