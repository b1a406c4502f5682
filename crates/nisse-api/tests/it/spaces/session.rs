//! Pages that log in: whom a cookie lets in, from which page, and for how long.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use nisse_model::{Claim, Credential, CredentialId, Did, Log, Statement};
use nisse_node::control::{DeviceEntry, SpaceSession};
use nisse_store::{Entropy as _, Journal, JournalError, JournalOptions, SystemDisk, SystemEntropy};
use tokio::time::timeout;

use super::*;
use crate::running::running_with;
use crate::tokens::house::{key, now};

const APP: &str = "http://app.example:8000";
/// The identity, and a device of it besides this home.
const ROOT: u8 = 52;
const PHONE: u8 = 53;

/// A home with an identity, another device of it, and a space, whose operator takes pages of [`APP`].
async fn house(endpoint: Option<&str>) -> (Running, Client, SpaceStatus) {
    let home = tempfile::tempdir().unwrap();
    let peers = PeerOptions { listen: "127.0.0.1:0".parse().unwrap(), relays: Vec::new(), nearby: false };
    let compiler = CompileCommand { program: "/nonexistent".into(), arguments: Vec::new() };
    let mut options = options(home.path(), compiler);
    options.origins = vec![APP.parse().unwrap()];
    if let Some(host) = endpoint {
        (options.suffix, options.endpoint) = (host.to_owned(), Some(format!("https://{host}").parse().unwrap()));
    }
    let name = "laptop".parse().unwrap();
    recover(
        Speaker { node: &options, peers: &peers, seams: seams(), passphrase: None },
        [ROOT; 32].into(),
        None,
        &name,
    )
    .await
    .unwrap();
    add_phone(home.path()).await;
    let running = running_with(home, options).await;
    let client = Client::new(running.api, running.node.token());
    let space = client.post("/api/v1/spaces", &SpaceRequest { name: "notes".to_owned() }).await.unwrap();
    (running, client, space)
}

/// Writes into the credentials of a home on which no node runs.
async fn add_phone(home: &Path) {
    let mut log = Log::new();
    log.follow(key(ROOT).did());
    let layout = JournalOptions { segment_bytes: 16 << 20 };
    let restore = |_, bytes: &[u8]| {
        log.insert(Credential::decode(bytes).unwrap()).unwrap();
        Ok::<_, JournalError>(())
    };
    let journal =
        Journal::open_with(Arc::new(SystemDisk), &SystemEntropy, &home.join("identity"), layout, restore).unwrap();
    let claim = Claim::DeviceAdd { device: key(PHONE).did(), name: "phone".parse().unwrap() };
    let (subject, parents, mut nonce) = (key(ROOT).did(), log.parents(key(ROOT).did(), &claim), [0; 12]);
    SystemEntropy.fill(&mut nonce);
    let added = Statement { issuer: subject, subject, parents, issued: now(), nonce, claim }.sign(&key(ROOT)).unwrap();
    journal.append(&added.encode()).unwrap().durable().await.unwrap();
}

/// A ticket that the phone made, as it stands in a URL.
fn by_phone(space: &str, expires: u64) -> String {
    let bytes = |bytes: &[u8]| [&[0x58, 0x20], bytes].concat();
    let (space, Did(subject), Did(issuer)) =
        (space.parse::<CredentialId>().unwrap(), key(ROOT).did(), key(PHONE).did());
    let said = [
        vec![0x87, 1],
        bytes(&space.0.0),
        bytes(&subject),
        bytes(&issuer),
        vec![2, 0x1b],
        expires.to_be_bytes().to_vec(),
        [&[0x4c][..], &[7; 12]].concat(),
    ]
    .concat();
    let signature = key(PHONE).sign("nisse space ticket v1", &said);
    format!("nst1_{}", URL_SAFE_NO_PAD.encode([&signature[..], &said].concat()))
}

/// The path of a ticket's space, and the ticket.
fn parts(ticket: &SpaceTicket) -> (String, String) {
    let (path, secret) = path(ticket).split_once("?ticket=").unwrap();
    (path.to_owned(), secret.to_owned())
}

/// One request of a page of this origin; its body is text.
async fn page(running: &Running, line: &str, origin: &str, headers: &str, body: &str) -> (u16, String, String) {
    let origin = if origin.is_empty() { String::new() } else { format!("origin: {origin}\r\n") };
    let length = body.len();
    ask(running, line, &format!("{origin}connection: close\r\n{headers}content-length: {length}\r\n\r\n{body}")).await
}

fn header<'h>(head: &'h str, name: &str) -> Option<&'h str> {
    let mut lines = head.lines().filter_map(|line| line.split_once(": "));
    lines.find(|(found, _)| found.eq_ignore_ascii_case(name)).map(|(_, value)| value)
}

/// Logs in; what the browser keeps, as it sends it.
async fn log_in(running: &Running, path: &str, secret: &str) -> String {
    let (status, body, head) = page(running, &format!("POST {path}/session"), APP, "", secret).await;
    assert_eq!(status, 200, "{body}");
    let set = header(&head, "set-cookie").expect("a cookie");
    set.split(';').next().unwrap().to_owned()
}

/// The status of a request for the WebSocket, and the connection if it is one.
async fn open(running: &Running, path: &str, headers: &str) -> Result<Socket, u16> {
    let mut stream = TcpStream::connect(running.public).await.unwrap();
    let upgrade = UPGRADE.replace("upgrade, close", "upgrade");
    let head = format!("GET {path} HTTP/1.1\r\nhost: localhost\r\n{upgrade}{headers}\r\n");
    stream.write_all(head.as_bytes()).await.unwrap();
    let mut answer = Vec::new();
    while !answer.ends_with(b"\r\n\r\n") {
        answer.push(stream.read_u8().await.unwrap());
    }
    let answer = String::from_utf8(answer).unwrap();
    match answer.split(' ').nth(1).unwrap().parse().unwrap() {
        101 => Ok(ClientBuilder::new().take_over(stream)),
        status => Err(status),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_page_that_logs_in_is_let_in_by_its_cookie_until_it_logs_out() {
    let (running, client, space) = house(None).await;
    let given = ticket(&client, "edit", HOUR_MS).await;
    let (path, secret) = parts(&given);
    let session = format!("{path}/session");
    let preflight = "access-control-request-method: POST\r\naccess-control-request-headers: authorization\r\n";
    let (status, _, head) = page(&running, &format!("OPTIONS {session}"), APP, preflight, "").await;
    assert_eq!((status, header(&head, "access-control-allow-origin")), (204, Some(APP)), "{head}");
    assert_eq!(header(&head, "access-control-allow-credentials"), Some("true"));

    let authorization = format!("authorization: Bearer {secret}\r\n");
    let own = format!("http://localhost:{}", running.public.port());
    for (origin, headers, body) in [(APP, "", secret.as_str()), (APP, &authorization, ""), (&own, "", &secret)] {
        let (status, told, head) = page(&running, &format!("POST {session}"), origin, headers, body).await;
        assert_eq!(status, 200, "{told}");
        assert!(!told.contains("nst1_"), "no script reads it: {told}");
        let told: SpaceSession = serde_json::from_str(&told).unwrap();
        assert_eq!(
            (told.space, told.root, told.role.as_str()),
            (space.entry.space.clone(), space.root.clone(), "edit")
        );
        assert_eq!((told.expires, told.lasts_ms <= HOUR_MS), (given.expires, true));
        assert_eq!(header(&head, "access-control-allow-origin"), Some(origin));
        assert_eq!((header(&head, "vary"), header(&head, "cache-control")), (Some("origin"), Some("no-store")));
        let set: Vec<_> = header(&head, "set-cookie").unwrap().split("; ").collect();
        let lasts: u64 = set[2].strip_prefix("Max-Age=").unwrap().parse().unwrap();
        assert!(lasts > 3_500 && lasts <= told.lasts_ms / 1_000, "{set:?}");
        let wanted = [&format!("nisse-space={secret}"), &format!("Path={path}"), set[2], "HttpOnly", "SameSite=Strict"];
        assert_eq!(set, wanted);
    }
    let cookie = format!("cookie: a=b; nisse-space={secret}\r\n");
    let mut socket = open(&running, &path, &format!("origin: {APP}\r\n{cookie}")).await.unwrap();
    socket.send(join("page-1")).await.unwrap();
    assert!(holds(socket.next().await.unwrap().unwrap().as_payload(), "page-1"));
    let (status, told, _) = page(&running, &format!("GET {session}"), APP, &cookie, "").await;
    assert!(status == 200 && told.contains(r#""role":"edit""#), "{told}");

    let (status, _, head) = page(&running, &format!("DELETE {session}"), APP, &cookie, "").await;
    assert_eq!(status, 204);
    let cleared = format!("nisse-space=; Path={path}; Max-Age=0; HttpOnly; SameSite=Strict");
    assert_eq!(header(&head, "set-cookie"), Some(cleared.as_str()));
    running.node.shut_down().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn no_other_page_and_no_other_cookie_is_let_in() {
    let (running, client, _) = house(None).await;
    let (path, secret) = parts(&ticket(&client, "edit", HOUR_MS).await);
    let client = Client::new(running.api, running.node.token());
    client.post::<SpaceStatus>("/api/v1/spaces", &SpaceRequest { name: "other".to_owned() }).await.unwrap();
    let request = SpaceTicketRequest { role: "edit".to_owned(), expires_ms: HOUR_MS };
    let (elsewhere, others) = parts(&client.post("/api/v1/spaces/other/ticket", &request).await.unwrap());
    let short = parts(&ticket(&client, "edit", 1).await).1;
    tokio::time::sleep(Duration::from_millis(2)).await;
    let forged = format!("{}{}", &secret[..60], secret[60..].replacen(|letter| letter != 'A', "A", 1));
    let from = |origin: &str, cookie: &str| format!("origin: {origin}\r\ncookie: {cookie}\r\n");
    let good = format!("nisse-space={secret}");
    assert!(open(&running, &path, &from(APP, &good)).await.is_ok(), "the one that is let in");
    let agent = format!("http://t.agent.localhost:{}", running.public.port());
    for (what, headers) in [
        ("another page", from("https://evil.example", &good)),
        ("an agent's page", from(&agent, &good)),
        ("the same host by another port", from("http://app.example", &good)),
        ("a page that hides its origin", from("null", &good)),
        ("no page", format!("cookie: {good}\r\n")),
        ("two origins", format!("origin: {APP}\r\n{}", from(APP, &good))),
        ("two cookies", from(APP, &format!("{good}; {good}"))),
        ("two cookies in two lines", format!("cookie: {good}\r\n{}", from(APP, &good))),
        ("another space's", from(APP, &format!("nisse-space={others}"))),
        ("one that is over", from(APP, &format!("nisse-space={short}"))),
        ("a forged one", from(APP, &format!("nisse-space={forged}"))),
        ("one without a value", from(APP, "nisse-space=")),
        ("no cookie", format!("origin: {APP}\r\n")),
        ("many cookies", from(APP, &format!("{good}; a={}", "b".repeat(9 << 10)))),
    ] {
        assert_eq!(open(&running, &path, &headers).await.err(), Some(403), "{what}");
    }
    let endless = from(APP, &format!("{good}; a={}", "b".repeat(80 << 10)));
    // By whoever counts first: the head has a limit, too.
    let (status, ..) = ask(&running, &format!("GET {path}"), &format!("{UPGRADE}{endless}")).await;
    assert!(matches!(status, 403 | 431), "{status}");
    assert_eq!(open(&running, &elsewhere, &from(APP, &good)).await.err(), Some(403), "in another space");

    // What a URL says stands alone: it is let in from every page, and no cookie mends it.
    let in_url = format!("{path}?ticket={secret}");
    for headers in [from("https://evil.example", &format!("nisse-space={forged}")), String::new()] {
        assert!(open(&running, &in_url, &headers).await.is_ok(), "{headers}");
    }
    for url in [format!("{path}?ticket={forged}"), format!("{path}?ticket=")] {
        assert_eq!(open(&running, &url, &from(APP, &good)).await.err(), Some(403), "{url}");
    }
    running.node.shut_down().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_login_of_another_page_or_with_something_else_keeps_nothing() {
    let (running, client, _) = house(None).await;
    let (path, secret) = parts(&ticket(&client, "edit", HOUR_MS).await);
    let session = format!("{path}/session");
    let elsewhere = format!("/spaces/{}/session", "0".repeat(64));
    let post = format!("POST {session}");
    let site = "sec-fetch-site: cross-site\r\n";
    for (line, origin, headers, body, wanted) in [
        (post.as_str(), "https://evil.example", "", secret.as_str(), 403),
        (&post, "null", "", &secret, 403),
        (&post, "", site, &secret, 403),
        (&format!("DELETE {session}"), "https://evil.example", "", "", 403),
        (&format!("OPTIONS {session}"), "https://evil.example", "", "", 403),
        (&post, APP, "", "", 403),
        (&post, APP, "", "nst1_none", 403),
        (&post, APP, "authorization: Basic eA==\r\n", &secret, 403),
        (&format!("POST {elsewhere}"), APP, "", &secret, 403),
        (&post, APP, "", &"a".repeat(2_000), 413),
        (&format!("PUT {session}"), APP, "", &secret, 405),
        (&format!("GET {session}"), APP, "", "", 403),
    ] {
        let (status, told, head) = page(&running, line, origin, headers, body).await;
        assert_eq!(status, wanted, "{line} {origin} {told}");
        assert_eq!((header(&head, "set-cookie"), told.contains("nst1_")), (None, false), "{line} {head}");
        let reads = header(&head, "access-control-allow-origin");
        assert_eq!(reads, (origin == APP).then_some(APP), "{line} {origin}");
    }
    // Whoever names no page is a program, which keeps no cookie and may ask as well.
    assert_eq!(page(&running, &post, "", "", &secret).await.0, 200);
    running.node.shut_down().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_connection_by_a_cookie_ends_with_its_ticket_and_with_the_device_that_made_it() {
    let (running, client, space) = house(None).await;
    let (path, short) = parts(&ticket(&client, "edit", 2_500).await);
    let by_phone = by_phone(&space.entry.space, now().0 + HOUR_MS);
    let mut sockets = Vec::new();
    for secret in [&short, &by_phone] {
        let cookie = log_in(&running, &path, secret).await;
        sockets.push(open(&running, &path, &format!("origin: {APP}\r\ncookie: {cookie}\r\n")).await.unwrap());
    }
    let gone = (CloseCode::POLICY_VIOLATION, "the right to be here is gone".to_owned());
    assert_eq!(timeout(Duration::from_secs(20), closed(&mut sockets[0])).await.unwrap(), gone);
    let cut = format!("/api/v1/devices/{}/revoke", key(PHONE).did());
    client.post_nothing::<DeviceEntry>(&cut).await.unwrap();
    assert_eq!(timeout(Duration::from_secs(20), closed(&mut sockets[1])).await.unwrap(), gone);
    for secret in [short, by_phone] {
        let headers = format!("origin: {APP}\r\ncookie: nisse-space={secret}\r\n");
        assert_eq!(open(&running, &path, &headers).await.err(), Some(403));
        assert_eq!(page(&running, &format!("POST {path}/session"), APP, "", &secret).await.0, 403);
    }
    running.node.shut_down().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn behind_tls_a_cookie_goes_back_by_tls_alone() {
    let (running, client, _) = house(Some("node.example")).await;
    let given = ticket(&client, "read", HOUR_MS).await;
    let rest = given.url.strip_prefix("wss://node.example").expect("by TLS");
    let (path, secret) = rest.split_once("?ticket=").unwrap();
    let (status, told, head) =
        page(&running, &format!("POST {path}/session"), "https://node.example", "", secret).await;
    assert_eq!(status, 200, "{told}");
    assert!(header(&head, "set-cookie").unwrap().ends_with("; HttpOnly; SameSite=Strict; Secure"), "{head}");
    let plain = page(&running, &format!("POST {path}/session"), "http://node.example", "", secret).await;
    assert_eq!(plain.0, 403, "what may have been changed on its way");
    running.node.shut_down().await;
}
