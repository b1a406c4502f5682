//! The chain as anybody reads it: by the JSON-RPC that the node serves.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::abi::{Abi, CONTRACTS, Fields, Word};
use crate::harness::Node;
use crate::web;

/// Calls in one body.
const BATCH_MAX: usize = 100;

/// One life's way to the chain.
pub(super) struct Chain<'a> {
    abi: &'a Abi,
    rpc: String,
    pub(super) operator: String,
    contracts: BTreeMap<&'static str, String>,
}

/// A block's number and hash.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Block {
    pub(super) number: u64,
    pub(super) hash: String,
}

/// What a contract said.
#[derive(Debug)]
pub(super) struct Log {
    pub(super) name: String,
    /// The chain's clock, in seconds.
    pub(super) time: u64,
    pub(super) fields: Fields,
}

/// A question to a contract.
pub(super) struct View(pub(super) &'static str, pub(super) &'static str, pub(super) Vec<Word>);

impl<'a> Chain<'a> {
    /// The contracts are those that the market's address book lists.
    pub(super) fn of(node: &Node<'_>, abi: &'a Abi) -> Self {
        let status = node.home().json(&["node", "status"]);
        let text = |name: &str| status[name].as_str().unwrap().to_lowercase();
        let contracts = BTreeMap::from([("AddressBook", text("contract"))]);
        let mut chain = Self { abi, rpc: text("rpc"), operator: text("operator"), contracts };
        for name in CONTRACTS {
            let mut padded = [0; 32];
            padded[..name.len()].copy_from_slice(name.as_bytes());
            let (_, found) = chain.views(&[&View("AddressBook", "addressOf", vec![padded])]);
            chain.contracts.insert(name, found[0].address(""));
        }
        chain
    }

    pub(super) fn address(&self, contract: &str) -> &str {
        &self.contracts[contract]
    }

    pub(super) fn block(&self, tag: &str) -> Block {
        let block = web::rpc(&self.rpc, "eth_getBlockByNumber", json!([tag, false]));
        Block { number: quantity(&block["number"]), hash: block["hash"].as_str().unwrap().to_owned() }
    }

    /// What the market's contracts said in these blocks, in order.
    pub(super) fn logs(&self, first: u64, last: u64) -> Vec<Log> {
        let addresses: Vec<&String> = CONTRACTS.iter().map(|name| &self.contracts[name]).collect();
        let (first, last) = (format!("{first:#x}"), format!("{last:#x}"));
        let filter = json!([{ "fromBlock": first, "toBlock": last, "address": addresses }]);
        let logs = web::rpc(&self.rpc, "eth_getLogs", filter);
        logs.as_array().unwrap().iter().map(|log| self.read(log)).collect()
    }

    fn read(&self, log: &Value) -> Log {
        let from = log["address"].as_str().unwrap().to_lowercase();
        let contract = CONTRACTS.into_iter().find(|name| self.contracts[name] == from).unwrap();
        let topics: Vec<Word> =
            log["topics"].as_array().unwrap().iter().map(|topic| bytes(topic).try_into().unwrap()).collect();
        let (name, fields) = self.abi.event(contract, &topics, &bytes(&log["data"]));
        Log { name, time: quantity(&log["blockTimestamp"]), fields }
    }

    /// The transactions of these blocks that were taken back. They left nothing else.
    pub(super) fn reverted(&self, first: u64, last: u64) -> Vec<Value> {
        let ask = |number: u64| ("eth_getBlockReceipts", json!([format!("{number:#x}")]));
        let receipts = self.batch(&(first..=last).map(ask).collect::<Vec<_>>());
        let receipts = receipts.iter().flat_map(|receipts| receipts.as_array().unwrap());
        receipts.filter(|receipt| receipt["status"] != "0x1").cloned().collect()
    }

    /// Answers, and the newest block before and after they were given: they are of one moment where those are the same.
    pub(super) fn views(&self, views: &[&View]) -> ([u64; 2], Vec<Fields>) {
        let head = || ("eth_blockNumber", json!([]));
        let call = |View(contract, function, arguments): &&View| {
            let input = self.abi.call(contract, function, arguments);
            ("eth_call", json!([{ "to": self.contracts[contract], "input": input }]))
        };
        let calls: Vec<_> = [head()].into_iter().chain(views.iter().map(call)).chain([head()]).collect();
        let mut answers = self.batch(&calls);
        let (after, before) = (answers.pop().unwrap(), answers.remove(0));
        let read = |(View(contract, function, _), answer): (&&View, &Value)| {
            self.abi.answer(contract, function, &bytes(answer))
        };
        ([quantity(&before), quantity(&after)], views.iter().zip(&answers).map(read).collect())
    }

    fn batch(&self, calls: &[(&str, Value)]) -> Vec<Value> {
        let mut results = Vec::new();
        for calls in calls.chunks(BATCH_MAX) {
            let one = |(id, (method, params)): (usize, &(&str, Value))| json!({ "jsonrpc": "2.0", "id": id, "method": method, "params": params });
            let body = Value::from(calls.iter().enumerate().map(one).collect::<Vec<_>>()).to_string();
            let headers = [("host", self.rpc.as_str()), ("content-type", "application/json")];
            let answers = web::request(&self.rpc, "POST", "/", &headers, body.as_bytes()).unwrap().json();
            for answer in answers.as_array().unwrap() {
                assert!(answer["error"].is_null(), "{answer}");
                results.push(answer["result"].clone());
            }
        }
        results
    }
}

fn quantity(value: &Value) -> u64 {
    u64::from_str_radix(value.as_str().unwrap().trim_start_matches("0x"), 16).unwrap()
}

fn bytes(value: &Value) -> Vec<u8> {
    hex::decode(value.as_str().unwrap().trim_start_matches("0x")).unwrap()
}
