//! Requests that no component can make, sent over the real network: `cargo xtask interop egress` runs it inside a network
//! namespace, where others judge what left. One JSON object per line of stdin; one line of counts each on stdout.
//!
//! `{"rules": [...], "scheme", "authority", "path", "method", "headers": [[name, value]], "body_bytes", "times",
//! "parallel", "agents", "total_ms"}`; `times` requests, `parallel` at once, spread over `agents`. The way out is the same
//! for all lines, with the limits of a node.
#![expect(clippy::print_stdout, reason = "the counts are this program's product")]

use std::collections::BTreeMap;
use std::io::BufRead as _;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use futures::StreamExt as _;
use futures::stream;
use nisse_egress::{
    Egress, EgressConfig, EgressDeps, EgressTime, GuestRequest, HickoryResolver, NoSecrets, Reach, RequestBody,
    RequestTimeouts, TcpDialler, TracingAudit,
};
use nisse_model::{NetworkRule, Timestamp};
use serde_json::{Value, json};

/// How much of an answer is read.
const ANSWER_BYTES_MAX: usize = 64 << 20;
/// A body that has no end of its own is sent in pieces of this.
const PIECE: &[u8] = &[b'x'; 64 << 10];

#[tokio::main(flavor = "current_thread")]
async fn main() {
    let start = Instant::now();
    let deps = EgressDeps {
        resolver: Arc::new(HickoryResolver::new(&[])),
        dialler: Arc::new(TcpDialler),
        secrets: Arc::new(NoSecrets),
        audit: Arc::new(TracingAudit),
        time: EgressTime::new(|| Timestamp(0), move || start.elapsed()),
    };
    let egress = Egress::new(EgressConfig::default(), deps);
    for line in std::io::stdin().lock().lines() {
        let spec: Value = serde_json::from_str(&line.expect("a line")).expect("JSON");
        println!("{}", attempt(&egress, &spec).await);
    }
}

/// Makes the requests of one line and counts how they ended: a status, or the reason of a refusal.
async fn attempt(egress: &Egress, spec: &Value) -> Value {
    let number = |key: &str| spec[key].as_u64().unwrap_or(1);
    let texts = |key: &str| spec[key].as_array().into_iter().flatten().filter_map(Value::as_str);
    let rules: Vec<NetworkRule> = texts("rules").map(|rule| rule.parse().expect("a rule")).collect();
    let (times, parallel, agents) = (number("times"), number("parallel"), number("agents"));
    let ends = stream::iter(0..times)
        .map(|index| send(egress, spec, &rules, index % agents))
        .buffer_unordered(usize::try_from(parallel).expect("a count"))
        .fold(BTreeMap::<String, u64>::new(), |mut ends, end| async move {
            *ends.entry(end).or_default() += 1;
            ends
        });
    json!(ends.await)
}

async fn send(egress: &Egress, spec: &Value, rules: &[NetworkRule], agent: u64) -> String {
    let text = |key: &str, otherwise: &str| spec[key].as_str().unwrap_or(otherwise).to_owned();
    let pairs = spec["headers"].as_array().into_iter().flatten();
    let part = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let body = match spec["body_bytes"].as_u64() {
        None => RequestBody::Full(Bytes::from(text("body", ""))),
        Some(length) => {
            let pieces = length.div_ceil(PIECE.len() as u64);
            RequestBody::Stream(Box::pin(stream::iter((0..pieces).map(|_| Ok(Bytes::from_static(PIECE))))))
        }
    };
    let total = spec["total_ms"].as_u64().map(Duration::from_millis);
    let request = GuestRequest {
        agent: format!("agent-{agent}"),
        reach: Reach::Granted { rules, local: &[], secrets: &[] },
        method: text("method", "GET"),
        scheme: text("scheme", "http"),
        authority: text("authority", ""),
        path_and_query: text("path", "/"),
        headers: pairs.map(|pair| (part(&pair[0]), part(&pair[1]).into_bytes())).collect(),
        body,
        timeouts: RequestTimeouts { total, ..RequestTimeouts::default() },
    };
    match egress.request(request).await {
        Err(error) => error.reason().to_owned(),
        Ok(response) => {
            let status = response.status.to_string();
            match response.body.collect(ANSWER_BYTES_MAX).await {
                Ok(_) => status,
                Err(error) => error.reason().to_owned(),
            }
        }
    }
}
