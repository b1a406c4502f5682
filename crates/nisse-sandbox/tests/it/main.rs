//! The sandbox from outside: committed guests and guests written in WebAssembly text, with a host that answers from a
//! script.

mod bombs;
mod compile;
mod cpu;
mod documented;
mod events;
mod granted;
mod grants;
mod holdings;
mod hostile;
mod http;
mod imports;
mod inert;
mod life;
mod outgoing;
mod seam;
mod spaces;
mod state;
mod stream;
mod support;
mod tables;
