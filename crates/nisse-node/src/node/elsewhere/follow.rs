//! A log that is followed on another node: connections end, and the log goes on behind the last line that came.

use std::time::Duration;

use bytes::Bytes;
use futures::stream::BoxStream;
use futures::{StreamExt as _, stream};
use http::Method;

use super::{Asked, Elsewhere, clean_line};
use crate::control::LogLine;
use crate::error::{ErrorKind, NodeError};
use crate::event_reader::EventReader;
use crate::network::Trouble;

const VERB: &str = "follow the log of";
/// How long one connection is used: shorter than what any request out may take.
const CONNECTION_TIME_MAX: Duration = Duration::from_secs(110);
/// What one connection may bring: as much as an agent can log in that time, and more.
const CONNECTION_BYTES_MAX: usize = 64 << 20;
/// Before a connection is opened again; doubled each time that brings nothing.
const PAUSE: Duration = Duration::from_millis(500);
const PAUSE_MAX: Duration = Duration::from_secs(30);
/// A connection of this length is one that its node means.
const LASTED: Duration = Duration::from_secs(10);

struct Following {
    there: Elsewhere,
    open: Option<Events>,
    last: u64,
    pause: Duration,
    /// The lease is over: what comes over this connection is the end.
    is_over: bool,
}

/// The events of one connection.
struct Events {
    pieces: BoxStream<'static, Result<Bytes, Trouble>>,
    reader: EventReader,
    /// Whether nothing has come over it yet.
    is_new: bool,
    /// By the clock that never goes back.
    began: Duration,
}

/// Opens the first connection; a refusal is told before there is a line.
pub(super) async fn begin(there: Elsewhere, after: Option<u64>) -> Result<BoxStream<'static, LogLine>, NodeError> {
    let last = match after {
        Some(after) => after,
        None => there.logs(1).await?.last().map_or(0, |line| line.number),
    };
    let open = Some(open(&there, last).await?);
    let following = Following { there, open, last, pause: PAUSE, is_over: false };
    let next = async |mut following: Following| Some((following.next().await?, following));
    Ok(stream::unfold(following, next).boxed())
}

async fn open(there: &Elsewhere, last: u64) -> Result<Events, NodeError> {
    let rest = format!("/logs/follow?after={last}");
    let asked = Asked {
        method: Method::GET,
        rest: &rest,
        body: Bytes::new(),
        deadline: CONNECTION_TIME_MAX,
        bytes_max: CONNECTION_BYTES_MAX,
    };
    let pieces = there.call(VERB, asked).await?.pieces;
    Ok(Events::new(pieces, there.core.clock.elapsed()))
}

impl Following {
    /// The next line; nothing once the node refuses, or has the agent no more.
    async fn next(&mut self) -> Option<LogLine> {
        loop {
            let Some(events) = &mut self.open else {
                if self.is_over {
                    return None;
                }
                tokio::time::sleep(self.pause).await;
                self.pause = (self.pause * 2).min(PAUSE_MAX);
                self.is_over = self.there.still_runs().await == Some(false);
                match open(&self.there, self.last).await {
                    Ok(events) => self.open = Some(events),
                    Err(error) if is_passing(&error) => {
                        tracing::debug!(error = error.text, "a log is not followed now");
                    }
                    Err(error) => {
                        tracing::info!(error = error.text, "a log is not followed any more");
                        return None;
                    }
                }
                continue;
            };
            let is_new = events.is_new;
            match events.next().await {
                // A node that lost its log counts anew. Within one connection, what is told again is nothing new.
                Some(line) if is_new || line.number > self.last => {
                    (self.last, self.pause) = (line.number, PAUSE);
                    return Some(clean_line(line));
                }
                Some(_) => {}
                None => {
                    if self.there.core.clock.elapsed().saturating_sub(events.began) > LASTED {
                        self.pause = PAUSE;
                    }
                    self.open = None;
                }
            }
        }
    }
}

/// Whether another try may find it otherwise.
fn is_passing(error: &NodeError) -> bool {
    matches!(error.kind, ErrorKind::Unreachable | ErrorKind::Busy | ErrorKind::Failed)
}

impl Events {
    fn new(pieces: BoxStream<'static, Result<Bytes, Trouble>>, began: Duration) -> Self {
        Self { pieces, reader: EventReader::default(), is_new: true, began }
    }

    /// The next line; nothing at the connection's end, or when what comes are no events.
    async fn next(&mut self) -> Option<LogLine> {
        loop {
            while let Some(event) = self.reader.event().ok()? {
                if let Ok(line) = serde_json::from_str(&event) {
                    self.is_new = false;
                    return Some(line);
                }
            }
            self.reader.push(&self.pieces.next().await?.ok()?);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn lines(pieces: &[&str]) -> Vec<u64> {
        let pieces: Vec<_> = pieces.iter().map(|piece| Ok(Bytes::from(piece.to_string()))).collect();
        let mut events = Events::new(stream::iter(pieces).boxed(), Duration::ZERO);
        let mut numbers = Vec::new();
        while let Some(line) = events.next().await {
            numbers.push(line.number);
        }
        numbers
    }

    #[tokio::test]
    async fn events_are_read_however_they_are_cut() {
        let event = |number: u64| {
            format!("id: {number}\ndata: {{\"number\":{number},\"time\":1,\"level\":\"info\",\"text\":\"a\"}}\n\n")
        };
        let all = [event(1), ":\n\n".to_owned(), event(2), "data: nonsense\n\n".to_owned(), event(3)].concat();
        assert_eq!(lines(&[&all]).await, [1, 2, 3]);
        let bytes: Vec<&str> = (0..all.len()).map(|place| &all[place..=place]).collect();
        assert_eq!(lines(&bytes).await, [1, 2, 3]);
        assert_eq!(lines(&["data: {\"number\":4"]).await, [] as [u64; 0], "what broke off is no line");
    }

    #[tokio::test]
    async fn what_never_ends_is_not_held() {
        let endless = "x".repeat(1 << 20);
        assert_eq!(lines(&[&endless, "\n", "data: "]).await, [] as [u64; 0]);
    }
}
