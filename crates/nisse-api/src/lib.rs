//! HTTP: the control API, the public listener, the chain's JSON-RPC, and a typed client of the control API.
//!
//! Every control route stands in one table ([`routes`]) from which the router, the OpenAPI document and the tests of
//! who may call what are made.
#![forbid(unsafe_code)]

mod auth;
mod authority;
mod body;
pub mod client;
mod control;
mod cookies;
mod deeds;
mod door;
mod handlers;
mod leaving;
mod listen;
mod needs;
mod openapi;
mod peers;
mod problem;
mod public;
mod remote;
pub mod routes;
mod rpc;
mod shares;
mod slots;
mod stall;
mod tokens;

pub use listen::{BindError, Bound, Listeners};
pub use openapi::document;
pub use problem::Problem;
