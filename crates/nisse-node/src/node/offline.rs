//! A home on which no node runs, opened for work that signs: with its vault, until it is closed.

use std::sync::Arc;

use nisse_model::Address;
use nisse_vault::{Restored, VaultClient, read_export};
use zeroize::Zeroizing;

use crate::audit;
use crate::error::{ErrorKind, NodeError};
use crate::home::Home;
use crate::node::Seams;
use crate::options::NodeOptions;
use crate::supervisor::Supervisor;
use crate::wallets::{KeyName, Wallets};

pub(crate) struct Offline {
    pub(crate) home: Home,
    pub(super) wallets: Arc<Wallets>,
    pub(crate) vault: VaultClient,
    supervisor: Supervisor,
}

impl Offline {
    /// Opens a home and unlocks its vault: with the passphrase, where one is given.
    pub(crate) async fn open(
        options: &NodeOptions,
        seams: &Seams,
        passphrase: Option<Zeroizing<Vec<u8>>>,
    ) -> Result<Self, NodeError> {
        let home = Home::open(Arc::clone(&seams.disk), seams.entropy.as_ref(), &options.home)?;
        let supervisor = Supervisor::default();
        let opened = async {
            let vault = crate::vault::start(options, seams, &supervisor);
            if let Some(passphrase) = passphrase {
                vault.unlock(passphrase).await?;
            }
            let wallets = Wallets::open(vault.clone(), &home).await?;
            match vault.status().await? {
                status if status.sealed => Err(crate::vault::sealed(status.trouble)),
                _ => Ok((Arc::new(wallets), vault)),
            }
        };
        match opened.await {
            Ok((wallets, vault)) => Ok(Self { home, wallets, vault, supervisor }),
            Err(error) => {
                supervisor.shut_down().await;
                Err(error)
            }
        }
    }

    /// Ends the vault, then lets go of the home.
    pub(crate) async fn close(self) {
        self.supervisor.shut_down().await;
    }
}

/// What was put into a vault.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RestoredVault {
    /// Keys that were not there.
    pub keys: usize,
    /// Secrets that were not there.
    pub secrets: usize,
    /// The wallets that it has now: name and address. An export says nothing of who made it.
    pub wallets: Vec<(String, Address)>,
}

/// Puts what a vault exported into the vault of a home on which no node runs, or begins a home with it. The passphrase is
/// for a vault that nothing else opens. What is there under the same name must be the same. Whoever knows a recipient can
/// make an export to it: what came in is told.
pub async fn restore_vault(
    options: &NodeOptions,
    seams: Seams,
    passphrase: Option<Zeroizing<Vec<u8>>>,
    document: &[u8],
    identity: &str,
) -> Result<RestoredVault, NodeError> {
    // Before a vault is made for it.
    read_export(document, identity).map_err(|error| NodeError::caused(ErrorKind::Refused, "export_refused", &error))?;
    let offline = Offline::open(options, &seams, passphrase).await?;
    let restored = restore_offline(&offline, seams, document, identity).await;
    offline.close().await;
    restored
}

async fn restore_offline(
    offline: &Offline,
    seams: Seams,
    document: &[u8],
    identity: &str,
) -> Result<RestoredVault, NodeError> {
    let Offline { home, vault, supervisor, .. } = offline;
    let (audit, writer) = audit::open(seams.disk, seams.clock, seams.entropy.as_ref(), home)?;
    supervisor.spawn("audit", |stop| writer.run(stop));
    let restoring = async { Ok(vault.restore(document, identity).await?) };
    let Restored { keys, secrets } = audit.around("owner", "vault.restore", "an export", restoring).await?;
    let wallets = Wallets::open(vault.clone(), home).await?;
    let named = KeyName::ALL.into_iter();
    let wallets = named.filter_map(|name| Some((name.as_str().to_owned(), wallets.address(name)?))).collect();
    Ok(RestoredVault { keys, secrets, wallets })
}
