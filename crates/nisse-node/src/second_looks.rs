//! Orders that were refused because nobody gave their package: whoever has it may be back, so it is asked for again, one
//! order after the other, and of each more and more seldom. What is fetched meanwhile for a first look or an agent has
//! places of its own and waits for none of this.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use nisse_model::DeploymentId;
use nisse_orchestrator::{Event, FailureStage, Orchestrator};

use crate::core::Core;
use crate::packages::{BroughtFor, bring};
use crate::supervisor::Stop;
use crate::watcher::open_order;

/// How often it is looked whose turn has come.
const LOOK: Duration = Duration::from_secs(1);
/// How long after it was refused an order's package is asked for again; doubled each time.
const PAUSE_FIRST: Duration = Duration::from_secs(10);
const PAUSE_MAX: Duration = Duration::from_secs(3_600);
/// How often that is tried: strangers' orders cost no more than so many times what one look costs.
const TRIES_MAX: u32 = 12;
/// How long what was fetched is held for the look at it.
const HELD: Duration = Duration::from_secs(10);

/// When an order's package is asked for next, and how often it was.
#[derive(Debug, Clone, Copy)]
struct Turn {
    at: Duration,
    tries: u32,
}

/// Runs until the node stops.
pub(crate) async fn run(core: Arc<Core>, mut stop: Stop) {
    let mut turns = BTreeMap::new();
    loop {
        tokio::select! {
            () = stop.requested() => return,
            () = tokio::time::sleep(LOOK) => {}
        }
        let Ok(unfetched) = core.driver.look(unfetched).await else { continue };
        let Some(deployment) = due(&mut turns, &unfetched, core.clock.elapsed()) else { continue };
        tokio::select! {
            () = stop.requested() => return,
            looked = look(&core, deployment) => if let Err(error) = looked {
                // It is left to its next turn.
                tracing::debug!(%deployment, error, "a package is not to be had yet");
            }
        }
    }
}

/// The orders that were refused for want of their package; none while the node takes no new work.
fn unfetched(all: &Orchestrator) -> BTreeSet<DeploymentId> {
    let refused = all.refused().iter().filter(|(_, refusal)| refusal.is_unfetched() && !all.is_draining());
    refused.map(|(deployment, _)| *deployment).collect()
}

/// Asks for the package of an order that stands, and has the order looked at once it is here.
async fn look(core: &Arc<Core>, deployment: DeploymentId) -> Result<(), String> {
    let Some(order) = open_order(core, deployment).await? else {
        core.driver.event(Event::OrderGone { deployment }).await;
        return Ok(());
    };
    let asked = order.clone();
    let is_wanted = core.driver.look(move |all| all.would_bid(&asked)).await.map_err(|error| error.to_string())?;
    let brought = match is_wanted {
        true => match bring(core, &order.placement, BroughtFor::SecondLook(deployment)).await {
            Err(error) if error.stage == FailureStage::Fetch => return Err(error.reason),
            brought => brought.ok(),
        },
        // It is refused for something else by now.
        false => None,
    };
    core.driver.event(Event::OrderStands(order)).await;
    if brought.is_some() {
        tokio::time::sleep(HELD).await;
    }
    Ok(())
}

/// Whose turn has come, the longest overdue first.
fn due(
    turns: &mut BTreeMap<DeploymentId, Turn>,
    unfetched: &BTreeSet<DeploymentId>,
    now: Duration,
) -> Option<DeploymentId> {
    turns.retain(|deployment, _| unfetched.contains(deployment));
    for deployment in unfetched {
        turns.entry(*deployment).or_insert(Turn { at: now + PAUSE_FIRST, tries: 0 });
    }
    let ready = turns.iter_mut().filter(|(_, turn)| turn.at <= now && turn.tries < TRIES_MAX);
    let (deployment, turn) = ready.min_by_key(|(_, turn)| turn.at)?;
    turn.tries += 1;
    turn.at = now + (PAUSE_FIRST * (1 << turn.tries)).min(PAUSE_MAX);
    Some(*deployment)
}

#[cfg(test)]
mod tests {
    use nisse_orchestrator::{Decision, Refusal};

    use super::*;
    use crate::fixtures::{deployment as order, orchestrator};

    #[test]
    fn only_what_nobody_gave_is_asked_for_again_and_by_nobody_who_takes_no_new_work() {
        let mut node = orchestrator();
        let package = |stage| Refusal::Package { stage, reason: "gone".to_owned() };
        let refusals = [package(FailureStage::Fetch), package(FailureStage::Verify), Refusal::Gpu];
        for (number, refusal) in (1..).zip(refusals) {
            node.restore(&Decision::OrderRefused { deployment: order(number), refusal });
        }
        assert_eq!(unfetched(&node), BTreeSet::from([order(1)]));
        node.drain(true);
        assert_eq!(unfetched(&node), BTreeSet::new());
    }

    #[test]
    fn each_package_is_asked_for_more_and_more_seldom_and_not_for_ever() {
        let (mut turns, all) = (BTreeMap::new(), BTreeSet::from([order(1), order(2)]));
        let mut seen = Vec::new();
        for second in 0..40_000 {
            let now = Duration::from_secs(second);
            seen.extend(due(&mut turns, &all, now).map(|order| (second, order.number)));
        }
        let of = |number: u64| seen.iter().filter(|(_, one)| *one == number).map(|(at, _)| *at).collect::<Vec<_>>();
        assert_eq!(of(1)[..5], [10, 30, 70, 150, 310]);
        assert_eq!(of(2)[..5], [11, 31, 71, 151, 311], "one after the other");
        assert_eq!(of(1).len(), 12);
        assert_eq!(of(1)[11] - of(1)[10], 3_600);
    }

    #[test]
    fn who_is_gone_is_forgotten_and_begins_anew() {
        let mut turns = BTreeMap::new();
        let at = |second| Duration::from_secs(second);
        let (one, none) = (BTreeSet::from([order(1)]), BTreeSet::new());
        assert_eq!(due(&mut turns, &one, at(0)), None);
        assert_eq!(due(&mut turns, &one, at(10)), Some(order(1)));
        assert_eq!(due(&mut turns, &one, at(29)), None);
        assert_eq!(due(&mut turns, &none, at(30)), None);
        assert_eq!(due(&mut turns, &one, at(31)), None, "it was refused anew");
        assert_eq!(due(&mut turns, &one, at(41)), Some(order(1)));
    }
}
