//! Orders that were refused for what passes without this node being told: whoever has the package may be back, stake that a
//! bid bound may be free. They are looked at again, each more and more seldom.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use nisse_model::DeploymentId;
use nisse_orchestrator::Orchestrator;

use crate::core::Core;
use crate::supervisor::Stop;
use crate::watcher;

/// How often it is looked whose turn has come.
const LOOK: Duration = Duration::from_secs(1);
/// How long after it was refused an order is looked at again; doubled each time.
const PAUSE_FIRST: Duration = Duration::from_secs(10);
const PAUSE_MAX: Duration = Duration::from_secs(3_600);
/// Orders whose turn comes at once. Each is a question to the chain and a package to ask for.
const AT_ONCE_MAX: usize = 4;

/// When an order is looked at next, and how long it rests after that.
#[derive(Debug, Clone, Copy)]
struct Turn {
    at: Duration,
    pause: Duration,
}

/// Runs until the node stops.
pub(crate) async fn run(core: Arc<Core>, mut stop: Stop) {
    let mut turns = BTreeMap::new();
    loop {
        tokio::select! {
            () = stop.requested() => return,
            () = tokio::time::sleep(LOOK) => {}
        }
        let Ok((refused, waiting)) = core.driver.look(standing).await else { continue };
        let due = due(&mut turns, &refused, &waiting, core.clock.elapsed());
        for deployment in due {
            tokio::select! {
                () = stop.requested() => return,
                () = watcher::look_again(&core, deployment) => {}
            }
        }
    }
}

/// The orders that were refused for now, and those that no bid is made on yet.
fn standing(all: &Orchestrator) -> (Vec<DeploymentId>, Vec<DeploymentId>) {
    let refused = all.refused().iter().filter(|(_, refusal)| refusal.passes_unseen());
    let waiting = all.orders().filter(|(_, has_bid)| !has_bid);
    (refused.map(|(deployment, _)| *deployment).collect(), waiting.map(|(deployment, _)| deployment).collect())
}

/// Whose turn has come, the longest overdue first. An order that is looked at just now keeps its place.
fn due(
    turns: &mut BTreeMap<DeploymentId, Turn>,
    refused: &[DeploymentId],
    waiting: &[DeploymentId],
    now: Duration,
) -> Vec<DeploymentId> {
    turns.retain(|deployment, _| refused.contains(deployment) || waiting.contains(deployment));
    let mut due = Vec::new();
    for deployment in refused {
        let turn = turns.entry(*deployment).or_insert(Turn { at: now + PAUSE_FIRST, pause: PAUSE_FIRST });
        if turn.at <= now {
            due.push((turn.at, *deployment));
        }
    }
    due.sort_unstable();
    due.truncate(AT_ONCE_MAX);
    for (_, deployment) in &due {
        let turn = turns.get_mut(deployment).expect("it stands among the turns");
        turn.pause = (turn.pause * 2).min(PAUSE_MAX);
        turn.at = now + turn.pause;
    }
    due.into_iter().map(|(_, deployment)| deployment).collect()
}

#[cfg(test)]
mod tests {
    use nisse_model::Address;

    use super::*;

    fn order(number: u64) -> DeploymentId {
        DeploymentId { chain: 31_337, contract: Address([0; 20]), number }
    }

    #[test]
    fn each_is_looked_at_more_and_more_seldom_and_no_more_than_a_few_at_once() {
        let (mut turns, all) = (BTreeMap::new(), (1..=6).map(order).collect::<Vec<_>>());
        let mut seen = Vec::new();
        for second in 0..200 {
            let now = Duration::from_secs(second);
            seen.extend(due(&mut turns, &all, &[], now).into_iter().map(|order| (second, order.number)));
        }
        let of = |number: u64| seen.iter().filter(|(_, one)| *one == number).map(|(at, _)| *at).collect::<Vec<_>>();
        assert_eq!((of(1), of(4)), (vec![10, 30, 70, 150], vec![10, 30, 70, 150]));
        assert_eq!(of(6), [11, 31, 71, 151], "four at once, and the others behind them");
    }

    #[test]
    fn what_is_looked_at_keeps_its_place_and_what_is_gone_is_forgotten() {
        let mut turns = BTreeMap::new();
        let at = |second| Duration::from_secs(second);
        assert!(due(&mut turns, &[order(1)], &[], at(0)).is_empty());
        assert_eq!(due(&mut turns, &[order(1)], &[], at(10)), [order(1)]);
        // Its package is asked for meanwhile.
        assert!(due(&mut turns, &[], &[order(1)], at(20)).is_empty());
        assert!(due(&mut turns, &[order(1)], &[], at(29)).is_empty());
        assert_eq!(due(&mut turns, &[order(1)], &[], at(30)), [order(1)]);
        assert!(due(&mut turns, &[], &[], at(31)).is_empty() && turns.is_empty());
        assert!(due(&mut turns, &[order(1)], &[], at(40)).is_empty(), "it is refused anew");
    }
}
