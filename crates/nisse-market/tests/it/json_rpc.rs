//! The wire: golden answers, and what is refused.

use nisse_market::Signer as _;
use nisse_market::embedded::{RPC_BATCH_MAX, RPC_BODY_BYTES_MAX};
use serde_json::{Value, json};

use crate::support::{CHAIN_ID, Stage, World, key, rpc, talos};

fn text(answer: Vec<u8>) -> String {
    String::from_utf8(answer).unwrap()
}

#[test]
fn on_a_development_chain_calls_fail_as_often_as_asked() {
    let chain = &World::new().open(true).unwrap();
    let fails = |method: &str| {
        let call = json!({ "jsonrpc": "2.0", "id": 1, "method": method, "params": [] });
        let answer: Value = serde_json::from_slice(&chain.handle_json(call.to_string().as_bytes())).unwrap();
        answer["error"]["code"] == -32002
    };
    rpc(chain, "nisse_failNext", json!(["0x2"]));
    let calls = ["eth_chainId", "nisse_mine", "eth_blockNumber", "eth_chainId"];
    assert_eq!(calls.map(fails), [true, false, true, false]);
    rpc(chain, "nisse_failNext", json!(["0x9", "eth_chainId"]));
    assert_eq!(calls.map(fails), [true, false, false, true]);
    rpc(chain, "nisse_failNext", json!(["0x0"]));
    assert_eq!(calls.map(fails), [false; 4]);
}

#[test]
fn single_calls_batches_and_notifications_are_answered_as_the_specification_says() {
    let chain = World::new().chain();
    let bodies = [
        r#"{"jsonrpc":"2.0","id":1,"method":"eth_chainId"}"#,
        r#"{"jsonrpc":"2.0","id":"a","method":"eth_blockNumber","params":[]}"#,
        r#"{"jsonrpc":"2.0","method":"eth_blockNumber","params":[]}"#,
        r#"[{"jsonrpc":"2.0","id":1,"method":"net_version","params":[]},{"jsonrpc":"2.0","id":2,"method":"no"}]"#,
        r#"[{"jsonrpc":"2.0","method":"net_version"}]"#,
        r#"{"jsonrpc":"2.0","id":1,"method":"eth_getBalance","params":["0x12"]}"#,
        r#"{"jsonrpc":"2.0","id":1,"method":"eth_getBalance","params":{}}"#,
        r#"{"jsonrpc":"1.0","id":1,"method":"eth_chainId"}"#,
        r#"{"id":1}"#,
        "[]",
        "[1]",
        "{",
        "",
        r#"{"jsonrpc":"2.0","id":1,"method":"eth_sendRawTransaction","params":["0x02"]}"#,
        r#"{"jsonrpc":"2.0","id":1,"method":"eth_getBlockByNumber","params":["0x99",false]}"#,
        r#"{"jsonrpc":"2.0","id":1,"method":"eth_call","params":[{},"0x99"]}"#,
        r#"{"jsonrpc":"2.0","id":1,"method":"eth_getLogs","params":[{"fromBlock":"0x5","toBlock":"0x2"}]}"#,
        r#"{"jsonrpc":"2.0","id":1,"method":"eth_getFilterChanges","params":["0x5"]}"#,
    ];
    let answers: Vec<String> = bodies.iter().map(|body| text(chain.handle_json(body.as_bytes()))).collect();
    insta::assert_snapshot!(answers.join("\n"), @r#"
    {"jsonrpc":"2.0","id":1,"result":"0x11c37937e08001"}
    {"jsonrpc":"2.0","id":"a","result":"0x0"}

    [{"jsonrpc":"2.0","id":1,"result":"5000000000000001"},{"jsonrpc":"2.0","id":2,"error":{"code":-32601,"message":"the method no does not exist/is not available"}}]

    {"jsonrpc":"2.0","id":1,"error":{"code":-32602,"message":"invalid argument 0: expected an address: invalid string length"}}
    {"jsonrpc":"2.0","id":1,"error":{"code":-32602,"message":"parameters are a list"}}
    {"jsonrpc":"2.0","id":1,"error":{"code":-32600,"message":"invalid request: jsonrpc is \"2.0\""}}
    {"jsonrpc":"2.0","id":null,"error":{"code":-32600,"message":"invalid request: missing field `jsonrpc` at line 1 column 8"}}
    {"jsonrpc":"2.0","id":null,"error":{"code":-32600,"message":"a batch holds 1 to 100 calls"}}
    [{"jsonrpc":"2.0","id":null,"error":{"code":-32600,"message":"invalid request: invalid type: integer `1`, expected struct Call at line 1 column 1"}}]
    {"jsonrpc":"2.0","id":null,"error":{"code":-32700,"message":"parse error: EOF while parsing an object at line 1 column 1"}}
    {"jsonrpc":"2.0","id":null,"error":{"code":-32700,"message":"parse error: EOF while parsing a value at line 1 column 0"}}
    {"jsonrpc":"2.0","id":1,"error":{"code":-32000,"message":"malformed transaction: input too short"}}
    {"jsonrpc":"2.0","id":1,"result":null}
    {"jsonrpc":"2.0","id":1,"error":{"code":-32000,"message":"header not found"}}
    {"jsonrpc":"2.0","id":1,"error":{"code":-32602,"message":"invalid block range params"}}
    {"jsonrpc":"2.0","id":1,"error":{"code":-32000,"message":"filter not found"}}
    "#);
}

#[test]
fn oversized_bodies_and_batches_are_refused() {
    let chain = World::new().chain();
    let long = chain.handle_json(&vec![b' '; RPC_BODY_BYTES_MAX + 1]);
    assert!(text(long).contains("-32600"));
    let call = json!({ "jsonrpc": "2.0", "id": 1, "method": "eth_chainId" });
    let batch = |count| serde_json::to_vec(&vec![call.clone(); count]).unwrap();
    assert!(text(chain.handle_json(&batch(RPC_BATCH_MAX + 1))).contains("-32600"));
    let answers: Vec<Value> = serde_json::from_slice(&chain.handle_json(&batch(RPC_BATCH_MAX))).unwrap();
    assert_eq!(answers.len(), RPC_BATCH_MAX);
}

#[test]
fn the_first_block_is_the_same_for_ever() {
    let chain = World::new().chain();
    let block = rpc(&chain, "eth_getBlockByNumber", json!(["0x0", false]));
    insta::assert_snapshot!(format!("{} {}", block["hash"], block["mixHash"]), @r#""0xcd2524fe24a3393bbba653708602d5e1b5646a18c24fe04b90ecc274418c437b" "0x1261f3b39ae2e732290969016d01a7755a72ee891f6b56d802e06dd4376cbd75""#);
    for tag in ["latest", "pending", "safe", "finalized", "earliest"] {
        assert_eq!(rpc(&chain, "eth_getBlockByNumber", json!([tag, false])), block);
    }
}

#[tokio::test]
async fn a_receipt_a_transaction_and_a_block_agree() {
    let stage = Stage::new().await;
    let written = stage.node.faucet("faucet", talos(1)).await.unwrap();
    let chain = &stage.chain;
    let receipt = rpc(chain, "eth_getTransactionReceipt", json!([written.tx.to_string()]));
    let transaction = rpc(chain, "eth_getTransactionByHash", json!([written.tx.to_string()]));
    let block = rpc(chain, "eth_getBlockByHash", json!([written.block.hash.to_string(), true]));
    assert_eq!(block["transactions"][0], transaction);
    for side in [&receipt, &transaction] {
        assert_eq!(side["blockHash"], block["hash"]);
        assert_eq!(side["from"], json!(stage.node.key().to_string()));
    }
    assert_eq!(receipt["status"], json!("0x1"));
    assert_eq!(block["gasUsed"], receipt["gasUsed"]);
    assert_eq!(block["logsBloom"], receipt["logsBloom"]);
    assert_eq!(rpc(chain, "eth_getBlockReceipts", json!(["latest"])), json!([receipt]));
    let logs = rpc(chain, "eth_getLogs", json!([{ "blockHash": written.block.hash.to_string() }]));
    assert_eq!(logs, receipt["logs"]);
    let unknown = rpc(chain, "eth_getLogs", json!([{ "blockHash": format!("0x{}", "9".repeat(64)) }]));
    assert_eq!(unknown["code"], json!(-32000));
}

#[tokio::test]
async fn filters_report_each_block_and_log_once() {
    let stage = Stage::new().await;
    let chain = &stage.chain;
    let token = stage.addresses.token.to_string();
    let logs = rpc(chain, "eth_newFilter", json!([{ "address": token }]));
    let blocks = rpc(chain, "eth_newBlockFilter", json!([]));
    assert_eq!(rpc(chain, "eth_getFilterChanges", json!([logs])), json!([]));
    let written = stage.node.faucet("faucet", talos(1)).await.unwrap();
    assert_eq!(rpc(chain, "eth_getFilterChanges", json!([blocks])), json!([written.block.hash.to_string()]));
    let found = rpc(chain, "eth_getFilterChanges", json!([logs]));
    assert_eq!(found[0]["transactionHash"], json!(written.tx.to_string()));
    assert_eq!(rpc(chain, "eth_getFilterChanges", json!([logs])), json!([]));
    assert_eq!(rpc(chain, "eth_uninstallFilter", json!([logs])), json!(true));
    assert_eq!(rpc(chain, "eth_uninstallFilter", json!([logs])), json!(false));
    // The oldest filter makes room for the sixty-fifth.
    for _ in 0..64 {
        rpc(chain, "eth_newBlockFilter", json!([]));
    }
    assert_eq!(rpc(chain, "eth_getFilterChanges", json!([blocks]))["code"], json!(-32000));
}

#[tokio::test]
async fn an_estimate_is_the_least_gas_that_goes_through() {
    let stage = Stage::new().await;
    let from = stage.node.key().to_string();
    let data = format!("0x57915897{:064x}", talos(1).0);
    let call = json!({ "from": from, "to": stage.addresses.token.to_string(), "data": data });
    let estimate = rpc(&stage.chain, "eth_estimateGas", json!([call]));
    let gas = u64::from_str_radix(estimate.as_str().unwrap().trim_start_matches("0x"), 16).unwrap();
    let with = |gas: u64| {
        let mut call = call.clone();
        call["gas"] = json!(format!("{gas:#x}"));
        rpc(&stage.chain, "eth_call", json!([call]))
    };
    assert_eq!(with(gas), json!("0x"));
    assert_ne!(with(gas - 1), json!("0x"));
}

#[tokio::test]
async fn a_revert_carries_its_data() {
    let stage = Stage::new().await;
    let data = format!("0x57915897{:064x}", talos(2_000_000).0);
    let call = json!([{ "to": stage.addresses.token.to_string(), "data": data }]);
    let error = stage.chain.handle("eth_call", &call).unwrap_err();
    assert_eq!(error.code, 3);
    assert!(error.data.unwrap().as_str().unwrap().len() > 10);
}

fn call(id: usize, method: &str, params: Value) -> Value {
    json!({ "jsonrpc": "2.0", "id": id, "method": method, "params": params })
}

#[test]
fn a_history_of_fees_takes_no_more_percentiles_than_other_nodes_take() {
    let chain = World::new().chain();
    let history = |percentiles: usize| rpc(&chain, "eth_feeHistory", json!(["0x1", "latest", vec![1.0; percentiles]]));
    assert_eq!(history(100)["reward"][0].as_array().map(Vec::len), Some(100));
    assert_eq!(history(101)["code"], json!(-32602));
}

#[test]
fn the_calls_of_one_body_use_a_limited_amount_of_gas_together() {
    let chain = World::new().chain();
    // JUMPDEST PUSH1 0 JUMP, for ever.
    let endless = json!([{ "data": "0x5b600056" }]);
    let batch: Vec<Value> = (0..12).map(|id| call(id, "eth_call", endless.clone())).collect();
    let answers: Vec<Value> = serde_json::from_slice(&chain.handle_json(&serde_json::to_vec(&batch).unwrap())).unwrap();
    let codes: Vec<_> = answers.iter().map(|answer| answer["error"]["code"].as_i64().unwrap()).collect();
    assert_eq!(codes[0], -32000, "{}", answers[0]);
    assert_eq!(codes[11], -32005, "{}", answers[11]);
    // Each body begins anew, and what the node itself asks is not counted.
    assert_eq!(rpc(&chain, "eth_call", endless)["code"], json!(-32000));
}

#[tokio::test]
async fn a_transaction_that_logs_too_much_is_not_mined() {
    let chain = World::new().chain();
    // PUSH3 size, PUSH1 0, LOG0: that much memory as one log.
    let logging = |nonce: u64, bytes: u32| {
        let [_, high, middle, low] = bytes.to_be_bytes();
        signed(nonce, vec![0x62, high, middle, low, 0x60, 0, 0xa0])
    };
    let refused = rpc(&chain, "eth_sendRawTransaction", json!([logging(0, 256 * 1024 + 1).await]));
    assert_eq!(refused["message"], json!("the transaction logs 262145 bytes: at most 262144 are kept"));
    assert_eq!(chain.head().0, 0);
    for nonce in 0..33 {
        let mined = rpc(&chain, "eth_sendRawTransaction", json!([logging(nonce, 256 * 1024).await]));
        assert!(mined.is_string(), "{mined}");
    }
    // Thirty-two of them are one answer; all of them are asked for apart.
    let logs = |first: u64| rpc(&chain, "eth_getLogs", json!([{ "fromBlock": format!("{first:#x}") }]));
    assert_eq!(logs(2).as_array().map(Vec::len), Some(32));
    assert_eq!(logs(1)["code"], json!(-32005));
    let bodies = |calls: usize| {
        let batch: Vec<Value> = (0..calls).map(|id| call(id, "eth_getLogs", json!([{ "fromBlock": "0x2" }]))).collect();
        chain.handle_json(&serde_json::to_vec(&batch).unwrap())
    };
    assert!(text(bodies(1)).len() > 16 << 20);
    assert!(text(bodies(20)).len() < 33 << 20);
}

/// A contract's creation by the richest key, signed.
async fn signed(nonce: u64, code: Vec<u8>) -> String {
    use alloy::consensus::{SignableTransaction as _, TxEnvelope, TxLegacy};
    use alloy::eips::eip2718::Encodable2718 as _;
    let tx =
        TxLegacy { chain_id: Some(CHAIN_ID), nonce, gas_limit: 30_000_000, input: code.into(), ..TxLegacy::default() };
    let signature = key(9).sign_hash(tx.signature_hash().0).await.unwrap();
    let signature = alloy::primitives::Signature::from_raw_array(&signature.to_bytes()).unwrap();
    format!("0x{}", hex::encode(TxEnvelope::Legacy(tx.into_signed(signature)).encoded_2718()))
}

#[tokio::test]
async fn every_method_of_the_list_is_answered_in_its_shape() {
    let stage = Stage::funded().await;
    let (chain, manager) = (&stage.chain, stage.addresses.manager.to_string());
    let head = rpc(chain, "eth_getBlockByNumber", json!(["latest", false]));
    let (hash, transaction) = (head["hash"].clone(), head["transactions"][0].clone());
    let filter = rpc(chain, "eth_newFilter", json!([{}]));
    let blocks = rpc(chain, "eth_newBlockFilter", json!([]));
    let call = json!({ "to": manager, "data": "0x" });
    let answers = [
        ("web3_clientVersion", json!([]), "nisse/"),
        ("net_version", json!([]), ""),
        ("eth_chainId", json!([]), "0x"),
        ("eth_blockNumber", json!([]), "0x"),
        ("eth_gasPrice", json!([]), "0x0"),
        ("eth_maxPriorityFeePerGas", json!([]), "0x0"),
        ("eth_getBalance", json!([manager, "latest"]), "0x"),
        ("eth_getTransactionCount", json!([manager, "latest"]), "0x"),
        ("eth_getCode", json!([manager, "latest"]), "0x60"),
        ("eth_getStorageAt", json!([manager, "0x0", "latest"]), "0x0000"),
    ];
    for (method, params, begins) in answers {
        let answer = rpc(chain, method, params);
        assert!(answer.as_str().is_some_and(|text| text.starts_with(begins)), "{method} answers {answer}");
    }
    assert_eq!(rpc(chain, "eth_syncing", json!([])), json!(false));
    assert_eq!(rpc(chain, "eth_accounts", json!([])), json!([]));
    assert_eq!(rpc(chain, "eth_getBlockByHash", json!([hash, false])), head);
    assert_eq!(rpc(chain, "eth_getTransactionByHash", json!([transaction]))["blockHash"], hash);
    assert_eq!(rpc(chain, "eth_getTransactionReceipt", json!([transaction]))["blockHash"], hash);
    assert_eq!(rpc(chain, "eth_getBlockReceipts", json!(["latest"]))[0]["transactionHash"], transaction);
    assert_eq!(rpc(chain, "eth_feeHistory", json!(["0x1", "latest", []]))["baseFeePerGas"], json!(["0x0", "0x0"]));
    let logs = rpc(chain, "eth_getLogs", json!([{ "blockHash": hash }]));
    assert_eq!(logs[0]["transactionHash"], transaction);
    assert_eq!(rpc(chain, "eth_getFilterLogs", json!([filter])), rpc(chain, "eth_getLogs", json!([{}])));
    for (name, open) in [("logs", filter), ("blocks", blocks)] {
        assert_eq!(rpc(chain, "eth_getFilterChanges", json!([open])), json!([]), "no new {name}");
        assert_eq!(rpc(chain, "eth_uninstallFilter", json!([open])), json!(true));
        assert_eq!(rpc(chain, "eth_uninstallFilter", json!([open])), json!(false));
    }
    // The Manager has no fallback: both say so, and neither changes anything.
    for method in ["eth_call", "eth_estimateGas"] {
        let refused = chain.handle(method, &json!([call, "latest"])).unwrap_err();
        assert_eq!(refused.code, 3, "{method}: {refused}");
    }
    assert_eq!(rpc(chain, "eth_blockNumber", json!([])), head["number"]);
}
