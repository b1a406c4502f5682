//! The whole life of a paid lease over any chain: what each step does, and the gas that it burns.
//!
//! The chain is a parameter, so that the same story can be told on another implementation and compared to the unit.

use nisse_market::{DeployOrder, DeploymentState, Market, MarketCall, MarketEvent, Written};
use nisse_model::{Address, Amount};

use crate::support::{all_money, rate, resources, talos, terms};

/// Gas of each step, in order.
pub(crate) type Gas = Vec<(&'static str, u64)>;

/// Runs the TIP's own numbers, 1000 TALOS at 50 per hour, from an empty market to the end of the lease.
/// `pass(seconds)` moves the chain's clock.
pub(crate) async fn whole_life(owner: &Market, node: &Market, pass: impl AsyncFn(u64)) -> Gas {
    let mut gas = Gas::new();
    let mut step = |name, written: Written| {
        gas.push((name, written.gas_used));
        written.events
    };
    step("faucet", owner.faucet("owner/faucet", talos(1_000)).await.unwrap());
    step("faucet again", node.faucet("node/faucet", talos(10_000)).await.unwrap());
    step("register", node.register("node/register", "http://node/", resources(), talos(10_000)).await.unwrap());
    step("publish", owner.write("publish/1", &MarketCall::Publish(terms())).await.unwrap());
    let order = DeployOrder { publication: 1, payment: talos(1_000), ..DeployOrder::default() };
    owner.write("approve", &MarketCall::ApproveEscrow).await.unwrap();
    let events = step("deploy", owner.write("deploy/1", &MarketCall::Deploy(order)).await.unwrap());
    let MarketEvent::Deployed { deployment, owner: payer, order } = &events[0] else { panic!("{events:?}") };
    assert_eq!((*deployment, *payer, order.payment), (1, owner.key(), talos(1_000)));
    assert_eq!(order.package.agent_id, "talos.oracle.price-eth@v1.2.0");

    let events = step("bid", node.bid("bid/1", 1, rate(50)).await.unwrap());
    assert!(events.iter().any(|event| matches!(event, MarketEvent::Assigned { deployment: 1, .. })), "{events:?}");
    let view = owner.deployment(1).await.unwrap();
    assert_eq!((view.state, view.node, view.rate), (DeploymentState::Assigned, Some(node.key()), rate(50)));
    step("ackStart", node.ack_start("ack/1", 1, 1).await.unwrap());

    pass(3600).await;
    step("settle", node.write("settle/1", &MarketCall::Settle { deployment: 1 }).await.unwrap());
    let hour = owner.deployment(1).await.unwrap();
    let started = hour.started.unwrap();
    assert!(hour.paid.0 >= talos(50).0, "an hour is paid: {}", hour.paid);
    assert_eq!(hour.ends_at.unwrap().since_ms(started), 20 * 3600 * 1000);

    pass(19 * 3600 + 5).await;
    let events = step("expire", owner.write("expire/1", &MarketCall::Expire { deployment: 1 }).await.unwrap());
    assert!(events.contains(&MarketEvent::Expired { deployment: 1, node: node.key() }));
    let view = owner.deployment(1).await.unwrap();
    assert_eq!((view.state, view.paid, view.due), (DeploymentState::Expired, talos(1_000), Amount(0)));
    assert_eq!(node.earned(node.key()).await.unwrap(), talos(1_000));
    step("withdraw", node.withdraw("withdraw/1", node.key()).await.unwrap());
    assert_eq!(node.balance(node.key()).await.unwrap(), talos(1_000));
    gas
}

/// Every account that may hold tokens in this story.
pub(crate) fn holders(owner: &Market, node: &Market) -> [Address; 4] {
    [owner.key(), node.key(), owner.addresses().escrow, owner.addresses().nodes]
}

/// Money is conserved to the last unit.
pub(crate) async fn assert_conserved(owner: &Market, node: &Market, minted: Amount) {
    assert_eq!(all_money(owner, &holders(owner, node)).await, minted.0);
}
