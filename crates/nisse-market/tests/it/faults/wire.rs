//! Wires that fail, and the chains behind them.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use nisse_market::embedded::EmbeddedChain;
use nisse_market::{RpcPost, RpcPostError};
use nisse_store::Entropy as _;
use nisse_testkit::{SimClock, SimEntropy};
use serde_json::{Value, json};

use crate::anvil::Post;
use crate::support::rpc;

/// Of ten calls so many meet a fault.
pub(crate) const FAULTS_OF_TEN: u64 = 3;
/// One call in so many finds another block on the chain, and one in so many a reorganisation.
const BLOCK_ONE_IN: u64 = 8;
const REORG_ONE_IN: u64 = 20;
/// The deepest reorganisation that comes by itself.
pub(crate) const DEPTH_MAX: u64 = 2;

/// What becomes of a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fault {
    CallLost,
    AnswerLost,
    /// It arrives twice.
    Twice,
    /// Its answer is the one that the same question had before.
    Late,
    /// HTTP status 429.
    TooMany,
    /// JSON-RPC's own word for the same.
    LimitExceeded,
    /// Its answer is no JSON.
    Garbled,
    /// It comes to an endpoint that does not have the newest block.
    OneBehind,
}

use Fault::{AnswerLost, CallLost, Garbled, Late, LimitExceeded, OneBehind, TooMany, Twice};

/// A chain that can be made to do what chains do by themselves.
#[async_trait]
pub(crate) trait Ground: Send + Sync + 'static {
    async fn answer(&self, body: Vec<u8>) -> Value;
    async fn mine(&self, blocks: u64);
    /// Undoes so many blocks; their transactions come again only with `keep`, and not on every chain.
    async fn reorganise(&self, depth: u64, keep: bool);
    /// So many seconds pass.
    async fn pass(&self, seconds: u64);

    async fn ask(&self, method: &str, params: Value) -> Value {
        let body = json!({ "jsonrpc": "2.0", "id": 1, "method": method, "params": params });
        self.answer(body.to_string().into_bytes()).await["result"].take()
    }
}

pub(crate) struct Embedded {
    pub(crate) chain: EmbeddedChain,
    pub(crate) clock: SimClock,
}

#[async_trait]
impl Ground for Embedded {
    async fn answer(&self, body: Vec<u8>) -> Value {
        serde_json::from_slice(&self.chain.handle_json(&body)).unwrap()
    }

    async fn mine(&self, blocks: u64) {
        rpc(&self.chain, "nisse_mine", json!([format!("{blocks:#x}")]));
    }

    async fn reorganise(&self, depth: u64, keep: bool) {
        rpc(&self.chain, "nisse_reorg", json!([format!("{depth:#x}"), keep]));
    }

    async fn pass(&self, seconds: u64) {
        self.clock.advance(Duration::from_secs(seconds));
    }
}

/// anvil at a URL.
pub(crate) struct Anvil(pub(crate) String);

#[async_trait]
impl Ground for Anvil {
    async fn answer(&self, body: Vec<u8>) -> Value {
        serde_json::from_slice(&Post.post(&self.0, body).await.unwrap()).unwrap()
    }

    async fn mine(&self, blocks: u64) {
        self.ask("anvil_mine", json!([format!("{blocks:#x}")])).await;
    }

    async fn reorganise(&self, depth: u64, _: bool) {
        self.ask("anvil_reorg", json!([depth, []])).await;
    }

    async fn pass(&self, seconds: u64) {
        self.ask("evm_increaseTime", json!([seconds])).await;
        // Deeper than any reorganisation that would take the time back with its block.
        self.mine(DEPTH_MAX + 1).await;
    }
}

/// A wire with faults to a chain on which others mine, too.
pub(crate) struct Rough {
    pub(crate) ground: Arc<dyn Ground>,
    pub(crate) rolls: SimEntropy,
    pub(crate) faults: &'static [Fault],
    pub(crate) reorganised: bool,
    pub(crate) answered: Mutex<HashMap<String, Value>>,
}

impl Rough {
    fn one_in(&self, many: u64) -> bool {
        self.roll().is_multiple_of(many)
    }

    fn roll(&self) -> u64 {
        let mut bytes = [0; 8];
        self.rolls.fill(&mut bytes);
        u64::from_le_bytes(bytes)
    }

    /// What an endpoint says that does not have the newest block; `None` where that makes no difference.
    async fn one_behind(&self, call: &Value) -> Option<Value> {
        let newest = self.ground.ask("eth_getBlockByNumber", json!(["latest", false])).await;
        let params = &call["params"];
        match call["method"].as_str().unwrap() {
            "eth_blockNumber" => Some(json!({ "result": below(&newest["number"]) })),
            "eth_getBlockByNumber" if params[0] == newest["number"] => Some(json!({ "result": null })),
            "eth_getLogs" if params[0]["blockHash"] == newest["hash"] => {
                Some(json!({ "error": { "code": -32000, "message": "unknown block" } }))
            }
            "eth_getTransactionReceipt" => {
                let receipt = self.ground.ask("eth_getTransactionReceipt", params.clone()).await;
                (receipt["blockNumber"] == newest["number"]).then(|| json!({ "result": null }))
            }
            _ => None,
        }
    }
}

#[async_trait]
impl RpcPost for Rough {
    async fn post(&self, _: &str, body: Vec<u8>) -> Result<Vec<u8>, RpcPostError> {
        if self.one_in(BLOCK_ONE_IN) {
            self.ground.mine(1).await;
        }
        if self.reorganised && self.one_in(REORG_ONE_IN) {
            self.ground.reorganise(1 + self.roll() % DEPTH_MAX, self.one_in(2)).await;
        }
        let call: Value = serde_json::from_slice(&body).unwrap();
        let asked = format!("{} {}", call["method"], call["params"]);
        let fault = (self.roll() % 10 < FAULTS_OF_TEN && !self.faults.is_empty())
            .then(|| self.faults[self.roll() as usize % self.faults.len()]);
        let failed = |why: &str| Err(RpcPostError(why.to_owned()));
        let mut answer = match fault {
            Some(CallLost) => return failed("the connection was reset"),
            Some(TooMany) => return failed("it answered 429"),
            Some(Garbled) => return Ok(b"<html>Bad gateway</html>".to_vec()),
            Some(LimitExceeded) => json!({ "error": { "code": -32005, "message": "limit exceeded" } }),
            Some(AnswerLost) => {
                self.ground.answer(body).await;
                return failed("no answer came");
            }
            Some(Twice) => {
                self.ground.answer(body.clone()).await;
                self.ground.answer(body).await
            }
            Some(Late) => {
                let before = self.answered.lock().unwrap().get(&asked).cloned();
                match before {
                    Some(before) => before,
                    None => self.ground.answer(body).await,
                }
            }
            Some(OneBehind) => match self.one_behind(&call).await {
                Some(answer) => answer,
                None => self.ground.answer(body).await,
            },
            None => self.ground.answer(body).await,
        };
        answer["jsonrpc"] = json!("2.0");
        answer["id"] = call["id"].clone();
        self.answered.lock().unwrap().insert(asked, answer.clone());
        Ok(answer.to_string().into_bytes())
    }
}

/// The number before this one, as a chain writes them.
fn below(number: &Value) -> Value {
    let number = u64::from_str_radix(number.as_str().unwrap().trim_start_matches("0x"), 16).unwrap();
    json!(format!("{:#x}", number.saturating_sub(1)))
}
