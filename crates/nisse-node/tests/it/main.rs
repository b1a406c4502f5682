//! Tests of the whole node through its public API.

mod simulation;
