//! The market and its money, asked as any client would.

use nisse_market::made_by;
use nisse_model::{Address, Amount};
use nisse_node::Node;
use nisse_node::control::MarketEntry;
use nisse_testkit::{Failure, check};
use serde_json::{Value, json};

use super::super::home::PURSE;
use super::super::model::{Asked, GIFT, Life, Model, Slot};

/// What the node stakes at home.
const STAKE: Amount = Amount(10_000 * Amount::TALOS.0);
/// Selectors of ERC-20.
const TOTAL_SUPPLY: &str = "18160ddd";
const BALANCE_OF: &str = "70a08231";
/// An order that takes no bids twice has each of these once.
const ONCE: [&str; 6] = ["deployed", "bid", "assigned", "started", "stopped", "expired"];

/// What a deployment published, in the chain's order.
pub(super) async fn answers(node: &Node, deployment: &str) -> Result<Vec<u64>, Failure> {
    let shown = node.market_show(deployment).await?;
    let answer = |detail: &str| detail.split('.').next()?.parse().ok();
    let events = shown.events.iter().filter(|event| event.event == "answer");
    Ok(events.filter_map(|event| answer(&event.detail)).collect())
}

impl Model {
    /// Nothing was ordered, bid for or paid twice, and no money came or went.
    pub(super) async fn judge_market(&mut self, node: &Node) -> Result<(), Failure> {
        let entries = node.market_list().await?.deployments;
        let known: usize = self.slots.iter().map(|slot| slot.deployments.len()).sum();
        let orders: Vec<&str> = entries.iter().map(|entry| entry.deployment.as_str()).collect();
        let names: Vec<&String> = self.slots.iter().flat_map(|slot| &slot.deployments).collect();
        check(entries.len() == known, || format!("{orders:?} were ordered, and only {names:?} were asked for"))?;
        for slot in &mut self.slots {
            let Some(deployment) = slot.deployments.last() else { continue };
            let shown = node.market_show(deployment).await?;
            let count = |name: &str| shown.events.iter().filter(|event| event.event == name).count();
            for name in ONCE {
                let most = 1 + count("reopened");
                check(count(name) <= most, || format!("{deployment} was {name} {} times", count(name)))?;
            }
            slot.judge_deposit(&shown)?;
            let held = shown.node.is_some() && matches!(shown.state.as_str(), "assigned" | "running");
            let live = matches!(slot.life, Life::Running | Life::Paused);
            check(held == live, || format!("{} is {:?}, and {} on the market", slot.name, slot.life, shown.state))?;
        }
        self.judge_money(node, &entries).await
    }

    async fn judge_money(&self, node: &Node, entries: &[MarketEntry]) -> Result<(), Failure> {
        let status = node.status().await?;
        let manager: Address = status.market.expect("the chain answers").parse().expect("the market's address");
        let operator = node.operator();
        let (token, nodes, escrow) = (made_by(operator, 0), made_by(operator, 1), made_by(manager, 1));
        let purse: Amount = PURSE.parse().expect("an amount");
        let supply = call(node, token, TOTAL_SUPPLY.to_owned())?;
        let minted = STAKE.0 + purse.0;
        check(supply == minted, || format!("{supply} were minted, and only {minted} were asked for"))?;
        let of = |address: Address| call(node, token, format!("{BALANCE_OF}{:0>64}", hex::encode(address.0)));
        let deployer = entries.iter().find(|entry| entry.owner != operator.to_string());
        let deployer: Option<Address> = deployer.map(|entry| entry.owner.parse().expect("an address"));
        let held = deployer.map_or(Ok(0), of)?;
        let (staked, escrowed, own) = (of(nodes)?, of(escrow)?, of(operator)?);
        let sum = staked + escrowed + own + held;
        check(sum == supply, || format!("{staked} + {escrowed} + {own} + {held} are not {supply}"))?;
        check(staked == STAKE.0, || format!("{staked} are staked"))
    }
}

impl Slot {
    /// What was paid in is there once.
    fn judge_deposit(&mut self, shown: &MarketEntry) -> Result<(), Failure> {
        if !self.pays || shown.state != "running" {
            return Ok(());
        }
        let holds = |paid: u32| shown.deposited.parse() == Ok(Amount(u128::from(paid) * Amount::TALOS.0));
        let more = u32::from(self.asked == Some(Asked::Fund));
        for (late, more) in (0..=self.unseen).flat_map(|late| (0..=more).map(move |more| (late, more))) {
            if holds(self.paid - GIFT * late + GIFT * (self.funded + more)) {
                (self.paid, self.unseen, self.funded) = (self.paid - GIFT * late, 0, self.funded + more);
                return Ok(());
            }
        }
        let (name, paid, funded) = (self.name, self.paid, self.funded);
        Err(Failure::Violation(format!("{name} was paid {paid} and {funded} gifts, and holds {}", shown.deposited)))
    }
}

fn call(node: &Node, to: Address, data: String) -> Result<u128, Failure> {
    let request = json!({
        "jsonrpc": "2.0", "id": 1, "method": "eth_call",
        "params": [{ "to": to.to_string(), "data": format!("0x{data}") }, "latest"],
    });
    let answer: Value = serde_json::from_slice(&node.chain_rpc(request.to_string().as_bytes()))?;
    let word = answer["result"].as_str().and_then(|word| word.get(34..));
    let number = word.and_then(|word| u128::from_str_radix(word, 16).ok());
    number.ok_or_else(|| Failure::Violation(format!("the chain answered {answer}")))
}
