//! The whole node in a simulated world: its journal, decisions, agents' states, records, transaction queues, chain and
//! content on one disk that loses, tears and reorders what was not synced, under tokio's paused time.
//!
//! Nothing of the node is replaced. Each life opens the home with the very code that a start runs, is judged by a model
//! of its own (`model.rs`), tells a stretch of a story (`story.rs`), and ends by a power cut at any operation of the
//! disk. The agent keeps books of what happens to it, so chain and state can be compared line by line.

mod books;
mod cut;
mod full_disk;
mod home;
mod judge;
mod model;
mod story;

use std::fs::File;
use std::time::Duration;

use nisse_model::Timestamp;
use nisse_sandbox::compile_child_main;
use nisse_store::Clock as _;
use nisse_testkit::{Failure, PausedClock, PowerCuts, Random, SimDisk, Subject};
use tokio::time::sleep;

use home::{open, template};
use model::Model;

/// Writes and syncs of the disk from a start to the end of its stretch of the story, roughly.
const CHANGES_MAX: u64 = 270;
/// How often the world looks whether the power went.
const LOOK: Duration = Duration::from_millis(5);
/// How long the node goes on without power: what it acknowledges then was never durable.
const AGONY: Duration = Duration::from_millis(60);
/// How long the disk may be still before the world waits for it, and how long it does at each look.
const STILL_MAX: Duration = Duration::from_secs(2);
const STILL_HOP: Duration = Duration::from_millis(1);
/// The longest time that a machine stays off.
const OFF_MS_MAX: u64 = 4_000;

/// A home with its history, and what is known of it.
#[derive(Clone)]
struct World {
    model: Model,
    now: Timestamp,
}

impl Subject for World {
    fn live(&mut self, disk: &SimDisk, random: &mut Random) -> Result<(), Failure> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build()?;
        runtime.block_on(self.day(disk, random))
    }
}

impl World {
    async fn day(&mut self, disk: &SimDisk, random: &mut Random) -> Result<(), Failure> {
        let clock = PausedClock::new(self.now);
        let lived = tokio::select! {
            biased;
            lived = self.model.live(disk, &clock, random) => lived,
            () = dark(disk) => Err(std::io::Error::other("see anything: the power is off").into()),
        };
        self.now = clock.now().plus_ms(1 + random.below(OFF_MS_MAX));
        lived
    }
}

impl Model {
    /// A start, the judgement, a stretch of the story, and the judgement again.
    async fn live(&mut self, disk: &SimDisk, clock: &PausedClock, random: &mut Random) -> Result<(), Failure> {
        let node = open(disk, clock, random.next_u64()).await?;
        self.judge(&node, clock).await?;
        self.tell(&node, clock, random).await?;
        if random.once_in(2) {
            self.judge(&node, clock).await?;
        }
        if random.once_in(2) {
            node.shut_down().await;
        }
        Ok(())
    }
}

/// Returns a moment after the power went. The world's time stands still whenever this hops over another thread, so it
/// does not run away from the threads that own the journals; and it goes slowly while they do nothing, since a busy
/// machine may just not let them.
async fn dark(disk: &SimDisk) {
    let (mut agony, mut still, mut seen) = (AGONY, Duration::ZERO, 0);
    while !agony.is_zero() {
        sleep(LOOK).await;
        let operations = disk.operations();
        still = if operations == seen { still + LOOK } else { Duration::ZERO };
        seen = operations;
        let hop = if still > STILL_MAX { STILL_HOP } else { Duration::ZERO };
        // A thread that ended early is no less a hop.
        let _ = tokio::task::spawn_blocking(move || std::thread::sleep(hop)).await;
        if disk.is_off() {
            agony = agony.saturating_sub(LOOK);
        }
    }
}

fn world() -> (SimDisk, World) {
    if std::env::var_os("NISSE_SEED").is_some() {
        let told = tracing_subscriber::fmt().with_test_writer().with_max_level(tracing::Level::DEBUG).without_time();
        // Another test of this process may have been first.
        let _ = told.try_init();
    }
    let (disk, world) = template();
    (disk.fork(), world.clone())
}

/// Runs only when a test starts it as its compile child: this binary stands in for `nisse internal compile`. The test
/// harness prints on standard output, so the answer goes to descriptor 3, which the shell has put in its place.
#[test]
#[ignore = "the compile child of the tests here"]
fn compile_child() {
    let mut answer = File::create("/dev/fd/3").expect("the parent gave a descriptor");
    compile_child_main(&mut std::io::stdin(), &mut answer).expect("it compiles");
}

#[test]
fn a_power_cut_at_any_operation_of_the_whole_node_loses_and_doubles_nothing() {
    let (disk, world) = world();
    let cuts =
        PowerCuts::share("the whole node", 5).starting_from(&disk).operations_max(CHANGES_MAX).counting_changes();
    let report = cuts.run(|| world.clone()).unwrap_or_else(|text| panic!("{text}"));
    println!("{report:?}");
    assert!(report.interrupting * 2 > report.cuts, "{report:?}");
}

#[test]
fn a_sync_that_the_disk_skips_is_noticed() {
    let (disk, world) = world();
    let cuts = PowerCuts::new("a node whose disk lies", 1_000)
        .starting_from(&disk)
        .operations_max(CHANGES_MAX)
        .counting_changes();
    let planted = cuts.planting(|disk| disk.skip_sync_every(5)).run(|| world.clone());
    assert!(planted.is_err(), "{planted:?}");
}
