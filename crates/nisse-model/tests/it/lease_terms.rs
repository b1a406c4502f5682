//! What a lease costs: exact, whatever the order of settling.

use nisse_model::{Amount, AmountPerHour, LeaseTerms, Timestamp, due};
use proptest::prelude::*;

const START: Timestamp = Timestamp(1_760_000_000_000);
const HOUR_MS: u64 = 3_600_000;

fn talos(whole: u128) -> Amount {
    Amount(whole * Amount::TALOS.0)
}

#[test]
fn a_thousand_talos_at_fifty_per_hour_last_exactly_twenty_hours() {
    let terms = LeaseTerms { rate: AmountPerHour(talos(50).0), started: START };
    let end = terms.ends_at(talos(1000)).unwrap();
    assert_eq!(end, START.plus_ms(20 * HOUR_MS));
    assert_eq!(terms.accrued(end), talos(1000));
    assert!(terms.accrued(Timestamp(end.0 - 1000)) < talos(1000));
    assert_eq!(terms.due(end, talos(999)), talos(1));
}

#[test]
fn a_home_lease_costs_nothing_and_never_ends() {
    let terms = LeaseTerms { rate: AmountPerHour(0), started: START };
    assert_eq!(terms.accrued(Timestamp(u64::MAX)), Amount(0));
    assert_eq!(terms.ends_at(talos(1)), None);
    assert_eq!(terms.ends_at(Amount(0)), None);
}

#[test]
fn nothing_is_due_before_the_start_or_after_too_much_was_paid() {
    let rate = AmountPerHour(talos(50).0);
    assert_eq!(due(rate, START, Timestamp(0), Amount(0)), Amount(0));
    assert_eq!(due(rate, START, START.plus_ms(HOUR_MS), talos(51)), Amount(0));
}

#[test]
fn parts_of_a_second_and_of_the_smallest_unit_are_not_owed() {
    let terms = LeaseTerms { rate: AmountPerHour(3599), started: START };
    assert_eq!(terms.accrued(START.plus_ms(1999)), Amount(0));
    assert_eq!(terms.accrued(START.plus_ms(2000)), Amount(1));
    assert_eq!(terms.accrued(START.plus_ms(HOUR_MS)), Amount(3599));
}

#[test]
fn the_largest_rate_does_not_overflow() {
    let rate = AmountPerHour(u128::MAX);
    assert_eq!(due(rate, START, START.plus_ms(HOUR_MS), Amount(0)), Amount(u128::MAX));
    assert_eq!(due(rate, START, START.plus_ms(3 * HOUR_MS), Amount(0)), Amount(u128::MAX));
}

proptest! {
    #[test]
    fn what_is_paid_does_not_depend_on_when_it_is_settled(
        rate in 0..10u128.pow(30),
        mut moments in prop::collection::vec(0..100 * HOUR_MS, 1..20),
    ) {
        moments.sort_unstable();
        let rate = AmountPerHour(rate);
        let last = START.plus_ms(*moments.last().unwrap());
        let mut paid = Amount(0);
        for moment in &moments {
            let amount = due(rate, START, START.plus_ms(*moment), paid);
            paid = paid.checked_add(amount).unwrap();
        }
        prop_assert_eq!(paid, due(rate, START, last, Amount(0)));
    }

    #[test]
    fn the_formula_is_that_of_the_contract(rate in 0..10u128.pow(27), seconds in 0..10u64.pow(9), paid in 0..10u128.pow(27)) {
        let expected = (rate * u128::from(seconds) / 3600).saturating_sub(paid);
        let now = START.plus_ms(seconds * 1000);
        prop_assert_eq!(due(AmountPerHour(rate), START, now, Amount(paid)), Amount(expected));
    }

    #[test]
    fn a_lease_ends_in_the_first_second_in_which_its_money_is_used_up(
        rate in 1..10u128.pow(24),
        deposited in 1..10u128.pow(24),
    ) {
        let terms = LeaseTerms { rate: AmountPerHour(rate), started: START };
        if let Some(end) = terms.ends_at(Amount(deposited)) {
            prop_assert!(terms.accrued(end) >= Amount(deposited));
            prop_assert!(terms.accrued(Timestamp(end.0 - 1000)) < Amount(deposited));
        }
    }
}
