//! What the nodes of the market offer for an agent of this home: each that is registered is asked at the place that the
//! chain names.
//!
//! They are strangers. Only an offer that the contract would take counts as one, and their words are shown as theirs:
//! short, and free of control characters.

use std::cmp::Reverse;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use futures::StreamExt as _;
use http::Method;
use nisse_content::GatewayUrl;
use nisse_market::{Market, MarketAddresses, NodeFacts, NodeStatus, NodeView, Selection, SignedOffer};
use nisse_model::{Address, Amount, AmountPerHour, Resources};

use super::nodes::{Known, reputation};
use super::offer::{OFFER_PATH, read, resources};
use super::{Node, market_error};
use crate::control::{MarketOffer, MarketOffers, NodeOffer, OfferAsked};
use crate::error::{NodeError, chain};
use crate::logs::plain;
use crate::network::{Call, Trouble};
use crate::packages::GAS_BUDGET_PER_HOUR;

/// Nodes that are looked at, those that registered last, and those of them that are asked.
const LOOKED_AT_MAX: usize = 512;
const ASKED_MAX: usize = 64;
/// Nodes that are asked at once, and how often one is asked where this node's own limits were in the way.
const ASKED_AT_ONCE: usize = 8;
const TRIES_MAX: u32 = 4;
/// The rest before the next try.
const RETRY: Duration = Duration::from_secs(1);
/// How long one of them may take.
const ANSWER_TIME_MAX: Duration = Duration::from_secs(5);
/// Largest answer.
const ANSWER_BYTES_MAX: usize = 16 << 10;
/// Longest words of a stranger that are shown, in characters.
const WORDS_MAX: usize = 300;
/// Names the node's own requests in caps and audit lines. No agent can be called so.
const ASKER: &str = "nisse:client";
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
        let market = self.market(self.deploying_key(None, Some(Amount(1))).await?)?;
        self.check_offers(&market).await?;
        let asked = OfferAsked { gas_budget: GAS_BUDGET_PER_HOUR, ..asked };
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
        let refused = |error| market_error(&error);
        let least = market.min_stake().await.map_err(refused)?;
        let (nodes, older) = self.registered(market, LOOKED_AT_MAX).await?;
        let able = |(_, node, _): &Known| node.status == NodeStatus::Active && node.stake >= least;
        let nodes: Vec<Known> = nodes.into_iter().filter(able).collect();
        let unasked = older + nodes.len().saturating_sub(ASKED_MAX) as u64;
        let answers = nodes.into_iter().take(ASKED_MAX).map(|(operator, node, facts)| async move {
            let endpoint = plain(&node.endpoint);
            match self.offer_of(market, operator, client, &node, asked).await {
                Ok(offer) => Ok(Gathered { offer, endpoint, facts }),
                Err(words) => Err(format!("the node {operator} at {endpoint}: {}", short(&words))),
            }
        });
        let answers = futures::stream::iter(answers);
        let mut round = Round::default();
        if unasked > 0 {
            round.refusals.push(format!("{unasked} nodes that registered earlier were not asked"));
        }
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

    /// A node's offer, or why there is none.
    async fn offer_of(
        &self,
        market: &Market,
        operator: Address,
        client: Address,
        node: &NodeView,
        asked: &OfferAsked,
    ) -> Result<SignedOffer, String> {
        let told = match operator == self.core.operator {
            // This node need not find itself.
            true => {
                let own = OfferAsked { client: Some(client.to_string()), ..asked.clone() };
                self.offer(own).await.map_err(|error| error.text)?
            }
            false => self.ask_for_offer(&node.endpoint, client, asked).await?,
        };
        let offer = read(&told)?;
        check(&offer, market.addresses(), operator, client, resources(asked), self.core.chain_clock().seconds())?;
        let needed = market.stake_for(offer.offer.rate).await.map_err(|error| chain(&error))?;
        let free = Amount(node.stake.0.saturating_sub(node.locked.0));
        match free >= needed {
            true => Ok(offer),
            false => Err(format!("it has {free} TALOS of free stake, and its offer takes {needed}")),
        }
    }

    async fn ask_for_offer(&self, endpoint: &str, client: Address, asked: &OfferAsked) -> Result<NodeOffer, String> {
        let url: GatewayUrl = endpoint.parse().map_err(|_| "its endpoint is no gateway's URL".to_owned())?;
        let provider = self.core.network.named(url);
        let OfferAsked { cpu_millis, memory_bytes, gpu, gas_budget, .. } = asked;
        let query = format!(
            "client={client}&cpu_millis={cpu_millis}&memory_bytes={memory_bytes}&gpu={gpu}&gas_budget={gas_budget}"
        );
        let call = || Call {
            method: Method::GET,
            path_and_query: format!("{OFFER_PATH}?{query}"),
            headers: Vec::new(),
            body: Bytes::new(),
            deadline: ANSWER_TIME_MAX,
            stall_after: ANSWER_TIME_MAX,
            bytes_max: ANSWER_BYTES_MAX,
        };
        let mut tries = 0;
        let mut called = loop {
            tries += 1;
            match self.core.network.call(format!("{ASKER}:{client}"), &provider, call()).await {
                Ok(called) => break called,
                // Many are asked at once, and this node limits itself.
                Err(Trouble::Ours(_)) if tries < TRIES_MAX => tokio::time::sleep(RETRY).await,
                Err(Trouble::Theirs(words) | Trouble::Ours(words)) => return Err(words),
            }
        };
        let mut bytes = BytesMut::new();
        while let Some(piece) = called.pieces.next().await {
            match piece {
                Ok(piece) => bytes.extend_from_slice(&piece),
                Err(Trouble::Theirs(words) | Trouble::Ours(words)) => return Err(words),
            }
        }
        match called.status {
            200 => serde_json::from_slice(&bytes).map_err(|_| "its answer is no offer".to_owned()),
            status => Err(said(status, &bytes)),
        }
    }
}

/// Whether the contract would take it from this client, for an agent of this size.
fn check(
    signed: &SignedOffer,
    at: &MarketAddresses,
    operator: Address,
    client: Address,
    resources: Resources,
    now: u64,
) -> Result<(), String> {
    let offer = &signed.offer;
    let up_to = offer.up_to;
    let fits = resources.cpu <= up_to.cpu && resources.memory <= up_to.memory && (up_to.gpu || !resources.gpu);
    let signer = signed.signer(at.chain, at.manager).map_err(|error| format!("its signature is nobody's: {error}"))?;
    if signer != operator || offer.node != operator {
        return Err("its offer is not signed by its operator for this market".to_owned());
    }
    if offer.rate == AmountPerHour(0) {
        return Err("its offer is for nothing, which the market does not take".to_owned());
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
    match title.as_ref().and_then(|problem| problem["title"].as_str()) {
        Some(title) => format!("it says: {title}"),
        None => format!("it answered {status}"),
    }
}

/// A stranger's words as they are shown.
fn short(words: &str) -> String {
    plain(words).chars().take(WORDS_MAX).collect()
}

/// The better of two has the lower: as the contract judges bids, but that a client who asks each node leaves no order to
/// newcomers by lot.
fn order_of(rate: AmountPerHour, facts: Option<NodeFacts>, selection: Selection) -> (bool, Reverse<u16>, u128) {
    let score = facts.map_or(0, |facts| facts.score);
    let newcomer = facts.is_none_or(|facts| facts.newcomer);
    match selection {
        Selection::LowestPrice | Selection::SealedPrice => (false, Reverse(0), rate.0),
        Selection::HighestReputation => (newcomer, Reverse(score), rate.0),
        Selection::Score | Selection::SealedScore => {
            (newcomer, Reverse(0), rate.0.saturating_mul(20_000 - u128::from(score.min(10_000))))
        }
    }
}

#[cfg(test)]
mod tests {
    use nisse_market::{LocalKey, Offer, Signer as _};
    use nisse_model::{ByteSize, Cpu};

    use super::*;
    use crate::fixtures::market_addresses;

    const CLIENT: Address = Address([7; 20]);

    fn key(byte: u8) -> LocalKey {
        LocalKey::from_bytes(&[byte; 32]).expect("a key")
    }

    fn room(millis: u32, gpu: bool) -> Resources {
        Resources { cpu: Cpu { millis }, memory: ByteSize(1 << 20), gpu }
    }

    /// What comes of an offer that was changed before it was signed.
    async fn judged(change: impl FnOnce(&mut Offer), signer: &LocalKey, asked: Resources) -> Result<(), String> {
        let at = market_addresses(9);
        let operator = key(1).address();
        let (up_to, rate) = (room(500, false), AmountPerHour(40));
        let mut offer = Offer { node: operator, client: Some(CLIENT), up_to, rate, valid_until: 1_060, nonce: 3 };
        change(&mut offer);
        let signed = offer.sign(at.chain, at.manager, signer).await.expect("it signs");
        check(&signed, &at, operator, CLIENT, asked, 1_000)
    }

    #[tokio::test]
    async fn only_what_the_contract_would_take_is_an_offer() {
        let (own, fits) = (key(1), room(500, false));
        assert_eq!(judged(|_| {}, &own, fits).await, Ok(()));
        assert_eq!(judged(|offer| offer.client = None, &own, fits).await, Ok(()), "anybody's is this client's too");
        let said = |words: &str| Err(words.to_owned());
        let unsigned = "its offer is not signed by its operator for this market";
        assert_eq!(judged(|_| {}, &key(2), fits).await, said(unsigned));
        let other = key(2).address();
        assert_eq!(judged(|offer| offer.node = other, &own, fits).await, said(unsigned));
        let foreign = judged(|offer| offer.client = Some(Address([8; 20])), &own, fits).await;
        assert_eq!(foreign, said("its offer is another client's"));
        for large in [room(501, false), room(1, true)] {
            assert_eq!(judged(|_| {}, &own, large).await, said("its offer is for a smaller agent"));
        }
        let nothing = judged(|offer| offer.rate = AmountPerHour(0), &own, fits).await;
        assert_eq!(nothing, said("its offer is for nothing, which the market does not take"));
        assert_eq!(judged(|offer| offer.valid_until = 1_009, &own, fits).await, said("its offer has run out"));
    }

    #[test]
    fn the_best_offer_is_the_one_that_the_client_chooses_by() {
        let known = |score| {
            let newcomer = score < 2_500;
            Some(NodeFacts { score, newcomer, worked_seconds: 0, fault_seconds: 0, counted: None })
        };
        let best = |selection| {
            let mut offers =
                [(40, None), (30, known(2_400)), (50, known(9_000)), (42, known(3_000)), (42, known(9_000))];
            offers.sort_by_key(|(rate, facts)| order_of(AmountPerHour(*rate), *facts, selection));
            offers.map(|(rate, facts)| (rate, facts.map_or(0, |facts| facts.score)))
        };
        let lowest = [(30, 2_400), (40, 0), (42, 3_000), (42, 9_000), (50, 9_000)];
        assert_eq!(best(Selection::LowestPrice), lowest);
        let known_first = [(42, 9_000), (50, 9_000), (42, 3_000), (30, 2_400), (40, 0)];
        assert_eq!(best(Selection::HighestReputation), known_first);
        assert_eq!(best(Selection::Score), known_first, "50 at a score of 9,000 is less than 42 at 3,000");
    }
}
