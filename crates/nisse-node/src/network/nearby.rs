//! Where owners' nodes are, as the chain said a moment ago.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use nisse_content::GatewayUrl;
use nisse_model::Address;

/// How long an answer of the chain is believed.
const BELIEVED: Duration = Duration::from_secs(60);
/// Owners that are remembered.
const OWNERS_MAX: usize = 256;

/// By owner: when it was asked, and what came.
#[derive(Default)]
pub(super) struct Nearby(Mutex<HashMap<Address, (Duration, Vec<GatewayUrl>)>>);

impl Nearby {
    fn lock(&self) -> MutexGuard<'_, HashMap<Address, (Duration, Vec<GatewayUrl>)>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn get(&self, owner: Address, now: Duration) -> Option<Vec<GatewayUrl>> {
        let known = self.lock().get(&owner).cloned();
        known.filter(|(at, _)| now.saturating_sub(*at) < BELIEVED).map(|(_, near)| near)
    }

    pub(super) fn set(&self, owner: Address, near: Vec<GatewayUrl>, now: Duration) {
        let mut known = self.lock();
        known.retain(|_, (at, _)| now.saturating_sub(*at) < BELIEVED);
        if known.len() < OWNERS_MAX {
            known.insert(owner, (now, near));
        }
    }
}
