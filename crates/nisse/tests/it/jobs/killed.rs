//! A node that is killed while events come: each has its effect once.

use nisse_testkit::Random;
use serde_json::json;

use super::{AGENT, noted};
use crate::harness::{Home, eventually, example, say};

/// How often the node is killed; `NISSE_JOB_KILLS` says otherwise.
const KILLS: u64 = 20;
/// Events that are fired between two kills, at most.
const EVENTS_MAX: u64 = 12;

#[test]
fn no_kill_loses_an_event_or_lets_it_be_handled_twice() {
    let kills = std::env::var("NISSE_JOB_KILLS").ok().and_then(|count| count.parse().ok()).unwrap_or(KILLS);
    let seed = std::env::var("NISSE_JOB_SEED").ok().and_then(|seed| seed.parse().ok()).unwrap_or(1);
    let mut random = Random::new(seed);
    let home = Home::new();
    let mut node = home.up(&[]);
    home.ok(&["deploy", &example("worker")]);
    let mut taken = Vec::new();
    for kill in 0..kills {
        for number in 0..random.below(EVENTS_MAX) {
            let key = format!("event-{kill}-{number}");
            let request = json!({ "data": { "kill": kill }, "key": key });
            let path = format!("/api/v1/agents/{AGENT}/triggers/tick/fire");
            // What is not answered may be there or not; what is answered is.
            if node.post(&path, &request).status == 200 {
                taken.push(format!("tick:{key}"));
            }
        }
        std::thread::sleep(std::time::Duration::from_millis(random.below(1_500)));
        node.kill();
        node = home.up(&[]);
    }
    let counts = eventually("all that was taken", || {
        let counts = noted(&node);
        taken.iter().all(|key| counts.contains_key(&("work".to_owned(), key.clone()))).then_some(counts)
    });
    let twice: Vec<_> = counts.iter().filter(|(_, count)| **count != 1).collect();
    assert!(twice.is_empty(), "handled more than once: {twice:?}");
    // Each second since the agent came up is there once, whatever happened in it.
    eventually("every second", || {
        let counts = noted(&node);
        let seconds = counts.keys().filter(|(function, event)| function == "work" && event.starts_with("tick:1"));
        let mut seconds: Vec<u64> = seconds.map(|(_, event)| event["tick:".len()..].parse().unwrap()).collect();
        seconds.sort_unstable();
        let whole = seconds.windows(2).all(|pair| pair[1] - pair[0] == 1_000);
        (whole && seconds.len() > 2).then_some(())
    });
    // And each that was done has been followed once.
    eventually("what follows", || {
        let counts = noted(&node);
        let works = counts.keys().filter(|(function, _)| function == "work").count();
        let follows = counts.keys().filter(|(function, _)| function == "follow").count();
        // The newest may be under way.
        (follows + 2 >= works).then_some(())
    });
    say(&format!("{} events taken, {kills} kills", taken.len()));
}
