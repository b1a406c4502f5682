//! Agents that take: memory, tables, stack, handles, state, log lines, alarms. Each runs into a limit of its own, is told
//! so in its own log, and goes on.

use crate::harness::Home;

use super::neighbour::beside_the_neighbour;
use super::{ask, deploy, fails_and_recovers, log_of};

#[test]
fn agents_that_take_too_much_run_into_limits_of_their_own() {
    let home = Home::new();
    let node = home.up(&[]);
    beside_the_neighbour(&node, || {
        let guests = ["memory-bomb", "table-bomb", "recursion", "handle-leaker"];
        deploy(&home, &guests);
        for path in ["/", "/large"] {
            fails_and_recovers(&node, "memory-bomb", path);
        }
        let number = |guest, path| -> u64 {
            let text = ask(&node, guest, path).text();
            text.split_whitespace().next().unwrap().parse().unwrap()
        };
        let got = number("memory-bomb", "/count");
        assert!((1..=32).contains(&got), "agent.yaml grants 32 MiB, it got {got}");
        assert!(number("table-bomb", "/tables") <= 100_000);
        assert!(number("table-bomb", "/huge") <= 100_000);
        for path in ["/memory", "/again"] {
            let pages = number("table-bomb", path);
            assert!((1..=512).contains(&pages), "{path}: 32 MiB are 512 pages, it got {pages}");
        }
        for path in ["/null", "/wrong", "/beyond", "/divide"] {
            fails_and_recovers(&node, "table-bomb", path);
        }
        for path in ["/", "/host"] {
            fails_and_recovers(&node, "recursion", path);
        }
        for path in ["/fields", "/pollables", "/requests", "/options", "/poll?count=100000", "/same?count=3500000"] {
            fails_and_recovers(&node, "handle-leaker", path);
        }
        for (guest, told) in [
            ("memory-bomb", "it needed more memory than it has: raise `memory` in agent.yaml"),
            ("table-bomb", "uninitialized element"),
            ("recursion", "its stack is full: does it recurse for ever?"),
            ("handle-leaker", "it used a handle that it does not hold, or holds too many"),
        ] {
            let log = log_of(&home, guest);
            assert!(log.contains(told), "{guest} is not told why: {log}");
            let status = home.json(&["status", &format!("nisse.test.{guest}")]);
            assert_eq!(status["state"], "running", "{status}");
            assert!(status["memory_bytes"].as_u64().unwrap() <= 32 << 20, "{status}");
        }
    });
}

#[test]
fn what_an_agent_makes_the_node_hold_is_that_agents_own_memory() {
    let home = Home::new();
    let node = home.up(&[]);
    beside_the_neighbour(&node, || {
        deploy(&home, &["handle-leaker"]);
        assert_eq!(ask(&node, "handle-leaker", "/ok").status, 200);
        let before = node.memory_peak_bytes();
        let leaks =
            ["/bodies", "/request-bodies", "/full-fields", "/many-fields", "/copied-fields", "/authorities", "/sends"];
        for path in leaks {
            fails_and_recovers(&node, "handle-leaker", path);
            // What its agent.yaml grants, and as much again for what the allocator keeps of it.
            let held = node.memory_peak_bytes() - before;
            assert!(held < 64 << 20, "{path}: an agent of 32 MiB has the node hold {} MiB more", held >> 20);
        }
        // A life that leaks a little in each of many calls ends in the same way, and the next one begins.
        let answers: Vec<u16> = (0..60).map(|_| ask(&node, "handle-leaker", "/bodies?count=10").status).collect();
        assert!(answers.contains(&200) && answers.iter().any(|status| *status >= 500), "{answers:?}");
        assert_eq!(ask(&node, "handle-leaker", "/dropped?count=200").text(), "dropped 200\n");
        let held = node.memory_peak_bytes() - before;
        assert!(held < 64 << 20, "an agent of 32 MiB has the node hold {} MiB more", held >> 20);
        let log = log_of(&home, "handle-leaker");
        assert!(log.contains("its memory of 33554432 bytes is spent"), "it is not told why: {log}");
    });
}

#[test]
fn agents_that_fill_logs_state_and_alarms_fill_only_their_own() {
    let home = Home::new();
    let node = home.up(&[]);
    beside_the_neighbour(&node, || {
        deploy(&home, &["log-flood", "wasi-prober", "state-filler", "alarm-storm"]);
        for path in ["/fast", "/escapes", "/huge"] {
            ask(&node, "log-flood", path);
        }
        assert_eq!(ask(&node, "wasi-prober", "/print").text(), "printed\n");
        for guest in ["log-flood", "wasi-prober"] {
            let log = log_of(&home, guest);
            assert!(log.len() < 64 << 20, "{} bytes of log are kept", log.len());
            let strange = log.chars().find(|one| one.is_control() && *one != '\n');
            assert_eq!(strange, None, "a control character of a guest reached the terminal");
            for line in log.lines() {
                // Time, level and text: a guest that writes a line break does not begin a line.
                assert!(line.get(..30).is_some_and(|head| head.contains(" UTC ")), "{line:?}");
            }
        }
        // Nothing of an invocation that was stopped is kept, and what is kept is within the quota.
        fails_and_recovers(&node, "state-filler", "/tiny");
        assert_eq!(ask(&node, "state-filler", "/count").text(), "0\n");
        ask(&node, "state-filler", "/edges");
        for _ in 0..5 {
            ask(&node, "state-filler", "/huge");
        }
        let kept = home.json(&["status", "nisse.test.state-filler"])["state_bytes"].as_u64().unwrap();
        assert!(kept <= 64 << 20, "{kept} bytes of state");

        fails_and_recovers(&node, "alarm-storm", "/flood");
        assert_eq!(ask(&node, "alarm-storm", "/storm").status, 200);
        let storms = || -> u64 { ask(&node, "alarm-storm", "/count").text().trim().parse().unwrap() };
        crate::harness::eventually("fifty alarms", || (storms() > 50).then_some(()));
        assert_eq!(ask(&node, "alarm-storm", "/calm").status, 200);
        let after = storms();
        // One may have been on its way when it was called off.
        assert_eq!(ask(&node, "alarm-storm", "/ok").status, 200);
        assert!(storms() <= after + 1, "it goes on after it was called off");
        assert_eq!(home.json(&["status", "nisse.test.alarm-storm"])["alarm"], serde_json::Value::Null);
    });
}

#[test]
fn an_alarm_at_the_end_of_time_is_kept_and_disturbs_nobody() {
    let home = Home::new();
    let node = home.up(&[]);
    deploy(&home, &["events-only", "counter"]);
    let agent = "nisse.test.events-only";
    let alarm = || home.json(&["status", agent])["alarm"].as_u64();
    for at in [u64::MAX, 1 << 53, 253_402_300_800_000] {
        let event = format!("alarm {at}");
        home.ok(&["invoke", agent, "--event", &event, "--content-type", "text/plain"]);
        assert!(alarm().unwrap() >= at, "{:?}", alarm());
        assert!(home.ok(&["status", agent]).contains("alarm "), "it has a face");
    }
    node.kill();
    let node = home.up(&[]);
    assert!(alarm().unwrap() >= 253_402_300_800_000, "it outlives the node");
    assert_eq!(node.ask_served("nisse.test.counter", "POST", "/").text(), "1\n");
}
