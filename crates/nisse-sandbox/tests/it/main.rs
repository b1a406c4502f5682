//! The sandbox from outside: committed guests and guests written in WebAssembly text, with a host that answers from a
//! script.

mod compile;
mod cpu;
mod events;
mod grants;
mod hostile;
mod http;
mod outgoing;
mod resident;
mod seam;
mod state;
mod support;
