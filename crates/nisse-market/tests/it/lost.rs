//! When a transaction counts as lost: not while an endpoint that lags may be the reason, since what is lost is never sent
//! again.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use nisse_market::embedded::EmbeddedChain;
use nisse_market::{
    ChainClient, DeployOrder, Market, MarketCall, MarketError, RpcPost, RpcPostError, TxQueueOptions, Written,
};
use nisse_model::{Address, Amount};
use serde_json::{Value, json};
use tokio::task::JoinHandle;

use crate::queue::{nonce, nowhere};
use crate::support::{Stage, World, options, talos, terms};

/// Between two looks of a waiting test. Nothing depends on it but the test's own duration.
const LOOK: Duration = Duration::from_millis(3);
const MINUTE: Duration = Duration::from_secs(60);

/// Several endpoints behind one address: some lag, some keep what they are sent to themselves.
struct Endpoints {
    chain: EmbeddedChain,
    hides_receipts: AtomicBool,
    swallows: AtomicBool,
    /// The nonce at the final block, where it is not the chain's own; an error when it is `null`.
    final_count: Mutex<Option<Value>>,
}

impl Endpoints {
    fn new(chain: &EmbeddedChain) -> (Arc<Self>, ChainClient) {
        let off = AtomicBool::default;
        let (chain, final_count) = (chain.clone(), Mutex::default());
        let wire = Arc::new(Self { chain, hides_receipts: off(), swallows: off(), final_count });
        let client = ChainClient::remote("http://chain/", Arc::clone(&wire) as Arc<dyn RpcPost>);
        (wire, client)
    }
}

#[async_trait]
impl RpcPost for Endpoints {
    async fn post(&self, _: &str, body: Vec<u8>) -> Result<Vec<u8>, RpcPostError> {
        let call: Value = serde_json::from_slice(&body).unwrap();
        let final_count = self.final_count.lock().unwrap().clone();
        let result = match call["method"].as_str().unwrap() {
            "eth_getTransactionReceipt" if self.hides_receipts.load(Ordering::Relaxed) => Value::Null,
            "eth_sendRawTransaction" if self.swallows.load(Ordering::Relaxed) => json!(format!("0x{}", "1".repeat(64))),
            "eth_getTransactionCount" if call["params"][1] == "finalized" && final_count.is_some() => {
                let count = final_count.unwrap();
                if count.is_null() {
                    let error = json!({ "code": -32000, "message": "missing trie node" });
                    return Ok(json!({ "jsonrpc": "2.0", "id": call["id"], "error": error }).to_string().into_bytes());
                }
                count
            }
            _ => return Ok(self.chain.handle_json(&body)),
        };
        Ok(json!({ "jsonrpc": "2.0", "id": call["id"], "result": result }).to_string().into_bytes())
    }
}

fn pay() -> MarketCall {
    MarketCall::Transfer { to: Address([9; 20]), amount: Amount(1) }
}

fn write(market: Market) -> JoinHandle<Result<Written, MarketError>> {
    tokio::spawn(async move { market.write("pay", &pay()).await })
}

/// Time passes in steps, with a look of the queue in each.
async fn pass(world: &World, minutes: u32) {
    for _ in 0..2 * minutes {
        world.clock.advance(MINUTE / 2);
        tokio::time::sleep(LOOK).await;
    }
}

/// Somebody else's transactions with the same key.
async fn foreign(chain: &EmbeddedChain, n: u8) {
    let (elsewhere, client) = (World::new(), ChainClient::embedded(chain.clone()));
    let market = Market::with_addresses(client.clone(), elsewhere.queue(n, &client), nowhere());
    let other = MarketCall::Transfer { to: Address([8; 20]), amount: Amount(2) };
    market.write("another", &other).await.unwrap();
}

#[tokio::test]
async fn a_transaction_whose_receipt_lags_is_waited_for() {
    let world = World::new();
    let chain = world.open(false).unwrap();
    let (wire, client) = Endpoints::new(&chain);
    wire.hides_receipts.store(true, Ordering::Relaxed);
    let market = Market::with_addresses(client.clone(), world.queue(2, &client), nowhere());
    let writing = write(market.clone());
    while nonce(&chain, 2) == 0 {
        tokio::time::sleep(LOOK).await;
    }
    pass(&world, 4).await;
    // The nonce is spent at a block that is not final yet: that says nothing at all.
    *wire.final_count.lock().unwrap() = Some(json!("0x0"));
    pass(&world, 120).await;
    *wire.final_count.lock().unwrap() = None;
    pass(&world, 4).await;
    assert!(!writing.is_finished());
    wire.hides_receipts.store(false, Ordering::Relaxed);
    assert_eq!(writing.await.unwrap().unwrap().block.number, 1);
}

#[tokio::test]
async fn a_nonce_that_a_foreign_transaction_took_is_lost_minutes_after_it_is_final() {
    for told in [true, false] {
        let world = World::new();
        let chain = world.open(false).unwrap();
        let (wire, client) = Endpoints::new(&chain);
        wire.swallows.store(true, Ordering::Relaxed);
        // An endpoint without the final block's state takes more time.
        *wire.final_count.lock().unwrap() = (!told).then_some(Value::Null);
        let market = Market::with_addresses(client.clone(), world.queue(2, &client), nowhere());
        let writing = write(market.clone());
        pass(&world, 1).await;
        foreign(&chain, 2).await;
        pass(&world, if told { 4 } else { 55 }).await;
        assert!(!writing.is_finished(), "told: {told}");
        pass(&world, 10).await;
        assert!(matches!(writing.await.unwrap(), Err(MarketError::Lost)), "told: {told}");
    }
}

#[tokio::test]
async fn a_key_whose_approval_was_lost_approves_again_and_deploys() {
    let stage = Stage::funded().await;
    let publication = stage.owner.publish("publish", terms()).await.unwrap();
    let (wire, client) = Endpoints::new(&stage.chain);
    let impatient = TxQueueOptions { resend_after: Duration::from_secs(2), ..options() };
    let queue = stage.world.queue_with(5, &client, impatient);
    let market = Market::with_addresses(client, queue, stage.addresses);
    market.faucet("faucet", talos(200)).await.unwrap();
    wire.swallows.store(true, Ordering::Relaxed);
    *wire.final_count.lock().unwrap() = Some(json!("0x2"));
    let order = DeployOrder { publication, payment: talos(100), ..DeployOrder::default() };
    let again = order.clone();
    let deploying = tokio::spawn({
        let market = market.clone();
        async move { market.deploy("deploy", order).await }
    });
    pass(&stage.world, 1).await;
    foreign(&stage.chain, 5).await;
    wire.swallows.store(false, Ordering::Relaxed);
    pass(&stage.world, 10).await;
    assert_eq!(deploying.await.unwrap().unwrap(), 1);
    assert_eq!(market.deploy("deploy/2", again).await.unwrap(), 2, "what is approved is not approved once more");
    // The faucet, the foreign one, the second approval, two deployments.
    assert_eq!(nonce(&stage.chain, 5), 5);
}
