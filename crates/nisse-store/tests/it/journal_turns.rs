//! A cut among appenders that leave the journal no moment in which nothing waits.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, mpsc};

use nisse_store::{Disk, DiskFile, DiskLock, FileMode, Journal, JournalError, Position};
use nisse_testkit::{SimDisk, SimEntropy};

use crate::journal::{FOLDER, fill, small_segments};

/// What happens while a file is synced.
type Meanwhile = Arc<Mutex<Option<Box<dyn FnMut() + Send>>>>;

/// A disk on which something happens during each sync.
#[derive(Clone)]
struct BusyDisk {
    inner: SimDisk,
    meanwhile: Meanwhile,
}

struct BusyFile {
    inner: Box<dyn DiskFile>,
    meanwhile: Meanwhile,
}

impl Disk for BusyDisk {
    fn open(&self, path: &Path, mode: FileMode) -> io::Result<Box<dyn DiskFile>> {
        let inner = self.inner.open(path, mode)?;
        Ok(Box::new(BusyFile { inner, meanwhile: Arc::clone(&self.meanwhile) }))
    }
    fn create_dir_all(&self, path: &Path) -> io::Result<()> {
        self.inner.create_dir_all(path)
    }
    fn read_dir(&self, path: &Path) -> io::Result<Vec<PathBuf>> {
        self.inner.read_dir(path)
    }
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.inner.rename(from, to)
    }
    fn remove_file(&self, path: &Path) -> io::Result<()> {
        self.inner.remove_file(path)
    }
    fn exists(&self, path: &Path) -> bool {
        self.inner.exists(path)
    }
    fn sync_dir(&self, path: &Path) -> io::Result<()> {
        self.inner.sync_dir(path)
    }
    fn try_lock(&self, path: &Path) -> io::Result<Option<Box<dyn DiskLock>>> {
        self.inner.try_lock(path)
    }
}

impl DiskFile for BusyFile {
    fn read_exact_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<()> {
        self.inner.read_exact_at(buffer, offset)
    }
    fn write_all_at(&self, bytes: &[u8], offset: u64) -> io::Result<()> {
        self.inner.write_all_at(bytes, offset)
    }
    fn set_len(&self, length: u64) -> io::Result<()> {
        self.inner.set_len(length)
    }
    fn len(&self) -> io::Result<u64> {
        self.inner.len()
    }
    fn sync_data(&self) -> io::Result<()> {
        if let Some(meanwhile) = &mut *self.meanwhile.lock().unwrap() {
            meanwhile();
        }
        self.inner.sync_data()
    }
}

#[test]
fn a_cut_has_its_turn_among_appenders_on_each_others_heels() {
    let disk = BusyDisk { inner: SimDisk::new(1), meanwhile: Arc::default() };
    let opened =
        Journal::open_with(Arc::new(disk.clone()), &SimEntropy::new(7), Path::new(FOLDER), small_segments(), |_, _| {
            Ok::<_, JournalError>(())
        });
    let journal = Arc::new(opened.unwrap());
    fill(&journal, 0..100);
    assert!(journal.can_truncate_before(Position(70)));

    // The cut comes during a sync, and each sync leaves another record that waits, a thousand times.
    let waited = Arc::new(Mutex::new(0));
    let (appending, counted) = (Arc::downgrade(&journal), Arc::clone(&waited));
    let (asked, cut) = mpsc::channel();
    let mut left = 1_000;
    *disk.meanwhile.lock().unwrap() = Some(Box::new(move || {
        let Some(journal) = appending.upgrade().filter(|_| left > 0) else { return };
        if left == 1_000 {
            asked.send(journal.truncate_before(Position(70)).unwrap()).unwrap();
        }
        // Seen from within the journal's own turns: how fast another thread hears of it is the machine's affair.
        if journal.can_truncate_before(Position(70)) {
            *counted.lock().unwrap() += 1;
        }
        left -= 1;
        let _ = journal.append(b"another").unwrap();
    }));
    journal.append(b"the first").unwrap().wait().unwrap();
    cut.recv().unwrap().wait().unwrap();
    assert!(!journal.can_truncate_before(Position(70)));
    let waited = *waited.lock().unwrap();
    assert!(waited < 10, "it waited for {waited} batches");
}
