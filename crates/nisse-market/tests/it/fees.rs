//! Waiting transactions where gas has a price: sent again with a tenth more, never above the cap, never twice.

use std::sync::Arc;
use std::sync::Mutex;
use std::time::Duration;

use async_trait::async_trait;
use nisse_market::embedded::EmbeddedChain;
use nisse_market::{ChainClient, DearGas, Market, MarketCall, RpcPost, RpcPostError, TxQueueOptions};
use nisse_model::{Address, Amount};
use serde_json::{Value, json};

use crate::queue::{nonce, nowhere};
use crate::support::{World, options};

/// A node that asks for a tip of 100 wei, and swallows the first transactions that it is sent.
struct Swallowing {
    chain: EmbeddedChain,
    state: Mutex<(usize, Vec<Vec<u8>>)>,
    /// What its newest block asks for gas, from the first transaction on.
    base_fee: u64,
}

impl Swallowing {
    fn new(chain: EmbeddedChain, swallow: usize, base_fee: u64) -> Arc<Self> {
        Arc::new(Self { chain, state: Mutex::new((swallow, Vec::new())), base_fee })
    }

    fn sent(&self) -> Vec<Vec<u8>> {
        self.state.lock().unwrap().1.clone()
    }
}

#[async_trait]
impl RpcPost for Swallowing {
    async fn post(&self, _: &str, body: Vec<u8>) -> Result<Vec<u8>, RpcPostError> {
        let call: Value = serde_json::from_slice(&body).unwrap();
        let result = match call["method"].as_str().unwrap() {
            "eth_maxPriorityFeePerGas" => json!("0x64"),
            "eth_sendRawTransaction" => {
                let raw = hex::decode(call["params"][0].as_str().unwrap().trim_start_matches("0x")).unwrap();
                let mut state = self.state.lock().unwrap();
                state.1.push(raw);
                if state.0 == 0 {
                    return Ok(self.chain.handle_json(&body));
                }
                state.0 -= 1;
                json!(format!("0x{}", "1".repeat(64)))
            }
            "eth_getBlockByNumber" if !self.sent().is_empty() => {
                let mut answer: Value = serde_json::from_slice(&self.chain.handle_json(&body)).unwrap();
                answer["result"]["baseFeePerGas"] = json!(format!("{:#x}", self.base_fee));
                answer["result"].take()
            }
            _ => return Ok(self.chain.handle_json(&body)),
        };
        Ok(serde_json::to_vec(&json!({ "jsonrpc": "2.0", "id": call["id"], "result": result })).unwrap())
    }
}

/// The market of a key over a node that swallows so many transactions, with fees up to `cap`. Key 9 has native money.
fn swallowing(n: u8, swallow: usize, cap: u128) -> (EmbeddedChain, Arc<Swallowing>, Market) {
    swallowing_at(0, n, swallow, cap)
}

/// The same where gas has this price from the first transaction on.
fn swallowing_at(base_fee: u64, n: u8, swallow: usize, cap: u128) -> (EmbeddedChain, Arc<Swallowing>, Market) {
    let world = World::new();
    let chain = world.chain();
    let post = Swallowing::new(chain.clone(), swallow, base_fee);
    let client = ChainClient::remote("http://chain/", post.clone());
    let impatient = TxQueueOptions { resend_after: Duration::ZERO, fee_per_gas_max: cap, ..options() };
    let queue = world.queue_with(n, &client, impatient);
    (chain, post, Market::with_addresses(client, queue, nowhere()))
}

fn pay() -> MarketCall {
    MarketCall::Transfer { to: Address([1; 20]), amount: Amount(1) }
}

/// The fees of a signed EIP-1559 transaction: the fourth item of its list, each attempt's own.
fn fee(raw: &[u8]) -> u128 {
    use alloy::consensus::{Transaction as _, TxEnvelope};
    use alloy::eips::eip2718::Decodable2718 as _;
    TxEnvelope::decode_2718_exact(raw).unwrap().max_fee_per_gas()
}

#[tokio::test]
async fn a_swallowed_transaction_is_sent_again_with_a_tenth_more() {
    let (chain, post, market) = swallowing(9, 3, 1_000);
    market.write("pay", &pay()).await.unwrap();
    let fees: Vec<u128> = post.sent().iter().map(|raw| fee(raw)).collect();
    assert_eq!(fees, [100, 110, 121, 134]);
    assert_eq!(nonce(&chain, 9), 1);
}

#[tokio::test]
async fn a_price_of_gas_that_leaps_is_followed_at_once_and_up_to_the_cap() {
    for (cap, offered) in [(10_000, [100, 4_100, 4_510, 4_961]), (1_000, [100, 1_000, 1_000, 1_000])] {
        let (chain, post, market) = swallowing_at(2_000, 9, 3, cap);
        market.write("pay", &pay()).await.unwrap();
        let fees: Vec<u128> = post.sent().iter().map(|raw| fee(raw)).collect();
        assert_eq!(fees, offered);
        assert_eq!(nonce(&chain, 9), 1);
    }
}

#[tokio::test]
async fn the_cap_holds_and_the_same_bytes_go_out_again() {
    let (chain, post, market) = swallowing(9, 4, 115);
    market.write("pay", &pay()).await.unwrap();
    let sent = post.sent();
    let fees: Vec<u128> = sent.iter().map(|raw| fee(raw)).collect();
    assert_eq!(fees, [100, 110, 110, 110, 110]);
    assert_eq!(sent[1], sent[4]);
    assert_eq!(nonce(&chain, 9), 1);
}

#[tokio::test]
async fn the_first_attempt_may_still_win_after_a_second_was_journalled() {
    // Nothing that the queue sends arrives.
    let (chain, post, market) = swallowing(9, usize::MAX, 1_000);
    let waiting = tokio::spawn(async move { market.write("pay", &pay()).await });
    while post.sent().len() < 2 {
        tokio::task::yield_now().await;
    }
    // A miner had the first attempt all along.
    let first = format!("0x{}", hex::encode(&post.sent()[0]));
    let hash = chain.handle("eth_sendRawTransaction", &json!([first])).unwrap();
    let written = waiting.await.unwrap().unwrap();
    assert_eq!(hash, json!(written.tx.to_string()));
    assert_eq!(nonce(&chain, 9), 1);
}

#[tokio::test]
async fn gas_is_dear_where_its_price_is_above_the_cap() {
    for (cap, dear) in [(2_000, None), (1_999, Some(DearGas { asked: 2_000, most: 1_999 }))] {
        let (_, _, market) = swallowing_at(2_000, 9, 0, cap);
        assert_eq!(market.dear_gas().await.unwrap(), None, "before it leaps");
        market.write("pay", &pay()).await.unwrap();
        assert_eq!(market.dear_gas().await.unwrap(), dear);
    }
}

#[tokio::test]
async fn no_native_money_is_said_before_anything_is_signed() {
    let (chain, _, market) = swallowing(2, 0, 1_000);
    let refused = market.write("pay", &pay()).await.unwrap_err().to_string();
    assert!(refused.contains("insufficient funds"), "{refused}");
    assert_eq!(nonce(&chain, 2), 0);
}
