//! The sandbox from outside: guests written in WebAssembly text, a host that answers from a script.

mod http;
mod support;
