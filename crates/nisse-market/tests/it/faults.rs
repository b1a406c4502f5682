//! A chain that is reached badly, and that changes its mind. Calls and answers are lost, come late, twice or not at all,
//! an endpoint is busy or a block behind, blocks are undone: a life on the market ends as over a sound wire, nothing is
//! doubled, and whoever reads its events ends with those that stand.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use nisse_market::embedded::EmbeddedChain;
use nisse_market::{
    ChainClient, ContractSettings, CursorPosition, DeployOrder, DeploymentState, EventAt, LogCursor, Market,
    MarketAddresses, MarketError, RpcPost, RpcPostError, TxQueueOptions, deploy_contracts,
};
use nisse_store::Entropy as _;
use nisse_testkit::SimEntropy;
use serde_json::{Value, json};

use crate::support::{Stage, World, all_money, options, rate, resources, rpc, talos, terms};

/// Lives of each kind; each has wires of its own.
const SEEDS: u64 = 8;
/// Of ten calls so many meet a fault.
const FAULTS_OF_TEN: u64 = 3;
/// One call in so many finds another block on the chain, and one in so many a reorganisation.
const BLOCK_ONE_IN: u64 = 8;
const REORG_ONE_IN: u64 = 20;
/// Blocks on top of what counts as done, and the deepest reorganisation that comes by itself.
const CONFIRMATIONS: u64 = 2;
/// A write that fails so often never succeeds.
const TRIES_MAX: usize = 2_000;

/// What becomes of a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fault {
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

/// A wire with faults to a chain on which others mine, too.
struct Rough {
    chain: EmbeddedChain,
    rolls: SimEntropy,
    faults: &'static [Fault],
    reorganised: bool,
    answered: Mutex<HashMap<String, Value>>,
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

    fn answer(&self, body: &[u8]) -> Value {
        serde_json::from_slice(&self.chain.handle_json(body)).unwrap()
    }

    /// What an endpoint says that does not have the newest block; `None` where that makes no difference.
    fn one_behind(&self, call: &Value) -> Option<Value> {
        let (head, hash) = self.chain.head();
        let hash = format!("0x{}", hex::encode(hash));
        let newest = |value: &Value| *value == json!(format!("{head:#x}"));
        match call["method"].as_str().unwrap() {
            "eth_blockNumber" => Some(json!({ "result": format!("{:#x}", head.saturating_sub(1)) })),
            "eth_getBlockByNumber" if newest(&call["params"][0]) => Some(json!({ "result": null })),
            "eth_getLogs" if call["params"][0]["blockHash"] == json!(hash) => {
                Some(json!({ "error": { "code": -32000, "message": "unknown block" } }))
            }
            "eth_getTransactionReceipt" => {
                let receipt = rpc(&self.chain, "eth_getTransactionReceipt", call["params"].clone());
                newest(&receipt["blockNumber"]).then(|| json!({ "result": null }))
            }
            _ => None,
        }
    }
}

#[async_trait]
impl RpcPost for Rough {
    async fn post(&self, _: &str, body: Vec<u8>) -> Result<Vec<u8>, RpcPostError> {
        if self.one_in(BLOCK_ONE_IN) {
            rpc(&self.chain, "nisse_mine", json!(["0x1"]));
        }
        if self.reorganised && self.one_in(REORG_ONE_IN) {
            let depth = 1 + self.roll() % CONFIRMATIONS;
            rpc(&self.chain, "nisse_reorg", json!([format!("{depth:#x}"), self.one_in(2)]));
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
                self.answer(&body);
                return failed("no answer came");
            }
            Some(Twice) => {
                self.answer(&body);
                self.answer(&body)
            }
            Some(Late) => {
                let before = self.answered.lock().unwrap().get(&asked).cloned();
                before.unwrap_or_else(|| self.answer(&body))
            }
            Some(OneBehind) => self.one_behind(&call).unwrap_or_else(|| self.answer(&body)),
            None => self.answer(&body),
        };
        answer["jsonrpc"] = json!("2.0");
        answer["id"] = call["id"].clone();
        self.answered.lock().unwrap().insert(asked, answer.clone());
        Ok(answer.to_string().into_bytes())
    }
}

/// Whoever gives up on an error asks again under the same name.
async fn insist<T, F: Future<Output = Result<T, MarketError>>>(what: &str, write: impl Fn() -> F) -> T {
    for _ in 0..TRIES_MAX {
        match write().await {
            Ok(done) => return done,
            Err(error @ MarketError::Lost) => panic!("{what}: {error}"),
            Err(_) => tokio::time::sleep(Duration::from_millis(1)).await,
        }
    }
    panic!("{what} never succeeds");
}

/// What somebody has who reads events and undoes what they are told to.
struct Reader {
    cursor: LogCursor,
    known: Vec<EventAt>,
}

impl Reader {
    /// Reads on; false when there is nothing new.
    async fn read(&mut self) -> Result<bool, ()> {
        let Some(batch) = self.cursor.next().await.map_err(|_| ())? else { return Ok(false) };
        let undone: HashSet<_> = batch.reverted.iter().map(|block| block.hash).collect();
        self.known.retain(|at| !undone.contains(&at.block.hash));
        self.known.extend(batch.committed);
        Ok(true)
    }

    async fn read_to_the_end(&mut self) {
        let mut tries = 0;
        while self.read().await != Ok(false) {
            tries += 1;
            assert!(tries < TRIES_MAX, "the log has no end");
        }
    }
}

fn name(at: &EventAt) -> String {
    format!("{:?}", at.event).split([' ', '(']).next().unwrap().to_owned()
}

/// How a life ended.
#[derive(Debug, PartialEq)]
struct Ended {
    events: Vec<String>,
    state: DeploymentState,
    money: u128,
}

/// An order from its deployment to its end, over wires with these faults.
async fn life(seed: u64, faults: &'static [Fault], reorganised: bool) -> Ended {
    let world = World::new();
    let chain = world.chain();
    let sound = ChainClient::embedded(chain.clone());
    let maker = world.queue(4, &sound);
    let addresses = deploy_contracts(&sound, &maker, &ContractSettings::default()).await.unwrap();
    rpc(&chain, "nisse_mine", json!([format!("{CONFIRMATIONS:#x}")]));
    let made = chain.head().0;

    let wire = |number: u64| {
        let rough = Rough {
            chain: chain.clone(),
            rolls: SimEntropy::new(seed * 10 + number),
            faults,
            reorganised,
            answered: Mutex::default(),
        };
        ChainClient::remote("http://chain/", Arc::new(rough))
    };
    let party = |n: u8| {
        let careful = TxQueueOptions { confirmations: CONFIRMATIONS, resend_after: Duration::ZERO, ..options() };
        let client = wire(u64::from(n));
        Market::with_addresses(client.clone(), world.queue_with(n, &client, careful), addresses)
    };
    let (owner, node) = (party(1), party(2));
    let mut reader = Reader { cursor: owner.events(CursorPosition::default(), made), known: Vec::new() };
    // What is read meanwhile may be undone later, and what cannot be read now is read later.
    macro_rules! step {
        ($party:ident . $write:ident ( $($argument:expr),* )) => {{
            let done = insist(stringify!($write), || $party.$write(stringify!($write), $($argument),*)).await;
            let _ = reader.read().await;
            done
        }};
    }
    step!(owner.faucet(talos(5_000)));
    step!(node.faucet(talos(20_000)));
    step!(node.register("http://127.0.0.1:1/", resources(), talos(10_000)));
    let publication = step!(owner.publish(terms()));
    let order = DeployOrder { publication, payment: talos(100), ..DeployOrder::default() };
    let number = step!(owner.deploy(order.clone()));
    step!(node.bid(number, rate(50)));
    step!(node.ack_start(number, 1));
    world.clock.advance(Duration::from_secs(3_600));
    step!(owner.deposit(number, talos(10)));
    step!(owner.pause(number));
    step!(owner.resume(number));
    step!(owner.stop(number));
    step!(node.withdraw(node.key()));
    reader.read_to_the_end().await;

    // The chain itself, without any wire, says what there is.
    let truth = Market::with_addresses(sound.clone(), maker, addresses);
    let mut whole = Reader { cursor: truth.events(CursorPosition::default(), made), known: Vec::new() };
    whole.read_to_the_end().await;
    assert_eq!(reader.known, whole.known, "what was read over the wire is what stands (seed {seed})");
    let view = truth.deployment(number).await.unwrap();
    assert_eq!(view.deposited, view.paid, "the rest went back (seed {seed})");
    let earned = truth.earned(node.key()).await.unwrap();
    assert_eq!((earned, truth.claimable(node.key()).await.unwrap().0), (view.paid, 0), "seed {seed}");
    let MarketAddresses { nodes, escrow, .. } = addresses;
    let money = all_money(&truth, &[owner.key(), node.key(), nodes, escrow]).await;
    Ended { events: whole.known.iter().map(name).collect(), state: view.state, money }
}

async fn lives_end_as_ever(faults: &'static [Fault], reorganised: bool) {
    let ever = life(0, &[], false).await;
    assert_eq!((ever.state, ever.money), (DeploymentState::Stopped, talos(25_000).0));
    assert_eq!(ever.events.iter().filter(|name| *name == "Deployed").count(), 1);
    for seed in 1..=SEEDS {
        assert_eq!(life(seed, faults, reorganised).await, ever, "seed {seed}");
    }
}

#[tokio::test(start_paused = true)]
async fn calls_and_answers_that_are_lost_lose_and_double_nothing() {
    lives_end_as_ever(&[CallLost, AnswerLost], false).await;
}

#[tokio::test(start_paused = true)]
async fn answers_that_come_late_and_calls_that_come_twice_change_nothing() {
    lives_end_as_ever(&[Late, Twice], false).await;
}

#[tokio::test(start_paused = true)]
async fn an_endpoint_that_refuses_bursts_of_calls_is_asked_again() {
    lives_end_as_ever(&[TooMany, LimitExceeded, Garbled], false).await;
}

#[tokio::test(start_paused = true)]
async fn endpoints_of_which_some_are_one_block_behind_are_believed_only_in_what_they_have() {
    lives_end_as_ever(&[OneBehind], false).await;
}

#[tokio::test]
async fn a_reorganisation_of_1_3_or_64_blocks_is_undone_to_its_depth_and_told_again() {
    for depth in [1, 3, 64] {
        let stage = Stage::funded().await;
        stage.assigned(talos(100)).await;
        rpc(&stage.chain, "nisse_mine", json!([format!("{:#x}", depth - 1)]));
        let mut reader = Reader { cursor: stage.owner.events(CursorPosition::default(), 0), known: Vec::new() };
        reader.read_to_the_end().await;
        let before = reader.known.clone();
        rpc(&stage.chain, "nisse_reorg", json!([format!("{depth:#x}"), true]));
        let batch = reader.cursor.next().await.unwrap().unwrap();
        assert_eq!(batch.reverted.len(), depth);
        // The oldest of those blocks had the bid, with which the order was assigned.
        let named = |all: &[EventAt]| all.iter().map(|at| (name(at), at.tx, at.log_index)).collect::<Vec<_>>();
        assert_eq!(named(&batch.committed), named(&before[before.len() - 2..]));
    }
}

#[tokio::test(start_paused = true)]
async fn reorganisations_below_what_counts_as_done_undo_nothing_that_was_told() {
    lives_end_as_ever(&[], true).await;
}

#[tokio::test(start_paused = true)]
async fn all_of_it_together_changes_no_end() {
    lives_end_as_ever(&[CallLost, AnswerLost, Twice, TooMany, LimitExceeded, Garbled, OneBehind], true).await;
}
