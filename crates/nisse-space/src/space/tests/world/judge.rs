//! What must be so in the end, worked out from all that was ever signed and not by asking a space.

use std::collections::{BTreeMap, BTreeSet};

use automerge::{Automerge, Change, ChangeHash, ReadDoc as _};
use nisse_model::{Claim, CredentialId, Did, Log, Role, Word};

use super::super::Event;
use super::net::{Net, lines};
use super::steps::{DOCUMENTS, objects};
use crate::chunk::{Chunk, ChunkId};
use crate::document_id::DocumentId;
use crate::vouched::changes_in;

impl Net {
    /// Heals everything, lets them exchange what they have, and says what is not as it should be.
    pub(super) fn judge(&mut self) -> Result<(), String> {
        let with_strangers = self.random.once_in(2);
        let all_honest: Vec<usize> = (0..self.peers.len()).filter(|at| self.peers[*at].is_honest()).collect();
        let together = self.all_said(&all_honest);
        let state = together.state();
        let reads = |at: &usize| {
            let member = &self.peers[*at].member;
            let (key, identity) = (member.key.did(), member.identity);
            state.acts_in(key, identity, self.space, Role::Read, member.now.get())
        };
        let there: Vec<usize> = all_honest.into_iter().filter(reads).collect();
        self.tell(|| format!("all that follow the rules and are members: {there:?}"));
        self.heal(&there, with_strangers);
        if there.is_empty() {
            return Ok(());
        }
        let log = self.all_said(&there);
        self.check_logs(&there, &log)?;
        let held: Vec<BTreeSet<(DocumentId, ChunkId)>> = there.iter().map(|at| self.peers[*at].held()).collect();
        let known: BTreeSet<(DocumentId, ChunkId)> = held.iter().flatten().copied().collect();
        for document in DOCUMENTS.into_iter().chain(self.places()) {
            let expected = self.expected(document, &log, &known)?;
            for at in &there {
                self.check_document(*at, document, &expected)?;
            }
        }
        self.check_rights(&there, &log)?;
        self.check_kept(&there, &log)?;
        self.check_objects(&there)?;
        self.check_settled(&there);
        Ok(())
    }

    fn heal(&mut self, there: &[usize], with_strangers: bool) {
        for link in 0..self.links.len() {
            let is_of_theirs = self.links[link].ends.iter().all(|end| there.contains(end));
            // Some stay as they are: nothing may need a new connection to arrive.
            if !is_of_theirs && !with_strangers || self.random.once_in(2) {
                self.cut(link);
            }
        }
        for pair in there.windows(2) {
            self.link(pair[0], pair[1]);
        }
        for _ in 0..3 {
            let mut left = 200_000;
            while self.carry() {
                left -= 1;
                assert!(left > 0, "they never come to an end");
            }
            for at in 0..self.peers.len() {
                self.hear_of_credentials(at);
            }
            // A link that a power cut took.
            for pair in there.windows(2) {
                self.link(pair[0], pair[1]);
            }
        }
        while self.carry() {}
        for at in 0..self.peers.len() {
            self.hear_of_credentials(at);
        }
        while self.carry() {}
    }

    /// A log of all that these know, which follows everybody.
    fn all_said(&self, of: &[usize]) -> Log {
        let mut log = Log::new();
        for identity in self.identities() {
            log.follow(identity);
        }
        for at in of {
            for credential in self.peers[*at].member.log.iter() {
                let _ = log.insert(credential.clone());
            }
        }
        log
    }

    fn check_logs(&self, there: &[usize], log: &Log) -> Result<(), String> {
        let valid = |log: &Log| -> BTreeSet<CredentialId> {
            let state = log.state();
            let about = log.iter().map(|one| one.id()).filter(|id| log.space(id) == Some(self.space));
            about.filter(|id| state.is_valid(id)).collect()
        };
        let expected = valid(log);
        for at in there {
            let found = valid(&self.peers[*at].member.log);
            if found != expected {
                let differ: Vec<_> = found.symmetric_difference(&expected).filter_map(|id| log.get(id)).collect();
                return Err(format!("{at} takes other credentials for valid: {differ:?}"));
            }
        }
        Ok(())
    }

    fn word(&self, chunk: &Chunk, log: &Log) -> Word {
        let changes = chunk.changes();
        log.state().word(changes.author, changes.identity, self.space, Role::Edit, &changes.seen, changes.signed)
    }

    /// The document of the changes that stay: those of chunks that count, and all that these stand on.
    fn expected(
        &mut self,
        document: DocumentId,
        log: &Log,
        known: &BTreeSet<(DocumentId, ChunkId)>,
    ) -> Result<Automerge, String> {
        let (mut all, mut open) = (BTreeMap::<ChangeHash, Change>::new(), Vec::new());
        let (mut cut, mut vouched) = (BTreeSet::new(), 0);
        for signed in &self.signed {
            let chunk = &signed.chunk;
            if chunk.changes().document != document || !known.contains(&(document, chunk.id())) {
                continue;
            }
            let brought = changes_in(&chunk.changes().bytes).expect("they can be read");
            let hashes: Vec<ChangeHash> = brought.iter().map(Change::hash).collect();
            all.extend(brought.into_iter().map(|change| (change.hash(), change)));
            if self.word(chunk, log) == Word::Counts {
                open.extend(hashes);
                open.extend(chunk.changes().before.iter().copied());
            } else {
                cut.extend(hashes);
            }
        }
        let mut stay = BTreeSet::new();
        while let Some(hash) = open.pop() {
            if let Some(change) = all.get(&hash)
                && stay.insert(hash)
            {
                open.extend(change.deps());
                vouched += u64::from(cut.contains(&hash));
            }
        }
        self.totals.set_aside += cut.difference(&stay).count() as u64;
        self.totals.stayed += vouched;
        let mut expected = Automerge::new();
        let changes = stay.iter().map(|hash| all[hash].clone());
        expected.apply_changes(changes).map_err(|error| format!("the changes that stay clash: {error}"))?;
        Ok(expected)
    }

    fn check_document(&mut self, at: usize, document: DocumentId, expected: &Automerge) -> Result<(), String> {
        let summary = self.peers[at].space.store().summary(document).expect("it can be read");
        let found = self.peers[at].document(document);
        let (there, should) = (lines(found), lines(expected));
        let (lost, surplus): (Vec<_>, Vec<_>) =
            (should.difference(&there).collect(), there.difference(&should).collect());
        if !lost.is_empty() || !surplus.is_empty() {
            return Err(format!("in {document} at {at} there are not {lost:?}, and should not be {surplus:?}"));
        }
        let (heads, should) = (found.get_heads(), expected.get_heads());
        if heads != should {
            return Err(format!("{document} at {at} has the heads {heads:?} and not {should:?}"));
        }
        let noted = summary.map(|summary| summary.heads).unwrap_or_default();
        if heads != noted {
            return Err(format!("{document} at {at} has the heads {heads:?}, and its summary says {noted:?}"));
        }
        self.totals.lines += there.len() as u64;
        Ok(())
    }

    /// Who never had less than this role since they were admitted, and neither had those who admitted them less than theirs.
    fn is_untouched(&self, (identity, least): (Did, Role), log: &Log, seen: &mut BTreeSet<(Did, Role)>) -> bool {
        if !seen.insert((identity, least)) {
            return true;
        }
        log.iter().all(|credential| match credential.claim() {
            Claim::DeviceRevoke { .. } => credential.statement().subject != identity,
            Claim::MemberRevoke { member, .. } => *member != identity,
            Claim::Member { member, role, .. } if *member == identity => {
                *role >= least && self.is_untouched((credential.statement().subject, Role::Admin), log, seen)
            }
            Claim::Join { member, .. } if *member == identity => {
                self.is_untouched((credential.statement().subject, Role::Admin), log, seen)
            }
            _ => true,
        })
    }

    /// What somebody wrote by the rights that it knew of counts if nobody ever took them; and what somebody wrote whom no
    /// membership ever let write does not.
    fn check_rights(&self, there: &[usize], log: &Log) -> Result<(), String> {
        for signed in &self.signed {
            let (changes, word) = (signed.chunk.changes(), self.word(&signed.chunk, log));
            let name = self.name(signed.by);
            if there.contains(&signed.by)
                && signed.is_kept
                && !changes.only_vouches()
                && self.is_untouched((changes.identity, Role::Edit), log, &mut BTreeSet::new())
                && word != Word::Counts
            {
                return Err(format!("{name} may always write, and {} is {word:?}", signed.chunk.id()));
            }
            let member = changes.identity;
            let ever = log.iter().any(|credential| match credential.claim() {
                Claim::Member { member: who, role, .. } => *who == member && *role >= Role::Edit,
                Claim::Join { member: who, .. } => *who == member,
                Claim::SpaceGenesis => credential.statement().subject == member,
                _ => false,
            });
            if !ever && word == Word::Counts {
                return Err(format!("{name} may never write, and {} counts", signed.chunk.id()));
            }
        }
        Ok(())
    }

    /// What was vouched for by somebody who may always is there.
    fn check_kept(&mut self, there: &[usize], log: &Log) -> Result<(), String> {
        for kept in std::mem::take(&mut self.kept) {
            let identity = self.peers[kept.by].member.identity;
            if !there.contains(&kept.by) || !self.is_untouched((identity, Role::Edit), log, &mut BTreeSet::new()) {
                continue;
            }
            for at in there {
                for (document, hash) in &kept.changes {
                    if self.peers[*at].document(*document).get_change_by_hash(hash).is_none() {
                        return Err(format!("{hash} of {document}, for which {} vouched, is not at {at}", kept.by));
                    }
                }
            }
        }
        Ok(())
    }

    /// Objects in whose documents something stands can be found.
    fn check_objects(&mut self, there: &[usize]) -> Result<(), String> {
        for at in there {
            for object in objects() {
                let document = crate::root::object_document(self.space, object);
                let lines = lines(self.peers[*at].document(document));
                let found = self.peers[*at].space.object(object).map_err(|error| error.to_string())?;
                if !lines.is_empty() && found.is_none() {
                    return Err(format!("the object {object} has {lines:?} at {at}, and can not be found"));
                }
            }
        }
        Ok(())
    }

    /// Nothing is judged otherwise when it is looked at once more.
    fn check_settled(&mut self, there: &[usize]) {
        for at in there {
            let before = self.peers[*at].held();
            self.turn(*at, vec![Event::Credentials]);
            assert_eq!(before, self.peers[*at].held());
        }
    }
}
