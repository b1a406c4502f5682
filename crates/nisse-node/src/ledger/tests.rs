//! What agents may publish, in stories.

use nisse_model::Address;

use super::*;

fn deployment() -> DeploymentId {
    DeploymentId { chain: 1, contract: Address([2; 20]), number: 3 }
}

fn waiting(key: &str, since: u64) -> Waiting {
    Waiting { key: key.to_owned(), asset: "ETH/USD".to_owned(), answer: 1, label: None, since: Position(since) }
}

#[test]
fn a_reached_rate_refuses_until_the_next_hour() {
    let ledger = Ledger::default();
    let now = Timestamp(3_600_000);
    ledger.count_publications(deployment(), now, PUBLICATIONS_PER_HOUR_MAX - 1);
    assert_eq!(ledger.publish_refusal(&deployment(), now), None);
    ledger.count_publications(deployment(), now, 1);
    assert!(ledger.publish_refusal(&deployment(), now).is_some());
    assert_eq!(ledger.publish_refusal(&deployment(), now.plus_ms(3_600_000)), None);
}

#[test]
fn gas_is_counted_from_receipts_and_grows_with_each_started_hour() {
    let ledger = Ledger::default();
    let started = Timestamp(7_000);
    assert_eq!(ledger.gas_refusal(&deployment()), None, "the chain has not said what is allowed");
    ledger.set_chain_time(started);
    ledger.set_terms(deployment(), 500_000, started);
    ledger.spend(deployment(), 438_838, "first".to_owned());
    assert_eq!(ledger.gas_refusal(&deployment()), None);
    ledger.spend(deployment(), 68_148, "second".to_owned());
    assert_eq!(ledger.gas(&deployment()), Gas { spent: 506_986, allowed: Some(500_000) });
    let refusal = ledger.publish_refusal(&deployment(), started).expect("it is spent");
    assert_eq!(
        refusal,
        "the deployment's gas budget is spent: 506986 of 500000 by now, more with the lease's next hour"
    );
    ledger.set_chain_time(started.plus_ms(3_600_000));
    assert_eq!(ledger.publish_refusal(&deployment(), started), None);
}

#[test]
fn what_waits_is_held_against_the_budget_and_against_a_limit() {
    let ledger = Ledger::default();
    ledger.set_terms(deployment(), 2 * ANSWER_GAS, Timestamp(0));
    assert!(ledger.wait(deployment(), waiting("one", 5)));
    assert_eq!(ledger.publish_refusal(&deployment(), Timestamp(0)), None);
    assert!(!ledger.wait(deployment(), waiting("two", 6)), "one task delivers for a deployment");
    assert!(ledger.publish_refusal(&deployment(), Timestamp(0)).is_some(), "both will burn gas");
    let other = DeploymentId { number: 4, ..deployment() };
    for _ in 0..PUBLICATIONS_WAITING_MAX {
        assert_eq!(ledger.publish_refusal(&other, Timestamp(0)), None);
        ledger.wait(other, waiting("more", 7));
    }
    assert!(ledger.publish_refusal(&other, Timestamp(0)).is_some());
}

#[test]
fn the_oldest_answer_holds_the_journal_until_it_arrives() {
    let ledger = Ledger::default();
    ledger.wait(deployment(), waiting("one", 5));
    ledger.wait(deployment(), waiting("two", 9));
    assert_eq!(ledger.oldest_waiting(), Some(Position(5)));
    ledger.arrived(&deployment());
    assert_eq!(ledger.oldest_waiting(), Some(Position(9)));
    assert_eq!(ledger.next_waiting(&deployment()).map(|next| next.key), Some("two".to_owned()));
    ledger.arrived(&deployment());
    assert_eq!(ledger.next_waiting(&deployment()), None);
    assert_eq!(ledger.oldest_waiting(), None);
    assert!(ledger.wait(deployment(), waiting("three", 12)), "the task before has ended");
}

#[test]
fn rows_are_let_go_two_looks_after_they_were_written() {
    let ledger = Ledger::default();
    ledger.restore_delivered("old".to_owned());
    ledger.spend(deployment(), 1, "one".to_owned());
    assert!(ledger.turn_delivered().is_empty());
    ledger.spend(deployment(), 1, "two".to_owned());
    let mut passed = ledger.turn_delivered();
    passed.sort();
    assert_eq!(passed, ["old", "one"]);
    assert_eq!(ledger.turn_delivered(), ["two"]);
}
