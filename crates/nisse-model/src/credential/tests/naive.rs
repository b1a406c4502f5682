//! The rules of a log a second time, written from their text: sets and formulas, no places, no bits, no order of work.

use std::collections::{BTreeMap, BTreeSet};

use super::*;

/// What a credential's validity comes down to: that others are valid, or are not.
enum Formula {
    Is(CredentialId),
    Not(Box<Formula>),
    All(Vec<Formula>),
    Any(Vec<Formula>),
    /// Fewer than this many of these are valid.
    Fewer(usize, Vec<CredentialId>),
}

use Formula::{All, Any, Fewer, Is, Not};

const YES: Formula = All(Vec::new());
const NO: Formula = Any(Vec::new());

type Known = BTreeMap<CredentialId, bool>;
type Hangs = BTreeMap<CredentialId, BTreeSet<CredentialId>>;

impl Formula {
    /// Its value, if what is known decides it.
    fn value(&self, known: &Known) -> Option<bool> {
        match self {
            Is(id) => known.get(id).copied(),
            Not(inner) => inner.value(known).map(|value| !value),
            All(parts) => decided(parts.iter().map(|part| part.value(known)), false),
            Any(parts) => decided(parts.iter().map(|part| part.value(known)), true),
            Fewer(limit, ids) => {
                let surely = ids.iter().filter(|id| known.get(id) == Some(&true)).count();
                let maybe = ids.iter().filter(|id| known.get(id) != Some(&false)).count();
                if surely >= *limit {
                    Some(false)
                } else if maybe < *limit {
                    Some(true)
                } else {
                    None
                }
            }
        }
    }

    /// What an undecided one hangs on.
    fn unknown(&self, known: &Known, found: &mut BTreeSet<CredentialId>) {
        if self.value(known).is_some() {
            return;
        }
        match self {
            Is(id) => {
                found.insert(*id);
            }
            Not(inner) => inner.unknown(known, found),
            All(parts) | Any(parts) => parts.iter().for_each(|part| part.unknown(known, found)),
            Fewer(_, ids) => found.extend(ids.iter().filter(|id| !known.contains_key(id))),
        }
    }
}

fn decided(values: impl Iterator<Item = Option<bool>>, decides: bool) -> Option<bool> {
    let values: Vec<_> = values.collect();
    if values.contains(&Some(decides)) {
        Some(decides)
    } else if values.contains(&None) {
        None
    } else {
        Some(!decides)
    }
}

/// All that could ever be valid of what was given.
pub(super) struct Naive {
    held: BTreeMap<CredentialId, Credential>,
    before: BTreeMap<CredentialId, BTreeSet<CredentialId>>,
    distance: BTreeMap<CredentialId, usize>,
    pub(super) valid: BTreeSet<CredentialId>,
    /// How often revocations cut each other off.
    pub(super) circles: u64,
}

/// A place to look from: a credential, or the end.
type From = Option<CredentialId>;

impl Naive {
    pub(super) fn of(given: &[Credential]) -> Self {
        let (held, before, distance) = Default::default();
        let mut naive = Self { held, before, distance, valid: BTreeSet::new(), circles: 0 };
        loop {
            let count = naive.held.len();
            for credential in given {
                naive.try_to_hold(credential);
            }
            if naive.held.len() == count {
                break;
            }
        }
        naive.settle();
        naive
    }

    fn try_to_hold(&mut self, credential: &Credential) {
        let parents = &credential.statement().parents;
        if !parents.iter().all(|parent| self.held.contains_key(parent)) {
            return;
        }
        let id = credential.id();
        let before = parents.iter().flat_map(|parent| self.before[parent].iter().chain([parent]).copied()).collect();
        self.before.insert(id, before);
        self.distance.insert(id, parents.iter().map(|parent| self.distance[parent] + 1).max().unwrap_or(0));
        self.held.insert(id, credential.clone());
        let everything = self.held.keys().map(|id| (*id, true)).collect();
        let hopeless = self.rule(id, true).value(&everything) != Some(true) || self.handed_on(id) > 8;
        if hopeless {
            self.held.remove(&id);
            self.before.remove(&id);
            self.distance.remove(&id);
        }
    }

    fn handed_on(&self, id: CredentialId) -> usize {
        match self.held[&id].claim() {
            Claim::AgentDelegation { proof: Some(proof), .. } => 1 + self.handed_on(*proof),
            _ => 0,
        }
    }

    fn settle(&mut self) {
        let rules: BTreeMap<_, _> = self.held.keys().map(|id| (*id, self.rule(*id, false))).collect();
        let mut known = Known::new();
        while known.len() < rules.len() {
            let open: Vec<_> = rules.iter().filter(|(id, _)| !known.contains_key(id)).collect();
            let found: Vec<_> = open.iter().filter_map(|(id, rule)| Some((**id, rule.value(&known)?))).collect();
            if !found.is_empty() {
                known.extend(found);
                continue;
            }
            // Who hangs on whom, over any number of steps.
            let mut hangs = Hangs::new();
            for (id, rule) in &open {
                rule.unknown(&known, hangs.entry(**id).or_default());
            }
            let direct = hangs.clone();
            loop {
                let longer: BTreeMap<_, BTreeSet<_>> = hangs
                    .iter()
                    .map(|(id, on)| (*id, on.iter().flat_map(|on| hangs[on].iter().chain([on]).copied()).collect()))
                    .collect();
                if longer == hangs {
                    break;
                }
                hangs = longer;
            }
            let mut beaten = BTreeSet::new();
            for (id, members) in &hangs {
                let is_closed = members.contains(id) && members.iter().all(|on| hangs[on].contains(id));
                if is_closed {
                    beaten.extend(self.beaten(members, &direct, &known));
                }
            }
            assert!(!beaten.is_empty(), "a revocation in a circle that hangs on nothing else");
            self.circles += 1;
            known.extend(beaten.into_iter().map(|id| (id, false)));
        }
        self.valid = known.into_iter().filter(|(_, valid)| *valid).map(|(id, _)| id).collect();
    }

    /// What loses to the earliest comer of a circle; or, where it stands in nobody's way, what is by the latest.
    fn beaten(&self, members: &BTreeSet<CredentialId>, direct: &Hangs, known: &Known) -> BTreeSet<CredentialId> {
        let revokes = |id: &CredentialId| self.held[id].claim().revokes();
        let cutting: Vec<_> = members.iter().copied().filter(revokes).collect();
        let came: Vec<_> = cutting
            .iter()
            .map(|id| {
                let left = |gone: &&CredentialId| {
                    self.leaves_before(**gone, *id)
                        && known.get(*gone) != Some(&false)
                        && cutting.iter().any(|other| self.before[other].contains(*gone))
                };
                ((self.held.keys().any(|gone| left(&gone)), self.came(*id, known)), *id)
            })
            .collect();
        let by = |when| came.iter().filter(|(came, _)| *came == when).map(|(_, id)| *id).collect::<BTreeSet<_>>();
        let earliest = by(came.iter().map(|(when, _)| *when).min().expect("a revocation"));
        // Its own, and through whom they came: all that is reached without going through another revocation.
        let mut reached = earliest.clone();
        loop {
            let through = reached.iter().filter(|id| earliest.contains(id) || !revokes(id));
            let more: BTreeSet<_> = through.flat_map(|id| direct[id].iter().copied()).chain(reached.clone()).collect();
            if more == reached {
                break;
            }
            reached = more;
        }
        let beaten: BTreeSet<_> = reached.into_iter().filter(|id| revokes(id) && !earliest.contains(id)).collect();
        if beaten.is_empty() { by(came.iter().map(|(when, _)| *when).max().expect("a revocation")) } else { beaten }
    }

    fn rank(&self, id: CredentialId) -> (usize, CredentialId) {
        (self.distance[&id], id)
    }

    /// Whether it is how the issuer of a revocation left, which the revocation had not seen.
    fn leaves_before(&self, gone: CredentialId, id: CredentialId) -> bool {
        let (left, said) = (self.held[&gone].statement(), self.held[&id].statement());
        let is_how = match (&left.claim, self.space_of(said)) {
            (Claim::DeviceRevoke { device, .. }, None) => *device == left.issuer && *device == said.issuer,
            (Claim::MemberRevoke { space, member }, Some(of)) => *space == of && *member == left.subject,
            _ => false,
        };
        is_how && gone != id && left.subject == said.subject && !self.before[&id].contains(&gone)
    }

    fn space_of(&self, said: &Statement) -> Option<CredentialId> {
        match &said.claim {
            Claim::Member { space, .. } | Claim::MemberRevoke { space, .. } => Some(*space),
            Claim::Withdraw { credential } => match self.held.get(credential).map(Credential::claim) {
                Some(Claim::Invitation { space, .. }) => Some(*space),
                _ => None,
            },
            _ => None,
        }
    }

    /// When the issuer of a revocation was admitted, by what still may hold.
    fn came(&self, id: CredentialId, known: &Known) -> Option<(usize, CredentialId)> {
        let (said, from) = (self.held[&id].statement(), Some(id));
        let space = self.space_of(said);
        let first = |formulas: Vec<(CredentialId, Formula)>| {
            let open = formulas.into_iter().filter(|(_, formula)| formula.value(known) != Some(false));
            open.map(|(id, _)| self.rank(id)).min()
        };
        let seen = self.seen(from);
        if let Some(space) = space {
            let admin = seen.into_iter().filter(|id| self.role_in(*id, space, said.subject) == Some(Role::Admin));
            return first(admin.map(|id| (id, self.stands(id, from, false, Some((space, said.subject))))).collect());
        }
        let admitting = seen.into_iter().filter(|id| self.admits(*id, said.issuer, said.subject));
        let (agents, own): (Vec<_>, Vec<_>) =
            admitting.partition(|id| matches!(self.held[id].claim(), Claim::AgentDelegation { .. }));
        let holding =
            |ids: Vec<CredentialId>| ids.into_iter().map(|id| (id, self.admission(id, from, false))).collect();
        let unexpired = |id: &CredentialId| match self.held[id].claim() {
            Claim::AgentDelegation { expires, .. } => said.issued < *expires,
            _ => true,
        };
        first(holding(own)).or_else(|| first(holding(agents.into_iter().filter(unexpired).collect())))
    }

    fn admits(&self, id: CredentialId, key: Did, identity: Did) -> bool {
        let said = self.held[&id].statement();
        said.subject == identity
            && match &said.claim {
                Claim::IdentityGenesis { device, .. } | Claim::DeviceAdd { device, .. } => *device == key,
                Claim::AgentDelegation { agent, .. } => *agent == key,
                _ => false,
            }
    }

    /// The role that a credential gives to an identity in a space.
    fn role_in(&self, id: CredentialId, space: CredentialId, identity: Did) -> Option<Role> {
        let said = self.held[&id].statement();
        match &said.claim {
            Claim::SpaceGenesis => (id == space && said.subject == identity).then_some(Role::Admin),
            Claim::Member { space: of, member, role } => (*of == space && *member == identity).then_some(*role),
            Claim::Join { invitation, member } => match self.held.get(invitation)?.claim() {
                Claim::Invitation { space: of, role, .. } => (*of == space && *member == identity).then_some(*role),
                _ => None,
            },
            _ => None,
        }
    }

    fn seen(&self, from: From) -> Vec<CredentialId> {
        match from {
            Some(id) => self.before[&id].iter().copied().collect(),
            None => self.held.keys().copied().collect(),
        }
    }

    /// It is valid, and nothing that takes it away reaches who looks. `of` says whose membership of what it is, if it is one
    /// that makes an admin.
    fn stands(&self, given: CredentialId, from: From, hopeful: bool, of: Option<(CredentialId, Did)>) -> Formula {
        let said = self.held[&given].statement();
        let mut parts = vec![Is(given)];
        for (id, other) in &self.held {
            let other = other.statement();
            let takes = match &other.claim {
                Claim::DeviceRevoke { device, .. } => of.is_none() && self.admits(given, *device, other.subject),
                Claim::MemberRevoke { space, member } => of == Some((*space, *member)),
                Claim::Member { space, member, role } => of == Some((*space, *member)) && *role != Role::Admin,
                Claim::Withdraw { credential } => {
                    let can_be = matches!(said.claim, Claim::AgentDelegation { .. } | Claim::Invitation { .. });
                    *credential == given && can_be && other.subject == said.subject && self.before[id].contains(&given)
                }
                _ => false,
            };
            let of_itself = match &other.claim {
                Claim::DeviceRevoke { device, .. } => *device == other.issuer,
                Claim::MemberRevoke { member, .. } | Claim::Member { member, .. } => *member == other.subject,
                _ => false,
            };
            let reaches = match from {
                None => true,
                Some(from) if of_itself => self.before[&from].contains(id),
                Some(from) => from != *id && !self.before[id].contains(&from) && !self.saw_elsewhere(other, from),
            };
            if takes && reaches && !hopeful && !self.before[&given].contains(id) {
                parts.push(Not(Box::new(Is(*id))));
            }
        }
        All(parts)
    }

    fn saw_elsewhere(&self, revocation: &Statement, what: CredentialId) -> bool {
        let Claim::DeviceRevoke { seen, .. } = &revocation.claim else { return false };
        let held = seen.iter().filter(|head| self.held.contains_key(head));
        held.into_iter().any(|head| *head == what || self.before[head].contains(&what))
    }

    /// A delegation stands, and those that it came from.
    fn admission(&self, id: CredentialId, from: From, hopeful: bool) -> Formula {
        let stands = self.stands(id, from, hopeful, None);
        match self.held[&id].claim() {
            Claim::AgentDelegation { proof: Some(proof), .. } => {
                All(vec![stands, self.admission(*proof, from, hopeful)])
            }
            _ => stands,
        }
    }

    fn acts(&self, key: Did, identity: Did, from: From, hopeful: bool, gives: &dyn Fn(&Claim) -> bool) -> Formula {
        if key == identity {
            return YES;
        }
        let admissions = self.seen(from).into_iter().filter(|id| self.admits(*id, key, identity));
        let giving = admissions.filter(|id| gives(self.held[id].claim()));
        Any(giving.map(|id| self.admission(id, from, hopeful)).collect())
    }

    fn own(&self, said: &Statement, from: From, hopeful: bool) -> Formula {
        self.acts(said.issuer, said.subject, from, hopeful, &|claim| !matches!(claim, Claim::AgentDelegation { .. }))
    }

    fn with(&self, key: Did, identity: Did, from: From, hopeful: bool, wanted: &str, until: Timestamp) -> Formula {
        let wanted = scope(wanted);
        self.acts(key, identity, from, hopeful, &|claim| match claim {
            Claim::AgentDelegation { scopes, expires, .. } => {
                until < *expires && scopes.iter().any(|scope| scope.covers(&wanted))
            }
            _ => true,
        })
    }

    fn any(&self, said: &Statement, from: From, hopeful: bool) -> Formula {
        self.acts(said.issuer, said.subject, from, hopeful, &|claim| match claim {
            Claim::AgentDelegation { expires, .. } => said.issued < *expires,
            _ => true,
        })
    }

    fn is_admin(&self, identity: Did, space: CredentialId, from: From, hopeful: bool) -> Formula {
        let admin = self.seen(from).into_iter().filter(|id| self.role_in(*id, space, identity) == Some(Role::Admin));
        Any(admin.map(|id| self.stands(id, from, hopeful, Some((space, identity)))).collect())
    }

    fn administers(&self, by: (Did, Did), space: CredentialId, at: Timestamp, from: From, hopeful: bool) -> Formula {
        let wanted = format!("/space/admin?space={space}");
        let acts = self.with(by.0, by.1, from, hopeful, &wanted, at);
        All(vec![acts, self.is_admin(by.1, space, from, hopeful)])
    }

    fn rule(&self, id: CredentialId, hopeful: bool) -> Formula {
        let (said, from) = (self.held[&id].statement(), Some(id));
        let by = (said.issuer, said.subject);
        let seen = |other: &CredentialId| self.before[&id].contains(other).then(|| self.held[other].statement());
        match &said.claim {
            Claim::IdentityGenesis { .. } => YES,
            Claim::DeviceRevoke { device, .. } if *device == said.issuer => self.any(said, from, hopeful),
            Claim::AgentDelegation { scopes, expires, proof: Some(proof), .. } => match seen(proof) {
                Some(wide) => match &wide.claim {
                    Claim::AgentDelegation { agent, scopes: held, expires: until, .. } => {
                        let fits = *agent == said.issuer
                            && wide.subject == said.subject
                            && expires <= until
                            && said.issued < *until
                            && scopes.iter().all(|scope| held.iter().any(|held| held.covers(scope)));
                        if fits { self.admission(*proof, from, hopeful) } else { NO }
                    }
                    _ => NO,
                },
                None => NO,
            },
            Claim::DeviceAdd { .. }
            | Claim::DeviceRename { .. }
            | Claim::DeviceRevoke { .. }
            | Claim::WalletBinding { .. }
            | Claim::AgentDelegation { .. } => self.own(said, from, hopeful),
            Claim::SpaceGenesis => {
                let wanted = format!("/space/create?identity={}", said.subject);
                self.with(by.0, by.1, from, hopeful, &wanted, said.issued)
            }
            Claim::MemberRevoke { space, member } if *member == said.subject => {
                let wanted = format!("/space/admin?space={space}");
                self.with(by.0, by.1, from, hopeful, &wanted, said.issued)
            }
            Claim::Member { space, .. } | Claim::MemberRevoke { space, .. } | Claim::Invitation { space, .. } => {
                self.administers(by, *space, said.issued, from, hopeful)
            }
            Claim::Capability { proof: Some(_), .. } => NO,
            Claim::Capability { scope: given, expires, .. } => {
                self.acts(by.0, by.1, from, hopeful, &|claim| match claim {
                    Claim::AgentDelegation { scopes, expires: until, .. } => {
                        expires <= until && scopes.iter().any(|held| held.covers(given))
                    }
                    _ => true,
                })
            }
            Claim::Join { invitation, member } => match seen(invitation) {
                Some(invited) => self.join(id, *invitation, invited, *member, hopeful),
                None => NO,
            },
            Claim::Withdraw { credential } => match seen(credential) {
                Some(given) if given.subject != said.subject => NO,
                Some(Statement { claim: Claim::Invitation { space, .. }, .. }) => {
                    self.administers(by, *space, said.issued, from, hopeful)
                }
                Some(given) if given.issuer == said.issuer => self.any(said, from, hopeful),
                _ => self.own(said, from, hopeful),
            },
        }
    }

    fn join(&self, id: CredentialId, ticket: CredentialId, invited: &Statement, who: Did, hopeful: bool) -> Formula {
        let (said, from) = (self.held[&id].statement(), Some(id));
        let Claim::Invitation { space, key, expires, uses, invitee, .. } = invited.claim else { return NO };
        let fits = said.issuer == key
            && said.subject == invited.subject
            && said.issued < expires
            && (invitee.is_none() || invitee == Some(who));
        if !fits {
            return NO;
        }
        let takes = |other: &&CredentialId| matches!(self.held[other].claim(), Claim::Join { invitation, .. } if *invitation == ticket);
        let earlier = self.held.keys().filter(takes).filter(|other| self.rank(**other) < self.rank(id)).copied();
        let inviter = self.administers((invited.issuer, invited.subject), space, said.issued, from, hopeful);
        let mut parts = vec![self.stands(ticket, from, hopeful, None), inviter];
        if !hopeful {
            let since =
                self.before[&id].difference(&self.before[&ticket]).filter(|other| match self.held[other].claim() {
                    Claim::MemberRevoke { space: of, member } => (*of, *member) == (space, who),
                    _ => self.role_in(**other, space, who).is_some(),
                });
            parts.extend(since.map(|other| Not(Box::new(Is(*other)))));
            parts.push(Fewer(uses as usize, earlier.collect()));
        }
        All(parts)
    }
}
