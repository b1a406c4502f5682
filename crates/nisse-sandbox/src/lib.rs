//! Runs agents: WebAssembly components that reach nothing but what they were granted.
//!
//! The way of a package: [`Inspection`] (what does it ask for?) → [`Compiler`] (in a child, cached) → [`AgentProgram`]
//! (linked by its grants) → [`LiveInstance`] (one call at a time). Everything that a guest asks of its node goes through
//! one [`Host`]; everything that it changes comes back as effects with the outcome.
//!
//! This crate decides nothing about money, journals or networks, and opens no connection.
#![deny(unsafe_code)]

mod bindings;
mod capability;
mod compile;
mod cpu;
mod dispatch;
mod engine;
mod guest_state;
mod host;
mod inspection;
mod instance;
pub mod limits;
mod memory;
mod overlay;
mod program;
mod trap;

pub use compile::{
    CacheError, CompileChildError, CompileCommand, CompileError, CompileLimits, CompiledArtifact, Compiler,
    compile_child_main,
};
pub use cpu::CpuBucket;
pub use dispatch::Recording;
pub use engine::{Engine, EngineError, EngineOptions};
pub use host::{
    CallKey, Host, HostCall, HostFailure, HostFailureKind, HostReply, HttpField, HttpRequest, HttpResponse, LogLevel,
    ObjectChange, ObjectWrite, RemoteError, RemoteHost, SpaceGiven, serve_host,
};
pub use inspection::{ARTIFACT_BYTES_MAX, ImportRefused, InspectError, Inspection};
pub use instance::{CallContext, HttpAnswer, InvocationEnd, LiveInstance, Opening, Outflow, StartError, Trace};
pub use limits::Limits;
pub use memory::MemorySpent;
pub use program::{AgentProgram, LinkError, ProgramOptions};
pub use trap::Trap;
