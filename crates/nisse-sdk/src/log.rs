//! Lines for the agent's log, which `nisse logs` shows. The node cuts long lines and drops a flood.
use crate::bindings::nisse::agent::log as host;
pub use host::Level;

/// Writes one line.
pub fn write(level: Level, text: impl AsRef<str>) {
    host::write(level, text.as_ref());
}

/// For whoever looks for a fault.
pub fn debug(text: impl AsRef<str>) {
    write(Level::Debug, text);
}

/// What an owner likes to know.
pub fn info(text: impl AsRef<str>) {
    write(Level::Info, text);
}

/// Something works less well than it should.
pub fn warn(text: impl AsRef<str>) {
    write(Level::Warn, text);
}

/// Someone must act.
pub fn error(text: impl AsRef<str>) {
    write(Level::Error, text);
}
