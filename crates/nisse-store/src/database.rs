//! Tables of bytes that are changed in transactions: redb behind the [`Disk`] seam.
//!
//! No other crate names redb. Several tables and the marks that say how far a journal was applied change together or
//! not at all.

mod backend;
mod check;
mod error;
mod transaction;

use std::fmt;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::Arc;

use redb::{Durability, ReadableDatabase};

pub use error::DatabaseError;
pub use transaction::{ReadTransaction, Rows, Table, WriteTransaction};

use crate::{Disk, FileMode, Position};
use backend::Backend;

/// Longest key.
pub const KEY_BYTES_MAX: usize = 1 << 10;
/// Longest value.
pub const VALUE_BYTES_MAX: usize = 16 << 20;
/// Pages that one database keeps in memory.
const CACHE_BYTES_MAX: usize = 16 << 20;
/// What holds redb's header, with room to spare.
const HEADER_BYTES: u64 = 4096;
/// The layout of our own tables; redb's file format has a version of its own.
const FORMAT_VERSION: u32 = 1;

const FORMAT: Table = Table::new("nisse.format");
const MARKS: Table = Table::new("nisse.marks");

/// An open database. One process at a time: the home's lock sees to that.
pub struct Database {
    database: redb::Database,
}

impl fmt::Debug for Database {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Database")
    }
}

impl Database {
    /// Opens the database file at `path`, created when absent; its folder must stand. A new file gets its name only
    /// when it is whole, so a power cut never leaves half of one.
    pub fn open(disk: Arc<dyn Disk>, path: &Path) -> Result<Self, DatabaseError> {
        if !disk.exists(path) {
            Self::create(&disk, path)?;
        }
        settle(&*disk, path).map_err(|source| DatabaseError::disk("open", path, source))?;
        let database = Self { database: open_file(&*disk, path)? };
        let found = database.read(|rows| rows.get(FORMAT, b"version"))?;
        let version = found.and_then(|bytes| bytes.try_into().ok()).map_or(0, u32::from_le_bytes);
        match version {
            FORMAT_VERSION => Ok(database),
            0 => Err(DatabaseError::Damaged { path: path.to_owned(), reason: "it names no format".to_owned() }),
            version => Err(DatabaseError::Newer { path: path.to_owned(), version }),
        }
    }

    fn create(disk: &Arc<dyn Disk>, path: &Path) -> Result<(), DatabaseError> {
        let failed = |source| DatabaseError::disk("create", path, source);
        let mut name = path.file_name().unwrap_or_default().to_owned();
        name.push(".new");
        let beside = path.with_file_name(name);
        // What a creation before this one left half-done.
        disk.open(&beside, FileMode::Write).and_then(|file| file.set_len(0)).map_err(failed)?;
        let database = Self { database: open_file(&**disk, &beside)? };
        database.write(|rows| rows.put(FORMAT, b"version", &FORMAT_VERSION.to_le_bytes()))?;
        drop(database);
        let file = disk.open(&beside, FileMode::Write).map_err(failed)?;
        file.sync_data().map_err(failed)?;
        disk.rename(&beside, path).map_err(failed)
    }

    /// Makes one change, durable and visible when this returns. An error of `change` drops all of it.
    pub fn write<T, E: From<DatabaseError>>(
        &self,
        change: impl FnOnce(&mut WriteTransaction) -> Result<T, E>,
    ) -> Result<T, E> {
        self.transact(Durability::Immediate, change)
    }

    /// Makes one change, visible when this returns and durable with the next [`Database::write`] or
    /// [`Database::flush`]. For what a journal can repeat: a power cut takes back whole changes, the latest first.
    pub fn write_lazily<T, E: From<DatabaseError>>(
        &self,
        change: impl FnOnce(&mut WriteTransaction) -> Result<T, E>,
    ) -> Result<T, E> {
        self.transact(Durability::None, change)
    }

    /// Makes all changes so far durable.
    pub fn flush(&self) -> Result<(), DatabaseError> {
        self.write(|_| Ok(()))
    }

    fn transact<T, E: From<DatabaseError>>(
        &self,
        durability: Durability,
        change: impl FnOnce(&mut WriteTransaction) -> Result<T, E>,
    ) -> Result<T, E> {
        let mut inner = self.database.begin_write().map_err(|error| DatabaseError::failed("begin a change", error))?;
        inner.set_durability(durability).map_err(|error| DatabaseError::failed("begin a change", error))?;
        // Two phases, so that no choice of values can make a torn commit look whole; and the allocator's state with
        // each commit, so that opening after a crash does not walk the whole file.
        inner.set_quick_repair(matches!(durability, Durability::Immediate));
        let mut transaction = WriteTransaction::new(inner);
        let result = change(&mut transaction)?;
        transaction.commit()?;
        Ok(result)
    }

    /// Reads one state: what changes meanwhile is not seen.
    pub fn read<T, E: From<DatabaseError>>(&self, read: impl FnOnce(&ReadTransaction) -> Result<T, E>) -> Result<T, E> {
        let inner = self.database.begin_read().map_err(|error| DatabaseError::failed("begin to read", error))?;
        read(&ReadTransaction::new(inner))
    }

    /// The last record of a journal that was applied under this name, whether durable or not. Before a journal is
    /// truncated: read the mark, [`Database::flush`], truncate before the mark.
    pub fn mark(&self, name: &str) -> Result<Option<Position>, DatabaseError> {
        self.read(|rows| rows.mark(name))
    }
}

/// Makes durable what is about to be read: the file's name, and the header that says which commit holds. After a
/// failed sync the header may stand in memory only, and redb's next commit would overwrite the one that the disk knows.
fn settle(disk: &dyn Disk, path: &Path) -> io::Result<()> {
    let file = disk.open(path, FileMode::Write)?;
    let mut header = vec![0; usize::try_from(file.len()?.min(HEADER_BYTES)).unwrap_or_default()];
    file.read_exact_at(&mut header, 0)?;
    file.write_all_at(&header, 0)?;
    file.sync_data()?;
    disk.sync_dir(path.parent().unwrap_or(Path::new("")))
}

fn open_file(disk: &dyn Disk, path: &Path) -> Result<redb::Database, DatabaseError> {
    let file = disk.open(path, FileMode::Write).map_err(|source| DatabaseError::disk("open", path, source))?;
    // redb panics on some damaged files; that is the file's fault and no reason to end the process.
    let open = AssertUnwindSafe(|| {
        redb::Builder::new().set_cache_size(CACHE_BYTES_MAX).create_with_backend(Backend::new(file))
    });
    match catch_unwind(open) {
        Ok(opened) => opened.map_err(|error| DatabaseError::open(path, error)),
        Err(_) => {
            let reason = "its pages contradict each other".to_owned();
            Err(DatabaseError::Damaged { path: path.to_owned(), reason })
        }
    }
}
