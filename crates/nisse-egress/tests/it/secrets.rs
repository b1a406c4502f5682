//! Cases K3 to K9: a secret goes where its permission says, and nowhere else; nobody sees it, neither the agent nor a log.
//!
//! What a server received and what the guest got decide, never our own error alone.

mod bindings;
mod echoes;
mod lifetime;
mod placeholders;
mod traces;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use nisse_egress::GuestRequest;
use nisse_egress::fake::{FakeServer, Received};

use crate::world::World;

/// The agent of the tests.
pub(crate) const AGENT: &str = "talos.probe";
/// A secret with all that is written otherwise somewhere.
pub(crate) const SECRET: &str = "sk-test/4f+9Zq=Vx~81_Lm.w\"e";
/// The same beneath everything that a program may write of it.
const TELLTALE: [&str; 5] = ["4f+9Zq", "Lm.w", "4f%2B9Zq", "4f%2b9Zq", "c2stdGVzdC80Zis5"];
/// Where the secret belongs.
const URL: &str = "https://api.example.com";
/// Another host, which the agent may reach too.
const OTHER: &str = "other.example.net";
const OTHER_V4: &str = "93.184.216.77";

/// An agent that may reach its host, with these `secret` permissions and the secret `api`.
fn world(secrets: &[&str]) -> World {
    let rules = [
        "api.example.com",
        "api.example.com:8443",
        "http://api.example.com",
        "http://api.example.com:443",
        "http://other.example.net",
    ];
    let world = World::new(&rules).with_host().with_secrets(secrets);
    world.vault.set(AGENT, "api", SECRET);
    world.names.answer(OTHER, &[OTHER_V4], crate::world::LONG);
    world
}

fn header(name: &str, value: &str) -> (String, Vec<u8>) {
    (name.to_owned(), value.as_bytes().to_vec())
}

fn with_headers<'a>(world: &'a World, url: &str, headers: &[(&str, &str)]) -> GuestRequest<'a> {
    let mut request = world.request(url);
    request.headers = headers.iter().map(|(name, value)| header(name, value)).collect();
    request
}

/// A server whose body is made from the request.
fn echo(body: impl Fn(&Received) -> String + Send + Sync + 'static) -> FakeServer {
    FakeServer::new(move |received| {
        let body = body(received);
        let text = format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n{body}", body.len());
        vec![nisse_egress::fake::Piece::Bytes(text.into_bytes())]
    })
}

/// The secret as it came in.
fn received_secret(received: &Received) -> String {
    let value = received.header("authorization").concat();
    value.strip_prefix("Bearer ").unwrap_or("nothing").to_owned()
}

/// The text gives nothing of the secret away.
#[track_caller]
fn tells_nothing(what: &str, text: &str) {
    let encoded = [STANDARD.encode(SECRET), SECRET.to_owned()];
    for telltale in TELLTALE.iter().copied().chain(encoded.iter().map(String::as_str)) {
        assert!(!text.contains(telltale), "{what} holds {telltale}: {text}");
    }
}
