//! Which permission a request goes out under, and which addresses it may use.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use nisse_model::{LocalService, NetworkRule};

use crate::error::EgressError;
use crate::special_purpose::{AddressClass, classify};
use crate::target::EgressTarget;

/// What stands in an audit line where no permission was needed.
const PUBLIC: &str = "public";

/// The permission that matched.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Route {
    /// As written in `agent.yaml`.
    pub(crate) permission: Arc<str>,
    /// Whether it stands for many names.
    pub(crate) wildcard: bool,
    /// Public addresses may be dialled.
    pub(crate) public: bool,
    /// Addresses on the owner's networks may be dialled.
    pub(crate) private: bool,
}

impl Route {
    /// Of the node's own requests to whom strangers named.
    pub(crate) fn public() -> Self {
        Self { permission: PUBLIC.into(), wildcard: false, public: true, private: false }
    }
}

/// Finds the permission: an exact rule before a wildcard, a local service beside either.
pub(crate) fn route(target: &EgressTarget, rules: &[NetworkRule], local: &[LocalService]) -> Option<Route> {
    let name = target.host_name();
    let matches =
        |rule: &&NetworkRule| name.as_ref().is_some_and(|name| rule.matches(target.scheme(), name, target.port()));
    let rule = rules.iter().filter(matches).min_by_key(|rule| rule.host.is_wildcard());
    let service = local.iter().find(|service| service.host == *target.host() && service.port == target.port());
    let permission = match (rule, service) {
        (Some(rule), _) => format!("network_outbound:{rule}"),
        (None, Some(service)) => format!("network_local:{service}"),
        (None, None) => return None,
    };
    Some(Route {
        permission: permission.into(),
        wildcard: rule.is_some_and(|rule| rule.host.is_wildcard()),
        public: rule.is_some(),
        private: service.is_some(),
    })
}

/// This node's own addresses and listeners, which no agent reaches from inside.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct OwnAddresses {
    /// Addresses of this machine: the public ones are never dialled, the private ones not on a listener's port.
    pub addresses: Vec<IpAddr>,
    /// Control API, chain RPC and the like. A wildcard address stands for loopback and every address above.
    pub listeners: Vec<SocketAddr>,
}

impl OwnAddresses {
    fn holds(&self, address: SocketAddr) -> bool {
        let ip = address.ip().to_canonical();
        let own = self.addresses.iter().any(|own| own.to_canonical() == ip);
        let listens = |listener: &SocketAddr| {
            let listening = listener.ip().to_canonical();
            let here = listening.is_unspecified() && (own || ip.is_loopback());
            listener.port() == address.port() && (listening == ip || here)
        };
        own && classify(ip) == AddressClass::Public || self.listeners.iter().any(listens)
    }
}

/// Checks every address that a name stands for. One that may not be used condemns all: a mixed answer is an attack.
pub(crate) fn check_addresses(
    host: &str,
    port: u16,
    addresses: &[IpAddr],
    route: &Route,
    own: &OwnAddresses,
) -> Result<Vec<SocketAddr>, EgressError> {
    let mut checked: Vec<SocketAddr> = Vec::with_capacity(addresses.len());
    for address in addresses {
        let address = address.to_canonical();
        let class = classify(address);
        let allowed = match class {
            AddressClass::Public => route.public,
            AddressClass::Private(_) => route.private,
            AddressClass::Forbidden(_) => false,
        };
        let mixed = checked
            .first()
            .is_some_and(|first| (classify(first.ip()) == AddressClass::Public) != (class == AddressClass::Public));
        if !allowed || mixed {
            return Err(EgressError::Address { host: host.to_owned(), port, address, class });
        }
        let socket = SocketAddr::new(address, port);
        if own.holds(socket) {
            return Err(EgressError::OwnAddress { host: host.to_owned(), address: socket });
        }
        checked.push(socket);
    }
    // IPv4 first: a machine without IPv6 still gets an answer within the deadline.
    checked.sort_by_key(|socket| socket.is_ipv6());
    checked.dedup();
    Ok(checked)
}
