//! The files beside the vault: the key file under its two names, the credential, and the mark.

use std::io;
use std::path::Path;

use nisse_store::Home;
use zeroize::Zeroizing;

use super::Keeper;
use crate::error::VaultError;
use crate::unlock::Unlock;

/// Bytes of the longest credential or key file.
const KEY_FILE_BYTES_MAX: u64 = 64 << 10;

impl Keeper {
    pub(super) fn credential(&self) -> Result<Unlock, VaultError> {
        let none = || VaultError::Protection("systemd gave no credential `nisse-vault` to this unit");
        let path = self.paths.credential.as_ref().ok_or_else(none)?;
        Ok(Unlock::Credential(self.read(path)?.ok_or_else(none)?))
    }

    /// A key file, if it is there. One that others may read is refused.
    pub(super) fn key_file(&self, path: &Path) -> Result<Option<Unlock>, VaultError> {
        let Some(key) = self.read(path)? else { return Ok(None) };
        Home::check_secret(&*self.disk, path).map_err(|error| VaultError::File(error.to_string()))?;
        Ok(Some(Unlock::KeyFile(key)))
    }

    /// A small file, if it is there.
    pub(super) fn read(&self, path: &Path) -> Result<Option<Zeroizing<Vec<u8>>>, VaultError> {
        match self.disk.read(path, KEY_FILE_BYTES_MAX) {
            Ok(bytes) => Ok(Some(Zeroizing::new(bytes))),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(VaultError::file("read", path, &error)),
        }
    }

    pub(super) fn make_folder_of(&self, path: &Path) -> Result<(), VaultError> {
        let Some(folder) = path.parent() else { return Ok(()) };
        self.disk.create_dir_durable(folder).map_err(|error| VaultError::file("make", folder, &error))
    }

    pub(super) fn place_key_file(&self) -> Result<(), VaultError> {
        if self.reads_alone {
            // Whoever has the vault does it.
            return Ok(());
        }
        let (from, to) = (self.paths.key_file_next(), &self.paths.key_file);
        self.disk.rename(&from, to).map_err(|error| VaultError::file("name", to, &error))?;
        self.sync_folder_of(to)
    }

    pub(super) fn remove_key_files(&self) -> Result<(), VaultError> {
        self.remove(&self.paths.key_file_next())?;
        self.remove(&self.paths.key_file)
    }

    pub(super) fn remove(&self, path: &Path) -> Result<(), VaultError> {
        if self.reads_alone {
            return Ok(());
        }
        match self.disk.remove_file(path) {
            Ok(()) => self.sync_folder_of(path),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            Err(error) => Err(VaultError::file("remove", path, &error)),
        }
    }

    pub(super) fn sync_folder_of(&self, path: &Path) -> Result<(), VaultError> {
        let Some(folder) = path.parent() else { return Ok(()) };
        self.disk.sync_dir(folder).map_err(|error| VaultError::file("sync", folder, &error))
    }
}
