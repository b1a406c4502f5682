//! Sets of contracts that two programs have a part in: a set is of one program's code, and an old home keeps its own.
//!
//! The other program is one with other settings: its creation codes differ, as those of another release would.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use nisse_market::embedded::EmbeddedChain;
use nisse_market::{
    ChainClient, ContractSettings, Market, MarketAddresses, MarketError, RpcPost, RpcPostError, TxQueue,
    deploy_contracts, is_of_this_program, made_by, market_versions, upgrade_contracts,
};
use nisse_model::Amount;
use nisse_testkit::SimEntropy;
use serde_json::{Value, json};

use crate::support::{World, key, options, resources, rpc, talos};

/// How often a waiting test looks whether the power went. Nothing depends on it but the test's own duration.
const LOOK: Duration = Duration::from_millis(2);

/// This program's settings, and those of one before it.
fn programs() -> [ContractSettings; 2] {
    let new = ContractSettings::default();
    let old = ContractSettings { min_stake: Amount(talos(9_000).0), ack_timeout_seconds: 61, ..new };
    [old, new]
}

/// Every contract's code as it runs.
fn codes(chain: &EmbeddedChain, set: &MarketAddresses) -> Vec<Value> {
    let contracts = [set.token, set.nodes, set.book, set.manager, set.escrow, set.feeds];
    contracts
        .iter()
        .chain(&set.heartbeats)
        .map(|at| rpc(chain, "eth_getCode", json!([at.to_string(), "latest"])))
        .collect()
}

/// The codes of a set that one program made alone.
async fn codes_of(settings: &ContractSettings) -> Vec<Value> {
    let world = World::new();
    let chain = world.chain();
    let client = ChainClient::embedded(chain.clone());
    let set = deploy_contracts(&client, &world.queue(1, &client), settings).await.unwrap();
    codes(&chain, &set)
}

#[tokio::test]
async fn an_old_home_goes_on_with_the_contracts_that_it_has() {
    let (world, [old, new]) = (World::new(), programs());
    let chain = world.chain();
    let client = ChainClient::embedded(chain.clone());
    let first = deploy_contracts(&client, &world.queue(1, &client), &old).await.unwrap();
    let (head, before) = (chain.head(), codes(&chain, &first));
    drop((chain, client));

    let chain = world.chain();
    let client = ChainClient::embedded(chain.clone());
    let queue = world.queue(1, &client);
    assert_eq!(deploy_contracts(&client, &queue, &new).await.unwrap(), first);
    assert_eq!((chain.head(), codes(&chain, &first)), (head, before), "nothing is made anew");

    // What the new program brings comes as the next version.
    let maker = world.queue(8, &client);
    let second = upgrade_contracts(&client, &queue, &maker, &new, &first).await.unwrap();
    assert_eq!((second.version, second.manager), (2, made_by(maker.address(), 0)));
    assert!(is_of_this_program(&maker, &new, &second).await.unwrap());
    assert!(!is_of_this_program(&maker, &old, &second).await.unwrap());
    assert_eq!(market_versions(&client, queue.chain_id(), first.book).await.unwrap(), [first, second]);
    assert_ne!(codes(&chain, &second)[3], codes(&chain, &first)[3]);
    let node = Market::with_addresses(client.clone(), world.queue(2, &client), second);
    node.faucet("faucet", talos(9_000)).await.unwrap();
    // Stakes stay where they are, under the rules that they were laid down by.
    node.register("register", "http://127.0.0.1:1/", resources(), talos(9_000)).await.unwrap();
}

/// One life of a program that makes the contracts; `None` once the power is off.
async fn make(world: &World, settings: &ContractSettings) -> Option<(EmbeddedChain, MarketAddresses)> {
    let chain = world.open(true).ok()?;
    let client = ChainClient::embedded(chain.clone());
    let (disk, clock) = (Arc::new(world.disk.clone()), Arc::new(world.clock.clone()));
    let (entropy, folder) = (SimEntropy::new(1), Path::new("/tx/1"));
    let opened = TxQueue::open(disk, clock, &entropy, folder, client.clone(), Arc::new(key(1)), options());
    let (queue, driver) = opened.ok()?;
    let driver = tokio::spawn(driver.run());
    let making = deploy_contracts(&client, &queue, settings);
    tokio::pin!(making);
    let made = loop {
        tokio::select! {
            made = &mut making => break made.ok(),
            () = tokio::time::sleep(LOOK) => if world.disk.is_off() { break None },
        }
    };
    driver.abort();
    let _ = driver.await;
    made.map(|set| (chain, set))
}

#[tokio::test]
async fn a_first_set_that_a_power_cut_left_half_made_is_finished_as_it_was_begun() {
    let [old, new] = programs();
    let (of_old, of_new) = (codes_of(&old).await, codes_of(&new).await);
    assert_ne!(of_old, of_new);
    let (mut finished_as_begun, mut begun_anew) = (0, 0);
    for cut in 0.. {
        let world = World::new();
        world.disk.cut_after_changes(cut);
        let whole = make(&world, &old).await.is_some() && !world.disk.is_off();
        world.disk.power_cut(cut);
        let (chain, set) = make(&world, &new).await.unwrap();
        let made = codes(&chain, &set);
        assert!(made == of_old || made == of_new, "cut at {cut}: a set of two programs");
        assert_eq!(market_versions(&ChainClient::embedded(chain), set.chain, set.book).await.unwrap(), [set]);
        *(if made == of_old { &mut finished_as_begun } else { &mut begun_anew }) += 1;
        if whole {
            break;
        }
    }
    assert!(finished_as_begun > 7 && begun_anew > 3, "{finished_as_begun} {begun_anew}");
}

/// A wire that breaks for good at one call.
struct Breaking {
    chain: EmbeddedChain,
    calls: AtomicU64,
    breaks_at: u64,
}

#[async_trait]
impl RpcPost for Breaking {
    async fn post(&self, _: &str, body: Vec<u8>) -> Result<Vec<u8>, RpcPostError> {
        if self.calls.fetch_add(1, Ordering::Relaxed) >= self.breaks_at {
            return Err(RpcPostError("the wire is cut".to_owned()));
        }
        Ok(self.chain.handle_json(&body))
    }
}

/// One try of an upgrade whose wire may break; it waits no longer for what will never be answered.
async fn upgrade(
    world: &World,
    client: &ChainClient,
    settings: &ContractSettings,
    first: &MarketAddresses,
    broken: impl Fn() -> bool,
) -> Option<(TxQueue, TxQueue, Result<MarketAddresses, MarketError>)> {
    let (queue, maker) = (world.queue(1, client), world.queue(8, client));
    let (owner, making) = (queue.clone(), maker.clone());
    let upgrading = upgrade_contracts(client, &owner, &making, settings, first);
    tokio::pin!(upgrading);
    loop {
        tokio::select! {
            made = &mut upgrading => return Some((queue, maker, made)),
            () = tokio::time::sleep(LOOK) => if broken() { return None },
        }
    }
}

#[tokio::test]
async fn an_upgrade_that_was_cut_off_is_finished_as_it_was_begun_and_the_next_has_the_new_code() {
    let [old, new] = programs();
    let (mut finished_as_begun, mut begun_anew) = (0, 0);
    for breaks_at in 0.. {
        let world = World::new();
        let chain = world.chain();
        let client = ChainClient::embedded(chain.clone());
        let first = deploy_contracts(&client, &world.queue(1, &client), &old).await.unwrap();
        let wire = Arc::new(Breaking { chain: chain.clone(), calls: AtomicU64::new(0), breaks_at });
        let broken = ChainClient::remote("http://chain/", Arc::clone(&wire) as Arc<dyn RpcPost>);
        let is_broken = || wire.calls.load(Ordering::Relaxed) > breaks_at;
        let cut = upgrade(&world, &broken, &old, &first, is_broken).await;
        let whole = matches!(&cut, Some((_, _, Ok(_))));
        drop(cut);
        tokio::task::yield_now().await;

        let (queue, maker, second) = upgrade(&world, &client, &new, &first, || false).await.unwrap();
        let second = second.unwrap();
        let [of_old, of_new] = [&old, &new].map(|settings| is_of_this_program(&maker, settings, &second));
        let (of_old, of_new) = (of_old.await.unwrap(), of_new.await.unwrap());
        assert!(of_old != of_new, "cut at call {breaks_at}: a set of two programs");
        if of_old {
            finished_as_begun += 1;
            let next = world.queue(9, &client);
            let third = upgrade_contracts(&client, &queue, &next, &new, &second).await.unwrap();
            assert!(third.version == 3 && is_of_this_program(&next, &new, &third).await.unwrap());
        } else {
            begun_anew += 1;
        }
        let listed = market_versions(&client, queue.chain_id(), first.book).await.unwrap();
        assert_eq!(listed[..2], [first, second]);
        if whole {
            break;
        }
    }
    assert!(finished_as_begun > 3 && begun_anew > 3, "{finished_as_begun} {begun_anew}");
}
