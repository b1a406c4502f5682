//! Whose device this home is: its key, which the vault has, and the credentials of its identity, in a journal of their own.
//!
//! A credential that the log takes is durable before anybody is told of it. Whatever changes who may do what is told to all
//! who wait for it, so that a connection ends with the right to it.

pub(crate) mod device;
pub(crate) mod join;
mod known;
pub(crate) mod remotes;
pub(crate) mod tokens;
pub(crate) mod wire;

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use nisse_model::{
    Claim, Credential, CredentialError, CredentialId, Did, InsertError, Inserted, Log, OpenInvitation, Role, Scope,
    Settled, Statement, Timestamp, Word,
};
use nisse_store::{Clock, Disk, Entropy, Journal, JournalError, JournalOptions, Position};
use tokio::sync::watch;

use self::device::{Device, DeviceKey, Held};
pub(crate) use self::known::Known;
use crate::error::{ErrorKind, NodeError};
use crate::home::Home;

/// The folder of the home.
pub(crate) const FOLDER: &str = "identity";
/// Bytes of one of its files; nothing in it is ever cut.
const SEGMENT_BYTES: u64 = 16 << 20;

/// A home's identity, as the rest of the node uses it.
pub(crate) struct Identity {
    clock: Arc<dyn Clock>,
    entropy: Arc<dyn Entropy>,
    device: Device,
    journal: Journal,
    log: Mutex<Log>,
    /// Which of them count, as it was found last.
    settled: Mutex<Settled>,
    /// One who adds at a time: what is said next names all that is here as seen.
    adding: tokio::sync::Mutex<()>,
    known: watch::Sender<Arc<Known>>,
}

/// What became of credentials.
struct Added {
    /// How many were new.
    count: usize,
    /// Why the last one that was not taken was not.
    refusal: Option<InsertError>,
}

/// The journal could not be opened.
enum OpenError {
    Journal(JournalError),
    Damaged(String),
    /// A credential is of a version that this nisse does not know.
    Newer(CredentialError),
}

impl From<JournalError> for OpenError {
    fn from(error: JournalError) -> Self {
        Self::Journal(error)
    }
}

impl Identity {
    /// Opens what a home has of it. A device's key that is gone where credentials stand is a refusal.
    pub(crate) fn open(
        disk: &Arc<dyn Disk>,
        clock: &Arc<dyn Clock>,
        entropy: &Arc<dyn Entropy>,
        home: &Home,
        device: Device,
    ) -> Result<Self, NodeError> {
        let (journal, log) = open_log(disk, entropy.as_ref(), home)?;
        if device.did().is_none() && !log.is_empty() {
            return Err(device::missing(home));
        }
        let known = watch::Sender::new(Arc::new(Known::of(&log, device.did(), clock.now())));
        Ok(Self {
            clock: Arc::clone(clock),
            entropy: Arc::clone(entropy),
            device,
            journal,
            log: Mutex::new(log),
            settled: Mutex::default(),
            adding: tokio::sync::Mutex::default(),
            known,
        })
    }

    fn log(&self) -> MutexGuard<'_, Log> {
        self.log.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Who may do what now.
    pub(crate) fn known(&self) -> Arc<Known> {
        Arc::clone(&self.known.borrow())
    }

    /// Tells whenever that changes.
    pub(crate) fn changes(&self) -> watch::Receiver<Arc<Known>> {
        self.known.subscribe()
    }

    /// The key of this device, to sign with: of a sealed vault, a refusal.
    pub(crate) fn device(&self) -> Result<Arc<DeviceKey>, NodeError> {
        self.device.key()
    }

    /// Tells whenever that key is there or no longer.
    pub(crate) fn device_changes(&self) -> watch::Receiver<Held> {
        self.device.changes()
    }

    /// The key of this device, drawn at first use. It is durable before anybody hears of it.
    pub(crate) async fn drawn_device(&self) -> Result<Arc<DeviceKey>, NodeError> {
        let _turn = self.adding.lock().await;
        let device = self.device.drawn().await?;
        self.tell(&self.log());
        Ok(device)
    }

    /// Takes the key of this device out of a vault that was unlocked.
    pub(crate) async fn unseal(&self, home: &Home) -> Result<(), NodeError> {
        let _turn = self.adding.lock().await;
        self.device.unseal(home).await?;
        self.tell(&self.log());
        Ok(())
    }

    /// Forgets it: the vault was sealed. Its name is known on.
    pub(crate) async fn seal(&self) {
        self.device.forget().await;
    }

    /// All credentials, each behind its parents: all of them are durable.
    pub(crate) async fn all(&self) -> Vec<Credential> {
        let _turn = self.adding.lock().await;
        self.log().iter().cloned().collect()
    }

    /// Adds credentials, each behind its parents, to the end of it, and gives how many were new. They are of this home's identity, which the
    /// first of all decides, and of those that are followed. What others may hold that is not valid here is left out, and the rest is taken.
    pub(crate) async fn take(&self, credentials: Vec<Credential>) -> Result<usize, NodeError> {
        let _turn = self.adding.lock().await;
        self.taken(credentials).await
    }

    /// As [`Self::take`], and follows whomever they are of: what another device of this home's own identity holds.
    pub(crate) async fn take_all(&self, credentials: Vec<Credential>) -> Result<usize, NodeError> {
        let _turn = self.adding.lock().await;
        if self.known().identity.is_some() {
            let mut log = self.log();
            for credential in &credentials {
                log.follow(credential.statement().subject);
            }
        }
        self.taken(credentials).await
    }

    /// Takes what a peer holds of a space: of its members, as far as those who may say so said that they are.
    pub(crate) async fn take_about(
        &self,
        space: CredentialId,
        credentials: Vec<Credential>,
    ) -> Result<usize, NodeError> {
        if credentials.is_empty() {
            return Ok(0);
        }
        let _turn = self.adding.lock().await;
        let fitting = {
            let mut log = self.log();
            let (members, fitting) = fitting(&log, space, credentials);
            for identity in &members {
                log.follow(*identity);
            }
            fitting
        };
        self.taken(fitting).await
    }

    async fn taken(&self, credentials: Vec<Credential>) -> Result<usize, NodeError> {
        let Added { count, refusal } = self.add(credentials).await?;
        if let Some(error) = refusal {
            tracing::debug!(%error, "credentials were left out");
        }
        Ok(count)
    }

    /// Says something for this home's identity, with the key of this device.
    pub(crate) async fn say(&self, claim: Claim) -> Result<CredentialId, NodeError> {
        let mut nonce = [0; 12];
        self.entropy.fill(&mut nonce);
        self.say_with(claim, nonce).await
    }

    /// The same, with a nonce that means something.
    pub(crate) async fn say_with(&self, claim: Claim, nonce: [u8; 12]) -> Result<CredentialId, NodeError> {
        let _turn = self.adding.lock().await;
        let identity = self.known().identity.ok_or_else(none)?;
        let device = self.device.key()?;
        let parents = self.log().parents(identity, &claim);
        let (issuer, issued) = (device.key.did(), self.clock.now());
        let statement = Statement { issuer, subject: identity, parents, issued, nonce, claim };
        let credential = statement.sign(&device.key).map_err(|error| refused(&error))?;
        let id = credential.id();
        match self.add(vec![credential]).await? {
            Added { count: 0, refusal: Some(error) } => Err(refused(&error)),
            Added { .. } => Ok(id),
        }
    }

    /// What somebody's word in a space counts for, where it needs this role, by whoever had seen these credentials then.
    pub(crate) fn word(
        &self,
        (key, identity): (Did, Did),
        (space, role): (CredentialId, Role),
        seen: &[CredentialId],
        then: Timestamp,
    ) -> Word {
        let mut settled = self.settled.lock().unwrap_or_else(PoisonError::into_inner);
        self.log().state_by(&mut settled).word(key, identity, space, role, seen, then)
    }

    /// All that is to be known to judge what is said in a space.
    pub(crate) fn about(&self, space: CredentialId) -> Vec<Credential> {
        self.log().about(space).into_iter().cloned().collect()
    }

    /// Whether this home may read a space, by what is known here and these credentials.
    pub(crate) fn would_read(&self, space: CredentialId, brought: &[Credential]) -> bool {
        let (Some(own), now) = (self.device.did(), self.clock.now()) else { return false };
        let mut all = Log::new();
        for credential in self.of_itself().iter().chain(&self.about(space)).chain(brought) {
            all.follow(credential.statement().subject);
            // What is not valid is left out.
            let _ = all.insert(credential.clone());
        }
        let access = Known::of(&all, Some(own), now).access(&space, &own, now);
        access.is_some_and(|access| access.role >= Role::Read)
    }

    /// The invitations to a space by which somebody could join now.
    pub(crate) fn open_invitations(&self, space: CredentialId) -> Vec<OpenInvitation> {
        let mut settled = self.settled.lock().unwrap_or_else(PoisonError::into_inner);
        self.log().state_by(&mut settled).open_invitations(space, self.clock.now())
    }

    /// What this home's identity says of itself.
    pub(crate) fn of_itself(&self) -> Vec<Credential> {
        let Some(identity) = self.known().identity else { return Vec::new() };
        self.log().of_identity(identity).into_iter().cloned().collect()
    }

    /// The newest credentials that somebody who writes in a space has seen of it, in order.
    pub(crate) fn seen_of(&self, space: CredentialId) -> Vec<CredentialId> {
        let Some(identity) = self.known().identity else { return Vec::new() };
        let about = Claim::Member { space, member: identity, role: Role::Admin };
        self.log().parents(identity, &about)
    }

    /// The heads of the spaces of which a key said something, in order, as many as a revocation of it can name: of those that
    /// it began first, which would end with it.
    pub(crate) fn heads_of_spaces_by(&self, key: Did) -> Vec<CredentialId> {
        let (mut begun, mut others) = (BTreeSet::new(), BTreeSet::new());
        {
            let log = self.log();
            for credential in log.iter().filter(|credential| credential.statement().issuer == key) {
                let Some(space) = log.space(&credential.id()) else { continue };
                let is_begun = matches!(credential.claim(), Claim::SpaceGenesis);
                if is_begun {
                    begun.insert(space)
                } else {
                    others.insert(space)
                };
            }
        }
        let mut heads = BTreeSet::new();
        for space in begun.iter().chain(others.difference(&begun)) {
            let of_space = self.seen_of(*space);
            if heads.len() + of_space.len() <= Claim::SEEN_MAX {
                heads.extend(of_space);
            }
        }
        heads.into_iter().collect()
    }

    /// What an agent is to know: what its identity says of itself, and of the spaces that it may read.
    pub(crate) fn for_agent(&self, spaces: &BTreeSet<CredentialId>) -> Vec<Credential> {
        let of_itself: BTreeSet<_> = self.of_itself().iter().map(Credential::id).collect();
        let log = self.log();
        let about = spaces.iter().flat_map(|space| log.about(*space)).map(Credential::id);
        let wanted: BTreeSet<_> = about.chain(of_itself).collect();
        log.iter().filter(|credential| wanted.contains(&credential.id())).cloned().collect()
    }

    /// Whether anything was ever said of an identity in a space.
    pub(crate) fn knows_in(&self, space: CredentialId, identity: &Did) -> bool {
        self.log().identities_of(space).contains(identity)
    }

    /// The delegation by which this key, if it is an agent's, has these rights for so long.
    pub(crate) fn own_delegation(&self, wanted: &[Scope], until: Timestamp) -> Option<CredentialId> {
        let (log, own) = (self.log(), self.device.did()?);
        let state = log.state();
        let gives = |credential: &&Credential| match credential.claim() {
            Claim::AgentDelegation { agent, scopes, expires, .. } => {
                let covers = |wanted: &Scope| scopes.iter().any(|scope| scope.covers(wanted));
                *agent == own && *expires >= until && wanted.iter().all(covers) && state.is_valid(&credential.id())
            }
            _ => false,
        };
        log.iter().find(gives).map(Credential::id)
    }

    /// Whether somebody delegated something in a space to an agent, for a time that is not over, whatever became of it.
    pub(crate) fn has_delegated(&self, agent: &Did, space: CredentialId, now: Timestamp) -> bool {
        let space = space.to_string();
        let about = |scope: &Scope| scope.conditions().get("space").is_none_or(|named| *named == space);
        self.log().iter().any(|credential| match credential.claim() {
            Claim::AgentDelegation { agent: to, scopes, expires, .. } => {
                to == agent && now < *expires && scopes.iter().any(about)
            }
            _ => false,
        })
    }

    /// A statement of now.
    pub(crate) fn statement(&self, issuer: Did, subject: Did, parents: Vec<CredentialId>, claim: Claim) -> Statement {
        let mut nonce = [0; 12];
        self.entropy.fill(&mut nonce);
        Statement { issuer, subject, parents, issued: self.clock.now(), nonce, claim }
    }

    /// To be done to its end: what is durable and not told of would count for nobody.
    async fn add(&self, credentials: Vec<Credential>) -> Result<Added, NodeError> {
        let (mut records, mut refusal) = (Vec::new(), None);
        {
            let mut log = self.log();
            for credential in credentials {
                let subject = credential.statement().subject;
                if self.known().identity.is_none() && log.is_empty() {
                    log.follow(subject);
                }
                // Whatever waits for its parents is asked for again with them.
                if credential.statement().parents.iter().any(|parent| log.get(parent).is_none()) {
                    continue;
                }
                let bytes = credential.encode();
                match log.insert(credential) {
                    Ok(Inserted::Now { .. }) => records.push(bytes),
                    Ok(_) => {}
                    Err(error) => refusal = Some(error),
                }
            }
        }
        let count = records.len();
        if count == 0 {
            return Ok(Added { count, refusal });
        }
        let slices: Vec<&[u8]> = records.iter().map(Vec::as_slice).collect();
        let written = match self.journal.append_batch(&slices) {
            Ok(commit) => commit.durable().await.map(drop),
            Err(error) => Err(error),
        };
        if let Err(error) = written {
            // What is not durable was never said.
            self.read_again()?;
            return Err(NodeError::caused(ErrorKind::Failed, "identity_failed", &error));
        }
        self.tell(&self.log());
        Ok(Added { count, refusal })
    }

    /// Takes the log as it lies on the disk.
    fn read_again(&self) -> Result<(), NodeError> {
        let (mut log, mut broken) = (Log::new(), None);
        let read = self.journal.read(Position(0), |_, bytes| {
            broken = restore(&mut log, bytes).err();
            Ok::<_, JournalError>(broken.is_none())
        });
        read.map_err(|error| NodeError::caused(ErrorKind::Failed, "identity_failed", &error))?;
        match broken {
            Some(error) => Err(unreadable(error, "the folder `identity`")),
            None => {
                *self.settled.lock().unwrap_or_else(PoisonError::into_inner) = Settled::default();
                *self.log() = log;
                Ok(())
            }
        }
    }

    fn tell(&self, log: &Log) {
        self.known.send_replace(Arc::new(Known::of(log, self.device.did(), self.clock.now())));
    }
}

/// Whose home it is and how many credentials it has, as they lie there: each is read, and its signature verified.
pub(crate) fn look(disk: &Arc<dyn Disk>, entropy: &dyn Entropy, home: &Home) -> Result<(Option<Did>, u64), NodeError> {
    let (journal, log) = open_log(disk, entropy, home)?;
    Ok((log.iter().next().map(|credential| credential.statement().subject), journal.durable().0))
}

/// Of what somebody brought, what is about a space, or said of themselves by those who are or were its members; and who those
/// are. What stands on anything else is left out: it could not be passed on, and nothing that stands on it either.
fn fitting(log: &Log, space: CredentialId, brought: Vec<Credential>) -> (BTreeSet<Did>, Vec<Credential>) {
    let mut all = Log::new();
    let mut known = BTreeSet::new();
    for credential in log.about(space) {
        known.insert(credential.id());
        all.follow(credential.statement().subject);
        let _ = all.insert(credential.clone());
    }
    for credential in &brought {
        all.follow(credential.statement().subject);
        // One that is not valid is left out of the home's log, too.
        let _ = all.insert(credential.clone());
    }
    let state = all.state();
    let mut members = BTreeSet::new();
    for credential in all.iter().filter(|credential| all.space(&credential.id()) == Some(space)) {
        let member = match credential.claim() {
            Claim::SpaceGenesis => credential.statement().subject,
            Claim::Member { member, .. } | Claim::Join { member, .. } => *member,
            _ => continue,
        };
        if state.is_valid(&credential.id()) {
            members.insert(member);
        }
    }
    let mut fitting = Vec::new();
    for credential in brought {
        let about = all.space(&credential.id());
        let fits = all.get(&credential.id()).is_some()
            && about.is_none_or(|about| about == space)
            && members.contains(&credential.statement().subject)
            && credential.statement().parents.iter().all(|parent| known.contains(parent));
        if fits && known.insert(credential.id()) {
            fitting.push(credential);
        }
    }
    (members, fitting)
}

fn open_log(disk: &Arc<dyn Disk>, entropy: &dyn Entropy, home: &Home) -> Result<(Journal, Log), NodeError> {
    let folder = home.join(FOLDER);
    let layout = JournalOptions { segment_bytes: SEGMENT_BYTES };
    let mut log = Log::new();
    let journal = Journal::open_with(Arc::clone(disk), entropy, &folder, layout, |_, bytes| restore(&mut log, bytes));
    Ok((journal.map_err(|error| unreadable(error, &folder.display().to_string()))?, log))
}

/// Puts back a credential that was taken before.
fn restore(log: &mut Log, bytes: &[u8]) -> Result<(), OpenError> {
    let credential = Credential::decode(bytes).map_err(|error| match error {
        CredentialError::Version(_) => OpenError::Newer(error),
        error => OpenError::Damaged(error.to_string()),
    })?;
    // Nobody's was kept who was not followed.
    log.follow(credential.statement().subject);
    log.insert(credential).map(drop).map_err(|error| OpenError::Damaged(error.to_string()))
}

fn unreadable(error: OpenError, folder: &str) -> NodeError {
    let copy = format!("put {folder} back from a copy; `nisse identity recover` in another home begins anew");
    match error {
        OpenError::Journal(error) => NodeError::caused(ErrorKind::Failed, "identity_failed", &error).with_hint(copy),
        OpenError::Damaged(text) => {
            let text = format!("failed to read this home's credentials: {text}");
            NodeError::new(ErrorKind::Failed, "identity_damaged", text).with_hint(copy)
        }
        OpenError::Newer(error) => NodeError::caused(ErrorKind::Refused, "identity_newer", &error)
            .with_hint("a newer nisse used this home: run that one; nothing was changed here".to_owned()),
    }
}

fn refused(error: &dyn std::error::Error) -> NodeError {
    NodeError::caused(ErrorKind::Refused, "credential_refused", error)
}

/// Said where something needs an identity.
pub(crate) fn none() -> NodeError {
    NodeError::new(ErrorKind::Conflict, "identity_none", "failed to find an identity: this home belongs to nobody yet")
        .with_hint("`nisse identity new` makes one; `nisse device pair` joins that of another machine".to_owned())
}

#[cfg(test)]
mod tests;
