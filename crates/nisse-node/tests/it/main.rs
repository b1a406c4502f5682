//! Tests of the whole node through its public API.
#![expect(clippy::print_stdout, reason = "a run of a simulation says what it did")]

mod market;
mod simulation;
