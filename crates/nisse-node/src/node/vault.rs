//! The vault as its owner meets it.

use std::sync::Arc;
use std::time::Duration;

use nisse_model::{Permission, SecretName};
use nisse_vault::{Setting, UnlockKind, VaultState};
use zeroize::Zeroizing;

use super::Node;
use crate::control::{SecretEntry, SecretSet, VaultStatus};
use crate::error::{ErrorKind, NodeError};

/// How long a node waits for its vault before it says that it serves.
const START_MAX: Duration = Duration::from_secs(5);
/// Said of a vault that whoever reads the disk opens.
const WEAK: &str = "its key file lies beside it: whoever reads this disk reads the secrets, too";

impl Node {
    /// How the vault stands.
    pub async fn vault_status(&self) -> Result<VaultStatus, NodeError> {
        Ok(told(self.core.vault.client().status().await?))
    }

    /// How the vault stood when it last changed: nobody waits for it.
    pub fn vault_glance(&self) -> VaultStatus {
        match self.core.vault.client().glance() {
            VaultState::Known(status) => told(status),
            VaultState::Starting => closed("its process is being started".to_owned()),
            VaultState::Broken(why) => closed(why),
        }
    }

    /// How the vault came up, once that is known.
    pub async fn vault_at_start(&self) -> VaultStatus {
        // Whatever it says, and if it says nothing in time: it is looked at afterwards.
        let _ = tokio::time::timeout(START_MAX, self.vault_status()).await;
        self.vault_glance()
    }

    /// Unlocks the vault.
    pub async fn vault_unlock(&self, passphrase: Zeroizing<Vec<u8>>) -> Result<VaultStatus, NodeError> {
        let (client, core) = (self.core.vault.client().clone(), Arc::clone(&self.core));
        let unlocking = async move {
            client.unlock(passphrase).await?;
            // It is open, whatever comes of the key: the link waits for that.
            Ok(core.identity.unseal(&core.home).await)
        };
        self.audited("vault.unlock", "the vault", unlocking).await??;
        // Keys of an earlier nisse that a sealed vault could not take.
        self.core.wallets.bring_in(&self.core.home).await?;
        tracing::info!(target: "nisse::event::vault", step = "unlocked");
        self.vault_status().await
    }

    /// Seals the vault: nothing that needs a secret goes on until it is unlocked, and the link ends.
    pub async fn vault_seal(&self) -> Result<VaultStatus, NodeError> {
        let (client, core) = (self.core.vault.client().clone(), Arc::clone(&self.core));
        let sealing = async move {
            client.seal().await?;
            core.identity.seal().await;
            Ok(())
        };
        self.audited("vault.seal", "the vault", sealing).await?;
        tracing::info!(target: "nisse::event::vault", step = "sealed");
        self.vault_status().await
    }

    /// From now on the vault is unlocked by these, each by itself, and by nothing else. An empty passphrase is none.
    pub async fn vault_protect(
        &self,
        passphrase: Zeroizing<Vec<u8>>,
        credential: bool,
        key_file: bool,
    ) -> Result<VaultStatus, NodeError> {
        let client = self.core.vault.client().clone();
        let passphrase = Some(passphrase).filter(|words| !words.is_empty());
        let ways = [(passphrase.is_some(), "passphrase"), (credential, "systemd credential"), (key_file, "key file")];
        let ways: Vec<_> = ways.into_iter().filter(|(wanted, _)| *wanted).map(|(_, way)| way).collect();
        let protecting = async move { Ok(client.protect(passphrase, credential, key_file).await?) };
        self.audited("vault.protect", &ways.join(", "), protecting).await?;
        tracing::info!(target: "nisse::event::vault", step = "protected");
        self.vault_status().await
    }

    /// The owner's secrets, by name.
    pub async fn secrets(&self) -> Result<Vec<SecretEntry>, NodeError> {
        let secrets = self.core.vault.client().list(self.core.vault.tenant()).await?;
        let running = self.core.all_running();
        let users = |name: &SecretName| {
            let uses =
                |permission: &String| matches!(permission.parse(), Ok(Permission::Secret(rule)) if rule.name == *name);
            let users = running.iter().filter(|agent| agent.permissions.iter().any(uses));
            users.map(|agent| agent.label.clone()).collect()
        };
        let entry = |secret: nisse_vault::Secret| SecretEntry {
            agents: users(&secret.name),
            name: secret.name.to_string(),
            version: secret.version,
            changed: secret.changed.0,
        };
        Ok(secrets.into_iter().map(entry).collect())
    }

    /// Sets a secret that was not there.
    pub async fn secret_set(&self, name: &str, value: Zeroizing<Vec<u8>>) -> Result<SecretSet, NodeError> {
        self.put_secret(name, value, Setting::New, "secret.set").await
    }

    /// Puts a new value in the place of a secret's old one, which is gone with the next request that uses it.
    pub async fn secret_rotate(&self, name: &str, value: Zeroizing<Vec<u8>>) -> Result<SecretSet, NodeError> {
        self.put_secret(name, value, Setting::Rotated, "secret.rotate").await
    }

    async fn put_secret(
        &self,
        name: &str,
        value: Zeroizing<Vec<u8>>,
        setting: Setting,
        act: &'static str,
    ) -> Result<SecretSet, NodeError> {
        let vault = &self.core.vault;
        let (client, tenant, name) = (vault.client().clone(), vault.tenant().to_owned(), secret_name(name)?);
        let of = name.clone();
        let setting = async move { Ok(client.set(&tenant, &of, value, setting).await?) };
        let version = self.audited(act, name.as_str(), setting).await?;
        tracing::info!(target: "nisse::event::secret", secret = %name, step = act, version);
        Ok(SecretSet { name: name.to_string(), version })
    }

    /// Forgets a secret.
    pub async fn secret_remove(&self, name: &str) -> Result<(), NodeError> {
        let vault = &self.core.vault;
        let (client, tenant, name) = (vault.client().clone(), vault.tenant().to_owned(), secret_name(name)?);
        let of = name.clone();
        let removing = async move { Ok(client.remove(&tenant, &of).await?) };
        self.audited("secret.remove", name.as_str(), removing).await?;
        tracing::info!(target: "nisse::event::secret", secret = %name, step = "secret.remove");
        Ok(())
    }

    /// What the owner does, with its lines in the audit log. It is done to its end, whoever goes away meanwhile.
    pub(super) async fn audited<T: Send + 'static>(
        &self,
        act: &'static str,
        about: &str,
        doing: impl Future<Output = Result<T, NodeError>> + Send + 'static,
    ) -> Result<T, NodeError> {
        let (audit, about) = (Arc::clone(&self.core.audit), about.to_owned());
        // Whoever asks is known where it is asked, and not in the task that does it.
        let by = crate::caller::caller();
        let work = async move { audit.around(&by, act, &about, doing).await };
        let done = self.core.supervisor.to_its_end(act, work).await;
        done.map_err(|error| NodeError::caused(ErrorKind::Failed, "cut_off", &error))?
    }
}

fn secret_name(text: &str) -> Result<SecretName, NodeError> {
    text.parse().map_err(|error: nisse_model::ParseSecretNameError| {
        NodeError::caused(ErrorKind::Usage, "secret_name_invalid", &error)
    })
}

/// A vault that does not answer as one.
fn closed(trouble: String) -> VaultStatus {
    VaultStatus { sealed: true, unlocked_by: Vec::new(), weak: None, credential: false, trouble: Some(trouble) }
}

fn told(status: nisse_vault::VaultStatus) -> VaultStatus {
    let weak = status.ways.contains(&UnlockKind::KeyFile).then(|| WEAK.to_owned());
    VaultStatus {
        sealed: status.sealed,
        unlocked_by: status.ways.iter().map(|kind| kind.name().to_owned()).collect(),
        weak,
        credential: status.credential,
        trouble: status.trouble,
    }
}
