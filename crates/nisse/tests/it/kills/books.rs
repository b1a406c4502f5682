//! The contracts' own books against what the log adds up to: every token that was ever made is where it should be, to
//! the last unit.

use std::collections::BTreeSet;

use super::abi::{address_word, word};
use super::chain::{Chain, View};
use super::lease::Lease;
use super::ledger::Ledger;
use crate::harness::eventually;

/// Hours of its price that a node's stake answers for, by each lease.
const LOCK_HOURS: u128 = 24;

/// What a contract must say.
struct Claim {
    view: View,
    field: &'static str,
    expected: u128,
    about: String,
}

/// Compares all sums, and the lines in the escrow of leases that live or of which something happened.
pub(super) fn add_up(ledger: &mut Ledger, chain: &Chain<'_>) {
    let mut lines = std::mem::take(&mut ledger.touched);
    let live = ledger.leases.iter().filter(|(_, lease)| !lease.home && !lease.stopped);
    lines.extend(live.map(|(number, _)| *number));
    compare(ledger, chain, &lines);
}

/// The same with each lease that ever was.
pub(super) fn add_up_to_the_last_line(ledger: &mut Ledger, chain: &Chain<'_>) {
    let lines = ledger.leases.keys().copied().collect();
    compare(ledger, chain, &lines);
}

fn compare(ledger: &mut Ledger, chain: &Chain<'_>, lines: &BTreeSet<u128>) {
    let (claims, told) = eventually("the chain to stand still for a look", || {
        ledger.read_on(chain);
        let claims = claims(ledger, chain, lines);
        let (heads, told) = chain.views(&claims.iter().map(|claim| &claim.view).collect::<Vec<_>>());
        let head = ledger.at.as_ref().unwrap().number;
        (heads == [head; 2]).then_some((claims, told))
    });
    for (Claim { field, expected, about, .. }, told) in claims.iter().zip(told) {
        assert_eq!(told.number(field), *expected, "{about}");
    }
    let (held, settled) = (sum(ledger, |lease| lease.paid_in() - lease.refund - lease.settled), settled(ledger));
    let escrow = ledger.balances.get(chain.address("Escrow")).copied().unwrap_or(0);
    assert_eq!(escrow, held + settled, "the escrow holds what is not used up and what was not drawn");
    assert_eq!(ledger.balances.values().sum::<u128>(), ledger.minted);
}

fn claims(ledger: &Ledger, chain: &Chain<'_>, lines: &BTreeSet<u128>) -> Vec<Claim> {
    let operator = || vec![address_word(&chain.operator)];
    let claim = |view, field, expected, about: &str| Claim { view, field, expected, about: about.to_owned() };
    let (publications, leases) = (ledger.publications.len() as u128, ledger.leases.len() as u128);
    let stake = ledger.balances[chain.address("Nodes")];
    let locked = sum(ledger, Lease::rate) * LOCK_HOURS;
    let mut claims = vec![
        claim(View("Manager", "publications", Vec::new()), "", publications, "publications"),
        claim(View("Manager", "deployments", Vec::new()), "", leases, "deployments"),
        claim(View("TalosToken", "totalSupply", Vec::new()), "", ledger.minted, "tokens that were made"),
        claim(View("Escrow", "claimable", operator()), "", settled(ledger), "what the node may draw"),
        claim(View("Escrow", "earned", operator()), "", settled(ledger), "what the node earned"),
        claim(View("Nodes", "node", operator()), "view_.stake", stake, "the node's stake"),
        claim(View("Nodes", "node", operator()), "view_.locked", locked, "what of it answers for leases"),
    ];
    for (holder, balance) in &ledger.balances {
        let view = |contract, function| View(contract, function, vec![address_word(holder)]);
        claims.push(claim(view("TalosToken", "balanceOf"), "", *balance, holder));
        // Nobody is owed anything but the node: an owner who stops has the rest at once.
        if *holder != chain.operator {
            claims.push(claim(view("Escrow", "claimable"), "", 0, holder));
        }
    }
    for number in lines {
        let lease = &ledger.leases[number];
        let about = format!("{lease:?}");
        let view = || View("Escrow", "lineOf", vec![word(*number)]);
        claims.push(claim(view(), "deposited", lease.paid_in() - lease.refund, &about));
        claims.push(claim(view(), "paid", lease.settled, &about));
    }
    claims
}

fn settled(ledger: &Ledger) -> u128 {
    sum(ledger, |lease| lease.settled)
}

fn sum(ledger: &Ledger, of: impl Fn(&Lease) -> u128) -> u128 {
    ledger.leases.values().map(of).sum()
}
