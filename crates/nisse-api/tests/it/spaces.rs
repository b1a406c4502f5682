//! Clients of a space on the public listener: who is let in, what they may say, and how it ends.

mod session;

use futures::{SinkExt as _, StreamExt as _};
use nisse_api::client::{Client, ClientError};
use nisse_node::control::{SpaceEntry, SpaceMember, SpaceRequest, SpaceStatus, SpaceTicket, SpaceTicketRequest};
use nisse_node::{CompileCommand, PeerOptions, SPACE_MESSAGE_BYTES_MAX, Speaker, recover};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio_websockets::{ClientBuilder, CloseCode, Config, Error, Message, WebSocketStream};

use crate::running::{Running, options, running_in, seams};

type Socket = WebSocketStream<TcpStream>;

const HOUR_MS: u64 = 3_600_000;

/// A home with an identity and a space.
async fn home() -> (Running, Client, SpaceStatus) {
    let home = tempfile::tempdir().unwrap();
    let peers = PeerOptions { listen: "127.0.0.1:0".parse().unwrap(), relays: Vec::new(), nearby: false };
    let compiler = CompileCommand { program: "/nonexistent".into(), arguments: Vec::new() };
    let (node, name) = (options(home.path(), compiler.clone()), "laptop".parse().unwrap());
    let speaker = Speaker { node: &node, peers: &peers, seams: seams(), passphrase: None };
    recover(speaker, [51; 32].into(), None, &name).await.unwrap();
    let running = running_in(home, compiler).await;
    let client = Client::new(running.api, running.node.token());
    let space = client.post("/api/v1/spaces", &SpaceRequest { name: "notes".to_owned() }).await.unwrap();
    (running, client, space)
}

async fn ticket(client: &Client, role: &str, expires_ms: u64) -> SpaceTicket {
    let request = SpaceTicketRequest { role: role.to_owned(), expires_ms };
    client.post("/api/v1/spaces/notes/ticket", &request).await.unwrap()
}

/// What stands behind the host in a ticket's URL.
fn path(ticket: &SpaceTicket) -> &str {
    let rest = ticket.url.strip_prefix("ws://").unwrap();
    &rest[rest.find('/').unwrap()..]
}

async fn connect_with(running: &Running, host: &str, path: &str, config: Config) -> Result<Socket, Error> {
    let stream = TcpStream::connect(running.public).await.unwrap();
    let uri = format!("ws://{host}:{}{path}", running.public.port());
    let (socket, _) = ClientBuilder::new().uri(&uri).unwrap().config(config).connect_on(stream).await?;
    Ok(socket)
}

async fn connect(running: &Running, path: &str) -> Socket {
    connect_with(running, "localhost", path, Config::default()).await.unwrap()
}

/// One request for a WebSocket, or for none; status and body of the answer, and its head.
async fn ask(running: &Running, line: &str, headers: &str) -> (u16, String, String) {
    let mut stream = TcpStream::connect(running.public).await.unwrap();
    let head = format!("{line} HTTP/1.1\r\nhost: localhost\r\n{headers}\r\n");
    stream.write_all(head.as_bytes()).await.unwrap();
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer).await;
    let answer = String::from_utf8_lossy(&answer).into_owned();
    let status = answer.split(' ').nth(1).and_then(|status| status.parse().ok()).unwrap_or(0);
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    (status, body.to_owned(), head.to_owned())
}

const UPGRADE: &str = "connection: upgrade, close\r\nupgrade: websocket\r\nsec-websocket-version: 13\r\n\
                       sec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n";

/// A text in CBOR.
fn text(text: &str) -> Vec<u8> {
    let length = u8::try_from(text.len()).unwrap();
    let head = if length < 24 { vec![0x60 | length] } else { vec![0x78, length] };
    [&head, text.as_bytes()].concat()
}

/// `join`, as automerge-repo says it.
fn join(name: &str) -> Message {
    let versions = [text("supportedProtocolVersions"), vec![0x81], text("1")].concat();
    let metadata = [text("peerMetadata"), vec![0xa0]].concat();
    Message::binary([vec![0xa4], text("type"), text("join"), text("senderId"), text(name), metadata, versions].concat())
}

fn holds(bytes: &[u8], part: &str) -> bool {
    bytes.windows(part.len()).any(|window| window == part.as_bytes())
}

/// Reads until the connection is closed: with what code, and why.
async fn closed(socket: &mut Socket) -> (CloseCode, String) {
    let mut last = None;
    while let Some(Ok(message)) = socket.next().await {
        last = message.as_close().map(|(code, why)| (code, why.to_owned())).or(last);
    }
    last.expect("it says why it closes")
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_has_a_ticket_is_let_in_and_is_there_until_it_leaves() {
    let (running, client, space) = home().await;
    assert_eq!((space.entry.name.as_str(), space.entry.role.as_deref()), ("notes", Some("admin")));
    let listed: Vec<SpaceEntry> = client.get("/api/v1/spaces").await.unwrap();
    assert!(listed.len() == 2 && listed[0].home, "its home space stands first: {listed:?}");
    assert_eq!(listed[1], space.entry);
    let members: Vec<SpaceMember> = client.get("/api/v1/spaces/notes/members").await.unwrap();
    assert!(members.len() == 1 && members[0].own && members[0].role == "admin", "{members:?}");

    let ticket = ticket(&client, "edit", HOUR_MS).await;
    let mut socket = connect(&running, path(&ticket)).await;
    socket.send(join("laptop-1")).await.unwrap();
    let peer = socket.next().await.unwrap().unwrap();
    assert!(peer.is_binary(), "{peer:?}");
    for part in ["peer", "targetId", "laptop-1", "peerMetadata", "storageId", "selectedProtocolVersion"] {
        assert!(holds(peer.as_payload(), part), "no {part} in {:?}", String::from_utf8_lossy(peer.as_payload()));
    }
    let shown: SpaceStatus = client.get(&format!("/api/v1/spaces/{}", &space.entry.space[..8])).await.unwrap();
    assert_eq!((shown.connected, shown.root), (1, space.root));

    // What it asks for by the protocol itself is answered too.
    socket.send(Message::ping("are you there")).await.unwrap();
    let pong = socket.next().await.unwrap().unwrap();
    assert!(pong.is_pong() && pong.as_payload()[..] == b"are you there"[..], "{pong:?}");
    socket.close().await.unwrap();
    running.node.shut_down().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_else_is_let_in_and_all_read_the_same() {
    let (running, client, space) = home().await;
    let good = ticket(&client, "read", HOUR_MS).await;
    let (url, secret) = path(&good).split_once("?ticket=").unwrap();
    let forged = match secret.as_bytes()[60] {
        b'A' => format!("{}B{}", &secret[..60], &secret[61..]),
        _ => format!("{}A{}", &secret[..60], &secret[61..]),
    };
    let short = ticket(&client, "read", 1).await;
    tokio::time::sleep(std::time::Duration::from_millis(2)).await;
    let elsewhere = format!("/spaces/{}", "0".repeat(space.entry.space.len()));
    let nobody = "this ticket lets nobody in here; make another with `nisse space ticket`\n";
    for refused in [
        url.to_owned(),
        format!("{url}?ticket="),
        format!("{url}?ticket={forged}"),
        format!("{url}?ticket={}", &secret[..secret.len() - 4]),
        format!("{url}?ticket={secret}&ticket={secret}"),
        format!("{elsewhere}?ticket={secret}"),
        format!("/spaces/notes?ticket={forged}"),
        path(&short).to_owned(),
    ] {
        let (status, body, _) = ask(&running, &format!("GET {refused}"), UPGRADE).await;
        assert_eq!((status, body.as_str()), (403, nobody), "{refused}");
    }
    // Whatever page asks, and whatever cookies come with it.
    let from_a_page = format!("{UPGRADE}origin: https://evil.example\r\ncookie: a=b\r\n");
    let mut stream = TcpStream::connect(running.public).await.unwrap();
    let head = format!("GET {} HTTP/1.1\r\nhost: localhost\r\n{from_a_page}\r\n", path(&good));
    stream.write_all(head.as_bytes()).await.unwrap();
    let mut begin = [0; 33];
    stream.read_exact(&mut begin).await.unwrap();
    drop(stream);
    assert_eq!(&begin[..], b"HTTP/1.1 101 Switching Protocols\r");
    // A ticket is a secret: the log tells that it was made, and not what it is.
    let audit: serde_json::Value = client.get("/api/v1/audit").await.unwrap();
    let audit = audit.to_string();
    assert!(audit.contains("space.ticket") && audit.contains("space.create") && !audit.contains("nst1_"), "{audit}");
    running.node.shut_down().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_request_for_a_websocket_is_told_what_one_is() {
    let (running, client, _) = home().await;
    let good = ticket(&client, "read", HOUR_MS).await;
    let get = format!("GET {}", path(&good));
    let (status, body, head) = ask(&running, &get, "connection: close\r\n").await;
    assert_eq!((status, body.as_str()), (426, "a space is a WebSocket: give this URL to a client of automerge-repo\n"));
    assert!(head.to_ascii_lowercase().contains("\r\nupgrade: websocket"), "{head}");
    let post = get.replace("GET", "POST");
    assert_eq!(ask(&running, &post, &format!("content-length: 0\r\n{UPGRADE}")).await.0, 405);
    for wrong in [
        UPGRADE.replace("version: 13", "version: 12"),
        UPGRADE.replace("dGhlIHNhbXBsZSBub25jZQ==", "dGhl"),
        format!("{UPGRADE}content-length: 3\r\n"),
    ] {
        assert_eq!(ask(&running, &get, &wrong).await.0, 400, "{wrong}");
    }
    // Under another name there are no spaces, and what is no space is answered as ever.
    for host in ["nobody.localhost", "evil.example"] {
        let refused = connect_with(&running, host, path(&good), Config::default()).await;
        assert!(matches!(refused, Err(Error::Upgrade(_))), "{host}: {refused:?}");
    }
    assert_eq!(ask(&running, "GET /ipfs/none", UPGRADE).await.0, 400);
    running.node.shut_down().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_no_client_says_ends_its_connection_with_a_reason() {
    let (running, client, _) = home().await;
    let good = ticket(&client, "edit", HOUR_MS).await;
    let mut socket = connect(&running, path(&good)).await;
    socket.send(Message::text("hello")).await.unwrap();
    let (code, why) = closed(&mut socket).await;
    assert_eq!((code, why.as_str()), (CloseCode::UNSUPPORTED_DATA, "a message is binary: CBOR of automerge-repo"));

    // In one piece, and in several of which none is too large.
    for frame_bytes in [SPACE_MESSAGE_BYTES_MAX * 2, 1 << 20] {
        let config = Config::default().frame_size(frame_bytes);
        let mut socket = connect_with(&running, "localhost", path(&good), config).await.unwrap();
        // The other side may close before all of it is sent.
        let _ = socket.send(Message::binary(vec![0; SPACE_MESSAGE_BYTES_MAX + 1])).await;
        assert_eq!(closed(&mut socket).await.0, CloseCode::MESSAGE_TOO_BIG, "{frame_bytes}");
    }

    // What is no message at all.
    let mut socket = connect(&running, path(&good)).await;
    socket.send(Message::binary(vec![0xff; 64 << 10])).await.unwrap();
    assert_eq!(closed(&mut socket).await.0, CloseCode::POLICY_VIOLATION);

    let mut socket = connect(&running, path(&good)).await;
    for _ in 0..=1_000 {
        let _ = socket.send(Message::ping("")).await;
    }
    let (code, why) = closed(&mut socket).await;
    assert_eq!((code, why.as_str()), (CloseCode::POLICY_VIOLATION, "more than 1000 pings in 20 s"));
    running.node.shut_down().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_that_stops_says_so_to_its_clients() {
    let (running, client, _) = home().await;
    let good = ticket(&client, "edit", HOUR_MS).await;
    let mut sockets = Vec::new();
    for number in 0..8 {
        let mut socket = connect(&running, path(&good)).await;
        socket.send(join(&format!("client-{number}"))).await.unwrap();
        assert!(socket.next().await.unwrap().unwrap().is_binary());
        sockets.push(socket);
    }
    let node = std::sync::Arc::clone(&running.node);
    let stopping = tokio::spawn(async move { node.shut_down().await });
    for socket in &mut sockets {
        let (code, why) = closed(socket).await;
        assert_eq!((code, why.as_str()), (CloseCode::GOING_AWAY, "this node is stopping"));
    }
    stopping.await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_home_without_a_space_or_with_one_of_that_name_says_so() {
    let (running, client, _) = home().await;
    let code = |error: ClientError| match error {
        ClientError::Refused(problem) => (problem.status, problem.code),
        other => panic!("{other}"),
    };
    let again = client.post::<SpaceStatus>("/api/v1/spaces", &SpaceRequest { name: "notes".to_owned() }).await;
    assert_eq!(code(again.unwrap_err()), (409, "space_exists".to_owned()));
    let other = client.get::<SpaceStatus>("/api/v1/spaces/other").await;
    assert_eq!(code(other.unwrap_err()), (404, "space_unknown".to_owned()));
    let admin = SpaceTicketRequest { role: "admin".to_owned(), expires_ms: HOUR_MS };
    let admin = client.post::<SpaceTicket>("/api/v1/spaces/notes/ticket", &admin).await;
    assert_eq!(code(admin.unwrap_err()), (400, "role_invalid".to_owned()));
    running.node.shut_down().await;
}
