//! The home's wallets as their owner meets them, and the vault on its way to another place.

use nisse_model::Amount;
use zeroize::Zeroizing;

use super::{Node, market_error};
use crate::control::Wallet;
use crate::error::{ErrorKind, NodeError};
use crate::wallets::KeyName;

impl Node {
    /// Each of this home's keys, and what it has. A chain that does not answer leaves out what it alone knows.
    pub async fn wallets(&self) -> Result<Vec<Wallet>, NodeError> {
        let mut wallets = Vec::new();
        for name in KeyName::ALL {
            let Some(address) = self.core.wallets.address(name) else { continue };
            let mut wallet = Wallet {
                name: name.as_str().to_owned(),
                address: address.to_string(),
                balance: None,
                gas: None,
                stake: None,
                warning: None,
            };
            if let Err(error) = self.look_into(name, &mut wallet).await {
                wallet.warning = Some(error.text);
            }
            wallets.push(wallet);
        }
        Ok(wallets)
    }

    async fn look_into(&self, name: KeyName, wallet: &mut Wallet) -> Result<(), NodeError> {
        let market = self.market(name)?;
        let refused = |error| market_error(&error);
        wallet.balance = Some(market.balance(market.key()).await.map_err(refused)?.to_string());
        wallet.gas = Some(market.gas(market.key()).await.map_err(refused)?.to_string());
        let Some(node) = market.node(market.key()).await.map_err(refused)? else { return Ok(()) };
        let least = market.min_stake().await.map_err(refused)?;
        wallet.stake = Some(node.stake.to_string());
        wallet.warning = low_stake(node.stake, least);
        Ok(())
    }

    /// The secret key of a wallet, for another program that signs with it: 32 bytes.
    pub async fn wallet_export(&self, name: &str) -> Result<Zeroizing<Vec<u8>>, NodeError> {
        let known = KeyName::ALL.into_iter().find(|known| known.as_str() == name);
        let key = known.filter(|key| self.core.wallets.has(*key)).ok_or_else(|| {
            NodeError::new(ErrorKind::NotFound, "key_unknown", format!("failed to find the wallet `{name}`"))
                .with_hint("`nisse wallet show` lists what there is".to_owned())
        })?;
        let client = self.core.vault.client().clone();
        let name = key.in_vault();
        self.audited("wallet.export", key.as_str(), async move { Ok(client.reveal_key(&name).await?) }).await
    }

    /// All secrets and keys of the vault, encrypted to each of these recipients of age.
    pub async fn vault_export(&self, recipients: Vec<String>) -> Result<Vec<u8>, NodeError> {
        let client = self.core.vault.client().clone();
        let mut all = self.core.options.recovery.clone();
        all.extend(recipients.into_iter().filter(|recipient| !self.core.options.recovery.contains(recipient)));
        // Before anything is told of it: what is no recipient may be a secret that was mistaken for one.
        nisse_vault::check_recipients(&all)
            .map_err(|error| NodeError::caused(ErrorKind::Usage, "recipient_invalid", &error))?;
        let about = all.join(", ");
        self.audited("vault.export", &about, async move { Ok(client.export(&all).await?) }).await
    }
}

/// What is said of a stake with which no order is given to a node.
pub(crate) fn low_stake(stake: Amount, least: Amount) -> Option<String> {
    (stake < least).then(|| {
        format!("it has {stake} TALOS at stake, and the market gives orders from {least} on: `nisse up --stake` lays down more")
    })
}
