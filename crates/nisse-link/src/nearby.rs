//! Who is heard on the local network (mDNS), and what they say of themselves.
//!
//! Anybody on the network can say anything there: a key that is heard is proven only by a connection.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::pin::Pin;
use std::time::Duration;

use futures::stream::{self, Stream, StreamExt as _};
use iroh::EndpointId;
use iroh::address_lookup::{AddressLookup, EndpointData, EndpointInfo, Error as LookupError, Item};
use iroh::endpoint_info::UserData;
use iroh_mdns_address_lookup::{DiscoveryEvent, MdnsAddressLookup};
use nisse_model::Did;
use tokio::sync::watch;

use crate::connection::printable;
use crate::error::{Cause, LinkError};

/// What we are called on the network, so that we hear nobody else's iroh.
const SERVICE: &str = "nisse";
/// Peers that are remembered at once; who comes later is not heard until one leaves.
const HEARD_MAX: usize = 256;
/// Addresses that are remembered of one peer.
const ADDRESSES_MAX: usize = 16;
/// How long one dial waits to hear of its peer.
const LOOKUP_TIME: Duration = Duration::from_secs(10);
/// Bytes of a note that is announced; the rest is left out.
pub const NOTE_BYTES_MAX: usize = 120;

/// A peer on the local network, as it describes itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Nearby {
    /// The key that it claims.
    pub did: Did,
    /// Where it says that it listens.
    pub addresses: Vec<SocketAddr>,
    /// What it announces.
    pub note: Option<String>,
}

type Heard = BTreeMap<Did, Nearby>;

/// What has been heard. It answers iroh's question where a peer is, too: the mDNS crate tells news either to those who
/// asked for one peer or to those who listen for all, and who asks would make the listeners miss it.
#[derive(Debug, Clone)]
pub(crate) struct Neighbourhood {
    mdns: MdnsAddressLookup,
    heard: watch::Sender<Heard>,
}

impl Neighbourhood {
    /// Begins to speak and to listen. What is heard stands here while [`Self::listen`] runs.
    pub(crate) fn join(endpoint: &iroh::Endpoint) -> Result<Self, LinkError> {
        let refused = |error| LinkError::Nearby(Cause::from(error));
        let mdns = MdnsAddressLookup::builder()
            .service_name(SERVICE)
            .build(endpoint.id())
            .map_err(|error| refused(error.to_string()))?;
        let neighbourhood = Self { mdns, heard: watch::Sender::default() };
        let lookups = endpoint.address_lookup().map_err(|error| refused(error.to_string()))?;
        lookups.add(neighbourhood.clone());
        Ok(neighbourhood)
    }

    /// Listens for as long as it is polled.
    pub(crate) async fn listen(self) {
        let mut events = self.mdns.subscribe().await;
        while let Some(event) = events.next().await {
            self.heard.send_if_modified(|heard| note_down(heard, event));
        }
    }

    pub(crate) fn heard(&self) -> Vec<Nearby> {
        self.heard.borrow().values().cloned().collect()
    }
}

/// What an event changes; whether it does.
fn note_down(heard: &mut Heard, event: DiscoveryEvent) -> bool {
    match event {
        DiscoveryEvent::Discovered { endpoint_info, .. } => {
            let did = Did(*endpoint_info.endpoint_id.as_bytes());
            if heard.len() >= HEARD_MAX && !heard.contains_key(&did) {
                return false;
            }
            let addresses = endpoint_info.ip_addrs().take(ADDRESSES_MAX).copied().collect();
            let note = endpoint_info.user_data().map(|note| printable(note.as_ref())).filter(|note| !note.is_empty());
            heard.insert(did, Nearby { did, addresses, note });
            true
        }
        DiscoveryEvent::Expired { endpoint_id } => heard.remove(&Did(*endpoint_id.as_bytes())).is_some(),
        _ => false,
    }
}

/// A note as the announcement takes it. No note is an empty one: the mDNS crate goes on announcing the last that it had.
pub(crate) fn user_data(note: Option<&str>) -> UserData {
    let note = note.unwrap_or_default();
    let length = note.floor_char_boundary(NOTE_BYTES_MAX);
    UserData::try_from(note[..length].to_owned()).expect("a note is shorter than an announcement")
}

impl AddressLookup for Neighbourhood {
    fn publish(&self, data: &EndpointData) {
        self.mdns.publish(data);
    }

    fn resolve(&self, peer: EndpointId) -> Option<Pin<Box<dyn Stream<Item = Result<Item, LookupError>> + Send>>> {
        let did = Did(*peer.as_bytes());
        let mut changes = self.heard.subscribe();
        changes.mark_changed();
        let told = stream::unfold((changes, Vec::new()), move |(mut changes, told)| async move {
            loop {
                changes.changed().await.ok()?;
                let addresses = changes.borrow_and_update().get(&did).map(|nearby| nearby.addresses.clone());
                let Some(addresses) = addresses.filter(|addresses| *addresses != told) else { continue };
                let info = EndpointInfo::new(peer).with_ip_addrs(addresses.clone());
                return Some((Ok(Item::new(info, "nearby", None)), (changes, addresses)));
            }
        });
        Some(told.take_until(Box::pin(tokio::time::sleep(LOOKUP_TIME))).boxed())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn discovered(number: u8, note: Option<&str>) -> DiscoveryEvent {
        let id = iroh::SecretKey::from_bytes(&[number; 32]).public();
        let info = EndpointInfo::new(id)
            .with_ip_addrs((0..100).map(|port| SocketAddr::from(([127, 0, 0, 1], 1_000 + port))).collect())
            .with_user_data(note.map(|note| user_data(Some(note))));
        DiscoveryEvent::Discovered { endpoint_info: info, last_updated: None }
    }

    #[test]
    fn what_strangers_say_is_bounded_and_printable() {
        let mut heard = Heard::new();
        assert!(note_down(&mut heard, discovered(1, Some("pairing\u{1b}[31m 42"))));
        assert!(note_down(&mut heard, discovered(2, Some(""))));
        let notes: Vec<_> = heard.values().map(|nearby| nearby.note.as_deref()).collect();
        assert!(notes.contains(&Some("pairing[31m 42")) && notes.contains(&None), "{notes:?}");
        assert!(heard.values().all(|nearby| nearby.addresses.len() == ADDRESSES_MAX));
        for number in 3..=255 {
            note_down(&mut heard, discovered(number, None));
        }
        let nearby = heard.values().next().expect("one").clone();
        for number in 0..=u8::MAX {
            heard.insert(Did([number; 32]), nearby.clone());
        }
        assert!(!note_down(&mut heard, DiscoveryEvent::Expired { endpoint_id: unheard() }));
        let before = heard.len();
        let DiscoveryEvent::Discovered { mut endpoint_info, .. } = discovered(9, None) else { unreachable!() };
        endpoint_info.endpoint_id = unheard();
        assert!(!note_down(&mut heard, DiscoveryEvent::Discovered { endpoint_info, last_updated: None }));
        assert_eq!(heard.len(), before);
    }

    fn unheard() -> EndpointId {
        iroh::SecretKey::from_bytes(&[0; 32]).public()
    }

    #[test]
    fn a_long_note_is_cut_between_two_letters() {
        let note = "ü".repeat(200);
        assert_eq!(user_data(Some(&note)).as_ref(), "ü".repeat(NOTE_BYTES_MAX / 2));
        assert_eq!(user_data(None).as_ref(), "");
    }
}
