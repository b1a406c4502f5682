//! nisse doctor --rebuild-chain, market upgrade: what is done to a home's own chain while no node runs on the home.

use std::sync::Arc;

use nisse_node::{NodeOptions, Seams, rebuild_chain, upgrade_market};
use nisse_store::{SystemClock, SystemDisk, SystemEntropy};
use serde_json::json;

use super::vault::with_passphrase;
use crate::cli::Shared;
use crate::config;
use crate::failure::{Exit, Failure};
use crate::output;

/// A home that stands already, and what its node would be started with.
fn standing(shared: &Shared, verb: &str) -> Result<(NodeOptions, Seams), Failure> {
    let home = config::home(shared.home.as_deref())?;
    if !home.join("format").is_file() {
        let text = format!("failed to {verb}: no home stands in {}", home.display());
        return Err(Failure::new(Exit::Refused, text).hint("`nisse up` makes one"));
    }
    let options = config::load(&home, &crate::cli::Up::default())?.options;
    Ok((options, seams()))
}

/// This machine.
pub(super) fn seams() -> Seams {
    Seams { disk: Arc::new(SystemDisk), clock: Arc::new(SystemClock::default()), entropy: Arc::new(SystemEntropy) }
}

pub(crate) async fn upgrade(shared: &Shared) -> Result<(), Failure> {
    let (options, seams) = standing(shared, "upgrade the market")?;
    let upgraded = with_passphrase(async |passphrase| upgrade_market(&options, seams.clone(), passphrase).await);
    let upgraded = upgraded.await?;
    if shared.json {
        output::json(&json!({
            "version": upgraded.version,
            "manager": upgraded.manager,
            "reopening": upgraded.reopening,
            "finishing": upgraded.finishing,
        }));
        return Ok(());
    }
    output::line(format!("version {} of the market stands: {}", upgraded.version, upgraded.manager));
    for agent in &upgraded.reopening {
        output::line(format!("{agent}: its home lease reopens there at the next `nisse up`"));
    }
    for agent in &upgraded.finishing {
        output::line(format!("{agent}: its paid lease finishes on the version before"));
    }
    Ok(())
}

pub(crate) async fn rebuild(shared: &Shared) -> Result<(), Failure> {
    let (options, seams) = standing(shared, "rebuild the chain")?;
    let rebuilt = with_passphrase(async |passphrase| rebuild_chain(&options, seams.clone(), passphrase).await);
    let rebuilt = rebuilt.await?;
    if shared.json {
        let deployments: Vec<_> = rebuilt
            .deployments
            .iter()
            .map(|one| {
                json!({
                    "deployment": one.deployment,
                    "agent_id": one.agent_id,
                    "live": one.live,
                    "outcome": one.outcome,
                })
            })
            .collect();
        output::json(&json!({
            "chain": rebuilt.chain,
            "copy": rebuilt.copy,
            "deployments": deployments,
            "lost": rebuilt.lost,
        }));
        return Ok(());
    }
    output::line(format!("chain {} stands again, made from the journal", rebuilt.chain));
    for one in &rebuilt.deployments {
        let number = one.deployment.rsplit(':').next().unwrap_or_default();
        let agent = one.agent_id.as_deref().unwrap_or("unknown");
        output::line(format!("deployment {number:<5} {agent}: {}", one.outcome));
    }
    output::line(
        "as before: the chain's id, the contracts' addresses, every deployment's number, records and receipts",
    );
    output::line("not as before:");
    for sentence in &rebuilt.lost {
        output::line(format!("  {sentence}"));
    }
    output::line(format!("what was there is kept in {}", rebuilt.copy.display()));
    Ok(())
}
