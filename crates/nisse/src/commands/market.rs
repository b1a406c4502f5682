//! market ls, market show, node status, node drain. `market upgrade` asks no node: see `chain.rs`.

use nisse_node::control::{
    EarnedLease, MarketEntry, MarketList, MarketNodes, MarketOffers, MarketRates, NodeEarnings, NodeStatus,
    NodeWithdrawn,
};

use std::path::Path;

use serde_json::json;

use super::{client, pkg, reputation, vault};
use crate::cli::{MarketCommand, NodeCommand, Shared};
use crate::failure::Failure;
use crate::{output, rehearsal};

pub(crate) async fn run(shared: &Shared, command: MarketCommand) -> Result<(), Failure> {
    if let MarketCommand::Upgrade = command {
        return super::chain::upgrade(shared).await;
    }
    if let MarketCommand::Rehearse { nodes } = command {
        return rehearsal::run(nodes, shared.json).await;
    }
    let client = client(shared).await?;
    match command {
        MarketCommand::Upgrade | MarketCommand::Rehearse { .. } => unreachable!("it asks no node"),
        MarketCommand::Ls => {
            let MarketList { deployments: entries, older } = client.get("/api/v1/market").await?;
            if older > 0 {
                let shown = entries.len();
                let cut = format!(
                    "the newest {shown} deployments are listed; each of the {older} older ones is shown by `nisse market show NUMBER`"
                );
                output::note(shared.json, &cut);
            }
            if shared.json {
                output::json(&entries);
                return Ok(());
            }
            if entries.is_empty() {
                output::line("no deployments yet: `nisse deploy DIR` makes one");
                return Ok(());
            }
            let row = |entry: &MarketEntry| {
                let number = entry.deployment.rsplit(':').next().unwrap_or_default().to_owned();
                vec![number, entry.agent_id.clone(), entry.state.clone(), entry.rate.clone(), entry.paid.clone()]
            };
            output::table(&["number", "agent", "state", "rate", "paid"], &entries.iter().map(row).collect::<Vec<_>>());
        }
        MarketCommand::Rates => {
            let rates: MarketRates = client.get("/api/v1/market/rates").await?;
            if shared.json {
                output::json(&rates);
                return Ok(());
            }
            let hourly = |rate: Option<String>| rate.map(|rate| format!("{rate} TALOS per hour")).unwrap_or_default();
            output::pairs(&[
                ("leases", format!("{} paid ones run among the newest {} deployments", rates.leases, rates.looked_at)),
                ("lowest", hourly(rates.lowest)),
                ("median", hourly(rates.median)),
                ("highest", hourly(rates.highest)),
                ("orders", format!("{} wait for a node", rates.orders)),
                ("offered", hourly(rates.offered)),
            ]);
        }
        MarketCommand::Nodes => {
            let nodes: MarketNodes = client.get("/api/v1/market/nodes").await?;
            if shared.json { output::json(&nodes.nodes) } else { reputation::print(&nodes) }
        }
        MarketCommand::Offers { dir } => {
            let path = format!("/api/v1/market/offers?{}", wanted(&dir)?);
            let offers: MarketOffers = client.get(&path).await?;
            if shared.json { output::json(&offers) } else { reputation::print_offers(&offers) }
        }
        MarketCommand::Show { deployment } => {
            let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | ':' | '@');
            if deployment.is_empty() || !deployment.chars().all(allowed) {
                return Err(Failure::usage(format!("failed to read `{deployment}` as a deployment")));
            }
            let entry: MarketEntry = client.get(&format!("/api/v1/market/{deployment}")).await?;
            if shared.json { output::json(&entry) } else { print(&entry) }
        }
    }
    Ok(())
}

fn print(entry: &MarketEntry) {
    let is_open = entry.state == "open";
    // Before a bid there is no rate.
    let rate = if is_open && entry.node.is_none() { String::new() } else { format!("{} TALOS per hour", entry.rate) };
    output::pairs(&[
        ("deployment", entry.deployment.clone()),
        ("agent", entry.agent_id.clone()),
        ("owner", entry.owner.clone()),
        ("state", entry.state.clone()),
        (if is_open { "leads" } else { "node" }, entry.node.clone().unwrap_or_default()),
        ("rate", rate),
        ("at most", entry.max_rate.as_ref().map(|rate| format!("{rate} TALOS per hour")).unwrap_or_default()),
        ("bids", bids(entry)),
        ("revealed", entry.reveals_from.map(|from| format!("from {} on", output::time(from))).unwrap_or_default()),
        ("bids end", entry.bids_until.map(output::time).unwrap_or_default()),
        ("deposited", entry.deposited.clone()),
        ("paid", entry.paid.clone()),
        ("started", entry.started_at.map(output::time).unwrap_or_default()),
        ("ends", entry.ends_at.map(output::time).unwrap_or_default()),
        ("refused", entry.refused.clone().unwrap_or_default()),
    ]);
    for event in &entry.events {
        output::line(format!(
            "{}  block {:<5} {:<16} {}",
            output::time(event.time),
            event.block,
            event.event,
            event.detail
        ));
    }
}

/// For how long bids are collected, and which one wins; nothing for a home lease.
fn bids(entry: &MarketEntry) -> String {
    match (&entry.max_rate, entry.bid_window_seconds) {
        (None, _) => String::new(),
        _ if entry.state != "open" && entry.events.iter().any(|event| event.event == "offer") => {
            "an offer was taken".to_owned()
        }
        (Some(_), 0) => "the first valid one wins".to_owned(),
        (Some(_), seconds) => {
            let rule =
                entry.select.as_ref().map(|rule| format!("; the winner is chosen by {rule}")).unwrap_or_default();
            format!("collected for {seconds} s{rule}")
        }
    }
}

/// What an agent asks for, as a query.
fn wanted(dir: &Path) -> Result<String, Failure> {
    let resources = pkg::read_manifest(dir)?.1.resources;
    Ok(format!("cpu_millis={}&memory_bytes={}&gpu={}", resources.cpu.millis, resources.memory.0, resources.gpu))
}

fn market_of(node: &NodeStatus) -> String {
    let (Some(market), Some(version)) = (&node.market, node.market_version) else { return String::new() };
    let newer = node.market_newer.map(|newer| format!("; version {newer} is used from the next `nisse up` on"));
    format!("{market}, version {version}{}", newer.unwrap_or_default())
}

/// What another home is started with to be on the same market; nothing while the chain does not name it.
pub(crate) fn join_command(chain_url: &str, node: &NodeStatus) -> Option<String> {
    let NodeStatus { chain, public, .. } = node;
    let contract = node.contract.as_ref()?;
    Some(format!(
        "nisse node serve --chain {chain_url} --chain-id {chain} --contract {contract} --gateway http://{public}"
    ))
}

/// When this node last showed life; nothing where it never had to.
fn heartbeat(seconds: Option<u64>, last: Option<u64>) -> String {
    match (seconds, last) {
        (Some(seconds), Some(last)) => format!("in the period from {}, of {seconds} s", output::time(last)),
        _ => String::new(),
    }
}

pub(crate) async fn node(shared: &Shared, command: NodeCommand) -> Result<(), Failure> {
    let client = client(shared).await?;
    match command {
        // It is the node, and asks none.
        NodeCommand::Serve(_) => {}
        NodeCommand::Status => {
            let node: NodeStatus = client.get("/api/v1/node").await?;
            if shared.json {
                output::json(&node);
                return Ok(());
            }
            let market = market_of(&node);
            let joined_by = node.chain_url.as_ref().and_then(|url| join_command(url, &node)).unwrap_or_default();
            let unserved =
                || "not served; `nisse up --rpc 127.0.0.1:8545` serves it to wallets and other nodes".to_owned();
            let block = node.block.map(|block| format!("block {block}, ")).unwrap_or_default();
            let chain_url = node.chain_url.unwrap_or_else(unserved);
            output::pairs(&[
                ("nisse", node.version),
                ("operator", node.operator),
                ("chain", format!("{}, {block}{}", node.chain, output::time(node.chain_time))),
                ("rpc", chain_url),
                ("market", market),
                ("contract", node.contract.unwrap_or_default()),
                ("joined by", joined_by),
                ("stake", node.stake.map(|stake| format!("{stake} TALOS")).unwrap_or_default()),
                ("earned", node.earned.map(|earned| format!("{earned} TALOS to withdraw")).unwrap_or_default()),
                ("heartbeat", heartbeat(node.heartbeat_seconds, node.heartbeat_last)),
                ("reputation", node.reputation.as_ref().map(reputation::standing).unwrap_or_default()),
                ("accepts", node.accept),
                ("isolation", node.isolation.unwrap_or_default()),
                ("price", price(&node.price, &node.price_cpu, &node.price_memory, node.price_load)),
                ("trouble", node.trouble.unwrap_or_default()),
                ("draining", if node.draining { "yes".to_owned() } else { String::new() }),
                ("cpu", format!("{} of {} in use", node.cpu[1], node.cpu[0])),
                ("memory", format!("{} of {} in use", node.memory[1], node.memory[0])),
                ("agents", node.agents.to_string()),
                ("vault", vault::in_words(&node.vault)),
                ("exceptions", node.exceptions.join("; ")),
                ("up since", output::time(node.since)),
                ("api", node.api),
                ("public", node.public),
            ]);
        }
        NodeCommand::Earnings => {
            let told: NodeEarnings = client.get("/api/v1/node/earnings").await?;
            if shared.json {
                output::json(&told);
                return Ok(());
            }
            let due = if told.leases.iter().any(|lease| lease.due != "0") { ", and what is due" } else { "" };
            let slashes = match told.slashes.as_str() {
                "0" => String::new(),
                slashes => format!(" ({slashes} of them from silent nodes' stakes)"),
            };
            let NodeEarnings { withdrawable, earned, .. } = &told;
            output::line(format!("{withdrawable} TALOS to withdraw{slashes}{due}; {earned} earned in all"));
            if !told.leases.is_empty() {
                let row = |lease: &EarnedLease| {
                    let EarnedLease { deployment, agent_id, owner, rate, paid, due } = lease.clone();
                    vec![agent_id, owner, rate, paid, due, deployment]
                };
                let rows: Vec<_> = told.leases.iter().map(row).collect();
                output::table(&["agent", "owner", "per hour", "paid", "due", "deployment"], &rows);
            }
            if told.older > 0 {
                output::note(false, &format!("{} older leases are not shown", told.older));
            }
        }
        NodeCommand::Withdraw { to } => {
            let drawn: NodeWithdrawn = client.post("/api/v1/node/withdraw", &to).await?;
            if shared.json {
                output::json(&drawn);
            } else {
                output::line(format!("{} TALOS are {}'s now", drawn.amount, drawn.to));
            }
        }
        NodeCommand::Drain { off } => {
            client.post::<()>("/api/v1/node/drain", &!off).await?;
            if shared.json {
                output::json(&json!({ "draining": !off }));
            } else if off {
                output::line("this node takes work again");
            } else {
                output::line(
                    "this node takes no new work; what runs here goes on, and `nisse node drain --off` ends it",
                );
            }
        }
    }
    Ok(())
}

/// The price list in one line: what is not asked for is not named.
fn price(floor: &str, cpu: &str, memory: &str, load: u32) -> String {
    let mut said = format!("{floor} TALOS per hour");
    if (cpu, memory) != ("0", "0") {
        said.push_str(&format!(" at least; {cpu} for each processor and {memory} for each GiB of memory"));
    }
    if load > 0 {
        said.push_str(&format!("; {load} % more for the last free part"));
    }
    said
}
