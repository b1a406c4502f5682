//! The spaces that this home holds: one database for all of them, one task for each that somebody is connected to.
//!
//! A space is opened for its first connection and closed a while after its last. Its turns are taken where waiting for the
//! disk is allowed, one behind the other; between two of them all that was said meanwhile is gathered.

mod agents;
mod author;
mod connection;
mod ended;
mod home;
mod import;
mod invitation;
mod opening;
mod outbox;
mod profile;
mod rights;
mod ways;
mod worker;

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use nisse_model::{CredentialId, Did};
use nisse_space::chunk_sync::{Frame, Wanted};
use nisse_space::{Admission, Author, Effect, PeerKey, Registered, Space, Speaks, StoreError};
use nisse_store::Database;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc, oneshot, watch};

pub(crate) use self::agents::{AgentSpaces, Looked};
pub use self::connection::{SpaceConnection, SpaceEar, SpaceMouth, SpaceSaid};
pub(crate) use self::ended::keep as keep_ended;
pub(crate) use self::home::{home_nonce, keep as keep_home, settle as settle_home};
pub(crate) use self::import::{Import, Imported, unreadable};
pub(crate) use self::invitation::Invitation;
pub(crate) use self::outbox::{Committed, Outbox, space_changes};
pub(crate) use self::profile::{AVATAR_BYTES_MAX, NAME_MAX, PROFILE, fields, image, profile_id};
use self::rights::Who;
pub(crate) use self::rights::rights;
use self::worker::Told;
use crate::core::Core;
use crate::error::{ErrorKind, NodeError};

/// Where clients connect to a space, on the public listener.
pub const SPACE_PATH: &str = "/spaces/";
/// Bytes of one message of a client.
pub const SPACE_MESSAGE_BYTES_MAX: usize = nisse_space::repo_protocol::FRAME_BYTES_MAX;

/// The database of all spaces, in the home.
const FILE: &str = "spaces/spaces.redb";
/// Messages of all clients of one space that wait for its turn.
const TOLD_MAX: usize = 256;
/// Bytes of them, and of what the turn itself reads.
const TOLD_BYTES_MAX: usize = 64 << 20;
/// Exports that are written at once, and imports.
const FILES_MAX: usize = 2;
/// Bytes of one frame of a peer.
pub(crate) const SPACE_FRAME_BYTES_MAX: usize = Frame::BYTES_MAX;

/// What the node knows of its spaces.
#[derive(Default)]
pub(crate) struct Spaces {
    /// Opened when it is first needed: a home without spaces has none.
    database: Mutex<Option<Arc<Database>>>,
    /// The spaces that are held, once they were read.
    held: Mutex<Option<Vec<Registered>>>,
    open: Mutex<BTreeMap<CredentialId, Handle>>,
    /// What agents of this node committed and is not made yet.
    pub(crate) outbox: Outbox,
    /// Counts the spaces that came to this home.
    came: watch::Sender<u64>,
    /// Counts how often other documents of a space were kept than before.
    rekept: watch::Sender<u64>,
    /// Numbers connections.
    connections: AtomicU64,
    /// One who looks after the home space at a time; and in which space it was told what this device is called.
    homing: tokio::sync::Mutex<()>,
    told_home: Mutex<Option<(CredentialId, String)>>,
    /// Spaces that are written to a file, and read from one, at once.
    pub(crate) exporting: Files,
    pub(crate) importing: Files,
}

/// Files that are written or read at once.
pub(crate) struct Files(Arc<Semaphore>);

impl Default for Files {
    fn default() -> Self {
        Self(Arc::new(Semaphore::new(FILES_MAX)))
    }
}

impl Files {
    /// A place for one, given back when it is dropped.
    pub(crate) fn take(&self) -> Result<OwnedSemaphorePermit, NodeError> {
        Arc::clone(&self.0).try_acquire_owned().map_err(|_| {
            let text = format!("failed to begin: {FILES_MAX} spaces are exported or imported at this moment");
            NodeError::new(ErrorKind::Busy, "space_files_many", text).with_hint("try again in a while".to_owned())
        })
    }
}

/// An open space.
#[derive(Clone)]
struct Handle {
    told: mpsc::Sender<Told>,
    /// Room for what clients said, byte by byte.
    room: Arc<Semaphore>,
    standing: watch::Receiver<Standing>,
}

/// How an open space stands.
#[derive(Debug, Clone, Default)]
pub(crate) struct Standing {
    pub(crate) connected: u64,
    pub(crate) trouble: Option<String>,
    /// Counts the turns that changed a document since it was opened.
    pub(crate) changes: u64,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

pub(crate) fn failed(error: &StoreError) -> NodeError {
    NodeError::caused(ErrorKind::Failed, "space_failed", error)
}

impl Spaces {
    /// The database of all spaces.
    pub(crate) fn database(&self, core: &Core) -> Result<Arc<Database>, NodeError> {
        let mut held = lock(&self.database);
        if let Some(database) = &*held {
            return Ok(Arc::clone(database));
        }
        let opened = Arc::new(opening::open(&core.home.shared_disk(), &core.home.join(FILE))?);
        *held = Some(Arc::clone(&opened));
        Ok(opened)
    }

    /// The spaces that this home holds.
    pub(crate) fn all(&self, core: &Core) -> Result<Vec<Registered>, NodeError> {
        if let Some(held) = &*lock(&self.held) {
            return Ok(held.clone());
        }
        let none = lock(&self.database).is_none() && !core.home.disk().exists(&core.home.join(FILE));
        if none {
            return Ok(Vec::new());
        }
        let read = Registered::all(&self.database(core)?).map_err(|error| failed(&error))?;
        *lock(&self.held) = Some(read.clone());
        Ok(read)
    }

    /// Holds a space from now on. `name` is one that no other has here.
    pub(crate) fn hold(&self, core: &Core, space: CredentialId, name: String) -> Result<Registered, NodeError> {
        let mut replica = [0; 16];
        core.entropy.fill(&mut replica);
        let registered = Registered { space, name, replica };
        registered.keep(&*self.database(core)?).map_err(|error| failed(&error))?;
        *lock(&self.held) = None;
        self.came.send_modify(|count| *count += 1);
        Ok(registered)
    }

    /// Reads anew what the spaces are called.
    fn forget_names(&self) {
        *lock(&self.held) = None;
    }

    /// Tells whenever other documents of a space are kept.
    pub(crate) fn rekept(&self) -> watch::Receiver<u64> {
        self.rekept.subscribe()
    }

    /// Tells whenever a space came.
    pub(crate) fn came(&self) -> watch::Receiver<u64> {
        self.came.subscribe()
    }

    /// How a space stands; one that nobody is connected to rests.
    pub(crate) fn standing(&self, space: CredentialId) -> Standing {
        lock(&self.open).get(&space).map(|handle| handle.standing.borrow().clone()).unwrap_or_default()
    }

    /// Connects a client whose ticket was looked at.
    pub(crate) async fn connect(
        &self,
        core: &Arc<Core>,
        registered: &Registered,
        admission: Admission,
    ) -> Result<SpaceConnection, NodeError> {
        self.connect_with(core, registered, Who::Client(admission), Speaks::AutomergeRepo).await
    }

    /// Connects a peer whose key was proven; `first`: this home begins. It is asked for what is kept here.
    pub(crate) async fn connect_peer(
        &self,
        core: &Arc<Core>,
        registered: &Registered,
        (peer, first): (Did, bool),
    ) -> Result<SpaceConnection, NodeError> {
        self.connect_with(core, registered, Who::Peer(peer), Speaks::Chunks { first, wanted: Wanted::All }).await
    }

    /// Connects this home itself, which brings chunks of a file: all of them are wanted.
    pub(crate) async fn connect_file(
        &self,
        core: &Arc<Core>,
        registered: &Registered,
        own: Did,
    ) -> Result<SpaceConnection, NodeError> {
        let speaks = Speaks::Chunks { first: false, wanted: Wanted::All };
        self.connect_with(core, registered, Who::File(own), speaks).await
    }

    async fn connect_with(
        &self,
        core: &Arc<Core>,
        registered: &Registered,
        who: Who,
        speaks: Speaks,
    ) -> Result<SpaceConnection, NodeError> {
        let peer = PeerKey(self.connections.fetch_add(1, Ordering::Relaxed));
        // One that closes just now is opened again.
        for _ in 0..3 {
            let handle = self.handle(core, registered)?;
            let (said, mouth) = connection::mouth();
            let opened = Told::Opened { peer, who: who.clone(), speaks: speaks.clone(), said };
            if handle.told.send(opened).await.is_ok() {
                return Ok(SpaceConnection::new(peer, handle.told, handle.room, mouth));
            }
        }
        Err(NodeError::new(ErrorKind::Busy, "space_closing", "failed to open the space: it is closing"))
    }

    /// Does something in a space for this home itself.
    pub(crate) async fn ask<T: Send + 'static>(
        &self,
        core: &Arc<Core>,
        registered: &Registered,
        work: impl FnOnce(&mut Space, &dyn Author) -> (T, Vec<Effect>) + Send + 'static,
    ) -> Result<T, NodeError> {
        let closed = || NodeError::new(ErrorKind::Busy, "space_closing", "failed to use the space: it is closing");
        let (done, reached) = oneshot::channel();
        let mut asked = Told::Asked(Box::new(move |space, author| {
            let (result, effects) = work(space, author);
            // Nobody waiting is no error.
            let _ = done.send(result);
            effects
        }));
        for _ in 0..3 {
            match self.handle(core, registered)?.told.send(asked).await {
                Ok(()) => return reached.await.map_err(|_| closed()),
                // One that closes just now is opened again.
                Err(mpsc::error::SendError(back)) => asked = back,
            }
        }
        Err(closed())
    }

    /// Tells of an open space's turns, until it is closed; one that rests is opened.
    pub(crate) fn turns(
        &self,
        core: &Arc<Core>,
        registered: &Registered,
    ) -> Result<watch::Receiver<Standing>, NodeError> {
        Ok(self.handle(core, registered)?.standing)
    }

    fn handle(&self, core: &Arc<Core>, registered: &Registered) -> Result<Handle, NodeError> {
        let database = self.database(core)?;
        let mut open = lock(&self.open);
        if let Some(handle) = open.get(&registered.space).filter(|handle| !handle.told.is_closed()) {
            return Ok(handle.clone());
        }
        let (told, inbox) = mpsc::channel(TOLD_MAX);
        let (tell, standing) = watch::channel(Standing::default());
        let handle = Handle { told, room: Arc::new(Semaphore::new(TOLD_BYTES_MAX)), standing };
        open.insert(registered.space, handle.clone());
        let (core_of, registered) = (Arc::clone(core), registered.clone());
        core.supervisor.spawn("space", |stop| worker::run(core_of, database, registered, inbox, tell, stop));
        Ok(handle)
    }

    /// Forgets an open space that rests, unless somebody came meanwhile.
    fn close(&self, space: CredentialId, inbox: &mut mpsc::Receiver<Told>) -> bool {
        let mut open = lock(&self.open);
        if !inbox.is_empty() {
            return false;
        }
        inbox.close();
        open.remove(&space);
        true
    }
}
