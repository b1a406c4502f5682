//! What the nodes of the market offer for an agent of this home: each that is registered is asked at the place that the
//! chain names.
//!
//! They are strangers. Only an offer that the contract would take counts as one.

use std::cmp::Reverse;
use std::time::Duration;

use bytes::BytesMut;
use futures::StreamExt as _;
use http::Method;
use nisse_market::{Market, NodeFacts, NodeStatus, NodeView, Selection, SignedOffer};
use nisse_model::{Address, AmountPerHour, Resources};

use super::Node;
use super::nodes::reputation;
use super::offer::{OFFER_PATH, read, resources};
use crate::control::{MarketOffer, MarketOffers, NodeOffer, OfferAsked};
use crate::error::NodeError;
use crate::logs::plain;
use crate::network::{Call, Trouble};
use crate::packages::GAS_BUDGET_PER_HOUR;

/// Nodes that are asked, those that registered last.
const ASKED_MAX: usize = 64;
/// Nodes that are asked at once.
const ASKED_AT_ONCE: usize = 16;
/// How long one of them may take.
const ANSWER_TIME_MAX: Duration = Duration::from_secs(5);
/// Largest answer.
const ANSWER_BYTES_MAX: usize = 16 << 10;
/// Longest words of a stranger that are shown, in characters.
const WORDS_MAX: usize = 300;
/// Seconds that must be left of an offer: it is to reach a block.
const LEFT_MIN: u64 = 10;

/// An offer that the contract would take.
pub(super) struct Gathered {
    pub(super) offer: SignedOffer,
    endpoint: String,
    facts: Option<NodeFacts>,
}

/// What came of asking.
#[derive(Default)]
pub(super) struct Round {
    /// The best one first.
    pub(super) offers: Vec<Gathered>,
    /// One sentence for each node that made none.
    pub(super) refusals: Vec<String>,
}

impl Node {
    /// What nodes offer for an agent that takes this much.
    pub async fn market_offers(&self, asked: OfferAsked) -> Result<MarketOffers, NodeError> {
        let key = self.deploying_key(None, Some(nisse_model::Amount(1)))?;
        let market = self.market(key)?;
        let gas_budget = GAS_BUDGET_PER_HOUR;
        let asked = OfferAsked { gas_budget, ..asked };
        let Round { offers, refusals } = self.offers(&market, &asked, Selection::LowestPrice).await?;
        let told = |gathered: Gathered| MarketOffer {
            node: gathered.offer.offer.node.to_string(),
            endpoint: gathered.endpoint,
            rate: gathered.offer.offer.rate.to_string(),
            reputation: gathered.facts.map(reputation),
        };
        Ok(MarketOffers { offers: offers.into_iter().map(told).collect(), refusals })
    }

    /// Asks the nodes for offers to `market`'s key.
    pub(super) async fn offers(
        &self,
        market: &Market,
        asked: &OfferAsked,
        selection: Selection,
    ) -> Result<Round, NodeError> {
        let client = market.key();
        let (nodes, _) = self.registered(market, ASKED_MAX).await?;
        let active = nodes.into_iter().filter(|(_, node, _)| node.status == NodeStatus::Active);
        let answers = futures::stream::iter(active).map(|(operator, node, facts)| async move {
            let endpoint = node.endpoint.clone();
            match self.ask_for_offer(market, operator, client, &node, asked).await {
                Ok(offer) => Ok(Gathered { offer, endpoint, facts }),
                Err(words) => Err(format!("the node {operator} at {}: {words}", plain(&endpoint))),
            }
        });
        let mut round = Round::default();
        for answer in answers.buffer_unordered(ASKED_AT_ONCE).collect::<Vec<_>>().await {
            match answer {
                Ok(gathered) => round.offers.push(gathered),
                Err(words) => round.refusals.push(words),
            }
        }
        round.offers.sort_by_key(|gathered| order_of(gathered.offer.offer.rate, gathered.facts, selection));
        round.refusals.sort();
        Ok(round)
    }

    async fn ask_for_offer(
        &self,
        market: &Market,
        operator: Address,
        client: Address,
        node: &NodeView,
        asked: &OfferAsked,
    ) -> Result<SignedOffer, String> {
        let url = node.endpoint.parse().map_err(|_| "its endpoint is no gateway's URL".to_owned())?;
        let OfferAsked { cpu_millis, memory_bytes, gpu, gas_budget, .. } = asked;
        let query = format!(
            "client={client}&cpu_millis={cpu_millis}&memory_bytes={memory_bytes}&gpu={gpu}&gas_budget={gas_budget}"
        );
        let call = Call {
            method: Method::GET,
            path_and_query: format!("{OFFER_PATH}?{query}"),
            headers: Vec::new(),
            body: bytes::Bytes::new(),
            deadline: ANSWER_TIME_MAX,
            stall_after: ANSWER_TIME_MAX,
            bytes_max: ANSWER_BYTES_MAX,
        };
        let words = |trouble| match trouble {
            Trouble::Theirs(words) | Trouble::Ours(words) => words,
        };
        let asker = format!("nisse:client:{client}");
        let mut called = self.core.network.call(asker, &self.core.network.named(url), call).await.map_err(words)?;
        let mut bytes = BytesMut::new();
        while let Some(piece) = called.pieces.next().await {
            bytes.extend_from_slice(&piece.map_err(words)?);
        }
        if called.status != 200 {
            return Err(said(called.status, &bytes));
        }
        let told: NodeOffer = serde_json::from_slice(&bytes).map_err(|_| "its answer is no offer".to_owned())?;
        let offer = read(&told)?;
        let now = self.core.next_block_time().seconds();
        check(&offer, market, operator, client, resources(asked), now)?;
        Ok(offer)
    }
}

/// Whether the contract would take it from this client, for an agent of this size.
fn check(
    signed: &SignedOffer,
    market: &Market,
    operator: Address,
    client: Address,
    resources: Resources,
    now: u64,
) -> Result<(), String> {
    let (offer, at) = (&signed.offer, market.addresses());
    let up_to = offer.up_to;
    let fits = resources.cpu <= up_to.cpu && resources.memory <= up_to.memory && (up_to.gpu || !resources.gpu);
    let signer = signed.signer(at.chain, at.manager).map_err(|error| format!("its signature is nobody's: {error}"))?;
    if signer != operator || offer.node != operator {
        return Err("its offer is not signed by its operator for this market".to_owned());
    }
    if offer.client.is_some_and(|meant| meant != client) {
        return Err("its offer is another client's".to_owned());
    }
    if !fits {
        return Err("its offer is for a smaller agent".to_owned());
    }
    if offer.valid_until < now + LEFT_MIN {
        return Err("its offer has run out".to_owned());
    }
    Ok(())
}

/// The words of a refusal.
fn said(status: u16, body: &[u8]) -> String {
    let title = serde_json::from_slice::<serde_json::Value>(body).ok();
    let title = title.as_ref().and_then(|problem| problem["title"].as_str());
    match title {
        Some(title) => format!("it says: {}", plain(title).chars().take(WORDS_MAX).collect::<String>()),
        None => format!("it answered {status}"),
    }
}

/// The better of two has the lower: as the contract judges bids, but that a client who asks each node leaves no order to
/// newcomers by lot.
fn order_of(rate: AmountPerHour, facts: Option<NodeFacts>, selection: Selection) -> (bool, Reverse<u16>, u128) {
    let score = facts.map_or(0, |facts| facts.score);
    let newcomer = facts.is_none_or(|facts| facts.newcomer);
    match selection {
        Selection::LowestPrice => (false, Reverse(0), rate.0),
        Selection::HighestReputation => (newcomer, Reverse(score), rate.0),
        Selection::Score => (newcomer, Reverse(0), rate.0.saturating_mul(20_000 - u128::from(score.min(10_000)))),
    }
}
