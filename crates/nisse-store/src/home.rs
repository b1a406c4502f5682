//! The home folder's door: one process at a time, and no format but ours (DESIGN §5.16).
//!
//! A home is never made fresh where a node once lived: a folder that holds anything but has no `format` file is
//! refused, since what its keys and journal stand for can't be drawn again.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::{Access, Disk, DiskLock, SystemDisk};

/// The format that this program reads and writes.
pub const HOME_FORMAT: u32 = 1;
const FORMAT_FILE: &str = "format";
const LOCK_FILE: &str = "lock";
/// What the format file says before its number.
const FORMAT_WORD: &str = "nisse-home ";
const FORMAT_BYTES_MAX: u64 = 64;

/// Why a folder is not used as a home. Each text completes "failed to …".
#[derive(Debug, thiserror::Error)]
pub enum HomeError {
    /// Another process holds the lock.
    #[error("use the home {}: another nisse is running on it", .0.display())]
    Locked(PathBuf),
    /// A newer program made it.
    #[error("use the home {}: its format {found} is newer than this nisse, which knows {HOME_FORMAT}", path.display())]
    Newer {
        /// The home.
        path: PathBuf,
        /// Its format.
        found: u32,
    },
    /// There is something in it that no node made, or a node's things without their format.
    #[error("use {} as a home: it holds `{found}` and no `format` file", path.display())]
    Foreign {
        /// The folder.
        path: PathBuf,
        /// The first thing in it.
        found: String,
    },
    /// The format file says something else.
    #[error("use the home {}: its `format` file does not name a format", .0.display())]
    Unreadable(PathBuf),
    /// Another user owns it, or one of the secrets in it.
    #[error("use {}: another user owns it", .0.display())]
    NotOurs(PathBuf),
    /// Others may change or read it, or one of the secrets in it.
    #[error("use {}: it is open to other users (mode {mode:o})", path.display())]
    Open {
        /// The home, or a file in it.
        path: PathBuf,
        /// What others may do.
        mode: u32,
        /// What closes it.
        closed: u32,
    },
    /// An operation of the disk failed.
    #[error("{action} {}", path.display())]
    Disk {
        /// What was tried.
        action: &'static str,
        /// On what.
        path: PathBuf,
        /// What the disk said.
        #[source]
        source: io::Error,
    },
}

/// An exclusively held home folder. Dropping it lets go.
pub struct Home {
    folder: PathBuf,
    fresh: bool,
    _lock: Box<dyn DiskLock>,
}

impl fmt::Debug for Home {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "Home({})", self.folder.display())
    }
}

impl Home {
    /// Locks the home in `folder` and checks its format. An absent or empty folder becomes a new home.
    pub fn open(disk: &Arc<dyn Disk>, folder: &Path) -> Result<Self, HomeError> {
        let failed = |action, path: &Path| {
            let path = path.to_owned();
            move |source| HomeError::Disk { action, path, source }
        };
        disk.create_dir_durable(folder).map_err(failed("create", folder))?;
        let lock_path = folder.join(LOCK_FILE);
        let format_path = folder.join(FORMAT_FILE);
        // Looked at before the lock file is made, so that a foreign folder is left as it was.
        let known = disk.exists(&format_path);
        if known {
            Self::check_closed(&**disk, folder)?;
        }
        if !known && let Some(found) = foreign(&**disk, folder).map_err(failed("list", folder))? {
            return Err(HomeError::Foreign { path: folder.to_owned(), found });
        }
        if !known {
            close(&**disk, folder)?;
        }
        let lock = disk.try_lock(&lock_path).map_err(failed("lock", &lock_path))?;
        let lock = lock.ok_or_else(|| HomeError::Locked(folder.to_owned()))?;
        let fresh = !disk.exists(&format_path);
        if fresh {
            let text = format!("{FORMAT_WORD}{HOME_FORMAT}\n");
            disk.replace(&format_path, text.as_bytes()).map_err(failed("write", &format_path))?;
        } else {
            let text = disk.read(&format_path, FORMAT_BYTES_MAX).map_err(failed("read", &format_path))?;
            let found = parse_format(&text).ok_or_else(|| HomeError::Unreadable(folder.to_owned()))?;
            if found > HOME_FORMAT {
                return Err(HomeError::Newer { path: folder.to_owned(), found });
            }
            // The program that made it may have died before its name was synced.
            disk.sync_dir(folder).map_err(failed("sync", folder))?;
        }
        Ok(Self { folder: folder.to_owned(), fresh, _lock: lock })
    }

    /// Keeps others from opening the home in `folder` while it is only looked at: nothing is made or changed, so a home
    /// without a lock file stays without.
    pub fn keep_closed(disk: &dyn Disk, folder: &Path) -> Result<Option<Box<dyn DiskLock>>, HomeError> {
        let path = folder.join(LOCK_FILE);
        if !disk.exists(&path) {
            return Ok(None);
        }
        let lock = disk.try_lock(&path).map_err(|source| HomeError::Disk { action: "lock", path, source })?;
        lock.map(Some).ok_or_else(|| HomeError::Locked(folder.to_owned()))
    }

    /// Refuses a home that another user owns, or that others may look into.
    pub fn check_closed(disk: &dyn Disk, folder: &Path) -> Result<(), HomeError> {
        check_access(disk, folder, 0o700, Access::is_open)
    }

    /// Refuses a secret that another user owns or others may read.
    pub fn check_secret(disk: &dyn Disk, path: &Path) -> Result<(), HomeError> {
        check_access(disk, path, 0o600, Access::is_open)
    }

    /// The process that runs on the home in `folder`, if another one than this does.
    pub fn holder(folder: &Path) -> io::Result<Option<u32>> {
        SystemDisk.lock_holder(&folder.join(LOCK_FILE))
    }

    /// The folder.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// Whether this call made the home.
    pub fn is_fresh(&self) -> bool {
        self.fresh
    }
}

/// Closes an empty folder that becomes a home. Where others may write, they may have left what is not seen yet: such a
/// folder is refused.
fn close(disk: &dyn Disk, folder: &Path) -> Result<(), HomeError> {
    check_access(disk, folder, 0o700, Access::is_writable_by_others)?;
    let closing = |source| HomeError::Disk { action: "close to others", path: folder.to_owned(), source };
    disk.close_to_others(folder).map_err(closing)?;
    check_access(disk, folder, 0o700, Access::is_open)
}

fn check_access(disk: &dyn Disk, path: &Path, closed: u32, is_wrong: fn(Access) -> bool) -> Result<(), HomeError> {
    let looking = |source| HomeError::Disk { action: "look at", path: path.to_owned(), source };
    match disk.access(path).map_err(looking)? {
        Some(access) if !access.ours => Err(HomeError::NotOurs(path.to_owned())),
        Some(access) if is_wrong(access) => Err(HomeError::Open { path: path.to_owned(), mode: access.mode, closed }),
        _ => Ok(()),
    }
}

/// The first thing in the folder that an interrupted first start does not leave behind.
fn foreign(disk: &dyn Disk, folder: &Path) -> io::Result<Option<String>> {
    let ours = [LOCK_FILE, "format.new"];
    let names = disk.read_dir(folder)?.into_iter().filter_map(|path| Some(path.file_name()?.to_string_lossy().into()));
    Ok(names.into_iter().find(|name: &String| !ours.contains(&name.as_str())))
}

fn parse_format(text: &[u8]) -> Option<u32> {
    let text = std::str::from_utf8(text).ok()?;
    let number = text.strip_prefix(FORMAT_WORD)?.strip_suffix('\n')?;
    number.parse().ok().filter(|number| *number > 0)
}
