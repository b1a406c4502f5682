//! What the content crate promises, from outside.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod car;
mod download;
mod faults;
mod gateway;
mod power_cut;
mod routing;
mod source;
mod store;
mod support;
mod unixfs;
mod vectors;
mod verify;
