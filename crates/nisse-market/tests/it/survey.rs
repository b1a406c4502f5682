//! A chain and its queues looked through as they lie there, without being opened.

use std::path::{Path, PathBuf};

use nisse_market::embedded::{ChainSurvey, EmbeddedChain, OpenChainError};
use nisse_market::{QueueError, QueueSurvey, Signer as _, TxQueue};
use nisse_store::{Disk as _, FileMode, JournalError};
use nisse_testkit::SimDisk;

use crate::support::{CHAIN_ID, Stage, World, key, talos};

const CHAIN: &str = "/chain";

fn survey(disk: &SimDisk) -> Result<ChainSurvey, OpenChainError> {
    EmbeddedChain::survey(disk, Path::new(CHAIN))
}

fn queue(disk: &SimDisk, n: u8) -> Result<QueueSurvey, QueueError> {
    TxQueue::survey(disk, Path::new(&format!("/tx/{n}")))
}

/// Every file with its bytes.
fn all(disk: &SimDisk) -> Vec<(PathBuf, Vec<u8>)> {
    disk.files().into_iter().map(|(path, _)| (path.clone(), disk.read(&path, 1 << 24).unwrap())).collect()
}

fn file_below(disk: &SimDisk, folder: &str) -> (PathBuf, u64) {
    disk.files().into_iter().find(|(path, _)| path.starts_with(folder)).unwrap()
}

/// A chain on which a good deal happened, with nobody on it any more, and its head.
async fn closed() -> (World, (u64, [u8; 32])) {
    let stage = Stage::funded().await;
    stage.running(talos(100)).await;
    let head = stage.chain.head();
    let Stage { world, chain, client, owner, node, other, .. } = stage;
    drop((chain, client, owner, node, other));
    (world, head)
}

#[tokio::test]
async fn a_chain_in_order_is_run_again_to_its_head_and_left_as_it_was() {
    let (world, head) = closed().await;
    let before = all(&world.disk);
    let found = survey(&world.disk).unwrap();
    assert_eq!(found, ChainSurvey { chain_id: CHAIN_ID, head, run_again_from: 0, torn_bytes: 0 });
    let (path, length) = file_below(&world.disk, "/chain/blocks");
    world.disk.open(&path, FileMode::Write).unwrap().write_all_at(&[7; 90], length).unwrap();
    assert_eq!(survey(&world.disk).unwrap(), ChainSurvey { torn_bytes: 90, ..found });
    world.disk.open(&path, FileMode::Write).unwrap().set_len(length).unwrap();
    assert_eq!(all(&world.disk), before);
}

#[tokio::test]
async fn a_chain_that_is_damaged_or_gone_is_named_and_not_begun_anew() {
    let (world, _) = closed().await;
    let (path, length) = file_below(&world.disk, "/chain/blocks");
    let damaged = world.disk.fork();
    damaged.flip_bit(&path, length / 3, 0);
    let before = all(&damaged);
    let error = survey(&damaged).unwrap_err();
    assert!(matches!(error, OpenChainError::Log(JournalError::Damaged { .. })) && error.is_lost(), "{error:?}");
    assert_eq!(all(&damaged), before);

    let gone = world.disk.fork();
    gone.remove_file(&path).unwrap();
    let error = survey(&gone).unwrap_err();
    assert!(matches!(error, OpenChainError::Gone(_)) && error.is_lost(), "{error:?}");
    let empty = SimDisk::new(1);
    assert!(matches!(survey(&empty), Err(OpenChainError::Gone(_))));
    assert_eq!(empty.files(), []);
}

#[tokio::test]
async fn a_queue_says_whose_it_is() {
    let (world, _) = closed().await;
    let before = all(&world.disk);
    for n in [1, 2, 3] {
        let found = queue(&world.disk, n).unwrap();
        assert_eq!(found.of, Some((key(n).address(), CHAIN_ID)));
        assert_eq!((found.records > 1, found.made_a_market), (true, n == 1));
    }
    assert_eq!(queue(&world.disk, 9).unwrap(), QueueSurvey { of: None, records: 0, made_a_market: false });
    assert_eq!(all(&world.disk), before);
    let (path, length) = file_below(&world.disk, "/tx/2");
    world.disk.flip_bit(&path, length / 3, 0);
    assert!(matches!(queue(&world.disk, 2), Err(QueueError::Damaged(_))));
}
