//! What the market's contracts are asked: of the newest block, and never of transactions that no block has.

use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use nisse_market::embedded::EmbeddedChain;
use nisse_market::{ChainClient, Market, RpcPost, RpcPostError, Signer as _};
use serde_json::{Value, json};

use crate::support::{Stage, key, talos};

/// A node that notes of which block each `eth_call` wants to know.
struct Noting {
    chain: EmbeddedChain,
    blocks: Mutex<Vec<Value>>,
}

#[async_trait]
impl RpcPost for Noting {
    async fn post(&self, _: &str, body: Vec<u8>) -> Result<Vec<u8>, RpcPostError> {
        let call: Value = serde_json::from_slice(&body).unwrap();
        if call["method"] == "eth_call" {
            self.blocks.lock().unwrap().push(call["params"][1].clone());
        }
        Ok(self.chain.handle_json(&body))
    }
}

#[tokio::test]
async fn a_view_tells_of_what_was_mined_alone() {
    let stage = Stage::funded().await;
    let number = stage.running(talos(100)).await;
    let post = Arc::new(Noting { chain: stage.chain.clone(), blocks: Mutex::default() });
    let client = ChainClient::remote("http://127.0.0.1:1", post.clone());
    let market = Market::open(client.clone(), stage.world.queue(4, &client), stage.addresses.book).await.unwrap();
    market.deployment(number).await.unwrap();
    market.node(key(2).address()).await.unwrap().unwrap();
    market.last_heartbeat(key(2).address()).await.unwrap();
    market.claimable(key(2).address()).await.unwrap();
    let blocks = post.blocks.lock().unwrap();
    assert!(blocks.len() >= 4 && blocks.iter().all(|block| *block == json!("latest")), "{blocks:?}");
}
