//! The event cursor: in order, once, and honest about what a reorganisation undid.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use async_trait::async_trait;
use nisse_market::embedded::EmbeddedChain;
use nisse_market::{ChainClient, CursorError, CursorPosition, EventAt, LogCursor, RpcPost, RpcPostError};
use serde_json::{Value, json};

use crate::support::{Stage, rpc, talos};

async fn all(cursor: &mut LogCursor) -> Vec<EventAt> {
    let mut events = Vec::new();
    while let Some(batch) = cursor.next().await.unwrap() {
        assert_eq!(batch.reverted, []);
        events.extend(batch.committed);
    }
    events
}

fn names(events: &[EventAt]) -> Vec<String> {
    let name = |event: &EventAt| {
        let text = format!("{:?}", event.event);
        text.split([' ', '(']).next().unwrap().to_owned()
    };
    events.iter().map(name).collect()
}

#[tokio::test]
async fn events_come_in_order_and_only_once() {
    let stage = Stage::funded().await;
    let mut cursor = stage.owner.events(CursorPosition::default(), 0);
    assert_eq!(names(&all(&mut cursor).await), ["NodeRegistered", "NodeRegistered"]);
    let number = stage.assigned(talos(100)).await;
    let events = all(&mut cursor).await;
    assert_eq!(names(&events), ["Published", "Deployed", "BidPlaced", "Assigned"]);
    assert!(events[1..].iter().all(|event| event.event.deployment() == Some(number)));
    assert_eq!(cursor.next().await.unwrap(), None);
}

#[tokio::test]
async fn a_journalled_position_goes_on_where_it_was() {
    let stage = Stage::funded().await;
    let mut cursor = stage.owner.events(CursorPosition::default(), 0);
    all(&mut cursor).await;
    let bytes = cursor.position().to_bytes();
    stage.assigned(talos(100)).await;
    let position = CursorPosition::from_bytes(&bytes).unwrap();
    assert_eq!(position, *cursor.position());
    let mut again = stage.owner.events(position, 0);
    assert_eq!(names(&all(&mut again).await), ["Published", "Deployed", "BidPlaced", "Assigned"]);
}

#[tokio::test]
async fn a_reorganisation_undoes_first_and_tells_again_after() {
    let stage = Stage::funded().await;
    stage.assigned(talos(100)).await;
    let mut cursor = stage.owner.events(CursorPosition::default(), 0);
    let before = all(&mut cursor).await;
    let (head, _) = stage.chain.head();
    rpc(&stage.chain, "nisse_reorg", json!(["0x2", true]));
    let batch = cursor.next().await.unwrap().unwrap();
    let undone: Vec<u64> = batch.reverted.iter().map(|block| block.number).collect();
    assert_eq!(undone, [head, head - 1]);
    // Deploy, then bid and assignment, come again in other blocks.
    assert_eq!(names(&batch.committed), ["Deployed", "BidPlaced", "Assigned"]);
    for (old, new) in before[before.len() - 3..].iter().zip(&batch.committed) {
        assert!(batch.reverted.contains(&old.block) && !batch.reverted.contains(&new.block));
        assert_eq!((old.tx, old.log_index), (new.tx, new.log_index));
    }
}

#[tokio::test]
async fn events_that_a_reorganisation_dropped_do_not_come_back() {
    let stage = Stage::funded().await;
    stage.assigned(talos(100)).await;
    let mut cursor = stage.owner.events(CursorPosition::default(), 0);
    all(&mut cursor).await;
    rpc(&stage.chain, "nisse_reorg", json!(["0x1", false]));
    let batch = cursor.next().await.unwrap().unwrap();
    assert_eq!((batch.reverted.len(), batch.committed.len()), (1, 0));
    assert_eq!(stage.owner.deployment(1).await.unwrap().node, None);
}

#[tokio::test]
async fn a_reorganisation_deeper_than_the_window_stops_the_cursor() {
    let stage = Stage::new().await;
    rpc(&stage.chain, "nisse_mine", json!(["0x100"]));
    let mut cursor = stage.owner.events(CursorPosition::default(), 0);
    all(&mut cursor).await;
    let stood = cursor.position().clone();
    rpc(&stage.chain, "nisse_reorg", json!(["0x90", true]));
    assert!(matches!(cursor.next().await, Err(CursorError::TooDeep)));
    assert_eq!(*cursor.position(), stood);
}

/// An endpoint that has yet to come to the newest blocks of its chain.
struct Lagging {
    chain: EmbeddedChain,
    head: AtomicU64,
}

#[async_trait]
impl RpcPost for Lagging {
    async fn post(&self, _: &str, body: Vec<u8>) -> Result<Vec<u8>, RpcPostError> {
        let mut call: Value = serde_json::from_slice(&body).unwrap();
        let head = self.head.load(Ordering::Relaxed);
        let asked = call["params"][0].as_str().and_then(|text| u64::from_str_radix(text.strip_prefix("0x")?, 16).ok());
        match call["method"].as_str().unwrap() {
            "eth_getBlockByNumber" if asked.is_some_and(|number| number > head) => {
                let answer = json!({ "jsonrpc": "2.0", "id": call["id"].take(), "result": null });
                Ok(answer.to_string().into_bytes())
            }
            "eth_blockNumber" => {
                let answer = json!({ "jsonrpc": "2.0", "id": call["id"].take(), "result": format!("{head:#x}") });
                Ok(answer.to_string().into_bytes())
            }
            _ => Ok(self.chain.handle_json(&body)),
        }
    }
}

#[tokio::test]
async fn an_endpoint_that_lags_undoes_nothing() {
    let stage = Stage::funded().await;
    rpc(&stage.chain, "nisse_mine", json!(["0x100"]));
    let (head, _) = stage.chain.head();
    let endpoint = Arc::new(Lagging { chain: stage.chain.clone(), head: AtomicU64::new(head) });
    let client = ChainClient::remote("http://127.0.0.1:1/", Arc::clone(&endpoint) as Arc<dyn RpcPost>);
    let mut cursor = LogCursor::new(client, vec![stage.addresses.manager], CursorPosition::default(), 0);
    all(&mut cursor).await;
    let stood = cursor.position().clone();
    for behind in [1, 3, 200] {
        endpoint.head.store(head - behind, Ordering::Relaxed);
        assert!(matches!(cursor.next().await, Err(CursorError::Behind { number }) if number == head));
        assert_eq!(*cursor.position(), stood);
    }
    rpc(&stage.chain, "nisse_reorg", json!(["0x2", true]));
    endpoint.head.store(head + 1, Ordering::Relaxed);
    let batch = cursor.next().await.unwrap().unwrap();
    assert_eq!(batch.reverted.len(), 2, "another hash at the same height is what undoes a block");
}

#[test]
fn a_malformed_position_is_refused() {
    let whole = [&[1][..], &[0; 40], &[0, 0, 0, 0, 0, 0, 0, 1], &[0; 32]].concat();
    assert!(CursorPosition::from_bytes(&whole).is_ok());
    let mut gap = whole.clone();
    gap[48] = 2;
    for bytes in [&[][..], &[2], &whole[..80], &gap, &[&[1][..], &[0; 40 * 129]].concat()] {
        assert!(matches!(CursorPosition::from_bytes(bytes), Err(CursorError::Position)));
    }
}

#[tokio::test]
async fn logs_are_matched_to_their_event_by_contract() {
    let stage = Stage::funded().await;
    stage.assigned(talos(100)).await;
    let mut cursor = stage.owner.events(CursorPosition::default(), 0);
    let spoke: Vec<_> = all(&mut cursor).await.iter().map(|event| event.contract).collect();
    let (nodes, manager) = (stage.addresses.nodes, stage.addresses.manager);
    assert_eq!(spoke, [nodes, nodes, manager, manager, manager, manager]);
}
