//! The embedded chain's figures beside the disk's own, in one run: DESIGN §7's rows for the chain.
//!
//! `cargo bench -p nisse-market [-- --json]`. Everything runs on the machine's disk in a temporary folder.
#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "a bench prints, and stops at the first surprise")]

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use alloy::consensus::{SignableTransaction as _, TxEip1559, TxEnvelope};
use alloy::eips::eip2718::Encodable2718 as _;
use alloy::primitives::{Bytes, TxKind};
use alloy::signers::SignerSync as _;
use alloy::signers::local::PrivateKeySigner;
use nisse_market::embedded::{ChainOptions, EmbeddedChain, draw_chain_id};
use nisse_market::{
    ChainClient, ContractSettings, LocalKey, Market, Signer as _, TxQueue, TxQueueOptions, deploy_contracts,
};
use nisse_model::Amount;
use nisse_store::{Disk as _, FileMode, SystemClock, SystemDisk, SystemEntropy};
use serde_json::json;

/// Transactions sent one after the other.
const SENDS: usize = 500;
/// Calls made one after the other.
const CALLS: usize = 2_000;

fn main() {
    // `cargo test` compiles and starts every target: without `--bench` there is nothing to measure.
    if std::env::args().any(|argument| argument == "--bench") {
        let runtime = tokio::runtime::Builder::new_multi_thread().enable_time().build().unwrap();
        runtime.block_on(measure());
    }
}

async fn measure() {
    let folder = tempfile::tempdir().unwrap();
    let sync = sync_p50(folder.path());
    let options = ChainOptions {
        new_chain_id: Some(draw_chain_id(&SystemEntropy)),
        expect_chain_id: None,
        allocations: Vec::new(),
        dev: false,
    };
    let chain = open(folder.path(), options.clone());
    let client = ChainClient::embedded(chain.clone());
    let queue = queue(folder.path(), &chain, &client);
    let started = Instant::now();
    let addresses = deploy_contracts(&client, &queue, &ContractSettings::default()).await.unwrap();
    let contracts = started.elapsed();
    let market = Market::open(client, queue, addresses.book).await.unwrap();

    let mut writes = Vec::new();
    for round in 0..SENDS {
        let started = Instant::now();
        market.faucet(&format!("faucet/{round}"), Amount(1)).await.unwrap();
        writes.push(started.elapsed());
    }
    let sends = raw_sends(&chain).await;
    let mut calls = Vec::new();
    let data = format!("0x70a08231{:0>64}", hex::encode(market.key().0));
    let call = json!([{ "to": addresses.token.to_string(), "data": data }, "latest"]);
    for _ in 0..CALLS {
        let started = Instant::now();
        chain.handle("eth_call", &call).unwrap();
        calls.push(started.elapsed());
    }
    let (height, _) = chain.head();
    drop((market, chain));
    let started = Instant::now();
    let again = open(folder.path(), options);
    let replay = started.elapsed();
    assert_eq!(again.head().0, height);

    let rate = height as f64 / replay.as_secs_f64();
    if std::env::args().any(|argument| argument == "--json") {
        let [send, call] = [p50(&mut sends.clone()), p50(&mut calls)].map(|time| time.as_secs_f64());
        for (name, value) in [("fs", sync.as_secs_f64()), ("send", send), ("eth_call", call), ("replay", rate)] {
            println!("{}", json!({ "name": name, "value": value }));
        }
        return;
    }
    println!("{:<44} {:>14} {:>14}", "what", "ours (p50)", "aim");
    line("fdatasync, 4 KiB, same disk, same run (fs)", sync, "-");
    line("send + receipt, signed before", p50(&mut sends.clone()), &format!("{:?}", sync + Duration::from_micros(500)));
    line("intent journalled, sent, outcome journalled", p50(&mut writes), "-");
    line("eth_call", p50(&mut calls), "100µs");
    line("all contracts made (9 transactions)", contracts, "-");
    println!("{:<44} {:>11.0}/s {:>14}", "replay of the log", rate, "5000/s");
}

/// Signed transactions straight into the chain: the chain alone, without the queue.
async fn raw_sends(chain: &EmbeddedChain) -> Vec<Duration> {
    let mut times = Vec::new();
    let key = PrivateKeySigner::from_slice(&LocalKey::draw(&SystemEntropy)).unwrap();
    for nonce in 0..SENDS as u64 {
        let tx = TxEip1559 {
            chain_id: chain.chain_id(),
            nonce,
            gas_limit: 21_000,
            to: TxKind::Call(key.address()),
            ..TxEip1559::default()
        };
        let signature = key.sign_hash_sync(&tx.signature_hash()).unwrap();
        let raw = Bytes::from(TxEnvelope::from(tx.into_signed(signature)).encoded_2718());
        let params = json!([raw]);
        let started = Instant::now();
        let hash = chain.handle("eth_sendRawTransaction", &params).unwrap();
        let receipt = chain.handle("eth_getTransactionReceipt", &json!([hash])).unwrap();
        times.push(started.elapsed());
        assert_eq!(receipt["status"], json!("0x1"));
    }
    times
}

fn open(folder: &Path, options: ChainOptions) -> EmbeddedChain {
    let clock = Arc::new(SystemClock::default());
    EmbeddedChain::open(Arc::new(SystemDisk), clock, &SystemEntropy, &folder.join("chain"), options).unwrap()
}

fn queue(folder: &Path, chain: &EmbeddedChain, client: &ChainClient) -> TxQueue {
    let key = LocalKey::from_bytes(&LocalKey::draw(&SystemEntropy)).unwrap();
    let (queue, driver) = TxQueue::open(
        Arc::new(SystemDisk),
        Arc::new(SystemClock::default()),
        &SystemEntropy,
        &folder.join("tx").join(key.address().to_string()),
        client.clone(),
        Arc::new(key),
        TxQueueOptions::embedded(chain.chain_id()),
    )
    .unwrap();
    tokio::spawn(driver.run());
    queue
}

fn sync_p50(folder: &Path) -> Duration {
    let file = SystemDisk.open(&folder.join("fs"), FileMode::Write).unwrap();
    let mut times: Vec<Duration> = (0..300u64)
        .map(|round| {
            let started = Instant::now();
            file.write_all_at(&[7; 4096], round * 4096).unwrap();
            file.sync_data().unwrap();
            started.elapsed()
        })
        .collect();
    p50(&mut times)
}

fn p50(times: &mut [Duration]) -> Duration {
    times.sort_unstable();
    times[times.len() / 2]
}

fn line(what: &str, ours: Duration, aim: &str) {
    println!("{what:<44} {:>14} {aim:>14}", format!("{ours:?}"));
}
