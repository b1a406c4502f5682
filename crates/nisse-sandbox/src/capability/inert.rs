//! What components of any toolchain import and nisse links without power: no arguments, no environment, no files, no
//! sockets, a closed input, and an output whose lines go to the agent's log (DESIGN §4).

use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use tokio::io::AsyncWrite;
use wasmtime::component::{HasData, Linker, ResourceTable};
use wasmtime_wasi::async_trait;
use wasmtime_wasi::cli::{IsTerminal, StdoutStream, WasiCli, WasiCliView};
use wasmtime_wasi::filesystem::{WasiFilesystem, WasiFilesystemView};
use wasmtime_wasi::p2::bindings::{LinkOptions, cli, filesystem, io, sockets};
use wasmtime_wasi::p2::{OutputStream, Pollable, StreamError, StreamResult};
use wasmtime_wasi::sockets::{WasiSockets, WasiSocketsView};

use super::log::clean_line;
use super::{Capability, Need};
use crate::guest_state::GuestState;
use crate::host::LogLevel;
use crate::limits::{LOG_LINE_BYTES_MAX, LOG_LINES_MAX};
use crate::memory::{Held, MemoryMeter, MemorySpent};

pub(super) const INERT: Capability = Capability {
    interfaces: &["wasi:io/", "wasi:cli/", "wasi:filesystem/", "wasi:sockets/"],
    need: Need::Nothing,
    link,
};

struct Table;

impl HasData for Table {
    type Data<'a> = &'a mut ResourceTable;
}

fn link(linker: &mut Linker<GuestState>) -> wasmtime::Result<()> {
    let l = linker;
    io::error::add_to_linker::<_, Table>(l, |state| &mut state.table)?;
    io::poll::add_to_linker::<_, Table>(l, |state| &mut state.table)?;
    io::streams::add_to_linker::<_, Table>(l, |state| &mut state.table)?;

    cli::environment::add_to_linker::<_, WasiCli>(l, GuestState::cli)?;
    cli::exit::add_to_linker::<_, WasiCli>(l, GuestState::cli)?;
    cli::stdin::add_to_linker::<_, WasiCli>(l, GuestState::cli)?;
    cli::stdout::add_to_linker::<_, WasiCli>(l, GuestState::cli)?;
    cli::stderr::add_to_linker::<_, WasiCli>(l, GuestState::cli)?;
    cli::terminal_input::add_to_linker::<_, WasiCli>(l, GuestState::cli)?;
    cli::terminal_output::add_to_linker::<_, WasiCli>(l, GuestState::cli)?;
    cli::terminal_stdin::add_to_linker::<_, WasiCli>(l, GuestState::cli)?;
    cli::terminal_stdout::add_to_linker::<_, WasiCli>(l, GuestState::cli)?;
    cli::terminal_stderr::add_to_linker::<_, WasiCli>(l, GuestState::cli)?;

    filesystem::preopens::add_to_linker::<_, WasiFilesystem>(l, GuestState::filesystem)?;
    filesystem::types::add_to_linker::<_, WasiFilesystem>(l, GuestState::filesystem)?;

    // The context allows no address, so each of these answers `access-denied`.
    let options = LinkOptions::default();
    sockets::network::add_to_linker::<_, WasiSockets>(l, &(&options).into(), GuestState::sockets)?;
    sockets::instance_network::add_to_linker::<_, WasiSockets>(l, GuestState::sockets)?;
    sockets::ip_name_lookup::add_to_linker::<_, WasiSockets>(l, GuestState::sockets)?;
    sockets::tcp::add_to_linker::<_, WasiSockets>(l, GuestState::sockets)?;
    sockets::tcp_create_socket::add_to_linker::<_, WasiSockets>(l, GuestState::sockets)?;
    sockets::udp::add_to_linker::<_, WasiSockets>(l, GuestState::sockets)?;
    sockets::udp_create_socket::add_to_linker::<_, WasiSockets>(l, GuestState::sockets)
}

/// What the guest prints, cut into lines that wait for the log.
#[derive(Clone)]
pub(crate) struct StandardOutput(Arc<Mutex<Lines>>);

struct Lines {
    done: Vec<String>,
    open: Vec<u8>,
    /// Bytes of the lines that are done.
    done_bytes: usize,
    held: Held,
}

impl StandardOutput {
    /// Lines that count as the memory which `meter` counts.
    pub(crate) fn new(meter: &MemoryMeter) -> Self {
        let held = meter.hold(0).expect("there is always room for nothing");
        Self(Arc::new(Mutex::new(Lines { done: Vec::new(), open: Vec::new(), done_bytes: 0, held })))
    }

    /// All lines since the last time; an unfinished one counts as a line.
    pub(crate) fn take_lines(&self) -> Vec<(LogLevel, String)> {
        let mut lines = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if lines.done.is_empty() && lines.open.is_empty() {
            return Vec::new();
        }
        lines.close();
        lines.done_bytes = 0;
        lines.held.release();
        std::mem::take(&mut lines.done).into_iter().map(|line| (LogLevel::Info, line)).collect()
    }
}

impl Lines {
    fn take(&mut self, bytes: &[u8]) -> Result<(), MemorySpent> {
        for byte in bytes {
            match byte {
                b'\n' => self.close(),
                _ if self.open.len() < LOG_LINE_BYTES_MAX => self.open.push(*byte),
                _ => {}
            }
        }
        self.held.cover((self.done_bytes + self.open.capacity()) as u64)
    }

    fn close(&mut self) {
        let line = std::mem::take(&mut self.open);
        if !line.is_empty() && self.done.len() < LOG_LINES_MAX as usize {
            let line = clean_line(String::from_utf8_lossy(&line).into_owned());
            self.done_bytes += line.capacity();
            self.done.push(line);
        }
    }
}

impl IsTerminal for StandardOutput {
    fn is_terminal(&self) -> bool {
        false
    }
}

impl StdoutStream for StandardOutput {
    fn async_stream(&self) -> Box<dyn AsyncWrite + Send + Sync> {
        // Only the newer WASI asks for it, which is not linked.
        Box::new(tokio::io::sink())
    }

    fn p2_stream(&self) -> Box<dyn OutputStream> {
        Box::new(self.clone())
    }
}

#[async_trait]
impl OutputStream for StandardOutput {
    fn write(&mut self, bytes: Bytes) -> StreamResult<()> {
        let mut lines = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        lines.take(&bytes).map_err(|spent| StreamError::Trap(wasmtime::Error::new(spent)))
    }

    fn flush(&mut self) -> StreamResult<()> {
        Ok(())
    }

    fn check_write(&mut self) -> StreamResult<usize> {
        Ok(LOG_LINE_BYTES_MAX)
    }
}

#[async_trait]
impl Pollable for StandardOutput {
    async fn ready(&mut self) {}
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_printed_counts_as_memory_until_it_has_become_the_log() {
        let meter = MemoryMeter::new(64 << 10);
        let mut output = StandardOutput::new(&meter);
        let line = Bytes::from([vec![b'x'; 4 << 10], vec![b'\n']].concat());
        for _ in 0..10 {
            output.write(line.clone()).expect("there is room");
        }
        assert!(meter.used() >= 40 << 10, "{} bytes are counted", meter.used());
        assert_eq!(output.take_lines().len(), 10);
        assert_eq!(meter.used(), 0);
        let refused = (0..100).find_map(|_| output.write(line.clone()).err()).expect("400 KiB are too much");
        assert!(matches!(refused, StreamError::Trap(error) if error.is::<MemorySpent>()));
    }
}
