//! One file of the disk below with its changes, page by page.

use std::collections::BTreeMap;
use std::io::{self, ErrorKind};
use std::sync::{Arc, Mutex};

use super::lock;
use crate::DiskFile;

/// Bytes that are copied for a change of one.
const PAGE_BYTES: usize = 4096;

type Page = [u8; PAGE_BYTES];

/// A file as it is here.
#[derive(Default)]
pub(super) struct Copied {
    /// The file below; `None` for one that was made here.
    below: Option<Box<dyn DiskFile>>,
    /// How much of the file below is still a part of this one.
    below_bytes: u64,
    /// What was written here, by page.
    pages: BTreeMap<u64, Box<Page>>,
    length: u64,
}

impl Copied {
    pub(super) fn of(below: Box<dyn DiskFile>) -> io::Result<Self> {
        let length = below.len()?;
        Ok(Self { below: Some(below), below_bytes: length, pages: BTreeMap::new(), length })
    }

    /// Whether it was made here.
    pub(super) fn is_new(&self) -> bool {
        self.below.is_none()
    }

    fn read(&self, buffer: &mut [u8], offset: u64) -> io::Result<()> {
        let end = offset.checked_add(buffer.len() as u64).filter(|end| *end <= self.length);
        let end = end.ok_or(ErrorKind::UnexpectedEof)?;
        // Whatever is not changed comes from below in one go; changed pages are laid over it.
        self.read_below(buffer, offset)?;
        let first = offset / PAGE_BYTES as u64;
        for (number, page) in self.pages.range(first..end.div_ceil(PAGE_BYTES as u64)) {
            let start = number * PAGE_BYTES as u64;
            let (from, to) = (start.max(offset), (start + PAGE_BYTES as u64).min(end));
            let inside = &page[(from - start) as usize..(to - start) as usize];
            buffer[(from - offset) as usize..(to - offset) as usize].copy_from_slice(inside);
        }
        Ok(())
    }

    /// What stands below, and zeros where nothing of it is left.
    fn read_below(&self, buffer: &mut [u8], offset: u64) -> io::Result<()> {
        let there = self.below_bytes.saturating_sub(offset).min(buffer.len() as u64) as usize;
        let (kept, beyond) = buffer.split_at_mut(there);
        beyond.fill(0);
        match &self.below {
            Some(below) if !kept.is_empty() => below.read_exact_at(kept, offset),
            _ => Ok(()),
        }
    }

    fn write(&mut self, bytes: &[u8], offset: u64) -> io::Result<()> {
        let end = offset.checked_add(bytes.len() as u64).ok_or(ErrorKind::FileTooLarge)?;
        let mut at = offset;
        while at < end {
            let number = at / PAGE_BYTES as u64;
            let inside = (at % PAGE_BYTES as u64) as usize;
            let taken = (PAGE_BYTES - inside).min((end - at) as usize);
            let from = (at - offset) as usize;
            self.page(number)?[inside..inside + taken].copy_from_slice(&bytes[from..from + taken]);
            at += taken as u64;
        }
        self.length = self.length.max(end);
        Ok(())
    }

    fn page(&mut self, number: u64) -> io::Result<&mut Page> {
        if !self.pages.contains_key(&number) {
            let mut page = Box::new([0; PAGE_BYTES]);
            self.read_below(&mut page[..], number * PAGE_BYTES as u64)?;
            self.pages.insert(number, page);
        }
        Ok(self.pages.get_mut(&number).expect("it was put there"))
    }

    fn set_len(&mut self, length: u64) {
        // What is cut off does not come back when the file grows again.
        self.below_bytes = self.below_bytes.min(length);
        let beyond = self.pages.split_off(&length.div_ceil(PAGE_BYTES as u64));
        drop(beyond);
        if let Some(last) = self.pages.get_mut(&(length / PAGE_BYTES as u64)) {
            last[(length % PAGE_BYTES as u64) as usize..].fill(0);
        }
        self.length = length;
    }
}

/// An open file.
pub(super) struct Handle {
    pub(super) file: Arc<Mutex<Copied>>,
    pub(super) may_write: bool,
}

impl Handle {
    fn check_writable(&self) -> io::Result<()> {
        if self.may_write { Ok(()) } else { Err(ErrorKind::PermissionDenied.into()) }
    }
}

impl DiskFile for Handle {
    fn read_exact_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<()> {
        lock(&self.file).read(buffer, offset)
    }

    fn write_all_at(&self, bytes: &[u8], offset: u64) -> io::Result<()> {
        self.check_writable()?;
        lock(&self.file).write(bytes, offset)
    }

    fn set_len(&self, length: u64) -> io::Result<()> {
        self.check_writable()?;
        lock(&self.file).set_len(length);
        Ok(())
    }

    fn len(&self) -> io::Result<u64> {
        Ok(lock(&self.file).length)
    }

    fn sync_data(&self) -> io::Result<()> {
        Ok(())
    }
}
