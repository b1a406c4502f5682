//! Nodes show life once in a period; one that does not loses its lease, and another goes on with what is left.

use nisse_market::{
    DeploymentState, LeaseState, MarketCall, MarketError, MarketEvent, QueueError, ReopenedFor, heartbeat_root,
};
use nisse_model::{Amount, Hash256};

use crate::support::{Stage, rate, talos};

const PERIOD: u64 = 600;

/// Waits for a moment of the next period, in seconds behind its beginning; its number.
fn into_next_period(stage: &Stage, behind: u64) -> u64 {
    let now = stage.chain.time().seconds();
    let next = now / PERIOD + 1;
    stage.pass(next * PERIOD + behind - now);
    next
}

/// The sentence with which a write was refused.
fn refusal<T: std::fmt::Debug>(refused: Result<T, MarketError>) -> String {
    match refused.unwrap_err() {
        MarketError::Queue(QueueError::Refused(reason)) => reason.to_string(),
        other => panic!("{other}"),
    }
}

fn beat(leases: &[LeaseState]) -> MarketCall {
    MarketCall::Heartbeat { root: heartbeat_root(leases) }
}

#[tokio::test]
async fn a_silent_node_loses_its_lease_and_the_next_one_goes_on_with_the_money_that_is_left() {
    let stage = Stage::funded().await;
    assert_eq!(stage.owner.heartbeat_period().await.unwrap(), Some(PERIOD));
    let number = stage.running(talos(1_000)).await;
    let started = stage.owner.deployment(number).await.unwrap().started.unwrap().seconds();

    // It lives for a period.
    let first = into_next_period(&stage, 10);
    let deployment = stage.node.deployment_id(number);
    let state =
        LeaseState { deployment, records: 1, state_root: Hash256::of(b"state"), record_hash: Hash256::of(b"record") };
    let written = stage.node.write("beat/1", &beat(&[state])).await.unwrap();
    let (node, root) = (stage.node.key(), heartbeat_root(&[state]));
    assert_eq!(written.events, [MarketEvent::Heartbeat { node, period: first, root }]);
    assert_eq!(stage.owner.last_heartbeat(node).await.unwrap(), first);
    assert!(stage.owner.has_beaten(node, first).await.unwrap());
    let block = written.block.number;
    let root_of = async |node, period, block| stage.owner.root_of_heartbeat(node, period, block).await.unwrap();
    assert_eq!(root_of(node, first, block).await, Some(root));
    assert_eq!(root_of(stage.other.key(), first, block).await, None, "another node's");
    assert_eq!(root_of(node, first + 1, block).await, None, "another period's");
    assert_eq!(root_of(node, first, block - 1).await, None, "not in this block");
    let again = refusal(stage.node.write("beat/2", &beat(&[])).await);
    assert!(again.ends_with(&format!("node {node} has shown life in period {first}")), "{again}");

    // Then it is silent, and is heard of from three quarters of the period on.
    let missed = into_next_period(&stage, PERIOD * 3 / 4 - 2);
    let told = MarketCall::SlashMissed { deployment: number, period: missed };
    let early = refusal(stage.other.write("missed/early", &told).await);
    assert!(early.contains(&format!("a node may show life in period {missed} until")), "{early}");
    let praised = MarketCall::SlashMissed { deployment: number, period: first };
    let wrong = refusal(stage.other.write("missed/wrong", &praised).await);
    assert!(wrong.contains(&format!("node {node} has shown life in period {first}")), "{wrong}");
    stage.pass(2);
    let written = stage.other.write("missed", &told).await.unwrap();
    // It is paid until the end of the period in which it was last heard, to the second.
    let paid = Amount(50 * Amount::TALOS.0 * u128::from(missed * PERIOD - started) / 3_600);
    assert_eq!(stage.owner.claimable(node).await.unwrap(), paid);
    let reopened = |event: &MarketEvent| matches!(event, MarketEvent::Reopened { reason: ReopenedFor::Silent, .. });
    assert!(written.events.iter().any(reopened), "{:?}", written.events);
    let view = stage.owner.deployment(number).await.unwrap();
    let left = Amount(talos(1_000).0 - paid.0);
    assert_eq!((view.state, view.node, view.deposited, view.paid), (DeploymentState::Open, None, left, Amount(0)));

    // An hour of the lease's rate is the price of it: 10 % to who told, a period's rent to the owner.
    let stake = stage.owner.node(node).await.unwrap().unwrap();
    assert_eq!((stake.stake, stake.locked), (Amount(talos(10_000).0 - talos(50).0), Amount(0)));
    let [owner, other] = [stage.owner.key(), stage.other.key()];
    assert_eq!(stage.owner.owed_of_slashes(other).await.unwrap(), talos(5));
    let rent = talos(50).0 * u128::from(PERIOD) / 3_600;
    // The market's treasury is its maker here, who is the agent's owner as well.
    assert_eq!(stage.owner.owed_of_slashes(owner).await.unwrap(), talos(45));
    assert!(rent < talos(45).0);
    stage.other.write("claim", &MarketCall::ClaimSlashed).await.unwrap();
    assert_eq!(stage.owner.balance(other).await.unwrap(), talos(10_005));

    // The next one goes on, as a later incarnation, and the owner gets back what is left of it.
    stage.other.bid("takes over", number, rate(60)).await.unwrap();
    let stale = refusal(stage.other.ack_start("stale", number, 1).await);
    assert!(stale.ends_with("had incarnation 1, 1 came"), "{stale}");
    stage.other.ack_start("starts", number, 2).await.unwrap();
    let before = stage.owner.balance(owner).await.unwrap();
    stage.pass(3_600);
    stage.owner.stop("stop", number).await.unwrap();
    assert_eq!(stage.owner.claimable(other).await.unwrap(), talos(60));
    let after = stage.owner.balance(owner).await.unwrap();
    assert_eq!(after.0 - before.0, left.0 - talos(60).0);
}

#[tokio::test]
async fn a_heartbeat_costs_the_same_for_any_number_of_leases() {
    let stage = Stage::funded().await;
    let deployment = |number| stage.node.deployment_id(number);
    let leases: Vec<LeaseState> = (1..=10_000)
        .map(|number| LeaseState {
            deployment: deployment(number),
            records: number,
            state_root: Hash256::of(&number.to_be_bytes()),
            record_hash: Hash256::ZERO,
        })
        .collect();
    into_next_period(&stage, 1);
    stage.node.write("beat/first", &beat(&[])).await.unwrap();
    let mut costs = Vec::new();
    for count in [1, 100, 10_000] {
        into_next_period(&stage, 1);
        costs.push(stage.node.write(&format!("beat/{count}"), &beat(&leases[..count])).await.unwrap().gas_used);
    }
    // A root may hold a zero byte, which is cheaper calldata by 12 units of gas.
    let [low, high] = [costs.iter().min(), costs.iter().max()].map(|cost| *cost.unwrap());
    assert!(high - low <= 60 && high <= 33_000, "{costs:?}");
}
