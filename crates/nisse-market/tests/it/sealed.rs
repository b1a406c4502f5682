//! Sealed bids on the real contracts: what a node computes is what the contract checks.

use nisse_market::{
    DeployOrder, DeploymentState, Market, MarketCall, MarketError, MarketEvent, OrderTerms, PublicationTerms,
    QueueError, SealedBid, Selection,
};
use nisse_model::{Amount, AmountPerHour, Hash256, Timestamp};

use crate::support::{Stage, rate, talos, terms};

/// Seconds of the bid window: the first half to commit, the second to reveal.
const WINDOW: u32 = 60;

/// An order of the owner's whose bids are sealed.
async fn sealed_order(stage: &Stage) -> u64 {
    let terms = PublicationTerms { bid_window_seconds: WINDOW, ..terms() };
    let publication = stage.owner.publish("publish", terms).await.unwrap();
    let terms = Some(OrderTerms { selection: Selection::SealedPrice, provider: None });
    let order = DeployOrder { publication, payment: talos(1_000), terms, ..DeployOrder::default() };
    stage.owner.deploy("deploy", order).await.unwrap()
}

async fn bid_of(market: &Market, number: u64, rate: AmountPerHour) -> SealedBid {
    let (_, round_ends) = market.deployment(number).await.unwrap().reveals().unwrap();
    let salt = Hash256::of(&market.key().0);
    SealedBid { deployment: market.deployment_id(number), round_ends, node: market.key(), rate, salt }
}

fn commit(bid: &SealedBid) -> MarketCall {
    MarketCall::CommitBid { deployment: bid.deployment.number, commitment: bid.commitment() }
}

fn reveal(bid: &SealedBid) -> MarketCall {
    MarketCall::RevealBid { deployment: bid.deployment.number, rate: bid.rate, salt: bid.salt }
}

async fn refusal(market: &Market, intent: &str, call: &MarketCall) -> (String, String) {
    match market.write(intent, call).await.unwrap_err() {
        MarketError::Queue(QueueError::Refused(revert)) => (revert.name, revert.text),
        other => panic!("{other}"),
    }
}

async fn locked(market: &Market) -> Amount {
    market.node(market.key()).await.unwrap().unwrap().locked
}

#[tokio::test]
async fn the_lowest_of_the_sealed_bids_wins_and_nobody_sees_a_rate_before_all_are_made() {
    let stage = Stage::funded().await;
    let number = sealed_order(&stage).await;
    assert_eq!(stage.owner.selection(number).await.unwrap(), Selection::SealedPrice);
    assert!(stage.owner.takes_sealed_bids().await.unwrap());
    let plain = MarketCall::Bid { deployment: number, rate: rate(1) };
    let (name, text) = refusal(&stage.node, "plain", &plain).await;
    assert_eq!(name, "BidsSealed");
    assert!(text.starts_with(&format!("bids for deployment {number} are sealed until ")), "{text}");

    let (dear, cheap) = (bid_of(&stage.node, number, rate(42)).await, bid_of(&stage.other, number, rate(40)).await);
    stage.node.write("commit", &commit(&dear)).await.unwrap();
    let written = stage.other.write("commit", &commit(&cheap)).await.unwrap();
    let (node, commitment, round_ends) = (stage.other.key(), cheap.commitment(), cheap.round_ends);
    let told = MarketEvent::BidCommitted { deployment: number, node, commitment, round_ends };
    assert_eq!(written.events, [told]);
    let limit = terms().max_rate;
    assert_eq!(locked(&stage.node).await, Amount(limit.0 * 24), "the order's limit, since nobody knows the rate");
    let made = stage.owner.sealed_bid(number, node, commitment).await.unwrap();
    assert_eq!(made, Some((round_ends, limit)));
    assert_eq!(refusal(&stage.node, "early", &reveal(&dear)).await.0, "RevealNotOpen");

    stage.pass(u64::from(WINDOW) / 2);
    let late = SealedBid { rate: rate(1), ..dear };
    assert_eq!(refusal(&stage.node, "late", &commit(&late)).await.0, "CommitClosed");
    assert_eq!(
        refusal(&stage.node, "other", &reveal(&late)).await.0,
        "NotCommitted",
        "it never committed to that rate"
    );
    stage.other.write("reveal", &reveal(&cheap)).await.unwrap();
    assert_eq!(stage.owner.sealed_bid(number, node, commitment).await.unwrap(), None);
    let written = stage.node.write("reveal", &reveal(&dear)).await.unwrap();
    let told = MarketEvent::BidRevealed { deployment: number, node: stage.node.key(), rate: rate(42) };
    assert_eq!(written.events, [told], "one that does not lead is no error");
    assert_eq!((locked(&stage.node).await, locked(&stage.other).await), (Amount(0), Amount(rate(40).0 * 24)));

    stage.pass(u64::from(WINDOW) / 2);
    stage.owner.write("assign", &MarketCall::Assign { deployment: number }).await.unwrap();
    let view = stage.owner.deployment(number).await.unwrap();
    assert_eq!((view.state, view.node, view.rate), (DeploymentState::Assigned, Some(stage.other.key()), rate(40)));
}

#[tokio::test]
async fn what_is_not_revealed_holds_its_stake_for_a_day_and_the_order_goes_to_a_plain_bid() {
    let stage = Stage::funded().await;
    let number = sealed_order(&stage).await;
    let bid = bid_of(&stage.node, number, rate(40)).await;
    stage.node.write("commit", &commit(&bid)).await.unwrap();
    stage.pass(u64::from(WINDOW));
    let assign = MarketCall::Assign { deployment: number };
    assert_eq!(refusal(&stage.other, "assign", &assign).await.0, "NoBids");
    stage.other.bid("bid", number, rate(45)).await.unwrap();
    let view = stage.owner.deployment(number).await.unwrap();
    assert_eq!((view.state, view.node), (DeploymentState::Assigned, Some(stage.other.key())));

    let (node, commitment) = (stage.node.key(), bid.commitment());
    let reclaim = MarketCall::ReclaimBid { deployment: number, node, commitment };
    let (name, text) = refusal(&stage.owner, "reclaim/early", &reclaim).await;
    let until = Timestamp(bid.round_ends.0 + 24 * 3_600 * 1_000).seconds();
    assert_eq!(name, "BidHeld");
    assert!(text.ends_with(&format!("held until {until}")), "{text}");
    stage.pass(24 * 3_600);
    let written = stage.owner.write("reclaim", &reclaim).await.unwrap();
    assert_eq!(written.events, [MarketEvent::BidReclaimed { deployment: number, node, commitment }]);
    assert_eq!(locked(&stage.node).await, Amount(0));
}
