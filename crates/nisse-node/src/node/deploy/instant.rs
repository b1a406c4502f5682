//! An order that is given to a node in the transaction that makes it: the best offer that the market takes.

use nisse_market::{DeployOrder, Market, MarketError, QueueError, SignedOffer};

use super::AskedTerms;
use crate::control::OfferAsked;
use crate::error::{ErrorKind, NodeError};
use crate::node::{Node, market_error};
use crate::packages::{self, Stored};
use crate::timeline::Timeline;

/// Offers that are tried, the best ones: a refusal costs a question, since nothing is sent that the market would refuse.
const OFFERS_TRIED_MAX: usize = 16;
/// Refusals that are told.
const REFUSALS_TOLD_MAX: usize = 4;

impl Node {
    /// Takes the best of the nodes' offers that the market takes; the deployment's number.
    pub(super) async fn take_offer(
        &self,
        timeline: &mut Timeline,
        market: &Market,
        stored: &Stored,
        order: DeployOrder,
        terms: AskedTerms,
    ) -> Result<u64, NodeError> {
        let resources = stored.manifest.resources;
        let asked = OfferAsked {
            client: None,
            cpu_millis: resources.cpu.millis,
            memory_bytes: resources.memory.0,
            gpu: resources.gpu,
            gas_budget: packages::GAS_BUDGET_PER_HOUR,
        };
        let mut round = self.offers(market, &asked, terms.selection).await?;
        let many = round.offers.len();
        timeline.note("offers", format!("{many} of {} nodes that were asked", many + round.refusals.len()));
        let (taken, dear): (Vec<SignedOffer>, Vec<_>) =
            round.offers.iter().map(|gathered| gathered.offer).partition(|signed| signed.offer.rate <= terms.max_rate);
        let too_much = |SignedOffer { offer, .. }: &SignedOffer| {
            format!("the node {}: {} TALOS per hour are too much", offer.node, offer.rate)
        };
        round.refusals.extend(dear.iter().map(too_much));
        for signed in taken.into_iter().take(OFFERS_TRIED_MAX) {
            // What its node gives back pays others no more than was agreed on.
            let order = DeployOrder { max_rate: Some(signed.offer.rate), ..order.clone() };
            let intent = self.core.fresh_name("deploy");
            match market.deploy_with(&intent, order, signed).await {
                Ok(number) => return Ok(number),
                // The next one's may be taken.
                Err(MarketError::Queue(QueueError::Refused(reason)) | MarketError::Reverted { reason, .. }) => {
                    round
                        .refusals
                        .push(format!("the node {}: the market refuses its offer: {reason}", signed.offer.node));
                }
                Err(error) => return Err(market_error(&error)),
            }
        }
        let name = &stored.reference.agent_id.name;
        let told = round.refusals.iter().take(REFUSALS_TOLD_MAX).cloned().collect::<Vec<_>>().join("; ");
        let why = match round.refusals.len() {
            0 => "no node is registered".to_owned(),
            1..=REFUSALS_TOLD_MAX => told,
            many => format!("{told}; and {} more, which `nisse market offers` lists", many - REFUSALS_TOLD_MAX),
        };
        let text = format!("failed to deploy {name} at once: no offer could be taken: {why}");
        Err(NodeError::new(ErrorKind::Refused, "offers_none", text)
            .with_hint("without --instant the order stays open until a node bids".to_owned()))
    }
}
