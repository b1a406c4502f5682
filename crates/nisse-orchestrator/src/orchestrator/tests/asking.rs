//! What the market does not take is asked for again while it is called for.

use super::*;

fn not_taken(node: &mut Orchestrator, step: MarketStep, now: Timestamp) {
    let result = ActionResult::NotTaken(step);
    assert_eq!(node.handle(Event::Finished { deployment: deployment(1), result }, now), Effects::default());
}

fn tick(node: &mut Orchestrator, chain: Timestamp, now: Timestamp) -> Vec<Action> {
    node.handle(Event::Tick { chain }, now).actions
}

#[test]
fn a_start_that_a_lagging_endpoint_refuses_is_acknowledged_later_and_later_until_the_chain_has_it() {
    let mut node = orchestrator();
    assign(&mut node, 1, ALICE, lease());
    finish(&mut node, 1, ActionResult::Prepared(Ok(())));
    let effects = finish(&mut node, 1, ActionResult::Started(Ok(())));
    assert!(matches!(effects.actions[..], [Action::Acknowledge { attempt: 1, .. }]));
    let (mut now, mut pauses) = (NOW, Vec::new());
    for attempt in 2..9 {
        assert_eq!(tick(&mut node, NOW, now), [], "it is under way");
        not_taken(&mut node, MarketStep::Acknowledge, now);
        let refused = now;
        let again = loop {
            now = now.plus_ms(1_000);
            if let Some(action) = tick(&mut node, NOW, now).pop() {
                break action;
            }
        };
        assert_eq!(again, Action::Acknowledge { deployment: deployment(1), incarnation: 1, attempt });
        pauses.push(now.since_ms(refused) / 1_000);
    }
    assert_eq!(pauses, [2, 4, 8, 16, 32, 60, 60]);
    not_taken(&mut node, MarketStep::Acknowledge, now);
    node.handle(Event::Acknowledged { deployment: deployment(1), at: NOW }, now);
    assert_eq!(tick(&mut node, NOW, now.plus_ms(60_000)), [], "the chain has it");
}

#[test]
fn an_end_that_the_market_refuses_is_asked_for_again_unless_the_lease_was_topped_up() {
    let mut node = orchestrator();
    run(&mut node, 1, ALICE, lease());
    let end = NOW.plus_ms(20 * 3_600_000);
    assert_eq!(tick(&mut node, end, end), [Action::Expire { deployment: deployment(1) }]);
    not_taken(&mut node, MarketStep::Expire, end);
    assert_eq!(tick(&mut node, end, end), []);
    let later = end.plus_ms(2_000);
    assert_eq!(tick(&mut node, later, later), [Action::Expire { deployment: deployment(1) }]);
    not_taken(&mut node, MarketStep::Expire, later);
    node.handle(Event::Funded { deployment: deployment(1), deposited: Amount(2000) }, later);
    assert_eq!(tick(&mut node, later, later.plus_ms(4_000)), [], "it has not ended");
}

fn bid_on(node: &mut Orchestrator, round: u64) -> Vec<Action> {
    let order = Order { round, bids_until: Some(NOW), ..order(1, "agent1") };
    node.handle(Event::OrderOpened(order), NOW);
    finish(node, 1, ActionResult::Inspected(Ok(()))).actions
}

#[test]
fn a_choice_that_the_market_refuses_is_asked_for_again_in_its_own_round() {
    let mut node = orchestrator();
    bid_on(&mut node, 5);
    let (chain, id) = (NOW.plus_ms(1), deployment(1));
    assert_eq!(tick(&mut node, chain, NOW), [Action::Assign { deployment: id, round: 5, attempt: 1 }]);
    not_taken(&mut node, MarketStep::Assign { round: 4 }, NOW);
    assert_eq!(tick(&mut node, chain, NOW.plus_ms(60_000)), [], "another round's answer is not this one's");
    not_taken(&mut node, MarketStep::Assign { round: 5 }, NOW);
    let again = tick(&mut node, chain, NOW.plus_ms(2_000));
    assert_eq!(again, [Action::Assign { deployment: id, round: 5, attempt: 2 }]);
}

#[test]
fn where_nobody_s_bid_stands_after_the_window_it_is_bid_again_in_its_own_round() {
    let mut node = orchestrator();
    let Some(Action::Bid { rate, .. }) = bid_on(&mut node, 5).pop() else { panic!("it bids") };
    assert_eq!(node.bid(&deployment(1)), Some((5, rate)));
    let (chain, id) = (NOW.plus_ms(1), deployment(1));
    tick(&mut node, chain, NOW);
    let none = |node: &mut Orchestrator, round| finish(node, 1, ActionResult::NoBids { round }).actions;
    assert_eq!(none(&mut node, 4), [], "another round's answer is not this one's");
    assert_eq!(none(&mut node, 5), [Action::Bid { deployment: id, round: 5, rate }]);
    let again = tick(&mut node, chain, NOW.plus_ms(2_000));
    assert_eq!(again, [Action::Assign { deployment: id, round: 5, attempt: 2 }], "where that is not taken either");
    not_taken_bid(&mut node);
    assert_eq!(none(&mut node, 5), [], "it is somebody else's");
}

fn not_taken_bid(node: &mut Orchestrator) {
    let effects = finish(node, 1, ActionResult::NotTaken(MarketStep::Bid { round: 5 }));
    assert_eq!(effects.decisions, [Decision::BidLost { deployment: deployment(1) }]);
}

#[test]
fn an_order_that_came_back_to_the_market_is_bid_on_again_and_one_told_again_is_not() {
    let mut node = orchestrator();
    bid_on(&mut node, 5);
    let reopened = |round| Event::Reopened { deployment: deployment(1), round };
    assert_eq!(node.handle(reopened(5), NOW), Effects::default(), "the round of its bid");
    assert_eq!(bid_on(&mut node, 5), []);
    let lost = node.handle(reopened(9), NOW);
    assert_eq!(lost.decisions, [Decision::BidLost { deployment: deployment(1) }]);
    let bid = Action::Bid { deployment: deployment(1), round: 9, rate: AmountPerHour(50) };
    assert_eq!(bid_on(&mut node, 9), [bid]);
    not_taken(&mut node, MarketStep::Bid { round: 5 }, NOW);
    assert_eq!(node.orders().collect::<Vec<_>>(), [(deployment(1), true)], "the bid of this round stands");
    let gone = finish(&mut node, 1, ActionResult::NotTaken(MarketStep::Bid { round: 9 }));
    assert_eq!(gone.decisions, [Decision::BidLost { deployment: deployment(1) }]);
}
