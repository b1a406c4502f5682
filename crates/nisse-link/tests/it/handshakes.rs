//! Handshakes that hang: they cost their own side of the steps and nobody else's.

use std::net::SocketAddr;

use nisse_link::{Limits, Link, LinkError, LinkOptions, Protocol};
use tokio::net::UdpSocket;

use crate::world::{address, dial, eventually, everybody, keep_accepting, link_within, options, soon};

/// Begins a handshake and never goes on: of what the client says the first datagram arrives, and of the answers none.
async fn hang(number: u8, server: &Link) -> tokio::task::JoinHandle<()> {
    let to: SocketAddr = server.addresses()[0];
    let between = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let at = between.local_addr().unwrap();
    let client = Link::bind(options(number)).await.unwrap();
    let did = server.did();
    let hanging = tokio::spawn(async move {
        let _ = client.dial(did, &[at], Protocol::Sync).await;
    });
    let mut datagram = vec![0; 2_048];
    let (length, _) = soon(between.recv_from(&mut datagram)).await.unwrap();
    between.send_to(&datagram[..length], to).await.unwrap();
    hanging
}

#[tokio::test]
async fn handshakes_that_hang_are_in_nobody_elses_way() {
    let bob = link_within(2, Limits { handshakes: 4, ..Limits::default() }).await;
    let _serving = keep_accepting(&bob, everybody());
    let mut hanging = Vec::new();
    for number in 10..14 {
        hanging.push(hang(number, &bob).await);
    }
    // One address has used up its half, and is told.
    let neighbour = Link::bind(options(3)).await.unwrap();
    let refused = eventually(async || dial(&neighbour, &bob).await.err()).await;
    assert!(matches!(refused, LinkError::Limit("handshakes that the peer takes at once")), "{refused:?}");
    // Others prove their address and come in.
    let elsewhere = Link::bind(LinkOptions { listen: address("127.0.0.2:0"), ..options(4) }).await.unwrap();
    dial(&elsewhere, &bob).await.unwrap();
    // And after its time a handshake that hangs is given up.
    eventually(async || dial(&neighbour, &bob).await.ok()).await;
    for task in hanging {
        task.abort();
    }
}
