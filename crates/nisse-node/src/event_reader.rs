//! Server-sent events, read from the pieces of a body however these are cut (WHATWG HTML §9.2.6).
//!
//! It waits for nothing: who has a connection pushes what came, and takes events until there is none. Of an event only
//! the data is kept. A CR alone ends no line: nothing that is asked for events writes that.

use bytes::{Buf as _, BytesMut};

/// Longest event, in bytes: its data, and the line that is being read. A line of a log as JSON, each character of it
/// escaped, is shorter.
const EVENT_BYTES_MAX: usize = 512 << 10;

/// Reads the events of one connection, and holds no more than one event and one piece.
#[derive(Debug, Default)]
pub struct EventReader {
    /// What came and is not read.
    waiting: BytesMut,
    /// So much of what waits has no end of a line.
    scanned: usize,
    /// The data of the event that has begun; each line of it ends with LF.
    data: Vec<u8>,
}

/// An event that is not held to its end. What comes behind it is not read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("read an event of more than {EVENT_BYTES_MAX} bytes")]
pub struct EventTooLong;

impl EventReader {
    /// Takes what came.
    pub fn push(&mut self, piece: &[u8]) {
        self.waiting.extend_from_slice(piece);
    }

    /// The data of the next event, the lines of it joined by LF; nothing before more has come.
    pub fn event(&mut self) -> Result<Option<String>, EventTooLong> {
        while let Some(line) = self.line()? {
            let line = line.strip_suffix(b"\r").unwrap_or(&line);
            if let Some(data) = line.strip_prefix(b"data:") {
                self.data.extend_from_slice(data.strip_prefix(b" ").unwrap_or(data));
                self.data.push(b'\n');
            } else if line.is_empty() && self.data.pop().is_some() {
                // The last LF, which is gone now, is no part of it.
                let data = std::mem::take(&mut self.data);
                return Ok(Some(String::from_utf8_lossy(&data).into_owned()));
            }
        }
        Ok(None)
    }

    /// The next whole line, without its LF.
    fn line(&mut self) -> Result<Option<BytesMut>, EventTooLong> {
        let end = self.waiting.iter().skip(self.scanned).position(|byte| *byte == b'\n');
        let length = end.map_or(self.waiting.len(), |end| self.scanned + end);
        if self.data.len() + length > EVENT_BYTES_MAX {
            return Err(EventTooLong);
        }
        if end.is_none() {
            self.scanned = length;
            return Ok(None);
        }
        let line = self.waiting.split_to(length);
        self.waiting.advance(1);
        self.scanned = 0;
        Ok(Some(line))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is read of `all` when it comes in pieces of `size` bytes.
    fn events(all: &[u8], size: usize) -> Result<Vec<String>, EventTooLong> {
        let mut reader = EventReader::default();
        let mut events = Vec::new();
        for piece in all.chunks(size) {
            reader.push(piece);
            while let Some(event) = reader.event()? {
                events.push(event);
            }
        }
        Ok(events)
    }

    #[test]
    fn an_event_is_read_that_is_cut_within_a_character_or_an_end_of_line() {
        let json = "{\"text\":\"\u{e4}\u{1f332}\"}";
        let all = format!("id: 1\r\ndata: {json}\r\n\r\n:\r\n\r\nevent: b\ndata:b\ndata:  c\n\ndata:\n\ndata: cut");
        for size in 1..=all.len() {
            let read = events(all.as_bytes(), size).expect("short events");
            assert_eq!(read, [json, "b\n c", ""], "in pieces of {size}");
        }
        let mut reader = EventReader::default();
        for piece in [&b"data: \xf0\x9f"[..], b"\x8c\xb2\r", b"\n\r"] {
            reader.push(piece);
            assert_eq!(reader.event(), Ok(None), "it is not over");
        }
        reader.push(b"\n");
        assert_eq!(reader.event(), Ok(Some("\u{1f332}".to_owned())));
        assert_eq!(reader.event(), Ok(None));
    }

    #[test]
    fn an_event_that_is_too_long_is_not_held_however_it_comes() {
        let long = "x".repeat(EVENT_BYTES_MAX);
        let lines = "data: x\n".repeat(EVENT_BYTES_MAX / 2);
        for all in [format!("data: {long}\n\n"), format!(":{long}\n\n"), format!("{lines}\n"), format!("{long}x")] {
            for size in [1_000, 64 << 10, all.len()] {
                assert_eq!(events(all.as_bytes(), size), Err(EventTooLong), "in pieces of {size}");
            }
        }
        let longest = format!("data: {}\n\n", "x".repeat(EVENT_BYTES_MAX - "data: ".len()));
        let many = longest.repeat(3);
        for size in [1_000, 64 << 10, many.len()] {
            let read = events(many.as_bytes(), size).expect("events of the right length");
            assert_eq!(read.iter().map(String::len).collect::<Vec<_>>(), [EVENT_BYTES_MAX - "data: ".len(); 3]);
        }
    }
}
