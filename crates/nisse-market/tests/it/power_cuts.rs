//! Power cuts over the chain's log and the queue's journal together: what was acknowledged stands, nothing is doubled.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use nisse_market::embedded::{ChainOptions, EmbeddedChain};
use nisse_market::{ChainClient, ChainHash, Market, MarketCall, MarketError, Signer, TxQueue, TxQueueOptions, Written};
use nisse_model::{Address, Amount};
use nisse_testkit::{Failure, PowerCuts, Random, SimClock, SimDisk, SimEntropy, Subject, check};
use serde_json::json;

use crate::queue::nowhere;
use crate::support::{CHAIN_ID, key, options, rpc};

/// Payments that each life tries to make.
const PAYMENTS: usize = 4;
/// How often a waiting test looks whether the power went. Nothing depends on it but the test's own duration.
const LOOK: Duration = Duration::from_millis(2);

/// What was acknowledged.
#[derive(Default)]
struct Payments {
    done: Vec<ChainHash>,
    height: u64,
}

impl Subject for Payments {
    fn live(&mut self, disk: &SimDisk, random: &mut Random) -> Result<(), Failure> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build()?;
        runtime.block_on(self.pay(disk, random.next_u64()))
    }
}

impl Payments {
    async fn pay(&mut self, disk: &SimDisk, seed: u64) -> Result<(), Failure> {
        let clock = SimClock::default();
        let entropy = SimEntropy::new(seed);
        let shared = Arc::new(disk.clone());
        let chain_options =
            ChainOptions { new_chain_id: Some(CHAIN_ID), expect_chain_id: None, allocations: Vec::new(), dev: false };
        let chain =
            EmbeddedChain::open(shared.clone(), Arc::new(clock.clone()), &entropy, Path::new("/chain"), chain_options)?;
        check(chain.head().0 >= self.height, || format!("block {} is lost", self.height))?;
        let client = ChainClient::embedded(chain.clone());
        let (queue, driver) = TxQueue::open(
            shared,
            Arc::new(clock),
            &entropy,
            Path::new("/tx"),
            client.clone(),
            Arc::new(key(2)),
            growing(),
        )?;
        tokio::spawn(driver.run());
        let market = Market::with_addresses(client, queue, nowhere());
        for (number, hash) in self.done.iter().enumerate() {
            let written = market.outcome(&format!("pay/{number}")).await?;
            check(written.tx == *hash, || format!("payment {number} was made by {hash}, now by {}", written.tx))?;
        }
        for _ in 0..PAYMENTS {
            let number = self.done.len();
            let written = pay(&market, number, disk).await?;
            self.done.push(written.tx);
            self.height = written.block.number;
            let count = rpc(&chain, "eth_getTransactionCount", json!([key(2).address().to_string(), "latest"]));
            check(count == json!(format!("{:#x}", self.done.len())), || format!("{number} made {count} transactions"))?;
        }
        Ok(())
    }
}

/// A queue that writes its journal anew after few outcomes, in files of few records.
fn growing() -> TxQueueOptions {
    TxQueueOptions { compact_after: 2, segment_bytes: 2_048, ..options() }
}

/// One payment; an error once the power is off, since then nobody will ever answer.
async fn pay(market: &Market, number: usize, disk: &SimDisk) -> Result<Written, MarketError> {
    let call = MarketCall::Transfer { to: Address([9; 20]), amount: Amount(number as u128) };
    let name = format!("pay/{number}");
    let writing = market.write(&name, &call);
    tokio::pin!(writing);
    loop {
        tokio::select! {
            written = &mut writing => return written,
            () = tokio::time::sleep(LOOK) => {
                if disk.is_off() {
                    return Err(MarketError::Lost);
                }
            }
        }
    }
}

#[test]
fn a_power_cut_at_any_write_loses_and_doubles_nothing() {
    let cuts = PowerCuts::share("chain and transaction queue", 10).operations_max(80);
    let report = cuts.run(Payments::default).unwrap();
    println!("{report:?}");
    assert!(report.interrupting * 2 > report.cuts, "{report:?}");
}

#[test]
fn a_skipped_sync_is_noticed() {
    let cuts = PowerCuts::new("a chain that lies about its syncs", 2_000).operations_max(80);
    let planted = cuts.planting(|disk| disk.skip_sync_every(3)).run(Payments::default);
    assert!(planted.is_err(), "{planted:?}");
}
