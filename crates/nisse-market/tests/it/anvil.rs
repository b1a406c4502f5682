//! The same story on a second implementation of the EVM: gas, addresses, events and reverts must agree to the unit.
//!
//! `cargo xtask interop` starts a fresh anvil with this module's chain id and first second, and passes its URL.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use nisse_market::{
    ChainClient, ContractSettings, CursorPosition, LogCursor, Market, MarketAddresses, MarketCall, RpcPost,
    RpcPostError, Signer as _, TxQueueOptions, deploy_contracts,
};
use nisse_model::{Address, AmountPerHour};
use nisse_store::Clock as _;
use serde_json::{Value, json};

use crate::flow::{Gas, assert_conserved, whole_life};
use crate::support::{CHAIN_ID, World, key, options, rpc, talos};

/// How long the whole story may take over HTTP.
const STORY_MAX: Duration = Duration::from_secs(120);
/// How long one answer may take.
const ANSWER_MAX: Duration = Duration::from_secs(10);
/// Wei for each key: on this chain gas has a price.
const ONE_THOUSAND_ETHER: u128 = 1_000 * 10u128.pow(18);

/// All that two chains must agree on. Hashes of blocks and transactions differ: on one of them gas is free.
#[derive(Debug, PartialEq)]
struct Story {
    gas: Gas,
    /// Gas of every block with a transaction, from the creation of the first contract on.
    blocks: Vec<String>,
    /// Contract, time and content of each event, with its place in its block.
    events: Vec<String>,
    /// What the contracts say to calls that they refuse.
    refusals: Vec<String>,
}

/// Posts on a connection of its own, so that nothing is left over for the next answer.
pub(crate) struct Post;

#[async_trait]
impl RpcPost for Post {
    async fn post(&self, url: &str, body: Vec<u8>) -> Result<Vec<u8>, RpcPostError> {
        let url = url.to_owned();
        let answered = tokio::task::spawn_blocking(move || post(&url, &body)).await;
        answered.map_err(|error| RpcPostError(error.to_string()))?.map_err(RpcPostError)
    }
}

fn post(url: &str, body: &[u8]) -> Result<Vec<u8>, String> {
    let authority = url.strip_prefix("http://").ok_or("not an http URL")?.trim_end_matches('/');
    let mut answer = Vec::new();
    let exchange = || -> std::io::Result<Vec<u8>> {
        let mut stream = TcpStream::connect(authority)?;
        stream.set_read_timeout(Some(ANSWER_MAX))?;
        let length = body.len();
        write!(stream, "POST / HTTP/1.0\r\nHost: {authority}\r\nContent-Type: application/json\r\n")?;
        write!(stream, "Content-Length: {length}\r\n\r\n")?;
        stream.write_all(body)?;
        stream.read_to_end(&mut answer)?;
        Ok(answer)
    };
    let answer = exchange().map_err(|error| error.to_string())?;
    let end = answer.windows(4).position(|four| four == b"\r\n\r\n").ok_or("the answer has no end of its head")?;
    let status = answer.split(|byte| *byte == b' ').nth(1);
    if status != Some(b"200") {
        return Err(String::from_utf8_lossy(&answer[..end]).into_owned());
    }
    Ok(answer[end + 4..].to_vec())
}

/// One call of the chain as a tool makes it.
async fn ask(url: &str, method: &str, params: Value) -> Value {
    let body = json!({ "jsonrpc": "2.0", "id": 1, "method": method, "params": params });
    let answer = Post.post(url, body.to_string().into_bytes()).await.unwrap();
    let answer: Value = serde_json::from_slice(&answer).unwrap();
    assert!(answer.get("error").is_none(), "{method}: {answer}");
    answer["result"].clone()
}

/// Tells the whole life on one chain, from its first block on.
async fn tell(
    world: &World,
    client: ChainClient,
    options: &TxQueueOptions,
    ask: impl AsyncFn(&str, Value) -> Value,
    pass: impl AsyncFn(u64),
) -> Story {
    let queue = world.queue_with(1, &client, options.clone());
    let addresses = deploy_contracts(&client, &queue, &ContractSettings::default()).await.unwrap();
    let owner = Market::open(client.clone(), queue, addresses.book).await.unwrap();
    let node = Market::with_addresses(client.clone(), world.queue_with(2, &client, options.clone()), addresses);
    let gas = whole_life(&owner, &node, pass).await;
    assert_conserved(&owner, &node, talos(11_000)).await;
    let answer = MarketCall::PublishAnswer { deployment: 1, asset: "ETH/USD".to_owned(), answer: 1 };
    let refusals = vec![
        format!("{:?}", owner.write("expire/again", &MarketCall::Expire { deployment: 1 }).await.unwrap_err()),
        format!("{:?}", node.bid("bid/again", 1, AmountPerHour(1)).await.unwrap_err()),
        format!("{:?}", owner.stop("stop/unknown", 7).await.unwrap_err()),
        format!("{:?}", owner.write("answer/nobody", &answer).await.unwrap_err()),
    ];
    let MarketAddresses { nodes, manager, feeds, heartbeats, .. } = addresses;
    let contracts: Vec<Address> = [manager, nodes, feeds].into_iter().chain(heartbeats).collect();
    let mut cursor = LogCursor::new(client, contracts, CursorPosition::default(), 0);
    let mut events = Vec::new();
    while let Some(batch) = cursor.next().await.unwrap() {
        assert_eq!(batch.reverted, []);
        events.extend(
            batch
                .committed
                .iter()
                .map(|event| format!("{} {:?} #{} {:?}", event.contract, event.time, event.log_index, event.event)),
        );
    }
    let mut blocks = Vec::new();
    for number in 1.. {
        let block = ask("eth_getBlockByNumber", json!([format!("{number:#x}"), false])).await;
        let Some(gas) = block["gasUsed"].as_str() else { break };
        // A block may be made for its time alone.
        if gas != "0x0" {
            blocks.push(gas.to_owned());
        }
    }
    Story { gas, blocks, events, refusals }
}

async fn on_the_embedded_chain() -> Story {
    let world = World::new();
    let chain = world.chain();
    let client = ChainClient::embedded(chain.clone());
    let clock = world.clock.clone();
    let pass = async |seconds| clock.advance(Duration::from_secs(seconds));
    let ask = async |method: &str, params| rpc(&chain, method, params);
    tell(&world, client, &options(), ask, pass).await
}

async fn on_anvil(url: &str) -> Story {
    let world = World::new();
    assert_eq!(ask(url, "eth_blockNumber", json!([])).await, "0x0", "this story needs a fresh chain");
    for n in [1, 2] {
        let balance = format!("{ONE_THOUSAND_ETHER:#x}");
        ask(url, "anvil_setBalance", json!([key(n).address().to_string(), balance])).await;
    }
    // Time stands still but where the story moves it, as the embedded chain's clock does.
    ask(url, "anvil_setBlockTimestampInterval", json!([0])).await;
    let clock = world.clock.clone();
    let pass = async |seconds| {
        clock.advance(Duration::from_secs(seconds));
        ask(url, "evm_setNextBlockTimestamp", json!([clock.now().0 / 1000])).await;
        ask(url, "evm_mine", json!([])).await;
    };
    let remote = TxQueueOptions::remote(CHAIN_ID);
    let options = TxQueueOptions { confirmations: 0, poll: Duration::from_millis(5), ..remote };
    let client = ChainClient::remote(url, Arc::new(Post));
    tell(&world, client, &options, async |method: &str, params| ask(url, method, params).await, pass).await
}

#[tokio::test]
#[ignore = "needs anvil: cargo xtask interop"]
async fn a_whole_life_burns_the_same_gas_and_tells_the_same_events_on_anvil() {
    let url = std::env::var("NISSE_ANVIL_URL").expect("NISSE_ANVIL_URL names a fresh anvil");
    let embedded = on_the_embedded_chain().await;
    let anvil = tokio::time::timeout(STORY_MAX, on_anvil(&url)).await.expect("the story ends in time");
    for ((step, ours), (_, theirs)) in embedded.gas.iter().zip(&anvil.gas) {
        println!("gas {step:>14} embedded {ours:>8} anvil {theirs:>8}");
    }
    let Story { blocks, events, refusals, .. } = &embedded;
    println!("{} transactions, {} events, {} refusals compared", blocks.len(), events.len(), refusals.len());
    assert!(blocks.len() > embedded.gas.len(), "the contracts' creation is among them: {blocks:?}");
    assert!(embedded.events.len() >= 9, "{:#?}", embedded.events);
    assert_eq!(embedded, anvil);
}
