//! kill -9 at random moments of deploys, updates, alarms, stops, payments and writes. After each of them a model that
//! knows only what was acknowledged is held against the node that came up again, the chain and the records of its
//! agents, all as an outsider sees them. `NISSE_KILLS` asks for more kills, `NISSE_SEED` repeats a run.

mod abi;
mod books;
mod chain;
mod doing;
mod extras;
mod lease;
mod ledger;
mod model;
mod oracle;
mod power;
mod records;
mod updated;

use std::collections::BTreeMap;
use std::time::Instant;

use abi::Abi;
use chain::Chain;
use doing::Doing;
use model::Model;
use oracle::Oracle;
use power::{Chance, again, power_cut};
use updated::Updated;

use crate::harness::{Home, Node, eventually, host_of, say};

/// In each of the two stories.
const KILLS: u64 = 100;
/// The demo's own oracle, and one that has more to say.
const ORACLE: &str = "talos.oracle.price-eth";
const EAGER_ORACLE: &str = "talos.oracle.eager";

#[test]
fn no_power_cut_loses_or_doubles_what_was_acknowledged_at_home() {
    check(&[], &[]);
}

#[test]
fn no_power_cut_doubles_a_bid_or_a_payment_of_a_lease() {
    check(&["--demo"], &["--key", "deployer", "--payment", "100"]);
}

fn check(flags: &[&str], terms: &'static [&'static str]) {
    let number = |name: &str| std::env::var(name).ok().and_then(|text| text.parse().ok());
    let kills = number("NISSE_KILLS").unwrap_or(KILLS);
    let seed = number("NISSE_SEED").unwrap_or_else(|| u64::from(std::process::id()));
    say(&format!("NISSE_SEED={seed} NISSE_KILLS={kills}"));
    let (mut chance, abi) = (Chance::new(seed), Abi::committed());
    let (home, up) = (Home::new(), [flags, &["--rpc", "127.0.0.1:0"]].concat());
    let mut node = home.up(&up);
    let oracles = if terms.is_empty() { Vec::new() } else { oracles(&home, &mut node, terms, kills) };
    let (counter, ticker) = (Updated::new(&home, "counter", terms), Updated::new(&home, "ticker", terms));
    let mut model = Model::new(terms, counter, ticker, oracles);
    let mut told = Told::default();
    for kill in 1..=kills {
        let (doing, acknowledged) = power_cut(&home, node, &mut model, &mut chance);
        say(&format!("kill {kill} while {doing:?} ({acknowledged}): {} writes of {}", model.acknowledged, model.sent));
        told.count(doing, acknowledged);
        told.cuts_again += u64::from(again(&home, &up, &mut chance));
        let begun = Instant::now();
        node = home.up(&up);
        eventually("the counter to serve again", || model.counter.asked(&node));
        told.serving_ms.push(begun.elapsed().as_millis());
        model.compare(&node, &Chain::of(&node, &abi));
    }
    model.settle(&home, &node, &Chain::of(&node, &abi));
    told.report(&model);
}

/// The demo's oracle and one whose alarms come all the time, however long the run is: a lease's gas pays for some eighty
/// answers in an hour.
fn oracles(home: &Home, node: &mut Node<'_>, terms: &[&str], kills: u64) -> Vec<Oracle> {
    node.demo_is_told();
    let package = home.oracle(EAGER_ORACLE, (kills / KILLS).max(1));
    let deployed = home.json(&[&["deploy", package.path()], terms].concat());
    let first = home.json(&["status", ORACLE]);
    vec![Oracle::new(ORACLE, host_of(&first)), Oracle::new(EAGER_ORACLE, host_of(&deployed))]
}

/// What a run is for.
#[derive(Default)]
struct Told {
    /// Kills by what went on, and how many of them came behind the acknowledgement.
    kinds: BTreeMap<&'static str, (u64, u64)>,
    /// Kills of a node that was coming up.
    cuts_again: u64,
    serving_ms: Vec<u128>,
}

impl Told {
    fn count(&mut self, doing: Doing, acknowledged: bool) {
        let (kills, behind) = self.kinds.entry(doing.kind()).or_default();
        *kills += 1;
        *behind += u64::from(acknowledged);
    }

    fn report(mut self, model: &Model) {
        for (kind, (kills, behind)) in self.kinds {
            say(&format!("{kind}: {kills} kills, {behind} behind the acknowledgement"));
        }
        say(&format!("while the node came up again: {} kills more", self.cuts_again));
        let answers: usize = model.oracles.iter().map(|oracle| oracle.arrived(&model.ledger).len()).sum();
        let records = model.counter.records.count() + model.ticker.records.count();
        let (logs, leases) = (model.ledger.logs, model.ledger.leases.len());
        say(&format!(
            "compared: {logs} logs of {leases} deployments, {answers} answers, {records} records of two agents"
        ));
        self.serving_ms.sort_unstable();
        let at = |hundredths: usize| self.serving_ms[(self.serving_ms.len() - 1) * hundredths / 100];
        let kills = self.serving_ms.len();
        say(&format!("restart to serving: p50 {} ms, p99 {} ms, at most {} ms, of {kills}", at(50), at(99), at(100)));
    }
}
