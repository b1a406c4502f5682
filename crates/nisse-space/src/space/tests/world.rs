//! A seeded world: devices of members with credentials and disks of their own, links that come and go, and whatever may
//! befall them.
//!
//! Real are the spaces, the chunks, the frames, and what follows from the credentials. Made up are the disk, the network and
//! the clocks, which are an hour behind or ahead at most. One seed gives one world.

mod judge;
mod member;
mod net;
mod steps;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

use net::Net;

/// Worlds of a run: `NISSE_SPACE_SEEDS=10000`.
const SEEDS_VARIABLE: &str = "NISSE_SPACE_SEEDS";
/// The first of them: `NISSE_SPACE_FIRST=7470`.
const FIRST_VARIABLE: &str = "NISSE_SPACE_FIRST";
const SEEDS_DEFAULT: u64 = 500;
/// Things that befall one world.
const STEPS: usize = 70;
/// The last lines of a story that are told of a failure.
const STORY_MAX: usize = 200;

/// What happened, in all worlds.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
struct Totals {
    admissions: u64,
    clients_sent_away: u64,
    corrupted: u64,
    crashes: u64,
    cuts_in_turns: u64,
    devices_revoked: u64,
    joined: u64,
    lines: u64,
    revocations: u64,
    /// Changes of whoever was cut off or had no right that are nobody's.
    set_aside: u64,
    /// And that are there, since somebody vouches for them.
    stayed: u64,
    vouched: u64,
}

impl Totals {
    fn parts(&mut self) -> [&mut u64; 12] {
        let Self {
            admissions,
            clients_sent_away,
            corrupted,
            crashes,
            cuts_in_turns,
            devices_revoked,
            joined,
            lines,
            revocations,
            set_aside,
            stayed,
            vouched,
        } = self;
        [
            admissions,
            clients_sent_away,
            corrupted,
            crashes,
            cuts_in_turns,
            devices_revoked,
            joined,
            lines,
            revocations,
            set_aside,
            stayed,
            vouched,
        ]
    }

    fn add(&mut self, mut other: Self) {
        for (part, other) in self.parts().into_iter().zip(other.parts()) {
            *part += *other;
        }
    }
}

fn variable(name: &str) -> Option<u64> {
    let text = std::env::var(name).ok()?;
    Some(text.parse().unwrap_or_else(|_| panic!("{name} should be a whole number, not `{text}`")))
}

/// One world from its beginning to its end.
fn live(seed: u64) -> Result<Totals, String> {
    let mut net = Net::new(seed);
    let lived = catch_unwind(AssertUnwindSafe(|| {
        for _ in 0..STEPS {
            net.step();
        }
        net.judge()
    }));
    let why = match lived {
        Ok(Ok(())) => return Ok(net.totals),
        Ok(Err(why)) => why,
        Err(panic) => {
            let text = panic.downcast_ref::<String>().cloned();
            text.or_else(|| panic.downcast_ref::<&str>().map(|text| (*text).to_owned())).unwrap_or_default()
        }
    };
    let from = net.story.len().saturating_sub(STORY_MAX);
    Err(format!("{}\nseed {seed}: {why}", net.story[from..].join("\n")))
}

/// Lives these worlds on all processors: what happened in all of them, or how the first one failed.
fn live_all(first: u64, worlds: u64) -> Result<Totals, String> {
    let next = AtomicU64::new(first);
    let total = Mutex::new(Ok(Totals::default()));
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                loop {
                    let seed = next.fetch_add(1, Ordering::Relaxed);
                    if seed >= first + worlds || total.lock().expect("no addition panics").is_err() {
                        return;
                    }
                    let lived = live(seed);
                    let mut total = total.lock().expect("no addition panics");
                    match (&mut *total, lived) {
                        (Ok(total), Ok(totals)) => total.add(totals),
                        (Ok(_), Err(story)) => *total = Err(story),
                        (Err(_), _) => {}
                    }
                }
            });
        }
    });
    total.into_inner().expect("no addition panics")
}

/// From 3 to 7 devices, some of one identity, write by their clients and of their own accord; links come and go and carry
/// what they carry in any order, credentials before or behind chunks; power goes between turns and within them. Admins change
/// roles, revoke, let in again and invite, at once and against each other; identities cut devices off. Who may not write
/// may stop to follow the rules, and signs with what it has seen or had seen when it wrote last.
///
/// In the end those that follow the rules and read exchange what they have, some of them on links that they had before,
/// and sometimes with everybody else still connected. Then:
/// 1. They take the same credentials about the space for valid, and have the same lines, heads and summary of each document.
/// 2. These are just the changes of the chunks that count by the log of all of them, of those that any of them holds, and
///    what these chunks stand on: of whom was cut off or had no right, nothing else than what somebody who had the right had
///    before it knew and wrote on, or vouched for. It is worked out from what was signed, by changes and not by chunks.
/// 3. What somebody wrote whose rights, and whose admitters' rights, nobody ever said anything against counts; what somebody
///    wrote whom nobody ever let write does not. What an admin of that kind had of whom it cut off is there.
/// 4. Whatever was held before a power cut, or told to a peer or a client in the turn in which it came, is held afterwards.
/// 5. Nobody who follows the rules is sent away by another who does.
///
/// An object whose link in the root document was cut off is not looked for: its lines are.
#[test]
fn a_seeded_world_converges_and_loses_nothing_of_its_members() {
    let first = variable(FIRST_VARIABLE).unwrap_or(0);
    let worlds = variable(SEEDS_VARIABLE).unwrap_or(SEEDS_DEFAULT);
    let mut totals = live_all(first, worlds).unwrap_or_else(|story| panic!("{story}"));
    if worlds >= SEEDS_DEFAULT {
        assert!(totals.parts().iter().all(|part| **part > 0), "it must have happened to be tested: {totals:?}");
    }
}
