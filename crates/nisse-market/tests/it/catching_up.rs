//! A chain elsewhere with a past: its log is read from where the market begins, by ranges as far as it is final, and says
//! the same as block by block.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use nisse_market::embedded::EmbeddedChain;
use nisse_market::{
    ChainClient, ContractSettings, CursorError, CursorPosition, DeployOrder, EventAt, FirstBlock, LogCursor, Market,
    MarketAddresses, REORG_DEPTH_MAX, RpcPost, RpcPostError, deploy_contracts,
};
use serde_json::{Value, json};

use crate::support::{World, rate, resources, rpc, talos, terms};

/// Blocks that one call of a development chain makes at most.
const MINED_AT_ONCE: u64 = 1_024;

/// What an endpoint does with calls that a small one refuses.
#[derive(Clone, Copy, Default)]
struct Habits {
    /// Blocks that one range may have.
    range_max: Option<u64>,
    /// What it says of the state at old blocks, instead of how it was.
    old_state: Option<&'static str>,
    /// Whether it says with each log that it is of the block before.
    confuses_blocks: bool,
}

/// A public endpoint, with an archive that knows in which block the address book was made.
struct Endpoint {
    chain: EmbeddedChain,
    made: u64,
    habits: Habits,
    calls: Mutex<BTreeMap<String, u64>>,
}

impl Endpoint {
    fn calls(&self, method: &str) -> u64 {
        self.calls.lock().unwrap().get(method).copied().unwrap_or_default()
    }
}

fn number(quantity: &Value) -> Option<u64> {
    u64::from_str_radix(quantity.as_str()?.strip_prefix("0x")?, 16).ok()
}

#[async_trait]
impl RpcPost for Endpoint {
    async fn post(&self, _: &str, body: Vec<u8>) -> Result<Vec<u8>, RpcPostError> {
        let call: Value = serde_json::from_slice(&body).unwrap();
        let (method, params) = (call["method"].as_str().unwrap(), &call["params"]);
        *self.calls.lock().unwrap().entry(method.to_owned()).or_default() += 1;
        let refused = |message: &str| {
            let error = json!({ "code": -32000, "message": message });
            Ok(json!({ "jsonrpc": "2.0", "id": call["id"], "error": error }).to_string().into_bytes())
        };
        let answered = |result: Value| {
            Ok(json!({ "jsonrpc": "2.0", "id": call["id"], "result": result }).to_string().into_bytes())
        };
        match method {
            "eth_getCode" => match (number(&params[1]), self.habits.old_state) {
                (Some(_), Some("forgotten")) => answered(json!("0x")),
                (Some(_), Some(refusal)) => refused(refusal),
                (Some(at), None) => answered(json!(if at < self.made { "0x" } else { "0x60" })),
                (None, _) => Ok(self.chain.handle_json(&body)),
            },
            "eth_getLogs" => {
                let (from, to) = (number(&params[0]["fromBlock"]), number(&params[0]["toBlock"]));
                let blocks = to.zip(from).map(|(to, from)| to - from + 1);
                if blocks.zip(self.habits.range_max).is_some_and(|(blocks, max)| blocks > max) {
                    return refused("query exceeds max block range");
                }
                let mut logs = rpc(&self.chain, method, params.clone());
                if self.habits.confuses_blocks {
                    for log in logs.as_array_mut().unwrap() {
                        log["blockHash"] = json!(format!("0x{}", "1".repeat(64)));
                    }
                }
                answered(logs)
            }
            _ => Ok(self.chain.handle_json(&body)),
        }
    }
}

/// A market that was made late on its chain, and has a past of its own.
struct Past {
    world: World,
    chain: EmbeddedChain,
    addresses: MarketAddresses,
    owner: Market,
    made: u64,
}

impl Past {
    /// `before` blocks, the market, a deployment, `between` blocks, and a bid on it.
    async fn new(before: u64, between: u64) -> Self {
        let world = World::new();
        let chain = world.chain();
        let client = ChainClient::embedded(chain.clone());
        let mine = |blocks: u64| {
            for begun in (0..blocks).step_by(MINED_AT_ONCE as usize) {
                rpc(&chain, "nisse_mine", json!([format!("{:#x}", MINED_AT_ONCE.min(blocks - begun))]));
            }
        };
        mine(before);
        let queue = world.queue(1, &client);
        let addresses = deploy_contracts(&client, &queue, &ContractSettings::default()).await.unwrap();
        // The address book is the third of them.
        let made = before + 3;
        let owner = Market::with_addresses(client.clone(), queue, addresses);
        let node = Market::with_addresses(client.clone(), world.queue(2, &client), addresses);
        owner.faucet("faucet", talos(5_000)).await.unwrap();
        node.faucet("faucet", talos(20_000)).await.unwrap();
        node.register("register", "http://127.0.0.1:1/", resources(), talos(10_000)).await.unwrap();
        let publication = owner.publish("publish", terms()).await.unwrap();
        let order = DeployOrder { publication, payment: talos(100), ..DeployOrder::default() };
        let deployment = owner.deploy("deploy", order).await.unwrap();
        mine(between);
        node.bid("bid", deployment, rate(50)).await.unwrap();
        Self { world, chain, addresses, owner, made }
    }

    fn endpoint(&self, habits: Habits) -> (Arc<Endpoint>, Market) {
        let endpoint = Endpoint { chain: self.chain.clone(), made: self.made, habits, calls: Mutex::default() };
        let endpoint = Arc::new(endpoint);
        let client = ChainClient::remote("http://chain/", Arc::clone(&endpoint) as Arc<dyn RpcPost>);
        let queue = self.world.queue(7, &client);
        (endpoint, Market::with_addresses(client, queue, self.addresses))
    }

    fn begins(&self) -> u64 {
        self.made - REORG_DEPTH_MAX as u64
    }
}

async fn all(cursor: &mut LogCursor) -> Vec<EventAt> {
    let mut events = Vec::new();
    while let Some(batch) = cursor.next().await.unwrap() {
        assert_eq!(batch.reverted, []);
        events.extend(batch.committed);
    }
    events
}

#[tokio::test]
async fn ranges_tell_the_same_as_block_by_block_whatever_an_endpoint_refuses() {
    let past = Past::new(2_000, 3_000).await;
    let told = all(&mut past.owner.events(CursorPosition::default(), 0)).await;
    assert_eq!(told.len(), 5, "registration, publication, order, bid, assignment: {told:#?}");
    for range_max in [None, Some(700), Some(37)] {
        let (endpoint, market) = past.endpoint(Habits { range_max, ..Habits::default() });
        let mut cursor = market.events(CursorPosition::default(), past.begins());
        assert_eq!(all(&mut cursor).await, told, "{range_max:?}");
        // What is final is behind 1,024 blocks here, and only those above it are read one by one.
        let (headers, logs) = (endpoint.calls("eth_getBlockByNumber"), endpoint.calls("eth_getLogs"));
        let ranges = 3_000 / range_max.unwrap_or(3_000);
        assert!(headers < 1_100 + 5 * ranges, "{range_max:?}: {headers} headers");
        assert!(logs < 20 + 4 * ranges, "{range_max:?}: {logs} ranges");
        let position = cursor.position().clone();
        assert_eq!(CursorPosition::from_bytes(&position.to_bytes()).unwrap(), position);
        assert_eq!(cursor.next().await.unwrap(), None);
    }
}

#[tokio::test]
async fn what_is_not_final_is_undone_as_ever_behind_a_range() {
    let past = Past::new(1_500, 1_500).await;
    let (_, market) = past.endpoint(Habits::default());
    let mut cursor = market.events(CursorPosition::default(), past.begins());
    let told = all(&mut cursor).await;
    rpc(&past.chain, "nisse_reorg", json!(["0x2", true]));
    let batch = cursor.next().await.unwrap().unwrap();
    assert_eq!(batch.reverted.len(), 2);
    let logs = |told: &[EventAt]| told.iter().map(|at| (at.tx, at.log_index)).collect::<Vec<_>>();
    assert_eq!(logs(&batch.committed), logs(&told[told.len() - 2..]), "bid and assignment come again");
}

#[tokio::test]
async fn a_node_that_was_down_for_long_goes_on_by_ranges() {
    let past = Past::new(10, 0).await;
    let (_, market) = past.endpoint(Habits::default());
    let mut cursor = market.events(CursorPosition::default(), 0);
    all(&mut cursor).await;
    for _ in 0..3 {
        rpc(&past.chain, "nisse_mine", json!([format!("{MINED_AT_ONCE:#x}")]));
    }
    past.owner.stop("stop", 1).await.unwrap();
    let (endpoint, market) = past.endpoint(Habits::default());
    let mut again = market.events(cursor.position().clone(), 0);
    assert_eq!(all(&mut again).await.len(), 1);
    assert!(endpoint.calls("eth_getBlockByNumber") < 1_100, "{}", endpoint.calls("eth_getBlockByNumber"));
}

#[tokio::test]
async fn a_hasty_look_reads_all_of_it_by_ranges() {
    let past = Past::new(1_000, 1_000).await;
    let told = all(&mut past.owner.events(CursorPosition::default(), 0)).await;
    let (endpoint, market) = past.endpoint(Habits { range_max: Some(500), ..Habits::default() });
    assert_eq!(all(&mut market.events(CursorPosition::default(), past.begins()).hasty()).await, told);
    assert!(endpoint.calls("eth_getBlockByNumber") < 50, "{}", endpoint.calls("eth_getBlockByNumber"));
}

#[tokio::test]
async fn an_endpoint_that_refuses_every_block_or_confuses_them_moves_nothing() {
    let past = Past::new(1_000, 1_500).await;
    for habits in
        [Habits { range_max: Some(0), ..Habits::default() }, Habits { confuses_blocks: true, ..Habits::default() }]
    {
        let (_, market) = past.endpoint(habits);
        let mut cursor = market.events(CursorPosition::default(), past.begins());
        match cursor.next().await.unwrap_err() {
            CursorError::Refused { number, reason } if !habits.confuses_blocks => {
                assert_eq!((number, reason.as_str()), (past.begins(), "query exceeds max block range"));
            }
            CursorError::Inconsistent { .. } if habits.confuses_blocks => {}
            error => panic!("{error:?}"),
        }
        assert_eq!(*cursor.position(), CursorPosition::default());
    }
}

#[tokio::test]
async fn the_log_begins_where_the_address_book_was_made() {
    let past = Past::new(3_000, 0).await;
    let (endpoint, market) = past.endpoint(Habits::default());
    assert_eq!(market.first_block().await.unwrap(), FirstBlock::Found(past.begins()));
    assert!(endpoint.calls("eth_getCode") <= 12, "{}", endpoint.calls("eth_getCode"));
    assert_eq!(past.owner.first_block().await.unwrap(), FirstBlock::Found(0), "the home's own chain is read whole");
    // Without an archive it cannot be known, and is not guessed.
    for (old_state, words) in [("missing trie node", "missing trie node"), ("forgotten", "was not made in block")] {
        let (_, market) = past.endpoint(Habits { old_state: Some(old_state), ..Habits::default() });
        let FirstBlock::Untold(reason) = market.first_block().await.unwrap() else { panic!("{old_state}") };
        assert!(reason.contains(words), "{reason}");
    }
}
