//! Write agents for nisse in Rust: react to events, answer HTTP, keep state.
//!
//! An agent is a type that implements [`Handler`] (events), [`http::Serve`] (HTTP), or both, and one [`export!`]. The
//! component imports only the capabilities that it calls, so what stands in `permissions` is what the code uses.
//!
//! ```ignore
//! use nisse_sdk::{Failure, Handler, Invocation, Outcome, alarm, http, state};
//! use std::time::Duration;
//!
//! struct Ticker;
//!
//! impl Handler for Ticker {
//!     fn handle(_: Invocation) -> Result<Outcome, Failure> {
//!         let ticks = state::get::<u64>("ticks")?.unwrap_or(0) + 1;
//!         state::put("ticks", &ticks)?;
//!         alarm::after(Duration::from_secs(60))?;
//!         Ok(Outcome::text(format!("tick {ticks}")))
//!     }
//! }
//!
//! impl http::Serve for Ticker {
//!     fn serve(_: http::Request) -> http::Response {
//!         match state::get::<u64>("ticks") {
//!             Ok(ticks) => http::Response::text(200, ticks.unwrap_or(0).to_string()),
//!             Err(error) => http::Response::text(503, error.to_string()),
//!         }
//!     }
//! }
//!
//! nisse_sdk::export!(Ticker);
//! ```
//!
//! Build it with `cargo build --release --target wasm32-wasip2` as a `cdylib`. The crate also compiles for the host, so
//! that an agent's pure parts can be tested there; calling a capability outside a node panics.
#![deny(unsafe_code)]

pub mod alarm;
pub mod bindings;
pub mod chain;
pub mod clock;
pub mod config;
mod event;
mod export;
pub mod http;
pub mod ipfs;
pub mod log;
pub mod random;
pub mod spaces;
pub mod state;

pub use event::{Event, Failure, FailureKind, Handler, Invocation, Outcome};
#[doc(hidden)]
pub use export::{Exported, ExportedRaw};
#[cfg(feature = "json")]
pub use state::Json;
