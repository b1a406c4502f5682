//! A queue of many transactions stays small, and forgets none of them.

use std::path::PathBuf;
use std::sync::Arc;

use async_trait::async_trait;
use nisse_market::embedded::EmbeddedChain;
use nisse_market::{ChainClient, Market, MarketCall, MarketError, QueueError, RpcPost, RpcPostError, TxQueueOptions};

use crate::queue::nonce;
use crate::support::{Stage, World, options, talos};

/// More than the queue holds the logs of.
const WRITES: usize = 1_200;

fn small() -> TxQueueOptions {
    TxQueueOptions { compact_after: 100, segment_bytes: 64 << 10, ..options() }
}

/// The files of the queue's journal.
fn files(world: &World) -> Vec<PathBuf> {
    world.disk.files().into_iter().map(|(path, _)| path).filter(|path| path.starts_with("/tx/6")).collect()
}

/// A chain that does not answer.
struct Silent;

#[async_trait]
impl RpcPost for Silent {
    async fn post(&self, _: &str, _: Vec<u8>) -> Result<Vec<u8>, RpcPostError> {
        Err(RpcPostError("nobody is there".to_owned()))
    }
}

fn market(stage: &Stage, chain: &EmbeddedChain) -> Market {
    let client = ChainClient::embedded(chain.clone());
    Market::with_addresses(client.clone(), stage.world.queue_with(6, &client, small()), stage.addresses)
}

#[tokio::test]
async fn a_journal_is_written_anew_and_every_name_keeps_its_outcome() {
    let stage = Stage::new().await;
    let writing = market(&stage, &stage.chain);
    let mut written = vec![writing.faucet("faucet/0", talos(1)).await.unwrap()];
    let first = files(&stage.world);
    assert_eq!(first.len(), 1);
    for number in 1..WRITES {
        written.push(writing.faucet(&format!("faucet/{number}"), talos(1)).await.unwrap());
    }
    assert!(files(&stage.world).iter().all(|path| !first.contains(path)), "the first records are gone");
    for again in 0..2 {
        for number in [0, 1, WRITES / 2, WRITES - 1] {
            let name = format!("faucet/{number}");
            assert_eq!(writing.outcome(&name).await.unwrap(), written[number], "{again}");
            assert_eq!(writing.faucet(&name, talos(1)).await.unwrap(), written[number]);
            let refused = writing.faucet(&name, talos(2)).await.unwrap_err();
            assert!(matches!(refused, MarketError::Queue(QueueError::IntentDiffers(_))), "{refused:?}");
        }
    }
    drop(writing);
    tokio::task::yield_now().await;

    let again = market(&stage, &stage.chain);
    for number in [0, 1, WRITES / 2, WRITES - 1] {
        assert_eq!(again.faucet(&format!("faucet/{number}"), talos(1)).await.unwrap(), written[number]);
    }
    again.faucet("one more", talos(1)).await.unwrap();
    assert_eq!(nonce(&stage.chain, 6), WRITES as u64 + 1);
    drop(again);
    tokio::task::yield_now().await;

    // What an old one's contracts said is asked of the chain; that it is over is known without.
    let silent = ChainClient::remote("http://chain/", Arc::new(Silent));
    let alone = Market::with_addresses(silent.clone(), stage.world.queue_with(6, &silent, small()), stage.addresses);
    assert_eq!(alone.outcome(&format!("faucet/{}", WRITES - 1)).await.unwrap(), written[WRITES - 1]);
    let untold = alone.outcome("faucet/0").await.unwrap_err();
    assert!(matches!(untold, MarketError::Queue(QueueError::Unreachable(_))), "{untold:?}");
    alone.submit("faucet/0", &MarketCall::Faucet { amount: talos(1) }).await.unwrap();
}
