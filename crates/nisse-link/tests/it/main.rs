//! Links over loopback, and pairing over whatever carries bytes.
#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a test that cannot go on has failed, or says why it does not"
)]

mod cut;
mod dial;
mod gate;
mod handshakes;
mod limits;
mod nearby;
mod pairing;
mod world;
