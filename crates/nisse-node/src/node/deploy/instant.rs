//! An order that is given to a node in the transaction that makes it: the best offer that the market takes.

use nisse_market::{DeployOrder, Market, MarketError, Offer, QueueError, SignedOffer};

use super::AskedTerms;
use crate::control::OfferAsked;
use crate::error::{ErrorKind, NodeError};
use crate::node::offers::Round;
use crate::node::{Node, market_error};
use crate::packages::{self, Stored};
use crate::timeline::Timeline;

/// Offers that are tried, the best ones: a refusal costs a question, since nothing is sent that the market would refuse.
const OFFERS_TRIED_MAX: usize = 16;
/// Refusals that are told.
const REFUSALS_TOLD_MAX: usize = 4;

impl Node {
    /// The best of the nodes' offers that cost no more than the order may pay. Nothing is sent to the chain for this.
    pub(super) async fn find_offers(
        &self,
        timeline: &mut Timeline,
        market: &Market,
        stored: &Stored,
        terms: AskedTerms,
    ) -> Result<Vec<SignedOffer>, NodeError> {
        let resources = stored.manifest.resources;
        let asked = OfferAsked {
            client: None,
            cpu_millis: resources.cpu.millis,
            memory_bytes: resources.memory.0,
            gpu: resources.gpu,
            gas_budget: packages::GAS_BUDGET_PER_HOUR,
        };
        let Round { offers, refusals } = self.offers(market, &asked, terms.selection).await?;
        let many = offers.len();
        timeline.note("offers", format!("{many} of {} nodes that were asked", many + refusals.len()));
        let (fair, dear): (Vec<SignedOffer>, Vec<SignedOffer>) =
            offers.into_iter().map(|gathered| gathered.offer).partition(|signed| signed.offer.rate <= terms.max_rate);
        if !fair.is_empty() {
            return Ok(fair);
        }
        match dear.iter().map(|signed| signed.offer.rate).min() {
            None => Err(none(stored, &refusals)),
            Some(lowest) => {
                let (name, most) = (&stored.reference.agent_id.name, terms.max_rate);
                let text = format!(
                    "failed to deploy {name} at once: the lowest offer is {lowest} TALOS per hour, and it may cost {most}"
                );
                Err(NodeError::new(ErrorKind::Refused, "offers_dear", text)
                    .with_hint(format!("pay more with `--max-rate {lowest}`; `nisse market offers DIR` lists them")))
            }
        }
    }

    /// Takes the first of these offers that the market takes; the deployment's number.
    pub(super) async fn take_offer(
        &self,
        timeline: &mut Timeline,
        market: &Market,
        stored: &Stored,
        order: DeployOrder,
        offers: Vec<SignedOffer>,
    ) -> Result<u64, NodeError> {
        let mut refusals = Vec::new();
        for signed in offers.into_iter().take(OFFERS_TRIED_MAX) {
            let Offer { node, rate, .. } = signed.offer;
            // What its node gives back pays others no more than was agreed on.
            let order = DeployOrder { max_rate: Some(rate), ..order.clone() };
            match market.deploy_with(&self.core.fresh_name("deploy"), order, signed).await {
                Ok(number) => {
                    timeline.note("taken", format!("the offer of the node {node}: {rate} TALOS per hour"));
                    return Ok(number);
                }
                // The next one's may be taken.
                Err(MarketError::Queue(QueueError::Refused(reason)) | MarketError::Reverted { reason, .. }) => {
                    refusals.push(format!("the node {node}: the market refuses its offer: {reason}"));
                }
                Err(error) => return Err(market_error(&error)),
            }
        }
        Err(none(stored, &refusals))
    }
}

/// No offer could be taken.
fn none(stored: &Stored, refusals: &[String]) -> NodeError {
    let told = refusals.iter().take(REFUSALS_TOLD_MAX).cloned().collect::<Vec<_>>().join("; ");
    let why = match refusals.len() {
        0 => "no node is registered".to_owned(),
        1..=REFUSALS_TOLD_MAX => told,
        many => format!("{told}; and {} more, which `nisse market offers` lists", many - REFUSALS_TOLD_MAX),
    };
    let text = format!("failed to deploy {} at once: no offer could be taken: {why}", stored.reference.agent_id.name);
    NodeError::new(ErrorKind::Refused, "offers_none", text)
        .with_hint("without --instant the order stays open until a node bids".to_owned())
}
