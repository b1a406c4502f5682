//! Where the log of a market begins: found once, and kept.

use nisse_market::{FirstBlock, Market};

use super::place::Place;
use crate::core::Core;
use crate::error::chain;

/// The first block that a cursor of this market reads.
pub(crate) async fn first_block(core: &Core, market: &Market) -> Result<u64, String> {
    if core.chain.is_some() {
        return Ok(0);
    }
    let place = Place::new(&core.database, market.addresses());
    let newest = market.head().await.map_err(|error| chain(&error))?;
    // A chain that ends before it was begun anew.
    let known = place.first().map_err(|error| chain(&error))?.filter(|first| *first <= newest);
    if let Some(first) = known {
        return Ok(first);
    }
    match market.first_block().await.map_err(|error| chain(&error))? {
        FirstBlock::Found(first) => {
            place.begin_at(first).map_err(|error| chain(&error))?;
            tracing::info!(first, newest, "the market's log is read from where its address book was made");
            Ok(first)
        }
        FirstBlock::Untold(reason) => {
            tracing::info!(
                reason,
                newest,
                "the chain's endpoint keeps no old state, so the market's log is read from the chain's first block on; \
                 an endpoint with an archive begins where the market does"
            );
            Ok(0)
        }
    }
}
