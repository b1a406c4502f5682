//! Where members' devices were reached last, so that a home that starts again finds them.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use nisse_model::Did;
use nisse_space::StoreError;
use nisse_store::{Rows, Table};

use super::{Spaces, failed};
use crate::core::Core;
use crate::error::NodeError;

const WAYS: Table = Table::new("peer.ways");
/// Addresses of one device.
const ADDRESSES_MAX: usize = 16;

impl Spaces {
    /// All that are kept: addresses by key.
    pub(crate) fn ways(&self, core: &Core) -> Result<BTreeMap<Did, Vec<SocketAddr>>, NodeError> {
        let mut ways = BTreeMap::new();
        let read = self.database(core)?.read::<_, StoreError>(|rows| {
            rows.with_prefix(WAYS, &[], &mut |key, row| {
                let addresses = std::str::from_utf8(row).unwrap_or_default().split(',');
                if let Ok(key) = key.try_into() {
                    ways.insert(Did(key), addresses.filter_map(|address| address.parse().ok()).collect());
                }
                true
            })?;
            Ok(())
        });
        read.map_err(|error| failed(&error))?;
        Ok(ways)
    }

    /// Keeps where a device is, in the place of what was known of it.
    pub(crate) fn keep_way(&self, core: &Core, device: Did, at: &[SocketAddr]) -> Result<(), NodeError> {
        if at.is_empty() || self.ways(core)?.get(&device).is_some_and(|known| known == at) {
            return Ok(());
        }
        let text: Vec<String> = at.iter().take(ADDRESSES_MAX).map(SocketAddr::to_string).collect();
        let kept = self
            .database(core)?
            .write::<_, StoreError>(|rows| Ok(rows.put(WAYS, &device.0, text.join(",").as_bytes())?));
        kept.map_err(|error| failed(&error))
    }
}
