//! What agents may publish, in stories.

use nisse_model::Address;

use super::*;

fn deployment() -> DeploymentId {
    DeploymentId { chain: 1, contract: Address([2; 20]), number: 3 }
}

fn waiting(key: &str, position: u64) -> Waiting {
    let (key, asset, position) = (key.to_owned(), "ETH/USD".to_owned(), Position(position));
    Waiting { key, asset, answer: 1, label: None, position, since: Duration::ZERO }
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
    ledger.spend(deployment(), 438_838, "first".to_owned(), Position(1));
    assert_eq!(ledger.gas_refusal(&deployment()), None);
    ledger.spend(deployment(), 68_148, "second".to_owned(), Position(2));
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
    ledger.set_chain_time(Timestamp(1));
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
fn rows_are_let_go_when_the_mark_has_passed_their_records_and_not_before() {
    let ledger = Ledger::default();
    ledger.restore_delivered("old".to_owned(), Position(2));
    ledger.wait(deployment(), waiting("held", 5));
    let other = DeploymentId { number: 4, ..deployment() };
    ledger.spend(other, 1, "later".to_owned(), Position(7));
    let mark = ledger.oldest_waiting().expect("one is held");
    assert_eq!(ledger.delivered_before(mark), ["old"]);
    // However long the one before it is held: a restart would send the later one again.
    ledger.let_go_before(mark);
    assert!(ledger.delivered_before(mark).is_empty());
    assert_eq!(ledger.delivered_before(Position(8)), ["later"]);
}

#[test]
fn answers_wait_until_the_chain_has_said_what_may_be_burnt() {
    let ledger = Ledger::default();
    assert_eq!(ledger.hold(&deployment()), Some(Hold::Unknown));
    let terms = Terms::new(100, Timestamp(1_000));
    ledger.restore_terms(deployment(), terms);
    assert_eq!(ledger.hold(&deployment()), Some(Hold::Unknown), "how many hours, the chain's clock says");
    assert_eq!(ledger.set_terms(deployment(), 100, Timestamp(1_000)), None);
    ledger.set_chain_time(Timestamp(1_001));
    assert_eq!(ledger.hold(&deployment()), None);
    assert_eq!(ledger.set_terms(deployment(), 100, Timestamp(1_000)), None, "nothing is new");
    ledger.spend(deployment(), 100, "one".to_owned(), Position(1));
    assert!(matches!(ledger.hold(&deployment()), Some(Hold::Spent(_))));
    assert!(ledger.set_terms(deployment(), 300, Timestamp(1_000)).is_some());
    assert_eq!(ledger.hold(&deployment()), None);
}
