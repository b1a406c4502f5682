//! Agents that mean harm, deployed by the command line to one running node. The judge is never the node's own word: it is
//! the neighbour that goes on answering with its own state, listeners that nobody may reach, and what the process holds.
//!
//! Each story has one node, so that its agents also meet each other.

mod answers;
mod canary;
mod endless;
mod greedy;
mod local;
mod money;
mod neighbour;
mod reach;
mod refused;

use crate::harness::{Home, Node, example};

/// The most that a node may hold whatever its agents do: its own needs in an unoptimised build, and some agents' memory.
const MEMORY_BYTES_MAX: u64 = 400 << 20;

/// Deploys these example guests, all of which start.
fn deploy(home: &Home, guests: &[&str]) {
    for guest in guests {
        let deployed = home.json(&["deploy", &example(guest)]);
        assert_eq!(deployed["state"], "running", "{guest}");
    }
}

/// Asks a guest of `examples/guests` once.
fn ask(node: &Node<'_>, guest: &str, path: &str) -> crate::web::Answer {
    node.ask_served(&format!("nisse.test.{guest}"), "GET", path)
}

/// Asks for what must not work, and then whether the agent still answers: one bad invocation is not the end of it.
fn fails_and_recovers(node: &Node<'_>, guest: &str, path: &str) {
    let answer = ask(node, guest, path);
    assert!(answer.status >= 500, "{guest}{path}: {answer:?}");
    let answer = ask(node, guest, "/ok");
    assert_eq!(answer.status, 200, "{guest} after {path}: {answer:?}");
}

/// What an agent's own log says to its owner.
fn log_of(home: &Home, guest: &str) -> String {
    home.ok(&["logs", &format!("nisse.test.{guest}"), "-n", "1000000"])
}
