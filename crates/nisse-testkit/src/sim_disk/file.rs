//! Open files and locks of the simulated disk.

use std::io;
use std::sync::MutexGuard;

use nisse_store::{DiskFile, DiskLock, FileMode};

use super::faults::{self, Operation, Verdict};
use super::{SimDisk, World};

/// A lock, held until it is dropped or the power goes.
pub(super) struct SimLock {
    disk: SimDisk,
    number: u64,
}

impl SimLock {
    pub(super) fn new(disk: SimDisk, number: u64) -> Self {
        Self { disk, number }
    }
}

impl DiskLock for SimLock {}

impl Drop for SimLock {
    fn drop(&mut self) {
        self.disk.world().locks.retain(|(_, number)| *number != self.number);
    }
}

/// A handle, alive until the power goes.
pub(super) struct SimFile {
    disk: SimDisk,
    inode: usize,
    life: u64,
    writable: bool,
}

impl SimFile {
    pub(super) fn new(disk: SimDisk, inode: usize, life: u64, mode: FileMode) -> Self {
        Self { disk, inode, life, writable: mode != FileMode::Read }
    }

    /// The world, unless this handle's life is over.
    fn world(&self) -> io::Result<MutexGuard<'_, World>> {
        let world = self.disk.world();
        if world.life == self.life { Ok(world) } else { Err(faults::power_is_off()) }
    }

    fn writable(&self) -> io::Result<()> {
        if self.writable { Ok(()) } else { Err(io::ErrorKind::PermissionDenied.into()) }
    }
}

impl DiskFile for SimFile {
    fn read_exact_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<()> {
        let mut world = self.world()?;
        world.faults.step(Operation::Read)?.end(())?;
        world.contents[self.inode].read(buffer, offset)
    }

    fn write_all_at(&self, bytes: &[u8], offset: u64) -> io::Result<()> {
        self.writable()?;
        let mut world = self.world()?;
        let verdict = world.faults.step(Operation::Write);
        world.note(|| format!("write {} bytes at {offset} of {}: {verdict:?}", bytes.len(), self.inode));
        match verdict {
            Ok(verdict) => {
                world.contents[self.inode].write(bytes, offset);
                verdict.end(())
            }
            Err(error) => {
                if !world.faults.off {
                    world.contents[self.inode].write(&bytes[..bytes.len() / 2], offset);
                }
                Err(error)
            }
        }
    }

    fn set_len(&self, length: u64) -> io::Result<()> {
        self.writable()?;
        let mut world = self.world()?;
        let grows = length > world.contents[self.inode].len();
        let verdict = world.faults.step(if grows { Operation::Write } else { Operation::Cut });
        world.note(|| format!("set the length of {} to {length}: {verdict:?}", self.inode));
        let verdict = verdict?;
        world.contents[self.inode].set_len(length);
        verdict.end(())
    }

    fn len(&self) -> io::Result<u64> {
        let mut world = self.world()?;
        world.faults.step(Operation::Read)?.end(())?;
        Ok(world.contents[self.inode].len())
    }

    fn sync_data(&self) -> io::Result<()> {
        let mut world = self.world()?;
        let verdict = world.faults.step(Operation::Sync);
        world.note(|| format!("sync {}: {verdict:?}", self.inode));
        match verdict {
            Ok(verdict) => {
                let took_effect = verdict != Verdict::Dying || world.random.once_in(2);
                if took_effect && !world.faults.skips_sync() {
                    world.contents[self.inode].sync();
                }
                verdict.end(())
            }
            Err(error) => {
                if !world.faults.off {
                    // As Linux does: the pages count as clean, and no later sync writes them.
                    world.contents[self.inode].forget();
                }
                Err(error)
            }
        }
    }
}
