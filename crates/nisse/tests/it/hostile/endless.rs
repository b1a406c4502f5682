//! Agents that never come to an end: in their own code, in host calls, in bodies that they neither finish nor read. The
//! node's own deadline ends each of them, one agent waits for no other, and whoever asks too much of one is told so.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use crate::harness::{Home, Node};
use crate::web;

use super::neighbour::beside_the_neighbour;
use super::{deploy, log_of};

/// The node's deadline for one request, and as much again for a machine that builds something else.
const DEADLINE: Duration = Duration::from_secs(30);
const DEADLINE_LATEST: Duration = Duration::from_secs(55);
/// Far more than an agent's queue holds.
const CALLERS: usize = 300;

#[test]
fn agents_that_never_end_are_ended_by_the_nodes_deadline() {
    let home = Home::new();
    let node = home.up(&[]);
    // One agent for each way not to end, so that all of them do not end at once.
    let endless = [
        ("endless-loop", "spinner", "GET", "/spin"),
        ("endless-loop", "sleeper", "GET", "/wait"),
        ("endless-loop", "poller", "GET", "/polls"),
        ("slow-reader", "refuser", "POST", "/never"),
    ];
    for (guest, name, ..) in endless {
        let package = home.copy_of(guest, name);
        package.edit(&format!("nisse.test.{guest}@"), &format!("nisse.test.{name}@"));
        assert_eq!(home.json(&["deploy", package.path()])["state"], "running");
    }
    deploy(&home, &["endless-loop", "body-flood"]);
    beside_the_neighbour(&node, || {
        std::thread::scope(|scope| {
            let ended = endless.map(|(_, name, method, path)| {
                let node = &node;
                scope.spawn(move || {
                    let host = format!("nisse.test.{name}.localhost");
                    let body: &[u8] = if method == "POST" { &[7; 100_000] } else { b"" };
                    let begun = Instant::now();
                    let answer = web::request(&node.public, method, path, &[("host", &host)], body);
                    (name, begun.elapsed(), answer.map(|answer| answer.status))
                })
            });
            // Host calls without end are counted, and end long before.
            let begun = Instant::now();
            assert!(super::ask(&node, "endless-loop", "/calls").status >= 500);
            assert!(begun.elapsed() < DEADLINE);
            let log = log_of(&home, "endless-loop");
            assert!(log.contains("make another host call: 4096 are allowed in one invocation"), "{log}");
            a_full_queue_is_said_at_once(&home, &node);
            a_body_that_stalls_ends_when_nobody_waits_for_it(&node);
            for ended in ended {
                let (name, took, answer) = ended.join().unwrap();
                assert!(took <= DEADLINE_LATEST, "{name} took {took:?}");
                assert!(answer.as_ref().is_ok_and(|status| *status >= 500), "{name}: {answer:?}");
            }
        });
        for (_, name, ..) in endless {
            let answer = super::ask(&node, name, "/ok");
            assert_eq!(answer.status, 200, "{name} answers again: {answer:?}");
            let log = log_of(&home, name);
            assert!(log.contains(" error "), "{name} is told why it was stopped: {log}");
        }
    });
}

/// The agent gave one byte and then nothing. Its caller leaves, and the next one is answered.
fn a_body_that_stalls_ends_when_nobody_waits_for_it(node: &Node<'_>) {
    let mut stream = TcpStream::connect(&node.public).unwrap();
    stream.write_all(b"GET /stall HTTP/1.1\r\nhost: nisse.test.body-flood.localhost\r\n\r\n").unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
    // Its beginning comes at once or not at all.
    let _ = stream.read(&mut [0; 512]);
    drop(stream);
    let begun = Instant::now();
    assert_eq!(super::ask(node, "body-flood", "/ok").text(), "ok\n");
    assert!(begun.elapsed() <= DEADLINE_LATEST, "the next caller waited {:?}", begun.elapsed());
}

/// As many callers as can wait do so; the next ones hear at once that it is too many, and when to come again.
fn a_full_queue_is_said_at_once(home: &Home, node: &Node<'_>) {
    let host = "nisse.test.endless-loop.localhost";
    let request = format!("GET /wait HTTP/1.1\r\nhost: {host}\r\nconnection: close\r\n\r\n");
    let callers: Vec<TcpStream> = (0..CALLERS)
        .map(|_| {
            let mut stream = TcpStream::connect(&node.public).unwrap();
            stream.write_all(request.as_bytes()).unwrap();
            stream.set_nonblocking(true).unwrap();
            stream
        })
        .collect();
    let mut told = Vec::new();
    crate::harness::eventually("someone to be sent away", || {
        for mut stream in &callers {
            let mut bytes = [0; 512];
            if let Ok(length) = stream.read(&mut bytes) {
                told.push(String::from_utf8_lossy(&bytes[..length]).into_owned());
            }
        }
        (told.len() >= 20).then_some(())
    });
    for answer in told.iter().filter(|answer| !answer.is_empty()) {
        assert!(answer.starts_with("HTTP/1.1 503 ") && answer.contains("retry-after: "), "{answer}");
    }
    drop(callers);
    home.ok(&["stop", "nisse.test.endless-loop"]);
    assert_eq!(home.json(&["status", "nisse.test.endless-loop"])["state"], "stopped");
}
