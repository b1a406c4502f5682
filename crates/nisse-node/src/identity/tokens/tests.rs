//! What capabilities give while a home's credentials change.

use std::path::Path;
use std::sync::Arc;

use nisse_model::{Label, SigningKey};
use nisse_store::{Clock, Disk, Entropy};
use nisse_testkit::{SimClock, SimDisk, SimEntropy};

use super::*;
use crate::fixtures::vault_of;
use crate::home::Home;
use crate::identity::device::Device;

const NOW: Timestamp = Timestamp(1_000_000);
const LATER: Timestamp = Timestamp(2_000_000);

fn key(byte: u8) -> SigningKey {
    SigningKey::from_seed(&[byte; 32])
}

fn root() -> SigningKey {
    key(7)
}

fn label(name: &str) -> Label {
    name.parse().expect("a name")
}

fn scope(text: &str) -> Scope {
    text.parse().expect("a scope")
}

/// A home whose identity has this device and a phone.
async fn begun() -> Identity {
    let disk: Arc<dyn Disk> = Arc::new(SimDisk::new(1));
    let clock: Arc<dyn Clock> = Arc::new(SimClock::new(NOW));
    let entropy: Arc<dyn Entropy> = Arc::new(SimEntropy::new(1));
    let home = Home::open(Arc::clone(&disk), entropy.as_ref(), Path::new("/h")).expect("a home");
    let vault = vault_of(home.path(), &disk, &clock, &entropy);
    let device = Device::open(vault, &home).await.expect("a device");
    let identity = Identity::open(&disk, &clock, &entropy, &home, device).expect("an identity");
    let device = identity.drawn_device().await.expect("a key").key.did();
    let genesis = Claim::IdentityGenesis { device, name: label("home") };
    let genesis = identity.statement(root().did(), root().did(), Vec::new(), genesis).sign(&root()).expect("a genesis");
    identity.take(vec![genesis]).await.expect("taken");
    identity.say(add_phone()).await.expect("said");
    identity
}

fn phone() -> SigningKey {
    key(8)
}

fn add_phone() -> Claim {
    Claim::DeviceAdd { device: phone().did(), name: label("phone") }
}

/// By this key, having seen all that the home has.
fn by(identity: &Identity, issuer: &SigningKey, text: &str, proof: Option<CredentialId>) -> Credential {
    let claim = Claim::Capability { audience: key(9).did(), scope: scope(text), expires: LATER, proof };
    let parents = identity.log().parents(root().did(), &claim);
    identity.statement(issuer.did(), root().did(), parents, claim).sign(issuer).expect("a capability")
}

fn chains(capabilities: &[&Credential]) -> Chains {
    Chains::new(capabilities.iter().map(|one| vec![(*one).clone()]).collect()).expect("chains")
}

fn given(identity: &Identity, chains: &Chains, wanted: &str, now: Timestamp) -> String {
    match identity.chain_for(chains, key(9).did(), &scope(wanted), now) {
        Ok(chain) => chain.last().map(|last| last.id().to_string()).unwrap_or_default(),
        Err(NotGiven::Else(why, first)) => format!("else: {why}: {}", first == key(9).did()),
        Err(NotGiven::Nothing(why)) => format!("nothing: {why}"),
    }
}

#[tokio::test]
async fn a_token_ends_with_the_device_that_made_it_and_everybody_hears_of_it() {
    let identity = begun().await;
    let token = by(&identity, &phone(), "/agent/logs", None);
    let shown = chains(&[&token]);
    assert_eq!(given(&identity, &shown, "/agent/logs/follow", NOW), token.id().to_string());
    let mut changes = identity.changes();
    identity.say(Claim::DeviceRevoke { device: phone().did(), seen: Vec::new() }).await.expect("said");
    assert!(changes.has_changed().expect("it is told"));
    changes.mark_unchanged();
    let gone = format!("nothing: accept a token: {} does not have what it gives, or no longer", phone().did());
    assert_eq!(given(&identity, &shown, "/agent/logs", NOW), gone);
    // That it is a device anew brings back nothing of before.
    identity.say(add_phone()).await.expect("said");
    assert_eq!(given(&identity, &shown, "/agent/logs", NOW), gone);
    let anew = by(&identity, &phone(), "/agent/logs", None);
    assert_eq!(given(&identity, &chains(&[&token, &anew]), "/agent/logs", NOW), anew.id().to_string());
}

#[tokio::test]
async fn what_is_taken_back_gives_nothing_and_the_rest_of_a_token_goes_on() {
    let identity = begun().await;
    let make = |text: &str| identity.capability(key(9).did(), scope(text), LATER).expect("made");
    let (logs, status) = (make("/agent/logs"), make("/agent/status"));
    assert_eq!(identity.all().await.len(), 2, "they stand in no log");
    let both = chains(&[&logs, &status]);
    identity.say(Claim::Withdraw { credential: logs.id() }).await.expect("said");
    assert!(identity.is_withdrawn(&logs.id()) && !identity.is_withdrawn(&status.id()));
    assert_eq!(given(&identity, &both, "/agent/status", NOW), status.id().to_string());
    let told = given(&identity, &both, "/agent/logs", NOW);
    assert_eq!(told, "else: accept a token: it gives /agent/status, and /agent/logs is asked for: true");
    let told = given(&identity, &chains(&[&logs]), "/agent/logs", NOW);
    assert_eq!(told, format!("nothing: accept a token: {} was taken back", logs.id()));
    // What was taken back gives nothing else, either.
    assert_eq!(given(&identity, &chains(&[&logs]), "/audit/lines", NOW), told);
}

#[tokio::test]
async fn a_token_ends_at_its_time_and_is_for_its_holder_and_identity_alone() {
    let identity = begun().await;
    let token = identity.capability(key(9).did(), scope("/agent"), LATER).expect("made");
    let shown = chains(&[&token]);
    assert_eq!(given(&identity, &shown, "/agent/logs", Timestamp(LATER.0 - 1)), token.id().to_string());
    assert_eq!(given(&identity, &shown, "/agent/logs", LATER), "nothing: accept a token: it ended at 2000");
    let thief = identity.chain_for(&shown, key(10).did(), &scope("/agent/logs"), NOW);
    assert_eq!(thief, Err(NotGiven::Nothing(TokenError::OtherHolder(key(9).did()).into())));
    let claim = Claim::Capability { audience: key(9).did(), scope: scope("/agent"), expires: LATER, proof: None };
    let stranger = identity.statement(key(11).did(), key(11).did(), Vec::new(), claim).sign(&key(11)).expect("signed");
    let told = given(&identity, &chains(&[&stranger]), "/agent/logs", NOW);
    assert_eq!(told, format!("nothing: accept a token: it acts for {}, who is not whose home this is", key(11).did()));
}

#[tokio::test]
async fn a_device_that_was_cut_off_makes_no_token() {
    let identity = begun().await;
    let own = identity.known().own.expect("a key");
    let claim = Claim::DeviceRevoke { device: own, seen: Vec::new() };
    let parents = identity.log().parents(root().did(), &claim);
    let cut = identity.statement(root().did(), root().did(), parents, claim).sign(&root()).expect("signed");
    identity.take(vec![cut]).await.expect("taken");
    let refused = identity.capability(key(9).did(), scope("/agent"), LATER).expect_err("it is none");
    assert_eq!(refused.code, "credential_refused");
}

#[tokio::test]
async fn what_is_no_capability_is_told_apart() {
    let identity = begun().await;
    let token = identity.capability(key(9).did(), scope("/agent"), LATER).expect("made");
    assert!(!identity.is_no_capability(&token.id()), "what stands nowhere may be one");
    assert!(identity.all().await.iter().all(|held| identity.is_no_capability(&held.id())));
}
