//! K3: a host that sends a secret back sends stars.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use futures::StreamExt as _;
use nisse_egress::fake::{FakeServer, Piece};

use super::{AGENT, SECRET, URL, echo, received_secret, tells_nothing, with_headers, world};
use crate::world::World;

const RULE: &str = "api@api.example.com";

fn percent(text: &str) -> String {
    text.bytes().map(|byte| format!("%{byte:02X}")).collect()
}

#[tokio::test]
async fn k3_an_echo_in_a_body_is_covered_in_every_form() {
    type Write = fn(&str) -> String;
    let forms: [(&str, Write); 16] = [
        ("raw", str::to_owned),
        ("in small letters", str::to_ascii_lowercase),
        ("in capitals", str::to_ascii_uppercase),
        ("twice", |secret| format!("{secret} {secret}")),
        ("as the header", |secret| format!("authorization: Bearer {secret}")),
        ("hex", |secret| secret.bytes().map(|byte| format!("{byte:02x}")).collect()),
        ("upper hex", |secret| secret.bytes().map(|byte| format!("{byte:02X}")).collect()),
        ("base64", |secret| STANDARD.encode(secret)),
        ("base64 of the header", |secret| STANDARD.encode(format!("Bearer {secret}"))),
        ("base64 after one byte", |secret| STANDARD.encode(format!("a{secret}b"))),
        ("base64 after two bytes", |secret| STANDARD.encode(format!("ab{secret}bc"))),
        ("base64 for URLs", |secret| URL_SAFE_NO_PAD.encode(format!("abc{secret}???"))),
        ("percent", percent),
        ("lower percent", |secret| percent(secret).to_ascii_lowercase()),
        ("a form", |secret| {
            secret.replace('/', "%2F").replace('+', "%2B").replace('=', "%3D").replace('"', "%22").replace('~', "%7E")
        }),
        ("JSON", |secret| format!("{{\"token\":\"{}\"}}", secret.replace('"', "\\\"").replace('/', "\\/"))),
    ];
    for (form, write) in forms {
        let world = world(&[RULE]);
        world.serve_host(echo(move |received| format!("<{}>", write(&received_secret(received)))));
        let (_, body) = world.get(URL).await.expect("allowed");
        let expected = write(SECRET);
        assert_eq!(body.len(), expected.len() + 2, "{form}: {body}");
        assert!(body.starts_with('<') && body.ends_with('>') && body.contains("********"), "{form}: {body}");
        tells_nothing(form, &body);
        let line = world.audit.lines().pop().expect("a line");
        assert_eq!(line.redacted, if form == "twice" { 2 } else { 1 }, "{form}");
        assert_eq!(line.secrets.iter().map(ToString::to_string).collect::<Vec<_>>(), ["api"]);
        assert_eq!(line.down_bytes, body.len() as u64, "{form}: what came in is counted as it came");
    }
}

#[tokio::test]
async fn k3_an_echo_in_a_header_is_covered_and_the_name_stays() {
    let world = world(&[RULE]);
    world.serve_host(FakeServer::new(|received| {
        let secret = received_secret(received);
        let hex: String = secret.bytes().map(|byte| format!("{byte:02x}")).collect();
        let head = format!(
            "HTTP/1.1 200 OK\r\nlocation: /?token={}\r\nset-cookie: a={secret}\r\nset-cookie: b=1\r\n{hex}: 1\r\n\
             x-fine: yes\r\ncontent-length: 2\r\n\r\nok",
            percent(&secret)
        );
        vec![Piece::Bytes(head.into_bytes())]
    }));
    let response = world.egress.request(world.request(URL)).await.expect("allowed");
    tells_nothing("the headers", &format!("{:?}", response.headers));
    let stars = "*".repeat(SECRET.len());
    assert_eq!(response.headers["location"], format!("/?token={}", stars.repeat(3)));
    let cookies: Vec<_> = response.headers.get_all("set-cookie").iter().collect();
    assert_eq!(cookies, [&format!("a={stars}"), "b=1"]);
    assert_eq!(response.headers["x-fine"], "yes");
    assert_eq!(response.headers.len(), 5, "the name that was an echo is gone: {:?}", response.headers);
    assert_eq!(response.body.collect(10).await.expect("carried"), "ok");
    assert_eq!(world.audit.lines()[0].redacted, 3);
}

#[tokio::test(start_paused = true)]
async fn k3_an_echo_that_is_cut_anywhere_is_covered() {
    let text = format!("<{SECRET}>");
    for cut in 0..=text.len() {
        let world = world(&[RULE]);
        world.serve_host(FakeServer::new(move |received| {
            let text = format!("<{}>", received_secret(received));
            let mut pieces = vec![Piece::Bytes(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n".to_vec())];
            for part in [&text[..cut], &text[cut..]].into_iter().filter(|part| !part.is_empty()) {
                pieces.push(Piece::Bytes(format!("{:x}\r\n{part}\r\n", part.len()).into_bytes()));
                pieces.push(Piece::Wait(Duration::from_millis(1)));
            }
            pieces.push(Piece::Bytes(b"0\r\n\r\n".to_vec()));
            pieces
        }));
        let (_, body) = world.get(URL).await.expect("allowed");
        assert_eq!(body, format!("<{}>", "*".repeat(SECRET.len())), "cut at {cut}");
        assert_eq!(world.audit.lines()[0].redacted, 1, "cut at {cut}");
    }
}

#[tokio::test]
async fn k3_an_echo_in_a_trailer_does_not_arrive() {
    let world = world(&[RULE]);
    world.serve_host(FakeServer::new(|received| {
        let secret = received_secret(received);
        let text = format!(
            "HTTP/1.1 200 OK\r\ntrailer: x-echo\r\ntransfer-encoding: chunked\r\n\r\n2\r\nok\r\n0\r\nx-echo: {secret}\r\n\r\n"
        );
        vec![Piece::Bytes(text.into_bytes())]
    }));
    let response = world.egress.request(world.request(URL)).await.expect("allowed");
    assert!(response.headers.is_empty(), "{:?}", response.headers);
    assert_eq!(response.body.collect(100).await.expect("carried"), "ok");
}

#[tokio::test(start_paused = true)]
async fn k3_a_stream_of_events_does_not_wait_for_what_is_no_echo() {
    let world = world(&[RULE]);
    world.serve_host(FakeServer::new(|_| {
        let event = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nd\r\ndata: hello\n\n\r\n";
        vec![Piece::Bytes(event.to_vec()), Piece::Wait(Duration::from_secs(5)), Piece::Bytes(b"0\r\n\r\n".to_vec())]
    }));
    let started = tokio::time::Instant::now();
    let mut body = world.egress.request(world.request(URL)).await.expect("allowed").body;
    assert_eq!(body.next().await.expect("an event").expect("carried"), "data: hello\n\n");
    assert!(started.elapsed() < Duration::from_secs(1), "it waited {:?}", started.elapsed());
    assert!(body.next().await.is_none());
}

#[tokio::test]
async fn k3_what_looks_like_the_beginning_of_an_echo_arrives_at_the_end() {
    let world = world(&[RULE]);
    world.serve_host(FakeServer::ok("ends with sk-test/4f"));
    assert_eq!(world.get(URL).await.expect("allowed").1, "ends with sk-test/4f");
    assert_eq!(world.audit.lines()[0].redacted, 0);
    // The connection went back although the body's end had to wait.
    world.get(URL).await.expect("allowed");
    assert!(world.audit.lines()[1].reused);
}

#[tokio::test]
async fn k3_an_echo_of_basic_credentials_is_covered_whole_and_in_part() {
    let world = world(&["login@api.example.com;as=basic"]);
    world.vault.set(AGENT, "login", "owner:correct horse battery");
    world.serve_host(echo(|received| {
        let sent = received.header("authorization").concat();
        format!(
            "{sent} owner:correct horse battery [correct horse battery] correct+horse+battery {}",
            percent(&sent[6..])
        )
    }));
    let (_, body) = world.get(URL).await.expect("allowed");
    let sent = STANDARD.encode("owner:correct horse battery");
    assert_eq!(world.network.received()[0].header("authorization"), [format!("Basic {sent}")]);
    let stars = |length: usize| "*".repeat(length);
    let expected =
        format!("Basic {} {} [{}] {} {}", stars(sent.len()), stars(27), stars(21), stars(21), stars(sent.len() * 3));
    assert_eq!(body, expected);
}

#[tokio::test]
async fn k3_a_server_is_not_asked_to_hide_an_echo() {
    let world = world(&[RULE, "api@api.example.com:8443"]);
    let hiding =
        [("accept-encoding", "gzip, br"), ("accept-charset", "utf-16"), ("range", "bytes=0-5"), ("if-range", "\"x\"")];
    world.send(with_headers(&world, URL, &hiding)).await.expect("allowed");
    let received = &world.network.received()[0];
    assert_eq!(received.header("accept-encoding"), ["identity"]);
    for gone in ["range", "if-range", "accept-charset"] {
        assert!(received.header(gone).is_empty(), "{gone}");
    }
    // Without a secret they are the guest's own.
    world.send(with_headers(&world, "http://api.example.com/", &hiding)).await.expect("allowed");
    let received = &world.network.received()[1];
    assert_eq!(received.header("accept-encoding"), ["gzip, br"]);
    assert_eq!(received.header("range"), ["bytes=0-5"]);
}

#[tokio::test]
async fn k3_an_answer_that_is_packed_all_the_same_does_not_arrive() {
    let packed = |encoding: &'static str| {
        FakeServer::new(move |_| {
            let head = format!("HTTP/1.1 200 OK\r\ncontent-encoding: {encoding}\r\ncontent-length: 2\r\n\r\nok");
            vec![Piece::Bytes(head.into_bytes())]
        })
    };
    for encoding in ["gzip", "identity, br", "x"] {
        let world = world(&[RULE]);
        world.serve_host(packed(encoding));
        let refused = world.get(URL).await.expect_err("an echo in it could not be seen");
        assert_eq!(refused.reason(), "secret_hidden", "{encoding}");
        let world = World::new(&["api.example.com"]).with_host();
        world.serve_host(packed(encoding));
        assert_eq!(world.get(URL).await.expect("without a secret it is the guest's own").1, "ok");
    }
    let world = world(&[RULE]);
    world.serve_host(packed("Identity"));
    assert_eq!(world.get(URL).await.expect("allowed").1, "ok");
}

#[tokio::test]
async fn a_response_to_a_request_without_secrets_is_as_it_came() {
    let world = World::new(&["api.example.com"]).with_host();
    world.serve_host(FakeServer::ok(SECRET));
    assert_eq!(world.get(URL).await.expect("allowed").1, SECRET);
    let line = &world.audit.lines()[0];
    assert!(line.redacted == 0 && line.secrets.is_empty());
}
