//! The way out, attacked: each case by name, judged by what was dialled and received.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod cases;
mod dns;
mod grammar;
mod legitimate;
mod limits;
mod operator;
mod real_tls;
mod secrets;
mod world;
