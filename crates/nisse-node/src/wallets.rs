//! The home's wallets: their keys lie in the vault and sign there; here are their names and addresses.
//!
//! A home of an earlier nisse has them in files, which go into the vault when it is open, and only then go from the disk.

use std::collections::BTreeMap;
use std::sync::{Arc, PoisonError, RwLock};

use async_trait::async_trait;
use nisse_market::{LocalKey, SignError, Signature, Signer, address_of};
use nisse_model::{Address, SecretName};
use nisse_store::Disk;
use nisse_vault::{KeyEntry, KeyKind, RefusalKind, VaultCallError, VaultClient};
use zeroize::Zeroizing;

use crate::error::{ErrorKind, NodeError};
use crate::home::Home;

/// Where the vault lies in a home.
pub(crate) const VAULT_FOLDER: &str = "vault";

/// Which of a home's keys.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum KeyName {
    /// The node's owner: stakes, bids, serves, and deploys home leases.
    Operator,
    /// A second owner who pays for leases, as the demo has it.
    Deployer,
}

impl KeyName {
    /// Both.
    pub(crate) const ALL: [Self; 2] = [Self::Operator, Self::Deployer];

    /// Its name in the vault, and the word on the command line.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Operator => "operator",
            Self::Deployer => "deployer",
        }
    }

    /// Its name as the vault takes it.
    pub(crate) fn in_vault(self) -> SecretName {
        self.as_str().parse().expect("a word is a name")
    }
}

/// The key that makes the contracts of one version and nothing else.
pub(crate) fn maker_name(version: u64) -> String {
    format!("contracts-{version}")
}

/// Hands out the home's signers.
pub(crate) struct Wallets {
    vault: VaultClient,
    known: RwLock<BTreeMap<String, Arc<dyn Signer>>>,
}

impl Wallets {
    /// The keys that are in the vault, sealed or not, and those that still lie in files.
    pub(crate) async fn open(vault: VaultClient, home: &Home) -> Result<Self, NodeError> {
        let wallets = Self { vault, known: RwLock::default() };
        for entry in wallets.vault.keys().await? {
            if entry.kind == KeyKind::Secp256k1 {
                wallets.take(entry)?;
            }
        }
        wallets.bring_in(home).await?;
        Ok(wallets)
    }

    /// Takes keys that lie in files into the vault. While that is sealed, they are used from where they are.
    pub(crate) async fn bring_in(&self, home: &Home) -> Result<(), NodeError> {
        for name in KeyName::ALL {
            let Some(secret) = home.key_file(name)? else { continue };
            let bytes = Zeroizing::new(secret.to_vec());
            match self.vault.import_key(&name.in_vault(), KeyKind::Secp256k1, bytes).await {
                Ok(entry) => {
                    self.take(entry)?;
                    home.remove_key_file(name)?;
                    tracing::info!(key = name.as_str(), "the key's file went into the vault");
                }
                Err(VaultCallError::Refused { kind: RefusalKind::Sealed, .. }) if self.has(name) => {}
                Err(VaultCallError::Refused { kind: RefusalKind::Sealed, .. }) => {
                    let key = LocalKey::from_bytes(&secret).map_err(|_| home.key_invalid(name))?;
                    self.known_mut().insert(name.as_str().to_owned(), Arc::new(key));
                }
                Err(error) => return Err(error.into()),
            }
        }
        Ok(())
    }

    /// Whether this key was ever made here.
    pub(crate) fn has(&self, name: KeyName) -> bool {
        self.find(name.as_str()).is_some()
    }

    /// The address of a key that was made before.
    pub(crate) fn address(&self, name: KeyName) -> Option<Address> {
        self.find(name.as_str()).map(|signer| signer.address())
    }

    /// A key that was made before.
    pub(crate) fn get(&self, name: KeyName) -> Result<Arc<dyn Signer>, NodeError> {
        self.find(name.as_str()).ok_or_else(|| {
            let text = format!("failed to find the key `{}`: this home has none of that name", name.as_str());
            NodeError::new(ErrorKind::NotFound, "key_unknown", text)
        })
    }

    /// A key, drawn at first use. One that is missing where it was used before is a refusal.
    pub(crate) async fn draw(&self, home: &Home, name: KeyName) -> Result<Arc<dyn Signer>, NodeError> {
        if let Some(known) = self.find(name.as_str()) {
            return Ok(known);
        }
        home.check_never_used(name)?;
        self.take(self.vault.draw_key(&name.in_vault(), KeyKind::Secp256k1).await?)
    }

    /// The key that makes the contracts of one version: it follows from the operator's, so that a chain that is rebuilt has
    /// them where they were.
    pub(crate) async fn maker(&self, version: u64) -> Result<Arc<dyn Signer>, NodeError> {
        let name = maker_name(version);
        if let Some(known) = self.find(&name) {
            return Ok(known);
        }
        let name: SecretName = name.parse().expect("a word and a number are a name");
        let (from, purpose) = (KeyName::Operator.in_vault(), format!("contracts/{version}"));
        self.take(self.vault.derive_key(&from, &purpose, &name).await?)
    }

    /// The address of the key that makes the contracts of one version, which is not kept for it.
    pub(crate) async fn maker_address(&self, version: u64) -> Result<Address, NodeError> {
        let (from, purpose) = (KeyName::Operator.in_vault(), format!("contracts/{version}"));
        Ok(public_of(&self.vault.derived_key(&from, &purpose).await?)?.1)
    }

    fn find(&self, name: &str) -> Option<Arc<dyn Signer>> {
        self.known.read().unwrap_or_else(PoisonError::into_inner).get(name).cloned()
    }

    fn known_mut(&self) -> std::sync::RwLockWriteGuard<'_, BTreeMap<String, Arc<dyn Signer>>> {
        self.known.write().unwrap_or_else(PoisonError::into_inner)
    }

    fn take(&self, entry: KeyEntry) -> Result<Arc<dyn Signer>, NodeError> {
        let (public, address) = public_of(&entry)?;
        let signer: Arc<dyn Signer> =
            Arc::new(VaultSigner { vault: self.vault.clone(), name: entry.name.clone(), address, public });
        self.known_mut().insert(entry.name.to_string(), Arc::clone(&signer));
        Ok(signer)
    }
}

/// A key in the vault.
struct VaultSigner {
    vault: VaultClient,
    name: SecretName,
    address: Address,
    public: [u8; 33],
}

#[async_trait]
impl Signer for VaultSigner {
    fn address(&self) -> Address {
        self.address
    }

    fn public_key(&self) -> [u8; 33] {
        self.public
    }

    async fn sign_hash(&self, digest: [u8; 32]) -> Result<Signature, SignError> {
        let signed = self.vault.sign_digest(&self.name, digest).await;
        let signed = signed.map_err(|error| SignError { address: self.address, reason: unsigned(&error) })?;
        Signature::from_signer(self.address, digest, &signed)
    }
}

/// Why the vault did not sign.
fn unsigned(error: &VaultCallError) -> String {
    match error {
        VaultCallError::Refused { kind: RefusalKind::Sealed, .. } => "the vault is sealed".to_owned(),
        other => format!("failed to {other}"),
    }
}

/// The addresses of a home's keys, by name, as they lie in its files: nothing is opened for it, and nothing proven.
pub(crate) fn listed(disk: &dyn Disk, home: &Home) -> Result<BTreeMap<String, Address>, NodeError> {
    let mut listed = BTreeMap::new();
    let entries = nisse_vault::listed_keys(disk, &home.join(VAULT_FOLDER));
    for entry in entries.map_err(|error| NodeError::caused(ErrorKind::Refused, "vault_tampered", &error))? {
        if entry.kind == KeyKind::Secp256k1 {
            listed.insert(entry.name.to_string(), public_of(&entry)?.1);
        }
    }
    for name in KeyName::ALL {
        if let Some(secret) = home.key_file(name)? {
            let key = LocalKey::from_bytes(&secret).map_err(|_| home.key_invalid(name))?;
            listed.insert(name.as_str().to_owned(), key.address());
        }
    }
    Ok(listed)
}

fn public_of(entry: &KeyEntry) -> Result<([u8; 33], Address), NodeError> {
    let public: Option<[u8; 33]> = entry.public.as_slice().try_into().ok();
    let found = public.and_then(|public| Some((public, address_of(&public).ok()?)));
    found.ok_or_else(|| {
        let text =
            format!("failed to use the key `{}` of the vault: its public part is no point of the curve", entry.name);
        NodeError::new(ErrorKind::Refused, "vault_tampered", text)
            .with_hint("put the folder `vault` back from a copy; or move `vault` and `keys/vault*` away and run `nisse vault restore` on an export".to_owned())
    })
}

#[cfg(test)]
mod tests;
