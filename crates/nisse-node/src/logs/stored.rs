//! A line as it stands in a file: JSON with its version, one to a line, so that a log can be read without a node.
//!
//! Each line stands for itself: what a power cut tore is not JSON, and is passed over.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};

use crate::control::LogLine;

/// Version of the stored form.
const VERSION: u8 = 1;

/// The stored form; `v` comes first.
#[derive(Serialize, Deserialize)]
struct StoredLine<'a> {
    v: u8,
    number: u64,
    time: u64,
    level: Cow<'a, str>,
    text: Cow<'a, str>,
}

/// The bytes of a line, its end included.
pub(super) fn encode(line: &LogLine) -> Vec<u8> {
    let LogLine { number, time, level, text } = line;
    let stored = StoredLine { v: VERSION, number: *number, time: *time, level: level.into(), text: text.into() };
    let mut bytes = serde_json::to_vec(&stored).expect("a line has only text keys and writing to memory succeeds");
    bytes.push(b'\n');
    bytes
}

/// What the bytes between two ends of lines hold; `None` where they are torn, or of a later nisse.
fn decode(bytes: &[u8]) -> Option<LogLine> {
    let StoredLine { v, number, time, level, text } = serde_json::from_slice(bytes).ok()?;
    (v == VERSION).then(|| LogLine { number, time, level: level.into_owned(), text: text.into_owned() })
}

/// The lines of a file's end that can be read, newest first.
pub(super) fn newest_first(bytes: &[u8]) -> impl Iterator<Item = LogLine> {
    bytes.rsplit(|byte| *byte == b'\n').filter_map(decode)
}

/// The number that the last line has or had: each torn one behind the last that can be read had one too.
pub(super) fn last_number(bytes: &[u8]) -> Option<u64> {
    let mut torn = 0;
    for piece in bytes.rsplit(|byte| *byte == b'\n').filter(|piece| !piece.is_empty()) {
        match decode(piece) {
            Some(line) => return Some(line.number + torn),
            None => torn += 1,
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(number: u64, text: &str) -> LogLine {
        LogLine { number, time: 7, level: "info".to_owned(), text: text.to_owned() }
    }

    #[test]
    fn a_stored_line_keeps_its_form() {
        let bytes = encode(&line(12, "it said \"no\""));
        let text = "{\"v\":1,\"number\":12,\"time\":7,\"level\":\"info\",\"text\":\"it said \\\"no\\\"\"}\n";
        assert_eq!(String::from_utf8(bytes).expect("it is text"), text);
        assert_eq!(newest_first(text.as_bytes()).collect::<Vec<_>>(), [line(12, "it said \"no\"")]);
    }

    #[test]
    fn torn_lines_and_those_of_a_later_nisse_are_passed_over_and_leave_a_gap() {
        let mut bytes = [encode(&line(1, "one")), encode(&line(2, "two"))].concat();
        assert_eq!(last_number(&bytes), Some(2));
        bytes.extend(b"{\"v\":2,\"number\":3,\"said\":\"otherwise\"}\n\0\0\0\0\n{\"v\":1,\"number\":5,\"ti");
        assert_eq!(newest_first(&bytes).map(|line| line.number).collect::<Vec<_>>(), [2, 1]);
        assert_eq!(last_number(&bytes), Some(5));
        assert_eq!(last_number(b"\0\0\n"), None);
    }
}
