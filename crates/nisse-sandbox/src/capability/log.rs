//! `nisse:agent/log`: lines for the agent's log, cut, cleaned and counted.

use wasmtime::component::HasSelf;

use super::{Capability, Need};
use crate::bindings::imports::nisse::agent::log::{self, Level};
use crate::guest_state::GuestState;
use crate::host::{HostCall, LogLevel};
use crate::limits::LOG_LINE_BYTES_MAX;

pub(super) const LOG: Capability = Capability {
    interfaces: &["nisse:agent/log"],
    need: Need::Nothing,
    link: |linker| log::add_to_linker::<_, HasSelf<GuestState>>(linker, |state| state),
};

impl log::Host for GuestState {
    async fn write(&mut self, level: Level, text: String) -> wasmtime::Result<()> {
        let level = match level {
            Level::Debug => LogLevel::Debug,
            Level::Info => LogLevel::Info,
            Level::Warn => LogLevel::Warn,
            Level::Error => LogLevel::Error,
        };
        // Also of a line that is cut or dropped.
        self.dispatcher().worked(text.len());
        let call = HostCall::Log { level, text: clean_line(text) };
        Ok(self.dispatcher().log(call).await?)
    }
}

/// One line that cannot forge another, move a terminal's cursor or hide text: control characters are spelled out.
pub(crate) fn clean_line(mut text: String) -> String {
    let reordering =
        |c| matches!(c, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{2069}' | '\u{feff}');
    let hidden = |c: char| c.is_control() && c != '\t' || reordering(c);
    text.truncate(text.floor_char_boundary(LOG_LINE_BYTES_MAX));
    if text.contains(hidden) {
        text = text.chars().flat_map(|c| spelled(c, hidden(c))).collect();
        text.truncate(text.floor_char_boundary(LOG_LINE_BYTES_MAX));
    }
    text
}

fn spelled(c: char, hidden: bool) -> impl Iterator<Item = char> {
    let escaped = hidden.then(|| c.escape_default());
    (!hidden).then_some(c).into_iter().chain(escaped.into_iter().flatten())
}
