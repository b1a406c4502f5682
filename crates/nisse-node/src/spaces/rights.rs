//! What somebody who is connected may do at the moment.

use nisse_model::{CredentialId, Did, Role, Standing, Timestamp};
use nisse_space::{Admission, Rights};

use crate::identity::Known;

/// By what somebody is let in.
#[derive(Debug, Clone)]
pub(super) enum Who {
    /// A client, by a ticket.
    Client(Admission),
    /// A peer, by its key.
    Peer(Did),
    /// This home itself, by its key, with a file.
    File(Did),
}

impl Who {
    /// What they may do now, if they are let in.
    pub(super) fn rights(&self, known: &Known, space: CredentialId, now: Timestamp) -> Option<Rights> {
        match self {
            Self::Client(admission) => rights(known, admission, now),
            Self::Peer(key) | Self::File(key) => {
                let access = known.access(&space, key, now).filter(|access| access.role >= Role::Read)?;
                Some(Rights { subject: Some(access.identity), role: access.role })
            }
        }
    }

    /// For how long nothing but a credential ends that.
    pub(super) fn lasts_ms(&self, known: &Known, space: CredentialId, now: Timestamp) -> Option<u64> {
        match self {
            Self::Client(admission) => Some(admission.expires.since_ms(now)),
            Self::Peer(key) | Self::File(key) => known.access(&space, key, now)?.until.map(|until| until.since_ms(now)),
        }
    }
}

/// What whoever has a ticket may do now, if it lets them in. Its subject's role counts as it is now, and the ticket's as
/// what is given at most; a device that was cut off lets nobody in any more.
pub(crate) fn rights(known: &Known, admission: &Admission, now: Timestamp) -> Option<Rights> {
    let own = known.identity == Some(admission.subject)
        && matches!(known.standing(&admission.issuer, now), Standing::Device | Standing::Root);
    let of_member = || {
        let access = known.access(&admission.space, &admission.issuer, now);
        access.is_some_and(|access| access.identity == admission.subject)
    };
    if now >= admission.expires || !(own || of_member()) {
        return None;
    }
    let role = known.role(&admission.space, &admission.subject, now)?.min(admission.role);
    (role >= Role::Read).then_some(Rights { subject: Some(admission.subject), role })
}

#[cfg(test)]
mod tests {
    use nisse_model::{Claim, CredentialId, Did, Log, SigningKey, Statement};

    use super::*;

    const NOW: Timestamp = Timestamp(1_000_000);

    /// An identity with two devices, and a space of its own.
    struct World {
        log: Log,
        root: SigningKey,
        device: SigningKey,
        phone: SigningKey,
        space: CredentialId,
        said: u8,
    }

    impl World {
        fn new() -> Self {
            let key = |byte| SigningKey::from_seed(&[byte; 32]);
            let (root, device, phone) = (key(1), key(2), key(3));
            let mut log = Log::new();
            assert!(log.follow(root.did()));
            let mut world =
                Self { log, root, device, phone, space: CredentialId(nisse_model::Hash256([0; 32])), said: 0 };
            let name = |text: &str| text.parse().expect("a name");
            world.say(true, Claim::IdentityGenesis { device: world.device.did(), name: name("home") });
            world.say(false, Claim::DeviceAdd { device: world.phone.did(), name: name("phone") });
            world.space = world.say(false, Claim::SpaceGenesis);
            world
        }

        fn say(&mut self, root: bool, claim: Claim) -> CredentialId {
            self.said += 1;
            let (subject, key) = (self.root.did(), if root { &self.root } else { &self.device });
            let (parents, nonce) = (self.log.parents(subject, &claim), [self.said; 12]);
            let statement = Statement { issuer: key.did(), subject, parents, issued: NOW, nonce, claim };
            let credential = statement.sign(key).expect("signed");
            let id = credential.id();
            self.log.insert(credential).expect("taken");
            assert!(self.log.state().is_valid(&id));
            id
        }

        fn rights(&self, issuer: Did, role: Role, now: Timestamp) -> Option<Role> {
            let known = Known::of(&self.log, Some(self.device.did()), now);
            let admission = Admission {
                space: self.space,
                subject: self.root.did(),
                issuer,
                role,
                expires: Timestamp(NOW.0 + 1_000),
                nonce: [0; 12],
            };
            rights(&known, &admission, now).map(|rights| rights.role)
        }
    }

    #[test]
    fn a_ticket_gives_what_it_says_and_no_more_than_its_subject_has() {
        let world = World::new();
        for role in [Role::Read, Role::Edit, Role::Admin] {
            assert_eq!(world.rights(world.phone.did(), role, NOW), Some(role));
        }
        assert_eq!(world.rights(world.phone.did(), Role::Relay, NOW), None);
    }

    #[test]
    fn a_ticket_ends_with_its_time_its_device_and_its_subjects_role() {
        let mut world = World::new();
        let phone = world.phone.did();
        assert_eq!(world.rights(phone, Role::Edit, Timestamp(NOW.0 + 999)), Some(Role::Edit));
        assert_eq!(world.rights(phone, Role::Edit, Timestamp(NOW.0 + 1_000)), None);
        assert_eq!(world.rights(SigningKey::from_seed(&[9; 32]).did(), Role::Edit, NOW), None);
        world.say(false, Claim::DeviceRevoke { device: phone, seen: Vec::new() });
        assert_eq!(world.rights(phone, Role::Edit, NOW), None);
        assert_eq!(world.rights(world.device.did(), Role::Edit, NOW), Some(Role::Edit));
        let (space, member) = (world.space, world.root.did());
        world.say(false, Claim::MemberRevoke { space, member });
        assert_eq!(world.rights(world.device.did(), Role::Edit, NOW), None);
    }
}
