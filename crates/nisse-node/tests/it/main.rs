//! Tests of the whole node through its public API.
#![expect(clippy::print_stdout, reason = "a run of power cuts says what it did")]

mod simulation;
