//! One power cut: the owner begins something, a client writes all the while, and the node is killed.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use super::doing::{Doing, was_acknowledged};
use super::model::{Model, ticks};
use crate::harness::{Home, Node, Running, eventually};
use crate::web;

/// The least time in which a node comes up: the power goes a second time somewhere within.
const COMES_UP_MS: u64 = 200;
/// The ticker's alarms are this far apart, and its handler is at work for a moment of it: the kill comes around there.
const ALARMS_APART_MS: u64 = 100;
/// From so long before the next alarm is due to so long behind it.
const AROUND_ALARM_MS: u64 = 8;
/// How often it is asked, without a rest, until its alarm has been handled.
const LOOKS_MAX: u32 = 10_000;
/// An oracle's alarm is waited for where it comes as soon as this. It then asks for a price, and what it says of it goes
/// to the chain: the kill comes within so long behind the alarm.
const SOON_MS: u64 = 700;
const ANSWERING_MS: u64 = 80;

/// A sequence that its seed decides (splitmix64).
pub(super) struct Chance(u64);

impl Chance {
    pub(super) fn new(seed: u64) -> Self {
        Self(seed)
    }

    pub(super) fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)) % bound
    }
}

/// Counts up until the node is gone.
fn write_until_gone(public: &str, host: &str, sent: &AtomicU64, acknowledged: &AtomicU64) {
    loop {
        sent.fetch_add(1, Ordering::SeqCst);
        match web::request(public, "POST", "/", &[("host", host)], b"") {
            Ok(answer) if answer.status == 200 => acknowledged.fetch_add(1, Ordering::SeqCst),
            // It did not run; it may have been swapped just now.
            Ok(_) => sent.fetch_sub(1, Ordering::SeqCst),
            Err(_) => return,
        };
    }
}

/// Comes back at a moment around the next alarm.
fn come_to_alarm(node: &Node<'_>, model: &mut Model, chance: &mut Chance) {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_millis() as u64;
    let due = model.oracles.iter().filter_map(|oracle| oracle.due(node)?.checked_sub(now)).min();
    if let Some(soon) = due.filter(|wait| *wait < SOON_MS) {
        return wait(soon + chance.below(ANSWERING_MS));
    }
    let ticker = || model.ticker.asked(node).and_then(|answer| ticks(answer.text().trim()));
    let before = eventually("the ticker to answer", ticker);
    let known = eventually("the ticker's next alarm", || ticker().filter(|ticks| *ticks > before));
    model.ticks = known;
    if chance.below(2) == 0 {
        return wait(ALARMS_APART_MS - AROUND_ALARM_MS + chance.below(2 * AROUND_ALARM_MS));
    }
    wait(ALARMS_APART_MS - AROUND_ALARM_MS);
    // Whoever asks while the alarm is handled is answered at its end: what follows from it is under way just then.
    let seen = (0..LOOKS_MAX).find_map(|_| ticker().filter(|ticks| *ticks > known));
    model.ticks = seen.expect("alarms go on");
}

/// Not for anything: the moment is what is tried.
fn wait(moment_ms: u64) {
    std::thread::sleep(Duration::from_millis(moment_ms));
}

/// Tells the model what was asked for and what was acknowledged, and says whether the command's end came before that of
/// the node.
pub(super) fn power_cut(home: &Home, node: Node<'_>, model: &mut Model, chance: &mut Chance) -> (Doing, bool) {
    let doing = Doing::choose(model, chance);
    let (sent, acknowledged) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicU64::new(0)));
    let writer = {
        let (public, host) = (node.public.clone(), format!("{}.localhost", model.counter.host));
        let (sent, acknowledged) = (Arc::clone(&sent), Arc::clone(&acknowledged));
        std::thread::spawn(move || write_until_gone(&public, &host, &sent, &acknowledged))
    };
    let command = doing.begin(home, model);
    match doing {
        Doing::Alarm => come_to_alarm(&node, model, chance),
        _ => wait(chance.below(doing.moments_ms())),
    }
    node.kill();
    let ended = command.map(Running::end);
    writer.join().unwrap();
    model.sent += sent.load(Ordering::SeqCst);
    model.acknowledged += acknowledged.load(Ordering::SeqCst);
    let acknowledged = ended.is_some_and(|ended| was_acknowledged(&ended));
    if acknowledged {
        doing.acknowledged(model);
    }
    (doing, acknowledged)
}

/// Once in a while the power goes again while the node comes up. Says whether it did.
pub(super) fn again(home: &Home, up: &[&str], chance: &mut Chance) -> bool {
    let again = chance.below(4) == 0;
    if again {
        let coming = home.start(&[&["up", "--api", "127.0.0.1:0", "--public", "127.0.0.1:0"], up].concat());
        wait(chance.below(COMES_UP_MS));
        drop(coming);
    }
    again
}
