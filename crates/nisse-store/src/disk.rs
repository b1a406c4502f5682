//! The only place that touches a file system.
//!
//! The rules are POSIX's: what was written may be lost, torn or reordered until `sync_data` returned, and a created,
//! renamed or removed name may be lost until `sync_dir` of its folder returned.

use std::fs;
use std::io;
use std::os::unix::fs::{FileExt, MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

/// How a file is opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FileMode {
    /// Reading only; the file must exist.
    Read,
    /// Reading and writing; created (mode 0600) when absent.
    Write,
    /// Reading and writing; must not exist yet (mode 0600).
    CreateNew,
}

/// Who may use a file or folder.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Access {
    /// Whether the user whom this process runs as owns it.
    pub ours: bool,
    /// The lowest nine bits of its mode.
    pub mode: u32,
}

impl Access {
    /// Whether users other than the owner may do anything with it.
    pub fn is_open(self) -> bool {
        self.mode & 0o077 != 0
    }

    /// Whether users other than the owner may change it.
    pub fn is_writable_by_others(self) -> bool {
        self.mode & 0o022 != 0
    }
}

/// A file system: the machine's, or a simulated one.
pub trait Disk: Send + Sync + 'static {
    /// Opens one file.
    fn open(&self, path: &Path, mode: FileMode) -> io::Result<Box<dyn DiskFile>>;
    /// Creates a folder (mode 0700) and those above it.
    fn create_dir_all(&self, path: &Path) -> io::Result<()>;
    /// Names inside a folder, sorted.
    fn read_dir(&self, path: &Path) -> io::Result<Vec<PathBuf>>;
    /// Moves a file over another, at once or not at all.
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()>;
    /// Removes one file.
    fn remove_file(&self, path: &Path) -> io::Result<()>;
    /// Whether something stands at `path`.
    fn exists(&self, path: &Path) -> bool;
    /// Makes the names inside a folder durable.
    fn sync_dir(&self, path: &Path) -> io::Result<()>;
    /// Takes the exclusive lock of a file, created (mode 0600) when absent. `None` when someone else holds it, in this
    /// process or another. The lock ends with the value, and with the process, however that ends.
    fn try_lock(&self, path: &Path) -> io::Result<Option<Box<dyn DiskLock>>>;

    /// Who may use what stands at `path`. `None` on a disk that knows no users.
    fn access(&self, path: &Path) -> io::Result<Option<Access>> {
        let _ = path;
        Ok(None)
    }

    /// Closes a folder to everyone but its owner (mode 0700), where the disk knows users.
    fn close_to_others(&self, folder: &Path) -> io::Result<()> {
        let _ = folder;
        Ok(())
    }

    /// Creates a folder and those above it, each name durable before the next is made. The name of the lowest folder
    /// that stands is synced too: the program that made it may have died before it did that.
    fn create_dir_durable(&self, path: &Path) -> io::Result<()> {
        let missing: Vec<&Path> = path.ancestors().take_while(|folder| !self.exists(folder)).collect();
        let standing = path.ancestors().nth(missing.len());
        if let Some(above) = standing.and_then(Path::parent) {
            match self.sync_dir(above) {
                // Whoever may not read it did not make the folder below it either.
                Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {}
                synced => synced?,
            }
        }
        for folder in missing.into_iter().rev() {
            self.create_dir_all(folder)?;
            folder.parent().map_or(Ok(()), |above| self.sync_dir(above))?;
        }
        Ok(())
    }

    /// The whole content of a file of at most `max` bytes; a longer one is refused unread.
    fn read(&self, path: &Path, max: u64) -> io::Result<Vec<u8>> {
        let file = self.open(path, FileMode::Read)?;
        let length = file.len()?;
        if length > max {
            let text = format!("{} is {length} bytes long: at most {max} are read", path.display());
            return Err(io::Error::new(io::ErrorKind::FileTooLarge, text));
        }
        let mut content = vec![0; usize::try_from(length).map_err(io::Error::other)?];
        file.read_exact_at(&mut content, 0)?;
        Ok(content)
    }

    /// Replaces a file by a whole new content, durably: written beside it, synced, renamed, its folder synced.
    fn replace(&self, path: &Path, content: &[u8]) -> io::Result<()> {
        let folder = path.parent().ok_or_else(|| io::Error::other("a file without a folder"))?;
        let mut name = path.file_name().ok_or_else(|| io::Error::other("a path without a name"))?.to_owned();
        name.push(".new");
        let beside = folder.join(name);
        let file = self.open(&beside, FileMode::Write)?;
        file.set_len(0)?;
        file.write_all_at(content, 0)?;
        file.sync_data()?;
        self.rename(&beside, path)?;
        self.sync_dir(folder)
    }
}

/// A held lock; dropping it lets go.
pub trait DiskLock: Send + Sync {}

/// One open file, addressed by offset; safe to use from several threads.
#[expect(clippy::len_without_is_empty, reason = "an empty file is not a special case to anyone")]
pub trait DiskFile: Send + Sync {
    /// Fills `buffer` from `offset`, or fails with `UnexpectedEof`.
    fn read_exact_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<()>;
    /// Writes all of `bytes` at `offset`, growing the file as needed.
    fn write_all_at(&self, bytes: &[u8], offset: u64) -> io::Result<()>;
    /// Cuts or grows (with zeros) the file.
    fn set_len(&self, length: u64) -> io::Result<()>;
    /// Length in bytes.
    fn len(&self) -> io::Result<u64>;
    /// Returns once content and length survive a power cut. A failed sync must never be tried again: the pages may
    /// already be marked clean, so the caller stops instead.
    fn sync_data(&self) -> io::Result<()>;
}

/// The machine's file system.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemDisk;

impl Disk for SystemDisk {
    fn open(&self, path: &Path, mode: FileMode) -> io::Result<Box<dyn DiskFile>> {
        let mut options = fs::OpenOptions::new();
        options.read(true).mode(0o600);
        match mode {
            FileMode::Read => &mut options,
            FileMode::Write => options.write(true).create(true),
            FileMode::CreateNew => options.write(true).create_new(true),
        };
        Ok(Box::new(SystemFile(options.open(path)?)))
    }

    fn create_dir_all(&self, path: &Path) -> io::Result<()> {
        use std::os::unix::fs::DirBuilderExt;
        fs::DirBuilder::new().recursive(true).mode(0o700).create(path)
    }

    fn read_dir(&self, path: &Path) -> io::Result<Vec<PathBuf>> {
        let mut paths =
            fs::read_dir(path)?.map(|entry| entry.map(|entry| entry.path())).collect::<io::Result<Vec<_>>>()?;
        paths.sort();
        Ok(paths)
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        fs::rename(from, to)
    }

    fn remove_file(&self, path: &Path) -> io::Result<()> {
        fs::remove_file(path)
    }

    fn exists(&self, path: &Path) -> bool {
        // "" is the working folder, as a relative path's topmost parent.
        path.as_os_str().is_empty() || path.exists()
    }

    fn sync_dir(&self, path: &Path) -> io::Result<()> {
        let path = if path.as_os_str().is_empty() { Path::new(".") } else { path };
        fs::File::open(path)?.sync_all()
    }

    fn try_lock(&self, path: &Path) -> io::Result<Option<Box<dyn DiskLock>>> {
        let file = fs::OpenOptions::new().read(true).write(true).create(true).truncate(false).mode(0o600).open(path)?;
        match rustix::fs::flock(&file, rustix::fs::FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => {
                // The lock that counts names nobody. This one beside it tells others which process holds it.
                rustix::fs::fcntl_lock(&file, rustix::fs::FlockOperation::NonBlockingLockExclusive)?;
                Ok(Some(Box::new(SystemLock { _file: file })))
            }
            Err(rustix::io::Errno::WOULDBLOCK) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    fn access(&self, path: &Path) -> io::Result<Option<Access>> {
        let found = fs::metadata(path)?;
        let ours = found.uid() == rustix::process::geteuid().as_raw();
        Ok(Some(Access { ours, mode: found.mode() & 0o777 }))
    }

    fn close_to_others(&self, folder: &Path) -> io::Result<()> {
        fs::set_permissions(folder, fs::Permissions::from_mode(0o700))
    }
}

impl SystemDisk {
    /// The other process that holds the lock of [`Disk::try_lock`]. Asking takes nothing from anyone who wants it.
    pub fn lock_holder(&self, path: &Path) -> io::Result<Option<u32>> {
        use rustix::process::{Flock, FlockType, fcntl_getlk};
        let file = match fs::File::open(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            file => file?,
        };
        let held = fcntl_getlk(&file, &Flock::from(FlockType::WriteLock))?;
        Ok(held.and_then(|lock| lock.pid).and_then(|pid| u32::try_from(pid.as_raw_nonzero().get()).ok()))
    }
}

/// The lock belongs to the open file: the system drops it when the last handle is closed.
struct SystemLock {
    _file: fs::File,
}

impl DiskLock for SystemLock {}

struct SystemFile(fs::File);

impl DiskFile for SystemFile {
    fn read_exact_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<()> {
        self.0.read_exact_at(buffer, offset)
    }

    fn write_all_at(&self, bytes: &[u8], offset: u64) -> io::Result<()> {
        self.0.write_all_at(bytes, offset)
    }

    fn set_len(&self, length: u64) -> io::Result<()> {
        self.0.set_len(length)
    }

    fn len(&self) -> io::Result<u64> {
        Ok(self.0.metadata()?.len())
    }

    fn sync_data(&self) -> io::Result<()> {
        self.0.sync_data()
    }
}
