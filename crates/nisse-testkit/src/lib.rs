//! A world to test in: a disk that loses what was not synced, a clock that moves by hand, seeded randomness.
//!
//! Everything follows from a seed that each failure prints: the same seed gives the same world again. A dependency of
//! tests only.
#![forbid(unsafe_code)]

mod paused_clock;
mod power_cuts;
mod random;
mod sim_clock;
mod sim_disk;
mod sim_entropy;

pub use paused_clock::PausedClock;
pub use power_cuts::{Failure, PowerCutReport, PowerCuts, Subject, check};
pub use random::Random;
pub use sim_clock::SimClock;
pub use sim_disk::{Fault, SECTOR_BYTES, SimDisk};
pub use sim_entropy::SimEntropy;
