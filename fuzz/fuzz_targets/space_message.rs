//! Any bytes: reading a frame of automerge-repo's protocol never panics, and what reads as a message that servers send
//! too reads the same once it is written again.
#![no_main]

use libfuzzer_sys::fuzz_target;
use nisse_space::repo_protocol::{Incoming, Outgoing, PeerName, RemoteHeads};

/// Writes what both directions share, and reads it again.
fn check(incoming: &Incoming<'_>, sender: &PeerName, target: Option<&PeerName>, outgoing: Outgoing<'_>) {
    // A client may leave its target out; a server never does.
    let Some(target) = target else { return };
    let frame = outgoing.encode(sender, target);
    assert_eq!(&Incoming::decode(&frame).expect("it reads what it writes"), incoming);
}

fuzz_target!(|bytes: &[u8]| {
    let Ok(incoming) = Incoming::decode(bytes) else { return };
    match &incoming {
        Incoming::Sync { sender, target, document, data } => {
            check(&incoming, sender, target.as_ref(), Outgoing::Sync { document: *document, data });
        }
        Incoming::Request { sender, target, document, data } => {
            check(&incoming, sender, target.as_ref(), Outgoing::Request { document: *document, data });
        }
        Incoming::Unavailable { sender, target, document } => {
            check(&incoming, sender, target.as_ref(), Outgoing::Unavailable { document: *document });
        }
        Incoming::Ephemeral { sender, target, document, count, session, data } => {
            let (document, count) = (*document, *count);
            check(
                &incoming,
                sender,
                target.as_ref(),
                Outgoing::Ephemeral { author: sender, document, count, session, data },
            );
        }
        Incoming::RemoteHeads { sender, target, document, stores } => {
            if let [RemoteHeads { storage, heads, timestamp_ms }] = &stores[..] {
                let (document, timestamp_ms) = (*document, *timestamp_ms);
                check(
                    &incoming,
                    sender,
                    target.as_ref(),
                    Outgoing::RemoteHeads { document, storage, heads, timestamp_ms },
                );
            }
        }
        Incoming::Join { .. } | Incoming::Leave { .. } | Incoming::RemoteSubscription { .. } | Incoming::Unknown(_) => {
        }
    }
});
