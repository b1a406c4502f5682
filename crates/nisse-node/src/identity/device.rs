//! The key of the device that a home is: it lies in the vault. QUIC signs with it in the node's own process, so its seed is in
//! memory here as well while the vault is open.
//!
//! A home of an earlier nisse has it in a file, which goes into the vault when that is open, and only then goes from the disk.

use std::path::Path;
use std::sync::Arc;

use nisse_model::{Did, SecretName, SigningKey};
use nisse_store::Disk;
use nisse_vault::{KeyEntry, KeyKind, RefusalKind, UnlockKind, VaultCallError, VaultClient, VaultState, VaultStatus};
use tokio::sync::watch;
use zeroize::Zeroizing;

use super::none;
use crate::core::Core;
use crate::error::{ErrorKind, NodeError};
use crate::home::{self, Home};
use crate::node::Seams;
use crate::options::NodeOptions;
use crate::supervisor::{Stop, Supervisor};
use crate::vault;
use crate::wallets::VAULT_FOLDER;

/// Its name in the vault.
pub(crate) const NAME: &str = "device";

/// What a key comes from.
type Seed = Zeroizing<[u8; 32]>;

/// The key of this device, and the seed that it comes from.
pub(crate) struct DeviceKey {
    pub(crate) key: SigningKey,
    pub(crate) seed: Seed,
}

/// What the node has of it: while the vault is sealed, its name alone.
#[derive(Clone)]
pub(crate) struct Held {
    pub(crate) did: Option<Did>,
    pub(crate) key: Option<Arc<DeviceKey>>,
}

/// The device that a home is.
pub(crate) struct Device {
    vault: VaultClient,
    held: watch::Sender<Held>,
    /// One at a time takes the seed or forgets it: none comes back after the vault was sealed.
    turn: tokio::sync::Mutex<()>,
}

impl Device {
    /// What the vault has, sealed or not, or a file.
    pub(crate) async fn open(vault: VaultClient, home: &Home) -> Result<Self, NodeError> {
        let did = did_among(&vault.keys().await?)?;
        let device =
            Self { vault, held: watch::Sender::new(Held { did, key: None }), turn: tokio::sync::Mutex::default() };
        device.unseal(home).await?;
        Ok(device)
    }

    /// Takes a key that lies in a file into the vault, and the seed out of it. While that is sealed, a key in a file is used
    /// from where it is.
    pub(super) async fn unseal(&self, home: &Home) -> Result<(), NodeError> {
        let _turn = self.turn.lock().await;
        if let Some(seed) = home.device_key_file()? {
            let bytes = Zeroizing::new(seed.to_vec());
            match self.vault.import_key(&name(), KeyKind::Ed25519, bytes).await {
                Ok(_) => {
                    self.hold(seed);
                    home.remove_device_key_file()?;
                    tracing::info!(key = NAME, "the key's file went into the vault");
                }
                Err(error) if is_sealed(&error) && self.did().is_some() => {}
                Err(error) if is_sealed(&error) => drop(self.hold(seed)),
                Err(error) => return Err(error.into()),
            }
        }
        if self.did().is_none() || self.key().is_ok() {
            return Ok(());
        }
        match revealed(&self.vault).await {
            Ok(seed) => drop(self.hold(seed)),
            Err(error) if is_sealed(&error) => {}
            Err(error) => return Err(error.into()),
        }
        Ok(())
    }

    /// Forgets the seed: the vault was sealed.
    pub(super) async fn forget(&self) {
        let _turn = self.turn.lock().await;
        self.held.send_modify(|held| held.key = None);
    }

    /// The key, drawn at first use. It is durable before anybody hears of it.
    pub(super) async fn drawn(&self) -> Result<Arc<DeviceKey>, NodeError> {
        let _turn = self.turn.lock().await;
        if let Ok(key) = self.key() {
            return Ok(key);
        }
        self.vault.draw_key(&name(), KeyKind::Ed25519).await?;
        Ok(self.hold(revealed(&self.vault).await?))
    }

    /// Which device this is, if it has a key.
    pub(super) fn did(&self) -> Option<Did> {
        self.held.borrow().did
    }

    /// The key, to sign with.
    pub(super) fn key(&self) -> Result<Arc<DeviceKey>, NodeError> {
        let Held { did, key } = self.held.borrow().clone();
        match (key, did) {
            (Some(key), _) => Ok(key),
            (None, Some(_)) => Err(vault::sealed(None)),
            (None, None) => Err(none()),
        }
    }

    /// Tells whenever the seed is taken or forgotten.
    pub(super) fn changes(&self) -> watch::Receiver<Held> {
        self.held.subscribe()
    }

    fn hold(&self, seed: Seed) -> Arc<DeviceKey> {
        let key = Arc::new(DeviceKey { key: SigningKey::from_seed(&seed), seed });
        self.held.send_replace(Held { did: Some(key.key.did()), key: Some(Arc::clone(&key)) });
        key
    }
}

/// Holds the seed while the vault is open, and forgets it when that is sealed, whoever did so.
pub(crate) async fn follow_vault(core: Arc<Core>, mut stop: Stop) {
    let mut changes = core.vault.client().changes();
    loop {
        tokio::select! {
            () = stop.requested() => return,
            changed = changes.changed() => if changed.is_err() { return },
        }
        let state = changes.borrow_and_update().clone();
        let VaultState::Known(status) = state else { continue };
        if status.sealed {
            core.identity.seal().await;
        } else if let Err(error) = core.identity.unseal(&core.home).await {
            tracing::warn!(error = error.text, "the vault is open, and the key of this device is not taken out of it");
        }
    }
}

/// The device that a home is, as it lies in its files: nothing is opened for it, and nothing proven.
pub(crate) fn listed(disk: &dyn Disk, home: &Path) -> Result<Option<Did>, NodeError> {
    if let Some(seed) = home::device_key_file(disk, home)? {
        return Ok(Some(SigningKey::from_seed(&seed).did()));
    }
    let entries = nisse_vault::listed_keys(disk, &home.join(VAULT_FOLDER));
    did_among(&entries.map_err(|error| NodeError::caused(ErrorKind::Refused, "vault_tampered", &error))?)
}

/// The seed of the key of the device that a home is, if it was drawn. A node may run on the home: nothing in it is changed. The
/// passphrase is for a vault that nothing else opens.
pub async fn device_seed(
    options: &NodeOptions,
    seams: &Seams,
    passphrase: Option<Zeroizing<Vec<u8>>>,
) -> Result<Option<Zeroizing<[u8; 32]>>, NodeError> {
    if let Some(seed) = home::device_key_file(&*seams.disk, &options.home)? {
        return Ok(Some(seed));
    }
    // No process is started for a key that is not there.
    if listed(&*seams.disk, &options.home)?.is_none() {
        return Ok(None);
    }
    let supervisor = Supervisor::default();
    let client = vault::start_reading(options, seams, &supervisor);
    let read = async {
        if let Some(passphrase) = passphrase {
            client.unlock(passphrase).await?;
        }
        match revealed(&client).await {
            Err(error) if is_sealed(&error) => Err(unopened(client.status().await?)),
            revealed => Ok(Some(revealed?)),
        }
    };
    let read = read.await;
    supervisor.shut_down().await;
    read
}

/// What is said of a vault that does not open by itself here.
fn unopened(status: VaultStatus) -> NodeError {
    let sealed = vault::sealed(status.trouble);
    if status.ways.contains(&UnlockKind::Passphrase) {
        return sealed;
    }
    // Nobody is asked for a passphrase that opens nothing.
    NodeError { code: "vault_unopened", ..sealed }.with_hint(
        "the key of this device lies in it: run the command with what opens it, such as the node's systemd credential"
            .to_owned(),
    )
}

/// What is said of a key that is gone where credentials stand.
pub(crate) fn missing(home: &Home) -> NodeError {
    let credentials = home.join(super::FOLDER);
    let text = format!(
        "failed to find the key `{NAME}`: the vault has none, and {} shows that it was used",
        credentials.display()
    );
    let hint = format!(
        "put `vault` and `keys` of this home back from a copy, or what `nisse vault export` made by `nisse vault restore`; or \
         move {} away and run `nisse identity recover`: this machine is another device then",
        credentials.display()
    );
    NodeError::new(ErrorKind::Refused, "key_missing", text).with_hint(hint)
}

async fn revealed(vault: &VaultClient) -> Result<Seed, VaultCallError> {
    let secret = vault.reveal_key(&name()).await?;
    let mut seed = Zeroizing::new([0; 32]);
    if secret.len() != seed.len() {
        return Err(VaultCallError::Unreachable("its answer is no key"));
    }
    seed.copy_from_slice(&secret);
    Ok(seed)
}

fn did_among(entries: &[KeyEntry]) -> Result<Option<Did>, NodeError> {
    let found = entries.iter().find(|entry| entry.kind == KeyKind::Ed25519 && entry.name.as_str() == NAME);
    let Some(entry) = found else { return Ok(None) };
    let public = entry.public.as_slice().try_into().map_err(|_| {
        let text = format!("failed to use the key `{NAME}` of the vault: its public part has not 32 bytes");
        NodeError::new(ErrorKind::Refused, "vault_tampered", text)
            .with_hint("put the folder `vault` back from a copy; or move `vault` and `keys/vault*` away and run `nisse vault restore` on an export".to_owned())
    })?;
    Ok(Some(Did(public)))
}

fn is_sealed(error: &VaultCallError) -> bool {
    matches!(error, VaultCallError::Refused { kind: RefusalKind::Sealed, .. })
}

fn name() -> SecretName {
    NAME.parse().expect("a word is a name")
}

#[cfg(test)]
mod tests;
