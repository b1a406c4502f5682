//! A chain that is reached badly, and that changes its mind. Calls and answers are lost, come late, twice or not at all,
//! an endpoint is busy or a block behind, blocks are undone: a life on the market ends as over a sound wire, nothing is
//! doubled, and whoever reads its events ends with those that stand.

mod wire;

use std::collections::HashSet;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use nisse_market::{
    ChainClient, ContractSettings, CursorPosition, DeployOrder, DeploymentState, EventAt, LogCursor, Market,
    MarketAddresses, MarketError, Signer as _, TxQueueOptions, deploy_contracts,
};
use nisse_testkit::SimEntropy;
use serde_json::json;

use self::wire::Fault::{self, AnswerLost, CallLost, Garbled, Late, LimitExceeded, OneBehind, TooMany, Twice};
use self::wire::{Anvil, DEPTH_MAX, Embedded, FAULTS_OF_TEN, Ground, Rough};
use crate::anvil::Post;
use crate::support::{Stage, World, all_money, key, options, rate, resources, rpc, talos, terms};

/// Lives of each kind; each has wires of its own.
const SEEDS: u64 = 8;
/// Blocks on top of what counts as done.
const CONFIRMATIONS: u64 = DEPTH_MAX;
/// Wei per gas that are offered at most where gas has a price: a waiting transaction is sent again at once, for more.
const FEE_MAX: u128 = 5_000_000_000;
/// A write that fails so often never succeeds.
const TRIES_MAX: usize = 2_000;

/// Whoever gives up on an error asks again under the same name.
async fn insist<T, F: Future<Output = Result<T, MarketError>>>(what: &str, write: impl Fn() -> F) -> T {
    let mut last = String::new();
    for _ in 0..TRIES_MAX {
        match write().await {
            Ok(done) => return done,
            Err(error @ MarketError::Lost) => panic!("{what}: {error}"),
            Err(error) => {
                last = error.to_string();
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        }
    }
    panic!("{what} never succeeds: failed to {last}");
}

/// What somebody has who reads events and undoes what they are told to.
struct Reader {
    cursor: LogCursor,
    known: Vec<EventAt>,
}

impl Reader {
    /// Reads on; false when there is nothing new.
    async fn read(&mut self) -> Result<bool, ()> {
        let Some(batch) = self.cursor.next().await.map_err(|_| ())? else { return Ok(false) };
        let undone: HashSet<_> = batch.reverted.iter().map(|block| block.hash).collect();
        self.known.retain(|at| !undone.contains(&at.block.hash));
        self.known.extend(batch.committed);
        Ok(true)
    }

    async fn read_to_the_end(&mut self) {
        let mut tries = 0;
        while self.read().await != Ok(false) {
            tries += 1;
            assert!(tries < TRIES_MAX, "the log has no end");
        }
    }
}

fn name(at: &EventAt) -> String {
    format!("{:?}", at.event).split([' ', '(']).next().unwrap().to_owned()
}

/// How a life ended.
#[derive(Debug, PartialEq)]
struct Ended {
    events: Vec<String>,
    state: DeploymentState,
    money: u128,
}

/// A life on a chain of its own.
async fn life(seed: u64, faults: &'static [Fault], reorganised: bool) -> Ended {
    let world = World::new();
    let chain = world.chain();
    let sound = ChainClient::embedded(chain.clone());
    let ground = Arc::new(Embedded { chain, clock: world.clock.clone() });
    life_on(&world, ground, sound, &options(), seed, faults, reorganised).await
}

/// An order from its deployment to its end, over wires with these faults.
async fn life_on(
    world: &World,
    ground: Arc<dyn Ground>,
    sound: ChainClient,
    options: &TxQueueOptions,
    seed: u64,
    faults: &'static [Fault],
    reorganised: bool,
) -> Ended {
    let maker = world.queue_with(4, &sound, options.clone());
    let addresses = deploy_contracts(&sound, &maker, &ContractSettings::default()).await.unwrap();
    ground.mine(CONFIRMATIONS).await;
    let truth = Market::with_addresses(sound.clone(), maker, addresses);
    let made = truth.head().await.unwrap();

    let wire = |number: u64| {
        let rough = Rough {
            ground: Arc::clone(&ground),
            rolls: SimEntropy::new(seed * 10 + number),
            faults,
            reorganised,
            answered: Mutex::default(),
        };
        ChainClient::remote("http://chain/", Arc::new(rough))
    };
    let party = |n: u8| {
        let careful = TxQueueOptions { confirmations: CONFIRMATIONS, resend_after: Duration::ZERO, ..options.clone() };
        let client = wire(u64::from(n));
        Market::with_addresses(client.clone(), world.queue_with(n, &client, careful), addresses)
    };
    let (owner, node) = (party(1), party(2));
    let mut reader = Reader { cursor: owner.events(CursorPosition::default(), made), known: Vec::new() };
    // What is read meanwhile may be undone later, and what cannot be read now is read later.
    macro_rules! step {
        ($party:ident . $write:ident ( $($argument:expr),* )) => {{
            let done = insist(stringify!($write), || $party.$write(stringify!($write), $($argument),*)).await;
            let _ = reader.read().await;
            done
        }};
    }
    step!(owner.faucet(talos(5_000)));
    step!(node.faucet(talos(20_000)));
    step!(node.register("http://127.0.0.1:1/", resources(), talos(10_000)));
    let publication = step!(owner.publish(terms()));
    let order = DeployOrder { publication, payment: talos(100), ..DeployOrder::default() };
    let number = step!(owner.deploy(order.clone()));
    step!(node.bid(number, rate(50)));
    step!(node.ack_start(number, 1));
    ground.pass(3_600).await;
    step!(owner.deposit(number, talos(10)));
    step!(owner.pause(number));
    step!(owner.resume(number));
    step!(owner.stop(number));
    step!(node.withdraw(node.key()));
    reader.read_to_the_end().await;

    // The chain itself, without any wire, says what there is.
    let mut whole = Reader { cursor: truth.events(CursorPosition::default(), made), known: Vec::new() };
    whole.read_to_the_end().await;
    assert_eq!(reader.known, whole.known, "what was read over the wire is what stands (seed {seed})");
    let view = truth.deployment(number).await.unwrap();
    assert_eq!(view.deposited, view.paid, "the rest went back (seed {seed})");
    let earned = truth.earned(node.key()).await.unwrap();
    assert_eq!((earned, truth.claimable(node.key()).await.unwrap().0), (view.paid, 0), "seed {seed}");
    let MarketAddresses { nodes, escrow, .. } = addresses;
    let money = all_money(&truth, &[owner.key(), node.key(), nodes, escrow]).await;
    Ended { events: whole.known.iter().map(name).collect(), state: view.state, money }
}

async fn lives_end_as_ever(faults: &'static [Fault], reorganised: bool) {
    let ever = life(0, &[], false).await;
    assert_eq!((ever.state, ever.money), (DeploymentState::Stopped, talos(25_000).0));
    assert_eq!(ever.events.iter().filter(|name| *name == "Deployed").count(), 1);
    for seed in 1..=SEEDS {
        assert_eq!(life(seed, faults, reorganised).await, ever, "seed {seed}");
    }
}

/// All that befalls wires and endpoints, but answers of a chain that is no more.
const ALL: &[Fault] = &[CallLost, AnswerLost, Twice, TooMany, LimitExceeded, Garbled, OneBehind];

#[tokio::test(start_paused = true)]
async fn calls_and_answers_that_are_lost_lose_and_double_nothing() {
    lives_end_as_ever(&[CallLost, AnswerLost], false).await;
}

#[tokio::test(start_paused = true)]
async fn answers_that_come_late_and_calls_that_come_twice_change_nothing() {
    lives_end_as_ever(&[Late, Twice], false).await;
}

#[tokio::test(start_paused = true)]
async fn an_endpoint_that_refuses_bursts_of_calls_is_asked_again() {
    lives_end_as_ever(&[TooMany, LimitExceeded, Garbled], false).await;
}

#[tokio::test(start_paused = true)]
async fn endpoints_of_which_some_are_one_block_behind_are_believed_only_in_what_they_have() {
    lives_end_as_ever(&[OneBehind], false).await;
}

#[tokio::test]
async fn a_reorganisation_of_1_3_or_64_blocks_is_undone_to_its_depth_and_told_again() {
    for depth in [1, 3, 64] {
        let stage = Stage::funded().await;
        stage.assigned(talos(100)).await;
        rpc(&stage.chain, "nisse_mine", json!([format!("{:#x}", depth - 1)]));
        let mut reader = Reader { cursor: stage.owner.events(CursorPosition::default(), 0), known: Vec::new() };
        reader.read_to_the_end().await;
        let before = reader.known.clone();
        rpc(&stage.chain, "nisse_reorg", json!([format!("{depth:#x}"), true]));
        let batch = reader.cursor.next().await.unwrap().unwrap();
        assert_eq!(batch.reverted.len(), depth);
        // The oldest of those blocks had the bid, with which the order was assigned.
        let named = |all: &[EventAt]| all.iter().map(|at| (name(at), at.tx, at.log_index)).collect::<Vec<_>>();
        assert_eq!(named(&batch.committed), named(&before[before.len() - 2..]));
    }
}

#[tokio::test(start_paused = true)]
async fn reorganisations_below_what_counts_as_done_undo_nothing_that_was_told() {
    lives_end_as_ever(&[], true).await;
}

#[tokio::test(start_paused = true)]
async fn all_of_it_together_changes_no_end() {
    lives_end_as_ever(ALL, true).await;
}

#[tokio::test]
#[ignore = "needs anvil: cargo xtask interop"]
async fn on_anvil_a_life_over_bad_wires_ends_as_ever() {
    let url = std::env::var("NISSE_ANVIL_URL").expect("NISSE_ANVIL_URL names a fresh anvil");
    let ground = Anvil(url.clone());
    for n in [1, 2, 4] {
        let balance = format!("{:#x}", 1_000 * 10u128.pow(18));
        ground.ask("anvil_setBalance", json!([key(n).address().to_string(), balance])).await;
    }
    let world = World::new();
    let sound = ChainClient::remote(url, Arc::new(Post));
    let priced = TxQueueOptions { fee_per_gas_max: FEE_MAX, ..options() };
    let ended = life_on(&world, Arc::new(ground), sound, &priced, 1, ALL, true).await;
    let ever = life(0, &[], false).await;
    println!("{} events over a wire that fails {FAULTS_OF_TEN} calls of ten", ended.events.len());
    assert_eq!(ended, ever);
}
