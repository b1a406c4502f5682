//! The devices and the links between them: turns, what they say carried, power cuts.

use std::collections::{BTreeSet, VecDeque};
use std::path::Path;
use std::sync::Arc;

use automerge::{Automerge, ObjId, ObjType, ROOT, ReadDoc as _, Value};
use nisse_model::{Claim, Credential, CredentialId, Did, Role, SigningKey, Timestamp};
use nisse_store::Disk as _;
use nisse_testkit::{Random, SimDisk};

use super::super::client::Client;
use super::super::{Effect, Event, PeerKey, Rights, Space, SpaceLimits, Speaks};
use super::Totals;
use super::member::Member;
use crate::chunk::{Chunk, ChunkId};
use crate::chunk_sync::{Frame, Wanted};
use crate::document_id::DocumentId;

/// Connections of clients have lower numbers.
const LINK: u64 = 1_000;
const HOUR_MS: u64 = 3_600_000;
const BEGINS_MS: u64 = 1_700_000_000_000;

/// A device with its replica.
pub(super) struct Peer {
    pub(super) member: Member,
    disk: SimDisk,
    pub(super) space: Space,
    limits: SpaceLimits,
    /// Milliseconds that its clock is behind or ahead, from an hour behind on.
    skew_ms: u64,
    pub(super) client: Option<(PeerKey, Client)>,
    /// Whether its space has yet to hear of credentials.
    pub(super) is_due: bool,
    /// Chunks that others may take for kept.
    promised: BTreeSet<(DocumentId, ChunkId)>,
}

impl Peer {
    pub(super) fn is_honest(&self) -> bool {
        self.member.malice.is_none()
    }

    pub(super) fn held(&self) -> BTreeSet<(DocumentId, ChunkId)> {
        let mut held = BTreeSet::new();
        let read = self.space.store().items(&[], None, |document, chunk| held.insert((document, chunk)));
        read.expect("the chunks can be listed");
        held
    }

    /// A document as it is served.
    pub(super) fn document(&mut self, document: DocumentId) -> &mut Automerge {
        let held = &mut self.space.held;
        &mut held.documents.get(&held.store, document, Vec::new).expect("it can be read").automerge
    }
}

/// Two ends, with what is under way to each.
pub(super) struct Link {
    pub(super) ends: [usize; 2],
    pub(super) is_up: bool,
    frames: [VecDeque<Vec<u8>>; 2],
    credentials: [VecDeque<Vec<Credential>>; 2],
}

/// A chunk that somebody signed.
pub(super) struct Signed {
    pub(super) chunk: Chunk,
    pub(super) by: usize,
    pub(super) is_kept: bool,
}

/// What was there when somebody was cut off who had been vouched for.
pub(super) struct Kept {
    pub(super) by: usize,
    pub(super) changes: Vec<(DocumentId, automerge::ChangeHash)>,
}

/// An invitation that was made.
pub(super) struct Invited {
    pub(super) by: usize,
    pub(super) key: SigningKey,
}

/// Everybody.
pub(super) struct Net {
    pub(super) random: Random,
    pub(super) peers: Vec<Peer>,
    pub(super) links: Vec<Link>,
    pub(super) space: CredentialId,
    pub(super) signed: Vec<Signed>,
    pub(super) kept: Vec<Kept>,
    pub(super) invited: Vec<Invited>,
    pub(super) totals: Totals,
    pub(super) story: Vec<String>,
    now_ms: u64,
    actors: u8,
    pub(super) written: u64,
}

impl Net {
    pub(super) fn new(seed: u64) -> Self {
        let mut random = Random::new(seed);
        let count = 3 + random.index(5);
        let mut net = Self {
            peers: Vec::new(),
            links: Vec::new(),
            space: CredentialId(nisse_model::Hash256::ZERO),
            signed: Vec::new(),
            kept: Vec::new(),
            invited: Vec::new(),
            totals: Totals::default(),
            story: Vec::new(),
            now_ms: BEGINS_MS,
            actors: 0,
            written: 0,
            random: random.fork(),
        };
        let mut members = Vec::new();
        for place in 0..count {
            let member = net.begin(place, &mut members, &mut random);
            members.push(member);
        }
        net.space = members[0].say(Claim::SpaceGenesis).expect("whoever begins a space may");
        for member in members {
            net.add(member, &mut random);
        }
        net.admit_first();
        net
    }

    /// An identity of its own, or a further device of another's.
    fn begin(&mut self, place: usize, members: &mut [Member], random: &mut Random) -> Member {
        let key =
            |kind: u8| SigningKey::from_seed(&[[kind; 16], [place as u8; 16]].concat().try_into().expect("32 bytes"));
        let (device, root) = (key(1), key(2));
        let name = "device".parse().expect("a name");
        let clock = Timestamp(BEGINS_MS);
        if place > 0 && random.once_in(4) {
            let first = random.index(place);
            let first = &mut members[first];
            first.now.set(clock);
            if first.say(Claim::DeviceAdd { device: device.did(), name }).is_some() {
                let mut member = Member::new(device, first.identity);
                member.take(&first.log.iter().cloned().collect::<Vec<_>>());
                return member;
            }
            unreachable!("a device adds another");
        }
        let mut member = Member::new(device, root.did());
        let claim = Claim::IdentityGenesis { device: member.key.did(), name };
        member.now.set(clock);
        let begun = member.statement((root.did(), root.did()), Vec::new(), claim).sign(&root);
        member.log.insert(begun.expect("in order")).expect("an identity begins");
        member
    }

    fn add(&mut self, mut member: Member, random: &mut Random) {
        member.space = self.space;
        let disk = SimDisk::new(random.next_u64());
        disk.create_dir_durable(Path::new("/home")).expect("a folder");
        let mut limits = SpaceLimits::default();
        if random.once_in(3) {
            limits.portion_bytes = 700;
        }
        if random.once_in(3) {
            limits.loaded_bytes_max = 40 << 10;
        }
        let space = open_space(&disk, self.space, self.peers.len(), limits);
        let skew_ms = random.below(2 * HOUR_MS);
        let promised = BTreeSet::new();
        self.peers.push(Peer { member, disk, space, limits, skew_ms, client: None, is_due: false, promised });
    }

    /// The first members, by whoever began the space. Everybody heard so much of it.
    fn admit_first(&mut self) {
        self.tick();
        for place in 1..self.peers.len() {
            let member = self.peers[place].member.identity;
            let role =
                *self.random.pick(&[None, Some(Role::Read), Some(Role::Edit), Some(Role::Edit), Some(Role::Admin)]);
            let has = self.peers[0].member.role_of(member);
            if let Some(role) = role.filter(|_| has.is_none()) {
                let claim = Claim::Member { space: self.space, member, role };
                self.peers[0].member.say(claim).expect("an admin admits");
                let name = self.name(place);
                self.tell(|| format!("0 admits {name} as {role:?}"));
            }
        }
        let all: Vec<Credential> =
            self.peers.iter().flat_map(|peer| peer.member.log.iter().cloned().collect::<Vec<_>>()).collect();
        for peer in &mut self.peers {
            // In whatever order: what waits comes in behind its parents.
            peer.member.take(&all);
            peer.member.take(&all);
            peer.is_due = true;
        }
        for place in 0..self.peers.len() {
            self.hear_of_credentials(place);
        }
    }

    pub(super) fn tell(&mut self, line: impl FnOnce() -> String) {
        self.story.push(line());
    }

    /// Which device of which identity.
    pub(super) fn name(&self, at: usize) -> String {
        let first = self.peers.iter().position(|peer| peer.member.identity == self.peers[at].member.identity);
        match first {
            Some(first) if first < at => format!("{at} (a device of {first})"),
            _ => at.to_string(),
        }
    }

    /// Time goes by, for each by its own clock.
    pub(super) fn tick(&mut self) {
        self.now_ms += self.random.below(HOUR_MS / 6);
        for peer in &self.peers {
            peer.member.now.set(Timestamp(self.now_ms - HOUR_MS + peer.skew_ms));
        }
    }

    pub(super) fn turn(&mut self, at: usize, events: Vec<Event>) {
        let peer = &mut self.peers[at];
        let effects = peer.space.turn(events, &peer.member);
        self.follow(at, effects);
    }

    /// Does what a turn says, and keeps the books.
    pub(super) fn follow(&mut self, at: usize, effects: Vec<Effect>) {
        let is_off = self.peers[at].disk.is_off();
        for chunk in self.peers[at].member.signed.take() {
            let is_kept = !is_off && self.holds(at, &chunk);
            self.signed.push(Signed { chunk, by: at, is_kept });
        }
        for effect in effects {
            let (Effect::Send { peer, .. } | Effect::Close { peer, .. }) = &effect;
            let link = peer.0.checked_sub(LINK).map(|link| link as usize);
            match (effect, link) {
                (Effect::Send { bytes, .. }, Some(link)) => {
                    if is_off {
                        self.promise(at, &bytes);
                    }
                    let other = usize::from(self.links[link].ends[0] == at);
                    if self.links[link].is_up {
                        self.links[link].frames[other].push_back(bytes);
                    }
                }
                (Effect::Close { why, .. }, Some(link)) => {
                    let both_honest = self.links[link].ends.iter().all(|end| self.peers[*end].is_honest());
                    assert!(is_off || !both_honest, "{at} sends an honest peer away: {why}");
                    self.cut(link);
                }
                (Effect::Send { bytes, .. }, None) => {
                    if let Some((_, client)) = &mut self.peers[at].client {
                        client.hear(&bytes);
                    }
                }
                (Effect::Close { why, .. }, None) => {
                    let expected =
                        ["connect again", "the right to read is gone", "failed to keep changes", "failed to"];
                    assert!(expected.iter().any(|text| why.contains(text)), "{at} sends its client away: {why}");
                    self.totals.clients_sent_away += 1;
                    if !is_off {
                        self.peers[at].client = None;
                    }
                }
            }
        }
        if self.peers[at].disk.is_off() {
            self.totals.cuts_in_turns += 1;
            self.reopen(at);
        }
    }

    fn holds(&self, at: usize, chunk: &Chunk) -> bool {
        self.peers[at].space.store().holds(chunk.changes().document, chunk.id()).expect("it can be read")
    }

    /// Notes what somebody says of what it has in the turn in which its power went.
    fn promise(&mut self, at: usize, bytes: &[u8]) {
        if let Ok(Frame::Chunks { chunks, .. }) = Frame::decode(bytes) {
            for bytes in chunks {
                let chunk = Chunk::decode(&bytes).expect("a chunk");
                self.peers[at].promised.insert((chunk.changes().document, chunk.id()));
            }
        }
    }

    /// The power goes within one of the next turns.
    pub(super) fn cut_power_soon(&mut self, at: usize) {
        let changes = self.random.below(12);
        let held = self.peers[at].held();
        self.peers[at].promised.extend(held);
        self.peers[at].disk.cut_after_changes(changes);
        self.tell(|| format!("the power of {at} goes soon"));
    }

    /// The power goes now.
    pub(super) fn crash(&mut self, at: usize) {
        let held = self.peers[at].held();
        self.peers[at].promised.extend(held);
        self.totals.crashes += 1;
        self.reopen(at);
    }

    fn reopen(&mut self, at: usize) {
        self.tell(|| format!("{at} loses its power"));
        let seed = self.random.next_u64();
        let (number, space) = (at, self.space);
        let acknowledged: Vec<(DocumentId, Vec<automerge::ChangeHash>)> = match &self.peers[at].client {
            Some((_, client)) => {
                let heads = client.documents.iter();
                heads.map(|(name, (_, state))| (*name, state.their_heads.clone().unwrap_or_default())).collect()
            }
            None => Vec::new(),
        };
        let peer = &mut self.peers[at];
        peer.client = None;
        peer.disk.power_cut(seed);
        peer.space = open_space(&peer.disk, space, number, peer.limits);
        let held = peer.held();
        for promised in std::mem::take(&mut peer.promised) {
            assert!(held.contains(&promised), "{at} lost {promised:?}, which it had told of");
        }
        for (document, heads) in acknowledged {
            let all = peer.space.store().all_of(document).expect("read");
            let changes =
                |kept: &crate::store::Kept| crate::vouched::changes_in(&kept.changes.bytes).unwrap_or_default();
            let there: BTreeSet<_> = all.iter().flat_map(changes).map(|change| change.hash()).collect();
            assert!(heads.iter().all(|head| there.contains(head)), "{at} lost what its client was told of");
        }
        for place in 0..self.signed.len() {
            if self.signed[place].by == at && !self.signed[place].is_kept {
                self.signed[place].is_kept = self.holds(at, &self.signed[place].chunk);
            }
        }
        for link in 0..self.links.len() {
            if self.links[link].is_up && self.links[link].ends.contains(&at) {
                self.drop_link(link, Some(at));
            }
        }
        // As a node does, which may know more by now.
        self.peers[at].is_due = true;
        self.hear_of_credentials(at);
    }

    /// The space of a device hears that there are credentials, and what its client may do by them.
    pub(super) fn hear_of_credentials(&mut self, at: usize) {
        if !std::mem::take(&mut self.peers[at].is_due) {
            return;
        }
        let mut events = Vec::new();
        if let Some((peer, _)) = &self.peers[at].client {
            events.push(Event::Rights { peer: *peer, rights: self.rights(at) });
        }
        events.push(Event::Credentials);
        self.turn(at, events);
    }

    fn rights(&self, at: usize) -> Rights {
        let member = &self.peers[at].member;
        let role = if member.malice.is_some() { Role::Edit } else { member.role().unwrap_or(Role::Relay) };
        Rights { subject: Some(member.identity), role }
    }

    /// A device's log has more: it says so to those it is linked with, and its space hears of it now or soon.
    pub(super) fn learned(&mut self, at: usize) {
        let about = self.peers[at].member.about();
        for link in self.links.iter_mut().filter(|link| link.is_up && link.ends.contains(&at)) {
            let other = usize::from(link.ends[0] == at);
            link.credentials[other].push_back(about.clone());
        }
        self.peers[at].is_due = true;
        if !self.random.once_in(4) {
            self.hear_of_credentials(at);
        }
    }

    pub(super) fn link(&mut self, one: usize, other: usize) {
        let is_up = |link: &Link| link.is_up && link.ends.contains(&one) && link.ends.contains(&other);
        if one == other || self.links.iter().any(is_up) {
            return;
        }
        self.tell(|| format!("{one} and {other} are linked"));
        let place = self.links.len();
        let key = PeerKey(LINK + place as u64);
        let about = [other, one].map(|end| VecDeque::from([self.peers[end].member.about()]));
        self.links.push(Link { ends: [one, other], is_up: true, frames: Default::default(), credentials: about });
        for (end, at) in [one, other].into_iter().enumerate().rev() {
            let rights = Rights { subject: None, role: Role::Edit };
            let speaks = Speaks::Chunks { first: end == 0, wanted: Wanted::All };
            // The power may have gone at the other.
            if self.links[place].is_up {
                self.turn(at, vec![Event::Opened { peer: key, rights, speaks }]);
            }
        }
    }

    pub(super) fn cut(&mut self, link: usize) {
        if self.links[link].is_up {
            let [one, other] = self.links[link].ends;
            self.tell(|| format!("the link of {one} and {other} is cut"));
            self.drop_link(link, None);
        }
    }

    /// Ends a link, of which those who are left hear.
    fn drop_link(&mut self, link: usize, gone: Option<usize>) {
        self.links[link].is_up = false;
        for at in self.links[link].ends.into_iter().filter(|at| Some(*at) != gone) {
            self.turn(at, vec![Event::Closed { peer: PeerKey(LINK + link as u64) }]);
        }
    }

    /// Carries one thing that is under way; `false`: there is none.
    pub(super) fn carry(&mut self) -> bool {
        let mut ways = Vec::new();
        for (place, link) in self.links.iter().enumerate().filter(|(_, link)| link.is_up) {
            for end in 0..2 {
                ways.extend((!link.frames[end].is_empty()).then_some((place, end, true)));
                ways.extend((!link.credentials[end].is_empty()).then_some((place, end, false)));
            }
        }
        if ways.is_empty() {
            return false;
        }
        let (place, end, is_frame) = *self.random.pick(&ways);
        let at = self.links[place].ends[end];
        let link = &mut self.links[place];
        if is_frame {
            let bytes = link.frames[end].pop_front().expect("one is under way");
            self.turn(at, vec![Event::Frame { peer: PeerKey(LINK + place as u64), bytes }]);
        } else {
            let credentials = link.credentials[end].pop_front().expect("some are under way");
            if self.peers[at].member.take(&credentials) {
                self.learned(at);
            }
        }
        true
    }

    /// Lets a device's client talk with its space.
    pub(super) fn talk(&mut self, at: usize) {
        for _ in 0..100 {
            let Some((peer, client)) = &mut self.peers[at].client else { return };
            let peer = *peer;
            let events: Vec<Event> = client.say().into_iter().map(|bytes| Event::Frame { peer, bytes }).collect();
            if events.is_empty() {
                return;
            }
            self.turn(at, events);
        }
        panic!("{at} and its client never come to an end");
    }

    /// Connects a device's client, if there is none, as somebody new.
    pub(super) fn connect(&mut self, at: usize) {
        if self.peers[at].client.is_some() {
            return;
        }
        let rights = self.rights(at);
        if rights.role < Role::Read {
            return;
        }
        self.actors += 1;
        let (client, peer) = (Client::new("client", self.actors), PeerKey(u64::from(self.actors)));
        let join = client.join();
        self.peers[at].client = Some((peer, client));
        let opened = Event::Opened { peer, rights, speaks: Speaks::AutomergeRepo };
        self.turn(at, vec![opened, Event::Frame { peer, bytes: join }]);
    }

    pub(super) fn identities(&self) -> BTreeSet<Did> {
        self.peers.iter().map(|peer| peer.member.identity).collect()
    }
}

fn open_space(disk: &SimDisk, space: CredentialId, number: usize, limits: SpaceLimits) -> Space {
    let disk: Arc<dyn nisse_store::Disk> = Arc::new(disk.clone());
    let database = nisse_store::Database::open(disk, &Path::new("/home").join("spaces")).expect("a database");
    Space::open(crate::store::Store::new(Arc::new(database), space), &format!("replica-{number}"), limits)
}

/// The lines that stand anywhere in a document.
pub(super) fn lines(document: &Automerge) -> BTreeSet<String> {
    fn walk(document: &Automerge, object: &ObjId, lines: &mut BTreeSet<String>) {
        for key in document.keys(object) {
            if let Ok(Some((Value::Object(ObjType::Map), inner))) = document.get(object, key.as_str()) {
                walk(document, &inner, lines);
            }
            if key.starts_with("line ") {
                lines.insert(key);
            }
        }
    }
    let mut found = BTreeSet::new();
    walk(document, &ROOT, &mut found);
    found
}
