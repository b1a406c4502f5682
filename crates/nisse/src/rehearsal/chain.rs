//! The market's chain, as whoever watches over the rehearsal moves it: blocks as time passes, and time itself.

use std::time::Duration;

use nisse_egress::OperatorClient;
use nisse_node::control::NodeStatus;
use serde_json::{Value, json};

use super::failed;
use crate::failure::Failure;

/// How often a block is made.
const BLOCK_TIME: Duration = Duration::from_millis(200);
/// How long one call may take, and how much it may answer.
const CALL_MAX: Duration = Duration::from_secs(10);
const ANSWER_BYTES_MAX: usize = 64 << 10;

/// A moment of a heartbeat period.
#[derive(Debug, Clone, Copy)]
pub(super) enum Moment {
    /// Its beginning.
    Begun,
    /// All who live have said so.
    Shown,
    /// All who would tell of silence have told.
    Told,
}

/// A development chain, by JSON-RPC.
pub(super) struct Chain {
    url: String,
    /// Seconds of a heartbeat period.
    period: u64,
    client: OperatorClient,
}

impl Chain {
    /// The chain of this market.
    pub(super) fn of(market: &NodeStatus) -> Result<Self, Failure> {
        let (url, period) =
            market.chain_url.clone().zip(market.heartbeat_seconds).ok_or_else(|| failed("find the chain"))?;
        Ok(Self { url, period, client: OperatorClient::default() })
    }

    /// Makes a block now and then, for ever: others than the market's home wait for some behind each transaction.
    pub(super) async fn make_blocks(&self) -> Failure {
        loop {
            tokio::time::sleep(BLOCK_TIME).await;
            if let Err(failure) = self.call("nisse_mine", json!([])).await {
                return failure;
            }
        }
    }

    /// When the period began in which the newest block stands, in milliseconds.
    pub(super) async fn period(&self) -> Result<u64, Failure> {
        Ok(self.now().await? / self.period * self.period * 1000)
    }

    /// Moves the clock to a moment of the next period.
    pub(super) async fn go_to_next_period(&self, moment: Moment) -> Result<(), Failure> {
        let now = self.now().await?;
        self.go_on((now / self.period + 1) * self.period + self.behind(moment) - now).await
    }

    /// Moves the clock to a later moment of this period.
    pub(super) async fn go_to(&self, moment: Moment) -> Result<(), Failure> {
        let now = self.now().await?;
        self.go_on((now / self.period * self.period + self.behind(moment)).saturating_sub(now)).await
    }

    /// Seconds behind a period's beginning.
    fn behind(&self, moment: Moment) -> u64 {
        match moment {
            Moment::Begun => 1,
            Moment::Shown => self.period / 4 + 1,
            Moment::Told => self.period * 7 / 8 + 1,
        }
    }

    async fn go_on(&self, seconds: u64) -> Result<(), Failure> {
        self.call("nisse_increaseTime", json!([format!("{seconds:#x}")])).await?;
        self.call("nisse_mine", json!([])).await.map(drop)
    }

    async fn now(&self) -> Result<u64, Failure> {
        let block = self.call("eth_getBlockByNumber", json!(["latest", false])).await?;
        let time = block["timestamp"].as_str().and_then(|time| u64::from_str_radix(time.strip_prefix("0x")?, 16).ok());
        time.ok_or_else(|| failed("read the chain's clock"))
    }

    async fn call(&self, method: &str, params: Value) -> Result<Value, Failure> {
        let question = json!({ "jsonrpc": "2.0", "id": 1, "method": method, "params": params }).to_string();
        let asked = self.client.post(&self.url, "application/json", question.into(), CALL_MAX, ANSWER_BYTES_MAX).await;
        let asked = asked.map_err(|error| failed(format!("reach the chain: {}", crate::failure::chain(&error))))?;
        let mut answer: Value = serde_json::from_slice(&asked.body).unwrap_or_default();
        match answer["error"].take() {
            Value::Null => Ok(answer["result"].take()),
            error => Err(failed(format!("call {method}: {error}"))),
        }
    }
}
