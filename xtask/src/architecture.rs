//! The borders of ARCHITECTURE.md as a test: which crate may see which, who owns what, and where the outside is.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::command::repository;

/// What each crate may depend on inside the workspace. Downward only; siblings never see each other.
const EDGES: &[(&str, &[&str])] = &[
    (
        "nisse",
        &[
            "nisse-api",
            "nisse-content",
            "nisse-egress",
            "nisse-link",
            "nisse-model",
            "nisse-node",
            "nisse-sandbox",
            "nisse-store",
            "nisse-vault",
        ],
    ),
    ("nisse-api", &["nisse-node"]),
    (
        "nisse-node",
        &[
            "nisse-content",
            "nisse-egress",
            "nisse-link",
            "nisse-market",
            "nisse-model",
            "nisse-orchestrator",
            "nisse-sandbox",
            "nisse-space",
            "nisse-store",
            "nisse-vault",
        ],
    ),
    ("nisse-orchestrator", &["nisse-model"]),
    ("nisse-sandbox", &["nisse-model", "nisse-store"]),
    ("nisse-content", &["nisse-model", "nisse-store"]),
    ("nisse-link", &["nisse-model", "nisse-store"]),
    ("nisse-market", &["nisse-model", "nisse-store"]),
    ("nisse-egress", &["nisse-model", "nisse-store"]),
    ("nisse-space", &["nisse-model", "nisse-store"]),
    ("nisse-vault", &["nisse-model", "nisse-store"]),
    ("nisse-store", &["nisse-model"]),
    ("nisse-model", &[]),
    ("nisse-sdk", &[]),
    ("nisse-testkit", &["nisse-model", "nisse-store"]),
    ("xtask", &[]),
];

/// Heavy dependencies and the one crate whose manifest names each.
const OWNERS: &[(&str, &str)] = &[
    ("alloy", "nisse-market"),
    ("automerge", "nisse-space"),
    ("axum", "nisse-api"),
    ("clap", "nisse"),
    ("hickory-resolver", "nisse-egress"),
    ("iroh", "nisse-link"),
    ("iroh-mdns-address-lookup", "nisse-link"),
    ("jsonschema", "nisse-space"),
    ("redb", "nisse-store"),
    ("revm", "nisse-market"),
    ("spake2", "nisse-link"),
    ("tokio-rustls", "nisse-egress"),
    ("wasmtime", "nisse-sandbox"),
    ("wasmtime-wasi", "nisse-sandbox"),
    ("wasmtime-wasi-http", "nisse-sandbox"),
];

/// Crates that know no async runtime and do no IO.
const PURE: &[&str] = &["nisse-model", "nisse-orchestrator"];
const IMPURE_DEPENDENCIES: &[&str] = &["tokio", "hyper", "getrandom", "rand", "rustix", "nix"];

/// Words that reach outside, and the files that may hold them. A folder ends with `/`.
const SEAMS: &[(&str, &[&str])] = &[
    ("std::fs", &["crates/nisse-store/src/disk.rs", "crates/nisse/src/"]),
    ("tokio::fs", &["crates/nisse/src/"]),
    ("SystemTime::now", &["crates/nisse-store/src/clock.rs"]),
    // The journal's thread times its syncs, to know how long a batch is gathered; no record depends on it.
    ("Instant::now", &["crates/nisse-store/src/clock.rs", "crates/nisse-store/src/journal/writer.rs"]),
    ("getrandom::", &["crates/nisse-store/src/entropy.rs"]),
    ("OsRng", &[]),
    ("SystemRandom", &[]),
    ("rand::rng", &[]),
    // The demo's price feed has a certificate of its own; nothing that a simulated world runs draws one.
    ("KeyPair::generate", &["crates/nisse-egress/src/tls_server.rs"]),
    ("TcpStream::connect", &["crates/nisse-egress/src/", "crates/nisse-api/src/client"]),
    ("UnixStream::connect", &[]),
    // The operator's own URLs are resolved as the machine resolves them.
    ("lookup_host", &["crates/nisse-egress/src/resolver/machine.rs"]),
    ("to_socket_addrs", &[]),
    (
        "tokio::spawn",
        &[
            "crates/nisse-node/src/supervisor.rs",
            "crates/nisse-egress/src/",
            "crates/nisse-sandbox/src/",
            "crates/nisse/src/internal/",
        ],
    ),
    ("env::var", &["crates/nisse/src/"]),
];

fn metadata() -> serde_json::Value {
    let mut cargo = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    cargo.args(["metadata", "--format-version", "1", "--no-deps", "--offline"]).current_dir(repository());
    let output = cargo.output().expect("cargo metadata runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).expect("cargo metadata is JSON")
}

/// Crate name to the names of its dependencies, dev-dependencies left out.
fn dependencies() -> BTreeMap<String, BTreeSet<String>> {
    let metadata = metadata();
    let packages = metadata["packages"].as_array().expect("a list of packages");
    let named = |dependency: &serde_json::Value| dependency["name"].as_str().expect("a name").to_owned();
    packages
        .iter()
        .map(|package| {
            let list = package["dependencies"].as_array().expect("a list of dependencies");
            let normal = list.iter().filter(|dependency| dependency["kind"] != "dev").map(named).collect();
            (named(package), normal)
        })
        .collect()
}

fn sources(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).expect("the folder is readable") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            sources(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
}

/// The product's own sources, relative to the root: no tests, no benches, no test kit.
fn product_sources() -> Vec<(String, String)> {
    let mut paths = Vec::new();
    for entry in std::fs::read_dir(repository().join("crates")).expect("crates") {
        let folder = entry.expect("an entry").path();
        if !folder.ends_with("nisse-testkit") {
            sources(&folder.join("src"), &mut paths);
        }
    }
    let relative =
        |path: &PathBuf| path.strip_prefix(repository()).expect("inside the repository").to_string_lossy().into_owned();
    paths
        .iter()
        .map(|path| (relative(path), std::fs::read_to_string(path).expect("a source is readable")))
        .filter(|(path, _)| !path.ends_with("/tests.rs") && !path.contains("/tests/"))
        .map(|(path, text)| (path, without_inline_tests(&text)))
        .collect()
}

/// Inline test modules stand at the end of a file.
fn without_inline_tests(text: &str) -> String {
    text.split("\n#[cfg(test)]\nmod ").next().unwrap_or_default().to_owned()
}

#[test]
fn crates_depend_downward_only() {
    let dependencies = dependencies();
    let workspace: BTreeSet<_> = dependencies.keys().cloned().collect();
    for (name, found) in &dependencies {
        let allowed = EDGES.iter().find(|(known, _)| known == name);
        let (_, allowed) = allowed.unwrap_or_else(|| panic!("{name} has no line in the table of borders"));
        for dependency in found.intersection(&workspace) {
            assert!(allowed.contains(&dependency.as_str()), "{name} may not depend on {dependency}");
        }
    }
}

#[test]
fn a_heavy_dependency_has_one_owner() {
    for (name, found) in dependencies() {
        for (heavy, owner) in OWNERS {
            assert!(!found.contains(*heavy) || name == *owner, "{heavy} belongs to {owner}, not to {name}");
        }
    }
}

#[test]
fn pure_crates_know_no_outside() {
    let dependencies = dependencies();
    for name in PURE {
        for dependency in IMPURE_DEPENDENCIES {
            assert!(!dependencies[*name].contains(*dependency), "{name} is pure and may not depend on {dependency}");
        }
    }
}

#[test]
fn the_outside_is_reached_through_its_seams_only() {
    let mut broken = Vec::new();
    for (path, text) in product_sources() {
        for (word, places) in SEAMS {
            let allowed = places
                .iter()
                .any(|place| path == *place || (path.starts_with(place) && place.ends_with('/')))
                || places.iter().any(|place| path.starts_with(&format!("{place}/")) || path == format!("{place}.rs"));
            if !allowed {
                let lines = text.lines().enumerate().filter(|(_, line)| !line.trim_start().starts_with("//"));
                broken.extend(
                    lines.filter(|(_, line)| line.contains(word)).map(|(at, _)| format!("{path}:{}: {word}", at + 1)),
                );
            }
        }
    }
    assert!(broken.is_empty(), "outside the seams:\n{}", broken.join("\n"));
}

#[test]
fn unsafe_stands_in_one_file() {
    for (path, text) in product_sources() {
        let forbids = text.contains("#![forbid(unsafe_code)]");
        if path.ends_with("/src/lib.rs") || path.ends_with("/src/main.rs") {
            let exempt = path.contains("nisse-sandbox") || path.contains("nisse-sdk");
            assert!(forbids || exempt, "{path} does not forbid unsafe code");
        }
    }
    let holding: Vec<_> = product_sources()
        .into_iter()
        .filter(|(path, _)| !path.contains("nisse-sdk"))
        .filter(|(_, text)| text.lines().any(|line| line.contains("unsafe {")))
        .map(|(path, _)| path)
        .collect();
    assert!(holding.len() <= 1 && holding.iter().all(|path| path.contains("nisse-sandbox")), "{holding:?}");
}

#[test]
fn every_source_says_what_it_is_for() {
    for (path, text) in product_sources() {
        assert!(text.starts_with("//!"), "{path} does not begin with its purpose");
        assert!(!path.ends_with("/mod.rs"), "{path}: a module is `name.rs` beside its folder");
    }
}

#[test]
fn the_map_stays_short() {
    let map = std::fs::read_to_string(repository().join("ARCHITECTURE.md")).expect("ARCHITECTURE.md");
    assert!(map.lines().count() <= 150, "ARCHITECTURE.md is a map, not a book");
    for (name, _) in EDGES {
        assert!(map.contains(name), "ARCHITECTURE.md does not show {name}");
    }
}
