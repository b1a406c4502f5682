//! Sets of contracts as older programs have begun them.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use nisse_testkit::{SimClock, SimDisk, SimEntropy};

use super::*;
use crate::embedded::{ChainOptions, EmbeddedChain};
use crate::market::market_versions;
use crate::signer::LocalKey;
use crate::tx::TxQueueOptions;

const CHAIN_ID: u64 = 5_000_000_000_000_001;

fn chain(disk: &SimDisk, clock: &SimClock) -> EmbeddedChain {
    let options =
        ChainOptions { new_chain_id: Some(CHAIN_ID), expect_chain_id: None, allocations: Vec::new(), dev: true };
    let (disk, clock) = (Arc::new(disk.clone()), Arc::new(clock.clone()));
    EmbeddedChain::open(disk, clock, &SimEntropy::new(7), Path::new("/chain"), options).unwrap()
}

fn queue(disk: &SimDisk, clock: &SimClock, client: &ChainClient, key: u8) -> TxQueue {
    let options = TxQueueOptions { poll: Duration::from_millis(1), ..TxQueueOptions::embedded(CHAIN_ID) };
    let (disk, clock) = (Arc::new(disk.clone()), Arc::new(clock.clone()));
    let (key, folder) = (Arc::new(LocalKey::from_bytes(&[key; 32]).unwrap()), format!("/tx/{key}"));
    let opened = TxQueue::open(disk, clock, &SimEntropy::new(1), Path::new(&folder), client.clone(), key, options);
    let (queue, driver) = opened.unwrap();
    tokio::spawn(driver.run());
    queue
}

/// The first set as it was before there were heartbeats: seven names in one batch.
async fn without_heartbeats(queue: &TxQueue, settings: ContractSettings) {
    let owner = queue.address();
    let make = move |first: u64| {
        let at = |place| made_by(owner, first + place);
        let (token, nodes, book, manager, feeds) = (at(0), at(1), at(2), at(3), at(4));
        let of_nodes = Nodes::constructorCall {
            token: to_alloy(token),
            minStake: settings.min_stake.0,
            unbondingTime: settings.unbonding_seconds,
            treasury: to_alloy(owner),
            owner: to_alloy(owner),
        };
        let of_book = AddressBook::constructorCall { owner: to_alloy(owner) };
        let [make_manager, make_feeds] = managing(&settings, nodes, manager);
        let escrow = made_by(manager, ESCROW_NONCE);
        let set = MarketAddresses {
            chain: 0,
            book,
            version: 1,
            token,
            nodes,
            manager,
            escrow,
            feeds,
            heartbeats: None,
            reputation: None,
        };
        vec![
            creation("TalosToken", None),
            creation("Nodes", Some(arguments(&of_nodes))),
            creation("AddressBook", Some(arguments(&of_book))),
            make_manager,
            make_feeds,
            add_manager(&set),
            list(&set),
        ]
    };
    let names = ["TalosToken", "Nodes", "AddressBook", "Manager", "OracleFeeds", "addManager", "upgrade"];
    queue.submit_batch(names.map(|name| step(1, name)).to_vec(), make).await.unwrap();
}

#[tokio::test]
async fn a_home_from_before_heartbeats_goes_on_without_them_and_gets_them_with_the_next_version() {
    let (disk, clock, settings) = (SimDisk::new(1), SimClock::default(), ContractSettings::default());
    let client = ChainClient::embedded(chain(&disk, &clock));
    let own = queue(&disk, &clock, &client, 1);
    without_heartbeats(&own, settings).await;
    let first = deploy_contracts(&client, &own, &settings).await.unwrap();
    assert_eq!((first.heartbeats, first.manager), (None, made_by(own.address(), FIRST_MANAGER_NONCE)));
    assert_eq!(deploy_contracts(&client, &own, &settings).await.unwrap(), first, "at every start");
    assert_eq!(market_versions(&client, CHAIN_ID, first.book).await.unwrap(), [first]);

    let maker = queue(&disk, &clock, &client, 8);
    let second = upgrade_contracts(&client, &own, &maker, &settings, &first).await.unwrap();
    assert!(second.heartbeats.is_some());
    assert_eq!(market_versions(&client, CHAIN_ID, first.book).await.unwrap(), [first, second]);
    let third = upgrade_contracts(&client, &own, &queue(&disk, &clock, &client, 9), &settings, &second).await.unwrap();
    assert_eq!(third.heartbeats, second.heartbeats, "one for all versions that come");
}
