//! receipt show, verify: the node's signature over an invocation record, and the chain of records behind it.

use std::path::Path;

use nisse_api::client::Client;
use nisse_model::{Address, Hash256, InvocationRecord};
use nisse_node::control::{HeartbeatProof, NodeStatus, ReceiptBundle};
use serde_json::json;

use super::client;
use super::files::read_text;
use crate::cli::{ReceiptCommand, Shared};
use crate::failure::{Exit, Failure};
use crate::output;

pub(crate) async fn run(shared: &Shared, command: ReceiptCommand) -> Result<(), Failure> {
    match command {
        ReceiptCommand::Show { receipt } => {
            let bundle = fetch(&client(shared).await?, &receipt).await?;
            if shared.json {
                output::json(&bundle)
            } else {
                print(&bundle)?
            }
            Ok(())
        }
        ReceiptCommand::Heartbeat { deployment } => heartbeat(shared, &deployment).await,
        ReceiptCommand::Verify { receipt, node, depth } => verify(shared, &receipt, node, depth).await,
    }
}

async fn fetch(client: &Client, receipt: &str) -> Result<ReceiptBundle, Failure> {
    let unreadable = || {
        Failure::usage(format!(
            "failed to read `{receipt}` as a receipt: expected DEPLOYMENT/SEQ, or a file that is there"
        ))
        .hint("the `nisse-receipt` header of each answer names its receipt")
    };
    let (deployment, seq) = receipt.rsplit_once('/').ok_or_else(unreadable)?;
    let seq: u64 = seq.parse().map_err(|_| unreadable())?;
    if !deployment.chars().all(allowed) {
        return Err(unreadable());
    }
    Ok(client.get(&format!("/api/v1/receipts/{deployment}/{seq}")).await?)
}

/// Whether a deployment's name may have it.
fn allowed(c: char) -> bool {
    c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | ':' | '@')
}

fn print(bundle: &ReceiptBundle) -> Result<(), Failure> {
    let record = bundle.read().map_err(|error| broken(format!("failed to {error}")))?;
    let calls: Vec<&str> = record.host_calls.iter().map(|call| call.function.as_str()).collect();
    output::pairs(&[
        ("deployment", bundle.deployment.clone()),
        ("seq", bundle.seq.to_string()),
        ("time", output::time(record.time.0)),
        ("outcome", format!("{:?}", record.outcome)),
        ("artifact", record.artifact.to_string()),
        ("config", record.config.to_string()),
        ("input", record.input.to_string()),
        ("output", record.output.to_string()),
        ("fuel", record.fuel.to_string()),
        ("state before", record.state_before.to_string()),
        ("state after", record.state_after.to_string()),
        ("host calls", calls.join(", ")),
        ("record", bundle.record_hash.clone()),
        ("previous", bundle.previous.clone()),
        ("node", bundle.node.clone()),
        ("signature", bundle.signature.clone()),
    ]);
    Ok(())
}

async fn heartbeat(shared: &Shared, deployment: &str) -> Result<(), Failure> {
    if !deployment.chars().all(allowed) {
        return Err(Failure::usage(format!(
            "failed to read `{deployment}` as a deployment: its number or full name is expected"
        )));
    }
    let client = client(shared).await?;
    let proof: HeartbeatProof = client.get(&format!("/api/v1/heartbeats/{deployment}")).await?;
    if shared.json {
        output::json(&proof);
        return Ok(());
    }
    let node: NodeStatus = client.get("/api/v1/node").await?;
    let begins = |seconds: u64| format!(", from {} on", output::time(proof.period.saturating_mul(seconds * 1_000)));
    output::pairs(&[
        ("deployment", proof.deployment),
        ("node", proof.node),
        ("period", format!("{}{}", proof.period, node.heartbeat_seconds.map(begins).unwrap_or_default())),
        ("records", proof.records.to_string()),
        ("last record", proof.record_hash),
        ("state", proof.state_root),
        ("root", format!("{}, as the chain has it in block {}", proof.root, proof.block)),
        ("proof", format!("{} hashes from the lease to the root", proof.proof.len())),
    ]);
    Ok(())
}

/// What does not hold.
fn broken(text: impl Into<String>) -> Failure {
    Failure::new(Exit::Refused, text.into())
}

/// Checks one receipt by itself.
fn check(bundle: &ReceiptBundle, node: Address) -> Result<InvocationRecord, Failure> {
    bundle.verify(node).map_err(|error| broken(format!("failed to {error}")))
}

async fn verify(shared: &Shared, receipt: &str, node: Option<String>, depth: u64) -> Result<(), Failure> {
    let file = Path::new(receipt);
    if file.is_file() {
        let bundle: ReceiptBundle = serde_json::from_str(&read_text(file)?).map_err(|error| {
            Failure::usage(format!("failed to read {receipt} as a receipt: {error}"))
                .hint("`nisse --json receipt show DEPLOYMENT/SEQ > FILE` writes one")
        })?;
        let node = node.unwrap_or_else(|| bundle.node.clone());
        check(&bundle, parse_node(&node)?)?;
        return said(shared, &bundle, &node, 1);
    }
    let client = client(shared).await?;
    let last = fetch(&client, receipt).await?;
    // This home's own node has looked who made it: itself, or the one that the market gave the deployment to.
    let node = node.unwrap_or_else(|| last.node.clone());
    let address = parse_node(&node)?;
    let mut newer = check(&last, address)?;
    let mut checked = 1;
    // Backwards: each record names the hash of the one before it.
    while checked <= depth && newer.seq > 1 {
        let older = fetch(&client, &format!("{}/{}", last.deployment, newer.seq - 1)).await?;
        let record = check(&older, address)?;
        if record.hash() != newer.previous {
            let text =
                format!("failed to verify the chain: record {} does not follow record {}", newer.seq, record.seq);
            return Err(broken(text));
        }
        newer = record;
        checked += 1;
    }
    if newer.seq == 1 && newer.previous != Hash256::ZERO {
        return Err(broken("failed to verify the chain: its first record names one before it"));
    }
    said(shared, &last, &node, checked)
}

fn parse_node(text: &str) -> Result<Address, Failure> {
    text.parse().map_err(|error| Failure::usage(format!("failed to {error}")))
}

fn said(shared: &Shared, bundle: &ReceiptBundle, node: &str, checked: u64) -> Result<(), Failure> {
    if shared.json {
        output::json(
            &json!({ "verified": true, "deployment": bundle.deployment, "seq": bundle.seq, "node": node, "records": checked }),
        );
    } else {
        output::line(format!(
            "{node} signed record {} of {}; {checked} records form a chain",
            bundle.seq, bundle.deployment
        ));
    }
    Ok(())
}
