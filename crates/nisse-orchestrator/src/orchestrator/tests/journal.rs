//! The journal against any history: applying its decisions gives the state that made them.

use std::collections::BTreeSet;

use proptest::prelude::*;

use super::*;

/// Any event at all, about few deployments, so that sequences meet every state.
fn any_event() -> impl Strategy<Value = Event> {
    let error = || PrepareError { stage: FailureStage::Fetch, reason: "gone".to_owned() };
    (1u64..4, 0u8..20, 0u64..100).prop_map(move |(number, kind, later)| {
        let id = deployment(number);
        let at = NOW.plus_ms(later * 1_000_000);
        let finished = |result| Event::Finished { deployment: id, result };
        let name = format!("agent{number}");
        match kind {
            0 => Event::OrderOpened(order(number, &name)),
            1 => Event::Assigned {
                deployment: id,
                placement: placement(ALICE, &name),
                assignment: lease(),
                began: 0,
                gas_budget: 500_000,
            },
            2 => Event::AssignedElsewhere { deployment: id },
            3 => Event::Acknowledged { deployment: id, at },
            4 => Event::Funded { deployment: id, deposited: Amount(u128::from(later)) },
            5 => Event::UpdateRequested {
                deployment: id,
                next: NextPackage { revision: later as u32, placement: placement(ALICE, &name), gas_budget: 0 },
            },
            6 => Event::Closed { deployment: id, reason: CloseReason::Owner },
            7 => finished(ActionResult::Inspected(Ok(()))),
            8 => finished(ActionResult::Prepared(Ok(()))),
            9 => finished(ActionResult::Prepared(Err(error()))),
            10 => finished(ActionResult::Started(Ok(()))),
            11 => finished(ActionResult::Started(Err("trap".to_owned()))),
            12 => finished(ActionResult::Swapped { revision: later as u32, result: Ok(()) }),
            13 => finished(ActionResult::AlarmHandled { number: later, end: AlarmEnd::Retry }),
            14 => Event::AlarmChanged { deployment: id, completion: 1, at: Some(at), on_trial: false },
            15 => Event::Reopened { deployment: id, round: later },
            16 => finished(ActionResult::SwapLost { revision: later as u32, error: error() }),
            17 => finished(ActionResult::NotTaken(MarketStep::Acknowledge)),
            18 => finished(ActionResult::NotTaken(MarketStep::Bid { round: later % 3 })),
            _ => Event::Tick { chain: at },
        }
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn applying_the_journal_gives_the_same_state_and_no_order_is_bid_on_again_before_the_bid_is_lost(
        events in proptest::collection::vec((any_event(), 0u64..1_000_000), 0..60)
    ) {
        let mut node = orchestrator();
        let mut replayed = orchestrator();
        let (mut bids, mut now) = (BTreeSet::new(), NOW);
        for (event, later) in events {
            now = now.plus_ms(later);
            let effects = node.handle(event, now);
            for decision in &effects.decisions {
                replayed.restore(&crate::decode(&crate::encode(decision)).expect("stored form"));
            }
            for decision in &effects.decisions {
                if let Decision::BidLost { deployment } | Decision::OrderRefused { deployment, .. } = decision {
                    bids.remove(deployment);
                }
            }
            for action in &effects.actions {
                if let Action::Bid { deployment, .. } = action {
                    prop_assert!(bids.insert(*deployment), "{deployment} was bid on twice");
                }
            }
            let used = node.used();
            prop_assert!(used.cpu <= policy().capacity.cpu && used.memory <= policy().capacity.memory);
        }
        replayed.boot(now);
        let mut direct = reborn(&node);
        direct.boot(now);
        prop_assert_eq!(direct.agents(), replayed.agents());
        prop_assert_eq!(direct.refused(), replayed.refused());
    }
}
