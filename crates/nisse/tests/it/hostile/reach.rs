//! Agents that reach for what they were not given: sockets, names, files, addresses behind the rule, content, the chain.

use serde_json::{Value, json};

use crate::harness::{Home, Node, eventually};
use crate::web;

use super::canary::{Canary, Upstream};
use super::neighbour::beside_the_neighbour;
use super::{ask, deploy};

#[test]
fn a_prober_of_wasi_gets_neither_a_socket_nor_a_name_nor_a_file() {
    let home = Home::new();
    let node = home.up(&[]);
    let canary = Canary::new();
    beside_the_neighbour(&node, || {
        deploy(&home, &["wasi-prober"]);
        let told = |path: &str| ask(&node, "wasi-prober", path).text();
        for path in ["/tcp", "/udp"] {
            let answer = told(&format!("{path}?address={}", canary.address()));
            assert!(!answer.contains("CONNECTED") && !answer.contains("SENDS"), "{answer}");
            assert!(answer.contains("access-denied"), "{answer}");
        }
        for name in ["localhost", "example.org", "metadata.google.internal", "127.0.0.1"] {
            let answer = told(&format!("/lookup?name={name}"));
            assert!(answer.starts_with("resolve: "), "{name}: {answer}");
        }
        assert_eq!(told("/files"), "0 folders\n");
        assert_eq!(told("/environment"), "variables [], arguments [], folder None\n");
        assert_eq!(told("/input"), "closed: true\n");
        assert_eq!(told("/random?bytes=65536"), "3 of 3 draws and 4 of 4 numbers differ\n");
        let clocks = told("/clocks");
        assert!(clocks.starts_with("fine 0, back 0,"), "{clocks}");
        for path in ["/exit?code=0", "/exit?code=1", "/random?bytes=4294967296"] {
            super::fails_and_recovers(&node, "wasi-prober", path);
        }
    });
    canary.heard_nothing();
}

#[test]
fn a_seeker_of_content_and_of_the_chain_gets_what_it_was_granted_and_no_more() {
    let home = Home::new();
    let node = home.up(&[]);
    beside_the_neighbour(&node, || {
        deploy(&home, &["grant-seeker"]);
        let told = |path: &str| ask(&node, "grant-seeker", path).text();
        let add = |name: &str, bytes: usize| -> String {
            std::fs::write(home.beside(name), vec![7; bytes]).unwrap();
            let added = home.json(&["content", "add", home.beside(name).to_str().unwrap()]);
            added["cid"].as_str().unwrap().to_owned()
        };
        let small = add("small", 1_000);
        assert_eq!(told(&format!("/read?cid={small}")), "read 1000 bytes\n");
        let large = add("large", (1 << 20) + 1);
        assert_eq!(told(&format!("/read?cid={large}")), "IpfsError::TooLarge(1048576)\n");
        // The CID of nothing that lies here.
        let missing = "bafkreigh2akiscaildcqabsyg3dfr6chu3fgpregiymsck7e7aqa4s52zy";
        assert_eq!(told(&format!("/read?cid={missing}")), "IpfsError::NotFound\n");
        for malformed in ["", "x", "../../token", "/etc/passwd", &small[1..], &small.to_uppercase(), &"b".repeat(500)] {
            let answer = told(&format!("/read?cid={malformed}"));
            assert!(answer.starts_with("IpfsError::Malformed("), "{malformed}: {answer}");
        }
        super::fails_and_recovers(&node, "grant-seeker", &format!("/read-all?cid={small}"));
        for query in ["asset=&value=1&decimals=0", "asset=ETH&value=1&decimals=19"] {
            let answer = told(&format!("/publish?{query}"));
            assert!(answer.starts_with("Err(PublishError::Malformed("), "{query}: {answer}");
        }
        assert!(told("/late").starts_with("Err(PublishError::Denied("));
        // Each answer costs gas of the deployment's budget: a flood ends long before, and the chain goes on.
        let flood = told("/flood");
        assert!(flood.starts_with("refused after 6"), "{flood}");
        assert_eq!(home.json(&["status", "nisse.test.grant-seeker"])["state"], "running");
    });
}

#[test]
fn a_prober_reaches_no_address_that_it_was_not_granted() {
    let home = Home::new();
    let node = home.up(&[]);
    let canary = Canary::new();
    let port = canary.address().port();
    beside_the_neighbour(&node, || {
        deploy(&home, &["egress-prober"]);
        let api_port = node.api.rsplit_once(':').unwrap().1;
        let public_port = node.public.rsplit_once(':').unwrap().1;
        let mut authorities = vec![String::new(), format!("127.0.0.1:{api_port}"), format!("localhost:{api_port}")];
        authorities.push(format!("nisse.test.counter.localhost:{public_port}"));
        for host in [
            "127.0.0.1",
            "localhost",
            "localhost.",
            "x.localhost",
            "[::1]",
            "[::]",
            "[::ffff:127.0.0.1]",
            "[::ffff:7f00:1]",
            "[64:ff9b::7f00:1]",
            "[2002:7f00:1::]",
            "[fe80::1%25lo]",
            "127.1",
            "2130706433",
            "0177.0.0.1",
            "0x7f000001",
            "0x7f.1",
            "0",
            "127\u{3002}0\u{3002}0\u{3002}1",
            "\u{2460}\u{2461}\u{2466}.0.0.1",
            "allowed.example.org.",
            "ALLOWED.example.org.localhost",
            "evil-allowed.example.org",
            "allowed.example.org.evil.example",
            "\u{430}llowed.example.org",
        ] {
            authorities.push(format!("{host}:{port}"));
        }
        for host in [
            "169.254.169.254",
            "metadata.google.internal",
            "metadata",
            "[fd00:ec2::254]",
            "10.0.0.1",
            "100.64.0.1",
            "192.168.0.1",
            "0.0.0.0",
            "255.255.255.255",
            "224.0.0.1",
            "allowed.example.org:0",
            "allowed.example.org:65536",
            "allowed.example.org:443:80",
            "allowed.example.org:8443",
        ] {
            authorities.push(host.to_owned());
        }
        authorities.push(format!("allowed.example.org@127.0.0.1:{port}"));
        authorities.push(format!("allowed.example.org\\@127.0.0.1:{port}"));
        authorities.push(format!("127.0.0.1:{port}#@allowed.example.org"));
        for authority in &authorities {
            for scheme in ["http", "https", "ftp"] {
                let spec = json!({ "scheme": scheme, "authority": authority, "path": "/", "timeout_ms": 2_000 });
                let seen = probe(&node, &spec);
                assert!(seen["refused"].is_string() && seen["status"].is_null(), "{scheme}://{authority}: {seen}");
            }
        }
        // Headers that name another host do not lead there either, nor does a request without one.
        for header in ["host", "x-forwarded-host", "proxy-authorization", "forwarded"] {
            let pair = [header.to_owned(), format!("127.0.0.1:{port}")];
            let spec = json!({ "scheme": "http", "authority": "127.0.0.1", "path": "/", "headers": [pair] });
            assert!(probe(&node, &spec)["refused"].is_string(), "{header}");
            let spec = json!({ "path": format!("http://127.0.0.1:{port}/"), "headers": [pair] });
            assert!(probe(&node, &spec)["refused"].is_string(), "{header} without an authority");
        }
    });
    canary.heard_nothing();
}

#[test]
fn what_an_allowed_host_answers_leads_nowhere_else() {
    let home = Home::new();
    let canary = Canary::new();
    let upstream = Upstream::new(canary.address());
    let node = home.up(&["--connect-to", &format!("allowed.example.org:80:127.0.0.1:{}", upstream.port)]);
    beside_the_neighbour(&node, || {
        let package = home.copy_of("egress-prober", "prober");
        package.edit("network_outbound:allowed.example.org", "network_outbound:http://allowed.example.org");
        assert_eq!(home.json(&["deploy", package.path()])["state"], "running");
        let send = |changes: Value| -> (Value, Vec<String>) {
            let mut spec = json!({ "scheme": "http", "authority": "allowed.example.org", "path": "/" });
            spec.as_object_mut().unwrap().extend(changes.as_object().unwrap().clone());
            (probe(&node, &spec), upstream.heads())
        };
        let (seen, heads) = send(json!({}));
        assert_eq!((&seen["status"], heads.len()), (&json!(200), 1), "{seen}");
        let (seen, _) = send(json!({ "path": "/redirect" }));
        assert_eq!(seen["status"], 302, "a redirect is the guest's to read: {seen}");
        for path in ["/two-lengths", "/upgrade", "/endless"] {
            let (seen, _) = send(json!({ "path": path, "timeout_ms": 20_000 }));
            assert!(seen["refused"].is_string() || !seen["body_error"].is_null(), "{path}: {seen}");
        }
        // A guest that gives no time gets none, and one that gives all of it gets the node's.
        for timeout_ms in [json!(0), json!(1), json!(u64::MAX)] {
            let (seen, _) = send(json!({ "path": "/late", "timeout_ms": timeout_ms }));
            assert!(seen["refused"].is_string() || seen["status"] == 200, "{timeout_ms}: {seen}");
        }
        // What a guest says of the connection, the host or the framing never leaves.
        let lies = [
            ("host", "127.0.0.1"),
            ("connection", "upgrade"),
            ("upgrade", "h2c"),
            ("transfer-encoding", "chunked"),
            ("content-length", "1000"),
            ("te", "trailers"),
            ("proxy-connection", "keep-alive"),
            ("expect", "100-continue"),
            ("x-a", "1\r\nx-forged: 1"),
        ];
        for (name, value) in lies {
            let (_, heads) = send(json!({ "method": "POST", "body": "hello", "headers": [[name, value]] }));
            for head in heads {
                let head = head.to_ascii_lowercase();
                // One that had no time may come later than its caller waited.
                if head.starts_with("get /late http/1.1\r\n") {
                    continue;
                }
                assert!(head.starts_with("post / http/1.1\r\n"), "{name}: {head}");
                assert_eq!(head.matches("\r\nhost: allowed.example.org\r\n").count(), 1, "{name}: {head}");
                assert_eq!(head.matches("\r\nhost:").count(), 1, "{name}: {head}");
                for forged in ["h2c", "chunked", "1000", "trailers", "proxy-", "100-continue", "x-forged"] {
                    assert!(!head.contains(forged), "{name}: {head}");
                }
            }
        }
        for path in [format!("http://{}/", canary.address()), format!("//{}/", canary.address()), "*".to_owned()] {
            for head in send(json!({ "path": path })).1 {
                assert!(head.starts_with("GET /"), "{path}: {head}");
            }
        }
        for method in ["CONNECT", "TRACE", "GET / HTTP/1.1\r\nx: ", "PRI"] {
            let (seen, heads) = send(json!({ "method": method, "path": "/method" }));
            assert!(seen["refused"].is_string() && heads.is_empty(), "{method}: {seen} {heads:?}");
        }
        let log = home.ok(&["logs", "nisse.test.egress-prober", "-n", "1000"]);
        assert!(!log.is_empty(), "what was refused is told to the agent's owner");
    });
    canary.heard_nothing();
    eventually("the upstream to be quiet", || upstream.heads().is_empty().then_some(()));
}

/// Has the prober make a request, and gives what it saw.
pub(super) fn probe(node: &Node<'_>, spec: &Value) -> Value {
    let headers = [("host", "nisse.test.egress-prober.localhost")];
    let answer = web::request(&node.public, "POST", "/", &headers, spec.to_string().as_bytes()).unwrap();
    assert_eq!(answer.status, 200, "{answer:?}");
    answer.json()
}
