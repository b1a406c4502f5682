//! The node's vault: asked by its owner, and by the egress for what goes along with an agent's requests.

use std::sync::Arc;

use async_trait::async_trait;
use nisse_egress::{SecretRefused, SecretValue, Secrets};
use nisse_model::{Address, SecretName};
use nisse_vault::{RefusalKind, VaultCallError, VaultClient, VaultCommand, vault_process};

use crate::audit::{Audit, Deed};
use crate::error::{ErrorKind, NodeError};
use crate::supervisor::Supervisor;

/// The vault of a home, in a process of its own.
#[derive(Clone)]
pub(crate) struct NodeVault {
    /// A node that is started without one has none.
    client: Option<VaultClient>,
    /// Whose secrets agents use: the operator's, since they are given to no other owner's agents.
    tenant: String,
    audit: Arc<Audit>,
}

impl NodeVault {
    /// Starts the vault's process, which ends with the node.
    pub(crate) fn start(
        command: Option<VaultCommand>,
        supervisor: &Supervisor,
        operator: Address,
        audit: Arc<Audit>,
    ) -> Self {
        let client = command.map(|command| {
            let (client, driver) = vault_process(command);
            supervisor.spawn("vault", |mut stop| async move { driver.run(stop.requested()).await });
            client
        });
        Self { client, tenant: operator.to_string(), audit }
    }

    /// The client, and the tenant that the owner is.
    pub(crate) fn opened(&self) -> Result<(&VaultClient, &str), NodeError> {
        let client = self.client.as_ref().ok_or_else(|| {
            let text = "failed to reach the vault: this node was started without one";
            NodeError::new(ErrorKind::Unreachable, "vault_unreachable", text)
        })?;
        Ok((client, &self.tenant))
    }

    /// The client, where there is a vault.
    pub(crate) fn client(&self) -> Option<&VaultClient> {
        self.client.as_ref()
    }
}

#[async_trait]
impl Secrets for NodeVault {
    async fn reveal(&self, agent: &str, name: &SecretName) -> Result<SecretValue, SecretRefused> {
        let client = self.client.as_ref().ok_or(SecretRefused::Missing)?;
        let revealed = client.reveal(&self.tenant, name).await.map(SecretValue::new);
        let revealed = revealed.map_err(|error| match error {
            VaultCallError::Refused { kind: RefusalKind::Sealed, .. } => SecretRefused::Sealed,
            VaultCallError::Refused { kind: RefusalKind::NoSuchSecret, .. } => SecretRefused::Missing,
            other => SecretRefused::Failed(format!("failed to {other}")),
        });
        let outcome = match &revealed {
            Ok(_) => "given to its request".to_owned(),
            Err(why) => format!("refused: {why}"),
        };
        // Nothing is given before that is told.
        let told = self.audit.often(Deed::by_agent(agent, "secret.use", name.to_string(), &outcome)).await;
        told.map_err(|error| SecretRefused::Failed(format!("failed to {error}")))?;
        revealed
    }
}

/// What the vault refused, as the owner reads it.
impl From<VaultCallError> for NodeError {
    fn from(error: VaultCallError) -> Self {
        let (kind, code, hint) = match &error {
            VaultCallError::Unreachable(_) => {
                (ErrorKind::Unreachable, "vault_unreachable", Some("the node starts it again; try in a moment"))
            }
            VaultCallError::Refused { kind, .. } => match kind {
                RefusalKind::Sealed => (ErrorKind::Conflict, "vault_sealed", Some("`nisse unlock` opens it")),
                RefusalKind::WrongKey => (
                    ErrorKind::Refused,
                    "vault_wrong_key",
                    Some("nothing was changed; `nisse vault status` says what opens it"),
                ),
                RefusalKind::NoSuchSecret => {
                    (ErrorKind::NotFound, "secret_unknown", Some("`nisse secret ls` lists what there is"))
                }
                RefusalKind::SecretExists => {
                    (ErrorKind::Conflict, "secret_exists", Some("`nisse secret rotate` puts a new value in its place"))
                }
                RefusalKind::Limit => (ErrorKind::Refused, "vault_limit", None),
                RefusalKind::Tampered => (
                    ErrorKind::Refused,
                    "vault_tampered",
                    Some("put `vault/secrets` of the home back from a copy; nisse makes nothing anew over it"),
                ),
                RefusalKind::Failed => (ErrorKind::Failed, "vault_failed", None),
            },
        };
        Self::caused(kind, code, &error).with_hint(hint.map(str::to_owned))
    }
}
