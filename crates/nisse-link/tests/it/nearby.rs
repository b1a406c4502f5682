//! Peers on the local network. Where a machine lets no multicast through there is nothing to test.

use std::time::Duration;

use nisse_link::{Link, LinkOptions, Nearby, Protocol};

use crate::world::{everybody, keep_accepting, link, options, soon};

/// What this link hears of that one, with such a note.
async fn hears(link: &Link, other: &Link, note: Option<&str>) -> Option<Nearby> {
    let hearing = async {
        loop {
            let heard = link.nearby().into_iter().find(|nearby| nearby.did == other.did());
            match heard {
                Some(nearby) if nearby.note.as_deref() == note => return nearby,
                _ => tokio::time::sleep(Duration::from_millis(20)).await,
            }
        }
    };
    tokio::time::timeout(Duration::from_secs(12), hearing).await.ok()
}

#[tokio::test]
async fn peers_hear_of_each_other_and_need_no_address() {
    let nearby = |number| LinkOptions { nearby: true, ..options(number) };
    let (Ok(alice), Ok(bob)) = (Link::bind(nearby(31)).await, Link::bind(nearby(32)).await) else {
        println!("skipped: this machine does not let anybody listen for multicast");
        return;
    };
    let Some(heard) = hears(&alice, &bob, None).await else {
        println!("skipped: multicast does not arrive on this machine");
        return;
    };
    assert_eq!(heard.addresses, bob.addresses());
    bob.announce(Some("pairing 42"));
    assert!(hears(&alice, &bob, Some("pairing 42")).await.is_some(), "the note is heard");

    let _serving = keep_accepting(&bob, everybody());
    let connection = soon(alice.dial(bob.did(), &[], Protocol::Pair)).await.unwrap();
    assert_eq!(connection.peer(), bob.did());
    // To look for one peer is in nobody's way who listens for all.
    bob.announce(Some("pairing 43"));
    assert!(hears(&alice, &bob, Some("pairing 43")).await.is_some(), "the next note is heard");
    bob.announce(None);
    assert!(hears(&alice, &bob, None).await.is_some(), "a note is taken back");
}

#[tokio::test]
async fn who_does_not_listen_hears_nobody() {
    let alice = link(33).await;
    alice.announce(Some("nobody hears this"));
    assert!(alice.nearby().is_empty());
}
