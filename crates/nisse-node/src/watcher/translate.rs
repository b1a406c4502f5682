//! An event of the market, told to this node's orchestrator. What it means is decided in `meaning.rs`; here the contract
//! is asked where that takes it.

use nisse_market::{EventAt, Market, MarketEvent};
use nisse_orchestrator::Event;

use super::meaning::Reader;
use super::{Standing, budget};
use crate::core::Core;
use crate::error::chain;

/// What an event means to this node's orchestrator. The owner's word on chain is carried out here.
pub(super) async fn translate(
    core: &Core,
    market: &Market,
    standing: Standing,
    at: &EventAt,
) -> Result<Vec<Event>, String> {
    if let MarketEvent::NodeRegistered { node, .. }
    | MarketEvent::StakeAdded { node, .. }
    // What a sealed bid that was not revealed has bound is free.
    | MarketEvent::BidReclaimed { node, .. } = &at.event
    {
        let own = *node == core.operator;
        return Ok(own.then_some(Event::StakeLaid).into_iter().collect());
    }
    let Some(number) = at.event.deployment() else { return Ok(Vec::new()) };
    let deployment = market.deployment_id(number);
    let reader = Reader { operator: core.operator, standing };
    let mut view = None;
    let meaning = loop {
        match reader.meaning(deployment, at, view.as_ref()) {
            Some(meaning) => break meaning,
            // With the contract's word everything can be told.
            None => view = Some(market.deployment(number).await.map_err(|error| chain(&error))?),
        }
    };
    if meaning.has_terms {
        let view = match view {
            Some(view) => view,
            None => market.deployment(number).await.map_err(|error| chain(&error))?,
        };
        budget(core, deployment, &view);
    }
    if let Some(command) = meaning.command {
        let done = core.driver.command(deployment, command).await.map_err(|error| error.to_string())?;
        if let Err(error) = done {
            tracing::debug!(%deployment, %error, "the owner's word on chain changed nothing");
        }
    }
    Ok(meaning.events)
}
