//! A disk that is only read: what is to leave another process's files alone cannot do otherwise.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use nisse_store::{Access, Disk, DiskFile, DiskLock, FileMode};

/// Another disk, of which nothing can be changed.
pub(super) struct ReadingDisk(pub(super) Arc<dyn Disk>);

fn refused<T>() -> io::Result<T> {
    Err(io::Error::new(io::ErrorKind::ReadOnlyFilesystem, "it is only read"))
}

impl Disk for ReadingDisk {
    fn open(&self, path: &Path, mode: FileMode) -> io::Result<Box<dyn DiskFile>> {
        if mode == FileMode::Read { self.0.open(path, mode) } else { refused() }
    }

    fn create_dir_all(&self, _: &Path) -> io::Result<()> {
        refused()
    }

    fn read_dir(&self, path: &Path) -> io::Result<Vec<PathBuf>> {
        self.0.read_dir(path)
    }

    fn rename(&self, _: &Path, _: &Path) -> io::Result<()> {
        refused()
    }

    fn remove_file(&self, _: &Path) -> io::Result<()> {
        refused()
    }

    fn exists(&self, path: &Path) -> bool {
        self.0.exists(path)
    }

    fn sync_dir(&self, _: &Path) -> io::Result<()> {
        refused()
    }

    fn try_lock(&self, _: &Path) -> io::Result<Option<Box<dyn DiskLock>>> {
        refused()
    }

    fn access(&self, path: &Path) -> io::Result<Option<Access>> {
        self.0.access(path)
    }

    fn close_to_others(&self, _: &Path) -> io::Result<()> {
        refused()
    }
}
