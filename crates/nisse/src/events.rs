//! The audit trail: each event under `nisse::event` as one line of JSON in `<home>/logs/events.jsonl`, whatever the
//! log level is.
//!
//! The file is kept in pieces of a limited size and number, so that a flood of tries costs no more than the oldest lines.

use std::fs::{File, OpenOptions, create_dir_all, rename};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use tracing::Subscriber;
use tracing::level_filters::LevelFilter;
use tracing_subscriber::Layer;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::registry::LookupSpan;

/// Where events stand among the targets of tracing.
const TARGET: &str = "nisse::event";
/// A piece is closed once it has this many bytes.
const PIECE_BYTES_MAX: u64 = 16 << 20;
/// Pieces that are kept, the one being written among them.
const PIECES_MAX: u32 = 4;

/// The file that events go to, once the home is this process's own. Clones write to the same one.
#[derive(Debug, Clone, Default)]
pub(crate) struct EventLog(Arc<Mutex<Option<Piece>>>);

/// The piece that is being written.
#[derive(Debug)]
struct Piece {
    folder: PathBuf,
    file: File,
    bytes: u64,
    bytes_max: u64,
}

impl EventLog {
    /// Hands each event to this log.
    pub(crate) fn layer<S: Subscriber + for<'a> LookupSpan<'a>>(&self) -> impl Layer<S> + use<S> {
        let log = self.clone();
        let lines = tracing_subscriber::fmt::layer().json().flatten_event(true).with_writer(move || log.clone());
        lines.with_filter(Targets::new().with_target(TARGET, LevelFilter::INFO))
    }

    /// Begins to write into the logs of a home. What happened before is not written.
    pub(crate) fn open(&self, home: &Path) -> io::Result<()> {
        self.open_with(home, PIECE_BYTES_MAX)
    }

    fn open_with(&self, home: &Path, bytes_max: u64) -> io::Result<()> {
        let folder = home.join("logs");
        create_dir_all(&folder)?;
        let file = append_to(&folder)?;
        let bytes = file.metadata()?.len();
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(Piece { folder, file, bytes, bytes_max });
        Ok(())
    }
}

/// One call of `write` is one line.
impl Write for EventLog {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        let mut log = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(piece) = log.as_mut() {
            if piece.bytes >= piece.bytes_max {
                piece.turn()?;
            }
            piece.file.write_all(line)?;
            piece.bytes += line.len() as u64;
        }
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Piece {
    /// Closes this piece and begins the next; the oldest goes.
    fn turn(&mut self) -> io::Result<()> {
        for number in (0..PIECES_MAX - 1).rev() {
            let from = path(&self.folder, number);
            if from.exists() {
                rename(from, path(&self.folder, number + 1))?;
            }
        }
        (self.file, self.bytes) = (append_to(&self.folder)?, 0);
        Ok(())
    }
}

/// The newest piece has no number.
fn path(folder: &Path, number: u32) -> PathBuf {
    folder.join(if number == 0 { "events.jsonl".to_owned() } else { format!("events.{number}.jsonl") })
}

fn append_to(folder: &Path) -> io::Result<File> {
    OpenOptions::new().create(true).append(true).mode(0o600).open(path(folder, 0))
}

#[cfg(test)]
mod tests {
    use super::*;
    use tracing_subscriber::layer::SubscriberExt as _;

    #[test]
    fn events_are_written_whatever_the_level_and_the_oldest_go_first() {
        let home = tempfile::tempdir().expect("a folder");
        let log = EventLog::default();
        let subscriber = tracing_subscriber::registry().with(log.layer());
        tracing::subscriber::with_default(subscriber, || {
            tracing::info!(target: "nisse::event::egress", host = "before.example");
            log.open_with(home.path(), 200).expect("a fresh log");
            tracing::warn!(target: "nisse::other", host = "other.example");
            for number in 0..40 {
                tracing::info!(target: "nisse::event::egress", host = "api.example.org", number);
            }
        });
        let pieces: Vec<_> = (0..=PIECES_MAX).map(|number| path(&home.path().join("logs"), number)).collect();
        let texts: Vec<_> = pieces.iter().map(|piece| std::fs::read_to_string(piece).unwrap_or_default()).collect();
        assert!(texts[..4].iter().all(|text| (200..400).contains(&text.len())), "{texts:?}");
        assert_eq!(texts[4], "", "no more than four pieces");
        let last = texts[0].lines().last().expect("the newest piece has lines");
        let last: serde_json::Value = serde_json::from_str(last).expect("a line is JSON");
        assert_eq!((&last["host"], &last["number"]), (&"api.example.org".into(), &39.into()));
        assert!(!texts.concat().contains("other.example") && !texts.concat().contains("before.example"));
    }
}
