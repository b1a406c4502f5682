//! A million blocks of a market that was quiet for most of them, read from its first block to the head over loopback
//! HTTP, beside bare `eth_getLogs` calls for the same blocks over the same connection.

use std::sync::Arc;
use std::time::Instant;

use nisse_market::{ChainClient, CursorPosition, Market, MarketAddresses};
use serde_json::{Value, json};

use crate::stage::Stage;
use crate::wire::Wire;
use crate::{Figure, median};

const BLOCKS: u64 = 1_000_000;
/// Turns of either side; the median counts.
const ROUNDS: usize = 5;
/// Blocks of one bare call: what a cursor asks for at once as well.
const RANGE: u64 = 10_000;

pub(crate) async fn measure() -> Vec<Figure> {
    let stage = Stage::new().await;
    let publication = stage.publish().await;
    stage.lease(publication, "at the start").await;
    let begun = Instant::now();
    stage.mine(BLOCKS / 2);
    let mut making = begun.elapsed();
    stage.lease(publication, "in the middle").await;
    let begun = Instant::now();
    stage.mine(BLOCKS / 2);
    making += begun.elapsed();
    stage.lease(publication, "at the end").await;

    let wire = Arc::new(Wire::to(stage.chain.clone()));
    let client = ChainClient::remote("http://localhost/", wire.clone());
    let market = stage.seen_by(client);
    let (mut ours, mut bare) = (Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        let begun = Instant::now();
        let events = read(&market, stage.chain.head().0).await;
        ours.push(begun.elapsed().as_secs_f64());
        assert_eq!(events, 11, "a registration, a publication, three times an order, a bid and its assignment");
        let begun = Instant::now();
        let logs = ask(&wire, &market, stage.chain.head().0);
        bare.push(begun.elapsed().as_secs_f64());
        assert!(logs >= events, "a log was not told of");
    }
    vec![
        Figure::new("blocks made", making.as_secs_f64(), "s", ""),
        Figure::new("blocks", stage.chain.head().0 as f64, "", ""),
        Figure::new("catch up", median(ours), "s", "60"),
        Figure::new("eth_getLogs", median(bare), "s", ""),
    ]
}

/// Reads all that happened; how many events there were.
async fn read(market: &Market, head: u64) -> usize {
    let mut cursor = market.events(CursorPosition::default(), 0);
    let mut events = 0;
    while let Some(batch) = cursor.next().await.unwrap() {
        events += batch.committed.len();
    }
    assert_eq!(cursor.position().head().unwrap().number, head);
    events
}

/// The same blocks, their logs only; how many there were.
fn ask(wire: &Wire, market: &Market, head: u64) -> usize {
    let MarketAddresses { manager, nodes, feeds, heartbeats, reputation, .. } = *market.addresses();
    let contracts = [manager, nodes, feeds].into_iter().chain(heartbeats).chain(reputation);
    let contracts: Vec<String> = contracts.map(|contract| contract.to_string()).collect();
    let mut logs = 0;
    for first in (0..=head).step_by(RANGE as usize) {
        let last = head.min(first + RANGE - 1);
        let filter =
            json!({ "address": contracts, "fromBlock": format!("{first:#x}"), "toBlock": format!("{last:#x}") });
        let call = json!({ "jsonrpc": "2.0", "id": first, "method": "eth_getLogs", "params": [filter] });
        let answer: Value = serde_json::from_slice(&wire.ask(call.to_string().as_bytes()).unwrap()).unwrap();
        logs += answer["result"].as_array().unwrap().len();
    }
    logs
}
