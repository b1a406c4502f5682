//! Pack files: where blocks are appended, and how the index is read back from them.

use std::io;
use std::path::{Path, PathBuf};

use nisse_model::{ByteSize, Hash256};
use nisse_store::{Disk, DiskFile, FileMode};

use super::record::{self, HEADER_BYTES, Kind, Record};
use super::{BlockStore, Index, Location};
use crate::StoreError;

/// The packs of a store, seen by its one writer.
pub(super) struct Packs {
    /// Number and length of each sealed pack.
    pub(super) sealed: Vec<(u32, u64)>,
    /// The pack that is appended to.
    pub(super) active: Option<ActivePack>,
    next: u32,
    /// A pack was made or removed since its folder was synced.
    folder_dirty: bool,
}

pub(super) struct ActivePack {
    pub(super) number: u32,
    pub(super) end: u64,
    file: Box<dyn DiskFile>,
    dirty: bool,
}

/// The path of a pack.
pub(super) fn path(folder: &Path, number: u32) -> PathBuf {
    folder.join(format!("{number:08}.pack"))
}

/// Opens a pack for reading.
pub(super) fn open_read(disk: &dyn Disk, folder: &Path, number: u32) -> io::Result<Box<dyn DiskFile>> {
    disk.open(&path(folder, number), FileMode::Read)
}

fn number_of(path: &Path) -> Option<u32> {
    path.file_name()?.to_str()?.strip_suffix(".pack")?.parse().ok()
}

/// Bytes that a block takes in a pack.
pub(super) fn record_bytes(length: u32) -> u64 {
    HEADER_BYTES + u64::from(length)
}

impl Packs {
    pub(super) fn open(disk: &dyn Disk, folder: &Path, index: &mut Index) -> io::Result<Self> {
        let mut numbers: Vec<u32> = disk.read_dir(folder)?.iter().filter_map(|path| number_of(path)).collect();
        numbers.sort_unstable();
        let last = numbers.last().copied();
        let mut packs =
            Self { sealed: Vec::new(), active: None, next: last.map_or(0, |last| last + 1), folder_dirty: false };
        for number in numbers {
            let is_last = Some(number) == last;
            let mode = if is_last { FileMode::Write } else { FileMode::Read };
            let file = disk.open(&path(folder, number), mode)?;
            let mut torn = Vec::new();
            let visit = |found: Record| {
                if found.kind == Kind::Block {
                    let location = Location { pack: number, offset: found.offset, length: found.length };
                    index.blocks.insert(found.digest, location);
                }
                Ok(())
            };
            let found = record::scan(&*file, is_last, visit, |offset| torn.push(offset))?;
            if found.damaged_bytes > 0 {
                tracing::warn!(pack = number, bytes = found.damaged_bytes, "a pack is damaged; the rest of it is kept");
            }
            index.damaged_bytes += found.damaged_bytes;
            index.stored_bytes += found.end;
            if !is_last {
                packs.sealed.push((number, found.end));
                continue;
            }
            // Later, when this pack is sealed, only headers are read: one with a torn body would then hide a good copy.
            for offset in torn.into_iter().filter(|offset| *offset < found.end) {
                record::erase(&*file, offset)?;
            }
            if found.torn_bytes > 0 {
                tracing::info!(pack = number, bytes = found.torn_bytes, "a torn tail is cut off");
                file.set_len(found.end)?;
            }
            // What was read may have been written by a process that died before its sync: the next sync covers it.
            packs.active = Some(ActivePack { number, end: found.end, file, dirty: true });
        }
        Ok(packs)
    }

    fn make(&mut self, disk: &dyn Disk, folder: &Path) -> io::Result<&mut ActivePack> {
        let number = self.next;
        let file = disk.open(&path(folder, number), FileMode::CreateNew)?;
        self.next += 1;
        self.folder_dirty = true;
        Ok(self.active.insert(ActivePack { number, end: 0, file, dirty: false }))
    }
}

impl BlockStore {
    /// Appends one block and makes it readable. Not durable before [`BlockStore::sync`]. A failed write leaves a
    /// torn tail that the next one overwrites.
    pub(super) fn append(
        &self,
        packs: &mut Packs,
        digest: Hash256,
        bytes: &[u8],
        quota: ByteSize,
    ) -> Result<(), StoreError> {
        let needed = record_bytes(u32::try_from(bytes.len()).expect("a verified block has at most 2 MiB"));
        let stored = self.read_index().stored_bytes;
        if stored + needed > quota.0 {
            return Err(StoreError::Quota { needed, stored, quota });
        }
        let location = self.write_record(packs, digest, bytes)?;
        self.write_index().place(digest, location);
        Ok(())
    }

    /// Appends one block that the index does not know yet: readers find it once it is placed there.
    pub(super) fn write_record(
        &self,
        packs: &mut Packs,
        digest: Hash256,
        bytes: &[u8],
    ) -> Result<Location, StoreError> {
        let length = u32::try_from(bytes.len()).expect("a verified block has at most 2 MiB");
        let needed = record_bytes(length);
        if packs.active.as_ref().is_some_and(|active| active.end + needed > self.options.pack_bytes_max) {
            self.seal(packs)?;
        }
        let active = match &mut packs.active {
            Some(active) => active,
            None => packs.make(&*self.disk, &self.folder).map_err(|source| StoreError::Io {
                action: "make a pack in",
                path: self.folder.clone(),
                source,
            })?,
        };
        active.dirty = true;
        let offset = active.end;
        active.end = record::write(&*active.file, offset, Kind::Block, digest, bytes)
            .map_err(|source| StoreError::Io { action: "write", path: path(&self.folder, active.number), source })?;
        self.write_index().stored_bytes += needed;
        Ok(Location { pack: active.number, offset, length })
    }

    /// Where the next record goes.
    pub(super) fn end_of(packs: &Packs) -> Option<(u32, u64)> {
        packs.active.as_ref().map(|active| (active.number, active.end))
    }

    /// Gives the room of records back that were written behind `end` and never placed in the index.
    pub(super) fn take_back(&self, packs: &mut Packs, end: Option<(u32, u64)>) {
        let Some(active) = &mut packs.active else { return };
        let end = end.filter(|(number, _)| *number == active.number).map_or(0, |(_, end)| end);
        self.write_index().stored_bytes -= active.end - end;
        active.end = end;
        active.dirty = true;
        if let Err(error) = active.file.set_len(end) {
            tracing::warn!(pack = active.number, %error, "a tail was not cut off; the next block is written over it");
        }
    }

    /// Makes everything appended so far durable.
    pub(super) fn sync(&self, packs: &mut Packs) -> Result<(), StoreError> {
        self.check_running()?;
        if let Some(active) = packs.active.as_mut().filter(|active| active.dirty) {
            active.file.sync_data().map_err(|source| self.stop(source))?;
            active.dirty = false;
        }
        if packs.folder_dirty {
            self.disk.sync_dir(&self.folder).map_err(|source| self.stop(source))?;
            packs.folder_dirty = false;
        }
        Ok(())
    }

    /// Ends the active pack; the next block opens a new one.
    pub(super) fn seal(&self, packs: &mut Packs) -> Result<(), StoreError> {
        self.sync(packs)?;
        if let Some(active) = packs.active.take() {
            packs.sealed.push((active.number, active.end));
        }
        Ok(())
    }

    /// Removes a pack that nothing in the index stands in, and that was replaced durably.
    pub(super) fn remove_pack(&self, packs: &mut Packs, number: u32, bytes: u64) -> Result<(), StoreError> {
        let path = path(&self.folder, number);
        self.disk.remove_file(&path).map_err(|source| StoreError::Io { action: "remove", path, source })?;
        packs.folder_dirty = true;
        packs.sealed.retain(|(sealed, _)| *sealed != number);
        self.write_index().stored_bytes -= bytes;
        Ok(())
    }
}
