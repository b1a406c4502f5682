//! Reading a whole database for what a disk may have spoilt: on a copy in memory, so that the file stays as it is.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::Arc;

use super::{Database, DatabaseError};
use crate::{CopyOnWrite, Disk};

impl Database {
    /// Opens the database file at `path` as [`Database::open`] would and holds every page of it against its checksum.
    /// Nothing is changed on the disk, and no file is made where there is none.
    pub fn check(disk: Arc<dyn Disk>, path: &Path) -> Result<(), DatabaseError> {
        if !disk.exists(path) {
            let absent = std::io::Error::from(std::io::ErrorKind::NotFound);
            return Err(DatabaseError::disk("open", path, absent));
        }
        let mut database = Self::open(Arc::new(CopyOnWrite::new(disk)), path)?;
        let damaged = |reason: &str| DatabaseError::Damaged { path: path.to_owned(), reason: reason.to_owned() };
        match catch_unwind(AssertUnwindSafe(|| database.database.check_integrity())) {
            Ok(Ok(true)) => Ok(()),
            Ok(Ok(false)) => Err(damaged("its pages do not fit their checksums")),
            Ok(Err(error)) => Err(DatabaseError::open(path, error)),
            // As when it is opened: redb panics on some damaged files.
            Err(_) => Err(damaged("its pages contradict each other")),
        }
    }
}
