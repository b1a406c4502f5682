//! An agent's life by the command line: update, rollback, pause, resume, stop, start, destroy, with its state.

use crate::harness::{Home, Node, eventually, example};

const COUNTER: &str = "nisse.test.counter";

/// The count that the agent answers, once it serves: 503 means that nothing ran.
fn count(node: &Node<'_>, method: &str) -> u64 {
    let answer = node.ask_served(COUNTER, method, "/");
    assert_eq!(answer.status, 200, "{answer:?}");
    answer.text().trim().parse().unwrap()
}

#[test]
fn an_agents_state_outlives_update_stop_and_start() {
    let home = Home::new();
    let node = home.up(&[]);
    let deployed = home.json(&["deploy", &example("counter")]);
    assert_eq!(deployed["state"], "running");
    for expected in 1..=3 {
        assert_eq!(count(&node, "POST"), expected);
    }

    let newer = home.copy_of("counter", "newer");
    newer.edit("@v1.0.0", "@v1.1.0");
    let status = home.json(&["update", COUNTER, newer.path()]);
    assert_eq!((&status["version"], &status["deployment"]), (&"1.1.0".into(), &deployed["deployment"]));
    assert_eq!(count(&node, "GET"), 3, "the state came along");
    assert_eq!(count(&node, "POST"), 4);

    let lower = home.run(&["update", COUNTER, &example("counter")]);
    assert_eq!(lower.code, 3, "{lower:?}");
    assert!(lower.err.contains("--allow-downgrade"), "{lower:?}");
    assert_eq!(home.json(&["status", COUNTER])["version"], "1.1.0", "the refused update changed nothing");
    assert_eq!(count(&node, "GET"), 4);
    let meant = home.json(&["update", COUNTER, &example("counter"), "--allow-downgrade"]);
    assert_eq!(meant["version"], "1.0.0");
    assert_eq!(count(&node, "GET"), 4, "a downgrade that was meant is no rollback: the state stays");
    home.ok(&["update", COUNTER, newer.path()]);
    assert_eq!(home.json(&["stop", COUNTER])["state"], "stopped");
    let stopped = node.ask(COUNTER, "POST", "/");
    assert_eq!(stopped.status, 503, "{stopped:?}");
    let again = home.json(&["start", COUNTER]);
    assert_eq!(again["state"], "running");
    assert_ne!(again["deployment"], deployed["deployment"], "a start is a new deployment");
    assert_eq!(count(&node, "POST"), 5, "of the same state");
}

#[test]
fn a_paused_agent_answers_nothing_and_goes_on_where_it_was() {
    let home = Home::new();
    let node = home.up(&[]);
    home.ok(&["deploy", &example("counter")]);
    assert_eq!(count(&node, "POST"), 1);
    assert_eq!(home.json(&["pause", COUNTER])["state"], "paused");
    let paused = node.ask(COUNTER, "POST", "/");
    assert_eq!(paused.status, 503, "{paused:?}");
    assert_eq!(home.json(&["resume", COUNTER])["state"], "running");
    assert_eq!(count(&node, "GET"), 1, "nothing ran while it was paused");
}

#[test]
fn a_rollback_brings_back_the_package_and_the_state_before_the_update() {
    let home = Home::new();
    let node = home.up(&[]);
    home.ok(&["deploy", &example("counter")]);
    assert_eq!(count(&node, "POST"), 1);
    let newer = home.copy_of("counter", "newer");
    newer.edit("@v1.0.0", "@v1.1.0");
    home.ok(&["update", COUNTER, newer.path()]);
    assert_eq!(count(&node, "POST"), 2);
    assert_eq!(home.json(&["rollback", COUNTER])["version"], "1.0.0");
    assert_eq!(count(&node, "GET"), 1, "the state went back to where it was at the update");
}

#[test]
fn a_destroyed_agent_leaves_its_state_as_content_and_nothing_that_answers() {
    let home = Home::new();
    let node = home.up(&[]);
    let deployed = home.json(&["deploy", &example("counter")]);
    let artifact = deployed["cid"].as_str().unwrap();
    let needed = home.run(&["content", "rm", artifact]);
    assert_eq!(needed.code, 3, "{needed:?}");
    assert!(needed.err.contains("nisse.test.counter needs it\nhint: `nisse destroy nisse.test.counter`"), "{needed:?}");
    assert_eq!(count(&node, "POST"), 1);
    let destroyed = home.json(&["destroy", COUNTER]);
    let cid = destroyed["state_cid"].as_str().expect("its state is exported");
    assert!(!home.ok(&["content", "get", cid]).is_empty());
    assert_eq!(home.json(&["ls"]), serde_json::json!([]));
    home.ok(&["content", "rm", cid]);
    home.ok(&["content", "gc"]);
    assert_eq!(home.run(&["content", "get", cid]).code, 1, "its owner gave it up");

    // Its package was needed by nobody any more, and went with it.
    assert_eq!(home.run(&["content", "get", artifact]).code, 1);

    // A new agent of the same name begins at nothing.
    home.ok(&["deploy", &example("counter")]);
    assert_eq!(count(&node, "GET"), 0);
}

#[test]
fn a_destroyed_agents_name_leads_nowhere() {
    let home = Home::new();
    let node = home.up(&[]);
    home.ok(&["deploy", &example("counter")]);
    home.ok(&["destroy", COUNTER]);
    eventually("its name to be free", || (node.ask(COUNTER, "GET", "/").status == 421).then_some(()));
}

#[test]
fn an_event_is_answered_and_its_log_is_kept() {
    let home = Home::new();
    let node = home.up(&[]);
    home.ok(&["deploy", &example("echo")]);
    let invoked = home.json(&["invoke", "nisse.test.echo", "--event", "{\"word\": \"hello\"}"]);
    assert_eq!((invoked["text"].as_str(), &invoked["seq"]), (Some("{\"word\":\"hello\"}"), &2.into()));
    assert_eq!(home.ok(&["invoke", "nisse.test.echo", "--event", "7"]), "7\n");
    assert_eq!(node.ask("nisse.test.echo", "GET", "/event").text(), "7", "both handlers share one state");

    home.ok(&["deploy", &example("log-flood")]);
    node.ask("nisse.test.log-flood", "GET", "/quiet");
    let log = home.ok(&["logs", "nisse.test.log-flood"]);
    assert!(log.contains("info") && log.contains("quiet"), "{log}");
}

#[test]
fn an_event_can_be_a_file_stdin_text_or_bytes() {
    const ECHO: &str = "nisse.test.echo";
    let home = Home::new();
    let _node = home.up(&[]);
    home.ok(&["deploy", &example("echo")]);
    let file = home.beside("event.json");
    std::fs::write(&file, "{\"from\": \"a file\"}\n").unwrap();
    let at_file = format!("@{}", file.display());
    assert_eq!(home.ok(&["invoke", ECHO, "--event", &at_file]), "{\"from\":\"a file\"}\n");
    let text = home.json(&["invoke", ECHO, "--event", "no JSON at all", "--content-type", "text/plain"]);
    assert_eq!((&text["text"], &text["content_type"]), (&"no JSON at all".into(), &"text/plain".into()));
    std::fs::write(&file, [0, 159, 146, 150]).unwrap();
    let bytes = ["invoke", ECHO, "--event", &at_file, "--content-type", "application/octet-stream"];
    assert_eq!(home.json(&bytes)["base64"], "AJ+Slg==");
    assert_eq!(home.feed(&["invoke", ECHO, "--event", "-"], b"[1, 2]").out, "[1,2]\n");
    let typed = home.run(&["invoke", ECHO, "--event", "1", "--type", "com.example.order"]);
    assert_eq!(typed.code, 0, "{typed:?}");

    for (args, code, said) in [
        (&["--event", "{oops"][..], 2, "failed to read --event as JSON"),
        (&["--event", "1", "--type", "alarm"], 3, "only the node raises those"),
        (&["--event", "1", "--type", "a\nb"], 2, "control characters"),
        (&["--event", "@nowhere.json"], 1, "failed to read nowhere.json"),
    ] {
        let ended = home.run(&[&["invoke", ECHO], args].concat());
        assert_eq!(ended.code, code, "{ended:?}");
        assert!(ended.err.contains(said), "{ended:?}");
    }
    let long = vec![b'x'; (1 << 20) + 1];
    let ended = home.feed(&["invoke", ECHO, "--event", "-", "--content-type", "text/plain"], &long);
    assert_eq!(ended.code, 2, "{ended:?}");
    assert!(ended.err.contains("at most 1048576 are allowed"), "{ended:?}");
}

#[test]
fn a_destroyed_agent_stays_destroyed_whatever_it_was_before() {
    let home = Home::new();
    let _node = home.up(&[]);
    home.ok(&["deploy", &example("counter")]);
    home.ok(&["stop", COUNTER]);
    home.ok(&["start", COUNTER]);
    home.ok(&["destroy", COUNTER]);
    assert_eq!(home.json(&["ls"]), serde_json::json!([]));
    assert_eq!(home.run(&["destroy", COUNTER]).code, 1, "there is nothing left to destroy");
}
