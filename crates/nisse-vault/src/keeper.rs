//! The vault as its process keeps it: with the files that unlock it, at its start and when what protects it changes.
//!
//! A key file is written under another name, then the vault is protected with it, then it gets its own name. So whatever
//! moment the power goes at, one file that opens the vault lies there. No file is removed on the word of a vault that was
//! not unlocked, and a mark beside the keys says that there is a vault: one that is gone is not begun anew.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use nisse_model::SecretName;
use nisse_store::{Clock, Disk, Entropy, Home};
use zeroize::Zeroizing;

use crate::error::VaultError;
use crate::unlock::{Cost, Unlock, UnlockKind};
use crate::vault::{Setting, Vault};
use crate::wire::{Answer, RefusalKind, Request, VaultStatus};

/// Bytes of the longest credential or key file.
const KEY_FILE_BYTES_MAX: u64 = 64 << 10;

/// Where a vault and what unlocks it lie.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VaultPaths {
    /// The vault's own folder.
    pub folder: PathBuf,
    /// Its key file, if it has one.
    pub key_file: PathBuf,
    /// The credential that systemd gives to this unit, if it gives one.
    pub credential: Option<PathBuf>,
}

impl VaultPaths {
    fn database(&self) -> PathBuf {
        self.folder.join("secrets")
    }

    /// The name of a key file until the vault is protected with it.
    fn key_file_next(&self) -> PathBuf {
        self.beside_key_file(".next")
    }

    /// What says that a vault was begun.
    fn mark(&self) -> PathBuf {
        self.beside_key_file(".begun")
    }

    fn beside_key_file(&self, end: &str) -> PathBuf {
        let mut name = self.key_file.as_os_str().to_owned();
        name.push(end);
        PathBuf::from(name)
    }
}

/// A vault with its files.
pub struct Keeper {
    disk: Arc<dyn Disk>,
    clock: Arc<dyn Clock>,
    entropy: Arc<dyn Entropy>,
    paths: VaultPaths,
    cost: Cost,
    vault: Vault,
    trouble: Option<String>,
}

impl Keeper {
    /// Opens the vault, and unlocks it with what lies there unless it is to stay sealed. One that was never used is begun,
    /// with the credential or else with a key file that is drawn for it.
    pub fn open(
        disk: Arc<dyn Disk>,
        clock: Arc<dyn Clock>,
        entropy: Arc<dyn Entropy>,
        paths: VaultPaths,
        cost: Cost,
        sealed: bool,
    ) -> Result<Self, VaultError> {
        disk.create_dir_durable(&paths.folder).map_err(|error| VaultError::file("make", &paths.folder, &error))?;
        let vault = Vault::open(Arc::clone(&disk), &paths.database(), Arc::clone(&entropy))?;
        let mut keeper = Self { disk, clock, entropy, paths, cost, vault, trouble: None };
        if !keeper.vault.is_begun() {
            keeper.begin()?;
        } else if !sealed {
            // A vault that stays sealed is told of, and serves whoever brings what opens it.
            keeper.trouble = keeper.unlock_by_files().err().map(|error| format!("failed to {error}"));
        }
        // One that is there is there without its mark, too: the next start tries again.
        let _ = keeper.set_mark();
        Ok(keeper)
    }

    fn begin(&mut self) -> Result<(), VaultError> {
        for file in [self.paths.mark(), self.paths.key_file.clone()] {
            if self.read(&file)?.is_some() {
                return Err(VaultError::Gone(file.display().to_string()));
            }
        }
        match self.paths.credential {
            Some(_) => self.protect(None, true, false),
            None => self.protect(None, false, true),
        }
    }

    fn set_mark(&self) -> Result<(), VaultError> {
        let path = self.paths.mark();
        if self.read(&path)?.is_some() {
            return Ok(());
        }
        self.make_folder_of(&path)?;
        let text = b"A vault was begun in this home. While this stands here, none is begun anew.\n";
        self.disk.replace(&path, text).map_err(|error| VaultError::file("write", &path, &error))
    }

    /// Unlocks it with a credential or a key file, whichever opens it. Having neither is no trouble where a passphrase is
    /// set.
    fn unlock_by_files(&mut self) -> Result<(), VaultError> {
        let ways = self.vault.ways();
        let mut trouble = None;
        if ways.contains(&UnlockKind::Credential) {
            let tried = match self.paths.credential {
                Some(_) => self.credential().and_then(|credential| self.vault.unlock(&credential)),
                None => Err(VaultError::Missing("systemd credential: this unit was given none".to_owned())),
            };
            trouble = tried.err();
            if !self.vault.is_sealed() {
                let _ = self.settle_next_key_file();
            }
        }
        if self.vault.is_sealed() && ways.contains(&UnlockKind::KeyFile) {
            trouble = self.unlock_by_key_file().err().or(trouble);
        }
        match trouble {
            // What is not at hand is brought by whoever has the passphrase.
            Some(VaultError::Missing(_)) if ways.contains(&UnlockKind::Passphrase) => Ok(()),
            Some(error) if self.vault.is_sealed() => Err(error),
            _ => Ok(()),
        }
    }

    /// With the key file, or with the one that was being put in its place: that gets its name then.
    fn unlock_by_key_file(&mut self) -> Result<(), VaultError> {
        let next = self.paths.key_file_next();
        let current = match self.key_file(&self.paths.key_file)? {
            Some(key) => self.vault.unlock(&key),
            None => Err(VaultError::Missing(format!("key file {}: it is gone", self.paths.key_file.display()))),
        };
        if current.is_ok() {
            // One that the vault was never protected with.
            let _ = self.remove(&next);
            return Ok(());
        }
        let Some(key) = self.key_file(&next)? else { return current };
        self.vault.unlock(&key)?;
        self.place_key_file()
    }

    /// How it stands.
    pub fn status(&self) -> VaultStatus {
        VaultStatus {
            sealed: self.vault.is_sealed(),
            ways: self.vault.ways(),
            credential: self.paths.credential.is_some(),
            trouble: self.trouble.clone(),
        }
    }

    /// Unlocks it with a passphrase; without one, with the credential or the key file. One that is open stays so.
    pub fn unlock(&mut self, passphrase: Zeroizing<String>) -> Result<(), VaultError> {
        if !self.vault.is_sealed() {
            return Ok(());
        }
        match passphrase.is_empty() {
            true => self.unlock_by_files()?,
            false => self.vault.unlock(&Unlock::Passphrase(passphrase))?,
        }
        if self.vault.is_sealed() {
            return Err(VaultError::Missing("passphrase: nothing that lies here opens it".to_owned()));
        }
        // What is not settled now is settled before another one is drawn.
        let _ = self.settle_next_key_file();
        self.trouble = None;
        Ok(())
    }

    /// From now on these unlock it and nothing else does.
    pub fn protect(
        &mut self,
        passphrase: Option<Zeroizing<String>>,
        credential: bool,
        key_file: bool,
    ) -> Result<(), VaultError> {
        if self.vault.is_sealed() && self.vault.is_begun() {
            return Err(VaultError::Sealed);
        }
        let mut unlocks = Vec::new();
        unlocks.extend(passphrase.map(Unlock::Passphrase));
        if credential {
            unlocks.push(self.credential()?);
        }
        // Before a key is drawn: what is refused changes no file.
        Vault::check(&unlocks)?;
        if key_file {
            self.settle_next_key_file()?;
            unlocks.push(self.next_key_file()?);
        }
        self.vault.protect(&unlocks, self.cost)?;
        // It is protected: what fails from here on is mended at the next start.
        let tidied = if key_file { self.place_key_file() } else { self.remove_key_files() };
        self.trouble = tidied.err().map(|error| format!("failed to {error}"));
        Ok(())
    }

    /// A key file that this vault was protected with, and that did not get its name then, gets it now. It is the only one that
    /// opens the vault: nothing is written over it.
    fn settle_next_key_file(&self) -> Result<(), VaultError> {
        match self.key_file(&self.paths.key_file_next())? {
            Some(key) if self.vault.is_opened_by(&key) => self.place_key_file(),
            _ => Ok(()),
        }
    }

    /// Sets a tenant's secret; its version.
    pub fn set(&mut self, tenant: &str, name: &SecretName, value: &[u8], setting: Setting) -> Result<u64, VaultError> {
        self.vault.set(tenant, name, value, setting, self.clock.now())
    }

    /// A secret's value.
    pub fn reveal(&self, tenant: &str, name: &SecretName) -> Result<Zeroizing<Vec<u8>>, VaultError> {
        self.vault.get(tenant, name)
    }

    /// Carries out what the node asks.
    pub(crate) fn answer(&mut self, request: Request) -> Result<Answer, VaultError> {
        let text = |bytes: Zeroizing<Vec<u8>>| {
            let text = std::str::from_utf8(&bytes).map_err(|_| VaultError::Protection("a passphrase is text"))?;
            Ok::<_, VaultError>(Zeroizing::new(text.to_owned()))
        };
        let done = |()| Answer::Done;
        match request {
            Request::Status => Ok(Answer::Status(self.status())),
            Request::Unlock { passphrase } => self.unlock(text(passphrase)?).map(done),
            // The process ends behind the answer: its memory is what has to forget.
            Request::Seal => Ok(Answer::Done),
            Request::Protect { passphrase, credential, key_file } => {
                let passphrase = passphrase.map(text).transpose()?;
                self.protect(passphrase, credential, key_file).map(done)
            }
            Request::Set { tenant, name, value, setting } => {
                self.set(&tenant, &name, &value, setting).map(Answer::Version)
            }
            Request::Reveal { tenant, name } => self.reveal(&tenant, &name).map(Answer::Value),
            Request::List { tenant } => Ok(Answer::Secrets(self.vault.list(&tenant))),
            Request::Remove { tenant, name } => self.vault.remove(&tenant, &name).map(done),
        }
    }

    fn credential(&self) -> Result<Unlock, VaultError> {
        let none = || VaultError::Protection("systemd gave no credential `nisse-vault` to this unit");
        let path = self.paths.credential.as_ref().ok_or_else(none)?;
        Ok(Unlock::Credential(self.read(path)?.ok_or_else(none)?))
    }

    /// A key file, if it is there. One that others may read is refused.
    fn key_file(&self, path: &Path) -> Result<Option<Unlock>, VaultError> {
        let Some(key) = self.read(path)? else { return Ok(None) };
        Home::check_secret(&*self.disk, path).map_err(|error| VaultError::File(error.to_string()))?;
        Ok(Some(Unlock::KeyFile(key)))
    }

    /// A small file, if it is there.
    fn read(&self, path: &Path) -> Result<Option<Zeroizing<Vec<u8>>>, VaultError> {
        match self.disk.read(path, KEY_FILE_BYTES_MAX) {
            Ok(bytes) => Ok(Some(Zeroizing::new(bytes))),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(VaultError::file("read", path, &error)),
        }
    }

    /// Draws a key file, durable before anything depends on it.
    fn next_key_file(&self) -> Result<Unlock, VaultError> {
        let mut key = Zeroizing::new([0; 32]);
        self.entropy.fill(&mut *key);
        let mut text = Zeroizing::new(String::with_capacity(2 * key.len() + 1));
        for byte in *key {
            text.extend([byte >> 4, byte & 15].map(|digit| char::from_digit(digit.into(), 16).expect("a digit")));
        }
        text.push('\n');
        let path = self.paths.key_file_next();
        self.make_folder_of(&path)?;
        self.disk.replace(&path, text.as_bytes()).map_err(|error| VaultError::file("write", &path, &error))?;
        Ok(Unlock::KeyFile(Zeroizing::new(text.as_bytes().to_vec())))
    }

    fn make_folder_of(&self, path: &Path) -> Result<(), VaultError> {
        let Some(folder) = path.parent() else { return Ok(()) };
        self.disk.create_dir_durable(folder).map_err(|error| VaultError::file("make", folder, &error))
    }

    fn place_key_file(&self) -> Result<(), VaultError> {
        let (from, to) = (self.paths.key_file_next(), &self.paths.key_file);
        self.disk.rename(&from, to).map_err(|error| VaultError::file("name", to, &error))?;
        self.sync_folder_of(to)
    }

    fn remove_key_files(&self) -> Result<(), VaultError> {
        self.remove(&self.paths.key_file_next())?;
        self.remove(&self.paths.key_file)
    }

    fn remove(&self, path: &Path) -> Result<(), VaultError> {
        match self.disk.remove_file(path) {
            Ok(()) => self.sync_folder_of(path),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            Err(error) => Err(VaultError::file("remove", path, &error)),
        }
    }

    fn sync_folder_of(&self, path: &Path) -> Result<(), VaultError> {
        let Some(folder) = path.parent() else { return Ok(()) };
        self.disk.sync_dir(folder).map_err(|error| VaultError::file("sync", folder, &error))
    }
}

/// What the node is told of a refusal.
pub(crate) fn refusal(error: &VaultError) -> Answer {
    let kind = match error {
        VaultError::Sealed => RefusalKind::Sealed,
        VaultError::WrongKey(_) | VaultError::NoSuchWay(_) | VaultError::Missing(_) => RefusalKind::WrongKey,
        VaultError::NoSuchSecret(_) => RefusalKind::NoSuchSecret,
        VaultError::SecretExists(_) => RefusalKind::SecretExists,
        VaultError::Limit(_) | VaultError::Protection(_) => RefusalKind::Limit,
        VaultError::Tampered(_) | VaultError::Gone(_) | VaultError::Newer(_) => RefusalKind::Tampered,
        VaultError::File(_) => RefusalKind::Failed,
    };
    Answer::Refused { kind, text: error.to_string() }
}
