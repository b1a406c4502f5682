//! Tests of nisse-store against its public API, on the real disk and on a simulated one.
#![expect(clippy::unwrap_used, reason = "a test ends where something unexpected happens")]
#![expect(clippy::print_stdout, reason = "a run of power cuts says what it did")]

mod copy_on_write;
mod database;
mod database_check;
mod disk;
mod home;
mod journal;
mod journal_damage;
mod journal_failing_disk;
mod journal_power_cuts;
mod journal_survey;
mod journal_turns;
mod state;
mod state_power_cuts;
