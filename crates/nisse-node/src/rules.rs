//! What a node makes of the market, as pure functions: the simulation of the market runs them as the node does.
//!
//! The other rules that it runs are nisse-orchestrator's own.

pub use crate::driver::{Asked, tries_max};
pub use crate::heartbeats::is_watched;
pub use crate::watcher::{Meaning, Reader, Standing, is_doubtful, is_read_again, reopened};
