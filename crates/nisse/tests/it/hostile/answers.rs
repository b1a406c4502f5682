//! Agents whose answers lie: about their length, their end, their status, the connection. None of it reaches the next
//! answer on the same connection, which may be another agent's.

use std::io::{ErrorKind, Read as _, Write as _};
use std::net::TcpStream;
use std::time::Duration;

use crate::harness::{Home, Node};
use crate::web;

use self::Fate::{Broken, Refused};
use super::neighbour::beside_the_neighbour;
use super::{ask, deploy, fails_and_recovers};

/// How long a connection may stay silent after its last answer.
const SILENCE: Duration = Duration::from_secs(20);

/// What may become of an answer that lies.
#[derive(Debug, PartialEq, Eq)]
enum Fate {
    /// The node says that the agent failed.
    Refused,
    /// Its client sees that the end is missing.
    Broken,
    /// Nothing that may be.
    Other(String),
}

impl Fate {
    fn of(answer: std::io::Result<web::Answer>) -> Self {
        match answer {
            Ok(answer) if answer.status == 502 && answer.whole => Refused,
            Ok(answer) if answer.status == 200 && !answer.whole => Broken,
            // A head whose body breaks off at once may never be sent.
            Err(error) if matches!(error.kind(), ErrorKind::UnexpectedEof | ErrorKind::ConnectionReset) => Broken,
            Ok(answer) => Self::Other(format!("{}, whole: {}: {}", answer.status, answer.whole, answer.text())),
            Err(error) => Self::Other(error.to_string()),
        }
    }
}

#[test]
fn answers_that_lie_hurt_nobody_else() {
    let home = Home::new();
    let node = home.up(&[]);
    beside_the_neighbour(&node, || {
        deploy(&home, &["echo", "body-flood", "header-forger"]);
        for (path, allowed) in [
            ("/endless", &[Broken][..]),
            ("/headers", &[Refused]),
            ("/none", &[Refused]),
            // These have a head, which may leave before the lie shows.
            ("/short", &[Refused, Broken]),
            ("/long", &[Refused, Broken]),
            ("/unfinished", &[Refused, Broken]),
            ("/trap", &[Refused, Broken]),
        ] {
            let fate = Fate::of(node.try_ask("nisse.test.body-flood", "GET", path));
            assert!(allowed.contains(&fate), "{path}: {fate:?}");
            assert_eq!(ask(&node, "body-flood", "/ok").text(), "ok\n", "after {path}");
        }
        assert_eq!(ask(&node, "body-flood", "/empty").body, b"");
        let answer = ask(&node, "body-flood", "/trailers");
        assert_eq!(answer.text(), "before the trailers");
        assert_eq!(answer.header("set-cookie"), None);

        assert_eq!(ask(&node, "header-forger", "/fields").text(), "", "a field that begins another was taken");
        for status in [100, 101, 103] {
            fails_and_recovers(&node, "header-forger", &format!("/status?code={status}"));
        }
        let answer = ask(&node, "header-forger", "/receipt");
        let receipt = answer.header("nisse-receipt").unwrap();
        assert!(!receipt.contains("forged"), "{answer:?}");
        home.ok(&["receipt", "verify", receipt]);
    });
}

#[test]
fn what_one_agent_answers_never_becomes_anothers_answer() {
    let home = Home::new();
    let node = home.up(&[]);
    beside_the_neighbour(&node, || {
        deploy(&home, &["echo", "body-flood", "header-forger"]);
        let mut liars: Vec<(&str, &str, String)> = Vec::new();
        for bytes in ["0", "1", "5", "44", "45", "46", "1000", "-1", "0x2d", "18446744073709551660"] {
            liars.push(("header-forger", "GET", format!("/length?bytes={bytes}")));
        }
        for status in ["100", "101", "200", "204", "205", "304", "404", "599", "999"] {
            liars.push(("header-forger", "GET", format!("/status?code={status}")));
            liars.push(("header-forger", "HEAD", format!("/status?code={status}")));
        }
        for path in ["/short", "/long", "/unfinished", "/none", "/trap", "/trailers", "/headers"] {
            liars.push(("body-flood", "GET", path.to_owned()));
        }
        for (guest, method, path) in liars {
            let after = after_on_one_connection(&node, guest, method, &path);
            // The connection may end, but what comes on it is the neighbour's answer and nothing else.
            assert!(after.is_empty() || after.starts_with("HTTP/1.1 200 OK\r\n"), "{guest}{path}: {after:?}");
            assert!(after.is_empty() || after.ends_with("\r\n\r\nMethod::Get /after\n"), "{guest}{path}: {after:?}");
        }
    });
}

/// Asks a liar and then `echo` on one connection, and gives all that came after the liar's own answer.
fn after_on_one_connection(node: &Node<'_>, guest: &str, method: &str, path: &str) -> String {
    let mut stream = TcpStream::connect(&node.public).unwrap();
    stream.set_read_timeout(Some(SILENCE)).unwrap();
    let lie = format!("{method} {path} HTTP/1.1\r\nhost: nisse.test.{guest}.localhost\r\n\r\n");
    let next = "GET /after HTTP/1.1\r\nhost: nisse.test.echo.localhost\r\nconnection: close\r\n\r\n";
    stream.write_all(format!("{lie}{next}").as_bytes()).unwrap();
    let mut bytes = Vec::new();
    // A connection that the node breaks off is an end as good as any.
    let _ = stream.read_to_end(&mut bytes);
    let text = String::from_utf8_lossy(&bytes).into_owned();
    let Some((head, rest)) = text.split_once("\r\n\r\n") else { return String::new() };
    let field = |name: &str| {
        let lines = head.lines().filter_map(|line| line.split_once(": "));
        lines.into_iter().find_map(|(found, value)| found.eq_ignore_ascii_case(name).then_some(value))
    };
    let status = head.split(' ').nth(1).unwrap();
    assert!(!status.starts_with('1'), "an answer that ends no request: {head}");
    if method == "HEAD" || status == "204" || status == "304" {
        return rest.to_owned();
    }
    if field("transfer-encoding") == Some("chunked") {
        return rest.split_once("\r\n0\r\n\r\n").map_or("", |(_, after)| after).to_owned();
    }
    let length: usize = field("content-length").unwrap_or_else(|| panic!("no length: {head}")).parse().unwrap();
    rest.get(length..).unwrap_or_default().to_owned()
}

#[test]
fn a_body_read_slowly_holds_up_only_its_own_agent() {
    let home = Home::new();
    let node = home.up(&[]);
    deploy(&home, &["slow-reader"]);
    beside_the_neighbour(&node, || {
        let host = "nisse.test.slow-reader.localhost";
        let answer = web::request(&node.public, "POST", "/byte", &[("host", host)], &[7; 50]).unwrap();
        assert_eq!(answer.text(), "50\n");
    });
}
