//! The ways to a vault's root key. Each wraps the same key, so that a way can be added or taken without touching a secret.

use argon2::{Algorithm, Argon2, Params, Version};
use nisse_store::Entropy;
use zeroize::Zeroizing;

use crate::error::VaultError;
use crate::key::{Key, Place};

/// What somebody brings to unlock a vault.
pub enum Unlock {
    /// Words that a person remembers.
    Passphrase(Zeroizing<String>),
    /// What systemd gives to the unit (`$CREDENTIALS_DIRECTORY`), bound to this machine.
    Credential(Zeroizing<Vec<u8>>),
    /// A file beside the vault: whoever reads the disk has both.
    KeyFile(Zeroizing<Vec<u8>>),
}

/// The kind of a way.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum UnlockKind {
    /// By a passphrase.
    Passphrase,
    /// By a systemd credential.
    Credential,
    /// By a key file. It protects from nobody who can read the disk.
    KeyFile,
}

impl UnlockKind {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Passphrase, Self::Credential, Self::KeyFile];

    /// Its name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Passphrase => "passphrase",
            Self::Credential => "systemd credential",
            Self::KeyFile => "key file",
        }
    }
}

impl Unlock {
    /// Bytes of the shortest credential or key file.
    pub const KEY_LENGTH_MIN: usize = 32;

    /// Its kind.
    pub fn kind(&self) -> UnlockKind {
        match self {
            Self::Passphrase(_) => UnlockKind::Passphrase,
            Self::Credential(_) => UnlockKind::Credential,
            Self::KeyFile(_) => UnlockKind::KeyFile,
        }
    }
}

/// What Argon2id costs: a guess at a passphrase costs as much.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cost {
    /// Memory of one guess, in KiB.
    pub memory_kib: u32,
    /// Passes over it.
    pub passes: u32,
}

impl Cost {
    /// What a new passphrase is hashed with: 256 MiB, three passes.
    pub const DEFAULT: Self = Self { memory_kib: 256 * 1024, passes: 3 };
    /// What a stored one may ask for at most, so that a changed file takes no machine down.
    pub const MAX: Self = Self { memory_kib: 1024 * 1024, passes: 16 };
}

/// Bytes of a salt.
const SALT_BYTES: usize = 16;

/// One way, as it is stored: how to come to a key, and the root key sealed under that.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Way {
    pub(crate) kind: UnlockKind,
    pub(crate) cost: Cost,
    pub(crate) salt: [u8; SALT_BYTES],
    pub(crate) sealed_root: Vec<u8>,
}

impl Way {
    /// Wraps a root key.
    pub(crate) fn new(root: &Key, unlock: &Unlock, cost: Cost, entropy: &dyn Entropy) -> Result<Self, VaultError> {
        let mut salt = [0; SALT_BYTES];
        entropy.fill(&mut salt);
        let mut way = Self { kind: unlock.kind(), cost, salt, sealed_root: Vec::new() };
        way.sealed_root = way.key(unlock)?.seal(Place(&[b"way", &way.head()]), root.expose(), entropy);
        Ok(way)
    }

    /// The root key, if this is what it was wrapped for.
    pub(crate) fn open(&self, unlock: &Unlock) -> Result<Key, VaultError> {
        let root = self.key(unlock)?.open(Place(&[b"way", &self.head()]), &self.sealed_root);
        let root = root.map_err(|_| VaultError::WrongKey(self.kind.name()))?;
        Key::from_bytes(&root).ok_or(VaultError::WrongKey(self.kind.name()))
    }

    /// Kind, cost and salt are bound to the root key that they lead to.
    fn head(&self) -> Vec<u8> {
        let Cost { memory_kib, passes } = self.cost;
        [&[self.kind as u8][..], &memory_kib.to_be_bytes(), &passes.to_be_bytes(), &self.salt].concat()
    }

    fn key(&self, unlock: &Unlock) -> Result<Key, VaultError> {
        match unlock {
            Unlock::Passphrase(words) => self.stretch(words.as_bytes()),
            // These are 32 random bytes or more: nothing is gained by making a guess dear.
            Unlock::Credential(bytes) | Unlock::KeyFile(bytes) => {
                let salted = Key::from_salt(&self.salt);
                Ok(salted.extract(bytes).derive("unlock"))
            }
        }
    }

    fn stretch(&self, words: &[u8]) -> Result<Key, VaultError> {
        let Cost { memory_kib, passes } = self.cost;
        if memory_kib > Cost::MAX.memory_kib || passes > Cost::MAX.passes {
            return Err(VaultError::Tampered("way by a passphrase".to_owned()));
        }
        let refused = |_| VaultError::Tampered("way by a passphrase".to_owned());
        let params = Params::new(memory_kib, passes, 1, Some(32)).map_err(refused)?;
        let mut bytes = Zeroizing::new(vec![0; 32]);
        Argon2::new(Algorithm::Argon2id, Version::V0x13, params)
            .hash_password_into(words, &self.salt, &mut bytes)
            .map_err(refused)?;
        Key::from_bytes(&bytes).ok_or(VaultError::WrongKey(self.kind.name()))
    }
}
