//! Who is not admitted gets to open nothing and is told.

use std::sync::atomic::{AtomicUsize, Ordering};

use futures::poll;
use iroh::endpoint::{ConnectOptions, ConnectionError, VarInt};
use nisse_link::{LinkError, Protocol};

use crate::world::{
    List, When, address_of, dial, dial_as_foreigner, everybody, foreign, keep_accepting, link, nobody, soon,
};

const REFUSED: VarInt = VarInt::from_u32(1);

fn is_refusal(error: &ConnectionError) -> bool {
    matches!(error, ConnectionError::ApplicationClosed(close) if close.error_code == REFUSED)
}

#[tokio::test]
async fn a_stranger_is_refused_and_told() {
    let (alice, bob, carol) = (link(1).await, link(2).await, link(3).await);
    let list = List::of(&[carol.did()]);
    let accepting = async { soon(bob.accept(&list)).await.unwrap() };
    let dialling = async {
        let refused = dial(&alice, &bob).await;
        assert!(matches!(refused, Err(LinkError::Refused { peer }) if peer == bob.did()));
        dial(&carol, &bob).await.unwrap()
    };
    // The one accept went on past the stranger.
    let (accepted, _dialled) = tokio::join!(accepting, dialling);
    assert_eq!(accepted.peer(), carol.did());
}

#[tokio::test]
async fn the_gate_hears_what_is_to_be_spoken() {
    let (alice, bob) = (link(1).await, link(2).await);
    let _serving = keep_accepting(&bob, When(|_: &_, protocol| protocol == Protocol::Pair));
    for protocol in [Protocol::Control, Protocol::Sync, Protocol::Content, Protocol::Space] {
        let refused = soon(alice.dial(bob.did(), &bob.addresses(), protocol)).await;
        assert!(matches!(refused, Err(LinkError::Refused { .. })), "{protocol:?}");
    }
    soon(alice.dial(bob.did(), &bob.addresses(), Protocol::Pair)).await.unwrap();
}

#[tokio::test]
async fn before_it_is_admitted_a_peer_can_open_no_stream() {
    let bob = link(2).await;
    let stranger = foreign(7).await;
    // The handshake is done, and nobody has asked the gate yet.
    let raw = dial_as_foreigner(&stranger, &bob, b"nisse/sync/1").await.unwrap();
    let mut opening = Box::pin(raw.open_bi());
    let mut opening_uni = Box::pin(raw.open_uni());
    for _ in 0..20 {
        assert!(poll!(&mut opening).is_pending() && poll!(&mut opening_uni).is_pending());
        tokio::task::yield_now().await;
    }
    assert_eq!(raw.max_datagram_size(), None);
    let gate = nobody();
    let accepting = bob.accept(&gate);
    let refused = async { soon(&mut opening).await };
    tokio::select! {
        _ = accepting => panic!("nobody is admitted"),
        refused = refused => assert!(refused.is_err_and(|error| is_refusal(&error))),
    }
}

#[tokio::test]
async fn who_is_admitted_gets_streams_both_ways_and_no_others() {
    let bob = link(2).await;
    let _serving = keep_accepting(&bob, everybody());
    let foreigner = foreign(7).await;
    let raw = dial_as_foreigner(&foreigner, &bob, b"nisse/sync/1").await.unwrap();
    soon(raw.open_bi()).await.unwrap();
    assert!(poll!(Box::pin(raw.open_uni())).is_pending());
    assert_eq!(raw.max_datagram_size(), None);
}

#[tokio::test]
async fn early_data_gets_no_further_than_anything_else() {
    let bob = link(2).await;
    let foreigner = foreign(7).await;
    let me = nisse_model::Did(*foreigner.id().as_bytes());
    let list = List::of(&[me]);
    let _serving = keep_accepting(&bob, list.clone());
    let raw = dial_as_foreigner(&foreigner, &bob, b"nisse/sync/1").await.unwrap();
    // A stream of an admitted connection brings the ticket for the next one, too.
    let (mut send, _receive) = soon(raw.open_bi()).await.unwrap();
    send.write_all(b"a ticket, please").await.unwrap();
    raw.close(VarInt::from_u32(0), b"");
    list.strike(me);

    let connecting =
        foreigner.connect_with_opts(address_of(&bob), b"nisse/sync/1", ConnectOptions::new()).await.unwrap();
    // It may speak before the handshake is done, and has no stream to do it on.
    let Ok(early) = connecting.into_0rtt() else { panic!("the ticket is good") };
    assert!(poll!(Box::pin(early.open_bi())).is_pending());
    assert!(soon(early.open_bi()).await.is_err_and(|error| is_refusal(&error)));
}

#[tokio::test]
async fn who_is_expelled_while_the_door_opens_stays_outside() {
    let (alice, bob) = (link(1).await, link(2).await);
    let asked = AtomicUsize::new(0);
    let _serving = keep_accepting(&bob, When(move |_: &_, _| asked.fetch_add(1, Ordering::Relaxed) == 0));
    assert!(matches!(dial(&alice, &bob).await, Err(LinkError::Refused { .. })));
}

#[tokio::test]
async fn who_is_cut_while_the_door_opens_stays_outside() {
    let (alice, bob) = (link(1).await, link(2).await);
    let asked = AtomicUsize::new(0);
    let cutting = bob.clone();
    // The second time that the gate is asked the peer has its place already.
    let gate = When(move |peer: &_, _| {
        if asked.fetch_add(1, Ordering::Relaxed) == 1 {
            cutting.cut(peer);
        }
        true
    });
    let _serving = keep_accepting(&bob, gate);
    assert!(matches!(dial(&alice, &bob).await, Err(LinkError::Refused { .. })));
}
