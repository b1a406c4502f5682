//! An agent whose endpoint is not everybody's: refused to strangers, opened to one of them for a time, and taken back.

use std::time::{SystemTime, UNIX_EPOCH};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use nisse_model::{Hash256, SigningKey};

use crate::devices;
use crate::harness::{Home, Node, eventually};
use crate::web::{self, Answer};

const AGENT: &str = "nisse.test.counter";
const HOST: &str = "nisse.test.counter.localhost";

/// A `GET /` that this key signed, by docs/access.md.
fn ask(node: &Node<'_>, key: &SigningKey, nonce: u8, capability: &str) -> Answer {
    let expires = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs() + 60;
    let expires = u32::try_from(expires).unwrap();
    let text = |text: &str| [&[0x60 | u8::try_from(text.len()).unwrap()], text.as_bytes()].concat();
    let host = [&[0x78, u8::try_from(HOST.len()).unwrap()], HOST.as_bytes()].concat();
    let (nonce, digest) = ([nonce; 16], Hash256::of(b"").0);
    let (head, end) = ([0x87, 0x01], [&[0x1a][..], &expires.to_be_bytes(), &[0x58, 32], &digest].concat());
    let signed = [&head[..], &text("GET"), &text("/"), &host, &[0x50], &nonce, &end].concat();
    let signature = URL_SAFE_NO_PAD.encode(key.sign("nisse call v1", &signed));
    let nonce = hex::encode(nonce);
    let proof = format!("key={}, nonce={nonce}, expires={expires}, signature={signature}", key.did());
    let headers = [("host", HOST), ("authorization", capability), ("nisse-proof", &proof)];
    web::request(&node.public, "GET", "/", &headers, b"").unwrap()
}

#[test]
fn an_agent_is_opened_to_one_of_its_strangers_and_closed_again() {
    let home = Home::new();
    let node = home.up(&[]);
    devices::begin(&home, "laptop");
    let package = home.copy_of("counter", "guarded");
    package.edit("permissions:", "nisse: 1\naccess:\n  - to: capability\npermissions:");
    let checked = home.run(&["pkg", "check", package.path()]);
    assert!(checked.out.contains("rule 1 of `access` admits nobody on a node of somebody else"), "{checked:?}");
    home.ok(&["deploy", package.path()]);

    let stranger = node.ask(AGENT, "GET", "/");
    assert_eq!((stranger.status, stranger.header("www-authenticate")), (401, Some("Nisse-Proof")));
    assert!(!stranger.text().contains("capability"), "{}", stranger.text());

    let key = SigningKey::from_seed(&[7; 32]);
    let created = ["token", "create", "--agent", AGENT, "--can", "call", "--for", &key.did().to_string()];
    let token: nisse_node::Token = home.ok(&created).trim().parse().unwrap();
    let capability = format!("Nisse-Capability {}", URL_SAFE_NO_PAD.encode(token.chains().encode()));
    let mut nonces = 0..;
    // What may be of an earlier life of the node is not taken for a moment.
    let answer = eventually("the agent to answer", || {
        let answer = ask(&node, &key, nonces.next().unwrap(), &capability);
        (answer.status != 503).then_some(answer)
    });
    assert_eq!((answer.status, answer.text().trim()), (200, "0"));
    let other = ask(&node, &SigningKey::from_seed(&[8; 32]), 0, &capability);
    assert_eq!(other.status, 403, "{}", other.text());

    for (id, ..) in token.chains().given() {
        home.ok(&["token", "revoke", &id.to_string()]);
    }
    assert_eq!(ask(&node, &key, nonces.next().unwrap(), &capability).status, 403);
    let logs = home.ok(&["logs", AGENT]);
    assert!(logs.contains("access refused GET /: rule 1 (capability): the request does not prove who asks"), "{logs}");
    assert!(logs.contains("rule 1 (capability): the key has no capability that counts"), "{logs}");

    package.edit("to: capability", "to: public").edit("@v1.0.0", "@v1.0.1");
    home.ok(&["update", AGENT, package.path()]);
    assert_eq!(node.ask(AGENT, "GET", "/").status, 200);
}
