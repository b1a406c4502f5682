//! The vault as its process keeps it: with the files that unlock it, at its start and when what protects it changes.
//!
//! A key file is written under another name, then the vault is protected with it, then it gets its own name. So whatever
//! moment the power goes at, one file that opens the vault lies there. No file is removed on the word of a vault that was
//! not unlocked, and a mark beside the keys says that there is a vault: one that is gone is not begun anew.

mod answer;
mod files;
mod reading;

use std::path::PathBuf;
use std::sync::Arc;

use nisse_model::SecretName;
use nisse_store::{Clock, Disk, Entropy};
use zeroize::Zeroizing;

pub(crate) use answer::refusal;
use reading::ReadingDisk;

use crate::error::VaultError;
use crate::export::Export;
use crate::signing::{KeyEntry, KeyKind};
use crate::unlock::{Cost, Unlock, UnlockKind};
use crate::vault::{Restored, Setting, Vault};
use crate::wire::VaultStatus;

/// The name of the file in its folder.
pub(crate) const DATABASE: &str = "secrets";
/// How often a vault that is only read is read anew while what opens it does not fit: its owner is replacing both.
const LOOKS_MAX: usize = 8;

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
        self.folder.join(DATABASE)
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
    /// It may be another process's: nothing of it is changed here.
    reads_alone: bool,
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
        let mut keeper = Self { disk, clock, entropy, paths, cost, vault, trouble: None, reads_alone: false };
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

    /// Opens a vault that another process may have open, and unlocks it with what lies there unless it is to stay sealed. It
    /// is as it was at that moment. No file is written, renamed or removed, and whatever would change the vault is refused.
    pub fn look(
        disk: Arc<dyn Disk>,
        clock: Arc<dyn Clock>,
        entropy: Arc<dyn Entropy>,
        paths: VaultPaths,
        cost: Cost,
        sealed: bool,
    ) -> Result<Self, VaultError> {
        let disk: Arc<dyn Disk> = Arc::new(ReadingDisk(disk));
        let vault = Vault::look(Arc::clone(&disk), &paths.database(), Arc::clone(&entropy))?;
        let mut keeper = Self { disk, clock, entropy, paths, cost, vault, trouble: None, reads_alone: true };
        if !keeper.vault.is_begun() {
            keeper.begin()?;
        }
        for _ in 0..if sealed { 0 } else { LOOKS_MAX } {
            keeper.trouble = keeper.unlock_by_files().err().map(|error| format!("failed to {error}"));
            if !keeper.vault.is_sealed() || keeper.vault.ways() == [UnlockKind::Passphrase] {
                break;
            }
            // Between its file and its key file, one may have been replaced.
            let (disk, entropy) = (Arc::clone(&keeper.disk), Arc::clone(&keeper.entropy));
            keeper.vault = Vault::look(disk, &keeper.paths.database(), entropy)?;
        }
        Ok(keeper)
    }

    fn begin(&mut self) -> Result<(), VaultError> {
        for file in [self.paths.mark(), self.paths.key_file.clone()] {
            if self.read(&file)?.is_some() {
                return Err(VaultError::Gone(file.display().to_string()));
            }
        }
        if self.reads_alone {
            return Err(VaultError::NotBegun);
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

    /// Keeps the page of the root key from the swap, while there is one. Whether it did.
    pub(crate) fn hold_in_memory(&self) -> bool {
        self.vault.hold_in_memory()
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
        if self.reads_alone {
            return Err(VaultError::ReadOnly);
        }
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

    /// Sets a tenant's secret; its version.
    pub fn set(&mut self, tenant: &str, name: &SecretName, value: &[u8], setting: Setting) -> Result<u64, VaultError> {
        self.vault.set(tenant, name, value, setting, self.clock.now())
    }

    /// A secret's value.
    pub fn reveal(&self, tenant: &str, name: &SecretName) -> Result<Zeroizing<Vec<u8>>, VaultError> {
        self.vault.get(tenant, name)
    }

    /// What keys there are, sealed or not, by name.
    pub fn keys(&self) -> Vec<KeyEntry> {
        self.vault.keys()
    }

    /// The key of this name; where there is none, one is drawn. One of the other kind is refused.
    pub fn draw_key(&mut self, name: &SecretName, kind: KeyKind) -> Result<KeyEntry, VaultError> {
        self.vault.draw_key(name, kind, self.clock.now())
    }

    /// What a key that is derived from another one would be, which is not kept.
    pub fn derived_key(&self, from: &SecretName, purpose: &str) -> Result<KeyEntry, VaultError> {
        self.vault.derived_key(from, purpose, self.clock.now())
    }

    /// Keeps a key of 32 secret bytes, unless it is there. Another one under its name is refused.
    pub fn import_key(
        &mut self,
        name: &SecretName,
        kind: KeyKind,
        secret: &Zeroizing<Vec<u8>>,
    ) -> Result<KeyEntry, VaultError> {
        self.vault.import_key(name, kind, secret, self.clock.now())
    }

    /// Keeps, under `name`, the secp256k1 key that is derived from another one for this purpose.
    pub fn derive_key(&mut self, from: &SecretName, purpose: &str, name: &SecretName) -> Result<KeyEntry, VaultError> {
        self.vault.derive_key(from, purpose, name, self.clock.now())
    }

    /// Signs a digest as it is, with a secp256k1 key: `r`, `s` in the lower half of the curve's order, and 27 or 28.
    pub fn sign_digest(&self, name: &SecretName, digest: &[u8; 32]) -> Result<[u8; 65], VaultError> {
        self.vault.sign_digest(name, digest)
    }

    /// Signs a message with an Ed25519 key.
    pub fn sign_message(&self, name: &SecretName, message: &[u8]) -> Result<[u8; 64], VaultError> {
        self.vault.sign_message(name, message)
    }

    /// The secret part of a key: 32 bytes.
    pub fn reveal_key(&self, name: &SecretName) -> Result<Zeroizing<Vec<u8>>, VaultError> {
        self.vault.reveal_key(name)
    }

    /// Every key and secret, encrypted to each of these age recipients, as text.
    pub fn export(&self, recipients: &[String]) -> Result<Vec<u8>, VaultError> {
        Ok(self.vault.exported()?.encrypt(recipients)?)
    }

    /// Puts in what an export has and the vault has not, in one change of the file. What the vault has otherwise is refused,
    /// and then nothing is put in.
    pub fn restore(&mut self, export: Export) -> Result<Restored, VaultError> {
        self.vault.restore(export)
    }
}
