//! The market as its owner sees it: deployments, the events of their lives, receipts.

use std::sync::Arc;

use futures::{StreamExt as _, TryStreamExt as _};
use nisse_market::{
    CursorPosition, DeploymentState, DeploymentView, EventAt, LogCursor, Market, MarketEvent, Receipt, ReopenedFor,
};
use nisse_model::{Address, Amount, AmountPerHour, DeploymentId, Hash256};

use super::{Node, market_error};
use crate::control::{MarketEntry, MarketEventLine, MarketList, MarketRates, ReceiptBundle};
use crate::error::{ErrorKind, NodeError};
use crate::logs::plain;
use crate::wallets::KeyName;
use crate::watcher;

/// Deployments listed at once, the newest ones.
pub(super) const LISTED_MAX: usize = 200;
/// Deployments asked for at once.
const ASKED_AT_ONCE: usize = 16;
/// What to do about a deployment that is not there.
const LISTED: &str = "`nisse market ls` lists the deployments";
/// Events of one deployment shown at once, the newest ones.
const EVENTS_MAX: usize = 1_000;

impl Node {
    /// The newest deployments, newest first.
    pub async fn market_list(&self) -> Result<MarketList, NodeError> {
        // A market that was never reached lists nothing, which is not to say that it is empty.
        self.market(KeyName::Operator)?;
        let refused = self.look(|all| all.refused().clone()).await?;
        let (mut entries, mut older) = (Vec::new(), 0);
        for version in self.core.keys.versions().into_iter().rev() {
            let market = self.market_at(version.manager)?;
            let newest = newest(&market, LISTED_MAX.saturating_sub(entries.len())).await?;
            older += newest.older;
            for view in newest.views {
                let deployment = market.deployment_id(view.number);
                entries.push(entry(deployment, &view, refused.get(&deployment).map(ToString::to_string)));
            }
        }
        Ok(MarketList { deployments: entries, older })
    }

    /// What running leases pay, and what open orders offer, among the newest deployments.
    pub async fn market_rates(&self) -> Result<MarketRates, NodeError> {
        self.market(KeyName::Operator)?;
        let (mut paid, mut offered, mut looked_at) = (Vec::new(), Vec::new(), 0);
        for version in self.core.keys.versions().into_iter().rev() {
            let market = self.market_at(version.manager)?;
            let views = newest(&market, LISTED_MAX - looked_at).await?.views;
            looked_at += views.len();
            for view in views.into_iter().filter(|view| !view.home) {
                match view.state {
                    DeploymentState::Running => paid.push(view.rate),
                    DeploymentState::Open => offered.push(view.max_rate),
                    _ => {}
                }
            }
        }
        paid.sort_unstable();
        let text = |rate: Option<&AmountPerHour>| rate.map(ToString::to_string);
        Ok(MarketRates {
            looked_at: looked_at as u64,
            leases: paid.len() as u64,
            lowest: text(paid.first()),
            median: text(paid.get(paid.len().saturating_sub(1) / 2)),
            highest: text(paid.last()),
            orders: offered.len() as u64,
            offered: text(offered.iter().max()),
        })
    }

    /// One deployment, by its number or its full name, with its events.
    pub async fn market_show(&self, text: &str) -> Result<MarketEntry, NodeError> {
        let deployment = self.deployment_id(text).await?;
        let market = self.market_at(deployment.contract)?;
        let view = market.deployment(deployment.number).await.map_err(|_| {
            let text = format!("failed to find deployment {} on the market", deployment.number);
            NodeError::new(ErrorKind::NotFound, "deployment_unknown", text).with_hint(LISTED.to_owned())
        })?;
        let refused = self.look(move |all| all.refused().get(&deployment).map(ToString::to_string)).await?;
        let mut shown = entry(deployment, &view, refused);
        let selection = market.selection(deployment.number).await.map_err(|error| market_error(&error))?;
        shown.select = Some(selection.to_string());
        shown.reveals_from =
            view.reveals().filter(|_| selection.is_sealed() && shown.bids_until.is_some()).map(|(from, _)| from.0);
        let mut deployed_by = None;
        let told = self.each_event(&market, deployment.number, |at| {
            let (event, detail) = match &at.event {
                // An offer that was taken is a bid of the transaction that made the order.
                MarketEvent::BidPlaced { node, rate, .. } if deployed_by == Some(at.tx) => {
                    ("offer".to_owned(), format!("{node} offered {rate} TALOS per hour, and its offer was taken"))
                }
                event => words(event),
            };
            if matches!(at.event, MarketEvent::Deployed { .. }) {
                deployed_by = Some(at.tx);
            }
            shown.events.push(MarketEventLine { block: at.block.number, time: at.time.0, event, detail });
        });
        told.await?;
        let excess = shown.events.len().saturating_sub(EVENTS_MAX);
        shown.events.drain(..excess);
        Ok(shown)
    }

    /// Tells every event of one deployment, oldest first.
    pub(super) async fn each_event(
        &self,
        market: &Market,
        number: u64,
        mut tell: impl FnMut(&EventAt),
    ) -> Result<(), NodeError> {
        let first = self.first_block(market).await?;
        let manager = market.addresses().manager;
        let other = |event: &MarketEvent| match event {
            MarketEvent::Missed { market: of, .. } | MarketEvent::Counted { market: of, .. } => *of != manager,
            _ => false,
        };
        tell_all(market.events(CursorPosition::default(), first), |at| {
            if at.event.deployment() == Some(number) && !other(&at.event) {
                tell(at);
            }
        })
        .await
    }

    /// Where the log of every version of the market begins.
    pub(super) async fn first_block(&self, market: &Market) -> Result<u64, NodeError> {
        watcher::first_block(&self.core, market).await.map_err(|error| {
            let text = format!("failed to find where the market's log begins: {error}");
            NodeError::new(ErrorKind::Unreachable, "market_unreachable", text)
        })
    }

    /// A record and the node's signature over it.
    pub async fn receipt(&self, text: &str, seq: u64) -> Result<ReceiptBundle, NodeError> {
        let deployment = self.deployment_id(text).await?;
        // A receipt holds once its record is durable, and the index follows the journal: both are waited for.
        let failed = |error: &dyn std::error::Error| NodeError::caused(ErrorKind::Failed, "journal_failed", error);
        self.core.records.settled().await.map_err(|error| failed(&error))?;
        let records = Arc::clone(&self.core.records);
        let found = self.core.supervisor.blocking("read a record", move || records.get(&deployment, seq)).await;
        let found = found
            .map_err(|error| failed(&error))?
            .map_err(|error| NodeError::caused(ErrorKind::Failed, "records_failed", &error))?;
        let Some(record) = found else {
            // Where another node runs it now, that one made the record.
            if let Ok(Some(order)) = self.order(deployment).await
                && order.taken_by.is_some()
            {
                return self.elsewhere(order, "show a receipt of")?.receipt(seq).await;
            }
            let text = format!("failed to find record {seq} of {deployment}");
            return Err(NodeError::new(ErrorKind::NotFound, "record_unknown", text)
                .with_hint("the `nisse-receipt` header of each answer names its record".to_owned()));
        };
        let read = nisse_model::InvocationRecord::decode(&record)
            .map_err(|error| NodeError::caused(ErrorKind::Failed, "record_damaged", &error))?;
        let receipt = Receipt { deployment, seq, record: Hash256::of(&record) };
        let signed = receipt.sign(self.core.signer.as_ref()).await;
        let signed = signed.map_err(|error| NodeError::caused(ErrorKind::Failed, "signing_failed", &error))?;
        Ok(ReceiptBundle::of(&read, signed.signature, self.core.operator))
    }

    /// A number as the newest version of the market that has given it out means it.
    async fn numbered(&self, number: u64) -> Result<DeploymentId, NodeError> {
        for version in self.core.keys.versions().into_iter().rev() {
            let market = self.market_at(version.manager)?;
            if number <= market.deployments().await.map_err(|error| market_error(&error))? {
                return Ok(market.deployment_id(number));
            }
        }
        Ok(self.market(KeyName::Operator)?.deployment_id(number))
    }

    /// One version of the market.
    pub(super) fn market_at(&self, contract: Address) -> Result<Market, NodeError> {
        self.core.keys.market_of(&self.core.home, &self.core.supervisor, KeyName::Operator, contract)
    }

    /// A deployment by its full name, or the newest one of an agent.
    pub(super) async fn deployment_id(&self, text: &str) -> Result<DeploymentId, NodeError> {
        if let Ok(number) = text.parse::<u64>() {
            return self.numbered(number).await;
        }
        match text.parse() {
            Ok(deployment) => {
                let DeploymentId { chain, .. } = deployment;
                let here = self.core.keys.chain_id();
                if chain == here {
                    return Ok(deployment);
                }
                let text =
                    format!("failed to find {deployment}: it is on chain {chain}, and this node on chain {here}");
                Err(NodeError::new(ErrorKind::NotFound, "deployment_unknown", text).with_hint(LISTED.to_owned()))
            }
            Err(_) => self.find(text).await.map(|(deployment, _)| deployment),
        }
    }
}

/// Tells every event that a cursor finds, oldest first.
pub(super) async fn tell_all(cursor: LogCursor, mut tell: impl FnMut(&EventAt)) -> Result<(), NodeError> {
    let mut cursor = cursor.hasty();
    loop {
        let batch = cursor.next().await;
        let batch = batch.map_err(|error| NodeError::caused(ErrorKind::Unreachable, "market_unreachable", &error))?;
        let Some(batch) = batch else { return Ok(()) };
        batch.committed.iter().for_each(&mut tell);
    }
}

/// The newest deployments of one version of the market, newest first.
struct Newest {
    views: Vec<DeploymentView>,
    /// How many are too old to be among them.
    older: u64,
}

async fn newest(market: &Market, most: usize) -> Result<Newest, NodeError> {
    let count = market.deployments().await.map_err(|error| market_error(&error))?;
    let views = views(market, (1..=count).rev().take(most)).await?;
    Ok(Newest { older: count - views.len() as u64, views })
}

/// These deployments of one version of the market.
pub(super) async fn views(
    market: &Market,
    numbers: impl Iterator<Item = u64> + Send,
) -> Result<Vec<DeploymentView>, NodeError> {
    let views = futures::stream::iter(numbers).map(|number| market.deployment(number));
    views.buffered(ASKED_AT_ONCE).try_collect().await.map_err(|error| market_error(&error))
}

fn entry(deployment: DeploymentId, view: &DeploymentView, refused: Option<String>) -> MarketEntry {
    let state = match view.state {
        DeploymentState::Unverified => "unverified",
        DeploymentState::Open => "open",
        DeploymentState::Assigned => "assigned",
        DeploymentState::Running => "running",
        DeploymentState::Stopped => "stopped",
        DeploymentState::Expired => "expired",
    };
    MarketEntry {
        deployment: deployment.to_string(),
        agent_id: view.package.agent_id.clone(),
        owner: view.owner.to_string(),
        state: state.to_owned(),
        node: view.node.map(|node| node.to_string()),
        rate: view.rate.to_string(),
        max_rate: (!view.home).then(|| view.max_rate.to_string()),
        bid_window_seconds: view.bid_window_seconds,
        select: None,
        bids_until: view.round_ends().map(|ends| ends.0),
        reveals_from: None,
        deposited: view.deposited.to_string(),
        paid: Amount(view.paid.0.saturating_add(view.due.0)).to_string(),
        started_at: view.started.map(|at| at.0),
        ends_at: view.ends_at.map(|at| at.0),
        refused,
        events: Vec::new(),
    }
}

/// An event's name and one sentence.
fn words(event: &MarketEvent) -> (String, String) {
    let (name, detail) = match event {
        MarketEvent::Deployed { owner, order, .. } if order.home => ("deployed", format!("by {owner}, a home lease")),
        MarketEvent::Deployed { owner, order, .. } => {
            ("deployed", format!("by {owner}, paying {} TALOS", order.payment))
        }
        MarketEvent::OrderTerms { selection, provider, .. } => {
            let had =
                provider.as_ref().map(|url| format!("; its package can be had of {}", plain(url))).unwrap_or_default();
            ("terms", format!("the winner is chosen by {}{had}", selection.criterion()))
        }
        MarketEvent::Superseded { old, market, .. } => {
            ("supersedes", format!("goes on from deployment {old} of the market {market}"))
        }
        MarketEvent::Attested { node, attestations, .. } => ("attested", format!("by {node}, {attestations} so far")),
        MarketEvent::Verified { .. } => ("verified", "a quorum attested its artifact".to_owned()),
        MarketEvent::BidPlaced { node, rate, .. } => ("bid", format!("{node} asks {rate} TALOS per hour")),
        MarketEvent::BidCommitted { node, .. } => ("bid sealed", format!("{node} has committed itself to a rate")),
        MarketEvent::BidRevealed { node, rate, .. } => ("bid revealed", format!("{node} asked {rate} TALOS per hour")),
        MarketEvent::BidReclaimed { node, .. } => {
            ("bid reclaimed", format!("{node} never revealed it, and has its stake free again"))
        }
        MarketEvent::Assigned { node, rate, .. } => ("assigned", format!("to {node} at {rate} TALOS per hour")),
        MarketEvent::Started { incarnation, rate, .. } => {
            ("started", format!("incarnation {incarnation}; {rate} TALOS per hour run from here"))
        }
        MarketEvent::Settled { node, amount, .. } => ("settled", format!("{amount} TALOS to {node}")),
        MarketEvent::Stopped { refund, .. } => ("stopped", format!("{refund} TALOS go back to its owner")),
        MarketEvent::Expired { .. } => ("expired", "its deposit is used up".to_owned()),
        MarketEvent::Rejected { node, reason, .. } => ("rejected", format!("by {node}: {}", plain(reason))),
        MarketEvent::Reopened { node, reason: ReopenedFor::Silent, .. } => {
            ("reopened", format!("takes bids again: {node} showed no life in a heartbeat period"))
        }
        MarketEvent::Reopened { .. } => ("reopened", "takes bids again".to_owned()),
        MarketEvent::UpdateRequested { revision, .. } => ("update requested", format!("revision {revision}")),
        MarketEvent::Updated { revision, incarnation, .. } => {
            ("updated", format!("revision {revision}, incarnation {incarnation}"))
        }
        MarketEvent::UpdateRejected { revision, reason, .. } => {
            ("update refused", format!("revision {revision}: {}", plain(reason)))
        }
        MarketEvent::Paused { .. } => ("paused", "rests; its price goes on".to_owned()),
        MarketEvent::Resumed { .. } => ("resumed", "goes on".to_owned()),
        MarketEvent::Deposited { from, amount, .. } => ("funded", format!("{amount} TALOS by {from}")),
        MarketEvent::WithdrawRequested { amount, .. } => ("withdrawal asked", format!("{amount} TALOS")),
        MarketEvent::Withdrawn { amount, .. } => ("withdrawn", format!("{amount} TALOS by its owner")),
        MarketEvent::FeedCreated { asset, feed, .. } => ("feed", format!("{asset} at {feed}")),
        MarketEvent::AnswerPublished { answer, round, .. } => {
            let (whole, part) = (answer / 100_000_000, (answer % 100_000_000).unsigned_abs());
            ("answer", format!("{whole}.{part:08}, round {round}"))
        }
        MarketEvent::Published { publication, .. } => ("published", format!("publication {publication}")),
        // Of nobody's deployment.
        MarketEvent::NodeRegistered { .. }
        | MarketEvent::StakeAdded { .. }
        | MarketEvent::Heartbeat { .. }
        | MarketEvent::OfferRevoked { .. }
        | MarketEvent::Faulted { .. } => ("node", String::new()),
        MarketEvent::Missed { node, penalty, .. } => {
            ("missed", format!("{penalty} TALOS of the silent {node}'s stake"))
        }
        MarketEvent::Counted { node, seconds, .. } => ("counted", format!("{seconds} s of paid work for {node}")),
    };
    (name.to_owned(), detail)
}
