//! redb's storage on a [`DiskFile`].

use std::fmt;
use std::io;

use redb::StorageBackend;

use crate::DiskFile;

/// One database file. Locks are left out: the home's lock keeps other processes away.
pub(super) struct Backend {
    file: Box<dyn DiskFile>,
}

impl Backend {
    pub(super) fn new(file: Box<dyn DiskFile>) -> Self {
        Self { file }
    }
}

impl fmt::Debug for Backend {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Backend")
    }
}

impl StorageBackend for Backend {
    fn len(&self) -> io::Result<u64> {
        self.file.len()
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        self.file.read_exact_at(out, offset)
    }

    fn set_len(&self, length: u64) -> io::Result<()> {
        self.file.set_len(length)
    }

    fn sync_data(&self) -> io::Result<()> {
        self.file.sync_data()
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        self.file.write_all_at(data, offset)
    }
}
