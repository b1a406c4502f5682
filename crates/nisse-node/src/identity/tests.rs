//! What a home keeps of its identity over restarts and power cuts, what it refuses, and what two devices tell each other.

use std::path::Path;

use nisse_model::{Label, SigningKey, Standing, Timestamp};
use nisse_testkit::{Fault, SimClock, SimDisk, SimEntropy};
use tokio::io::AsyncWriteExt as _;

use super::wire::{self, WireError};
use super::*;
use crate::fixtures::vault_of;
use crate::spaces::home_nonce;

const ROOT: [u8; 32] = [7; 32];

struct World {
    disk: SimDisk,
    clock: SimClock,
}

impl World {
    fn new(seed: u64) -> Self {
        Self { disk: SimDisk::new(seed), clock: SimClock::new(Timestamp(1_000_000)) }
    }

    async fn open(&self) -> Result<Identity, NodeError> {
        let disk: Arc<dyn Disk> = Arc::new(self.disk.clone());
        let clock: Arc<dyn Clock> = Arc::new(self.clock.clone());
        let entropy: Arc<dyn Entropy> = Arc::new(SimEntropy::new(self.disk.operations()));
        let home = Home::open(Arc::clone(&disk), entropy.as_ref(), Path::new("/h"))?;
        let device = Device::open(vault_of(home.path(), &disk, &clock, &entropy), &home).await?;
        Identity::open(&disk, &clock, &entropy, &home, device)
    }

    /// A home whose identity began here.
    async fn begun(seed: u64, root: [u8; 32], name: &str) -> (Self, Identity) {
        let world = Self::new(seed);
        let identity = world.open().await.expect("a home");
        let device = identity.drawn_device().await.expect("a key").key.did();
        let claim = Claim::IdentityGenesis { device, name: label(name) };
        let root = SigningKey::from_seed(&root);
        let genesis = identity.statement(root.did(), root.did(), Vec::new(), claim).sign(&root).expect("a genesis");
        assert_eq!(identity.take(vec![genesis]).await.expect("taken"), 1);
        (world, identity)
    }
}

fn label(name: &str) -> Label {
    name.parse().expect("a name")
}

fn did(byte: u8) -> Did {
    SigningKey::from_seed(&[byte; 32]).did()
}

fn standing(identity: &Identity, key: Did) -> Standing {
    identity.known().standing(&key, Timestamp(1_000_000))
}

#[tokio::test]
async fn what_was_said_is_there_after_a_power_cut_and_the_key_is_the_same() {
    let (world, identity) = World::begun(1, ROOT, "home").await;
    identity.say(Claim::DeviceAdd { device: did(1), name: label("laptop") }).await.expect("said");
    identity.say(Claim::DeviceRevoke { device: did(1), seen: Vec::new() }).await.expect("said");
    identity.say(Claim::DeviceAdd { device: did(2), name: label("phone") }).await.expect("said");
    let (own, all) = (identity.known().own, identity.all().await);
    drop(identity);
    for cut in 0..20 {
        world.disk.power_cut(cut);
        let identity = world.open().await.expect("the same home");
        assert_eq!((identity.known().own, identity.all().await), (own, all.clone()));
        assert_eq!((standing(&identity, did(1)), standing(&identity, did(2))), (Standing::Nothing, Standing::Device));
        assert_eq!(identity.known().name(&did(2)), Some("phone"));
    }
}

#[tokio::test]
async fn what_the_disk_refuses_was_never_said() {
    let (world, identity) = World::begun(2, ROOT, "home").await;
    world.disk.fail(Fault::NoSpace(0));
    let refused = identity.say(Claim::DeviceAdd { device: did(1), name: label("laptop") }).await;
    assert_eq!(refused.expect_err("no room").code, "identity_failed");
    assert_eq!((standing(&identity, did(1)), identity.all().await.len()), (Standing::Nothing, 1));
    world.disk.heal();
    drop(identity);
    let identity = world.open().await.expect("the same home");
    assert_eq!((standing(&identity, did(1)), identity.all().await.len()), (Standing::Nothing, 1));
    identity.say(Claim::DeviceAdd { device: did(1), name: label("laptop") }).await.expect("said");
    assert_eq!(standing(&identity, did(1)), Standing::Device);
}

/// Appends bytes to the log of credentials of a home that is closed.
fn append(world: &World, record: &[u8]) {
    let disk: Arc<dyn Disk> = Arc::new(world.disk.clone());
    let layout = JournalOptions { segment_bytes: SEGMENT_BYTES };
    let opened = Journal::open_with(disk, &SimEntropy::new(9), Path::new("/h/identity"), layout, |_, _| {
        Ok::<_, JournalError>(())
    });
    opened.expect("the log").append(record).expect("there is room").wait().expect("durable");
}

#[tokio::test]
async fn credentials_of_a_newer_nisse_are_left_as_they_are() {
    let (world, identity) = World::begun(4, ROOT, "home").await;
    let mut newer = identity.all().await[0].encode();
    // After the array's own byte.
    assert_eq!(newer[1], 1);
    newer[1] = 2;
    drop(identity);
    append(&world, &newer);
    for _ in 0..2 {
        let refused = world.open().await.map(|_| ()).expect_err("newer");
        assert_eq!((refused.kind, refused.code), (ErrorKind::Refused, "identity_newer"));
        assert_eq!(refused.text, "failed to read a credential of version 2: this nisse knows version 1");
        assert!(refused.hint.is_some_and(|hint| hint.contains("run that one")));
    }
}

#[tokio::test]
async fn credentials_that_are_none_are_told_as_damage() {
    let (world, identity) = World::begun(5, ROOT, "home").await;
    drop(identity);
    append(&world, b"no credential");
    let refused = world.open().await.map(|_| ()).expect_err("damaged");
    assert_eq!((refused.kind, refused.code), (ErrorKind::Failed, "identity_damaged"));
    assert!(refused.hint.is_some_and(|hint| hint.contains("put /h/identity back from a copy")));
}

#[tokio::test]
async fn a_device_key_that_is_gone_or_damaged_is_never_drawn_anew() {
    let (world, identity) = World::begun(3, ROOT, "home").await;
    let seed = hex::encode(identity.device().expect("a key").seed.as_slice());
    drop(identity);
    for path in ["/h/vault/secrets", "/h/keys/vault", "/h/keys/vault.begun"] {
        world.disk.remove_file(Path::new(path)).expect("removed");
    }
    let gone = world.open().await.map(|_| ()).expect_err("gone");
    assert_eq!((gone.kind, gone.code), (ErrorKind::Refused, "key_missing"));
    assert_eq!(
        gone.text,
        "failed to find the key `device`: the vault has none, and /h/identity shows that it was used"
    );
    let hint = gone.hint.unwrap_or_default();
    assert!(hint.contains("`nisse vault restore`") && hint.contains("`nisse identity recover`"), "{hint}");
    // One of an earlier nisse lies in a file.
    let path = Path::new("/h/keys/device");
    world.disk.replace(path, b"not a key").expect("written");
    assert_eq!(world.open().await.map(|_| ()).expect_err("damaged").code, "key_invalid");
    world.disk.replace(path, seed.as_bytes()).expect("written");
    for _ in 0..2 {
        world.open().await.expect("the same home");
        assert!(!world.disk.exists(path));
    }
}

#[tokio::test]
async fn a_home_takes_what_is_said_for_its_own_identity_alone() {
    let (_world, identity) = World::begun(4, ROOT, "home").await;
    let (_other_world, other) = World::begun(5, [8; 32], "other").await;
    assert_eq!(identity.take(other.all().await).await.expect("left out"), 0);
    let stranger = SigningKey::from_seed(&[9; 32]);
    let claim = Claim::DeviceAdd { device: stranger.did(), name: label("stranger") };
    let subject = identity.known().identity.expect("an identity");
    let forged = identity.statement(stranger.did(), subject, Vec::new(), claim).sign(&stranger).expect("signed");
    assert_eq!(identity.take(vec![forged]).await.expect("left out"), 0);
    assert_eq!(standing(&identity, stranger.did()), Standing::Nothing);
    let nobody = World::new(6).open().await.expect("a home");
    let refused = nobody.say(Claim::DeviceAdd { device: did(1), name: label("laptop") }).await;
    assert_eq!(refused.expect_err("no identity").code, "identity_none");
}

/// Both sides of an exchange; what the dialling one heard is taken.
async fn exchanged(one: &Identity, other: &Identity) {
    let (mut near, mut far) = tokio::io::duplex(64);
    let (heard, answered) = tokio::join!(
        async { wire::exchange(&mut near, &one.all().await).await },
        wire::answer_exchange(&mut far, other.all().await, Log::SHARE_BYTES_MAX, |heard| other.take(heard))
    );
    answered.expect("answered");
    one.take(heard.expect("heard")).await.expect("taken");
}

#[tokio::test]
async fn two_devices_know_the_same_after_one_exchange_whoever_said_it() {
    let (_world, home) = World::begun(7, ROOT, "home").await;
    let laptop_world = World::new(8);
    let laptop = laptop_world.open().await.expect("a home");
    let key = laptop.drawn_device().await.expect("a key").key.did();
    home.say(Claim::DeviceAdd { device: key, name: label("laptop") }).await.expect("said");
    laptop.take(home.all().await).await.expect("taken");
    home.say(Claim::DeviceAdd { device: did(1), name: label("phone") }).await.expect("said");
    laptop.say(Claim::DeviceAdd { device: did(2), name: label("tablet") }).await.expect("said");
    laptop.say(Claim::DeviceRename { device: did(2), name: label("old tablet") }).await.expect("said");
    exchanged(&laptop, &home).await;
    for identity in [&laptop, &home] {
        assert_eq!((standing(identity, did(1)), standing(identity, did(2))), (Standing::Device, Standing::Device));
        assert_eq!(identity.known().name(&did(2)), Some("old tablet"));
        assert_eq!(identity.all().await.len(), 5);
    }
    // With nothing new, nothing is written.
    let before = laptop_world.disk.changes();
    exchanged(&laptop, &home).await;
    assert_eq!(laptop_world.disk.changes(), before);
}

#[tokio::test]
async fn what_is_no_message_is_refused_and_takes_no_memory() {
    let (_world, identity) = World::begun(9, ROOT, "home").await;
    let huge = u32::MAX.to_be_bytes().to_vec();
    let other_version = [&4u32.to_be_bytes()[..], &[0x82, 0x02, 0x41, 0x00]].concat();
    let cut = [&9u32.to_be_bytes()[..], &[0x82, 0x01]].concat();
    let short_digest = [&4u32.to_be_bytes()[..], &[0x82, 0x01, 0x41, 0x00]].concat();
    let endless = [&3u32.to_be_bytes()[..], &[0x9f, 0x01, 0xff]].concat();
    for (sent, is_broken) in
        [(huge, false), (other_version, false), (cut, true), (short_digest, false), (endless, false)]
    {
        let (mut near, mut far) = tokio::io::duplex(64);
        near.write_all(&sent).await.expect("sent");
        drop(near);
        let error =
            wire::answer_exchange(&mut far, identity.all().await, Log::SHARE_BYTES_MAX, |heard| identity.take(heard))
                .await
                .expect_err("no message");
        assert_eq!(matches!(error, WireError::Broken(_)), is_broken, "{sent:?}: {error}");
        assert!(is_broken || matches!(error, WireError::Malformed(_)), "{sent:?}: {error}");
    }
    assert_eq!(identity.all().await.len(), 1);
}

#[test]
fn a_ticket_is_read_as_it_is_written() {
    use super::join::Ticket;
    let at = ["192.168.1.5:7475", "[fe80::1]:7475"].map(|text| text.parse().expect("an address"));
    for ticket in [Ticket { did: did(1), at: at.to_vec() }, Ticket { did: did(2), at: Vec::new() }] {
        assert_eq!(ticket.to_string().parse(), Ok(ticket));
    }
    for wrong in
        ["", "@1.2.3.4:5", "did:key:z6Mk@1.2.3.4:5", &format!("{}@localhost:1", did(1)), &format!("{}@1.2.3.4", did(1))]
    {
        assert!(wrong.parse::<Ticket>().is_err(), "{wrong}");
    }
}

#[tokio::test]
async fn the_older_of_two_home_spaces_is_the_one_and_what_only_looks_like_one_is_none() {
    let (world, identity) = World::begun(5, ROOT, "home").await;
    let own = identity.known().identity.expect("an identity");
    assert!(identity.known().homes.is_empty());
    identity.say(Claim::SpaceGenesis).await.expect("said");
    assert!(identity.known().homes.is_empty(), "any other space is none");
    identity.say_with(Claim::SpaceGenesis, home_nonce(&did(9))).await.expect("said");
    assert!(identity.known().homes.is_empty(), "nor is that of another identity");
    world.clock.advance(std::time::Duration::from_secs(1));
    let later = identity.say_with(Claim::SpaceGenesis, home_nonce(&own)).await.expect("said");
    assert_eq!(identity.known().homes, [later]);

    // The root key makes another device, apart, which says that it was there before.
    let root = SigningKey::from_seed(&ROOT);
    let claim = Claim::SpaceGenesis;
    let parents = identity.log().parents(own, &claim);
    let (issued, nonce) = (Timestamp(1_000_500), home_nonce(&own));
    let statement = Statement { issuer: root.did(), subject: own, parents, issued, nonce, claim };
    let older = statement.sign(&root).expect("signed");
    let older_id = older.id();
    assert_eq!(identity.take(vec![older]).await.expect("taken"), 1);
    assert_eq!(identity.known().homes, [older_id, later]);
    // One that was left is none any more.
    identity.say(Claim::MemberRevoke { space: older_id, member: own }).await.expect("said");
    assert_eq!(identity.known().homes, [later]);
}
