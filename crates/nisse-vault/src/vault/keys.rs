//! Keys that sign, in the vault: the node's own, and no tenant's. They lie under a key that is derived from the root key
//! itself, apart from those of all tenants, so no name of a tenant leads to them.

use std::path::Path;

use nisse_model::{SecretName, Timestamp};
use nisse_store::Disk;
use zeroize::Zeroizing;

use super::{Of, Vault, read_stored};
use crate::error::VaultError;
use crate::keeper::DATABASE;
use crate::key::Key;
use crate::signing::{KeyEntry, KeyKind, SigningKey};
use crate::stored::{Body, StoredKey, StoredVault};

/// The public parts of the keys in a vault's own folder (`<home>/vault`), by name, as they lie there: nothing of it is
/// proven, since nothing is unlocked. Empty where there is no vault. For a home on which no node runs.
pub fn listed_keys(disk: &dyn Disk, folder: &Path) -> Result<Vec<KeyEntry>, VaultError> {
    Ok(entries(read_stored(disk, &folder.join(DATABASE))?.as_ref()))
}

impl Vault {
    /// What keys there are, sealed or not, by name.
    pub fn keys(&self) -> Vec<KeyEntry> {
        entries(self.stored.as_ref())
    }

    /// The key of this name; where there is none, one is drawn.
    pub fn draw_key(&mut self, name: &SecretName, kind: KeyKind, now: Timestamp) -> Result<KeyEntry, VaultError> {
        match self.body()?.keys.get(name) {
            Some(there) if there.kind == kind => Ok(entry(name, there)),
            Some(_) => Err(VaultError::KeyExists(name.to_string())),
            None => {
                let (secret, key) = SigningKey::draw(kind, &*self.entropy);
                self.keep_key(KeyEntry { name: name.clone(), kind, public: key.public(), created: now }, &secret)
            }
        }
    }

    /// Keeps a key of these 32 secret bytes. One that is there under its name already is left as it is.
    pub fn import_key(
        &mut self,
        name: &SecretName,
        kind: KeyKind,
        secret: &Zeroizing<Vec<u8>>,
        now: Timestamp,
    ) -> Result<KeyEntry, VaultError> {
        self.root()?;
        let (secret, key) = signing_key(kind, secret)?;
        self.keep_key(KeyEntry { name: name.clone(), kind, public: key.public(), created: now }, &secret)
    }

    /// Keeps, under `name`, the secp256k1 key that is derived from another one for this purpose.
    pub fn derive_key(
        &mut self,
        from: &SecretName,
        purpose: &str,
        name: &SecretName,
        now: Timestamp,
    ) -> Result<KeyEntry, VaultError> {
        let (secret, key) = self.derived(from, purpose)?;
        let entry = KeyEntry { name: name.clone(), kind: KeyKind::Secp256k1, public: key.public(), created: now };
        self.keep_key(entry, &secret)
    }

    /// What that key would be, under the name of the one that it is derived from: it is not kept.
    pub fn derived_key(&self, from: &SecretName, purpose: &str, now: Timestamp) -> Result<KeyEntry, VaultError> {
        let (_, key) = self.derived(from, purpose)?;
        Ok(KeyEntry { name: from.clone(), kind: KeyKind::Secp256k1, public: key.public(), created: now })
    }

    fn derived(&self, from: &SecretName, purpose: &str) -> Result<(Key, SigningKey), VaultError> {
        if purpose.len() > Self::PURPOSE_LENGTH_MAX {
            return Err(VaultError::UnfitKey("what it is derived for has at most 1,024 bytes"));
        }
        self.check_kind(from, KeyKind::Secp256k1)?;
        Ok(SigningKey::derive(&self.key_secret(from)?, purpose))
    }

    /// Signs a digest as it is, with a secp256k1 key: `r`, `s` in the lower half of the curve's order, and 27 or 28.
    pub fn sign_digest(&self, name: &SecretName, digest: &[u8; 32]) -> Result<[u8; 65], VaultError> {
        self.check_kind(name, KeyKind::Secp256k1)?;
        self.signing_key(name)?.sign_digest(digest).ok_or(VaultError::UnfitKey("it has no signature for this digest"))
    }

    /// Signs a message with an Ed25519 key.
    pub fn sign_message(&self, name: &SecretName, message: &[u8]) -> Result<[u8; 64], VaultError> {
        self.check_kind(name, KeyKind::Ed25519)?;
        self.signing_key(name)?
            .sign_message(message)
            .ok_or(VaultError::UnfitKey("it has no signature for this message"))
    }

    /// The secret part of a key: 32 bytes.
    pub fn reveal_key(&self, name: &SecretName) -> Result<Zeroizing<Vec<u8>>, VaultError> {
        Ok(Zeroizing::new(self.key_secret(name)?.expose().to_vec()))
    }

    fn signing_key(&self, name: &SecretName) -> Result<SigningKey, VaultError> {
        let kind = self.stored_key(name)?.kind;
        SigningKey::new(kind, &self.key_secret(name)?).ok_or_else(|| tampered(name))
    }

    fn check_kind(&self, name: &SecretName, kind: KeyKind) -> Result<(), VaultError> {
        let found = self.stored_key(name)?.kind;
        if found == kind {
            return Ok(());
        }
        Err(VaultError::OtherKind { name: name.to_string(), found: found.name() })
    }

    fn stored_key(&self, name: &SecretName) -> Result<&StoredKey, VaultError> {
        self.body()?.keys.get(name).ok_or_else(|| VaultError::NoSuchKey(name.to_string()))
    }

    pub(super) fn key_secret(&self, name: &SecretName) -> Result<Key, VaultError> {
        let stored = self.stored_key(name)?;
        let number = [stored.kind as u8];
        let place = |what| place_of_key(what, name, &number, &stored.public);
        let opened = |bytes| Key::from_bytes(&bytes).ok_or_else(|| tampered(name));
        let key = self.root()?.derive(KEYS).open(place("data key of a key").place(), &stored.key);
        let key = opened(key.map_err(|_| tampered(name))?)?;
        opened(key.open(place("key").place(), &stored.secret).map_err(|_| tampered(name))?)
    }

    /// Keeps a key, durable before this returns, unless it is there.
    fn keep_key(&mut self, new: KeyEntry, secret: &Key) -> Result<KeyEntry, VaultError> {
        let mut body = self.body()?.clone();
        match self.add_key(&mut body, self.root()?, new.clone(), secret)? {
            Some(there) => Ok(there),
            None => self.change(body).map(|()| new),
        }
    }

    /// Puts a key into a body. The entry of the one that is there instead, if it is this one.
    pub(super) fn add_key(
        &self,
        body: &mut Body,
        root: &Key,
        new: KeyEntry,
        secret: &Key,
    ) -> Result<Option<KeyEntry>, VaultError> {
        match body.keys.get(&new.name) {
            // A public part has one secret part.
            Some(there) if there.kind == new.kind && there.public == new.public => {
                return Ok(Some(entry(&new.name, there)));
            }
            Some(_) => return Err(VaultError::KeyExists(new.name.to_string())),
            None if body.keys.len() >= Self::KEYS_MAX => {
                return Err(VaultError::UnfitKey("the vault holds 64 keys, as many as it may"));
            }
            None => {}
        }
        self.seal_key_into(body, root, new, secret);
        Ok(None)
    }

    /// Seals a key into a body, with a new key of its own.
    pub(super) fn seal_key_into(&self, body: &mut Body, root: &Key, new: KeyEntry, secret: &Key) {
        let KeyEntry { name, kind, public, created } = new;
        let number = [kind as u8];
        let place = |what| place_of_key(what, &name, &number, &public);
        let data_key = Key::draw(&*self.entropy);
        let key = root.derive(KEYS).seal(place("data key of a key").place(), data_key.expose(), &*self.entropy);
        let secret = data_key.seal(place("key").place(), secret.expose(), &*self.entropy);
        body.keys.insert(name, StoredKey { kind, public, created: created.0, key, secret });
    }
}

/// What the key of all keys is derived for.
const KEYS: &str = "keys";

fn tampered(name: &SecretName) -> VaultError {
    VaultError::Tampered(format!("key `{name}`"))
}

/// The key of these bytes, if they are one.
pub(super) fn signing_key(kind: KeyKind, secret: &Zeroizing<Vec<u8>>) -> Result<(Key, SigningKey), VaultError> {
    let secret = Key::from_bytes(secret).ok_or(VaultError::UnfitKey("its secret part has 32 bytes"))?;
    let unfit = VaultError::UnfitKey("these bytes are no secp256k1 key: they are zero or not below the curve's order");
    let key = SigningKey::new(kind, &secret).ok_or(unfit)?;
    Ok((secret, key))
}

fn entries(stored: Option<&StoredVault>) -> Vec<KeyEntry> {
    stored.iter().flat_map(|stored| &stored.body.keys).map(|(name, key)| entry(name, key)).collect()
}

fn entry(name: &SecretName, key: &StoredKey) -> KeyEntry {
    let StoredKey { kind, public, created, .. } = key;
    KeyEntry { name: name.clone(), kind: *kind, public: public.clone(), created: Timestamp(*created) }
}

fn place_of_key<'o>(what: &'o str, name: &'o SecretName, kind: &'o [u8; 1], public: &'o [u8]) -> Of<'o, 4> {
    Of([what.as_bytes(), name.as_str().as_bytes(), kind, public])
}
