//! A home with an identity, its devices and a space, agents with rules, and calls of them as they stand on the wire.

use std::ffi::OsString;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use nisse_api::client::Client;
use nisse_model::{Chains, Claim, Credential, CredentialId, Hash256, Log, Role, SigningKey, Statement, Timestamp};
use nisse_node::control::{Deployed, LogLine, PackageUpload};
use nisse_node::{CompileCommand, PeerOptions, Speaker, recover};
use nisse_store::{Disk as _, Entropy as _, Journal, JournalError, JournalOptions, SystemDisk, SystemEntropy};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::running::{Running, options, running_in, seams};
use crate::tokens::house::{key, now};

/// The identity of the home, another device of it, two members of its space, and nobody.
pub(super) const ROOT: u8 = 41;
pub(super) const PHONE: u8 = 42;
pub(super) const EDITOR: u8 = 43;
pub(super) const READER: u8 = 44;
pub(super) const STRANGER: u8 = 45;
/// Whom a rule lists, and who has a capability.
pub(super) const LISTED: u8 = 46;
pub(super) const HOLDER: u8 = 47;
const HOUR_MS: u64 = 3_600_000;
const PATIENCE: Duration = Duration::from_secs(60);
const GUEST_BYTES_MAX: u64 = 1 << 20;

pub(super) fn did(number: u8) -> String {
    key(number).did().to_string()
}

pub(super) struct Town {
    pub(super) running: Running,
    pub(super) space: CredentialId,
    /// All that the home knows.
    seen: Vec<CredentialId>,
}

/// This binary as its own compile child.
fn compiler() -> CompileCommand {
    let script = r#"exec "$0" --ignored --exact access::compile_child --nocapture 3>&1 >/dev/null"#;
    let this = std::env::current_exe().unwrap();
    let arguments: Vec<OsString> = vec!["-c".into(), script.into(), this.into()];
    CompileCommand { program: "/bin/sh".into(), arguments }
}

/// Says something with the root key, behind all that was said.
fn say(log: &mut Log, claim: Claim) -> Credential {
    let root = key(ROOT);
    let parents = log.parents(root.did(), &claim);
    let credential = statement(root.did(), parents, claim, &root);
    log.insert(credential.clone()).unwrap();
    credential
}

fn statement(subject: nisse_model::Did, parents: Vec<CredentialId>, claim: Claim, by: &SigningKey) -> Credential {
    let mut nonce = [0; 12];
    SystemEntropy.fill(&mut nonce);
    Statement { issuer: by.did(), subject, parents, issued: now(), nonce, claim }.sign(by).unwrap()
}

/// Writes into the credentials of a home on which no node runs.
async fn settle(home: &Path) -> (CredentialId, Vec<CredentialId>) {
    let mut log = Log::new();
    log.follow(key(ROOT).did());
    let layout = JournalOptions { segment_bytes: 16 << 20 };
    let restore = |_, bytes: &[u8]| {
        log.insert(Credential::decode(bytes).unwrap()).unwrap();
        Ok::<_, JournalError>(())
    };
    let journal =
        Journal::open_with(Arc::new(SystemDisk), &SystemEntropy, &home.join("identity"), layout, restore).unwrap();
    let phone = say(&mut log, Claim::DeviceAdd { device: key(PHONE).did(), name: "phone".parse().unwrap() });
    let space = say(&mut log, Claim::SpaceGenesis);
    let member = |number: u8, role| Claim::Member { space: space.id(), member: key(number).did(), role };
    let editor = say(&mut log, member(EDITOR, Role::Edit));
    let reader = say(&mut log, member(READER, Role::Read));
    for credential in [&phone, &space, &editor, &reader] {
        journal.append(&credential.encode()).unwrap().durable().await.unwrap();
    }
    (space.id(), log.iter().map(Credential::id).collect())
}

impl Town {
    /// One that takes calls by proofs: what may be of an earlier life of the node is not taken for a moment.
    pub(super) async fn new() -> Self {
        let home = tempfile::tempdir().unwrap();
        let peers = PeerOptions { listen: "127.0.0.1:0".parse().unwrap(), relays: Vec::new(), nearby: false };
        let (node, name) = (options(home.path(), compiler()), "laptop".parse().unwrap());
        let speaker = Speaker { node: &node, peers: &peers, seams: seams(), passphrase: None };
        recover(speaker, [ROOT; 32].into(), None, &name).await.unwrap();
        let (space, seen) = settle(home.path()).await;
        Self { running: running_in(home, compiler()).await, space, seen }
    }

    pub(super) async fn end(self) {
        self.running.node.shut_down().await;
    }

    pub(super) fn owner(&self) -> Client {
        Client::new(self.running.api, self.running.node.token())
    }

    /// Brings a guest up as this agent with these rules, and waits until it takes calls by proofs.
    pub(super) async fn deploy(&self, guest: &str, name: &str, access: &str) -> Deployed {
        let package = package(guest, &format!("{name}@v1.0.0"), access);
        let deployed: Deployed =
            self.owner().post("/api/v1/agents", &serde_json::json!({ "package": package })).await.unwrap();
        assert_eq!(deployed.state, "running", "{deployed:?}");
        deployed
    }

    pub(super) async fn update(&self, guest: &str, name: &str, version: &str, access: &str) {
        let package = package(guest, &format!("{name}@v{version}"), access);
        let path = format!("/api/v1/agents/{name}/update");
        self.owner().post::<serde_json::Value>(&path, &serde_json::json!({ "package": package })).await.unwrap();
    }

    /// What the agent's owner reads of refusals.
    pub(super) async fn told(&self, name: &str) -> Vec<String> {
        let lines: Vec<LogLine> = self.owner().get(&format!("/api/v1/agents/{name}/logs?lines=1000")).await.unwrap();
        lines.into_iter().map(|line| line.text).filter(|text| text.starts_with("access refused ")).collect()
    }

    /// A capability by the root key, for an hour.
    pub(super) fn capability(&self, holder: u8, scope: &str) -> Credential {
        self.given(ROOT, holder, scope, Timestamp(now().0 + HOUR_MS), None)
    }

    pub(super) fn given(
        &self,
        by: u8,
        holder: u8,
        scope: &str,
        expires: Timestamp,
        proof: Option<CredentialId>,
    ) -> Credential {
        let claim = Claim::Capability { audience: key(holder).did(), scope: scope.parse().unwrap(), expires, proof };
        statement(key(ROOT).did(), self.seen[..1].to_vec(), claim, &key(by))
    }

    pub(super) async fn eventually(&self, what: &str, mut look: impl AsyncFnMut() -> bool) {
        let begun = tokio::time::Instant::now();
        while !look().await {
            assert!(begun.elapsed() < PATIENCE, "waited in vain for {what}");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
}

/// A committed guest under another name, with rules.
fn package(guest: &str, id: &str, access: &str) -> PackageUpload {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples/guests").join(guest);
    let read = |name: &str| SystemDisk.read(&folder.join(name), GUEST_BYTES_MAX).unwrap();
    let manifest = String::from_utf8(read("agent.yaml")).unwrap();
    let manifest = manifest.replace(&format!("nisse.test.{guest}@v1.0.0"), id);
    let manifest = manifest.replace("cpu: \"0.25\"", "cpu: \"0.02\"").replace("cpu: \"1\"", "cpu: \"0.5\"");
    PackageUpload::of(format!("{manifest}nisse: 1\n{access}\n"), &read(&format!("{guest}.wasm")))
}

/// `authorization` with these chains.
pub(super) fn shown(chains: Vec<Vec<Credential>>) -> String {
    format!("Nisse-Capability {}", URL_SAFE_NO_PAD.encode(Chains::new(chains).unwrap().encode()))
}

/// A call as it is sent.
#[derive(Clone)]
pub(super) struct Call {
    pub(super) method: String,
    pub(super) path: String,
    pub(super) host: String,
    pub(super) headers: Vec<(String, String)>,
    pub(super) body: String,
}

/// An answer as it came.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Came {
    pub(super) status: u16,
    pub(super) head: String,
    pub(super) body: String,
}

impl Call {
    pub(super) fn get(agent: &str, path: &str) -> Self {
        let (method, path) = ("GET".to_owned(), path.to_owned());
        Self { method, path, host: format!("{agent}.localhost"), headers: Vec::new(), body: String::new() }
    }

    pub(super) fn post(agent: &str, path: &str, body: &str) -> Self {
        Self { method: "POST".to_owned(), body: body.to_owned(), ..Self::get(agent, path) }
    }

    /// Signed by this key.
    pub(super) fn by(self, number: u8) -> Self {
        self.by_as(number, |_| {})
    }

    /// Signed as another call.
    pub(super) fn by_as(self, number: u8, change: impl FnOnce(&mut Self)) -> Self {
        let mut other = self.clone();
        change(&mut other);
        // As long as it may be: a node that came up a moment ago takes no other.
        self.signed(&other, number, now().seconds() + 60)
    }

    /// Signed until then: the form of docs/access.md, written beside the product.
    pub(super) fn signed(self, other: &Self, number: u8, expires: u64) -> Self {
        let mut nonce = [0; 16];
        SystemEntropy.fill(&mut nonce);
        let digest = Hash256::of(other.body.as_bytes());
        let signature = key(number).sign("nisse call v1", &signed_bytes(other, &nonce, expires, &digest.0));
        let (nonce, signature) = (hex::encode(nonce), URL_SAFE_NO_PAD.encode(signature));
        let proof = format!("key={}, nonce={nonce}, expires={expires}, signature={signature}", did(number));
        let digest = format!("sha-256=:{}:", STANDARD.encode(digest.0));
        self.with("content-digest", &digest).with("nisse-proof", &proof)
    }

    pub(super) fn with(mut self, name: &str, value: &str) -> Self {
        self.headers.retain(|(known, _)| known != name);
        self.and(name, value)
    }

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

    /// The head of it, with which the connection is to end.
    pub(super) fn head(&self) -> String {
        let Self { method, path, host, headers, body } = self;
        let headers: String = headers.iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect();
        let length = if body.is_empty() { String::new() } else { format!("content-length: {}\r\n", body.len()) };
        format!("{method} {path} HTTP/1.1\r\nhost: {host}\r\nconnection: close\r\n{length}{headers}\r\n")
    }

    /// The whole answer.
    pub(super) async fn send(&self, town: &Town) -> Came {
        came(town, &format!("{}{}", self.head(), self.body)).await
    }
}

/// Sends this and reads until the other side closes.
pub(super) async fn came(town: &Town, sent: &str) -> Came {
    let mut stream = TcpStream::connect(town.running.public).await.unwrap();
    stream.write_all(sent.as_bytes()).await.unwrap();
    let mut answer = Vec::new();
    // A connection that was closed early has said enough.
    let _ = stream.read_to_end(&mut answer).await;
    let answer = String::from_utf8_lossy(&answer).into_owned();
    let status = answer.split(' ').nth(1).and_then(|status| status.parse().ok()).unwrap_or(0);
    let (head, body) = answer.split_once("\r\n\r\n").unwrap_or_default();
    Came { status, head: head.to_owned(), body: body.to_owned() }
}

/// Deterministic CBOR: `[1, method, path, host, nonce, expires, digest]`.
fn signed_bytes(call: &Call, nonce: &[u8], expires: u64, digest: &[u8]) -> Vec<u8> {
    let head = |kind: u8, length: usize| match u8::try_from(length).unwrap() {
        short @ 0..24 => vec![kind | short],
        long => vec![kind | 24, long],
    };
    let text = |text: &str| [&head(0x60, text.len()), text.as_bytes()].concat();
    let bytes = |bytes: &[u8]| [&head(0x40, bytes.len()), bytes].concat();
    let expires = [&[0x1a][..], &u32::try_from(expires).unwrap().to_be_bytes()].concat();
    let (method, path, host) = (text(&call.method), text(&call.path), text(&call.host));
    [vec![0x87, 0x01], method, path, host, bytes(nonce), expires, bytes(digest)].concat()
}
