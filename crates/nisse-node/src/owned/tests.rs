use std::collections::BTreeSet;

use nisse_model::{Claim, Hash256, Log, SigningKey, Statement};

use super::*;

const NOW: Timestamp = Timestamp(1_000_000);

/// What a member of a space with this role has of the agent `a.b`, which it owns.
fn held(role: Role) -> Held {
    let member = SigningKey::from_seed(&[9; 32]).did();
    Held { agents: [("a.b".parse().expect("a name"), (member, role))].into() }
}

fn may(role: Role, right: &str) -> bool {
    held(role).may(&right.parse().expect("a right"))
}

#[test]
fn each_role_gives_what_it_says_and_what_the_lower_ones_give() {
    for (command, least) in GIVES {
        let right = format!("{command}?agent=a.b");
        for role in [Role::Read, Role::Edit, Role::Admin] {
            assert_eq!(may(role, &right), role >= least, "{} {right}", role.as_str());
        }
        for other in [command.to_owned(), format!("{command}?agent=a.c"), format!("{command}?agent=a%2Eb")] {
            assert!(!may(Role::Admin, &other), "{other}");
        }
        assert!(!may(Role::Admin, &format!("{command}?agent=a.b&x=y")), "{command}");
    }
    for role in [Role::Read, Role::Edit, Role::Admin] {
        assert!(may(role, LIST));
    }
    assert!(!Held::default().may(&LIST.parse().expect("a right")));
    for right in
        ["/", "/agent", "/agent?agent=a.b", "/agent/fund?agent=a.b", "/agent/rollback?agent=a.b", "/agent/deploy"]
    {
        assert!(!may(Role::Admin, right), "{right}");
    }
}

#[test]
fn whose_an_agent_is_outlives_the_node() {
    let disk = nisse_testkit::SimDisk::new(1);
    let home = Path::new("/home");
    disk.create_dir_all(home).expect("a folder");
    let (agent, other): (AgentName, AgentName) = ("a.b".parse().expect("a name"), "a.c".parse().expect("a name"));
    let space = CredentialId(Hash256([7; 32]));
    let owned = Owned::open(&disk, home).expect("opened");
    let changes = owned.changes();
    owned.set(&disk, &other, None).expect("nothing changes");
    assert!(!disk.exists(&home.join(FILE)) && !changes.has_changed().expect("it is there"));
    owned.set(&disk, &agent, Some(space)).expect("kept");
    assert!(changes.has_changed().expect("it is there"));
    let again = Owned::open(&disk, home).expect("opened again");
    assert_eq!((again.space_of(&agent), again.space_of(&other)), (Some(space), None));
    again.set(&disk, &agent, None).expect("kept");
    assert!(Owned::open(&disk, home).expect("opened again").all().is_empty());
    disk.replace(&home.join(FILE), br#"{"version":2,"agents":{}}"#).expect("written");
    let refused = Owned::open(&disk, home).map(drop).expect_err("it is of another time");
    assert!(refused.text.contains("it has the version 2"), "{}", refused.text);
}

#[test]
fn a_role_counts_by_the_credentials_of_now_and_for_devices_alone() {
    let key = |byte| SigningKey::from_seed(&[byte; 32]);
    let (root, device, bob, laptop) = (key(1), key(2), key(3), key(4));
    let mut log = Log::new();
    assert!(log.follow(root.did()) && log.follow(bob.did()));
    let name = |text: &str| text.parse().expect("a name");
    let mut said = 0;
    let mut say = |signer: &SigningKey, subject: Did, claim: Claim| {
        said += 1;
        let (parents, nonce) = (log.parents(subject, &claim), [said; 12]);
        let statement = Statement { issuer: signer.did(), subject, parents, issued: NOW, nonce, claim };
        let credential = statement.sign(signer).expect("signed");
        let id = credential.id();
        log.insert(credential).expect("taken");
        assert!(log.state().is_valid(&id));
        (id, Known::of(&log, Some(key(2).did()), NOW))
    };
    say(&root, root.did(), Claim::IdentityGenesis { device: device.did(), name: name("home") });
    let (space, _) = say(&device, root.did(), Claim::SpaceGenesis);
    let member = |role| Claim::Member { space, member: bob.did(), role };
    say(&device, root.did(), member(Role::Admin));
    let (_, known) = say(&bob, bob.did(), Claim::IdentityGenesis { device: laptop.did(), name: name("bob") });
    let owners: Owners = [("a.b".parse().expect("a name"), space)].into();
    let has = |known: &Known, key: &Did| {
        let held = Held::of(&owners, known, key, NOW);
        held.agents.values().map(|(member, role)| (*member, *role)).collect::<BTreeSet<_>>()
    };
    assert_eq!(has(&known, &laptop.did()), [(bob.did(), Role::Admin)].into());
    // The home's own are what their identity makes them, and a root key is on paper.
    for nothing in [device.did(), root.did(), bob.did(), key(5).did()] {
        assert_eq!(has(&known, &nothing), BTreeSet::new(), "{nothing}");
    }
    let before = Held::of(&owners, &known, &laptop.did(), NOW);
    let (_, known) = say(&device, root.did(), member(Role::Read));
    let after = Held::of(&owners, &known, &laptop.did(), NOW);
    assert_eq!(has(&known, &laptop.did()), [(bob.did(), Role::Read)].into());
    assert!(before.still_has(&after) && !after.still_has(&before));
    let (_, known) = say(&device, root.did(), Claim::MemberRevoke { space, member: bob.did() });
    assert_eq!(has(&known, &laptop.did()), BTreeSet::new());
    assert!(Held::of(&Owners::new(), &known, &laptop.did(), NOW).is_nothing());
}

#[test]
fn a_members_update_takes_no_more_than_the_agent_has() {
    let manifest = |permissions: &str, memory: &str, cpu: &str| {
        let hash = "0".repeat(64);
        Manifest::parse(&format!(
            "agent_id: \"a.b@v1.0.0\"\ndescription: \"x\"\nresources:\n  cpu: \"{cpu}\"\n  memory: \"{memory}\"\n  gpu: \"false\"\nentry_point: \"a.wasm\"\nartifact_hash: \"{hash}\"\npermissions: [{permissions}]\n"
        ))
        .expect("a manifest")
    };
    let old = manifest("\"network_outbound:a.example:443\", \"read_ipfs\"", "64MiB", "0.5");
    for new in [old.clone(), manifest("\"read_ipfs\"", "32MiB", "0.25"), manifest("", "64MiB", "0.5")] {
        assert_eq!(check_modest(&old, &new).map_err(|error| error.text), Ok(()));
    }
    for (new, why) in [
        (manifest("\"network_outbound:b.example:443\"", "64MiB", "0.5"), "`network_outbound:b.example`"),
        (
            manifest("\"network_outbound:a.example:443\", \"secret:imap@a.example\"", "64MiB", "0.5"),
            "`secret:imap@a.example`",
        ),
        (manifest("", "65MiB", "0.5"), "more cpu, memory or gpu"),
        (manifest("", "64MiB", "0.6"), "more cpu, memory or gpu"),
    ] {
        let refused = check_modest(&old, &new).expect_err(why);
        assert!(refused.text.contains(why), "{}", refused.text);
    }
}
