//! Where agents' logs lie: two files for each, the newer one being written, the older one full.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use nisse_store::{Disk, DiskFile, FileMode};

use super::stored;
use crate::control::LogLine;

/// Longest file, and the most that is read of one.
pub(super) const FILE_BYTES_MAX: u64 = 256 << 10;
/// What is read of it first where only its last line is wanted: more than the longest line.
pub(super) const TAIL_BYTES: u64 = 64 << 10;

/// The folder of all agents' logs.
#[derive(Clone)]
pub(super) struct Folder {
    disk: Arc<dyn Disk>,
    path: PathBuf,
}

/// One of an agent's two files.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Piece {
    Newer,
    Older,
}

/// Both, as they are searched.
const PIECES: [Piece; 2] = [Piece::Newer, Piece::Older];

/// What an agent's files hold when the node comes up.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Found {
    /// The number of the last line; 0 where there is none.
    pub(super) last_number: u64,
    /// Length of each file, the newer one first.
    pub(super) bytes: [u64; 2],
}

impl Folder {
    pub(super) fn new(disk: Arc<dyn Disk>, path: PathBuf) -> Self {
        Self { disk, path }
    }

    /// An agent's file. A label is a safe name by its grammar; one that were not would still stay in this folder.
    pub(super) fn file(&self, label: &str, piece: Piece) -> PathBuf {
        let mut name = String::new();
        for (at, byte) in label.bytes().enumerate() {
            match byte {
                b'a'..=b'z' | b'0'..=b'9' | b'-' => name.push(char::from(byte)),
                b'.' if at > 0 => name.push('.'),
                _ => _ = write!(name, "%{byte:02x}"),
            }
        }
        name.push_str(match piece {
            Piece::Newer => ".jsonl",
            Piece::Older => ".jsonl.old",
        });
        self.path.join(name)
    }

    /// Looks at what stands here of the agents that are known, and removes what is of no other.
    pub(super) fn begin(&self, known: &BTreeSet<String>) -> io::Result<BTreeMap<String, Found>> {
        if !self.disk.exists(&self.path) {
            self.disk.create_dir_durable(&self.path)?;
        }
        let files = |label: &String| PIECES.map(|piece| self.file(label, piece));
        let theirs: BTreeSet<PathBuf> = known.iter().flat_map(files).collect();
        let (kept, nobodys): (BTreeSet<PathBuf>, BTreeSet<PathBuf>) =
            self.disk.read_dir(&self.path)?.into_iter().partition(|path| theirs.contains(path));
        for path in nobodys {
            if let Err(error) = self.disk.remove_file(&path) {
                tracing::warn!(path = %path.display(), %error, "the log of an agent that nobody knows was not removed");
            }
        }
        Ok(known.iter().map(|label| (label.clone(), self.look(label, &kept))).collect())
    }

    fn look(&self, label: &str, kept: &BTreeSet<PathBuf>) -> Found {
        let mut found = Found::default();
        for (at, piece) in PIECES.into_iter().enumerate() {
            let path = self.file(label, piece);
            if !kept.contains(&path) {
                continue;
            }
            match self.look_at(&path, found.last_number == 0) {
                Ok((bytes, last_number)) => {
                    found.bytes[at] = bytes;
                    found.last_number = found.last_number.max(last_number);
                }
                Err(error) => tracing::warn!(path = %path.display(), %error, "the log of an agent is not read"),
            }
        }
        found
    }

    /// The length of a file and, where that is wanted, the number of its last line.
    fn look_at(&self, path: &Path, wanted: bool) -> io::Result<(u64, u64)> {
        let bytes = self.disk.open(path, FileMode::Read)?.len()?;
        for most in [TAIL_BYTES, FILE_BYTES_MAX] {
            if wanted && let Some(number) = stored::last_number(&self.read_end(path, most)?) {
                return Ok((bytes, number));
            }
        }
        Ok((bytes, 0))
    }

    /// At most so many of an agent's last lines, oldest first, none of them with a number above `up_to`.
    pub(super) fn read(&self, label: &str, up_to: u64, count: usize) -> io::Result<Vec<LogLine>> {
        let (mut lines, mut below) = (Vec::new(), up_to.saturating_add(1));
        for piece in PIECES {
            let bytes = match self.read_end(&self.file(label, piece), FILE_BYTES_MAX) {
                Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
                bytes => bytes?,
            };
            for line in stored::newest_first(&bytes) {
                if lines.len() == count {
                    break;
                }
                // A file that became the older one just now is read a second time.
                if line.number < below {
                    below = line.number;
                    lines.push(line);
                }
            }
        }
        lines.reverse();
        Ok(lines)
    }

    /// The last bytes of a file.
    fn read_end(&self, path: &Path, most: u64) -> io::Result<Vec<u8>> {
        let file = self.disk.open(path, FileMode::Read)?;
        let length = file.len()?;
        let from = length.saturating_sub(most);
        let mut bytes = vec![0; usize::try_from(length - from).map_err(io::Error::other)?];
        file.read_exact_at(&mut bytes, from)?;
        Ok(bytes)
    }

    /// The file that an agent's lines go to, made where there is none.
    pub(super) fn open_newer(&self, label: &str) -> io::Result<Box<dyn DiskFile>> {
        let path = self.file(label, Piece::Newer);
        match self.disk.open(&path, FileMode::Write) {
            // Somebody tidied up.
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                self.disk.create_dir_all(&self.path)?;
                self.disk.open(&path, FileMode::Write)
            }
            opened => opened,
        }
    }

    /// The newer file becomes the older one, in whose place it comes.
    pub(super) fn turn(&self, label: &str) -> io::Result<()> {
        self.disk.rename(&self.file(label, Piece::Newer), &self.file(label, Piece::Older))
    }

    /// Removes an agent's files, for good.
    pub(super) fn remove(&self, label: &str) {
        let mut removed = Ok(false);
        for path in PIECES.map(|piece| self.file(label, piece)) {
            match self.disk.remove_file(&path) {
                Ok(()) => removed = removed.map(|_| true),
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(error) => removed = Err(error),
            }
        }
        let synced = removed.and_then(|any| if any { self.disk.sync_dir(&self.path) } else { Ok(()) });
        if let Err(error) = synced {
            tracing::warn!(agent = label, %error, "a log was not removed; the next start does it");
        }
    }
}
