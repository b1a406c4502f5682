//! Why a guest was stopped, in the words of the invocation record and in a sentence for its author.

use std::fmt::Write as _;

use nisse_model::TrapKind;
use wasmtime::{Trap as WasmTrap, WasmBacktrace};
use wasmtime_wasi::{I32Exit, ResourceTableError};

use crate::dispatch::HostCallsSpent;
use crate::limits::BACKTRACE_FRAMES_MAX;
use crate::memory::MemorySpent;
use crate::overlay::EffectsSpent;

/// A guest was stopped. Its instance is gone and nothing that it changed is kept.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("run the guest: {text}")]
pub struct Trap {
    /// What the record says.
    pub kind: TrapKind,
    /// What happened, for the guest's author.
    pub text: String,
    /// Function names, innermost first; empty when the guest was not running.
    pub backtrace: Vec<String>,
}

impl Trap {
    pub(crate) fn new(kind: TrapKind, text: impl Into<String>) -> Self {
        Self { kind, text: text.into(), backtrace: Vec::new() }
    }

    /// Reads wasmtime's error. `memory_refused` says whether the guest was denied memory in this call: most languages
    /// answer that with `unreachable`, which explains nothing.
    pub(crate) fn from_error(error: &wasmtime::Error, memory_refused: bool) -> Self {
        let backtrace = error.downcast_ref::<WasmBacktrace>().map(function_names).unwrap_or_default();
        let (kind, text) = explain(error, memory_refused);
        Self { kind, text, backtrace }
    }

    /// The sentence and the backtrace, a line each.
    pub fn report(&self) -> String {
        let mut report = self.text.clone();
        for frame in &self.backtrace {
            let _ = write!(report, "\n  at {frame}");
        }
        report
    }
}

fn explain(error: &wasmtime::Error, memory_refused: bool) -> (TrapKind, String) {
    let Some(trap) = error.downcast_ref::<WasmTrap>() else {
        return explain_other(error, memory_refused);
    };
    let kind = match trap {
        WasmTrap::UnreachableCodeReached if memory_refused => TrapKind::OutOfMemory,
        WasmTrap::UnreachableCodeReached => TrapKind::Unreachable,
        WasmTrap::MemoryOutOfBounds | WasmTrap::TableOutOfBounds | WasmTrap::HeapMisaligned => TrapKind::OutOfBounds,
        WasmTrap::IntegerOverflow | WasmTrap::IntegerDivisionByZero | WasmTrap::BadConversionToInteger => {
            TrapKind::Arithmetic
        }
        WasmTrap::IndirectCallToNull | WasmTrap::BadSignature => TrapKind::IndirectCall,
        WasmTrap::StackOverflow => TrapKind::StackOverflow,
        WasmTrap::OutOfFuel => TrapKind::OutOfFuel,
        WasmTrap::Interrupt => TrapKind::Stopped,
        WasmTrap::CannotEnterComponent | WasmTrap::CannotLeaveComponent => TrapKind::Protocol,
        _ => TrapKind::Other,
    };
    let text = match kind {
        TrapKind::Unreachable => "it panicked (an `unreachable` instruction)".to_owned(),
        TrapKind::OutOfMemory => "it needed more memory than it has: raise `memory` in agent.yaml".to_owned(),
        TrapKind::OutOfFuel => "it burnt all the fuel of one call: does it loop for ever?".to_owned(),
        TrapKind::StackOverflow => "its stack is full: does it recurse for ever?".to_owned(),
        _ => trap.to_string().trim_start_matches("wasm trap: ").to_owned(),
    };
    (kind, text)
}

/// Errors that the host raised.
fn explain_other(error: &wasmtime::Error, memory_refused: bool) -> (TrapKind, String) {
    if let Some(I32Exit(code)) = error.downcast_ref::<I32Exit>() {
        return (TrapKind::Protocol, format!("it exited with code {code} instead of answering"));
    }
    if memory_refused || error.is::<MemorySpent>() {
        return (TrapKind::OutOfMemory, format!("{}", error.root_cause()));
    }
    if let Some(error) = error.downcast_ref::<ResourceTableError>() {
        return (TrapKind::Protocol, format!("it used a handle that it does not hold, or holds too many ({error})"));
    }
    if error.is::<HostCallsSpent>() || error.is::<EffectsSpent>() {
        return (TrapKind::Protocol, error.root_cause().to_string());
    }
    (TrapKind::Other, error.root_cause().to_string())
}

fn function_names(backtrace: &WasmBacktrace) -> Vec<String> {
    let frames = backtrace.frames().iter().take(BACKTRACE_FRAMES_MAX);
    let name = |frame: &wasmtime::FrameInfo| match frame.func_name() {
        Some(name) => rustc_demangle::demangle(name).to_string(),
        None => format!("function {}", frame.func_index()),
    };
    frames.map(name).collect()
}
