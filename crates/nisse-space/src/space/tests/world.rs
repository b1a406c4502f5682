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
const STEPS: usize = 80;
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
                        (Ok(_), Err(story)) if std::env::var("COLLECT").is_ok() => {
                            std::fs::write(format!("/tmp/wf/{seed}"), story).expect("TEMP");
                        }
                        (Ok(_), Err(story)) => *total = Err(story),
                        (Err(_), _) => {}
                    }
                }
            });
        }
    });
    total.into_inner().expect("no addition panics")
}

#[test]
fn a_seeded_world_converges_and_loses_nothing_of_its_members() {
    let first = variable(FIRST_VARIABLE).unwrap_or(0);
    let worlds = variable(SEEDS_VARIABLE).unwrap_or(SEEDS_DEFAULT);
    let mut totals = live_all(first, worlds).unwrap_or_else(|story| panic!("{story}"));
    if worlds >= SEEDS_DEFAULT {
        assert!(totals.parts().iter().all(|part| **part > 0), "it must have happened to be tested: {totals:?}");
    }
}
