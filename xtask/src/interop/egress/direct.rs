//! What no component can cause, since the sandbox or its agent's single file stops it before: sent straight to the way
//! out by a small program as the node's user, and judged as everything else.

use std::io::Write as _;
use std::path::PathBuf;
use std::process::Stdio;
use std::time::Instant;

use anyhow::{Context as _, ensure};
use serde_json::{Value, json};

use super::case::Run;
use super::headers::{forgeries, in_our_words};
use super::names::HOST;
use super::network::Network;

/// Forgeries that are dropped from a request which then leaves; the others stop it.
const REWRITTEN: &[&str] = &["E17", "E22", "E23"];

/// The small program: `crates/nisse-egress/examples/attempt.rs`.
pub(super) struct Direct<'a> {
    pub(super) network: &'a Network,
    pub(super) program: PathBuf,
}

impl Direct<'_> {
    fn attempt(&self, spec: &Value) -> anyhow::Result<Value> {
        let mut program = self.network.as_node(&self.program.to_string_lossy());
        let mut child = program.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().context("start the program")?;
        writeln!(child.stdin.take().context("its input")?, "{spec}")?;
        let output = child.wait_with_output()?;
        ensure!(output.status.success(), "the program ended with {}", output.status);
        serde_json::from_slice(&output.stdout).context("read what the program counted")
    }
}

fn spec(mut changes: Value) -> Value {
    let mut spec = json!({ "rules": [format!("http://{HOST}")], "scheme": "http", "authority": HOST });
    if let (Some(spec), Some(changes)) = (spec.as_object_mut(), changes.as_object_mut()) {
        spec.append(changes);
    }
    spec
}

/// Headers that WASI's own types refuse, and floods wider than one agent.
pub(super) fn attempts(run: &mut Run<'_>, direct: &Direct<'_>) -> anyhow::Result<()> {
    for (number, what, request) in forgeries() {
        let count = usize::from(REWRITTEN.contains(&number));
        run.case(
            number,
            &format!("without a component, {what}: {count} requests, in the node's own words"),
            |_| direct.attempt(&spec(request.clone())).map(drop),
            |evidence| {
                evidence.requests_are(count)?;
                in_our_words(evidence, HOST)
            },
        )?;
    }
    many_at_once(run, direct)?;
    run.case(
        "E30",
        "without a component, an upload of 10 GiB: no request arrives whole",
        |_| direct.attempt(&spec(json!({ "method": "PUT", "body_bytes": 10_u64 << 30 }))).map(drop),
        |evidence| {
            ensure!(evidence.connections() == 1, "the case was not tried");
            let packets = evidence.packets["allowed"];
            ensure!(packets < 20_000, "{packets} packets went out");
            evidence.requests_are(0)
        },
    )
}

fn many_at_once(run: &mut Run<'_>, direct: &Direct<'_>) -> anyhow::Result<()> {
    let took = std::cell::Cell::new(0);
    run.case(
        "E30",
        "without a component, 10,000 connections wanted at once by 500 agents: the destination gets 20 per second",
        |_| {
            let start = Instant::now();
            let flood =
                json!({ "path": "/silent", "times": 10_000, "parallel": 10_000, "agents": 500, "total_ms": 900 });
            direct.attempt(&spec(flood))?;
            took.set(start.elapsed().as_secs() + 1);
            Ok(())
        },
        |evidence| {
            let connections = evidence.connections() as u64;
            ensure!((1..=20 * took.get()).contains(&connections), "{connections} connections in {} s", took.get());
            let counted = evidence.packets["dialled"];
            ensure!(counted == connections, "{counted} connections were dialled and {connections} heard");
            Ok(())
        },
    )?;
    run.case(
        "E30",
        "without a component, 100,000 requests as fast as they are taken: one rule lets 50 per second through",
        |_| {
            let start = Instant::now();
            let flood = json!({ "times": 100_000, "parallel": 16 });
            direct.attempt(&spec(flood))?;
            took.set(start.elapsed().as_secs() + 1);
            Ok(())
        },
        |evidence| {
            let (requests, most) = (evidence.requests().len() as u64, 50 * (took.get() + 1));
            ensure!((1..=most).contains(&requests), "{requests} requests in {} s", took.get());
            Ok(())
        },
    )
}
