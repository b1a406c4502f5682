//! Answers without end, answers that never come, and agents that ask as fast as they can.

use std::time::{Duration, Instant};

use anyhow::ensure;
use serde_json::json;

use super::case::Run;
use super::names::HOST;

/// What a server may have sent before it notices that nobody reads: the agent's cap and the buffers on the way.
const SENT_BYTES_MAX: u64 = (8 << 20) + (16 << 20);
/// The sandbox gives an agent's answer 30 s; the rest is for this machine.
const WAIT_MAX: Duration = Duration::from_secs(45);
/// Requests that the flood tries, and how many of them one rule lets through in a second.
const FLOOD: u32 = 400;
const PER_SECOND: u64 = 50;

pub(super) fn answers(run: &mut Run<'_>) -> anyhow::Result<()> {
    for (path, what) in [
        ("/endless", "an answer without end"),
        ("/head", "a head without end"),
        ("/slow", "a byte each second"),
        ("/silent", "no byte at all"),
    ] {
        let start = Instant::now();
        run.case(
            "E30",
            &format!("{what}: the connection ends, within bytes and time, and the neighbour answers"),
            |node| {
                let request = json!({ "scheme": "http", "authority": HOST, "path": path, "timeout_ms": 5000 });
                // The agent may be ended for it: what its answer is does not matter here.
                node.ask("nisse.egress.flood", "/", &request.to_string())?;
                node.get("second", "http", HOST, "/neighbour").map(drop)
            },
            |evidence| {
                let heard: Vec<_> = evidence.requests().iter().map(|request| request.text("line").to_owned()).collect();
                ensure!(heard.iter().any(|line| line.contains(path)), "the case was not tried: {heard:?}");
                ensure!(heard.iter().any(|line| line.contains("/neighbour")), "the neighbour did not get out");
                ensure!(start.elapsed() < WAIT_MAX, "it took {:.0} s", start.elapsed().as_secs_f64());
                let sent = evidence.ended().iter().map(|end| end.number("sent")).max();
                // A server that sleeps does not notice the end of its connection.
                ensure!(sent.is_some() || path == "/silent", "the connection is still open");
                ensure!(sent.unwrap_or_default() < SENT_BYTES_MAX, "the server sent {sent:?} bytes");
                Ok(())
            },
        )?;
    }
    run.case(
        "E30",
        "a packed answer stays packed: one request",
        |node| {
            let answer = node.get("probe", "http", HOST, "/gzip")?;
            ensure!(answer["body_bytes"] == 33, "the body was {} bytes", answer["body_bytes"]);
            Ok(())
        },
        |evidence| evidence.requests_are(1),
    )?;
    run.case(
        "E30",
        "an upload above the cap never arrives whole",
        |node| {
            let body = "x".repeat((1 << 20) + 1);
            let request =
                json!({ "method": "POST", "scheme": "http", "authority": HOST, "path": "/upload", "body": body });
            node.ask("nisse.egress.flood", "/", &request.to_string()).map(drop)
        },
        |evidence| evidence.requests_are(0),
    )
}

/// As fast as the node takes them.
pub(super) fn requests(run: &mut Run<'_>) -> anyhow::Result<()> {
    let start = Instant::now();
    let took = std::cell::Cell::new(0.0);
    run.case(
        "E30",
        &format!("{FLOOD} requests at once: one rule lets {PER_SECOND} per second through"),
        |node| {
            let request = json!({ "scheme": "http", "authority": HOST, "path": "/flood" });
            node.ask_often("nisse.egress.flood", "/", &request.to_string(), FLOOD)?;
            took.set(start.elapsed().as_secs_f64());
            Ok(())
        },
        |evidence| {
            let requests = evidence.requests().len() as u64;
            let most = PER_SECOND * (took.get().ceil() as u64 + 1);
            ensure!(requests > 0, "the case was not tried");
            ensure!(requests <= most, "{requests} requests in {:.1} s", took.get());
            ensure!(evidence.connections() <= 20, "{} connections", evidence.connections());
            Ok(())
        },
    )
}
