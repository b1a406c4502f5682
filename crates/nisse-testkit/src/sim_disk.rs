//! A file system in memory that keeps, at a power cut, no more than POSIX promises.
//!
//! Content that was not synced is kept, lost or torn sector by sector, each sector at any of the states it went
//! through; a file's length likewise. Names made, moved or removed without a sync of their folder may be lost, in any
//! combination. Clones show the same disk.

mod content;
mod disk;
mod faults;
mod file;
mod names;

use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard};

pub use content::SECTOR_BYTES;
pub use faults::Fault;

use crate::Random;
use content::Content;
use faults::{Faults, Operation};
use names::{Names, Node};

/// A simulated [`nisse_store::Disk`].
#[derive(Debug, Clone)]
pub struct SimDisk(Arc<Mutex<World>>);

#[derive(Debug, Clone)]
struct World {
    names: Names,
    contents: Vec<Content>,
    locks: Vec<(PathBuf, u64)>,
    /// Counts power cuts: handles of an earlier life are dead.
    life: u64,
    lock_next: u64,
    faults: Faults,
    random: Random,
    trace: bool,
}

impl SimDisk {
    /// An empty disk. The seed decides what a sync does that the power cut interrupts.
    pub fn new(seed: u64) -> Self {
        Self(Arc::new(Mutex::new(World {
            names: Names::default(),
            contents: Vec::new(),
            locks: Vec::new(),
            life: 0,
            lock_next: 0,
            faults: Faults::default(),
            random: Random::new(seed),
            trace: false,
        })))
    }

    /// The power goes and comes back: what was not synced is kept, lost or torn as the seed decides, and all open files
    /// and locks of the life before are dead. Returns whether anything was lost.
    pub fn power_cut(&self, seed: u64) -> bool {
        let mut world = self.world();
        let world = &mut *world;
        let mut random = Random::new(seed);
        // From "everything was written back in time" to "nothing was".
        let keep_per_8 = *random.pick(&[0, 1, 4, 7, 8]);
        let mut lost = world.names.power_cut(&mut random, keep_per_8);
        for content in &mut world.contents {
            lost |= content.power_cut(&mut random, keep_per_8);
        }
        world.life += 1;
        world.locks.clear();
        world.faults.power_on();
        world.note(|| format!("power cut, {}", if lost { "something was lost" } else { "nothing was lost" }));
        lost
    }

    /// The process dies, and the machine does not: open files and locks are dead, nothing is lost.
    pub fn kill(&self) {
        let mut world = self.world();
        world.life += 1;
        world.locks.clear();
        world.faults.power_on();
        world.note(|| "killed".to_owned());
    }

    /// The power goes at that many operations from now; the operation that meets it may have taken effect or not, and
    /// all after it fail until [`SimDisk::power_cut`].
    pub fn cut_after(&self, operations: u64) {
        self.world().faults.cut_after(operations);
    }

    /// The power goes at that many writes, syncs and changes of names from now: reads do not count.
    pub fn cut_after_changes(&self, changes: u64) {
        self.world().faults.cut_after_changes(changes);
    }

    /// Writes, syncs and changes of names tried since the beginning.
    pub fn changes(&self) -> u64 {
        self.world().faults.changes()
    }

    /// Whether the power went.
    pub fn is_off(&self) -> bool {
        self.world().faults.off
    }

    /// Makes operations fail, until the disk is healed or its power cut. Replaces an earlier fault.
    pub fn fail(&self, fault: Fault) {
        self.world().faults.set(fault);
    }

    /// Ends all faults, planted defects too.
    pub fn heal(&self) {
        self.world().faults.heal();
    }

    /// Whether the fault of [`SimDisk::fail`] was met.
    pub fn has_failed(&self) -> bool {
        self.world().faults.met
    }

    /// Plants a defect: each k-th `sync_data` does nothing and says that it did.
    pub fn skip_sync_every(&self, k: u64) {
        self.world().faults.skip_sync_every = Some(k);
    }

    /// Plants a defect: each k-th `sync_dir` does nothing and says that it did.
    pub fn skip_dir_sync_every(&self, k: u64) {
        self.world().faults.skip_dir_sync_every = Some(k);
    }

    /// Operations tried since the beginning.
    pub fn operations(&self) -> u64 {
        self.world().faults.operations
    }

    /// Says each operation and what became of it on stderr: for a failure that is looked into.
    pub fn trace(&self) {
        self.world().trace = true;
    }

    /// All files with their lengths, by name.
    pub fn files(&self) -> Vec<(PathBuf, u64)> {
        let world = self.world();
        let files = world.names.iter().filter_map(|(path, node)| match node {
            Node::File(inode) => Some((path.clone(), world.contents[*inode].len())),
            Node::Folder => None,
        });
        files.collect()
    }

    /// Changes one bit of a file, as a failing disk does: synced content too.
    pub fn flip_bit(&self, path: &Path, offset: u64, bit: u8) {
        let mut world = self.world();
        let inode = world.file(path).expect("a file to flip a bit of");
        world.contents[inode].flip_bit(offset, bit);
    }

    /// A disk of its own with the same state; open files and locks stay with the first.
    pub fn fork(&self) -> Self {
        let mut world = self.world().clone();
        world.life += 1;
        world.locks.clear();
        Self(Arc::new(Mutex::new(world)))
    }

    /// [`SimDisk::fork`] with the randomness of another seed, and its operations counted from zero.
    pub fn fork_seeded(&self, seed: u64) -> Self {
        let fork = self.fork();
        let mut world = fork.world();
        world.random = Random::new(seed);
        world.faults = Faults::default();
        drop(world);
        fork
    }

    fn world(&self) -> MutexGuard<'_, World> {
        self.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

impl World {
    #[expect(clippy::print_stderr, reason = "a trace that was asked for")]
    fn note(&self, text: impl FnOnce() -> String) {
        if self.trace {
            eprintln!("disk {:4}: {}", self.faults.operations, text());
        }
    }

    fn file(&self, path: &Path) -> io::Result<usize> {
        match self.names.get(path) {
            Some(Node::File(inode)) => Ok(inode),
            Some(Node::Folder) => Err(io::ErrorKind::IsADirectory.into()),
            None => Err(io::ErrorKind::NotFound.into()),
        }
    }

    fn create(&mut self, path: &Path) -> io::Result<usize> {
        let parent = path.parent().unwrap_or(Path::new(""));
        if self.names.get(parent) != Some(Node::Folder) {
            return Err(io::ErrorKind::NotFound.into());
        }
        let verdict = self.faults.step(Operation::Name { grows: true });
        self.note(|| format!("create {} as {}: {verdict:?}", path.display(), self.contents.len()));
        let verdict = verdict?;
        self.contents.push(Content::default());
        let inode = self.contents.len() - 1;
        self.names.link(path, Node::File(inode));
        verdict.end(inode)
    }
}
