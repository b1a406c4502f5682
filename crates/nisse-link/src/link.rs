//! The link: one address to listen on, and a way to every peer.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use iroh::endpoint::{BindError, ConnectError, ConnectOptions, ConnectWithOptsError, ConnectingError, ConnectionError};
use iroh::endpoint::{TransportErrorCode, presets};
use iroh::{Endpoint, EndpointAddr, EndpointId, RelayMode, RelayUrl, SecretKey, TransportAddr};
use nisse_model::Did;
use nisse_store::{Clock, SystemClock};
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use zeroize::Zeroizing;

use crate::connection::{Connection, reason};
use crate::door::{self, Guest};
use crate::error::{Cause, LinkError};
use crate::farewells::Farewells;
use crate::limits::Limits;
use crate::nearby::{self, Nearby, Neighbourhood};
use crate::peers::Peers;
use crate::protocol::{Gate, Protocol};
use crate::transport::{self, CloseCode};

/// How long it may take to reach a peer and to be admitted.
const DIAL_TIME: Duration = Duration::from_secs(10);

/// What a link needs to know.
pub struct LinkOptions {
    /// The secret half of the key that others dial.
    pub seed: Zeroizing<[u8; 32]>,
    /// Where to listen. Port 0 is any.
    pub listen: SocketAddr,
    /// URLs of relays, for peers who cannot reach each other. None are used that do not stand here.
    pub relays: Vec<String>,
    /// Whether to announce ourselves on the local network and to hear who is there.
    pub nearby: bool,
    /// Caps.
    pub limits: Limits,
}

/// One endpoint. Clones are the same.
#[derive(Clone)]
pub struct Link(Arc<Inner>);

struct Inner {
    endpoint: Endpoint,
    listen: SocketAddr,
    relays: Vec<RelayUrl>,
    limits: Limits,
    peers: Arc<Peers>,
    guests: tokio::sync::Mutex<mpsc::Receiver<Guest>>,
    neighbourhood: Option<Neighbourhood>,
    farewells: Arc<Farewells>,
    /// The door and the ear; they end with the link.
    tasks: Mutex<JoinSet<()>>,
}

impl Link {
    /// Listens, with the machine's clock for its rates. Must run inside a tokio runtime.
    pub async fn bind(options: LinkOptions) -> Result<Self, LinkError> {
        Self::bind_with_clock(options, Arc::new(SystemClock::default())).await
    }

    /// As [`Self::bind`], with a clock for what peers may use in a second.
    pub async fn bind_with_clock(options: LinkOptions, clock: Arc<dyn Clock>) -> Result<Self, LinkError> {
        let LinkOptions { seed, listen, relays, nearby, limits } = options;
        let relays = relays.iter().map(|text| relay(text)).collect::<Result<Vec<_>, _>>()?;
        let mode = if relays.is_empty() { RelayMode::Disabled } else { RelayMode::custom(relays.clone()) };
        let refused = |source: Cause| LinkError::Bind { address: listen, source };
        let endpoint = Endpoint::builder(presets::Minimal)
            .secret_key(SecretKey::from_bytes(&seed))
            .alpns(Protocol::ALL.map(|protocol| protocol.name().to_vec()).to_vec())
            .relay_mode(mode)
            .transport_config(transport::listening(&limits))
            .clear_ip_transports()
            .bind_addr(listen)
            .map_err(|error| refused(error.into()))?
            .bind()
            .await
            .map_err(|error: BindError| refused(error.into()))?;
        let neighbourhood = nearby.then(|| Neighbourhood::join(&endpoint)).transpose()?;

        let (knocking, guests) = mpsc::channel(limits.handshakes.max(1));
        let mut tasks = JoinSet::new();
        tasks.spawn(door::keep(endpoint.clone(), limits.handshakes, knocking));
        if let Some(neighbourhood) = neighbourhood.clone() {
            tasks.spawn(neighbourhood.listen());
        }
        Ok(Self(Arc::new(Inner {
            endpoint,
            listen,
            relays,
            limits,
            peers: Arc::new(Peers::new(limits, clock)),
            guests: tokio::sync::Mutex::new(guests),
            neighbourhood,
            farewells: Arc::new(Farewells::new()),
            tasks: Mutex::new(tasks),
        })))
    }

    /// The key by which others dial this link.
    pub fn did(&self) -> Did {
        Did(*self.0.endpoint.id().as_bytes())
    }

    /// Where others can try to reach it directly: each of the machine's addresses where it listens on all of them.
    pub fn addresses(&self) -> Vec<SocketAddr> {
        let on_all = self.0.listen.ip().is_unspecified();
        let known = self.0.endpoint.addr();
        let reachable = known.ip_addrs().filter(|address| !on_all || !address.ip().is_loopback());
        let mut addresses: Vec<_> = reachable.copied().collect();
        if addresses.is_empty() && !on_all {
            addresses = self.0.endpoint.bound_sockets();
        }
        addresses
    }

    /// Connects with whoever has this key, at one of these addresses or wherever else it is found, and returns once it has
    /// admitted us.
    pub async fn dial(&self, peer: Did, at: &[SocketAddr], protocol: Protocol) -> Result<Connection, LinkError> {
        let id = EndpointId::from_bytes(&peer.0).map_err(|_| LinkError::NotAKey { peer })?;
        let place = self.0.peers.reserve(peer)?;
        // Which relay the peer is at is not known; it may be one of ours.
        let relays = self.0.relays.iter().cloned().map(TransportAddr::Relay);
        let address = EndpointAddr::from_parts(id, at.iter().copied().map(TransportAddr::Ip).chain(relays));
        let options = ConnectOptions::new().with_transport_config(transport::dialling(&self.0.limits));
        let reaching = async {
            let connecting = self.0.endpoint.connect_with_opts(address, protocol.name(), options).await?;
            let quic = connecting.await?;
            // The other side grants streams once it has admitted us, and closes if it does not.
            let first = quic.open_bi().await?;
            Ok::<_, ConnectError>((quic, first))
        };
        let (quic, first) = tokio::time::timeout(DIAL_TIME, reaching)
            .await
            .map_err(|_| LinkError::Unreachable { peer, source: "nobody answered in ten seconds".into() })?
            .map_err(|error| unreached(peer, error))?;
        if !place.take(&quic) {
            quic.close(CloseCode::Cut.number(), b"cut");
            return Err(LinkError::Broken("cut".to_owned()));
        }
        Ok(Connection::new((quic, peer, protocol), place, Some(first), self.0.farewells.clone()))
    }

    /// The next connection that the gate admits; `None` once the link is closed. Others are told that they are not admitted,
    /// or that there is no room, and closed.
    pub async fn accept(&self, gate: &dyn Gate) -> Option<Connection> {
        let mut guests = self.0.guests.lock().await;
        loop {
            let guest = guests.recv().await?;
            if let Some(connection) = self.admit(guest, gate) {
                return Some(connection);
            }
        }
    }

    fn admit(&self, guest: Guest, gate: &dyn Gate) -> Option<Connection> {
        let Guest { quic, peer, protocol, .. } = guest;
        let refuse = |code: CloseCode, why: &str| quic.close(code.number(), why.as_bytes());
        if !gate.admits(&peer, protocol) {
            tracing::debug!(%peer, ?protocol, "not admitted");
            refuse(CloseCode::Refused, "not admitted");
            return None;
        }
        let place = match self.0.peers.reserve(peer) {
            Ok(place) => place,
            Err(error) => {
                tracing::debug!(%peer, ?protocol, %error, "no room");
                refuse(CloseCode::Full, "no room");
                return None;
            }
        };
        // Whoever was expelled since the question had no place yet and was not cut.
        if !gate.admits(&peer, protocol) || !place.take(&quic) {
            refuse(CloseCode::Refused, "not admitted");
            return None;
        }
        quic.set_max_concurrent_bi_streams(self.0.limits.streams_per_connection.into());
        Some(Connection::new((quic, peer, protocol), place, None, self.0.farewells.clone()))
    }

    /// Closes all connections with this key at once, whoever dialled, and those that are being dialled. Streams end with an
    /// error at both ends.
    pub fn cut(&self, peer: &Did) {
        self.0.peers.cut(peer);
    }

    /// Says goodbye to all peers. The address is free once clones and connections are dropped, too.
    pub async fn close(&self) {
        self.0.peers.leave();
        self.0.endpoint.close().await;
        let mut tasks = std::mem::take(&mut *self.0.tasks.lock().expect("nothing panics with the tasks"));
        tasks.shutdown().await;
    }

    /// Who is heard on the local network; nobody unless [`LinkOptions::nearby`].
    pub fn nearby(&self) -> Vec<Nearby> {
        self.0.neighbourhood.as_ref().map(Neighbourhood::heard).unwrap_or_default()
    }

    /// What others hear of this link besides its key and addresses, up to [`nearby::NOTE_BYTES_MAX`] bytes.
    pub fn announce(&self, note: Option<&str>) {
        self.0.endpoint.set_user_data_for_address_lookup(Some(nearby::user_data(note)));
    }
}

/// A relay is a web server.
fn relay(text: &str) -> Result<RelayUrl, LinkError> {
    let malformed = || LinkError::Relay(text.to_owned());
    let url: RelayUrl = text.parse().map_err(|_| malformed())?;
    let is_web = matches!(url.scheme(), "https" | "http") && url.has_host();
    if is_web { Ok(url) } else { Err(malformed()) }
}

/// Why a dial came to nothing.
fn unreached(peer: Did, error: ConnectError) -> LinkError {
    let unreachable = |source: Cause| LinkError::Unreachable { peer, source };
    let lost = |error: ConnectionError| match &error {
        _ if CloseCode::Refused.is_in(&error) => LinkError::Refused { peer },
        _ if CloseCode::Full.is_in(&error) => LinkError::Limit("connections that the peer takes"),
        ConnectionError::ConnectionClosed(close) if close.error_code == TransportErrorCode::CONNECTION_REFUSED => {
            LinkError::Limit("handshakes that the peer takes at once")
        }
        ConnectionError::ApplicationClosed(_) => LinkError::Broken(reason(&error)),
        _ => unreachable(error.into()),
    };
    match error {
        ConnectError::Connect { source: ConnectWithOptsError::NoAddress { .. }, .. } => LinkError::Nowhere { peer },
        ConnectError::Connection { source, .. } => lost(source),
        ConnectError::Connecting { source: ConnectingError::ConnectionError { source, .. }, .. } => lost(source),
        other => unreachable(other.into()),
    }
}
