//! What the market costs its nodes: the gas of a heartbeat for any number of leases, and the way back to the head of a
//! chain after a long time.
//!
//! `cargo bench -p nisse-market --bench market [-- --json]`. Everything runs on the machine's disk in a temporary folder.
#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "a bench prints, and stops at the first surprise")]

#[path = "market/catch_up.rs"]
mod catch_up;
#[path = "market/heartbeats.rs"]
mod heartbeats;
#[path = "market/stage.rs"]
mod stage;
#[path = "market/wire.rs"]
mod wire;

use serde_json::json;

/// One figure: its name, its value, what it counts, and what it should be.
struct Figure {
    name: String,
    value: f64,
    unit: &'static str,
    aim: &'static str,
}

impl Figure {
    fn new(name: impl Into<String>, value: f64, unit: &'static str, aim: &'static str) -> Self {
        Self { name: name.into(), value, unit, aim }
    }
}

fn main() {
    // `cargo test` compiles and starts every target: without `--bench` there is nothing to measure.
    if !std::env::args().any(|argument| argument == "--bench") {
        return;
    }
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    let figures = runtime.block_on(async {
        let mut figures = heartbeats::measure().await;
        figures.extend(catch_up::measure().await);
        figures
    });
    let is_json = std::env::args().any(|argument| argument == "--json");
    for Figure { name, value, unit, aim } in figures {
        match is_json {
            true => println!("{}", json!({ "name": name, "value": value })),
            false => println!("{name:<32} {value:>14.4} {unit:<10} {aim}"),
        }
    }
}

/// The middle one.
fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}
