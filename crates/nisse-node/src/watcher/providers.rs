//! Where the package of an order can be had, as its owner says in the market's log: asked first, and believed in nothing
//! but blocks that are what their CIDs say.

use nisse_content::GatewayUrl;
use nisse_market::{EventBatch, MarketAddresses, MarketEvent};
use nisse_model::DeploymentId;
use nisse_store::{Database, DatabaseError, Table, WriteTransaction};

use super::order_rows::OrderRows;

/// A URL.
const PROVIDERS: OrderRows = OrderRows(Table::new("providers"));
/// How many orders are remembered of a market, the newest ones.
const ORDERS_MAX: u64 = 10_000;

/// Takes up what a batch of events says. What cannot be a gateway is passed over.
pub(super) fn hear(database: &Database, addresses: &MarketAddresses, batch: &EventBatch) -> Result<(), DatabaseError> {
    let said = |event: &MarketEvent| matches!(event, MarketEvent::Deployed { .. } | MarketEvent::OrderTerms { .. });
    if !batch.committed.iter().any(|at| said(&at.event)) {
        return Ok(());
    }
    database.write_lazily(|transaction| {
        for at in &batch.committed {
            match &at.event {
                // A number that a reorganisation gave to another order begins anew.
                MarketEvent::Deployed { deployment, .. } => {
                    PROVIDERS.remove(transaction, addresses, *deployment)?;
                    if let Some(oldest) = deployment.checked_sub(ORDERS_MAX) {
                        PROVIDERS.remove(transaction, addresses, oldest)?;
                    }
                }
                MarketEvent::OrderTerms { deployment, provider: Some(url), .. }
                    if url.parse::<GatewayUrl>().is_ok() =>
                {
                    PROVIDERS.put(transaction, addresses, *deployment, url.as_bytes())?;
                }
                _ => {}
            }
        }
        Ok(())
    })
}

/// Whom the owner of an order named.
pub(crate) fn named_provider(database: &Database, order: &DeploymentId) -> Option<GatewayUrl> {
    let row = PROVIDERS.get(database, order.chain, order.contract, order.number).ok().flatten()?;
    std::str::from_utf8(&row).ok()?.parse().ok()
}

/// Forgets all that was said on a chain.
pub(super) fn forget(transaction: &mut WriteTransaction, chain: u64) -> Result<(), DatabaseError> {
    PROVIDERS.forget(transaction, chain)
}

#[cfg(test)]
mod tests {
    use std::path::Path;
    use std::sync::Arc;

    use nisse_market::{BlockRef, ChainHash, EventAt, Selection};
    use nisse_model::{Address, Timestamp};
    use nisse_testkit::SimDisk;

    use super::*;
    use crate::fixtures::{market_addresses, order as order_of};

    fn batch(event: MarketEvent) -> EventBatch {
        let at = EventAt {
            block: BlockRef::default(),
            time: Timestamp(0),
            tx: ChainHash([0; 32]),
            log_index: 0,
            contract: Address([4; 20]),
            event,
        };
        EventBatch { committed: vec![at], ..EventBatch::default() }
    }

    #[test]
    fn what_an_owner_names_is_known_while_the_order_is_among_the_newest() {
        let database = Database::open(Arc::new(SimDisk::new(1)), Path::new("/index.redb")).expect("it opens");
        let addresses = market_addresses(9);
        let order = |number| DeploymentId { chain: addresses.chain, contract: addresses.manager, number };
        let named = |number| named_provider(&database, &order(number)).map(|url| url.to_string());
        let terms = |deployment, provider: &str| {
            let provider = Some(provider.to_owned());
            batch(MarketEvent::OrderTerms { deployment, selection: Selection::LowestPrice, provider })
        };
        for said in [terms(1, "https://node.example"), terms(2, "not a url"), terms(3, "https://other.example:8443")] {
            hear(&database, &addresses, &said).expect("it is written");
        }
        let known = [1, 2, 3].map(named);
        let [first, third] = ["https://node.example", "https://other.example:8443"].map(|url| Some(url.to_owned()));
        assert_eq!(known, [first, None, third.clone()]);
        let again =
            |deployment| batch(MarketEvent::Deployed { deployment, owner: Address([1; 20]), order: order_of(1) });
        hear(&database, &addresses, &again(1)).expect("it is written");
        assert_eq!([1, 3].map(named), [None, third], "the number is another order's");
        hear(&database, &addresses, &again(3 + ORDERS_MAX)).expect("it is written");
        assert_eq!(named(3), None, "too many came behind it");
        hear(&database, &addresses, &terms(3, "https://node.example")).expect("it is written");
        database.write(|rows| forget(rows, addresses.chain)).expect("it is written");
        assert_eq!(named(3), None);
    }
}
