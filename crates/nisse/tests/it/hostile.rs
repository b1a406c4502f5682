//! Agents that mean harm, deployed by the command line beside one that means none. The judge is never the node's own
//! word: it is the neighbour that goes on answering, and a listener of the test that nobody may reach.

use std::net::TcpListener;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use serde_json::{Value, json};

use crate::harness::{Home, Node, eventually, example};
use crate::web;

/// A node with `echo` on it and one guest beside it.
fn beside_echo(home: &Home, guest: &str) -> String {
    home.ok(&["deploy", &example("echo")]);
    let deployed = home.json(&["deploy", &example(guest)]);
    assert_eq!(deployed["state"], "running", "{guest}");
    format!("nisse.test.{guest}")
}

/// Asks for each of these at once, and asks `echo` while they are under way. Gives the statuses, 0 for none.
fn storm(node: &Node<'_>, agent: &str, paths: &[&str]) -> Vec<u16> {
    std::thread::scope(|scope| {
        let asked: Vec<_> = paths
            .iter()
            .map(|path| scope.spawn(move || node.try_ask(agent, "GET", path).map_or(0, |answer| answer.status)))
            .collect();
        while asked.iter().any(|one| !one.is_finished()) {
            node.echo_answers();
        }
        asked.into_iter().map(|one| one.join().unwrap()).collect()
    })
}

/// Whatever came before, the agent itself answers again: one bad invocation is not the end of it.
fn recovers(node: &Node<'_>, agent: &str) {
    let answer = node.ask_served(agent, "GET", "/ok");
    assert_eq!(answer.status, 200, "{answer:?}");
    node.echo_answers();
}

#[test]
fn a_memory_bomb_ends_inside_its_own_limit() {
    let home = Home::new();
    let node = home.up(&[]);
    let agent = beside_echo(&home, "memory-bomb");
    for path in ["/", "/large"] {
        let answer = node.ask_served(&agent, "GET", path);
        assert!(answer.status >= 500, "{path}: {answer:?}");
        node.echo_answers();
    }
    let counted = node.ask_served(&agent, "GET", "/count");
    let got: u64 = counted.text().split(' ').next().unwrap().parse().unwrap();
    assert!((1..=32).contains(&got), "agent.yaml grants 32 MiB, it got {got}");
    recovers(&node, &agent);
}

#[test]
fn deep_recursion_ends_as_a_trap() {
    let home = Home::new();
    let node = home.up(&[]);
    let agent = beside_echo(&home, "recursion");
    for _ in 0..3 {
        let answer = node.ask_served(&agent, "GET", "/");
        assert!(answer.status >= 500, "{answer:?}");
        node.echo_answers();
    }
    recovers(&node, &agent);
}

#[test]
fn leaked_handles_run_into_a_limit_of_their_own() {
    let home = Home::new();
    let node = home.up(&[]);
    let agent = beside_echo(&home, "handle-leaker");
    for path in ["/fields", "/pollables", "/requests", "/options"] {
        let answer = node.ask_served(&agent, "GET", path);
        assert!(answer.status >= 500, "a million of {path}: {answer:?}");
        node.echo_answers();
    }
    recovers(&node, &agent);
}

#[test]
fn a_log_flood_is_cut_and_cannot_forge_a_line() {
    let home = Home::new();
    let node = home.up(&[]);
    let agent = beside_echo(&home, "log-flood");
    storm(&node, &agent, &["/fast", "/huge", "/escapes"]);
    recovers(&node, &agent);
    let log = home.ok(&["logs", &agent, "-n", "1000000"]);
    assert!(log.len() < 64 << 20, "{} bytes of log are kept", log.len());
    let strange = log.chars().find(|one| one.is_control() && *one != '\n');
    assert_eq!(strange, None, "a control character of a guest reached the terminal");
    for line in log.lines() {
        // Time, level and text: a guest that writes a line break does not begin a line.
        assert!(line.get(..30).is_some_and(|head| head.contains(" UTC ")), "{line:?}");
    }
}

#[test]
fn state_fills_up_to_a_limit_and_no_further() {
    let home = Home::new();
    let node = home.up(&[]);
    let agent = beside_echo(&home, "state-filler");
    let statuses = storm(&node, &agent, &["/huge", "/edges"]);
    assert!(statuses.iter().all(|status| *status != 0), "{statuses:?}");
    recovers(&node, &agent);
    let kept = home.json(&["status", &agent])["state_bytes"].as_u64().unwrap();
    assert!(kept <= 1 << 30, "{kept} bytes of state");
}

#[test]
fn bodies_without_end_or_truth_hurt_nobody_else() {
    let home = Home::new();
    let node = home.up(&[]);
    let agent = beside_echo(&home, "body-flood");
    for path in ["/headers", "/short", "/long", "/unfinished", "/none", "/trap"] {
        match node.try_ask(&agent, "GET", path) {
            Ok(answer) => assert!(answer.status >= 500 || !answer.whole, "{path}: {answer:?}"),
            Err(error) => assert!(path != "/none", "{path}: {error}"),
        }
        node.echo_answers();
    }
    recovers(&node, &agent);
}

#[test]
fn a_body_read_slowly_holds_up_only_its_own_agent() {
    let home = Home::new();
    let node = home.up(&[]);
    let agent = beside_echo(&home, "slow-reader");
    std::thread::scope(|scope| {
        let (node, agent) = (&node, &agent);
        let host = format!("{agent}.localhost");
        let slow = scope.spawn(move || web::request(&node.public, "POST", "/byte", &[("host", &host)], &[7; 50]));
        while !slow.is_finished() {
            node.echo_answers();
        }
        assert_eq!(slow.join().unwrap().unwrap().text(), "50\n");
    });
    recovers(&node, &agent);
}

#[test]
fn an_endless_loop_is_stopped_and_its_neighbour_answers_meanwhile() {
    let home = Home::new();
    let node = home.up(&[]);
    let agent = beside_echo(&home, "endless-loop");
    // Nobody waits for the end of it: the caller goes away while it spins.
    std::thread::scope(|scope| {
        let (node, agent) = (&node, &agent);
        let spinning = scope.spawn(move || node.try_ask(agent, "GET", "/spin").map_or(0, |answer| answer.status));
        for _ in 0..50 {
            node.echo_answers();
        }
        home.ok(&["stop", agent]);
        let status = spinning.join().unwrap();
        assert!(status == 0 || status >= 500, "{status}");
    });
    node.echo_answers();
    assert_eq!(home.json(&["status", &agent])["state"], "stopped");
}

#[test]
fn a_trap_at_start_is_a_state_that_says_what_to_do() {
    let home = Home::new();
    let node = home.up(&[]);
    home.ok(&["deploy", &example("echo")]);
    let refused = home.run(&["deploy", &example("trap-at-start")]);
    insta::assert_snapshot!(refused.refusal(), @r#"
    exit 1
    error: failed to start nisse.test.trap-at-start@v1.0.0: at start: run the agent: it panicked (an `unreachable` instruction)
    hint: `nisse status nisse.test.trap-at-start` says what to do
    "#);
    let status = home.json(&["status", "nisse.test.trap-at-start"]);
    assert_eq!(status["state"], "failed");
    insta::assert_snapshot!(status["reason"].as_str().unwrap(), @"at start: run the agent: it panicked (an `unreachable` instruction)");
    insta::assert_snapshot!(status["hint"].as_str().unwrap(), @"`nisse logs` shows what its `started` handler said");
    assert_eq!(home.json(&["market", "show", "2"])["paid"], "0", "it cost nobody money");
    node.echo_answers();
}

#[test]
fn a_prober_reaches_no_address_that_it_was_not_granted() {
    let home = Home::new();
    let node = home.up(&[]);
    let agent = beside_echo(&home, "egress-prober");
    let canary = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = canary.local_addr().unwrap().port();
    let reached = Arc::new(AtomicUsize::new(0));
    let counter = Arc::clone(&reached);
    // Ends with the process: it owns nothing but the listener.
    std::thread::spawn(move || {
        for _ in canary.incoming() {
            counter.fetch_add(1, Ordering::SeqCst);
        }
    });
    let api_port = node.api.rsplit_once(':').unwrap().1;
    let mut authorities = vec![format!("127.0.0.1:{api_port}"), format!("localhost:{api_port}")];
    for host in ["127.0.0.1", "localhost", "[::1]", "[::ffff:127.0.0.1]", "127.1", "2130706433", "0x7f000001", "0"] {
        authorities.push(format!("{host}:{port}"));
    }
    for host in ["169.254.169.254", "metadata.google.internal", "metadata", "[fd00:ec2::254]", "10.0.0.1", "0.0.0.0"] {
        authorities.push(host.to_owned());
    }
    authorities.push(format!("allowed.example.org@127.0.0.1:{port}"));
    authorities.push(format!("allowed.example.org.localhost:{port}"));
    for authority in &authorities {
        for scheme in ["http", "https"] {
            let spec = json!({ "scheme": scheme, "authority": authority, "path": "/", "timeout_ms": 2_000 });
            let seen = probe(&node, &agent, &spec);
            assert!(seen["refused"].is_string() && seen["status"].is_null(), "{scheme}://{authority}: {seen}");
        }
    }
    // Headers that name another host do not lead there either.
    for header in ["host", "x-forwarded-host", "proxy-authorization"] {
        let pair = [header.to_owned(), format!("127.0.0.1:{port}")];
        let spec = json!({ "scheme": "http", "authority": "127.0.0.1", "path": "/", "headers": [pair] });
        assert!(probe(&node, &agent, &spec)["refused"].is_string(), "{header}");
    }
    assert_eq!(reached.load(Ordering::SeqCst), 0, "the canary was reached");
    // The judge hears: what does reach it is counted.
    std::net::TcpStream::connect(("127.0.0.1", port)).unwrap();
    eventually("the canary's own proof", || (reached.load(Ordering::SeqCst) == 1).then_some(()));
    node.echo_answers();
}

fn probe(node: &Node<'_>, agent: &str, spec: &Value) -> Value {
    let headers = [("host", &*format!("{agent}.localhost"))];
    let answer = web::request(&node.public, "POST", "/", &headers, spec.to_string().as_bytes()).unwrap();
    assert_eq!(answer.status, 200, "{answer:?}");
    answer.json()
}
