//! The file of all spaces, opened. What an older nisse wrote is copied before it is brought into today's form.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use nisse_space::Registered;
use nisse_store::{Database, DatabaseError, Disk, FileMode};

use super::failed;
use crate::error::{ErrorKind, NodeError};

/// What is copied at a time.
const PIECE_BYTES: usize = 1 << 20;

pub(super) fn open(disk: &Arc<dyn Disk>, path: &Path) -> Result<Database, NodeError> {
    let broken = |error: DatabaseError| {
        NodeError::caused(ErrorKind::Failed, "space_failed", &error)
            .with_hint(format!("put {} back from a copy", path.display()))
    };
    let database = Database::open(Arc::clone(disk), path).map_err(broken)?;
    if !Registered::has_older(&database).map_err(|error| failed(&error))? {
        return Ok(database);
    }
    // While nothing writes to it.
    drop(database);
    let copy = copy_of(path);
    if !disk.exists(&copy) {
        keep_copy(&**disk, path, &copy).map_err(|error| {
            NodeError::caused(ErrorKind::Failed, "space_failed", &error)
                .with_hint(format!("make room for a copy: {} is brought into a newer form", path.display()))
        })?;
    }
    Database::open(Arc::clone(disk), path).map_err(broken)
}

/// Where the copy of what was written before the register of version 2 stands.
fn copy_of(path: &Path) -> PathBuf {
    path.with_extension("v1.redb")
}

/// Copies a file; the copy has its name only once it is whole and durable.
fn keep_copy(disk: &dyn Disk, path: &Path, copy: &Path) -> io::Result<()> {
    let beside = copy.with_extension("new");
    let (from, to) = (disk.open(path, FileMode::Read)?, disk.open(&beside, FileMode::Write)?);
    to.set_len(0)?;
    let (length, mut at) = (from.len()?, 0);
    let mut piece = vec![0; PIECE_BYTES];
    while at < length {
        let left = usize::try_from(length - at).unwrap_or(PIECE_BYTES).min(PIECE_BYTES);
        from.read_exact_at(&mut piece[..left], at)?;
        to.write_all_at(&piece[..left], at)?;
        at += left as u64;
    }
    to.sync_data()?;
    disk.rename(&beside, copy)?;
    disk.sync_dir(copy.parent().unwrap_or(Path::new("")))
}

#[cfg(test)]
mod tests {
    use nisse_model::{CredentialId, Hash256};
    use nisse_space::StoreError;
    use nisse_store::{Rows as _, SystemDisk, Table};

    use super::*;

    const REGISTER: Table = Table::new("space.register");

    /// A row of the register of this version.
    fn row(version: u8) -> Vec<u8> {
        [&[0x83, version, 0x65][..], b"notes", &[0x50], &[7; 16]].concat()
    }

    fn planted(folder: &tempfile::TempDir, version: u8) -> (Arc<dyn Disk>, PathBuf) {
        let (disk, path): (Arc<dyn Disk>, _) = (Arc::new(SystemDisk), folder.path().join("spaces.redb"));
        let database = open(&disk, &path).expect("opened");
        database.write::<_, StoreError>(|rows| Ok(rows.put(REGISTER, &[1; 32], &row(version))?)).expect("planted");
        drop(database);
        (disk, path)
    }

    fn register(disk: &Arc<dyn Disk>, path: &Path) -> Vec<u8> {
        let database = Database::open(Arc::clone(disk), path).expect("opened");
        database.read(|rows| rows.get(REGISTER, &[1; 32])).expect("read").expect("a row")
    }

    #[test]
    fn what_an_older_nisse_wrote_is_copied_before_it_is_changed() {
        let folder = tempfile::tempdir().expect("a folder");
        let (disk, path) = planted(&folder, 1);
        // Twice, as after a crash in between: the first copy stays.
        for _ in 0..2 {
            drop(open(&disk, &path).expect("opened"));
        }
        let database = Arc::new(open(&disk, &path).expect("opened"));
        let all = Registered::all(&database).expect("read");
        assert_eq!((all.len(), all[0].space), (1, CredentialId(Hash256([1; 32]))));
        drop(database);
        assert_eq!(register(&disk, &path), row(2));
        assert_eq!(register(&disk, &copy_of(&path)), row(1), "as it was");
        drop(open(&disk, &path).expect("opened"));
        assert_eq!(register(&disk, &copy_of(&path)), row(1), "and stays");
    }

    #[test]
    fn what_todays_or_a_newer_nisse_wrote_is_not_copied() {
        for version in [2, 3] {
            let folder = tempfile::tempdir().expect("a folder");
            let (disk, path) = planted(&folder, version);
            let database = Arc::new(open(&disk, &path).expect("opened"));
            assert_eq!(Registered::all(&database).is_err(), version == 3);
            drop(database);
            assert_eq!((disk.exists(&copy_of(&path)), register(&disk, &path)), (false, row(version)));
        }
    }
}
