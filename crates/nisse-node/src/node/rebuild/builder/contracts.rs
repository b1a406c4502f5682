//! The market's contracts on a chain that is made anew: every version that the journal speaks of, where it was.

use nisse_market::{ContractSettings, FIRST_MANAGER_NONCE, VERSIONS_MAX, deploy_contracts, made_by, upgrade_contracts};
use nisse_model::Address;

use super::{Builder, History, KeyName, NodeError};
use crate::error::ErrorKind;
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
            let mut unknown = wanted.clone();
            // Before anything is made: what no key of this home has made is found nowhere.
            for at in version..=VERSIONS_MAX {
                if unknown.is_empty() {
                    break;
                }
                let manager = made_by(self.keys.maker_address(at).await?, 0);
                unknown.retain(|wanted| *wanted != manager);
            }
            if !unknown.is_empty() {
                return Err(elsewhere(&unknown));
            }
            let maker = self.keys.maker(self.home, self.supervisor, version).await?;
            let made = upgrade_contracts(client, &queue, &maker, &settings, &newest).await;
            versions.push(made.map_err(|error| market_error(&error))?);
            wanted.retain(|manager| *manager != made_by(maker.address(), 0));
        }
        self.keys.set_versions(versions);
        Ok(())
    }
}

fn elsewhere(wanted: &[Address]) -> NodeError {
    let text = format!("failed to rebuild the market {}: it was not made with this home's key", wanted[0]);
    NodeError::new(ErrorKind::Refused, "market_other", text)
}
