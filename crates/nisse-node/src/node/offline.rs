//! A home on which no node runs, opened for work that signs: with its vault, until it is closed.

use std::sync::Arc;

use nisse_vault::{RefusalKind, Restored, VaultCallError, VaultClient};
use zeroize::Zeroizing;

use crate::error::NodeError;
use crate::home::Home;
use crate::node::Seams;
use crate::options::NodeOptions;
use crate::supervisor::Supervisor;
use crate::wallets::Wallets;

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

/// Puts what a vault exported into the vault of a home on which no node runs, or begins a home with it. The passphrase is
/// for a vault that nothing else opens. What is there under the same name must be the same.
pub async fn restore_vault(
    options: &NodeOptions,
    seams: Seams,
    passphrase: Option<Zeroizing<Vec<u8>>>,
    document: &[u8],
    identity: &str,
) -> Result<Restored, NodeError> {
    let offline = Offline::open(options, &seams, passphrase).await?;
    let restored = offline.vault.restore(document, identity).await;
    offline.close().await;
    restored.map_err(|error| {
        let other = matches!(error, VaultCallError::Refused { kind: RefusalKind::WrongKey, .. });
        let error = NodeError::from(error);
        match other {
            true => {
                error.with_hint("nothing was changed; name the key that it was exported to with --identity".to_owned())
            }
            false => error,
        }
    })
}
