//! What must be so in every world, whoever grieves and whatever befalls it.

use std::collections::BTreeMap;

use nisse_market::{DeploymentState, MarketCall};
use nisse_model::{Address, DeploymentId};
use nisse_orchestrator::{Life, Period};

use super::books::{Books, Missed, Stands};
use super::node::Node;
use super::scene::Scene;
use super::template::{ORDERS, PURSE, everybody, veterans};
use super::{ABLE_MS, KNOWN_MS, LAG_MS, PERIOD};

/// One order in so many goes to the lowest price, whoever bids.
const OPEN_TO_ALL: u64 = 5;
/// How wrong clocks and answers are together, in seconds.
const CLOCKS: u64 = 30;

/// Money: everybody holds, is credited with and is owed what the books say, and the contracts hold that and no more.
pub(super) fn count_money(scene: &mut Scene, books: &Books) {
    scene.totals.counted += 1;
    let market = &scene.chain.market;
    let of = |all: &BTreeMap<Address, u128>, account| all.get(&account).copied().unwrap_or_default();
    let (mut hands, mut owed, mut claimable, mut stakes) = (0, 0, 0, 0);
    let mut wrong = Vec::new();
    for account in everybody() {
        let balance = market.balance(account).0;
        hands += balance;
        claimable += market.claimable(account).0;
        owed += market.owed_of_slashes(account).0;
        stakes += market.node(account).map_or(0, |node| node.stake.0 + node.unbonding.0);
        let found = [
            balance,
            market.earned(account).0,
            market.owed_of_slashes(account).0,
            market.node(account).map_or(0, |node| node.stake.0),
        ];
        let books = [
            books.balance(account),
            of(&books.credited, account),
            of(&books.owed, account),
            of(&books.stakes, account),
        ];
        if found != books {
            wrong.push(format!("{account} has {found:?}, the books say {books:?}"));
        }
    }
    let addresses = *market.addresses();
    let (escrow, nodes) = (market.balance(addresses.escrow).0, market.balance(addresses.nodes).0);
    if escrow != books.held() + claimable {
        wrong.push(format!("the Escrow holds {escrow}, its lines {} and its accounts {claimable}", books.held()));
    }
    if nodes != stakes + owed {
        wrong.push(format!("Nodes holds {nodes}, stakes {stakes} and claims {owed}"));
    }
    let all = PURSE.0 * everybody().count() as u128;
    if hands + escrow + nodes != all {
        wrong.push(format!("{} of {all} are left", hands + escrow + nodes));
    }
    wrong.into_iter().for_each(|text| scene.violate(text));
}

/// Who is not known for work wins no order that asks for it, where somebody who is bids too; but for one order in five,
/// which is open to all.
pub(super) fn is_fair(scene: &mut Scene, books: &Books, number: u64, winner: Address) {
    let Some(order) = books.orders.get(&number).filter(|order| order.selection.needs_reputation()) else { return };
    let market = &scene.chain.market;
    let established = order.led.iter().any(|node| !market.is_newcomer(*node));
    match (market.is_newcomer(winner), established) {
        (false, _) => scene.totals.won_by_known += 1,
        (true, false) => scene.totals.won_among_newcomers += 1,
        (true, true) if number.is_multiple_of(OPEN_TO_ALL) => scene.totals.won_by_newcomers += 1,
        // It fell between its bid and this block.
        (true, true) if veterans().any(|veteran| veteran == winner) => {}
        (true, true) => scene.violate(format!("the newcomer {winner} won {number}, on which {:?} bid", order.led)),
    }
}

/// An honest node that could have shown life loses nothing. `able`: it was up and reached the chain for so long without a
/// break, between the moment at which it was to show life and that from which it may be told of. Nothing else excuses. An
/// honest node tells of nobody where it was not there itself when nodes were to show life.
pub(super) fn slashed(scene: &mut Scene, nodes: &[Node], missed: Missed) {
    let begins = missed.period * PERIOD;
    if let Some(finder) = nodes.iter().find(|node| node.address == missed.finder) {
        scene.totals.told += 1;
        let (from, to) = ((begins - CLOCKS) * 1_000, (begins + PERIOD / 4 + CLOCKS) * 1_000);
        if finder.touch_between(from, to, scene.now) == 0 {
            let Missed { deployment, period, finder, .. } = missed;
            scene.violate(format!("{finder} told of {deployment} in {period}, when it saw nobody show life"));
        }
    }
    let Some(node) = nodes.iter().find(|node| node.address == missed.node) else {
        scene.totals.griefers_slashed += 1;
        return;
    };
    let at = |passed| Period { number: missed.period, length: PERIOD, passed };
    let turn = (0..PERIOD).find(|passed| at(*passed).is_to_show(node.address)).unwrap_or(PERIOD);
    let (from, to) = ((begins + turn) * 1_000, (begins + PERIOD * 3 / 4) * 1_000);
    let touch = node.touch_between(from, to, scene.now);
    scene.totals.cut_off_slashed += 1;
    let Missed { deployment, period, .. } = missed;
    if touch >= ABLE_MS {
        scene.violate(format!(
            "{} lost deployment {deployment} for period {period}, of which it was in touch for {} s",
            node.address,
            touch / 1_000
        ));
    }
}

/// A node that has been up and in touch for a while runs what the market says that it runs, so two of them never run one
/// lease. One that is cut off cannot know, and runs on.
pub(super) fn one_at_most(scene: &mut Scene, nodes: &[Node], books: &Books, reorganised: u64) {
    let mut runs: BTreeMap<DeploymentId, Address> = BTreeMap::new();
    let mut wrong = Vec::new();
    for node in nodes {
        let Some(touch) = node.in_touch() else { continue };
        for (deployment, since) in &node.running {
            let number = deployment.number;
            let view = scene.chain.view(number);
            let held = |state| matches!(state, DeploymentState::Assigned | DeploymentState::Running);
            let is_its = view.is_some_and(|view| view.node == Some(node.address) && held(view.state));
            let lost = books.lost_at(number, node.address).unwrap_or_default();
            let known = lost.max(touch).max(reorganised).max(*since) + LAG_MS;
            if !is_its && known < scene.now {
                wrong.push(format!("{} still runs {number}, lost at {}", node.address, lost / 1_000));
            }
            if is_its && let Some(other) = runs.insert(*deployment, node.address) {
                wrong.push(format!("{other} and {} run {number}", node.address));
            }
        }
    }
    wrong.into_iter().for_each(|text| scene.violate(text));
}

/// A node that has been up and in touch for long enough knows what it holds: it runs it from the moment from which the
/// market pays for it, and ends it when that is over.
pub(super) fn known(scene: &mut Scene, nodes: &[Node], books: &Books, reorganised: u64) {
    let mut wrong = Vec::new();
    for (number, order) in &books.orders {
        let Some(node) = nodes.iter().find(|node| Some(node.address) == order.node) else { continue };
        let Some(touch) = node.in_touch() else { continue };
        let since = touch.max(order.since).max(reorganised);
        if order.stands == Stands::Ended || since + KNOWN_MS > scene.now {
            continue;
        }
        let Some(view) = scene.chain.view(*number) else { continue };
        let deployment = scene.chain.market.deployment_id(*number);
        let Some(agent) = node.agent(&deployment) else {
            wrong.push(format!("{} knows nothing of {number}, which it holds", node.address));
            continue;
        };
        let acknowledged = match &agent.life {
            Life::Running { acknowledged, .. } | Life::Paused { acknowledged, .. } => *acknowledged,
            _ => None,
        };
        if !agent.life.is_live() || (order.stands == Stands::Running && acknowledged != view.started) {
            let life = &agent.life;
            wrong.push(format!("{} holds {number} since {:?} and takes it to be {life:?}", node.address, view.started));
        }
        if view.ends_at.is_some_and(|end| end.0 + KNOWN_MS < scene.now) {
            wrong.push(format!("{} does not end {number}, which has run out", node.address));
        }
    }
    wrong.into_iter().for_each(|text| scene.violate(text));
}

/// Every order came to its end, and what was left of it went back.
pub(super) fn all_ended(scene: &mut Scene, books: &Books) {
    if books.by_agent.len() != ORDERS {
        scene.violate(format!("{} orders of {ORDERS} were taken", books.by_agent.len()));
    }
    let open: Vec<u64> =
        books.orders.iter().filter(|(_, order)| order.stands != Stands::Ended).map(|(number, _)| *number).collect();
    for number in open {
        let view = scene.chain.view(number);
        scene.violate(format!("order {number} has not ended: {view:?}"));
    }
}

/// When all is over everybody draws what is theirs: the Escrow is empty then, and Nodes holds the stakes.
pub(super) fn all_drawn(scene: &mut Scene) {
    for account in everybody() {
        if scene.chain.market.claimable(account).0 > 0 {
            scene.chain.arrives(super::chain::Tx {
                from: account,
                nonce: None,
                call: MarketCall::WithdrawEarnings { to: account },
            });
        }
        if scene.chain.market.owed_of_slashes(account).0 > 0 {
            scene.chain.arrives(super::chain::Tx { from: account, nonce: None, call: MarketCall::ClaimSlashed });
        }
    }
    scene.chain.seal();
    let market = &scene.chain.market;
    let addresses = *market.addresses();
    let (escrow, nodes) = (market.balance(addresses.escrow).0, market.balance(addresses.nodes).0);
    let stakes: u128 = everybody().filter_map(|account| market.node(account)).map(|node| node.stake.0).sum();
    let hands: u128 = everybody().map(|account| market.balance(account).0).sum();
    let locked: u128 = everybody().filter_map(|account| market.node(account)).map(|node| node.locked.0).sum();
    let all = PURSE.0 * everybody().count() as u128;
    if escrow != 0 || nodes != stakes || hands + stakes != all {
        scene.violate(format!(
            "at the end the Escrow holds {escrow}, Nodes {nodes} of {stakes}, hands {hands} of {all}"
        ));
    }
    if locked != 0 {
        scene.violate(format!("{locked} of stakes are locked when no lease is left"));
    }
}
