//! Stories of the binary: what a person does with `nisse`, and what it refuses, judged from outside.
#![allow(clippy::unwrap_used, reason = "a test ends at the first thing that is not as it should be")]

mod bidding;
mod chain_facts;
mod comeback;
mod commands;
mod configuration;
mod configured;
mod content;
mod demo;
mod doctor;
mod door;
mod elsewhere;
mod failures;
mod guide;
mod harness;
mod heartbeats;
mod hostile;
mod join;
mod kills;
mod lease;
mod life;
mod lists;
mod logs;
mod mistakes;
mod orders;
mod rebuild;
mod receipts;
mod refusals;
mod rented;
mod signed;
mod stalled;
mod stream;
mod terminal;
mod updates;
mod upgrade;
mod web;
