//! Links on this machine, gates, and patience.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use iroh::endpoint::{Connection as Raw, presets};
use iroh::{Endpoint, EndpointAddr, EndpointId, RelayMode, SecretKey, TransportAddr};
use nisse_link::{Connection, Gate, Limits, Link, LinkError, LinkOptions, Protocol, Stream};
use nisse_model::Did;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use zeroize::Zeroizing;

pub(crate) const LOOPBACK: &str = "127.0.0.1:0";

pub(crate) fn options(number: u8) -> LinkOptions {
    LinkOptions {
        seed: Zeroizing::new([number; 32]),
        listen: LOOPBACK.parse().unwrap(),
        relays: Vec::new(),
        nearby: false,
        limits: Limits::default(),
    }
}

pub(crate) async fn link(number: u8) -> Link {
    Link::bind(options(number)).await.unwrap()
}

pub(crate) async fn link_within(number: u8, limits: Limits) -> Link {
    Link::bind(LinkOptions { limits, ..options(number) }).await.unwrap()
}

/// The key of a link that need not exist.
pub(crate) fn did(number: u8) -> Did {
    Did(*SecretKey::from_bytes(&[number; 32]).public().as_bytes())
}

/// Whatever does not happen in this time does not happen.
pub(crate) async fn soon<T>(happens: impl Future<Output = T>) -> T {
    tokio::time::timeout(Duration::from_secs(30), happens).await.expect("it happens")
}

/// Tries until it is so.
pub(crate) async fn eventually<T>(mut tried: impl AsyncFnMut() -> Option<T>) -> T {
    let trying = async {
        loop {
            if let Some(value) = tried().await {
                return value;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    soon(trying).await
}

/// A gate that admits those who stand on its list.
#[derive(Default, Clone)]
pub(crate) struct List(Arc<Mutex<BTreeSet<Did>>>);

impl List {
    pub(crate) fn of(dids: &[Did]) -> Self {
        Self(Arc::new(Mutex::new(dids.iter().copied().collect())))
    }

    pub(crate) fn strike(&self, did: Did) {
        self.0.lock().unwrap().remove(&did);
    }
}

impl Gate for List {
    fn admits(&self, peer: &Did, _protocol: Protocol) -> bool {
        self.0.lock().unwrap().contains(peer)
    }
}

/// A gate that is a function.
pub(crate) struct When<F>(pub(crate) F);

impl<F: Fn(&Did, Protocol) -> bool + Send + Sync> Gate for When<F> {
    fn admits(&self, peer: &Did, protocol: Protocol) -> bool {
        (self.0)(peer, protocol)
    }
}

pub(crate) fn everybody() -> When<impl Fn(&Did, Protocol) -> bool + Send + Sync> {
    When(|_: &Did, _| true)
}

pub(crate) fn nobody() -> When<impl Fn(&Did, Protocol) -> bool + Send + Sync> {
    When(|_: &Did, _| false)
}

pub(crate) async fn dial(from: &Link, to: &Link) -> Result<Connection, LinkError> {
    soon(from.dial(to.did(), &to.addresses(), Protocol::Sync)).await
}

/// A connection, from both sides.
pub(crate) async fn connect(from: &Link, to: &Link) -> (Connection, Connection) {
    let gate = everybody();
    let (dialled, accepted) = tokio::join!(dial(from, to), soon(to.accept(&gate)));
    (dialled.unwrap(), accepted.unwrap())
}

/// A stream, from both sides.
pub(crate) async fn stream(from: &Connection, to: &Connection) -> (Stream, Stream) {
    let mut opened = soon(from.open()).await.unwrap();
    // The other side hears of a stream with its first byte.
    opened.write_all(b"!").await.unwrap();
    let mut accepted = soon(to.accept()).await.unwrap();
    assert_eq!(soon(accepted.read_u8()).await.unwrap(), b'!');
    (opened, accepted)
}

/// Accepts whom the gate admits for as long as it lives, and lets go of nobody.
pub(crate) fn keep_accepting(link: &Link, gate: impl Gate + 'static) -> tokio::task::JoinHandle<()> {
    let link = link.clone();
    tokio::spawn(async move {
        let mut kept = Vec::new();
        while let Some(connection) = link.accept(&gate).await {
            kept.push(connection);
        }
    })
}

/// Somebody with another program.
pub(crate) async fn foreign(number: u8) -> Endpoint {
    Endpoint::builder(presets::Minimal)
        .secret_key(SecretKey::from_bytes(&[number; 32]))
        .relay_mode(RelayMode::Disabled)
        .clear_ip_transports()
        .bind_addr(LOOPBACK)
        .unwrap()
        .bind()
        .await
        .unwrap()
}

pub(crate) fn address_of(link: &Link) -> EndpointAddr {
    let id = EndpointId::from_bytes(&link.did().0).unwrap();
    EndpointAddr::from_parts(id, link.addresses().into_iter().map(TransportAddr::Ip))
}

pub(crate) async fn dial_as_foreigner(endpoint: &Endpoint, to: &Link, alpn: &[u8]) -> Option<Raw> {
    soon(endpoint.connect(address_of(to), alpn)).await.ok()
}

pub(crate) fn address(text: &str) -> SocketAddr {
    text.parse().unwrap()
}
