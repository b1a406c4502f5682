//! Spaces, with the devices and agents of their members: one connection with each, and on it, for each space that both hold,
//! a stream for its documents, and one whenever its credentials change.
//!
//! Each stream begins with a frame `[1, kind, space, name]`: of kind 0 credentials are exchanged on it ([`wire`]), on one of
//! kind 1 frames of [`nisse_space::chunk_sync`] go to and fro, each with its length before it.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use minicbor::{Decoder, Encoder};
use nisse_link::{Connection, Link, Stream};
use nisse_model::{Credential, CredentialId, Did, Hash256, Log, Role, Standing};
use nisse_space::Registered;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::task::JoinSet;

use super::{EXCHANGE_TIME_MAX, PATIENCE, Protocol};
use crate::core::Core;
use crate::error::{NodeError, chain};
use crate::identity::wire;
use crate::spaces::{SPACE_FRAME_BYTES_MAX, SpaceConnection, SpaceSaid};
use crate::supervisor::apart;

const VERSION: u64 = 1;
const CREDENTIALS: u64 = 0;
const CHUNKS: u64 = 1;
/// Bytes of the frame that a stream begins with.
const HEADER_BYTES_MAX: usize = 256;
/// How often a peer that is not connected is looked for, at first and at last.
const DIAL_AGAIN: Duration = Duration::from_secs(2);
const DIAL_AGAIN_MAX: Duration = Duration::from_secs(60);
/// How often to look who is there besides whenever something changes.
const LOOK_EVERY: Duration = Duration::from_secs(2);
/// How long somebody who is let in no more may take to hear why.
const LAST_WORDS: Duration = Duration::from_secs(2);
/// How long whoever was dialled leaves it to the other to begin.
const AFTER_YOU: Duration = Duration::from_secs(2);
/// How long until a space of which a peer wanted to hear nothing is spoken of again.
const SPEAK_AGAIN: Duration = Duration::from_secs(20);

/// Who is connected for its spaces, and whether this home dialled them.
#[derive(Default)]
pub(crate) struct Together(Mutex<BTreeMap<Did, (bool, u64, Connection)>>);

/// One of them; it is not, once this is dropped.
struct With<'c> {
    core: &'c Core,
    peer: Did,
    number: u64,
}

impl Together {
    fn lock(&self) -> MutexGuard<'_, BTreeMap<Did, (bool, u64, Connection)>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn has(&self, peer: &Did) -> bool {
        self.lock().contains_key(peer)
    }
}

impl<'c> With<'c> {
    /// `None` where there is a connection that stays: of two that dial each other at once, that of the lower key.
    fn begin(core: &'c Core, connection: &Connection, dialled: bool) -> Option<Self> {
        let (own, peer) = (core.identity.known().own?, connection.peer());
        let mut together = core.peers.together.lock();
        let stays = |by_us: bool| by_us == (own < peer);
        if together.get(&peer).is_some_and(|(by_us, ..)| stays(*by_us) && !stays(dialled)) {
            return None;
        }
        let number = together.get(&peer).map_or(0, |(_, number, _)| number + 1);
        if let Some((_, _, before)) = together.insert(peer, (dialled, number, connection.clone())) {
            before.close("there is a newer one");
        }
        Some(Self { core, peer, number })
    }
}

impl Drop for With<'_> {
    fn drop(&mut self) {
        let mut together = self.core.peers.together.lock();
        if together.get(&self.peer).is_some_and(|(_, number, _)| *number == self.number) {
            together.remove(&self.peer);
        }
    }
}

/// Keeps a connection with each device and agent of a member that this node knows the way to.
pub(super) async fn keep_together(core: &Arc<Core>, link: &Link) {
    let (mut changes, mut came) = (core.identity.changes(), core.spaces.came());
    let mut dialling = JoinSet::new();
    // When whom is dialled again, by the steady clock, and how long it is waited for the next time.
    let mut waits = BTreeMap::<Did, (Duration, Duration)>::new();
    let mut under_way = BTreeSet::new();
    loop {
        let now = core.clock.elapsed();
        for (peer, at) in apart_from(core, link).unwrap_or_default() {
            if under_way.contains(&peer) || waits.get(&peer).is_some_and(|(at, _)| now < *at) {
                continue;
            }
            under_way.insert(peer);
            let (core, link) = (Arc::clone(core), link.clone());
            dialling.spawn(async move {
                let mut reached = false;
                apart("a space's peer", async { reached = dial(&core, &link, peer, &at).await }).await;
                (peer, reached)
            });
        }
        tokio::select! {
            changed = changes.changed() => if changed.is_err() { return },
            changed = came.changed() => if changed.is_err() { return },
            Some(done) = dialling.join_next() => {
                let Ok((peer, reached)) = done else { continue };
                under_way.remove(&peer);
                let last = waits.get(&peer).map_or(DIAL_AGAIN / 2, |(_, last)| *last);
                let wait = if reached { DIAL_AGAIN } else { (last * 2).min(DIAL_AGAIN_MAX) };
                waits.insert(peer, (core.clock.elapsed() + wait, wait));
            }
            () = tokio::time::sleep(LOOK_EVERY) => {}
        }
    }
}

/// Those that share a space with this home and are not connected, with where they may be.
fn apart_from(core: &Arc<Core>, link: &Link) -> Result<BTreeMap<Did, Vec<SocketAddr>>, NodeError> {
    let (known, now) = (core.identity.known(), core.clock.now());
    let held: BTreeSet<CredentialId> = core.spaces.all(core)?.into_iter().map(|registered| registered.space).collect();
    if held.is_empty() {
        return Ok(BTreeMap::new());
    }
    let (remotes, nearby, ways) = (core.remotes()?, link.nearby(), core.spaces.ways(core)?);
    let readers = known.readers(&held, now).into_iter();
    let others = readers.filter(|peer| Some(*peer) != known.own && !core.peers.together.has(peer));
    let way = |peer: Did| {
        let kept = remotes.iter().filter(|remote| remote.did == peer).flat_map(|remote| remote.addresses.clone());
        let heard = nearby.iter().filter(|one| one.did == peer).flat_map(|one| one.addresses.clone());
        let seen = super::lock(&core.peers.seen).get(&peer).copied();
        let at: BTreeSet<SocketAddr> =
            kept.chain(heard).chain(seen).chain(ways.get(&peer).into_iter().flatten().copied()).collect();
        (peer, at.into_iter().collect::<Vec<_>>())
    };
    Ok(others.map(way).filter(|(_, at)| !at.is_empty()).collect())
}

/// Whether they were reached.
async fn dial(core: &Arc<Core>, link: &Link, peer: Did, at: &[SocketAddr]) -> bool {
    match link.dial(peer, at, Protocol::Space).await {
        Ok(connection) => {
            serve(core, connection, true).await;
            true
        }
        Err(error) => {
            tracing::debug!(%peer, error = chain(&error), "a member's device could not be reached");
            false
        }
    }
}

/// The names of all credentials that say who may do what in a space.
type Credentials = BTreeSet<CredentialId>;

/// What is open on one connection.
struct Talk {
    core: Arc<Core>,
    connection: Connection,
    dialled: bool,
    /// The spaces that are spoken of, or were a moment ago; and those of which the peer began to speak.
    open: Mutex<BTreeSet<CredentialId>>,
    theirs: Mutex<BTreeSet<CredentialId>>,
}

/// One connection, for as long as its peer has something to do with a space of this home.
pub(super) async fn serve(core: &Arc<Core>, connection: Connection, dialled: bool) {
    let peer = connection.peer();
    let Some(_with) = With::begin(core, &connection, dialled) else { return connection.close("there is another one") };
    if let Some(from) = connection.address() {
        super::lock(&core.peers.seen).insert(peer, from);
        if let Err(error) = core.spaces.keep_way(core, peer, &[from]) {
            tracing::debug!(%peer, %error, "where a peer is was not kept");
        }
    }
    let talk = Talk { core: Arc::clone(core), connection, dialled, open: Mutex::default(), theirs: Mutex::default() };
    Arc::new(talk).run().await;
}

impl Talk {
    async fn run(self: Arc<Self>) {
        let (mut changes, mut came) = (self.core.identity.changes(), self.core.spaces.came());
        let mut streams = JoinSet::new();
        let mut told = BTreeMap::<CredentialId, (Registered, Option<Credentials>)>::new();
        loop {
            let (heard, mut gone) = (self.heard(), Vec::new());
            for registered in &heard {
                told.entry(registered.space).or_insert_with(|| (registered.clone(), None));
            }
            for (registered, before) in told.values_mut() {
                let now = self.credentials(registered.space);
                let (is_new, changed) = (before.is_none(), before.as_ref() != Some(&now));
                *before = Some(now);
                let (talk, registered) = (Arc::clone(&self), registered.clone());
                if is_new {
                    streams.spawn(async move { talk.keep_speaking_of(&registered).await });
                } else if changed && heard.contains(&registered) {
                    streams.spawn(async move { talk.tell(&registered).await });
                } else if changed {
                    // Who is gone hears of it, this once.
                    let _ = tokio::time::timeout(LAST_WORDS, talk.tell(&registered)).await;
                    gone.push(registered.space);
                }
            }
            told.retain(|space, _| !gone.contains(space));
            if !self.core.admits_to_spaces(&self.connection.peer()) {
                return self.connection.close("nothing is shared here any more");
            }
            tokio::select! {
                stream = self.connection.accept() => match stream {
                    Some(stream) => self.answer_on(stream, &mut streams),
                    None => return,
                },
                changed = changes.changed() => if changed.is_err() { return },
                changed = came.changed() => if changed.is_err() { return },
                Some(_) = streams.join_next() => {}
            }
        }
    }

    fn open(&self) -> MutexGuard<'_, BTreeSet<CredentialId>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What is known here of a space.
    fn credentials(&self, space: CredentialId) -> Credentials {
        self.core.identity.about(space).iter().map(Credential::id).collect()
    }

    /// The spaces that this home holds, and of which the peer may hear.
    fn heard(&self) -> Vec<Registered> {
        let mut held = self.core.spaces.all(&self.core).unwrap_or_default();
        held.retain(|one| self.reads(one.space, Some(self.connection.peer())));
        held
    }

    /// Whether a key may read a space now.
    fn reads(&self, space: CredentialId, key: Option<Did>) -> bool {
        let (known, now) = (self.core.identity.known(), self.core.clock.now());
        let access = key.and_then(|key| known.access(&space, &key, now));
        access.is_some_and(|access| access.role >= Role::Read)
    }

    fn answer_on(self: &Arc<Self>, stream: Stream, streams: &mut JoinSet<()>) {
        let talk = Arc::clone(self);
        streams.spawn(async move {
            if let Err(why) = talk.answer(stream).await {
                tracing::debug!(peer = %talk.connection.peer(), why, "a stream of a space ended");
            }
        });
    }

    /// Speaks of a space, and again when that came to an end, for as long as both have it.
    async fn keep_speaking_of(&self, registered: &Registered) {
        let mut rekept = self.core.spaces.rekept();
        loop {
            if !self.dialled {
                tokio::time::sleep(AFTER_YOU).await;
            }
            self.tell(registered).await;
            let own = self.core.identity.known().own;
            let is_shared = [own, Some(self.connection.peer())].iter().all(|key| self.reads(registered.space, *key));
            if is_shared && self.open().insert(registered.space) {
                if let Err(why) = self.speak_of(registered).await {
                    let peer = self.connection.peer();
                    tracing::debug!(%peer, space = %registered.space, why, "a space is spoken of no more");
                }
                self.open().remove(&registered.space);
            }
            tokio::select! {
                () = tokio::time::sleep(SPEAK_AGAIN) => {}
                // The peer notes first that what was spoken before is over.
                Ok(()) = rekept.changed() => tokio::time::sleep(AFTER_YOU).await,
            }
        }
    }

    /// Brings the credentials of a space, and takes theirs.
    async fn tell(&self, registered: &Registered) {
        if let Err(why) = self.exchange(registered).await {
            let peer = self.connection.peer();
            tracing::debug!(%peer, space = %registered.space, why, "credentials were not exchanged");
        }
    }

    /// Brings the documents of a space, and takes theirs.
    async fn speak_of(&self, registered: &Registered) -> Result<(), String> {
        let mut stream = self.connection.open().await.map_err(|error| chain(&error))?;
        begin(&mut stream, CHUNKS, registered).await?;
        self.carry(stream, registered, true).await
    }

    async fn exchange(&self, registered: &Registered) -> Result<(), String> {
        let exchanging = async {
            let mut stream = self.connection.open().await.map_err(|error| chain(&error))?;
            begin(&mut stream, CREDENTIALS, registered).await?;
            let own = self.core.identity.about(registered.space);
            let new = wire::exchange(&mut stream, &own).await.map_err(|error| chain(&error))?;
            self.core.take_credentials_about(registered.space, new).await.map_err(|error| error.text)
        };
        tokio::time::timeout(EXCHANGE_TIME_MAX, exchanging).await.map_err(|_| "too slow".to_owned())?.map(drop)
    }

    async fn answer(&self, mut stream: Stream) -> Result<(), String> {
        let header = tokio::time::timeout(PATIENCE, receive(&mut stream, HEADER_BYTES_MAX)).await;
        let header = header.map_err(|_| "it said nothing in time".to_owned())??;
        let (kind, space, name) = header.as_deref().and_then(opened).ok_or("it begins with none of ours")?;
        let (known, now, peer) = (self.core.identity.known(), self.core.clock.now(), self.connection.peer());
        let held = self.core.spaces.all(&self.core).map_err(|error| error.text)?;
        let registered = held.iter().find(|one| one.space == space);
        let is_own = known.standing(&peer, now) == Standing::Device;
        let reads = known.access(&space, &peer, now).is_some_and(|access| access.role >= Role::Read);
        if !(reads && registered.is_some() || is_own) {
            return Err(format!("it may not speak of {space}"));
        }
        match kind {
            CREDENTIALS => {
                // What is heard is held in memory until it is taken: of few at a time.
                let _turn = self.core.peers.exchanging_about.acquire().await;
                let take = |credentials| self.core.take_credentials_about(space, credentials);
                let own = self.core.identity.about(space);
                let answering = wire::answer_exchange(&mut stream, own, Log::SHARE_BYTES_MAX, take);
                let answered = tokio::time::timeout(EXCHANGE_TIME_MAX, answering).await;
                answered.map_err(|_| "too slow".to_owned())?.map_err(|error| chain(&error))
            }
            CHUNKS => {
                let registered = match registered {
                    Some(registered) => registered.clone(),
                    // One of this home's own identity, which another of its devices holds.
                    None if known.own_spaces().contains(&space) => {
                        let name = free_name(&held, &name, space);
                        tracing::info!(target: "nisse::event::space", step = "held", %space, name);
                        self.core.spaces.hold(&self.core, space, name).map_err(|error| error.text)?
                    }
                    None => return Err(format!("this home has nothing to do with {space}")),
                };
                let spoken = !self.open().insert(space);
                let again = !super::lock(&self.theirs).insert(space);
                if again || spoken && self.dialled {
                    return Err("it is spoken of already".to_owned());
                }
                let carried = self.carry(stream, &registered, false).await;
                super::lock(&self.theirs).remove(&space);
                if !spoken {
                    self.open().remove(&space);
                }
                carried
            }
            _ => Err(format!("a stream of the unknown kind {kind}")),
        }
    }

    /// Carries frames between the peer and the space, until either ends it.
    async fn carry(&self, stream: Stream, registered: &Registered, first: bool) -> Result<(), String> {
        let peer = self.connection.peer();
        let connected = self.core.spaces.connect_peer(&self.core, registered, (peer, first)).await;
        pump(stream, connected.map_err(|error| error.text)?).await
    }
}

async fn pump(stream: Stream, connection: SpaceConnection) -> Result<(), String> {
    let (mut from, mut to) = tokio::io::split(stream);
    let (ear, mut mouth) = connection.split();
    let hearing = async move {
        while let Some(bytes) = receive(&mut from, SPACE_FRAME_BYTES_MAX).await? {
            if !ear.hear(bytes).await {
                break;
            }
        }
        Ok::<_, String>(())
    };
    let saying = async move {
        loop {
            match mouth.say().await {
                SpaceSaid::Message(bytes) => send(&mut to, &bytes).await?,
                SpaceSaid::End(why) => {
                    to.shutdown().await.map_err(|error| error.to_string())?;
                    return Err::<(), _>(why);
                }
            }
        }
    };
    tokio::select! {
        heard = hearing => heard,
        said = saying => said,
    }
}

async fn begin(stream: &mut Stream, kind: u64, registered: &Registered) -> Result<(), String> {
    let mut bytes = Vec::new();
    let mut encoder = Encoder::new(&mut bytes);
    let written = encoder
        .array(4)
        .and_then(|encoder| encoder.u64(VERSION))
        .and_then(|encoder| encoder.u64(kind))
        .and_then(|encoder| encoder.bytes(&registered.space.0.0))
        .and_then(|encoder| encoder.str(&registered.name));
    written.map(drop).expect("writing to memory does not fail");
    send(stream, &bytes).await
}

/// The kind, the space and what the other home calls it.
fn opened(bytes: &[u8]) -> Option<(u64, CredentialId, String)> {
    let mut decoder = Decoder::new(bytes);
    if decoder.array().ok()? != Some(4) || decoder.u64().ok()? != VERSION {
        return None;
    }
    let kind = decoder.u64().ok()?;
    let space = CredentialId(Hash256(decoder.bytes().ok()?.try_into().ok()?));
    Some((kind, space, decoder.str().ok()?.to_owned()))
}

/// A name for a space that comes by itself: the other home's, if it is free here.
fn free_name(held: &[Registered], wanted: &str, space: CredentialId) -> String {
    let sound = crate::node::space_name(wanted).ok().filter(|name| held.iter().all(|one| one.name != *name));
    let digits: String = space.to_string().chars().take(8).collect();
    sound.unwrap_or_else(|| format!("space-{digits}"))
}

async fn send(to: &mut (impl AsyncWrite + Unpin), bytes: &[u8]) -> Result<(), String> {
    let length = u32::try_from(bytes.len()).map_err(|_| "a frame is too long".to_owned())?;
    let sending = async {
        to.write_all(&length.to_be_bytes()).await?;
        to.write_all(bytes).await?;
        to.flush().await
    };
    sending.await.map_err(|error: std::io::Error| error.to_string())
}

/// One frame; `None` at the end.
async fn receive(from: &mut (impl AsyncRead + Unpin), most: usize) -> Result<Option<Vec<u8>>, String> {
    let length = match from.read_u32().await {
        Ok(length) => length as usize,
        Err(error) if error.kind() == std::io::ErrorKind::UnexpectedEof => return Ok(None),
        Err(error) => return Err(error.to_string()),
    };
    if length > most {
        return Err(format!("a frame of {length} bytes"));
    }
    // No more is reserved than comes.
    let mut bytes = Vec::with_capacity(length.min(64 << 10));
    from.take(length as u64).read_to_end(&mut bytes).await.map_err(|error| error.to_string())?;
    if bytes.len() < length { Err("a frame that is cut".to_owned()) } else { Ok(Some(bytes)) }
}
