//! This node as its identity's other devices reach it: over the link, by key.
//!
//! It listens while the home belongs to an identity and the vault is open, which has the key. Who is no device or agent of it
//! is turned away before anything of them is read, but for one who joins while a code is shown. A connection ends with the
//! right to it.

mod inviting;
mod offering;
mod pairing;
mod spaces;

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use nisse_link::{Connection, Gate, Limits, Link, LinkError, LinkOptions, Protocol};
use nisse_model::{Credential, CredentialId, Did, Log, Role, Standing};
use nisse_space::Registered;
use tokio::sync::{Semaphore, mpsc, watch};
use tokio::task::JoinSet;
use zeroize::Zeroizing;

pub(crate) use self::inviting::{Accepted, accept};
use self::offering::Offer;
pub(crate) use self::offering::fetch;
pub(crate) use self::pairing::{Pairing, PairingState, Rights};
use self::spaces::Together;
use crate::audit::Deed;
use crate::core::Core;
use crate::error::{ErrorKind, NodeError, chain};
use crate::identity::wire;
use crate::supervisor::{Stop, apart};

/// Where a node listens for its identity's other devices.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PeerOptions {
    /// UDP; port 0 takes a free one.
    pub listen: SocketAddr,
    /// Relays by which it is reached through routers; none are asked where none are named.
    pub relays: Vec<String>,
    /// Whether it tells the local network that it is there, and hears others.
    pub nearby: bool,
}

impl PeerOptions {
    /// A link of the key that comes from this seed.
    pub fn with_key(&self, seed: Zeroizing<[u8; 32]>) -> LinkOptions {
        let Self { listen, relays, nearby } = self.clone();
        LinkOptions { seed, listen, relays, nearby, limits: Limits::default() }
    }
}

/// How long to wait before listening is tried again.
const LISTEN_PAUSE: Duration = Duration::from_secs(10);
/// How long the link outlives its key: who sealed the vault from afar hears that it is.
const FAREWELL: Duration = Duration::from_secs(1);
/// Said while there is no key to listen with.
const SEALED: &str = "the vault is sealed, and with it the key of this device: `nisse unlock` opens it";
/// How long a peer may take to say what it came for, and to take the last of what it is told.
const PATIENCE: Duration = Duration::from_secs(30);
/// How often this node brings its credentials to devices that it knows the way to, besides whenever they change.
const EXCHANGE_EVERY: Duration = Duration::from_secs(300);
/// How long one exchange may take, and how many are answered at once.
const EXCHANGE_TIME_MAX: Duration = Duration::from_secs(60);
const EXCHANGING_MAX: usize = 2;
const LOOK_AGAIN: Duration = Duration::from_secs(60);
/// Strangers who may try a code at once: others are sent away.
const JOINING_MAX: usize = 4;
/// Connections that wait for the control API.
const WAITING_MAX: usize = 16;

/// The link as the rest of the node uses it.
pub(crate) struct Peers {
    link: watch::Sender<Option<Link>>,
    trouble: Mutex<Option<String>>,
    pairing: Mutex<Option<Pairing>>,
    offer: Mutex<Option<Offer>>,
    /// One proves the code at a time: each run is a guess.
    guessing: tokio::sync::Mutex<()>,
    /// Who may stand at the door with a code, and whose exchanges are answered, at once.
    joining: Semaphore,
    exchanging: Semaphore,
    exchanging_about: Semaphore,
    exchanging_agents: Semaphore,
    exchanging_with: Mutex<BTreeSet<Did>>,
    /// From where devices came that run a node: they listen there.
    seen: Mutex<BTreeMap<Did, SocketAddr>>,
    /// Who is connected for spaces.
    together: Together,
    served: mpsc::Sender<Connection>,
    to_serve: Mutex<Option<mpsc::Receiver<Connection>>>,
}

impl Default for Peers {
    fn default() -> Self {
        let (served, to_serve) = mpsc::channel(WAITING_MAX);
        Self {
            link: watch::Sender::new(None),
            trouble: Mutex::default(),
            pairing: Mutex::default(),
            offer: Mutex::default(),
            guessing: tokio::sync::Mutex::default(),
            joining: Semaphore::new(JOINING_MAX),
            exchanging: Semaphore::new(EXCHANGING_MAX),
            exchanging_about: Semaphore::new(EXCHANGING_MAX),
            exchanging_agents: Semaphore::new(EXCHANGING_MAX),
            exchanging_with: Mutex::default(),
            seen: Mutex::default(),
            together: Together::default(),
            served,
            to_serve: Mutex::new(Some(to_serve)),
        }
    }
}

impl Peers {
    /// The link, while this node listens.
    pub(crate) fn link(&self) -> Option<Link> {
        self.link.borrow().clone()
    }

    /// Whether a member's device or agent is connected for its spaces.
    pub(crate) fn is_together(&self, peer: &Did) -> bool {
        self.together.has(peer)
    }

    /// Why it does not listen, though it should.
    pub(crate) fn trouble(&self) -> Option<String> {
        lock(&self.trouble).clone()
    }

    /// What is open to those who join.
    pub(crate) fn pairing(&self) -> MutexGuard<'_, Option<Pairing>> {
        lock(&self.pairing)
    }

    /// What is open to those who come for an invitation.
    fn offer(&self) -> MutexGuard<'_, Option<Offer>> {
        lock(&self.offer)
    }

    /// Connections of peers who are admitted, for the control API to serve. There is one who takes them.
    pub(crate) fn to_serve(&self) -> Option<mpsc::Receiver<Connection>> {
        lock(&self.to_serve).take()
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Who comes in.
struct Door<'c>(&'c Core);

impl Gate for Door<'_> {
    fn admits(&self, peer: &Did, protocol: Protocol) -> bool {
        let standing = self.0.identity.known().standing(peer, self.0.clock.now());
        match protocol {
            Protocol::Pair => self.0.pairing_is_open(),
            Protocol::Offer => self.0.offered().is_some(),
            Protocol::Sync => standing != Standing::Nothing,
            Protocol::Control => standing != Standing::Nothing || !self.0.held_by(peer).is_nothing(),
            Protocol::Space => self.0.admits_to_spaces(peer),
            Protocol::Invite => self.0.identity.known().invitation(peer, self.0.clock.now()).is_some(),
            // Nothing is served to peers yet that the public listener does not serve to everybody.
            Protocol::Content => false,
        }
    }
}

/// Listens while there is an identity and the vault is open, until the node stops.
pub(crate) async fn run(core: Arc<Core>, mut stop: Stop) {
    let Some(options) = core.options.peers.clone() else { return };
    let mut changes = core.identity.changes();
    loop {
        let belongs = async {
            // The sender lives as long as the node.
            let _ = changes.wait_for(|known| known.identity.is_some() && known.own.is_some()).await;
            listening(&core, &options).await
        };
        let link = tokio::select! {
            () = stop.requested() => return,
            link = belongs => link,
        };
        if !accepting(&core, link, &mut stop).await {
            return;
        }
    }
}

/// Serves who comes until the vault is sealed; otherwise it is over for good.
async fn accepting(core: &Arc<Core>, link: Link, stop: &mut Stop) -> bool {
    tracing::info!(target: "nisse::event::link", step = "listening", key = %link.did());
    core.peers.link.send_replace(Some(link.clone()));
    let door = Door(core);
    let mut peers = JoinSet::new();
    let (exchanging, over) = (Arc::clone(core), link.clone());
    peers.spawn(apart("the exchange of credentials", async move { exchange_with_all(&exchanging, &over).await }));
    let (speaking, over) = (Arc::clone(core), link.clone());
    peers.spawn(apart("what spaces have in common", async move { spaces::keep_together(&speaking, &over).await }));
    let mut held = core.identity.device_changes();
    let sealed = async {
        let _ = held.wait_for(|held| held.key.is_none()).await;
        tokio::time::sleep(FAREWELL).await;
    };
    tokio::pin!(sealed);
    let is_sealed = loop {
        let connection = tokio::select! {
            () = stop.requested() => break false,
            () = &mut sealed => break true,
            Some(_) = peers.join_next() => continue,
            connection = link.accept(&door) => connection,
        };
        let Some(connection) = connection else {
            *lock(&core.peers.trouble) = Some("the link ended by itself: start the node again".to_owned());
            break false;
        };
        let (core, link) = (Arc::clone(core), link.clone());
        peers.spawn(apart("a peer", async move { serve(&core, &link, connection).await }));
    };
    core.peers.link.send_replace(None);
    link.close().await;
    is_sealed
}

async fn listening(core: &Core, options: &PeerOptions) -> Link {
    let mut held = core.identity.device_changes();
    loop {
        let Ok(device) = core.identity.device() else {
            *lock(&core.peers.trouble) = Some(SEALED.to_owned());
            let _ = held.wait_for(|held| held.key.is_some()).await;
            continue;
        };
        match Link::bind(options.with_key(device.seed.clone())).await {
            Ok(link) => {
                *lock(&core.peers.trouble) = None;
                return link;
            }
            Err(error) => {
                let text = chain(&error);
                tracing::warn!(error = text, "failed to listen for other devices: it is tried again");
                *lock(&core.peers.trouble) = Some(text);
            }
        }
        tokio::time::sleep(LISTEN_PAUSE).await;
    }
}

/// One connection, as long as its peer has the right to it.
async fn serve(core: &Arc<Core>, link: &Link, connection: Connection) {
    let peer = connection.peer();
    let had = core.identity.known().standing(&peer, core.clock.now());
    let serving = async {
        match connection.protocol() {
            Protocol::Pair => match core.peers.joining.try_acquire() {
                Ok(_place) => pairing::host(core, &connection).await,
                Err(_) => connection.close("others are trying"),
            },
            Protocol::Sync => answer_exchange(core, &connection).await,
            Protocol::Control => {
                // Where nobody serves it, it ends.
                if core.peers.served.send(connection.clone()).await.is_ok() {
                    connection.closed().await;
                }
            }
            Protocol::Space => spaces::serve(core, connection.clone(), false).await,
            Protocol::Invite => match core.peers.joining.try_acquire() {
                Ok(_place) => inviting::host(core, &connection).await,
                Err(_) => connection.close("others are trying"),
            },
            Protocol::Offer => match core.peers.joining.try_acquire() {
                Ok(_place) => offering::host(core, &connection).await,
                Err(_) => connection.close("others are trying"),
            },
            Protocol::Content => {}
        }
    };
    // A member's other connections are none of this.
    if connection.protocol() == Protocol::Control && had == Standing::Nothing {
        return tokio::select! {
            () = serving => {}
            () = core.has_less_by_spaces(peer) => connection.close("what it may do here ended"),
        };
    }
    // The right to these is looked at where they are served.
    if matches!(connection.protocol(), Protocol::Pair | Protocol::Space | Protocol::Invite | Protocol::Offer) {
        return serving.await;
    }
    tokio::select! {
        () = serving => {}
        () = has_less(core, peer, had) => link.cut(&peer),
    }
}

/// Returns once a key may do less than it could: what it has open was begun by what it had.
async fn has_less(core: &Core, peer: Did, had: Standing) {
    let mut changes = core.identity.changes();
    loop {
        let (known, now) = (Arc::clone(&changes.borrow_and_update()), core.clock.now());
        if !known.still_has(&peer, &had, now) {
            return;
        }
        let ends = match &had {
            Standing::Agent(held) => held.iter().map(|(_, end)| end.0.saturating_sub(now.0)).min(),
            _ => None,
        };
        // A clock may be set: how long none is trusted to tell when something ends.
        let ends = ends.map(|left| Duration::from_millis(left).min(LOOK_AGAIN));
        let expired = async {
            match ends {
                Some(left) => tokio::time::sleep(left).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            changed = changes.changed() => if changed.is_err() { return },
            () = expired => {}
        }
    }
}

async fn answer_exchange(core: &Arc<Core>, connection: &Connection) {
    let peer = connection.peer();
    let Some(_one) = OneAtATime::begin(core, peer) else { return connection.close("one exchange at a time") };
    while let Some(mut stream) = connection.accept().await {
        let standing = core.identity.known().standing(&peer, core.clock.now());
        let most = match &standing {
            Standing::Root | Standing::Device => Log::SHARE_BYTES_MAX,
            Standing::Agent(_) | Standing::Nothing => Log::OTHERS_BYTES_MAX,
        };
        if let (Standing::Device, Some(from)) = (&standing, connection.address()) {
            lock(&core.peers.seen).insert(peer, from);
        }
        // What is heard is held in memory until it is taken: of few at a time, and agents keep nobody waiting but agents.
        let places = if standing == Standing::Device { &core.peers.exchanging } else { &core.peers.exchanging_agents };
        let _turn = places.acquire().await;
        let before = core.identity.known();
        let is_device = standing == Standing::Device;
        let take = |credentials| core.take_credentials(credentials, is_device);
        let own = match is_device {
            true => core.identity.all().await,
            false => core.identity.for_agent(&before.readable(&peer, core.clock.now())),
        };
        let answering = wire::answer_exchange(&mut stream, own, most, take);
        match tokio::time::timeout(EXCHANGE_TIME_MAX, answering).await {
            Ok(Ok(())) => note_changes(core, &before, &peer).await,
            Ok(Err(error)) => {
                tracing::debug!(%peer, error = chain(&error), "a device broke off while it exchanged credentials");
                return connection.close("not understood");
            }
            Err(_) => return connection.close("too slow"),
        }
    }
}

impl Core {
    /// Takes what another device gave, to its end: whoever brought it may go away meanwhile.
    async fn take_credentials(
        self: &Arc<Self>,
        credentials: Vec<Credential>,
        by_device: bool,
    ) -> Result<usize, NodeError> {
        let own = Arc::clone(self);
        let taking = async move {
            match by_device {
                true => own.identity.take_all(credentials).await,
                false => own.identity.take(credentials).await,
            }
        };
        self.to_its_end(taking).await
    }

    /// Takes what a peer gave of a space, likewise.
    pub(crate) async fn take_credentials_about(
        self: &Arc<Self>,
        space: CredentialId,
        credentials: Vec<Credential>,
    ) -> Result<usize, NodeError> {
        let own = Arc::clone(self);
        self.to_its_end(async move { own.identity.take_about(space, credentials).await }).await
    }

    /// Whether somebody may speak of spaces here: a device of this home's identity, or whoever may read one that it holds.
    fn admits_to_spaces(&self, peer: &Did) -> bool {
        let (known, now) = (self.identity.known(), self.clock.now());
        let held = self.spaces.all(self).unwrap_or_default();
        let shares =
            |one: &Registered| known.access(&one.space, peer, now).is_some_and(|access| access.role >= Role::Read);
        known.standing(peer, now) == Standing::Device || held.iter().any(shares)
    }

    async fn to_its_end(
        &self,
        taking: impl Future<Output = Result<usize, NodeError>> + Send + 'static,
    ) -> Result<usize, NodeError> {
        let taken = self.supervisor.to_its_end("credentials of another device", taking).await;
        taken.map_err(|error| NodeError::caused(ErrorKind::Failed, "cut_off", &error))?
    }
}

/// The one exchange of a peer: how many connections it has makes no difference to the others.
struct OneAtATime<'c>(&'c Core, Did);

impl<'c> OneAtATime<'c> {
    fn begin(core: &'c Core, peer: Did) -> Option<Self> {
        lock(&core.peers.exchanging_with).insert(peer).then_some(Self(core, peer))
    }
}

impl Drop for OneAtATime<'_> {
    fn drop(&mut self) {
        lock(&self.0.peers.exchanging_with).remove(&self.1);
    }
}

/// Tells the audit log of devices that came or went by what another device brought.
async fn note_changes(core: &Core, before: &crate::identity::Known, by: &Did) {
    let (now, after) = (core.clock.now(), core.identity.known());
    let name = |known: &crate::identity::Known, did: &Did| format!("{} {did}", known.name(did).unwrap_or("?"));
    let came = after.devices(now).filter(|device| before.standing(&device.did, now) == Standing::Nothing);
    let came: Vec<_> = came.map(|device| ("device.add", name(&after, &device.did))).collect();
    let went = before.devices(now).filter(|device| after.standing(&device.did, now) == Standing::Nothing);
    let went: Vec<_> = went.map(|device| ("device.revoke", name(before, &device.did))).collect();
    for (act, about) in came.into_iter().chain(went) {
        let by = match Some(*by) == after.identity {
            true => format!("the root key {by}"),
            false => format!("device {}", name(&after, by)),
        };
        let deed = Deed { by, act: act.into(), about, outcome: "heard of by exchange".to_owned() };
        if let Err(error) = core.audit.note(deed).await {
            tracing::error!(%error, "a change of devices was not written to the audit log");
        }
    }
}

/// Brings this node's credentials to the devices that it knows the way to, now and then and whenever they change.
async fn exchange_with_all(core: &Arc<Core>, link: &Link) {
    let mut changes = core.identity.changes();
    loop {
        let known = Arc::clone(&changes.borrow_and_update());
        let now = core.clock.now();
        let others =
            known.devices(now).filter(|device| device.standing == Standing::Device && Some(device.did) != known.own);
        let others: Vec<Did> = others.map(|device| device.did).collect();
        let remotes = core.remotes().unwrap_or_default();
        let nearby = link.nearby();
        let way = |did: Did| {
            let kept = remotes.iter().filter(|remote| remote.did == did).flat_map(|remote| remote.addresses.clone());
            let heard = nearby.iter().filter(|one| one.did == did).flat_map(|one| one.addresses.clone());
            let seen = lock(&core.peers.seen).get(&did).copied();
            (did, kept.chain(heard).chain(seen).collect::<Vec<SocketAddr>>())
        };
        // Beside each other: one that is away or slow keeps no news from the others.
        let exchanges = others.into_iter().map(way).filter(|(_, at)| !at.is_empty()).map(|(did, at)| async move {
            let before = core.identity.known();
            match tokio::time::timeout(EXCHANGE_TIME_MAX, exchange_with(core, link, did, &at)).await {
                Ok(Ok(0)) => {}
                Ok(Ok(_)) => note_changes(core, &before, &did).await,
                Ok(Err(text)) => tracing::debug!(%did, text, "a device could not be reached"),
                Err(_) => tracing::debug!(%did, "a device took too long to exchange credentials"),
            }
        });
        futures::future::join_all(exchanges).await;
        tokio::select! {
            changed = changes.changed() => if changed.is_err() { return },
            () = tokio::time::sleep(EXCHANGE_EVERY) => {}
        }
    }
}

async fn exchange_with(core: &Arc<Core>, link: &Link, did: Did, at: &[SocketAddr]) -> Result<usize, String> {
    let connection = link.dial(did, at, Protocol::Sync).await.map_err(|error| {
        if matches!(error, LinkError::Refused { .. }) {
            let name = core.identity.known().name(&did).unwrap_or("another device").to_owned();
            let text = format!("{name} does not let this device in: it was cut off there, or that home was");
            *lock(&core.peers.trouble) = Some(text);
        }
        chain(&error)
    })?;
    *lock(&core.peers.trouble) = None;
    let mut stream = connection.open().await.map_err(|error| chain(&error))?;
    // Without a turn: two who wait for each other's would wait for ever.
    let own = core.identity.all().await;
    let new = wire::exchange(&mut stream, &own).await.map_err(|error| chain(&error))?;
    connection.close("done");
    core.take_credentials(new, true).await.map_err(|error| error.text)
}
