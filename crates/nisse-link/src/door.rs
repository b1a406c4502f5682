//! Who knocks: handshakes, many at once and none in another's way, until the gate can be asked.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures::stream::{FuturesUnordered, StreamExt as _};
use iroh::endpoint::{Connection as Quic, Incoming, IncomingAddr};
use nisse_model::Did;
use tokio::sync::mpsc;

use crate::protocol::Protocol;

/// How long a handshake may take.
const HANDSHAKE_TIME: Duration = Duration::from_secs(5);

/// Somebody whose key is proven and who is not admitted yet.
pub(crate) struct Guest {
    pub(crate) quic: Quic,
    pub(crate) peer: Did,
    pub(crate) protocol: Protocol,
    /// Given up once the gate has spoken.
    _step: Step,
}

/// Answers whoever knocks until the endpoint is closed or nobody takes guests any more. The channel has room for as many
/// guests as there are steps.
pub(crate) async fn keep(endpoint: iroh::Endpoint, steps: usize, guests: mpsc::Sender<Guest>) {
    let steps = Steps::new(steps);
    let mut handshakes = FuturesUnordered::new();
    loop {
        tokio::select! {
            incoming = endpoint.accept() => {
                let Some(incoming) = incoming else { return };
                match steps.step_on(&source(&incoming), incoming.remote_addr_validated()) {
                    Answer::Step(step) => handshakes.push(shake(incoming, step)),
                    // An address that does not prove itself a second time is left alone.
                    Answer::ProveAddress => { let _ = incoming.retry(); }
                    Answer::Full => incoming.refuse(),
                }
            }
            Some(guest) = handshakes.next(), if !handshakes.is_empty() => {
                if let Some(guest) = guest && guests.try_send(guest).is_err() {
                    return;
                }
            }
        }
    }
}

async fn shake(incoming: Incoming, step: Step) -> Option<Guest> {
    let accepting = incoming.accept().ok()?;
    let quic = match tokio::time::timeout(HANDSHAKE_TIME, accepting).await {
        Ok(Ok(quic)) => quic,
        Ok(Err(error)) => {
            tracing::debug!(%error, "a handshake failed");
            return None;
        }
        Err(_) => {
            tracing::debug!("a handshake took too long");
            return None;
        }
    };
    let protocol = Protocol::named(quic.alpn())?;
    Some(Guest { peer: Did(*quic.remote_id().as_bytes()), protocol, quic, _step: step })
}

/// Who shares one part of the steps.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
enum Source {
    Address(IpAddr),
    Relayed([u8; 32]),
    Other,
}

fn source(incoming: &Incoming) -> Source {
    match incoming.remote_addr() {
        IncomingAddr::Ip(address) => Source::Address(network(address.ip())),
        IncomingAddr::Relay { endpoint_id, .. } => Source::Relayed(*endpoint_id.as_bytes()),
        _ => Source::Other,
    }
}

/// What one party has for itself: an IPv4 address, or the 64 bits of IPv6 that a subscriber is given.
fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) => IpAddr::V6(Ipv6Addr::from_bits(address.to_bits() >> 64 << 64)),
        v4 => v4,
    }
}

/// The steps before the door: how many stand there, and where they came from.
#[derive(Clone)]
struct Steps {
    all: usize,
    taken: Arc<Mutex<HashMap<Source, usize>>>,
}

/// A step that is taken. Who drops it leaves.
struct Step {
    steps: Steps,
    source: Source,
}

enum Answer {
    Step(Step),
    ProveAddress,
    Full,
}

impl Steps {
    fn new(all: usize) -> Self {
        Self { all, taken: Arc::default() }
    }

    /// One source gets half of the steps. Where half are taken, the rest is for those who have shown that they receive
    /// what is sent to their address: a source that is made up costs nothing.
    fn step_on(&self, source: &Source, proven: bool) -> Answer {
        let mut taken = self.taken.lock().expect("nothing panics on the steps");
        let all: usize = taken.values().sum();
        let half = self.all.div_ceil(2);
        if all >= self.all || taken.get(source).is_some_and(|of_source| *of_source >= half) {
            return Answer::Full;
        }
        if all >= half && !proven {
            return Answer::ProveAddress;
        }
        *taken.entry(source.clone()).or_default() += 1;
        Answer::Step(Step { steps: self.clone(), source: source.clone() })
    }
}

impl Drop for Step {
    fn drop(&mut self) {
        let mut taken = self.steps.taken.lock().expect("nothing panics on the steps");
        let of_source = taken.get_mut(&self.source).expect("who stands there is counted");
        *of_source -= 1;
        if *of_source == 0 {
            taken.remove(&self.source);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn from(address: &str) -> Source {
        Source::Address(network(address.parse().expect("an address")))
    }

    fn step(answer: Answer) -> Step {
        match answer {
            Answer::Step(step) => step,
            Answer::ProveAddress => panic!("was asked for a proof"),
            Answer::Full => panic!("was refused"),
        }
    }

    #[test]
    fn one_source_gets_half_of_the_steps_and_the_rest_is_for_others() {
        let steps = Steps::new(4);
        let first = step(steps.step_on(&from("192.0.2.1"), false));
        let _second = step(steps.step_on(&from("192.0.2.1"), true));
        assert!(matches!(steps.step_on(&from("192.0.2.1"), true), Answer::Full));
        assert!(matches!(steps.step_on(&from("192.0.2.2"), false), Answer::ProveAddress));
        let _third = step(steps.step_on(&from("192.0.2.2"), true));
        let _fourth = step(steps.step_on(&from("192.0.2.3"), true));
        assert!(matches!(steps.step_on(&from("192.0.2.4"), true), Answer::Full));
        drop(first);
        let _fifth = step(steps.step_on(&from("192.0.2.1"), true));
        assert!(matches!(steps.step_on(&from("192.0.2.4"), true), Answer::Full));
    }

    #[test]
    fn one_network_is_one_source() {
        assert_eq!(from("2001:db8::1"), from("2001:db8::ffff:1"));
        assert_ne!(from("2001:db8::1"), from("2001:db8:0:1::1"));
        assert_eq!(from("::ffff:192.0.2.1"), from("192.0.2.1"));
        assert_ne!(from("192.0.2.2"), from("192.0.2.1"));
    }
}
