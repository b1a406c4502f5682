//! The transaction queue: whatever breaks between any two steps, an intent is carried out once.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use async_trait::async_trait;
use nisse_market::embedded::EmbeddedChain;
use nisse_market::{
    ChainClient, Market, MarketAddresses, MarketCall, MarketError, QueueError, RpcPost, RpcPostError, Signer,
    TxQueueOptions,
};
use nisse_model::{Address, Amount};
use serde_json::json;

use crate::support::{CHAIN_ID, Stage, World, key, options, rpc, talos};

/// A wire that breaks for good at one call, before or after the node has heard it.
struct Breaking {
    chain: EmbeddedChain,
    calls: AtomicU64,
    breaks_at: u64,
    after_delivery: bool,
}

#[async_trait]
impl RpcPost for Breaking {
    async fn post(&self, url: &str, body: Vec<u8>) -> Result<Vec<u8>, RpcPostError> {
        assert_eq!(url, "http://chain/");
        let call = self.calls.fetch_add(1, Ordering::Relaxed);
        if call > self.breaks_at || (call == self.breaks_at && !self.after_delivery) {
            return Err(RpcPostError("the wire is cut".to_owned()));
        }
        let answer = self.chain.handle_json(&body);
        if call == self.breaks_at { Err(RpcPostError("the wire is cut".to_owned())) } else { Ok(answer) }
    }
}

/// Addresses where no contract is: a call there is mined and does nothing, which is all that these tests need.
pub(crate) fn nowhere() -> MarketAddresses {
    let at = |n| Address([n; 20]);
    MarketAddresses {
        chain: CHAIN_ID,
        book: at(0xb1),
        version: 1,
        token: at(0xb2),
        nodes: at(0xb3),
        manager: at(0xb4),
        escrow: at(0xb5),
        feeds: at(0xb6),
        heartbeats: Some(at(0xb7)),
        reputation: Some(at(0xb8)),
    }
}

pub(crate) fn nonce(chain: &EmbeddedChain, n: u8) -> u64 {
    let count = rpc(chain, "eth_getTransactionCount", json!([key(n).address().to_string(), "latest"]));
    u64::from_str_radix(count.as_str().unwrap().trim_start_matches("0x"), 16).unwrap()
}

#[tokio::test]
async fn a_wire_cut_at_any_call_doubles_nothing() {
    let pay = MarketCall::Transfer { to: Address([9; 20]), amount: Amount(1) };
    let mut lengths = Vec::new();
    for after_delivery in [false, true] {
        for breaks_at in 0.. {
            let world = World::new();
            let chain = world.chain();
            let post = Breaking { chain: chain.clone(), calls: AtomicU64::new(0), breaks_at, after_delivery };
            let post = Arc::new(post);
            let broken = ChainClient::remote("http://chain/", post.clone());
            let queue = world.queue(2, &broken);
            let market = Market::with_addresses(broken, queue, nowhere());
            let submitted = market.submit("pay/1", &pay).await;
            drop(market);
            tokio::task::yield_now().await;

            let healthy = ChainClient::embedded(chain.clone());
            let market = Market::with_addresses(healthy.clone(), world.queue(2, &healthy), nowhere());
            if submitted.is_ok() {
                market.outcome("pay/1").await.unwrap();
            }
            let first = market.write("pay/1", &pay).await.unwrap();
            assert_eq!(market.write("pay/1", &pay).await.unwrap(), first);
            assert_eq!(nonce(&chain, 2), 1, "cut at call {breaks_at}, delivered: {after_delivery}");
            if post.calls.load(Ordering::Relaxed) <= breaks_at {
                lengths.push(breaks_at);
                break;
            }
        }
    }
    assert!(lengths.iter().all(|calls| *calls >= 6), "the cuts met every call of a submit: {lengths:?}");
}

#[tokio::test]
async fn a_name_stands_for_one_content() {
    let stage = Stage::new().await;
    stage.node.faucet("faucet", talos(1)).await.unwrap();
    let refused = stage.node.faucet("faucet", talos(2)).await.unwrap_err();
    assert!(matches!(refused, MarketError::Queue(QueueError::IntentDiffers(ref name)) if name == "faucet"));
    assert_eq!(stage.node.balance(stage.node.key()).await.unwrap(), talos(1));
    let unknown = stage.node.outcome("never").await.unwrap_err();
    assert!(matches!(unknown, MarketError::Queue(QueueError::UnknownIntent(_))));
    for name in ["", &"n".repeat(201)] {
        let refused = stage.node.faucet(name, talos(1)).await.unwrap_err();
        assert!(matches!(refused, MarketError::Queue(QueueError::IntentName { .. })));
    }
}

#[tokio::test]
async fn another_chain_is_refused_before_anything_is_signed() {
    let world = World::new();
    let chain = world.chain();
    let client = ChainClient::embedded(chain.clone());
    let wrong = TxQueueOptions { chain_id: 1, ..options() };
    let market = Market::with_addresses(client.clone(), world.queue_with(2, &client, wrong), nowhere());
    let refused = market.faucet("faucet", talos(1)).await.unwrap_err();
    let QueueError::WrongChain { expected: 1, found: CHAIN_ID } = queue_error(refused) else { panic!() };
    assert_eq!(nonce(&chain, 2), 0);
}

#[tokio::test]
async fn a_journal_of_another_key_or_chain_is_refused() {
    let world = World::new();
    let client = ChainClient::embedded(world.chain());
    let market = Market::with_addresses(client.clone(), world.queue(2, &client), nowhere());
    market.faucet("faucet", talos(1)).await.unwrap();
    drop(market);
    let open = |n, options| {
        nisse_market::TxQueue::open(
            Arc::new(world.disk.clone()),
            Arc::new(world.clock.clone()),
            &nisse_testkit::SimEntropy::new(1),
            std::path::Path::new("/tx/2"),
            client.clone(),
            Arc::new(key(n)),
            options,
        )
    };
    assert!(matches!(open(3, options()), Err(QueueError::OtherJournal { chain: CHAIN_ID, .. })));
    let other = TxQueueOptions { chain_id: 1, ..options() };
    assert!(matches!(open(2, other), Err(QueueError::OtherJournal { .. })));
}

#[tokio::test]
async fn a_key_that_somebody_else_uses_is_refused() {
    let world = World::new();
    let chain = world.chain();
    let client = ChainClient::embedded(chain.clone());
    let mine = Market::with_addresses(client.clone(), world.queue(2, &client), nowhere());
    mine.faucet("faucet", talos(1)).await.unwrap();
    drop(mine);
    let elsewhere = World::new();
    let theirs = Market::with_addresses(client.clone(), elsewhere.queue(2, &client), nowhere());
    theirs.faucet("other", talos(1)).await.unwrap();
    let again = Market::with_addresses(client.clone(), world.queue(2, &client), nowhere());
    let refused = again.faucet("third", talos(1)).await.unwrap_err();
    let QueueError::ForeignTransactions { chain: 2, known: 1, .. } = queue_error(refused) else { panic!() };
    assert_eq!(again.outcome("faucet").await.unwrap().events, []);
}

#[tokio::test]
async fn an_outcome_is_told_again_after_a_restart_without_a_chain() {
    let stage = Stage::new().await;
    let written = stage.node.faucet("faucet", talos(1)).await.unwrap();
    let Stage { world, chain, node, addresses, .. } = stage;
    drop(node);
    let post = Breaking { chain, calls: AtomicU64::new(0), breaks_at: 0, after_delivery: false };
    let dead = ChainClient::remote("http://chain/", Arc::new(post));
    let market = Market::with_addresses(dead.clone(), world.queue(2, &dead), addresses);
    assert_eq!(market.outcome("faucet").await.unwrap(), written);
    let refused = market.faucet("second", talos(1)).await.unwrap_err();
    assert!(matches!(queue_error(refused), QueueError::Unreachable(_)));
}

#[tokio::test]
async fn a_transaction_that_a_reorganisation_dropped_is_sent_again() {
    let world = World::new();
    let chain = world.chain();
    let client = ChainClient::embedded(chain.clone());
    // Two blocks must stand on top before an outcome is final.
    let careful = TxQueueOptions { confirmations: 2, resend_after: std::time::Duration::ZERO, ..options() };
    let market = Market::with_addresses(client.clone(), world.queue_with(2, &client, careful), nowhere());
    market.submit("pay", &MarketCall::Transfer { to: Address([9; 20]), amount: Amount(1) }).await.unwrap();
    assert_eq!(nonce(&chain, 2), 1);
    rpc(&chain, "nisse_reorg", json!(["0x1", false]));
    while nonce(&chain, 2) == 0 {
        tokio::task::yield_now().await;
    }
    rpc(&chain, "nisse_mine", json!(["0x2"]));
    let written = market.outcome("pay").await.unwrap();
    assert_eq!((nonce(&chain, 2), written.block.number), (1, 3));
}

#[tokio::test]
async fn a_block_that_its_chain_calls_final_needs_no_others_on_top() {
    let world = World::new();
    let chain = world.open(false).unwrap();
    let client = ChainClient::embedded(chain.clone());
    let careful = TxQueueOptions { confirmations: 2, ..options() };
    let market = Market::with_addresses(client.clone(), world.queue_with(2, &client, careful), nowhere());
    let pay = MarketCall::Transfer { to: Address([9; 20]), amount: Amount(1) };
    let written = market.write("pay", &pay).await.unwrap();
    assert_eq!((written.block.number, rpc(&chain, "eth_blockNumber", json!([]))), (1, json!("0x1")));
}

#[tokio::test]
async fn a_nonce_that_nothing_is_known_of_is_filled() {
    let world = World::new();
    let chain = world.chain();
    let client = ChainClient::embedded(chain.clone());
    let pay = MarketCall::Transfer { to: Address([9; 20]), amount: Amount(1) };
    let elsewhere = World::new();
    let before = Market::with_addresses(client.clone(), elsewhere.queue(2, &client), nowhere());
    before.write("pay", &pay).await.unwrap();
    drop(before);
    let careful = TxQueueOptions { confirmations: 2, resend_after: std::time::Duration::ZERO, ..options() };
    let market = Market::with_addresses(client.clone(), world.queue_with(2, &client, careful), nowhere());
    market.submit("pay", &pay).await.unwrap();
    assert_eq!(nonce(&chain, 2), 2);
    // Both leave the chain, and the first one's bytes are in a journal that this queue never saw.
    rpc(&chain, "nisse_reorg", json!(["0x2", false]));
    while nonce(&chain, 2) < 2 {
        tokio::task::yield_now().await;
    }
    rpc(&chain, "nisse_mine", json!(["0x2"]));
    market.outcome("pay").await.unwrap();
    assert_eq!(nonce(&chain, 2), 2);
}

#[tokio::test]
async fn many_writers_of_one_key_each_get_their_own() {
    let stage = Stage::new().await;
    let writes = (0..40).map(|n| {
        let node = stage.node.clone();
        tokio::spawn(async move { node.faucet(&format!("faucet/{n}"), talos(1)).await.unwrap().tx })
    });
    let mut hashes = Vec::new();
    for write in writes.collect::<Vec<_>>() {
        hashes.push(write.await.unwrap());
    }
    hashes.sort();
    hashes.dedup();
    assert_eq!(hashes.len(), 40);
    assert_eq!(stage.node.balance(stage.node.key()).await.unwrap(), talos(40));
}

fn queue_error(error: MarketError) -> QueueError {
    match error {
        MarketError::Queue(error) => error,
        other => panic!("{other:?}"),
    }
}
