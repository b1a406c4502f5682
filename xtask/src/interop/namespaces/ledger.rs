//! The end of the story: the order is stopped, everybody draws what is theirs, and nothing is left over or missing.

use anyhow::ensure;

use super::chain::TREASURY;
use super::eventually;
use super::machine::Node;
use super::world::{Order, World};

/// Token units of one TALOS.
const TALOS: u128 = 1_000_000_000_000_000_000;
const PAID_IN: u128 = 100 * TALOS;
/// An hour of what each of the two silent nodes asked.
const TAKEN: u128 = (40 + 41) * TALOS;

/// What somebody has, in token units.
struct Account {
    name: &'static str,
    address: String,
    balance: u128,
    /// What leases ever paid it, and what of that it may draw.
    paid: u128,
    earned: u128,
    /// What it may draw of what silent nodes lost.
    share: u128,
}

pub(super) fn adds_up(world: &World<'_>, order: &Order) -> anyhow::Result<()> {
    let shares: u128 = accounts(world)?.iter().map(|account| account.share).sum();
    ensure!(shares == TAKEN, "what the silent lost is shared out: {shares}");
    draws_while_it_runs(world)?;
    world.deployer.json(&["stop", &order.deployment])?;
    let refund = balance(world, &world.deployer.operator)?;
    // The killed one lays down what it has lost.
    world.nodes[1].has_staked("10000")?;

    let before = accounts(world)?;
    let nodes = || before.iter().filter(|account| account.name.starts_with("node-"));
    ensure!(nodes().all(|node| node.paid > 0), "each of the three was paid for its time");
    let paid: u128 = nodes().map(|node| node.paid).sum();
    ensure!(paid + refund == PAID_IN, "what was paid in is {paid} for the nodes and {refund} back");

    draw(world, &before)?;
    let after = accounts(world)?;
    for (account, then) in after.iter().zip(&before) {
        ensure!(account.earned + account.share == 0, "{} has drawn all", account.name);
        let expected = then.balance + then.earned + then.share;
        ensure!(account.balance == expected, "{} has {} instead of {expected}", account.name, account.balance);
        world.say(&format!("{:>24}  {}", account.balance, account.name));
    }
    let [escrow, staked] = ["escrow", "nodes"].map(|name| balance(world, world.chain.contract(name)));
    let (escrow, staked) = (escrow?, staked?);
    ensure!(escrow == 0, "the escrow is empty: {escrow}");
    // The cut one has lost an hour, the killed one has laid it down again; the crowded one's stake is whole.
    ensure!(staked == (9_960 + 3 * 10_000) * TALOS, "what is staked is what nodes have at stake: {staked}");
    let held: u128 = after.iter().map(|account| account.balance).sum();
    let all = world.chain.amount("token", "totalSupply()(uint256)", None)?;
    ensure!(held + staked == all, "all money is somebody's: {held} and {staked} staked of {all}");
    world.say(&format!("of {PAID_IN} paid in {paid} went to the nodes and {refund} back"));
    world.say(&format!("of stake {TAKEN} was taken and shared out; nothing is left over or missing"));
    Ok(())
}

/// The node that has it settles what is due, and draws it.
fn draws_while_it_runs(world: &World<'_>) -> anyhow::Result<()> {
    let node = &world.nodes[2];
    eventually("something to be due", || {
        let told = node.json(&["node", "earnings"])?;
        Ok(told["leases"][0]["due"].as_str().is_some_and(|due| due != "0").then_some(()))
    })?;
    node.json(&["node", "withdraw"])?;
    let drawn = balance(world, &node.operator)?;
    ensure!(drawn > 0, "{} has drawn what it has earned by now", node.name());
    world.say(&format!("{} draws {drawn} while it runs", node.name()));
    Ok(())
}

/// Everybody draws what is theirs, all at once.
fn draw(world: &World<'_>, accounts: &[Account]) -> anyhow::Result<()> {
    let draw = |account: &Account| match everybody(world).find(|node| node.operator == account.address) {
        Some(node) => node.json(&["node", "withdraw"]).map(drop),
        None => world.chain.send("nodes", &["claimSlashed()"]),
    };
    std::thread::scope(|scope| {
        let due = accounts.iter().filter(|account| account.earned + account.share > 0);
        let drawing: Vec<_> = due.map(|account| scope.spawn(|| draw(account))).collect();
        drawing.into_iter().try_for_each(|one| one.join().expect("no thread of this story panics"))
    })
}

fn balance(world: &World<'_>, address: &str) -> anyhow::Result<u128> {
    world.chain.amount("token", "balanceOf(address)(uint256)", Some(address))
}

/// Whoever tells of a silent node has a tenth of what it loses, also one that does not bid.
fn everybody<'a>(world: &'a World<'_>) -> impl Iterator<Item = &'a Node<'a>> {
    world.nodes.iter().chain([&world.deployer, &world.crowded, &world.unstaked])
}

fn accounts(world: &World<'_>) -> anyhow::Result<Vec<Account>> {
    let nodes = everybody(world).map(|node| (node.name(), node.operator.as_str()));
    let account = |(name, address): (&'static str, &str)| {
        let amount = |contract, view| world.chain.amount(contract, &format!("{view}(address)(uint256)"), Some(address));
        Ok(Account {
            name,
            address: address.to_owned(),
            balance: amount("token", "balanceOf")?,
            paid: amount("escrow", "earned")?,
            earned: amount("escrow", "claimable")?,
            share: amount("nodes", "claimable")?,
        })
    };
    nodes.chain([("the market's treasury", TREASURY)]).map(account).collect()
}
