//! Requests that owners sign without nisse, from docs/remote.md alone: which of them a node takes, and with what status
//! and code it refuses the rest.
//!
//! Here `OwnerRequest` and the owner's key sign; headers are put together by hand, and each request has its own socket.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use nisse_market::{LocalKey, OwnerRequest, SignedOwnerRequest};
use nisse_model::{Address, DeploymentId, Hash256};
use nisse_store::{Clock as _, Entropy as _, SystemClock, SystemEntropy};
use serde_json::{Value, json};

use crate::harness::{Home, Node, PATIENCE, eventually, example};
use crate::rented::{operator, renter, serve, serving};
use crate::wallets::key_of;
use crate::web;

/// Seconds for which a request may be good (docs/remote.md).
const GOOD_FOR_MAX: u64 = 60;
/// Seconds for which these are: a node takes them when it has been up for the rest of that time.
const GOOD_FOR: u64 = 55;
/// Logs that one owner may follow at once (docs/remote.md).
const FOLLOWED_OF_ONE_MAX: usize = 16;
/// Of the demo's deployer.
const ORACLE: &str = "talos.oracle.price-eth";
const EVENT: &[u8] = br#"{"data":"one"}"#;
const OTHER_EVENT: &[u8] = br#"{"data":"two"}"#;

/// A key, a deployment, and the node that is asked about it.
#[derive(Clone)]
struct Owner {
    key: LocalKey,
    deployment: DeploymentId,
    node: Address,
    public: String,
}

/// A request as it goes over the wire, where anybody may send it again or another in its place.
struct Sent {
    to: String,
    method: String,
    path: String,
    authorization: Option<String>,
    content_digest: Option<String>,
    body: &'static [u8],
}

fn now() -> u64 {
    SystemClock::default().now().seconds()
}

fn digest(body: Hash256) -> String {
    format!("sha-256=:{}:", STANDARD.encode(body.0))
}

fn refusal(answer: &web::Answer) -> (u16, String) {
    (answer.status, answer.json()["code"].as_str().unwrap_or_default().to_owned())
}

impl Owner {
    /// Asks this node about a deployment, as `deploy` or `status` told of it.
    fn new(key: LocalKey, told: &Value, node: &Node<'_>) -> Self {
        let deployment = told["deployment"].as_str().unwrap().parse().unwrap();
        let address = operator(node.home()).as_str().unwrap().parse().unwrap();
        Self { key, deployment, node: address, public: node.public.clone() }
    }

    /// One that nothing is wrong with.
    fn request(&self, method: &str, rest: &str, body: &[u8]) -> OwnerRequest {
        let mut nonce = [0; 32];
        SystemEntropy.fill(&mut nonce);
        OwnerRequest {
            method: method.to_owned(),
            path: format!("/.well-known/nisse/v1/agents/{}{rest}", self.deployment),
            body: Hash256::of(body),
            node: self.node,
            deployment: self.deployment,
            nonce,
            expires: now() + GOOD_FOR,
        }
    }

    fn sign(&self, request: OwnerRequest, body: &'static [u8]) -> Sent {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let SignedOwnerRequest { request, signature } = runtime.block_on(request.sign(&self.key)).unwrap();
        let (nonce, expires, signature) = (hex::encode(request.nonce), request.expires, hex::encode(signature));
        Sent {
            to: self.public.clone(),
            method: request.method,
            path: request.path,
            authorization: Some(format!("Nisse-Owner nonce={nonce}, expires={expires}, signature={signature}")),
            content_digest: (!body.is_empty()).then(|| digest(request.body)),
            body,
        }
    }

    fn get(&self, rest: &str) -> Sent {
        self.sign(self.request("GET", rest, b""), b"")
    }

    /// The same that is good until this second.
    fn get_until(&self, expires: u64) -> Sent {
        self.sign(OwnerRequest { expires, ..self.request("GET", "", b"") }, b"")
    }

    fn invoke(&self, event: &'static [u8]) -> Sent {
        self.sign(self.request("POST", "/invoke", event), event)
    }

    /// Follows its log until the stream is dropped, if it may.
    fn follow(&self) -> Option<TcpStream> {
        let Sent { path, authorization, .. } = self.get("/logs/follow?after=0");
        let authorization = authorization.unwrap();
        let head = format!("GET {path} HTTP/1.1\r\nhost: localhost\r\nauthorization: {authorization}\r\n\r\n");
        let mut stream = TcpStream::connect(&self.public).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream.write_all(head.as_bytes()).unwrap();
        let mut begun = [0; 12];
        stream.read_exact(&mut begun).unwrap();
        (begun == *b"HTTP/1.1 200").then_some(stream)
    }

    /// A node that came up a moment ago may have had any request before, and says so.
    fn wait_for_its_node(&self) {
        eventually("its node to take requests", || {
            let answer = self.get("").answer();
            if answer.status == 200 {
                return Some(());
            }
            assert_eq!(refusal(&answer), (503, "request_early".to_owned()));
            None
        });
    }
}

impl Sent {
    fn answer(&self) -> web::Answer {
        let mut headers = vec![("host", "localhost")];
        headers.extend(self.authorization.as_deref().map(|value| ("authorization", value)));
        headers.extend(self.content_digest.as_deref().map(|value| ("content-digest", value)));
        if !self.body.is_empty() {
            headers.push(("content-type", "application/json"));
        }
        web::request(&self.to, &self.method, &self.path, &headers, self.body).unwrap()
    }

    #[track_caller]
    fn is_refused(&self, status: u16, code: &str) {
        let answer = self.answer();
        assert_eq!(refusal(&answer), (status, code.to_owned()), "{}", answer.text());
        assert_eq!(answer.header("content-type"), Some("application/problem+json"));
        let scheme = (status == 401).then_some("Nisse-Owner");
        assert_eq!(answer.header("www-authenticate"), scheme);
    }
}

#[test]
fn what_an_owner_signed_by_hand_is_answered_once_and_nothing_else_is() {
    let (alice, bob) = (Home::new(), Home::new());
    let renter = renter(&alice);
    let gateway = format!("http://{}", renter.public);
    let node = serve(&bob, &serving(&alice), &["--gateway", &gateway]);
    let order = ["deploy", &example("config-reader"), "--payment", "100", "--max-rate", "45", "--wait", "60"];
    let deployed = alice.json(&order);
    assert_eq!((&deployed["state"], &deployed["node"]), (&json!("running"), &operator(&bob)), "{deployed}");
    let owner = Owner::new(key_of(&alice, "deployer"), &deployed, &node);
    owner.wait_for_its_node();

    let status = owner.get("");
    let answer = status.answer();
    assert_eq!((answer.status, &answer.json()["state"]), (200, &json!("running")), "{}", answer.text());
    let log = owner.get("/logs?lines=1").answer();
    assert_eq!((log.status, log.json().as_array().unwrap().len()), (200, 1), "{}", log.text());
    let invoke = owner.invoke(EVENT);
    let first = invoke.answer();
    assert_eq!(first.status, 200, "{}", first.text());

    // Each counts once, whatever it asks for.
    status.is_refused(401, "request_replayed");
    invoke.is_refused(401, "request_replayed");

    // A signature is of one body. Where the head is right, only the body tells, and by then the nonce is used up.
    let other = Sent { body: OTHER_EVENT, ..owner.invoke(EVENT) };
    other.is_refused(400, "body_other");
    Sent { body: EVENT, ..other }.is_refused(401, "request_replayed");
    let content_digest = Some(digest(Hash256::of(OTHER_EVENT)));
    Sent { body: OTHER_EVENT, content_digest, ..owner.invoke(EVENT) }.is_refused(403, "not_the_owner");
    Sent { content_digest: None, ..owner.invoke(EVENT) }.is_refused(400, "digest_invalid");

    // It is of one node: alice's own does not run this, and what was meant for it is nothing to bob's.
    let asks_alice = Owner::new(key_of(&alice, "deployer"), &deployed, &renter);
    asks_alice.get("").is_refused(404, "agent_unknown");
    Sent { to: node.public.clone(), ..asks_alice.get("") }.is_refused(403, "not_the_owner");

    // It is of a moment that is near: good until now is good no more.
    owner.get_until(now()).is_refused(401, "request_expired");
    owner.get_until(now() + 2 * GOOD_FOR_MAX).is_refused(401, "request_expired");

    // It is of one key, and who runs the node is a stranger too.
    for key in [LocalKey::from_bytes(&[7; 32]).unwrap(), key_of(&bob, "operator")] {
        Owner { key, ..owner.clone() }.get("").is_refused(403, "not_the_owner");
    }
    Sent { authorization: None, ..owner.get("") }.is_refused(401, "signature_needed");

    // Nothing that was refused ran: the next event has the next number.
    let next = owner.invoke(OTHER_EVENT).answer();
    assert_eq!(next.status, 200, "{}", next.text());
    assert_eq!(next.json()["seq"].as_u64(), first.json()["seq"].as_u64().map(|seq| seq + 1), "{}", next.text());
}

#[test]
fn an_owner_who_follows_as_many_logs_as_may_be_is_answered_all_else_and_so_are_others() {
    let home = Home::new();
    let mut node = home.up(&["--demo"]);
    node.demo_is_told();
    let deployer = Owner::new(key_of(&home, "deployer"), &home.json(&["status", ORACLE]), &node);
    let other = Owner::new(key_of(&home, "operator"), &home.json(&["deploy", &example("echo")]), &node);
    deployer.wait_for_its_node();

    let mut followed: Vec<TcpStream> = (0..FOLLOWED_OF_ONE_MAX).map(|_| deployer.follow().unwrap()).collect();
    deployer.get("/logs/follow").is_refused(503, "answers_many");
    for rest in ["", "/logs"] {
        assert_eq!(deployer.get(rest).answer().status, 200, "{rest}");
    }
    let _others = other.follow().expect("another owner has places of her own");

    // Whoever goes makes room for one.
    drop(followed.pop());
    followed.push(eventually("a place", || deployer.follow()));
    deployer.get("/logs/follow").is_refused(503, "answers_many");
}
