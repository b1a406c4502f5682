//! The vault: sealed until it is unlocked, and what it keeps then.
//!
//! What was unlocked is the truth while the process lives; the file is written anew from it by each change.

mod keys;
mod restored;

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use nisse_model::{SecretName, Timestamp};
use nisse_store::{Disk, Entropy};
use zeroize::Zeroizing;

use crate::error::VaultError;
use crate::key::{Key, Place};
use crate::signing::KeyEntry;
use crate::stored::{Body, StoredError, StoredKey, StoredSecret, StoredVault};
use crate::unlock::{Cost, Unlock, UnlockKind, Way};

/// What may be told of a secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Secret {
    /// Its name.
    pub name: SecretName,
    /// How often it was set.
    pub version: u64,
    /// When, the last time.
    pub changed: Timestamp,
}

/// Whether a value is the first of its name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Setting {
    /// There must be none of that name.
    New,
    /// It takes the place of the one that is there.
    Rotated,
}

/// Secrets of several tenants in one file.
pub struct Vault {
    disk: Arc<dyn Disk>,
    path: PathBuf,
    entropy: Arc<dyn Entropy>,
    /// Nothing where there is no file.
    stored: Option<StoredVault>,
    /// While it is unlocked.
    root: Option<Key>,
    /// Its file is another one's to write.
    reads_alone: bool,
}

impl Vault {
    /// Bytes of the shortest secret: a shorter one is guessed, and found by chance in what echoes it.
    pub const VALUE_LENGTH_MIN: usize = 8;
    /// Bytes of the longest.
    pub const VALUE_LENGTH_MAX: usize = 16 * 1024;
    /// Secrets of all tenants.
    pub const SECRETS_MAX: usize = 1_024;
    /// Keys, of both kinds.
    pub const KEYS_MAX: usize = 64;
    /// Bytes of the text that says what a derived key is for.
    pub const PURPOSE_LENGTH_MAX: usize = 1_024;
    /// Bytes of a tenant's name.
    pub const TENANT_LENGTH_MAX: usize = 64;
    /// Characters of the shortest passphrase.
    pub const PASSPHRASE_LENGTH_MIN: usize = 8;
    /// Bytes of the file, with as many secrets as it may hold, each as long as it may be.
    const FILE_BYTES_MAX: u64 = 32 << 20;

    /// The vault in this file, sealed; an empty one where there is no file.
    pub fn open(disk: Arc<dyn Disk>, path: &Path, entropy: Arc<dyn Entropy>) -> Result<Self, VaultError> {
        let stored = read_stored(&*disk, path)?;
        Ok(Self { disk, path: path.to_owned(), entropy, stored, root: None, reads_alone: false })
    }

    /// The same, of which nothing can be changed.
    pub(crate) fn look(disk: Arc<dyn Disk>, path: &Path, entropy: Arc<dyn Entropy>) -> Result<Self, VaultError> {
        Ok(Self { reads_alone: true, ..Self::open(disk, path, entropy)? })
    }

    /// Whether it was ever begun.
    pub fn is_begun(&self) -> bool {
        self.stored.is_some()
    }

    /// The ways in which it can be unlocked; none in one that was never begun.
    pub fn ways(&self) -> Vec<UnlockKind> {
        self.stored.iter().flat_map(|stored| stored.body.ways.keys().copied()).collect()
    }

    /// Whether it is sealed.
    pub fn is_sealed(&self) -> bool {
        self.root.is_none()
    }

    /// Whether each of these is fit to unlock a vault.
    pub fn check(unlocks: &[Unlock]) -> Result<(), VaultError> {
        for unlock in unlocks {
            match unlock {
                Unlock::Passphrase(words) if words.chars().count() < Self::PASSPHRASE_LENGTH_MIN => {
                    return Err(VaultError::Protection("a passphrase has at least 8 characters"));
                }
                Unlock::Credential(key) | Unlock::KeyFile(key) if key.len() < Unlock::KEY_LENGTH_MIN => {
                    return Err(VaultError::Protection("a credential or a key file has at least 32 bytes"));
                }
                _ => {}
            }
        }
        Ok(())
    }

    /// Whether this unlocks it.
    pub fn is_opened_by(&self, unlock: &Unlock) -> bool {
        let way = self.stored.as_ref().and_then(|stored| stored.body.ways.get(&unlock.kind()));
        way.is_some_and(|way| way.open(unlock).is_ok())
    }

    /// From now on these unlock it, each by itself, and nothing else does. Every key in it is drawn anew and every secret
    /// sealed anew: whoever has an earlier file and what opened that has nothing of what comes later. Begins a vault that
    /// was never used; another one has to be unlocked.
    pub fn protect(&mut self, unlocks: &[Unlock], cost: Cost) -> Result<(), VaultError> {
        if unlocks.is_empty() {
            return Err(VaultError::Protection("something has to open it"));
        }
        Self::check(unlocks)?;
        let mut body = Body::default();
        let (mut values, mut keys) = (Vec::new(), Vec::new());
        if let Some(StoredVault { body: before, .. }) = &self.stored {
            body.counter = before.counter;
            for ((tenant, name), secret) in &before.secrets {
                values.push((tenant.clone(), name.clone(), secret.clone(), self.get(tenant, name)?));
            }
            for (name, key) in &before.keys {
                keys.push((name, key, self.key_secret(name)?));
            }
            // An empty one, too, is protected anew by nobody who could not unlock it.
            self.root()?;
        }
        let root = Key::draw(&*self.entropy);
        for unlock in unlocks {
            let way = Way::new(&root, unlock, cost, &*self.entropy)?;
            body.ways.insert(way.kind, way);
        }
        for (tenant, name, StoredSecret { version, changed, .. }, value) in values {
            self.seal_into(&mut body, &root, (&tenant, &name), (version, changed), &value)?;
        }
        for (name, StoredKey { kind, public, created, .. }, secret) in keys {
            let public = public.clone();
            self.seal_key_into(
                &mut body,
                &root,
                KeyEntry { name: name.clone(), kind: *kind, public, created: Timestamp(*created) },
                &secret,
            );
        }
        self.replace(body, &root)?;
        self.root = Some(root);
        Ok(())
    }

    /// Unlocks it, if it is as it was left.
    pub fn unlock(&mut self, unlock: &Unlock) -> Result<(), VaultError> {
        let kind = unlock.kind();
        let none = || VaultError::NoSuchWay(kind.name());
        let stored = self.stored.as_ref().ok_or_else(none)?;
        let root = stored.body.ways.get(&kind).ok_or_else(none)?.open(unlock)?;
        if !stored.is_of(&root) {
            return Err(VaultError::Tampered("index".to_owned()));
        }
        self.root = Some(root);
        Ok(())
    }

    /// Sets a secret; its new version.
    pub fn set(
        &mut self,
        tenant: &str,
        name: &SecretName,
        value: &[u8],
        setting: Setting,
        now: Timestamp,
    ) -> Result<u64, VaultError> {
        check_lengths(tenant, value)?;
        let mut body = self.body()?.clone();
        let before = body.secrets.get(&(tenant.to_owned(), name.clone()));
        let version = match (before, setting) {
            (Some(_), Setting::New) => return Err(VaultError::SecretExists(name.to_string())),
            (None, Setting::Rotated) => return Err(VaultError::NoSuchSecret(name.to_string())),
            (Some(before), Setting::Rotated) => before.version + 1,
            (None, Setting::New) if body.secrets.len() >= Self::SECRETS_MAX => {
                return Err(VaultError::Limit(SECRETS_MAX));
            }
            (None, Setting::New) => 1,
        };
        self.seal_into(&mut body, self.root()?, (tenant, name), (version, now.0), value)?;
        self.change(body)?;
        Ok(version)
    }

    /// A secret's value.
    pub fn get(&self, tenant: &str, name: &SecretName) -> Result<Zeroizing<Vec<u8>>, VaultError> {
        Self::opened(self.body()?, self.root()?, tenant, name)
    }

    fn opened(body: &Body, root: &Key, tenant: &str, name: &SecretName) -> Result<Zeroizing<Vec<u8>>, VaultError> {
        let missing = || VaultError::NoSuchSecret(name.to_string());
        let secret = body.secrets.get(&(tenant.to_owned(), name.clone())).ok_or_else(missing)?;
        let tampered = || VaultError::Tampered(format!("secret `{name}`"));
        let tenant_key = tenant_key(body, root, tenant)?.ok_or_else(tampered)?;
        let number = secret.version.to_be_bytes();
        let open = |key: &Key, what, bytes: &[u8]| {
            key.open(of(what, tenant, name, &number).place(), bytes).map_err(|_| tampered())
        };
        let data_key = Key::from_bytes(&open(&tenant_key, "data key", &secret.key)?).ok_or_else(tampered)?;
        open(&data_key, "value", &secret.value)
    }

    /// What there is of a tenant, sealed or not, by name.
    pub fn list(&self, tenant: &str) -> Vec<Secret> {
        let all = self.stored.iter().flat_map(|stored| &stored.body.secrets);
        let of_tenant = all.filter(|((of, _), _)| of == tenant);
        of_tenant
            .map(|((_, name), secret)| Secret {
                name: name.clone(),
                version: secret.version,
                changed: Timestamp(secret.changed),
            })
            .collect()
    }

    /// Forgets a secret.
    pub fn remove(&mut self, tenant: &str, name: &SecretName) -> Result<(), VaultError> {
        let mut body = self.body()?.clone();
        match body.secrets.remove(&(tenant.to_owned(), name.clone())) {
            Some(_) => self.change(body),
            None => Err(VaultError::NoSuchSecret(name.to_string())),
        }
    }

    /// Keeps the page of the root key from the swap, while there is one. Whether it did.
    pub(crate) fn hold_in_memory(&self) -> bool {
        self.root.as_ref().is_some_and(Key::hold_in_memory)
    }

    fn root(&self) -> Result<&Key, VaultError> {
        self.root.as_ref().ok_or(VaultError::Sealed)
    }

    /// What is in it, once it is unlocked: then it is what was left.
    fn body(&self) -> Result<&Body, VaultError> {
        self.root()?;
        Ok(&self.stored.as_ref().ok_or(VaultError::Sealed)?.body)
    }

    /// Seals a value into a body, with a new key of its own, and with one for its tenant where that has none.
    fn seal_into(
        &self,
        body: &mut Body,
        root: &Key,
        (tenant, name): (&str, &SecretName),
        (version, changed): (u64, u64),
        value: &[u8],
    ) -> Result<(), VaultError> {
        let tenant_key = match tenant_key(body, root, tenant)? {
            Some(key) => key,
            None => {
                let key = Key::draw(&*self.entropy);
                let sealed = root.derive("tenants").seal(place_of_tenant(tenant).place(), key.expose(), &*self.entropy);
                body.tenants.insert(tenant.to_owned(), sealed);
                key
            }
        };
        let data_key = Key::draw(&*self.entropy);
        let number = version.to_be_bytes();
        let key = tenant_key.seal(of("data key", tenant, name, &number).place(), data_key.expose(), &*self.entropy);
        let value = data_key.seal(of("value", tenant, name, &number).place(), value, &*self.entropy);
        body.secrets.insert((tenant.to_owned(), name.clone()), StoredSecret { version, changed, key, value });
        Ok(())
    }

    fn change(&mut self, body: Body) -> Result<(), VaultError> {
        let root = self.root.take().ok_or(VaultError::Sealed)?;
        let changed = self.replace(body, &root);
        self.root = Some(root);
        changed
    }

    /// Writes the file anew. What fails leaves in memory what was there; the file has then either, and the next change both.
    fn replace(&mut self, mut body: Body, root: &Key) -> Result<(), VaultError> {
        if self.reads_alone {
            return Err(VaultError::ReadOnly);
        }
        body.counter += 1;
        let stored = StoredVault::new(body, root);
        let replaced = self.disk.replace(&self.path, &stored.encode());
        replaced.map_err(|error| VaultError::file("write", &self.path, &error))?;
        self.stored = Some(stored);
        Ok(())
    }
}

impl fmt::Debug for Vault {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(if self.is_sealed() { "a sealed vault" } else { "a vault" })
    }
}

/// What is said of a value that is too short or too long.
pub(crate) const VALUE_LENGTHS: &str = "a secret has 8 bytes to 16 KiB";

/// What is said of one secret too many.
const SECRETS_MAX: &str = "the vault holds 1,024 secrets, as many as it may";

/// Refuses what is no tenant's name, and a value that is too short or too long.
fn check_lengths(tenant: &str, value: &[u8]) -> Result<(), VaultError> {
    if !(Vault::VALUE_LENGTH_MIN..=Vault::VALUE_LENGTH_MAX).contains(&value.len()) {
        return Err(VaultError::Limit(VALUE_LENGTHS));
    }
    if tenant.is_empty() || tenant.len() > Vault::TENANT_LENGTH_MAX {
        return Err(VaultError::Limit("a tenant's name has 1 to 64 bytes"));
    }
    Ok(())
}

/// The file, if there is one.
fn read_stored(disk: &dyn Disk, path: &Path) -> Result<Option<StoredVault>, VaultError> {
    match disk.read(path, Vault::FILE_BYTES_MAX) {
        Ok(bytes) => StoredVault::decode(&bytes).map(Some).map_err(|error| match error {
            StoredError::Newer(version) => VaultError::Newer(version),
            StoredError::Malformed => VaultError::Tampered("file".to_owned()),
        }),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(VaultError::file("read", path, &error)),
    }
}

/// The key of a tenant that has one.
fn tenant_key(body: &Body, root: &Key, tenant: &str) -> Result<Option<Key>, VaultError> {
    let Some(sealed) = body.tenants.get(tenant) else { return Ok(None) };
    let tampered = || VaultError::Tampered(format!("key of the tenant `{tenant}`"));
    let key = root.derive("tenants").open(place_of_tenant(tenant).place(), sealed).map_err(|_| tampered())?;
    Key::from_bytes(&key).map(Some).ok_or_else(tampered)
}

/// The parts of a place, held while it is used.
struct Of<'o, const N: usize>([&'o [u8]; N]);

impl<const N: usize> Of<'_, N> {
    fn place(&self) -> Place<'_> {
        Place(&self.0)
    }
}

fn of<'o>(what: &'o str, tenant: &'o str, name: &'o SecretName, version: &'o [u8; 8]) -> Of<'o, 4> {
    Of([what.as_bytes(), tenant.as_bytes(), name.as_str().as_bytes(), version])
}

fn place_of_tenant(tenant: &str) -> Of<'_, 2> {
    Of([b"tenant key", tenant.as_bytes()])
}

pub use keys::listed_keys;
pub use restored::Restored;

#[cfg(test)]
mod tests;
