//! What goes to stdout: lines for people, JSON for programs.

use std::io::{IsTerminal, Write as _};

use nisse_node::control::Step;
use serde::Serialize;

/// Whether words may be coloured there: a terminal whose owner did not say NO_COLOR.
pub(crate) fn has_colour(to: &impl IsTerminal) -> bool {
    to.is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty())
}

/// One line of data.
pub(crate) fn line(text: impl AsRef<str>) {
    // A closed pipe ends the program's usefulness, not its work.
    let _ = writeln!(std::io::stdout(), "{}", text.as_ref());
}

/// A sentence beside the data: on stderr, so that what reads stdout finds data alone.
pub(crate) fn note(json: bool, text: &str) {
    match json {
        true => aside(&serde_json::json!({ "note": text }).to_string()),
        false => aside(&format!("note: {text}")),
    }
}

/// One line on stderr. Nobody may be there to read it: that changes no exit code.
pub(crate) fn aside(text: &str) {
    let _ = writeln!(std::io::stderr(), "{text}");
}

/// JSON, as one document.
pub(crate) fn json(value: &impl Serialize) {
    match serde_json::to_string_pretty(value) {
        Ok(text) => line(text),
        Err(error) => line(format!("{{\"error\":\"{error}\"}}")),
    }
}

/// Bytes as they are.
pub(crate) fn bytes(bytes: &[u8]) {
    let mut out = std::io::stdout();
    let _ = out.write_all(bytes).and_then(|()| out.flush());
}

/// What happened, and when.
pub(crate) fn step(step: &Step) {
    line(format!("{:>6} ms  {:<13} {}", step.at_ms, step.name, step.detail));
}

/// `key  value` lines with the keys padded.
pub(crate) fn pairs(pairs: &[(&str, String)]) {
    let width = pairs.iter().map(|(key, _)| key.len()).max().unwrap_or(0);
    for (key, value) in pairs.iter().filter(|(_, value)| !value.is_empty()) {
        line(format!("{key:width$}  {value}"));
    }
}

/// Rows under headings, padded.
pub(crate) fn table(headings: &[&str], rows: &[Vec<String>]) {
    let mut widths: Vec<usize> = headings.iter().map(|heading| heading.len()).collect();
    for row in rows {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = (*width).max(cell.chars().count());
        }
    }
    let print = |cells: Vec<&str>| {
        let padded: Vec<String> =
            cells.iter().zip(&widths).map(|(cell, width)| format!("{cell:width$}", width = *width)).collect();
        line(padded.join("  ").trim_end());
    };
    print(headings.to_vec());
    for row in rows {
        print(row.iter().map(String::as_str).collect());
    }
}

/// Milliseconds since 1970 as `YYYY-MM-DD HH:MM:SS UTC`.
pub(crate) fn time(millis: u64) -> String {
    let seconds = millis / 1000;
    let (days, rest) = (seconds / 86_400, seconds % 86_400);
    // Civil date from a day count: eras of 400 years that begin in March, so that leap days come last.
    let shifted = days + 719_468;
    let (era, day_of_era) = (shifted / 146_097, shifted % 146_097);
    let year_of_era = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_index = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month_index + 2) / 5 + 1;
    let month = if month_index < 10 { month_index + 3 } else { month_index - 9 };
    let year = year_of_era + era * 400 + u64::from(month <= 2);
    let (hour, minute, second) = (rest / 3_600, rest / 60 % 60, rest % 60);
    format!("{year:04}-{month:02}-{day:02} {hour:02}:{minute:02}:{second:02} UTC")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_are_those_of_the_calendar() {
        assert_eq!(time(0), "1970-01-01 00:00:00 UTC");
        assert_eq!(time(951_782_400_000), "2000-02-29 00:00:00 UTC");
        assert_eq!(time(1_795_225_445_123), "2026-11-21 01:44:05 UTC");
        assert_eq!(time(4_102_444_799_999), "2099-12-31 23:59:59 UTC");
    }
}
