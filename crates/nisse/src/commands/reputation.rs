//! What nodes are known for, in words.

use nisse_node::control::{MarketNode, MarketNodes, MarketOffer, MarketOffers, NodeReputation};

use crate::output;

/// The whole score.
const WHOLE: u16 = 10_000;

/// One line about a node's reputation.
pub(crate) fn standing(known: &NodeReputation) -> String {
    let NodeReputation { score, newcomer, worked_seconds, fault_seconds } = known;
    let word = if *newcomer { ", a newcomer" } else { "" };
    let faults = match fault_seconds {
        0 => String::new(),
        seconds => format!(", less {} for faults", long(*seconds)),
    };
    format!("{score} of {WHOLE}{word}; {} of paid work counted{faults}", long(*worked_seconds))
}

pub(super) fn print(listed: &MarketNodes) {
    if listed.older > 0 {
        output::note(false, &format!("{} nodes that registered earlier are not shown", listed.older));
    }
    if listed.nodes.is_empty() {
        return output::line("no node is registered yet");
    }
    let row = |node: &MarketNode| {
        let MarketNode { operator, endpoint, stake, free, cpu, memory, .. } = node.clone();
        let score = node.reputation.as_ref().map(|known| known.score.to_string()).unwrap_or_default();
        let lends = if node.paused { "paused".to_owned() } else { format!("{cpu} cpu, {memory}") };
        vec![operator, score, stake, free, lends, endpoint]
    };
    let rows: Vec<_> = listed.nodes.iter().map(row).collect();
    output::table(&["operator", "score", "stake", "free", "lends", "endpoint"], &rows);
}

pub(super) fn print_offers(told: &MarketOffers) {
    for refusal in &told.refusals {
        output::note(false, refusal);
    }
    if told.offers.is_empty() {
        return output::line("no node offers to run it now");
    }
    let row = |offer: &MarketOffer| {
        let MarketOffer { node, endpoint, rate, reputation } = offer.clone();
        let score = reputation.map(|known| known.score.to_string()).unwrap_or_default();
        vec![node, rate, score, endpoint]
    };
    let rows: Vec<_> = told.offers.iter().map(row).collect();
    output::table(&["node", "per hour", "score", "endpoint"], &rows);
}

/// A time as its largest whole unit says it: what fades need not be exact.
fn long(seconds: u64) -> String {
    match seconds {
        0..120 => format!("{seconds} s"),
        120..7_200 => format!("{} min", seconds / 60),
        7_200..172_800 => format!("{} h", seconds / 3_600),
        _ => format!("{} days", seconds / 86_400),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_known_of_a_node_is_one_line() {
        let known = |worked_seconds, fault_seconds, newcomer| {
            standing(&NodeReputation { score: 1_234, newcomer, worked_seconds, fault_seconds })
        };
        assert_eq!(known(90, 0, true), "1234 of 10000, a newcomer; 90 s of paid work counted");
        let line = "1234 of 10000; 12 days of paid work counted, less 3 days for faults";
        assert_eq!(known(12 * 86_400, 3 * 86_400, false), line);
        assert_eq!(long(7_199), "119 min");
        assert_eq!(long(172_799), "47 h");
    }
}
