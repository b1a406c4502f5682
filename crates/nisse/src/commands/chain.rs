//! nisse doctor --rebuild-chain: a home's own chain, made anew from its journal.

use std::sync::Arc;

use nisse_node::{Seams, rebuild_chain};
use nisse_store::{SystemClock, SystemDisk, SystemEntropy};
use serde_json::json;

use crate::cli::Shared;
use crate::config;
use crate::failure::{Exit, Failure};
use crate::output;

pub(crate) async fn rebuild(shared: &Shared) -> Result<(), Failure> {
    let home = config::home(shared.home.as_deref())?;
    if !home.join("format").is_file() {
        let text = format!("failed to rebuild the chain: no home stands in {}", home.display());
        return Err(Failure::new(Exit::Refused, text).hint("`nisse up` makes one"));
    }
    let options = config::load(&home, &crate::cli::Up::default())?.options;
    let seams =
        Seams { disk: Arc::new(SystemDisk), clock: Arc::new(SystemClock::default()), entropy: Arc::new(SystemEntropy) };
    let rebuilt = rebuild_chain(&options, seams).await?;
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
