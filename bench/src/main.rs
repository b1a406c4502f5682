//! `cargo run --release --manifest-path bench/Cargo.toml [-- GROUP...]`: every aim of the project beside what was measured
//! now, on this machine, in one table.
//!
//! Figures of a shared machine are noisy: read the ratios, whose two sides are measured in turns in the same run.

mod blocks;
mod http;
mod hyper_peer;
mod load;
mod market;
mod node;
mod parts;
mod program;
mod serve;
mod server;
mod spaces;
mod table;

use anyhow::{Context as _, ensure};

use self::table::Row;

/// One part of the table.
struct Group {
    name: &'static str,
    what: &'static str,
    rows: fn() -> anyhow::Result<Vec<Row>>,
}

const GROUPS: &[Group] = &[
    Group { name: "http", what: "an HTTP agent of the release binary beside bare hyper", rows: http::rows },
    Group { name: "serve", what: "the bare sandbox beside wasmtime serve", rows: serve::rows },
    Group { name: "sandbox", what: "calls into the sandbox, and the memory of its agents", rows: parts::sandbox },
    Group { name: "node", what: "an idle node, deploys, kills", rows: node::rows },
    Group { name: "chain", what: "the embedded chain beside the disk", rows: parts::chain },
    Group { name: "market", what: "heartbeats, catching up, an order that a stranger runs", rows: market::rows },
    Group { name: "content", what: "a fetch over loopback", rows: parts::content },
    Group { name: "credentials", what: "a log of credentials, from its bytes", rows: parts::credentials },
    Group { name: "link", what: "peers dialled by key beside plain TCP", rows: parts::link },
    Group { name: "spaces", what: "documents of a space beside automerge-repo's sync server", rows: spaces::rows },
    Group { name: "gas", what: "what the contracts cost", rows: parts::gas },
];

fn main() -> anyhow::Result<()> {
    let names: Vec<String> = std::env::args().skip(1).collect();
    match names.first().map(String::as_str) {
        Some("hyper") => return hyper_peer::serve(),
        Some("--help" | "help") => {
            println!(
                "nisse-bench [GROUP...]   all groups, or those named; {} names another binary to measure",
                program::NISSE
            );
            GROUPS.iter().for_each(|group| println!("  {:<10} {}", group.name, group.what));
            return Ok(());
        }
        _ => {}
    }
    for name in &names {
        ensure!(GROUPS.iter().any(|group| group.name == name), "know the group `{name}`: see `nisse-bench help`");
    }
    let mut rows = Vec::new();
    for group in GROUPS.iter().filter(|group| names.is_empty() || names.iter().any(|name| name == group.name)) {
        eprintln!("── {}", group.what);
        rows.extend((group.rows)().with_context(|| format!("measure the group `{}`", group.name))?);
    }
    table::print(&rows);
    Ok(())
}
