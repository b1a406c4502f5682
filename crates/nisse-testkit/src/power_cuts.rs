//! Thousands of power cuts over anything that stores: open, compare with a model, work until the power goes, again.
//!
//! A [`Subject`] is a store together with its model: a plain value that says what was acknowledged and what may or may
//! not stand. The harness decides when the power goes and what survives. Each failure names the seed that repeats it.

use std::error::Error;
use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use crate::{Fault, Random, SimDisk};

/// Power cuts of all suites together, unless [`CUTS_VARIABLE`] says otherwise.
const CUTS_DEFAULT: u64 = 20_000;
/// How many power cuts to make: `NISSE_POWER_CUTS=1000000`.
const CUTS_VARIABLE: &str = "NISSE_POWER_CUTS";
/// Runs one seed only, and traces its disk: `NISSE_SEED=42`.
const SEED_VARIABLE: &str = "NISSE_SEED";

/// A store under test and its model.
pub trait Subject {
    /// One life: opens the store, checks what stands against the model, and works until an operation fails or enough
    /// is done. Nothing opened may outlive the call. An error of the store is expected once the power is off, and a
    /// failure of the test before; a violation always is.
    fn live(&mut self, disk: &SimDisk, random: &mut Random) -> Result<(), Failure>;
}

/// Why a life ended early.
#[derive(Debug)]
pub enum Failure {
    /// The store failed an operation.
    Error(Box<dyn Error + Send + Sync>),
    /// The store broke a promise.
    Violation(String),
}

impl<E: Error + Send + Sync + 'static> From<E> for Failure {
    fn from(error: E) -> Self {
        Self::Error(Box::new(error))
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let error = match self {
            Self::Violation(text) => return formatter.write_str(text),
            Self::Error(error) => error,
        };
        write!(formatter, "failed to {error}")?;
        let mut source = error.source();
        while let Some(cause) = source {
            write!(formatter, ": {cause}")?;
            source = cause.source();
        }
        Ok(())
    }
}

/// A [`Failure::Violation`] unless `holds`.
pub fn check(holds: bool, text: impl FnOnce() -> String) -> Result<(), Failure> {
    if holds { Ok(()) } else { Err(Failure::Violation(text())) }
}

/// A run of power cuts.
#[derive(Debug, Clone)]
pub struct PowerCuts {
    name: &'static str,
    cuts: u64,
    lives: u64,
    operations_max: u64,
    reads: bool,
    faults: bool,
    plant: fn(&SimDisk),
    template: Option<SimDisk>,
}

/// What a run did.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct PowerCutReport {
    /// Power cuts made.
    pub cuts: u64,
    /// Cuts that lost or tore something that was not synced.
    pub lossy: u64,
    /// Cuts that met the store at work, recovery included, and not after it.
    pub interrupting: u64,
    /// Wall time.
    pub took: Duration,
}

impl PowerCuts {
    /// So many power cuts, roughly, over a store of that name.
    pub fn new(name: &'static str, cuts: u64) -> Self {
        Self { name, cuts, lives: 8, operations_max: 60, reads: true, faults: false, plant: |_| {}, template: None }
    }

    /// A share, in percent, of the power cuts that `NISSE_POWER_CUTS` asks for (20,000 by default).
    pub fn share(name: &'static str, percent: u64) -> Self {
        let total = variable(CUTS_VARIABLE).unwrap_or(CUTS_DEFAULT);
        Self::new(name, (total * percent).div_ceil(100))
    }

    /// How often the power goes on one disk before a fresh one is taken. 8 unless said otherwise.
    pub fn lives(self, lives: u64) -> Self {
        Self { lives, ..self }
    }

    /// The power goes within that many operations of the disk. 60 unless said otherwise; it should be somewhat more
    /// than what a life does.
    pub fn operations_max(self, operations_max: u64) -> Self {
        Self { operations_max, ..self }
    }

    /// Reads do not count as operations: for a store that reads much and changes little.
    pub fn counting_changes(self) -> Self {
        Self { reads: false, ..self }
    }

    /// In one life of three an operation fails before the power goes, and the process that ends with it may be
    /// started again on the same page cache.
    pub fn with_faults(self) -> Self {
        Self { faults: true, ..self }
    }

    /// Each disk begins as a copy of this one: what takes long to make is made once.
    pub fn starting_from(self, template: &SimDisk) -> Self {
        Self { template: Some(template.fork()), ..self }
    }

    /// Prepares each disk: plants a defect that the run must notice.
    pub fn planting(self, plant: fn(&SimDisk)) -> Self {
        Self { plant, ..self }
    }

    /// Makes the cuts, on all processors. The text of a failure names its seed.
    pub fn run<S: Subject>(&self, make: impl Fn() -> S + Sync) -> Result<PowerCutReport, String> {
        let start = Instant::now();
        let chosen = variable(SEED_VARIABLE);
        let next = AtomicU64::new(chosen.unwrap_or(0));
        // With faults, one life of three ends by a kill that is no power cut.
        let lives = if self.faults { self.cuts * 3 / 2 } else { self.cuts };
        let end = chosen.map_or(lives.div_ceil(self.lives), |seed| seed + 1);
        let total = Mutex::new(Ok(PowerCutReport::default()));
        let threads = std::thread::available_parallelism().map_or(1, usize::from);
        std::thread::scope(|scope| {
            for _ in 0..threads {
                scope.spawn(|| {
                    loop {
                        let seed = next.fetch_add(1, Ordering::Relaxed);
                        if seed >= end || total.lock().expect("no addition panics").is_err() {
                            return;
                        }
                        let outcome = self.one(seed, make());
                        let mut total = total.lock().expect("no addition panics");
                        match (&mut *total, outcome) {
                            (Ok(total), Ok(report)) => total.add(report),
                            (Ok(_), Err(text)) => *total = Err(text),
                            (Err(_), _) => {}
                        }
                    }
                });
            }
        });
        let mut report = total.into_inner().expect("no addition panics")?;
        report.took = start.elapsed();
        Ok(report)
    }

    /// All lives of one disk, and a last one in which nothing goes wrong.
    fn one<S: Subject>(&self, seed: u64, mut subject: S) -> Result<PowerCutReport, String> {
        let mut random = Random::new(seed);
        let disk = match &self.template {
            Some(template) => template.fork_seeded(random.next_u64()),
            None => SimDisk::new(random.next_u64()),
        };
        (self.plant)(&disk);
        if variable(SEED_VARIABLE).is_some() {
            disk.trace();
        }
        let mut report = PowerCutReport::default();
        for life in 0..=self.lives {
            let last = life == self.lives;
            if !last {
                let operations = random.below(self.operations_max);
                match self.reads {
                    true => disk.cut_after(operations),
                    false => disk.cut_after_changes(operations),
                }
                if self.faults && random.once_in(3) {
                    let nth = random.below(self.operations_max);
                    disk.fail(*random.pick(&[Fault::Io(nth), Fault::Sync(nth / 8), Fault::NoSpace(nth / 4)]));
                }
            }
            let mut own = random.fork();
            let lived = catch_unwind(AssertUnwindSafe(|| subject.live(&disk, &mut own)));
            match lived.unwrap_or_else(|_| Err(Failure::Violation("it panicked".to_owned()))) {
                Ok(()) => {}
                Err(Failure::Error(_)) if disk.is_off() || disk.has_failed() => {}
                Err(failure) => return Err(self.text(seed, life, &failure)),
            }
            if !last {
                if self.faults && random.once_in(3) {
                    disk.kill();
                    continue;
                }
                report.cuts += 1;
                report.interrupting += u64::from(disk.is_off());
                report.lossy += u64::from(disk.power_cut(random.next_u64()));
            }
        }
        Ok(report)
    }

    fn text(&self, seed: u64, life: u64, failure: &Failure) -> String {
        format!("{}, seed {seed}, life {life}: {failure} (repeat it with {SEED_VARIABLE}={seed})", self.name)
    }
}

impl PowerCutReport {
    fn add(&mut self, other: Self) {
        self.cuts += other.cuts;
        self.lossy += other.lossy;
        self.interrupting += other.interrupting;
    }
}

fn variable(name: &str) -> Option<u64> {
    let text = std::env::var(name).ok()?;
    Some(text.parse().unwrap_or_else(|_| panic!("{name} should be a whole number, not `{text}`")))
}
