//! The node's vault: asked by its owner, and by the egress for what goes along with an agent's requests.

use std::sync::Arc;

use async_trait::async_trait;
use nisse_egress::{SecretRefused, SecretValue, Secrets};
use nisse_model::{Address, SecretRule};
use nisse_vault::{
    Cost, RefusalKind, UnlockKind, VaultCallError, VaultClient, VaultPaths, vault_process, vault_within,
};

use crate::audit::{Audit, Deed};
use crate::error::{ErrorKind, NodeError};
use crate::node::Seams;
use crate::options::{NodeOptions, VaultChoice};
use crate::supervisor::Supervisor;
use crate::wallets::VAULT_FOLDER;

/// What a simulated world pays for a passphrase, which it never has.
const COST_WITHIN: Cost = Cost { memory_kib: 8, passes: 1 };

/// Starts the vault, which ends with the node.
pub(crate) fn start(options: &NodeOptions, seams: &Seams, supervisor: &Supervisor) -> VaultClient {
    start_as(options.vault.clone(), options, seams, supervisor)
}

/// Starts one that reads what a node beside it may have open.
pub(crate) fn start_reading(options: &NodeOptions, seams: &Seams, supervisor: &Supervisor) -> VaultClient {
    let choice = match options.vault.clone() {
        VaultChoice::Process(command) => VaultChoice::Process(command.read_only()),
        // A simulated world has no process beside it.
        VaultChoice::Within => VaultChoice::Within,
    };
    start_as(choice, options, seams, supervisor)
}

fn start_as(choice: VaultChoice, options: &NodeOptions, seams: &Seams, supervisor: &Supervisor) -> VaultClient {
    match choice {
        VaultChoice::Process(command) => {
            let (client, driver) = vault_process(command);
            supervisor.spawn("vault", |mut stop| async move { driver.run(stop.requested()).await });
            client
        }
        VaultChoice::Within => {
            let (folder, key_file) = (options.home.join(VAULT_FOLDER), options.home.join("keys/vault"));
            let paths = VaultPaths { folder, key_file, credential: None };
            let Seams { disk, clock, entropy } = seams.clone();
            let (client, driver) = vault_within(disk, clock, entropy, paths, COST_WITHIN);
            supervisor.spawn("vault", |mut stop| async move { driver.run(stop.requested()).await });
            client
        }
    }
}

/// What is said of a vault that gives nothing until it is unlocked.
pub(crate) fn sealed(trouble: Option<String>) -> NodeError {
    let text = trouble.unwrap_or_else(|| "failed to use the vault: it is sealed".to_owned());
    NodeError::new(ErrorKind::Conflict, "vault_sealed", text)
        .with_hint("`nisse unlock` opens it; `nisse vault status` says by what".to_owned())
}

/// The vault of a home, as the node and its agents use it.
#[derive(Clone)]
pub(crate) struct NodeVault {
    client: VaultClient,
    /// Whose secrets agents use: the operator's, since they are given to no other owner's agents.
    tenant: String,
    audit: Arc<Audit>,
}

impl NodeVault {
    pub(crate) fn new(client: VaultClient, operator: Address, audit: Arc<Audit>) -> Self {
        Self { client, tenant: operator.to_string(), audit }
    }

    /// Tells that the vault opened by itself, where it did.
    pub(crate) async fn tell_of_start(&self) -> Result<(), NodeError> {
        let status = self.client.status().await?;
        if status.sealed {
            return Ok(());
        }
        let ways = status.ways.iter().filter(|way| **way != UnlockKind::Passphrase).map(|way| way.name());
        let outcome = format!("done, by its {}", ways.collect::<Vec<_>>().join(" or its "));
        let deed = Deed { by: "node".to_owned(), act: "vault.unlock".into(), about: "the vault".to_owned(), outcome };
        let told = self.audit.note(deed).await;
        told.map_err(|error| NodeError::caused(ErrorKind::Failed, "audit_failed", &error))
    }

    /// The client.
    pub(crate) fn client(&self) -> &VaultClient {
        &self.client
    }

    /// The tenant that the owner is.
    pub(crate) fn tenant(&self) -> &str {
        &self.tenant
    }
}

#[async_trait]
impl Secrets for NodeVault {
    async fn reveal(&self, agent: &str, rule: &SecretRule) -> Result<SecretValue, SecretRefused> {
        let revealed = self.client.reveal(&self.tenant, &rule.name).await.map(SecretValue::new);
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
        let told = self.audit.often(Deed::by_agent(agent, "secret.use", used(rule), &outcome)).await;
        told.map_err(|error| SecretRefused::Failed(format!("failed to {error}")))?;
        revealed
    }
}

/// What is used, and for whom.
fn used(rule: &SecretRule) -> String {
    match rule.port {
        443 => format!("{}@{}", rule.name, rule.host),
        port => format!("{}@{}:{port}", rule.name, rule.host),
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
                RefusalKind::NoSuchKey => {
                    (ErrorKind::NotFound, "key_unknown", Some("`nisse wallet show` lists what there is"))
                }
                RefusalKind::KeyExists => (
                    ErrorKind::Conflict,
                    "key_other",
                    Some(
                        "one of the two is of another home: keep both. A file moves out of `keys`, a vault with `vault` and `keys/vault*`",
                    ),
                ),
                RefusalKind::Limit => (ErrorKind::Usage, "vault_limit", None),
                RefusalKind::Tampered => (
                    ErrorKind::Refused,
                    "vault_tampered",
                    Some(
                        "put the folder `vault` back from a copy; or move `vault` and `keys/vault*` away and run `nisse vault restore` on an export",
                    ),
                ),
                RefusalKind::Failed => (ErrorKind::Failed, "vault_failed", None),
            },
        };
        Self::caused(kind, code, &error).with_hint(hint.map(str::to_owned))
    }
}
