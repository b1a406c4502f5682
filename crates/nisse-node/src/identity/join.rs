//! A home that no node runs on becomes a device of an identity: by a code that another of its devices shows, or by the words
//! of its recovery kit.

use std::net::SocketAddr;
use std::path::Path;

use nisse_link::pairing::{Code, PairError, Purpose};
use nisse_link::{Link, LinkError, Protocol};
use nisse_model::{Claim, Credential, Did, Label, Log, SigningKey, Standing};
use tokio::io::AsyncReadExt as _;
use zeroize::Zeroizing;

use super::device::{Device, device_seed};
use super::remotes::{self, Remote};
use super::wire::{self, WireError};
use super::{Identity, none};
use crate::error::{ErrorKind, NodeError};
use crate::link::PeerOptions;
use crate::node::{Offline, Seams};
use crate::options::NodeOptions;

/// What a host shows besides its code: its key, and where it listens. Written `did:key:z6Mk…@ADDR:PORT,ADDR:PORT`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ticket {
    /// Its key.
    pub did: Did,
    /// Where it listens; none: it is looked for nearby.
    pub at: Vec<SocketAddr>,
}

/// Why a text is no ticket.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("read `{0}` as a ticket: expected did:key:z6Mk…@ADDR:PORT, as the other machine shows it")]
pub struct ParseTicketError(String);

impl std::str::FromStr for Ticket {
    type Err = ParseTicketError;

    fn from_str(text: &str) -> Result<Self, ParseTicketError> {
        let refused = || ParseTicketError(text.chars().take(120).collect());
        let (did, at) = text.trim().split_once('@').unwrap_or((text.trim(), ""));
        let at = at.split(',').filter(|one| !one.is_empty()).map(str::parse).collect::<Result<_, _>>();
        Ok(Self { did: did.parse().map_err(|_| refused())?, at: at.map_err(|_| refused())? })
    }
}

impl std::fmt::Display for Ticket {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let at: Vec<String> = self.at.iter().map(SocketAddr::to_string).collect();
        match at.as_slice() {
            [] => write!(formatter, "{}", self.did),
            at => write!(formatter, "{}@{}", self.did, at.join(",")),
        }
    }
}

/// A home that is a device now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Joined {
    /// Whose.
    pub identity: Did,
    /// Its key.
    pub device: Did,
    /// Whether it may do only what its delegation says.
    pub is_agent: bool,
    /// What `--remote` calls the home that it came by, if it came by one.
    pub remote: Option<String>,
}

/// A home without a node.
struct Stopped {
    offline: Offline,
    seams: Seams,
    identity: Identity,
}

impl Stopped {
    async fn open(
        options: &NodeOptions,
        seams: Seams,
        passphrase: Option<Zeroizing<Vec<u8>>>,
    ) -> Result<Self, NodeError> {
        let offline = Offline::open(options, &seams, passphrase).await?;
        let opened = async {
            let device = Device::open(offline.vault.clone(), &offline.home).await?;
            Identity::open(&seams.disk, &seams.clock, &seams.entropy, &offline.home, device)
        };
        match opened.await {
            Ok(identity) => Ok(Self { offline, seams, identity }),
            Err(error) => {
                offline.close().await;
                Err(error)
            }
        }
    }

    fn path(&self) -> &Path {
        self.offline.home.path()
    }

    /// Refuses where this home belongs to another identity; in its own it joins as often as somebody lets it in.
    fn check_free(&self, of: Did) -> Result<(), NodeError> {
        let Some(identity) = self.identity.known().identity.filter(|identity| *identity != of) else {
            return Ok(());
        };
        let text = format!("failed to join: {} belongs to {identity} already", self.path().display());
        Err(NodeError::new(ErrorKind::Conflict, "identity_taken", text)
            .with_hint("name another home with --home DIR: a home belongs to one identity".to_owned()))
    }

    /// Takes what makes this home a device, if it does.
    async fn take(&self, identity: Did, credentials: Vec<Credential>) -> Result<(), NodeError> {
        let own = self.identity.drawn_device().await?.key.did();
        let mut log = Log::new();
        log.follow(identity);
        for credential in &credentials {
            // One that is not valid is left out of the home's log, too.
            let _ = log.insert(credential.clone());
        }
        if log.state().standing(own, identity, self.seams.clock.now()) == Standing::Nothing {
            let text = "failed to join: what the other device gave does not say that this one is admitted";
            return Err(NodeError::new(ErrorKind::Refused, "not_admitted", text)
                .with_hint("show a new code there and try again".to_owned()));
        }
        // Those that are this identity's, and no other ones: the first of all decides whose home it is.
        self.identity.take(log.iter().cloned().collect()).await.map(drop)
    }

    fn is_agent(&self, own: &Did) -> bool {
        matches!(self.identity.known().standing(own, self.seams.clock.now()), Standing::Agent(_))
    }

    fn keep(&self, ticket: &Ticket, name: &str) -> Result<String, NodeError> {
        let remote = Remote { name: name.to_owned(), did: ticket.did, addresses: ticket.at.clone() };
        remotes::keep(self.seams.disk.as_ref(), self.path(), remote)?;
        Ok(name.to_owned())
    }
}

/// As whom a command speaks to other homes.
pub struct Speaker<'o> {
    /// Its home and vault.
    pub node: &'o NodeOptions,
    /// How it is reached meanwhile: a node may listen beside it.
    pub peers: &'o PeerOptions,
    /// What it stands on.
    pub seams: Seams,
    /// What opens the vault, where nothing else does.
    pub passphrase: Option<Zeroizing<Vec<u8>>>,
}

/// Joins the identity of the home that shows the ticket and the code. The other home is kept under its own name, or under
/// `as_name`. No node runs on this one.
pub async fn join(
    speaker: Speaker<'_>,
    by: (&Ticket, &Code),
    name: &Label,
    as_name: Option<&Label>,
) -> Result<Joined, NodeError> {
    let Speaker { node, peers, seams, passphrase } = speaker;
    let stopped = Stopped::open(node, seams, passphrase).await?;
    let joined = join_from(&stopped, peers, by, name, as_name).await;
    stopped.offline.close().await;
    joined
}

async fn join_from(
    stopped: &Stopped,
    options: &PeerOptions,
    (ticket, code): (&Ticket, &Code),
    name: &Label,
    as_name: Option<&Label>,
) -> Result<Joined, NodeError> {
    let known = stopped.identity.known();
    if let Some(own) = known.identity.filter(|_| known.name(&ticket.did).is_none()) {
        // Nobody is asked to admit a home that cannot follow.
        let text =
            format!("failed to join: {} belongs to {own}, which does not know that device", stopped.path().display());
        return Err(NodeError::new(ErrorKind::Conflict, "identity_taken", text)
            .with_hint("name another home with --home DIR: a home belongs to one identity".to_owned()));
    }
    let device = stopped.identity.drawn_device().await?;
    let own = device.key.did();
    let link = bind(device.seed.clone(), options).await?;
    let connection = link.dial(ticket.did, &ticket.at, Protocol::Pair).await.map_err(|error| not_reached(&error))?;
    let mut stream = connection.open().await.map_err(|error| not_reached(&error))?;
    let entropy = stopped.seams.entropy.as_ref();
    nisse_link::pairing::guest(&mut stream, Purpose::Device, code, &ticket.did, &own, entropy)
        .await
        .map_err(|error| not_proven(&error))?;
    let welcome = wire::ask_to_join(&mut stream, name).await.map_err(|error| not_joined(&error))?;
    stopped.check_free(welcome.identity)?;
    stopped.take(welcome.identity, welcome.credentials).await?;
    let remote = stopped.keep(ticket, as_name.unwrap_or(&welcome.host).as_str())?;
    // To the end: the other side ends with it.
    let _ = stream.read(&mut [0; 1]).await;
    connection.close("done");
    link.close().await;
    let is_agent = stopped.is_agent(&own);
    Ok(Joined { identity: welcome.identity, device: own, is_agent, remote: Some(remote) })
}

/// Admits this home by the root key of its identity. With a ticket, what that device knows is brought here, and it hears of
/// this one; without, others hear of it when they meet. No node runs on this home.
pub async fn recover(
    speaker: Speaker<'_>,
    root: Zeroizing<[u8; 32]>,
    ticket: Option<&Ticket>,
    name: &Label,
) -> Result<Joined, NodeError> {
    let Speaker { node, peers, seams, passphrase } = speaker;
    let stopped = Stopped::open(node, seams, passphrase).await?;
    let joined = recover_on(&stopped, peers, root, ticket, name).await;
    stopped.offline.close().await;
    joined
}

async fn recover_on(
    stopped: &Stopped,
    options: &PeerOptions,
    root: Zeroizing<[u8; 32]>,
    ticket: Option<&Ticket>,
    name: &Label,
) -> Result<Joined, NodeError> {
    let key = SigningKey::from_seed(&root);
    let identity = key.did();
    stopped.check_free(identity)?;
    let own = stopped.identity.drawn_device().await?.key.did();
    let mut connection = None;
    let mut log = Log::new();
    log.follow(identity);
    for credential in stopped.identity.all().await {
        let _ = log.insert(credential);
    }
    if let Some(ticket) = ticket {
        // The root key is announced to nobody.
        let quiet = PeerOptions { nearby: false, ..options.clone() };
        let link = bind(root.clone(), &quiet).await?;
        let dialled = link.dial(ticket.did, &ticket.at, Protocol::Sync).await.map_err(|error| not_reached(&error))?;
        let own: Vec<_> = log.iter().cloned().collect();
        for credential in exchanged(&dialled, &own).await? {
            // As in every log: what is not valid is left out.
            let _ = log.insert(credential);
        }
        connection = Some((link, dialled));
    }
    let claim = Claim::DeviceAdd { device: own, name: name.clone() };
    let parents = log.parents(identity, &claim);
    let statement = stopped.identity.statement(identity, identity, parents, claim);
    let added =
        statement.sign(&key).map_err(|error| NodeError::caused(ErrorKind::Refused, "credential_refused", &error))?;
    let mut all: Vec<_> = log.iter().cloned().collect();
    all.push(added);
    // The other device hears of it first: a home that is cut off in between is no device yet, and recovers again.
    let mut remote = None;
    if let (Some(ticket), Some((link, dialled))) = (ticket, connection) {
        exchanged(&dialled, &all).await?;
        let called = log.state().devices(identity, stopped.seams.clock.now());
        let called = called.into_iter().find(|device| device.did == ticket.did);
        let called = called.map_or_else(|| "home".to_owned(), |device| device.name.to_string());
        remote = Some(stopped.keep(ticket, &called)?);
        dialled.close("done");
        link.close().await;
    }
    stopped.take(identity, all).await?;
    Ok(Joined { identity, device: own, is_agent: stopped.is_agent(&own), remote })
}

/// Keeps where another device of this home's identity is, once it was reached there: under this name, or the one that it had.
pub async fn meet(speaker: Speaker<'_>, ticket: &Ticket, name: Option<&Label>) -> Result<String, NodeError> {
    let Speaker { node, peers: options, seams, passphrase } = speaker;
    let home = &node.home;
    let known = remotes::read(seams.disk.as_ref(), home)?.into_iter().find(|known| known.did == ticket.did);
    let name = name.map(|name| name.as_str().to_owned()).or(known.map(|known| known.name)).ok_or_else(|| {
        NodeError::new(ErrorKind::Usage, "name_needed", "failed to keep that device: it has no name here yet")
            .with_hint("say with --as what `--remote` calls it".to_owned())
    })?;
    let seed = device_seed(node, &seams, passphrase).await?.ok_or_else(none)?;
    // What was heard on the local network says nothing of the addresses that were given.
    let nearby = options.nearby && ticket.at.is_empty();
    let link = bind(seed, &PeerOptions { nearby, ..options.clone() }).await?;
    let reached = link.dial(ticket.did, &ticket.at, Protocol::Control).await.map_err(|error| not_reached(&error))?;
    let addresses = reached.address().map_or_else(|| ticket.at.clone(), |address| vec![address]);
    reached.close("done");
    link.close().await;
    let remote = Remote { name: name.clone(), did: ticket.did, addresses };
    remotes::keep(seams.disk.as_ref(), home, remote)?;
    Ok(name)
}

async fn bind(seed: Zeroizing<[u8; 32]>, options: &PeerOptions) -> Result<Link, NodeError> {
    Link::bind(options.with_key(seed))
        .await
        .map_err(|error| NodeError::caused(ErrorKind::Failed, "link_failed", &error))
}

async fn exchanged(connection: &nisse_link::Connection, own: &[Credential]) -> Result<Vec<Credential>, NodeError> {
    let mut stream = connection.open().await.map_err(|error| not_reached(&error))?;
    wire::exchange(&mut stream, own).await.map_err(|error| not_joined(&error))
}

fn not_reached(error: &LinkError) -> NodeError {
    let hint = match error {
        LinkError::Refused { .. } => {
            "it knows nobody with this key: `nisse device pair` there shows a code for 10 minutes; where words were typed, they are those of another identity"
        }
        _ => {
            "see that the other machine is on, that its node runs, and that the address in the ticket is reached from here"
        }
    };
    let kind = if matches!(error, LinkError::Refused { .. }) { ErrorKind::Refused } else { ErrorKind::Unreachable };
    NodeError::caused(kind, "peer_unreachable", error).with_hint(hint.to_owned())
}

pub(crate) fn not_proven(error: &PairError) -> NodeError {
    let (kind, hint) = match error {
        PairError::WrongCode => {
            (ErrorKind::Refused, "type the code that the other machine shows; three wrong ones end it")
        }
        _ => (ErrorKind::Unreachable, "show a new code there and try again"),
    };
    NodeError::caused(kind, "code_refused", error).with_hint(hint.to_owned())
}

fn not_joined(error: &WireError) -> NodeError {
    match error {
        WireError::Refused(_) => NodeError::caused(ErrorKind::Refused, "peer_refused", error)
            .with_hint("nothing was changed here: the other machine has to show another code".to_owned()),
        _ => NodeError::caused(ErrorKind::Unreachable, "peer_broken", error)
            .with_hint("nothing was changed here: try again".to_owned()),
    }
}

/// The key with which a home speaks to others, and what it knows of one of them.
pub struct RemoteAccess {
    /// The seed of this device's key.
    pub seed: Zeroizing<[u8; 32]>,
    /// The other home.
    pub remote: Remote,
}

/// What `--remote NAME` or `--remote TICKET` needs of a home, whether a node runs on it or not.
pub async fn remote_access(
    options: &NodeOptions,
    seams: &Seams,
    passphrase: Option<Zeroizing<Vec<u8>>>,
    name: &str,
) -> Result<RemoteAccess, NodeError> {
    let home = &options.home;
    let known = remotes::read(seams.disk.as_ref(), home)?;
    // A key with its addresses is a way by itself: nothing is kept of it. Without them it is where it was last.
    if let Ok(Ticket { did, at }) = name.parse::<Ticket>() {
        let kept = known.into_iter().find(|known| known.did == did && at.is_empty());
        let remote = kept.unwrap_or_else(|| Remote { name: did.to_string(), did, addresses: at });
        let seed = device_seed(options, seams, passphrase).await?.ok_or_else(none)?;
        return Ok(RemoteAccess { seed, remote });
    }
    let names: Vec<_> = known.iter().map(|remote| remote.name.clone()).collect();
    let Some(remote) = known.into_iter().find(|remote| remote.name == name) else {
        let text = format!("failed to find the home `{name}`: {} knows no such name", home.display());
        let hint = match names.as_slice() {
            [] => "`nisse device pair` on that machine shows how this one is paired with it; `nisse device meet TICKET --as NAME` where it is already".to_owned(),
            names => format!("it knows {}; `nisse device meet TICKET --as NAME` adds another", names.join(", ")),
        };
        return Err(NodeError::new(ErrorKind::Usage, "remote_unknown", text).with_hint(hint));
    };
    let seed = device_seed(options, seams, passphrase).await?.ok_or_else(none)?;
    Ok(RemoteAccess { seed, remote })
}
