//! What the product sees of the simulated disk: each operation asks the faults first, and may die half-way.

use std::io;
use std::path::{Path, PathBuf};

use nisse_store::{Disk, DiskFile, DiskLock, FileMode};

use super::SimDisk;
use super::faults::{Operation, Verdict};
use super::file::{SimFile, SimLock};
use super::names::Node;

impl Disk for SimDisk {
    fn open(&self, path: &Path, mode: FileMode) -> io::Result<Box<dyn DiskFile>> {
        let mut world = self.world();
        world.faults.step(Operation::Read)?.end(())?;
        let inode = match (world.file(path), mode) {
            (Ok(_), FileMode::CreateNew) => return Err(io::ErrorKind::AlreadyExists.into()),
            (Err(error), FileMode::Write | FileMode::CreateNew) if error.kind() == io::ErrorKind::NotFound => {
                world.create(path)?
            }
            (found, _) => found?,
        };
        let life = world.life;
        Ok(Box::new(SimFile::new(self.clone(), inode, life, mode)))
    }

    fn create_dir_all(&self, path: &Path) -> io::Result<()> {
        let mut world = self.world();
        let mut missing: Vec<&Path> = path.ancestors().take_while(|at| world.names.get(at).is_none()).collect();
        missing.reverse();
        for folder in missing {
            let verdict = world.faults.step(Operation::Name { grows: true })?;
            world.names.link(folder, Node::Folder);
            verdict.end(())?;
        }
        match world.names.get(path) {
            Some(Node::Folder) => Ok(()),
            _ => Err(io::ErrorKind::AlreadyExists.into()),
        }
    }

    fn read_dir(&self, path: &Path) -> io::Result<Vec<PathBuf>> {
        let mut world = self.world();
        world.faults.step(Operation::Read)?.end(())?;
        match world.names.get(path) {
            Some(Node::Folder) => Ok(world.names.inside(path)),
            Some(Node::File(_)) => Err(io::ErrorKind::NotADirectory.into()),
            None => Err(io::ErrorKind::NotFound.into()),
        }
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        let mut world = self.world();
        let inode = world.file(from)?;
        let verdict = world.faults.step(Operation::Name { grows: false });
        world.note(|| format!("rename {} to {}: {verdict:?}", from.display(), to.display()));
        let verdict = verdict?;
        world.names.rename(from, to, Node::File(inode));
        verdict.end(())
    }

    fn remove_file(&self, path: &Path) -> io::Result<()> {
        let mut world = self.world();
        world.file(path)?;
        let verdict = world.faults.step(Operation::Name { grows: false });
        world.note(|| format!("remove {}: {verdict:?}", path.display()));
        let verdict = verdict?;
        world.names.unlink(path);
        verdict.end(())
    }

    fn exists(&self, path: &Path) -> bool {
        self.world().names.get(path).is_some()
    }

    fn sync_dir(&self, path: &Path) -> io::Result<()> {
        let mut world = self.world();
        if world.names.get(path) != Some(Node::Folder) {
            return Err(io::ErrorKind::NotFound.into());
        }
        let verdict = world.faults.step(Operation::SyncDir);
        world.note(|| format!("sync the names in {}: {verdict:?}", path.display()));
        let verdict = verdict?;
        let took_effect = verdict != Verdict::Dying || world.random.once_in(2);
        if took_effect && !world.faults.skips_dir_sync() {
            world.names.sync(path);
        }
        verdict.end(())
    }

    fn try_lock(&self, path: &Path) -> io::Result<Option<Box<dyn DiskLock>>> {
        self.open(path, FileMode::Write)?;
        let mut world = self.world();
        if world.locks.iter().any(|(locked, _)| locked == path) {
            return Ok(None);
        }
        world.lock_next += 1;
        let number = world.lock_next;
        world.locks.push((path.to_owned(), number));
        Ok(Some(Box::new(SimLock::new(self.clone(), number))))
    }
}
