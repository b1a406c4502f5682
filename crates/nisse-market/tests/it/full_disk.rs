//! A disk that is full for a while: what it refuses is told as such and comes again; everything goes on, nothing twice.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use nisse_market::embedded::EmbeddedChain;
use nisse_market::{ChainClient, Market, MarketCall, MarketError, QueueError, RpcPost, RpcPostError, Written};
use nisse_model::{Address, Amount};
use nisse_store::Clock as _;
use nisse_testkit::{Fault, SimClock};
use serde_json::{Value, json};

use crate::queue::{nonce, nowhere};
use crate::support::{World, rpc};

/// Between two looks of a waiting test. Nothing depends on it but the test's own duration.
const LOOK: Duration = Duration::from_millis(2);

fn pay() -> MarketCall {
    MarketCall::Transfer { to: Address([9; 20]), amount: Amount(1) }
}

#[tokio::test]
async fn a_block_that_the_disk_refuses_may_come_again_and_one_that_it_loses_ends_the_chain() {
    let world = World::new();
    let chain = world.chain();
    world.disk.fail(Fault::NoSpace(0));
    let refused = rpc(&chain, "nisse_mine", json!([]));
    assert_eq!(refused["code"], json!(-32002), "{refused}");
    assert_eq!((chain.head().0, chain.failure()), (0, None));
    world.disk.heal();
    assert_eq!(rpc(&chain, "nisse_mine", json!([])), json!("0x1"));
    let first = |chain: &_| rpc(chain, "eth_getBlockByNumber", json!(["0x1", false]));
    let stands = first(&chain);
    world.disk.fail(Fault::Sync(0));
    assert_eq!(rpc(&chain, "nisse_mine", json!([]))["code"], json!(-32603));
    assert!(chain.failure().is_some_and(|reason| reason.contains("disk failed")), "{:?}", chain.failure());
    drop(chain);
    world.disk.heal();
    let chain = world.chain();
    assert_eq!((first(&chain), chain.failure()), (stands, None));
}

/// A write as the node makes it: tried again as long as the disk refuses its intent.
async fn patiently(market: Market, name: &str) -> Written {
    loop {
        match market.write(name, &pay()).await {
            Err(MarketError::Queue(QueueError::Disk(_))) => tokio::time::sleep(LOOK).await,
            written => return written.unwrap(),
        }
    }
}

#[tokio::test]
async fn a_disk_that_is_full_at_any_write_and_has_room_again_loses_and_doubles_nothing() {
    for full_at in 0.. {
        let world = World::new();
        let chain = world.chain();
        let client = ChainClient::embedded(chain.clone());
        let market = Market::with_addresses(client.clone(), world.queue(2, &client), nowhere());
        market.write("pay/1", &pay()).await.unwrap();
        world.disk.fail(Fault::NoSpace(full_at));
        let writing = tokio::spawn(patiently(market.clone(), "pay/2"));
        while !writing.is_finished() && !world.disk.has_failed() {
            tokio::time::sleep(LOOK).await;
        }
        let met = world.disk.has_failed();
        // It stays full for a while, and what waits tries again.
        for _ in 0..5 {
            world.clock.advance(Duration::from_secs(1));
            tokio::time::sleep(LOOK).await;
        }
        world.disk.heal();
        while !writing.is_finished() {
            world.clock.advance(Duration::from_secs(1));
            tokio::time::sleep(LOOK).await;
        }
        let second = writing.await.unwrap();
        let third = market.write("pay/3", &pay()).await.unwrap();
        assert_eq!((nonce(&chain, 2), third.block.number), (3, 3), "full at {full_at}");
        assert_eq!(chain.failure(), None);
        let head = chain.head();
        drop((market, chain, client));
        tokio::task::yield_now().await;

        let chain = world.chain();
        let client = ChainClient::embedded(chain.clone());
        let market = Market::with_addresses(client.clone(), world.queue(2, &client), nowhere());
        assert_eq!(chain.head(), head);
        assert_eq!(market.outcome("pay/2").await.unwrap(), second);
        if !met {
            assert!(full_at >= 3, "the intent, the block and the outcome were each refused: {full_at}");
            break;
        }
    }
}

/// A node without room for the first transactions that it is sent. When each came, by the simulated clock.
struct Full {
    chain: EmbeddedChain,
    clock: SimClock,
    refuses: usize,
    sent: Mutex<Vec<Duration>>,
}

#[async_trait]
impl RpcPost for Full {
    async fn post(&self, _: &str, body: Vec<u8>) -> Result<Vec<u8>, RpcPostError> {
        let call: Value = serde_json::from_slice(&body).unwrap();
        if call["method"] == "eth_sendRawTransaction" {
            let mut sent = self.sent.lock().unwrap();
            sent.push(self.clock.elapsed());
            if sent.len() <= self.refuses {
                let error = json!({ "code": -32002, "message": "the disk refuses the block" });
                let answer = json!({ "jsonrpc": "2.0", "id": call["id"], "error": error });
                return Ok(answer.to_string().into_bytes());
            }
        }
        Ok(self.chain.handle_json(&body))
    }
}

#[tokio::test]
async fn what_a_node_has_no_room_for_is_sent_again_after_longer_and_longer_rests() {
    let world = World::new();
    let chain = world.chain();
    let (clock, sent) = (world.clock.clone(), Mutex::default());
    let wire = Arc::new(Full { chain: chain.clone(), clock, refuses: 4, sent });
    let client = ChainClient::remote("http://chain/", Arc::clone(&wire) as Arc<dyn RpcPost>);
    let market = Market::with_addresses(client.clone(), world.queue(2, &client), nowhere());
    let writing = tokio::spawn(async move { market.write("pay", &pay()).await });
    while !writing.is_finished() {
        tokio::time::sleep(LOOK).await;
        world.clock.advance(Duration::from_millis(50));
    }
    writing.await.unwrap().unwrap();
    let sent = wire.sent.lock().unwrap().clone();
    let rests: Vec<Duration> = sent.windows(2).map(|pair| pair[1] - pair[0]).collect();
    assert_eq!(rests.len(), 4);
    for (rest, at_least) in rests.iter().zip([250, 500, 1_000, 2_000]) {
        assert!(*rest >= Duration::from_millis(at_least), "{rests:?}");
    }
    assert_eq!(nonce(&chain, 2), 1);
}
