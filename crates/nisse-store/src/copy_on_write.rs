//! A disk on which everything may be done and nothing happens: what is read comes from the disk below, what is written
//! stays in memory and goes with it.
//!
//! Programs that repair what they open, as databases and pack files do, can so be asked about a home that has to stay
//! as it is. Folders are not renamed, and what others write to the disk below meanwhile may or may not be seen.

mod file;

use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use file::{Copied, Handle};

use crate::{Access, Disk, DiskFile, DiskLock, FileMode};

/// A disk over another one. Clones show the same disk.
#[derive(Clone)]
pub struct CopyOnWrite {
    below: Arc<dyn Disk>,
    above: Arc<Mutex<Above>>,
}

/// What was opened, made, moved or removed here; the disk below has the rest.
#[derive(Default)]
struct Above {
    entries: BTreeMap<PathBuf, Entry>,
    locks: BTreeSet<PathBuf>,
}

#[derive(Clone)]
enum Entry {
    File(Arc<Mutex<Copied>>),
    Folder,
    Gone,
}

impl CopyOnWrite {
    /// A disk that begins as `below` is.
    pub fn new(below: Arc<dyn Disk>) -> Self {
        Self { below, above: Arc::default() }
    }

    fn above(&self) -> MutexGuard<'_, Above> {
        lock(&self.above)
    }

    /// The file that stands at `path`, from here on with its changes.
    fn file(&self, above: &mut Above, path: &Path) -> io::Result<Arc<Mutex<Copied>>> {
        match above.entries.get(path) {
            Some(Entry::File(file)) => Ok(Arc::clone(file)),
            Some(Entry::Gone) => Err(ErrorKind::NotFound.into()),
            Some(Entry::Folder) => Err(ErrorKind::IsADirectory.into()),
            None => {
                let copied = Copied::of(self.below.open(path, FileMode::Read)?)?;
                Ok(above.put(path, copied))
            }
        }
    }

    fn stands(&self, above: &Above, path: &Path) -> bool {
        match above.entries.get(path) {
            Some(Entry::Gone) => false,
            Some(Entry::File(_) | Entry::Folder) => true,
            None => self.below.exists(path),
        }
    }
}

impl Above {
    fn put(&mut self, path: &Path, copied: Copied) -> Arc<Mutex<Copied>> {
        let file = Arc::new(Mutex::new(copied));
        self.entries.insert(path.to_owned(), Entry::File(Arc::clone(&file)));
        file
    }
}

impl Disk for CopyOnWrite {
    fn open(&self, path: &Path, mode: FileMode) -> io::Result<Box<dyn DiskFile>> {
        let above = &mut *self.above();
        let stands = self.stands(above, path);
        let file = match mode {
            FileMode::CreateNew if stands => return Err(ErrorKind::AlreadyExists.into()),
            FileMode::CreateNew | FileMode::Write if !stands => {
                let folder = path.parent().unwrap_or(Path::new(""));
                if !self.stands(above, folder) {
                    return Err(ErrorKind::NotFound.into());
                }
                above.put(path, Copied::default())
            }
            _ => self.file(above, path)?,
        };
        Ok(Box::new(Handle { file, may_write: mode != FileMode::Read }))
    }

    fn create_dir_all(&self, path: &Path) -> io::Result<()> {
        let above = &mut *self.above();
        for folder in path.ancestors() {
            if self.stands(above, folder) {
                break;
            }
            above.entries.insert(folder.to_owned(), Entry::Folder);
        }
        Ok(())
    }

    fn read_dir(&self, path: &Path) -> io::Result<Vec<PathBuf>> {
        let above = self.above();
        let mut names: BTreeSet<PathBuf> = match above.entries.get(path) {
            Some(Entry::Folder) => BTreeSet::new(),
            Some(Entry::Gone) => return Err(ErrorKind::NotFound.into()),
            Some(Entry::File(_)) => return Err(ErrorKind::NotADirectory.into()),
            None => self.below.read_dir(path)?.into_iter().collect(),
        };
        for (name, entry) in above.entries.iter().filter(|(name, _)| name.parent() == Some(path)) {
            match entry {
                Entry::Gone => names.remove(name),
                Entry::File(_) | Entry::Folder => names.insert(name.clone()),
            };
        }
        Ok(names.into_iter().collect())
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        let above = &mut *self.above();
        let file = self.file(above, from)?;
        above.entries.insert(from.to_owned(), Entry::Gone);
        above.entries.insert(to.to_owned(), Entry::File(file));
        Ok(())
    }

    fn remove_file(&self, path: &Path) -> io::Result<()> {
        let above = &mut *self.above();
        if !self.stands(above, path) {
            return Err(ErrorKind::NotFound.into());
        }
        above.entries.insert(path.to_owned(), Entry::Gone);
        Ok(())
    }

    fn exists(&self, path: &Path) -> bool {
        self.stands(&self.above(), path)
    }

    fn sync_dir(&self, path: &Path) -> io::Result<()> {
        if self.exists(path) { Ok(()) } else { Err(ErrorKind::NotFound.into()) }
    }

    fn try_lock(&self, path: &Path) -> io::Result<Option<Box<dyn DiskLock>>> {
        self.open(path, FileMode::Write)?;
        // Whoever holds the lock below is not asked: nothing is taken from them here.
        let is_free = self.above().locks.insert(path.to_owned());
        Ok(is_free.then(|| Box::new(Lock { disk: self.clone(), path: path.to_owned() }) as Box<dyn DiskLock>))
    }

    fn access(&self, path: &Path) -> io::Result<Option<Access>> {
        match self.above().entries.get(path) {
            Some(Entry::Gone) => Err(ErrorKind::NotFound.into()),
            Some(Entry::Folder) => Ok(None),
            Some(Entry::File(file)) if lock(file).is_new() => Ok(None),
            _ => self.below.access(path),
        }
    }
}

struct Lock {
    disk: CopyOnWrite,
    path: PathBuf,
}

impl DiskLock for Lock {}

impl Drop for Lock {
    fn drop(&mut self) {
        self.disk.above().locks.remove(&self.path);
    }
}

/// A lock whose holder panicked holds consistent values all the same: each critical section ends with its last write.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
