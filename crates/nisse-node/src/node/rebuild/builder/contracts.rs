//! The market's contracts on a chain that is made anew: every version that the journal speaks of, where it was.

use nisse_market::{
    ContractSettings, FIRST_MANAGER_NONCE, Signer as _, VERSIONS_MAX, deploy_contracts, made_by, upgrade_contracts,
};
use nisse_model::Address;

use super::{Builder, History, KeyName, NodeError};
use crate::error::ErrorKind;
use crate::keys::maker_key;
use crate::node::market_error;

impl Builder<'_> {
    /// The versions of the market that the journal speaks of, where they were.
    pub(super) async fn make_contracts(&self, history: &History) -> Result<(), NodeError> {
        let queue = self.keys.queue(self.home, self.supervisor, KeyName::Operator)?;
        let (client, settings) = (self.keys.client(), ContractSettings::default());
        let made = deploy_contracts(client, &queue, &settings).await;
        let mut versions = vec![made.map_err(|error| market_error(&error))?];
        debug_assert_eq!(versions[0].manager, made_by(queue.address(), FIRST_MANAGER_NONCE));
        let mut wanted: Vec<Address> = history.highest.keys().copied().collect();
        wanted.retain(|manager| *manager != versions[0].manager);
        while !wanted.is_empty() {
            let newest = versions[versions.len() - 1];
            let version = newest.version + 1;
            if version > VERSIONS_MAX {
                return Err(elsewhere(&wanted));
            }
            let key = maker_key(self.home, self.seams.entropy.as_ref(), version)?;
            let later = (version..=VERSIONS_MAX).map(|at| maker_key(self.home, self.seams.entropy.as_ref(), at));
            let later: Vec<Address> =
                later.map(|key| Ok(made_by(key?.address(), 0))).collect::<Result<_, NodeError>>()?;
            if !wanted.iter().all(|manager| later.contains(manager)) {
                return Err(elsewhere(&wanted));
            }
            let maker = self.keys.maker(self.home, self.supervisor, version)?;
            let made = upgrade_contracts(client, &queue, &maker, &settings, &newest).await;
            versions.push(made.map_err(|error| market_error(&error))?);
            wanted.retain(|manager| *manager != made_by(key.address(), 0));
        }
        self.keys.set_versions(versions);
        Ok(())
    }
}

fn elsewhere(wanted: &[Address]) -> NodeError {
    let text = format!("failed to rebuild the market {}: it was not made with this home's key", wanted[0]);
    NodeError::new(ErrorKind::Refused, "market_other", text)
}
