//! A heartbeat's gas at 1, 100 and 10,000 leases, from the receipts of the real contract, and what the root over so many
//! takes beside Keccak-256 of as many bytes.

use std::hint::black_box;
use std::time::Instant;

use alloy::primitives::keccak256;
use nisse_market::{LeaseState, MarketCall, heartbeat_root};
use nisse_model::Hash256;

use crate::stage::Stage;
use crate::{Figure, median};

const LEASES: [usize; 3] = [1, 100, 10_000];
/// Turns of the root and of plain hashing; the median counts.
const ROUNDS: usize = 31;
/// What is hashed for a lease: five words, and their hash again.
const LEAF_BYTES: usize = 5 * 32 + 32;
/// What is hashed for each two nodes of the tree: one less than there are leaves, in all.
const PAIR_BYTES: usize = 64;

pub(crate) async fn measure() -> Vec<Figure> {
    let stage = Stage::new().await;
    let lease = |number| LeaseState {
        deployment: stage.node.deployment_id(number),
        records: number,
        state_root: Hash256::of(&number.to_be_bytes()),
        record_hash: Hash256::of(&number.to_le_bytes()),
    };
    let leases: Vec<LeaseState> = (1..=LEASES[2] as u64).map(lease).collect();
    let mut figures = Vec::new();
    let period = stage.node.heartbeat_period().await.unwrap().unwrap();
    // A node's first one writes where nothing stood, which costs more, once.
    for count in [0].into_iter().chain(LEASES) {
        stage.begin_period(period);
        let call = MarketCall::Heartbeat { root: heartbeat_root(&leases[..count]) };
        let written = stage.node.write(&format!("heartbeat/{count}"), &call).await.unwrap();
        let aim = if count == 0 { "" } else { "33000" };
        figures.push(Figure::new(format!("heartbeat {count}"), written.gas_used as f64, "gas", aim));
    }
    let bytes = vec![7; leases.len() * LEAF_BYTES + (leases.len() - 1) * PAIR_BYTES];
    let (mut roots, mut hashes) = (Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        let begun = Instant::now();
        black_box(heartbeat_root(black_box(&leases)));
        roots.push(begun.elapsed().as_secs_f64());
        let begun = Instant::now();
        black_box(keccak256(black_box(&bytes)));
        hashes.push(begun.elapsed().as_secs_f64());
    }
    figures.push(Figure::new("root", median(roots), "s", ""));
    figures.push(Figure::new("keccak", median(hashes), "s", ""));
    figures
}
