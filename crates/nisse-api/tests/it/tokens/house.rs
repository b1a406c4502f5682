//! A node whose identity's root key the test has, tokens of any making, and requests by them.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use nisse_api::client::Client;
use nisse_model::{Chains, Claim, Credential, CredentialId, Did, SigningKey, Statement, Timestamp};
use nisse_node::control::IdentityStatus;
use nisse_node::{Token, TokenSigner};
use nisse_store::{Clock, SystemClock, SystemEntropy};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::running::{Running, running};

/// The identity.
pub(super) const ROOT: u8 = 41;
/// How far the holders' clock is ahead: a request is good for 55 s by it, and a node that came up a moment ago takes those
/// that are good for a minute.
const AHEAD_MS: i64 = 4_500;
const PATIENCE: Duration = Duration::from_secs(20);

pub(crate) fn key(number: u8) -> SigningKey {
    SigningKey::from_seed(&[number; 32])
}

pub(crate) fn now() -> Timestamp {
    SystemClock::default().now()
}

/// The machine's clock, set.
struct Shifted(SystemClock, i64);

impl Clock for Shifted {
    fn now(&self) -> Timestamp {
        Timestamp(self.0.now().0.saturating_add_signed(self.1))
    }

    fn elapsed(&self) -> Duration {
        self.0.elapsed()
    }
}

fn signer(token: &Token, shift_ms: i64) -> Arc<TokenSigner> {
    let clock = Arc::new(Shifted(SystemClock::default(), shift_ms));
    Arc::new(TokenSigner::new(token, None, clock, Arc::new(SystemEntropy)).unwrap())
}

pub(super) struct House {
    pub(super) running: Running,
    node: Did,
    pub(super) genesis: CredentialId,
}

impl House {
    /// One that takes requests by tokens.
    pub(super) async fn new() -> Self {
        let mut house = Self::of_nobody().await;
        let owner = house.owner();
        let status: IdentityStatus = owner.post_nothing("/api/v1/identity/device").await.unwrap();
        house.node = status.device.unwrap().parse().unwrap();
        let claim = Claim::IdentityGenesis { device: house.node, name: "laptop".parse().unwrap() };
        let genesis = says(&key(ROOT), key(ROOT).did(), Vec::new(), claim);
        house.genesis = genesis.id();
        owner.post_bytes::<IdentityStatus>("/api/v1/identity", genesis.encode().into()).await.unwrap();
        // What may be of an earlier life of the node is not taken for a moment.
        let token = house.token(99, &["/"]);
        let asked =
            async || Sent::new(&house, "GET", "/api/v1/audit").by(&token).send(house.running.api).await.0 == 200;
        house.eventually("the node to take requests by tokens", asked).await;
        house
    }

    pub(super) async fn of_nobody() -> Self {
        let running = running().await;
        let nothing = CredentialId(nisse_model::Hash256::of(b""));
        Self { running, node: key(ROOT).did(), genesis: nothing }
    }

    pub(super) async fn eventually(&self, what: &str, mut look: impl AsyncFnMut() -> bool) {
        let begun = tokio::time::Instant::now();
        while !look().await {
            assert!(begun.elapsed() < PATIENCE, "waited in vain for {what}");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    pub(super) async fn end(self) {
        self.running.node.shut_down().await;
    }

    pub(super) fn owner(&self) -> Client {
        Client::new(self.running.api, self.running.node.token())
    }

    pub(super) fn client(&self, token: &Token) -> Client {
        Client::by_token(self.running.api, signer(token, AHEAD_MS))
    }

    /// A token by the root key, for an hour.
    pub(super) fn token(&self, holder: u8, scopes: &[&str]) -> Token {
        self.token_until(holder, scopes, Timestamp(now().0 + 3_600_000))
    }

    pub(super) fn token_until(&self, holder: u8, scopes: &[&str], until: Timestamp) -> Token {
        let chain = |scope: &&str| vec![self.capability(ROOT, ROOT, holder, scope, until, None)];
        text(self.node, holder, scopes.iter().map(chain).collect())
    }

    /// By another key, for another identity, or both.
    pub(super) fn forged(&self, holder: u8, scope: &str, issuer: u8, identity: u8) -> Token {
        let until = Timestamp(now().0 + 3_600_000);
        text(self.node, holder, vec![vec![self.capability(issuer, identity, holder, scope, until, None)]])
    }

    pub(super) fn for_node(&self, holder: u8, scope: &str, node: Did) -> Token {
        let until = Timestamp(now().0 + 3_600_000);
        text(node, holder, vec![vec![self.capability(ROOT, ROOT, holder, scope, until, None)]])
    }

    /// What somebody has for an hour, and whom they give this of it.
    pub(super) fn handed_on(&self, first: u8, wide: &str, then: u8, narrow: &str, until: Timestamp) -> Token {
        let wide = self.capability(ROOT, ROOT, first, wide, Timestamp(now().0 + 3_600_000), None);
        let narrow = self.capability(first, ROOT, then, narrow, until, Some(wide.id()));
        text(self.node, then, vec![vec![wide, narrow]])
    }

    fn capability(
        &self,
        issuer: u8,
        identity: u8,
        holder: u8,
        scope: &str,
        expires: Timestamp,
        proof: Option<CredentialId>,
    ) -> Credential {
        let claim = Claim::Capability { audience: key(holder).did(), scope: scope.parse().unwrap(), expires, proof };
        says(&key(issuer), key(identity).did(), vec![self.genesis], claim)
    }
}

fn says(key: &SigningKey, subject: Did, parents: Vec<CredentialId>, claim: Claim) -> Credential {
    let mut nonce = [0; 12];
    nisse_store::Entropy::fill(&SystemEntropy, &mut nonce);
    Statement { issuer: key.did(), subject, parents, issued: now(), nonce, claim }.sign(key).unwrap()
}

/// A token in the form of docs/tokens.md, written beside the product.
fn text(node: Did, holder: u8, chains: Vec<Vec<Credential>>) -> Token {
    let chains = Chains::new(chains).unwrap().encode();
    let bytes = [&[0x84, 1, 0x58, 32][..], &node.0, &[0x58, 32], &[holder; 32], &chains].concat();
    format!("nisse-token-1.{}", URL_SAFE_NO_PAD.encode(bytes)).parse().unwrap()
}

/// A request as it is sent.
#[derive(Clone)]
pub(super) struct Sent {
    pub(super) method: String,
    pub(super) path: String,
    headers: Vec<(String, String)>,
    pub(super) body: String,
}

impl Sent {
    pub(super) fn new(house: &House, method: &str, path: &str) -> Self {
        let headers = vec![("host".to_owned(), house.running.api.to_string())];
        Self { method: method.to_owned(), path: path.to_owned(), headers, body: String::new() }
    }

    pub(super) fn with_body(self, body: &str) -> Self {
        Self { body: body.to_owned(), ..self }
    }

    /// Signed by a token.
    pub(super) fn by(self, token: &Token) -> Self {
        self.by_for(token, |_| {})
    }

    /// Signed as another request.
    pub(super) fn by_for(self, token: &Token, change: impl FnOnce(&mut Self)) -> Self {
        let mut other = self.clone();
        change(&mut other);
        self.signed(&other, token, AHEAD_MS)
    }

    /// Signed by a clock that is so many seconds off.
    pub(super) fn by_at(self, token: &Token, seconds: i64) -> Self {
        let other = self.clone();
        self.signed(&other, token, seconds * 1_000)
    }

    fn signed(self, other: &Self, token: &Token, shift_ms: i64) -> Self {
        let headers = signer(token, shift_ms).sign(&other.method, &other.path, other.body.as_bytes());
        headers.iter().fold(self, |sent, (name, value)| sent.with(name.as_str(), value.to_str().unwrap()))
    }

    /// With this value in place of another.
    pub(super) fn with(self, name: &str, value: &str) -> Self {
        self.without(name).and(name, value)
    }

    /// With this value besides.
    pub(super) fn and(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    pub(super) fn without(mut self, name: &str) -> Self {
        self.headers.retain(|(known, _)| known != name);
        self
    }

    pub(super) fn value(&self, name: &str) -> String {
        self.headers.iter().find(|(known, _)| known == name).unwrap().1.clone()
    }

    /// As the node's own parts have it.
    pub(super) fn request(&self) -> http::Request<()> {
        let request = http::Request::builder().method(self.method.as_str()).uri(&self.path);
        let named = self.headers.iter().fold(request, |request, (name, value)| request.header(name, value));
        named.body(()).unwrap()
    }

    /// The status, and the code of a refusal.
    pub(super) async fn send(&self, address: SocketAddr) -> (u16, String) {
        let Self { method, path, headers, body } = self;
        let headers: String = headers.iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect();
        let length = body.len();
        let text =
            format!("{method} {path} HTTP/1.1\r\n{headers}Connection: close\r\nContent-Length: {length}\r\n\r\n{body}");
        let mut stream = TcpStream::connect(address).await.unwrap();
        stream.write_all(text.as_bytes()).await.unwrap();
        let mut answer = Vec::new();
        // A connection that was closed early has said enough.
        let _ = stream.read_to_end(&mut answer).await;
        let answer = String::from_utf8_lossy(&answer).into_owned();
        let status = answer.split(' ').nth(1).and_then(|status| status.parse().ok()).unwrap_or(0);
        let body = answer.split_once("\r\n\r\n").map(|(_, body)| body).unwrap_or_default();
        let json = body.find('{').and_then(|from| body.rfind('}').map(|to| &body[from..=to]));
        let problem: serde_json::Value = json.and_then(|json| serde_json::from_str(json).ok()).unwrap_or_default();
        (status, problem["code"].as_str().unwrap_or_default().to_owned())
    }
}
