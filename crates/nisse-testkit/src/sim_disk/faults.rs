//! What goes wrong with the simulated disk, and when.

use std::io;

/// How operations fail.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// The n-th operation from now (0 is the next one) fails once with EIO, whatever it is. A write may have left its
    /// first half; a sync has lost what it should have kept.
    Io(u64),
    /// The n-th sync of content from now fails once with EIO.
    Sync(u64),
    /// From the n-th operation that needs space on, all of them fail with ENOSPC until the disk is healed.
    NoSpace(u64),
}

/// What an operation is to the faults.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Operation {
    Read,
    Write,
    /// Makes a file shorter.
    Cut,
    Name {
        grows: bool,
    },
    Sync,
    SyncDir,
}

impl Operation {
    fn needs_space(self) -> bool {
        matches!(self, Self::Write | Self::Name { grows: true })
    }
}

/// What becomes of an operation that did not fail outright.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[must_use]
pub(super) enum Verdict {
    Done,
    /// The power goes with it.
    Dying,
}

impl Verdict {
    pub(super) fn end<T>(self, result: T) -> io::Result<T> {
        match self {
            Self::Done => Ok(result),
            Self::Dying => Err(power_is_off()),
        }
    }
}

#[derive(Debug, Clone, Default)]
pub(super) struct Faults {
    pub(super) operations: u64,
    pub(super) off: bool,
    pub(super) met: bool,
    cut_at: Option<u64>,
    changes: u64,
    cut_at_change: Option<u64>,
    fault: Option<Fault>,
    pub(super) skip_sync_every: Option<u64>,
    pub(super) skip_dir_sync_every: Option<u64>,
    syncs: u64,
    dir_syncs: u64,
}

impl Faults {
    pub(super) fn cut_after(&mut self, operations: u64) {
        self.cut_at = Some(self.operations + operations);
    }

    pub(super) fn cut_after_changes(&mut self, changes: u64) {
        self.cut_at_change = Some(self.changes + changes);
    }

    pub(super) fn changes(&self) -> u64 {
        self.changes
    }

    pub(super) fn set(&mut self, fault: Fault) {
        (self.fault, self.met) = (Some(fault), false);
    }

    pub(super) fn heal(&mut self) {
        (self.fault, self.skip_sync_every, self.skip_dir_sync_every) = (None, None, None);
    }

    pub(super) fn power_on(&mut self) {
        (self.off, self.fault, self.met) = (false, None, false);
        (self.cut_at, self.cut_at_change) = (None, None);
    }

    pub(super) fn step(&mut self, operation: Operation) -> io::Result<Verdict> {
        if self.off {
            return Err(power_is_off());
        }
        let (number, change) = (self.operations, self.changes);
        self.operations += 1;
        self.changes += u64::from(operation != Operation::Read);
        let changes = operation != Operation::Read && self.cut_at_change.is_some_and(|at| change >= at);
        if changes || self.cut_at.is_some_and(|at| number >= at) {
            self.off = true;
            return Ok(Verdict::Dying);
        }
        let (left, error) = match &mut self.fault {
            Some(Fault::Io(left)) => (left, 5),
            Some(Fault::Sync(left)) if operation == Operation::Sync => (left, 5),
            Some(Fault::NoSpace(left)) if operation.needs_space() => (left, 28),
            _ => return Ok(Verdict::Done),
        };
        if *left > 0 {
            *left -= 1;
            return Ok(Verdict::Done);
        }
        self.met = true;
        if !matches!(self.fault, Some(Fault::NoSpace(_))) {
            self.fault = None;
        }
        Err(io::Error::from_raw_os_error(error))
    }

    pub(super) fn skips_sync(&mut self) -> bool {
        self.syncs += 1;
        self.skip_sync_every.is_some_and(|k| self.syncs.is_multiple_of(k))
    }

    pub(super) fn skips_dir_sync(&mut self) -> bool {
        self.dir_syncs += 1;
        self.skip_dir_sync_every.is_some_and(|k| self.dir_syncs.is_multiple_of(k))
    }
}

pub(super) fn power_is_off() -> io::Error {
    io::Error::other("the power is off")
}
