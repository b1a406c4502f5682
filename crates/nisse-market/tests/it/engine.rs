//! The embedded chain by itself: durable, replayable, and of one identity.

use std::path::Path;

use nisse_market::embedded::{ChainOptions, OpenChainError, draw_chain_id};
use nisse_market::{ContractSettings, deploy_contracts};
use nisse_model::Timestamp;
use nisse_store::{Disk, JournalError};
use nisse_testkit::{Fault, SimEntropy};
use serde_json::json;

use crate::support::{CHAIN_ID, Stage, World, rpc, talos};

#[test]
fn a_drawn_chain_id_is_large_and_fits_a_json_number() {
    for seed in 0..100 {
        let id = draw_chain_id(&SimEntropy::new(seed));
        assert!((1 << 52..1 << 53).contains(&id), "{id}");
    }
}

#[tokio::test]
async fn a_restart_replays_to_the_same_head() {
    let stage = Stage::funded().await;
    let head = stage.chain.head();
    let state = rpc(&stage.chain, "eth_getBlockByNumber", json!(["latest", true]));
    let Stage { world, chain, client, owner, node, other, .. } = stage;
    drop((chain, client, owner, node, other));
    let again = world.chain();
    assert_eq!(again.head(), head);
    assert_eq!(rpc(&again, "eth_getBlockByNumber", json!(["latest", true])), state);
}

#[test]
fn another_chain_id_is_refused() {
    let world = World::new();
    drop(world.chain());
    let options =
        ChainOptions { new_chain_id: Some(1), expect_chain_id: Some(42), allocations: Vec::new(), dev: false };
    let refused = world.open_with(options).unwrap_err();
    assert!(matches!(refused, OpenChainError::OtherChain { expected: 42, found: CHAIN_ID }), "{refused}");
    let options = ChainOptions { new_chain_id: Some(1), expect_chain_id: None, allocations: Vec::new(), dev: false };
    assert_eq!(world.open_with(options).unwrap().chain_id(), CHAIN_ID);
}

#[tokio::test]
async fn time_never_goes_back_and_follows_the_clock() {
    let world = World::new();
    let chain = world.chain();
    let time = |chain: &_| rpc(chain, "eth_getBlockByNumber", json!(["latest", false]))["timestamp"].clone();
    rpc(&chain, "nisse_mine", json!([]));
    let before = time(&chain);
    world.clock.set(Timestamp(1_000_000));
    rpc(&chain, "nisse_mine", json!([]));
    assert_eq!(time(&chain), before);
    world.clock.set(Timestamp(2_000_000_000_000));
    rpc(&chain, "nisse_mine", json!([]));
    assert_eq!(time(&chain), json!("0x77359400"));
    rpc(&chain, "nisse_increaseTime", json!(["0x64"]));
    rpc(&chain, "nisse_mine", json!([]));
    assert_eq!(time(&chain), json!("0x77359464"));
}

#[tokio::test]
async fn a_thousand_blocks_at_once_take_few_syncs_and_stand_after_a_restart() {
    let world = World::new();
    let chain = world.chain();
    rpc(&chain, "nisse_setNextTimestamp", json!(["0x77359400"]));
    world.disk.fail(Fault::Sync(4));
    assert_eq!(rpc(&chain, "nisse_mine", json!(["0x400"])), json!("0x400"));
    assert!(!world.disk.has_failed(), "not one for each block");
    world.disk.heal();
    assert_eq!(rpc(&chain, "nisse_mine", json!(["0x0"])), json!("0x400"));
    let first = rpc(&chain, "eth_getBlockByNumber", json!(["0x1", false]));
    assert_eq!(first["timestamp"], json!("0x77359400"));
    let head = chain.head();
    drop(chain);
    assert_eq!(world.chain().head(), head);
}

#[tokio::test]
async fn a_snapshot_gives_the_same_chain_as_the_log_alone() {
    let stage = Stage::new().await;
    // Past the 2,000th transaction a snapshot stands.
    for round in 0..2_010u32 {
        stage.node.faucet(&format!("faucet/{round}"), talos(1)).await.unwrap();
    }
    let snapshot = Path::new("/chain/snapshot");
    assert!(stage.world.disk.exists(snapshot));
    let (head, key, token) = (stage.chain.head(), stage.node.key(), stage.addresses.token);
    let Stage { world, chain, client, owner, node, other, .. } = stage;
    drop((chain, client, owner, node, other));
    let ask = |chain: &_| {
        let call = json!([{ "to": token.to_string(), "data": format!("0x70a08231{:0>64}", hex::encode(key.0)) }]);
        (rpc(chain, "eth_call", call), rpc(chain, "eth_getTransactionCount", json!([key.to_string(), "latest"])))
    };
    let with = world.chain();
    let answers = ask(&with);
    assert_eq!((with.head(), &answers.0), (head, &json!(format!("0x{:0>64x}", talos(2_010).0))));
    drop(with);
    // A snapshot with a flipped bit is ignored.
    world.disk.flip_bit(snapshot, 1_000, 3);
    let without = world.chain();
    assert_eq!((without.head(), ask(&without)), (head, answers));
}

#[tokio::test]
async fn a_changed_block_record_is_not_replayed() {
    let stage = Stage::new().await;
    let Stage { world, chain, client, owner, node, other, .. } = stage;
    drop((chain, client, owner, node, other));
    let (path, length) = world.disk.files().into_iter().find(|(path, _)| path.starts_with("/chain/blocks")).unwrap();
    world.disk.flip_bit(&path, length / 2, 0);
    let refused = world.open(true).unwrap_err();
    assert!(matches!(refused, OpenChainError::Log(JournalError::Damaged { .. })), "{refused:?}");
}

#[tokio::test]
async fn development_methods_exist_on_a_development_chain_only() {
    let world = World::new();
    let chain = world.open(false).unwrap();
    for method in ["nisse_mine", "nisse_increaseTime", "nisse_setNextTimestamp", "nisse_reorg"] {
        assert_eq!(rpc(&chain, method, json!(["0x1"]))["code"], json!(-32601));
    }
}

#[tokio::test]
async fn a_failed_sync_stops_the_chain_and_nothing_is_shown_that_is_not_durable() {
    let stage = Stage::new().await;
    let head = stage.chain.head();
    stage.world.disk.fail(Fault::Sync(0));
    let mined = rpc(&stage.chain, "nisse_mine", json!([]));
    assert!(stage.world.disk.has_failed(), "it was the sync that failed");
    assert_eq!(mined["code"], json!(-32603), "{mined}");
    assert_eq!(stage.chain.head(), head);
    stage.world.disk.heal();
    let mined = rpc(&stage.chain, "nisse_mine", json!([]));
    assert_eq!(mined["code"], json!(-32603), "stopped for good: {mined}");
    assert_eq!(stage.chain.head(), head);
    stage.world.disk.kill();
    let submitted = stage.node.submit("faucet", &nisse_market::MarketCall::Faucet { amount: talos(1) }).await;
    assert!(submitted.is_err(), "nothing is signed that no journal holds");
}

#[tokio::test]
async fn contracts_are_made_once_even_when_asked_twice() {
    let stage = Stage::new().await;
    let head = stage.chain.head();
    let queue = stage.world.queue(4, &stage.client);
    let first = deploy_contracts(&stage.client, &queue, &ContractSettings::default()).await.unwrap();
    let after = stage.chain.head();
    let second = deploy_contracts(&stage.client, &queue, &ContractSettings::default()).await.unwrap();
    assert_eq!((first, stage.chain.head()), (second, after));
    assert_ne!(head, after);
}
