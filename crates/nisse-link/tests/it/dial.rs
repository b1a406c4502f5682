//! Reaching a peer by its key, and what is said where that does not work.

use nisse_link::{Link, LinkError, LinkOptions, Protocol};
use nisse_model::Did;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use crate::world::{
    address, connect, dial, dial_as_foreigner, did, eventually, everybody, foreign, keep_accepting, link, options,
    soon, stream,
};

#[tokio::test]
async fn a_peer_is_dialled_by_its_key_and_answers() {
    let (alice, bob) = (link(1).await, link(2).await);
    for protocol in [Protocol::Control, Protocol::Pair, Protocol::Sync, Protocol::Content, Protocol::Space] {
        let gate = everybody();
        let at = bob.addresses();
        let (dialled, accepted) = tokio::join!(alice.dial(bob.did(), &at, protocol), soon(bob.accept(&gate)));
        let (dialled, accepted) = (dialled.unwrap(), accepted.unwrap());
        assert_eq!((dialled.peer(), accepted.peer()), (bob.did(), alice.did()));
        assert_eq!((dialled.protocol(), accepted.protocol()), (protocol, protocol));
        assert_eq!(dialled.address(), Some(at[0]));
        assert_eq!(accepted.address(), Some(alice.addresses()[0]));
        // Either side may open streams.
        for (from, to) in [(&dialled, &accepted), (&accepted, &dialled)] {
            let (mut asking, mut answering) = stream(from, to).await;
            asking.write_all(b"are you there?").await.unwrap();
            asking.shutdown().await.unwrap();
            let mut heard = Vec::new();
            soon(answering.read_to_end(&mut heard)).await.unwrap();
            answering.write_all(&heard).await.unwrap();
            answering.shutdown().await.unwrap();
            let mut echo = Vec::new();
            soon(asking.read_to_end(&mut echo)).await.unwrap();
            assert_eq!(echo, b"are you there?");
        }
    }
}

#[tokio::test]
async fn what_was_written_arrives_though_all_is_dropped_at_once() {
    let (alice, bob) = (link(1).await, link(2).await);
    let (dialled, accepted) = connect(&alice, &bob).await;
    let sent: Vec<u8> = (0..3_000_000_u32).map(|at| (at % 251) as u8).collect();
    let copy = sent.clone();
    let sending = async move {
        let mut opened = dialled.open().await.unwrap();
        opened.write_all(&copy).await.unwrap();
    };
    let receiving = async move {
        let mut stream = accepted.accept().await.unwrap();
        let mut received = Vec::new();
        stream.read_to_end(&mut received).await.unwrap();
        received
    };
    let ((), received) = tokio::join!(soon(sending), soon(receiving));
    assert!(received == sent, "{} of {} bytes", received.len(), sent.len());
}

#[tokio::test]
async fn a_connection_that_nobody_holds_ends_for_the_other_side() {
    let (alice, bob) = (link(1).await, link(2).await);
    let (dialled, accepted) = connect(&alice, &bob).await;
    let clone = dialled.clone();
    drop(dialled);
    let (opened, _other) = stream(&clone, &accepted).await;
    drop(clone);
    drop(opened);
    assert_eq!(soon(accepted.closed()).await, "closed by the peer: done");
    assert!(soon(accepted.accept()).await.is_none());
    assert!(matches!(accepted.open().await, Err(LinkError::Broken(_))));
}

#[tokio::test]
async fn both_sides_learn_why_a_connection_was_closed() {
    let (alice, bob) = (link(1).await, link(2).await);
    let (dialled, accepted) = connect(&alice, &bob).await;
    dialled.close("enough\u{7} for\ntoday");
    assert_eq!(soon(dialled.closed()).await, "closed here");
    assert_eq!(soon(accepted.closed()).await, "closed by the peer: enough fortoday");
    assert!(matches!(dialled.open().await, Err(LinkError::Broken(_))));
}

#[tokio::test]
async fn a_link_that_closes_says_goodbye_and_gives_up_its_address() {
    let (alice, bob) = (link(1).await, link(2).await);
    let (dialled, _accepted) = connect(&alice, &bob).await;
    let at = bob.addresses()[0];
    soon(bob.close()).await;
    assert_eq!(soon(dialled.closed()).await, "closed by the peer: the peer is leaving");
    assert!(soon(bob.accept(&everybody())).await.is_none());
    assert!(matches!(dial(&bob, &alice).await, Err(LinkError::Unreachable { .. })));
    drop((bob, _accepted));
    let again = eventually(async || Link::bind(LinkOptions { listen: at, ..options(2) }).await.ok()).await;
    assert_eq!(again.addresses(), [at]);
}

#[tokio::test]
async fn nobody_with_another_key_is_connected_to() {
    let (alice, bob) = (link(1).await, link(2).await);
    let _serving = keep_accepting(&bob, everybody());
    let missing = did(3);
    let refused = soon(alice.dial(missing, &bob.addresses(), Protocol::Sync)).await;
    assert!(matches!(refused, Err(LinkError::Unreachable { peer, .. }) if peer == missing));
    // Bob himself is still reached there.
    dial(&alice, &bob).await.unwrap();
}

#[tokio::test]
async fn a_protocol_that_nobody_speaks_is_refused() {
    let bob = link(2).await;
    let serving = keep_accepting(&bob, everybody());
    let stranger = foreign(7).await;
    assert!(dial_as_foreigner(&stranger, &bob, b"nisse/sync/2").await.is_none());
    assert!(dial_as_foreigner(&stranger, &bob, b"h3").await.is_none());
    assert!(dial_as_foreigner(&stranger, &bob, b"nisse/sync/1").await.is_some());
    serving.abort();
}

#[tokio::test]
async fn without_address_relay_and_neighbours_a_peer_is_nowhere() {
    let alice = link(1).await;
    let refused = soon(alice.dial(did(2), &[], Protocol::Sync)).await;
    let Err(error @ LinkError::Nowhere { .. }) = refused else { panic!("nobody tells where it is") };
    let expected = "no address of it is known, and neither a relay nor anyone nearby tells one";
    assert_eq!(error.to_string(), format!("find {}: {expected}", did(2)));
}

#[tokio::test]
async fn what_cannot_be_bound_or_dialled_is_named() {
    let alice = link(1).await;
    for relay in ["relay.example.org", "https://", "ftp://relay.example.org", "mailto:relay@example.org", ""] {
        let refused = Link::bind(LinkOptions { relays: vec![relay.to_owned()], ..options(2) }).await;
        let Err(error @ LinkError::Relay(_)) = refused else { panic!("`{relay}` is no relay") };
        assert_eq!(error.to_string(), format!("read `{relay}` as a relay's URL: expected https://HOST"));
    }
    let taken = alice.addresses()[0];
    let refused = Link::bind(LinkOptions { listen: taken, ..options(2) }).await;
    assert!(matches!(refused, Err(LinkError::Bind { address, .. }) if address == taken));
    // Two is the y of no point of the curve.
    let mut no_point = Did([0; 32]);
    no_point.0[0] = 2;
    let refused = alice.dial(no_point, &[taken], Protocol::Sync).await;
    assert!(matches!(refused, Err(LinkError::NotAKey { .. })));
    assert!(matches!(dial(&alice, &alice).await, Err(LinkError::Unreachable { .. })), "oneself is no peer");
}

#[tokio::test]
async fn a_link_says_where_it_can_be_reached() {
    let alice = link(1).await;
    let [at] = alice.addresses()[..] else { panic!("one address") };
    assert!(at.ip().is_loopback() && at.port() != 0);
    let everywhere = Link::bind(LinkOptions { listen: address("0.0.0.0:0"), ..options(2) }).await.unwrap();
    let addresses = everywhere.addresses();
    assert!(addresses.iter().all(|at| !at.ip().is_unspecified() && !at.ip().is_loopback() && at.port() != 0));
    // A machine without any network has no such address.
    if !addresses.is_empty() {
        connect(&alice, &everywhere).await;
    }
}
