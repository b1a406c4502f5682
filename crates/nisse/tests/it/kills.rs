//! kill -9 at random moments of deploys, updates, alarms, stops and writes, with a model beside it that knows only what
//! was acknowledged. `NISSE_KILLS` asks for more of them, `NISSE_SEED` repeats a run.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::harness::{Home, Node, eventually, example, host_of};
use crate::web;

const COUNTER: &str = "nisse.test.counter";
const TICKER: &str = "nisse.test.ticker";
/// In each of the two stories.
const KILLS: u32 = 100;
/// A kill comes at a random moment of this time after a command began; a deploy takes about a third of it.
const MOMENTS_MS: u64 = 400;
/// The ticker's alarms are this far apart, and its handler is at work for a moment of it: the kill comes around there.
const ALARMS_APART_MS: u64 = 100;
/// From so long before the next alarm is due to so long behind it.
const AROUND_ALARM_MS: u64 = 8;
/// More than these at once would not find room on the node.
const EXTRAS_MAX: usize = 4;

/// A sequence that its seed decides (splitmix64).
struct Chance(u64);

impl Chance {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)) % bound
    }
}

/// What is known of an agent that was deployed beside the counter.
struct Extra {
    name: String,
    deployed: bool,
    /// `Some(false)`: it was asked for and not acknowledged.
    stopped: Option<bool>,
}

/// All that the outside has been told.
struct Model {
    /// How the node is started, and how agents beside the counter are deployed.
    up: &'static [&'static str],
    deploy: &'static [&'static str],
    /// The counter is nowhere between.
    acknowledged: u64,
    sent: u64,
    /// The versions that the counter may have.
    minor: (u64, u64),
    /// The most alarms that the ticker has told of.
    ticks: u64,
    extras: Vec<Extra>,
}

/// What the owner was doing when the power went.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Doing {
    Deploying,
    Updating,
    Stopping(usize),
    /// The ticker's alarm is about to come.
    Alarm,
    Nothing,
}

fn choose(model: &Model, chance: &mut Chance) -> Doing {
    let live: Vec<usize> = (0..model.extras.len())
        .filter(|at| model.extras[*at].deployed && model.extras[*at].stopped.is_none())
        .collect();
    let perhaps_live = model.extras.iter().filter(|extra| extra.stopped != Some(true)).count();
    match chance.below(10) {
        8.. => Doing::Alarm,
        0..=2 if perhaps_live < EXTRAS_MAX => Doing::Deploying,
        0..=4 if !live.is_empty() => Doing::Stopping(live[chance.below(live.len() as u64) as usize]),
        3..=6 => Doing::Updating,
        _ => Doing::Nothing,
    }
}

/// Counts up until the node is gone.
fn write_until_gone(public: &str, sent: &AtomicU64, acknowledged: &AtomicU64) {
    let host = format!("{COUNTER}.localhost");
    loop {
        sent.fetch_add(1, Ordering::SeqCst);
        match web::request(public, "POST", "/", &[("host", &host)], b"") {
            Ok(answer) if answer.status == 200 => acknowledged.fetch_add(1, Ordering::SeqCst),
            // It did not run; it may have been swapped just now.
            Ok(_) => sent.fetch_sub(1, Ordering::SeqCst),
            Err(_) => return,
        };
    }
}

/// One power cut: begins something, writes all the while, kills the node, and tells the model what was acknowledged.
fn power_cut(home: &Home, node: Node<'_>, model: &mut Model, chance: &mut Chance) -> Doing {
    let doing = choose(model, chance);
    let (sent, acknowledged) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicU64::new(0)));
    let writer = {
        let (public, sent, acknowledged) = (node.public.clone(), Arc::clone(&sent), Arc::clone(&acknowledged));
        std::thread::spawn(move || write_until_gone(&public, &sent, &acknowledged))
    };
    let command = match doing {
        Doing::Deploying => {
            let name = format!("nisse.test.extra-{}", model.extras.len());
            let package = home.copy_of("echo", &name);
            package.edit("nisse.test.echo@", &format!("{name}@"));
            model.extras.push(Extra { name, deployed: false, stopped: None });
            Some(home.start(&[&["deploy", package.path()], model.deploy].concat()))
        }
        Doing::Updating => {
            let minor = model.minor.1 + 1;
            model.minor.1 = minor;
            let package = home.copy_of("counter", "newer");
            package.edit("@v1.0.0", &format!("@v1.{minor}.0"));
            Some(home.start(&["update", COUNTER, package.path()]))
        }
        Doing::Stopping(at) => {
            model.extras[at].stopped = Some(false);
            Some(home.start(&["stop", &model.extras[at].name]))
        }
        Doing::Alarm => {
            let before = ticks(&node).unwrap();
            model.ticks = eventually("the ticker's next alarm", || ticks(&node).filter(|ticks| *ticks > before));
            None
        }
        Doing::Nothing => None,
    };
    // Not waiting for anything: the moment is what is tried.
    std::thread::sleep(Duration::from_millis(match doing {
        Doing::Alarm => ALARMS_APART_MS - AROUND_ALARM_MS + chance.below(2 * AROUND_ALARM_MS),
        _ => chance.below(MOMENTS_MS),
    }));
    node.kill();
    let ended = command.map(crate::harness::Running::end);
    writer.join().unwrap();
    model.sent += sent.load(Ordering::SeqCst);
    model.acknowledged += acknowledged.load(Ordering::SeqCst);
    if ended.is_some_and(|ended| ended.code == 0) {
        match doing {
            Doing::Deploying => model.extras.last_mut().unwrap().deployed = true,
            Doing::Updating => model.minor.0 = model.minor.1,
            Doing::Stopping(at) => model.extras[at].stopped = Some(true),
            Doing::Alarm | Doing::Nothing => {}
        }
    }
    doing
}

fn serves(node: &Node<'_>, agent: &str) -> Option<web::Answer> {
    node.try_ask(agent, "GET", "/").ok().filter(|answer| answer.status == 200)
}

/// How many alarms the ticker has handled. None of them may have come again.
fn ticks(node: &Node<'_>) -> Option<u64> {
    let text = serves(node, TICKER)?.text();
    let (count, again) = text.trim().split_once(' ').unwrap();
    assert_eq!(again, "0", "alarms came again that had been handled");
    Some(count.parse().unwrap())
}

/// Holds the node that came up again against the model, which learns what became of all that was under way.
fn compare(home: &Home, node: &Node<'_>, model: &mut Model) {
    let count: u64 = serves(node, COUNTER).unwrap().text().trim().parse().unwrap();
    assert!(model.acknowledged <= count, "{count} writes are there, {} were acknowledged", model.acknowledged);
    assert!(count <= model.sent, "{count} writes are there, {} were sent", model.sent);
    (model.acknowledged, model.sent) = (count, count);

    let ticks = eventually("the ticker's alarm to go on", || ticks(node).filter(|ticks| *ticks > model.ticks));
    model.ticks = ticks;

    let version = home.json(&["status", COUNTER])["version"].as_str().unwrap().to_owned();
    let minor: u64 = version.split('.').nth(1).unwrap().parse().unwrap();
    assert!((model.minor.0..=model.minor.1).contains(&minor), "version {version}, expected {:?}", model.minor);

    for extra in &model.extras {
        if extra.deployed && extra.stopped.is_none() {
            let host = host_of(&home.json(&["status", &extra.name]));
            eventually(&format!("{} to serve", extra.name), || serves(node, &host));
        }
        if extra.stopped == Some(true) {
            let host = host_of(&home.json(&["status", &extra.name]));
            assert!(serves(node, &host).is_none(), "{} was stopped and answers", extra.name);
        }
    }
}

/// The chain's side, once nothing is under way any more: nothing was ordered, given, started or ended twice.
fn nothing_was_done_twice(home: &Home, model: &Model) {
    let all = home.json(&["market", "ls"]);
    let all = all.as_array().unwrap();
    let named = |name: &str| -> Vec<&Value> {
        all.iter().filter(|one| one["agent_id"].as_str().unwrap().starts_with(&format!("{name}@"))).collect()
    };
    assert_eq!(named(COUNTER).len(), 1, "the counter was deployed once");
    for extra in &model.extras {
        let found = named(&extra.name).len();
        assert!(found <= 1 && found >= usize::from(extra.deployed), "{} has {found} deployments", extra.name);
    }
    for one in all {
        let shown = home.json(&["market", "show", one["deployment"].as_str().unwrap()]);
        let events = shown["events"].as_array().unwrap();
        let count = |name: &str| events.iter().filter(|event| event["event"] == name).count();
        assert_eq!((count("deployed"), count("assigned")), (1, 1), "{shown}");
        assert!(count("bid") <= 1 && count("started") <= 1 && count("stopped") <= 1, "{shown}");
        if shown["state"] == "running" {
            assert_eq!((count("started"), count("stopped")), (1, 0), "{shown}");
            // At home nobody bids: the node is its owner's.
            assert_eq!(count("bid"), usize::from(shown["rate"] != "0"), "{shown}");
        }
    }
}

#[test]
fn no_power_cut_loses_or_doubles_what_was_acknowledged_at_home() {
    check(&[], &[]);
}

#[test]
fn no_power_cut_doubles_a_bid_or_a_payment_of_a_lease() {
    check(&["--demo"], &["--key", "deployer", "--payment", "50"]);
}

fn check(up: &'static [&'static str], deploy: &'static [&'static str]) {
    let number = |name: &str| std::env::var(name).ok().and_then(|text| text.parse().ok());
    let kills = number("NISSE_KILLS").unwrap_or(u64::from(KILLS));
    let seed = number("NISSE_SEED").unwrap_or_else(|| u64::from(std::process::id()));
    say(&format!("NISSE_SEED={seed} NISSE_KILLS={kills}"));
    let mut chance = Chance(seed);

    let home = Home::new();
    let mut node = home.up(up);
    if !up.is_empty() {
        // The demo gives its deployer money at each start: the first went into the oracle.
        node.demo_is_told();
        drop(node);
        node = home.up(up);
        node.demo_is_told();
    }
    home.ok(&["deploy", &example("counter")]);
    home.ok(&["deploy", &example("ticker")]);
    let mut model = Model { up, deploy, acknowledged: 0, sent: 0, minor: (0, 0), ticks: 0, extras: Vec::new() };
    let mut serving_ms = Vec::new();
    for kill in 1..=kills {
        let doing = power_cut(&home, node, &mut model, &mut chance);
        say(&format!("kill {kill} while {doing:?}: {} acknowledged of {}", model.acknowledged, model.sent));
        let begun = Instant::now();
        node = home.up(model.up);
        eventually("the counter to serve again", || serves(&node, COUNTER));
        serving_ms.push(begun.elapsed().as_millis());
        compare(&home, &node, &mut model);
    }
    nothing_was_done_twice(&home, &model);
    serving_ms.sort_unstable();
    let at = |hundredths: usize| serving_ms[(serving_ms.len() - 1) * hundredths / 100];
    say(&format!("restart to serving: p50 {} ms, p99 {} ms of {kills}", at(50), at(99)));
}

/// Shown where the test fails, and with `--nocapture`.
#[expect(clippy::print_stdout, reason = "the seed and the measured times are what a run is for")]
fn say(text: &str) {
    println!("{text}");
}
