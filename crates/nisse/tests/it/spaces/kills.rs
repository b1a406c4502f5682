//! kill -9 of an agent at random moments, while its owner and another member's home write: what was acknowledged is there, at
//! both in the end. `NISSE_KILLS` asks for more kills, `NISSE_SEED` repeats a run.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use nisse_testkit::Random;
use serde_json::json;

use super::together::texts;
use crate::devices::{begin, free_address};
use crate::harness::{Home, Node, eventually, say};
use crate::web;

/// What is sure to happen in one run of the tests.
const KILLS: u64 = 100;
/// The longest time for which a node is left alone.
const ALIVE_MS_MAX: u64 = 250;
/// What was acknowledged is read again after so many kills.
const LOOK_EVERY: u64 = 10;

/// Writes notes until it is told to stop, or nobody answers any more; gives those that were acknowledged.
fn write(home: &Home, api: &str, who: &str, stop: &AtomicBool) -> Vec<String> {
    let token = std::fs::read_to_string(home.path().join("token")).unwrap();
    let token = format!("Bearer {}", token.trim());
    let headers = [("host", api), ("authorization", &*token), ("content-type", "application/json")];
    let mut acknowledged = Vec::new();
    for number in 0.. {
        if stop.load(Ordering::Relaxed) {
            break;
        }
        let text = format!("{who} {number}");
        let body = json!({ "text": text }).to_string();
        match web::request(api, "POST", "/api/v1/spaces/notes/objects", &headers, body.as_bytes()) {
            Ok(answer) if answer.status == 200 => acknowledged.push(text),
            Ok(answer) => panic!("{}: {}", answer.status, answer.text()),
            Err(_) => break,
        }
        // The story is of kills and not of how much fits into a space.
        std::thread::sleep(Duration::from_millis(20));
    }
    acknowledged
}

fn missing(home: &Home, acknowledged: &BTreeSet<String>) -> Vec<String> {
    let found: BTreeSet<String> = texts(home, "notes").into_iter().collect();
    acknowledged.difference(&found).cloned().collect()
}

#[test]
fn no_kill_loses_a_change_that_was_acknowledged() {
    let number = |name: &str| std::env::var(name).ok().and_then(|text| text.parse().ok());
    let kills = number("NISSE_KILLS").unwrap_or(KILLS);
    let seed = number("NISSE_SEED").unwrap_or_else(|| u64::from(std::process::id()));
    say(&format!("NISSE_SEED={seed} NISSE_KILLS={kills}"));
    let mut random = Random::new(seed);
    let (agent, other, link) = (Home::new(), Home::new(), free_address());
    let up = || agent.up(&["--link", &link]);
    let mut node: Node<'_> = up();
    begin(&agent, "agent");
    agent.ok(&["space", "create", "notes"]);
    let beside = other.up(&[]);
    begin(&other, "other");
    let invitation = agent.run(&["space", "invite", "notes"]).out;
    assert_eq!(other.feed(&["space", "join"], invitation.as_bytes()).code, 0);

    let mut acknowledged = BTreeSet::new();
    for kill in 1..=kills {
        let (stop, api, alive) = (AtomicBool::new(false), node.api.clone(), random.below(ALIVE_MS_MAX));
        let written = std::thread::scope(|scope| {
            let of_agent = scope.spawn(|| write(&agent, &api, &format!("agent {kill}"), &stop));
            let of_other = scope.spawn(|| write(&other, &beside.api, &format!("other {kill}"), &stop));
            std::thread::sleep(Duration::from_millis(alive));
            node.kill();
            stop.store(true, Ordering::Relaxed);
            [of_agent.join().unwrap(), of_other.join().unwrap()]
        });
        acknowledged.extend(written.into_iter().flatten());
        node = up();
        if kill % LOOK_EVERY == 0 || kill == kills {
            let own: BTreeSet<String> = acknowledged.iter().filter(|text| text.starts_with("agent")).cloned().collect();
            assert_eq!(missing(&agent, &own), Vec::<String>::new(), "after kill {kill}");
        }
    }
    for home in [&agent, &other] {
        eventually("all that was acknowledged anywhere", || missing(home, &acknowledged).is_empty().then_some(()));
    }
    assert!(acknowledged.len() as u64 > kills, "only {} changes were acknowledged", acknowledged.len());
    say(&format!("{} changes were acknowledged over {kills} kills", acknowledged.len()));
}
