//! The chain, the queue and the market together, on a simulated disk and a clock that stands still.
#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "a test stops at the first surprise")]

mod anvil;
mod catching_up;
mod contract_sets;
mod cursor;
mod engine;
mod faults;
mod fees;
mod flow;
mod full_disk;
mod growth;
mod heartbeats;
mod json_rpc;
mod life;
mod lost;
mod owner_requests;
mod power_cuts;
mod queue;
mod receipts;
mod refusals;
mod sealed;
mod support;
mod survey;
mod views;
