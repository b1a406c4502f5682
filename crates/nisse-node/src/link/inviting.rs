//! Somebody takes an invitation to a space: they dial with its key, which the link proves, and say who they are.
//!
//! The guest sends `[1, its identity]` and what that identity says of itself; the host answers all that is known of the space.
//! The guest signs its joining with the invitation's key and sends it; the host says `[1, name]`, or `[1, name, why not]`.

use std::sync::Arc;

use minicbor::{Decoder, Encoder};
use nisse_link::{Connection, Link, LinkError, Stream};
use nisse_model::{Claim, Credential, CredentialId, Did, Log, Role, SigningKey};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use super::offering::bind_for_once;
use super::{EXCHANGE_TIME_MAX, Protocol};
use crate::audit::Deed;
use crate::core::Core;
use crate::error::{ErrorKind, NodeError, chain};
use crate::identity::wire::{self, WireError};
use crate::spaces::Invitation;

/// A space that this home's identity is a member of now.
pub(crate) struct Accepted {
    pub(crate) role: Role,
}

/// Lets in whoever dialled with the key of an invitation, if it lets them in.
pub(super) async fn host(core: &Arc<Core>, connection: &Connection) {
    let hosting = async {
        let Some(mut stream) = connection.accept().await else { return Ok(()) };
        let told = answer(core, connection.peer(), &mut stream).await;
        if told.is_ok() {
            stream.shutdown().await?;
            // To the end: what was said is heard before the connection goes.
            let _ = stream.read(&mut [0; 1]).await;
        }
        told
    };
    match tokio::time::timeout(EXCHANGE_TIME_MAX, hosting).await {
        Ok(Ok(())) => {}
        Ok(Err(error)) => tracing::debug!(error = chain(&error), "an invitation was not taken"),
        Err(_) => connection.close("too slow"),
    }
}

async fn answer(core: &Arc<Core>, key: Did, stream: &mut Stream) -> Result<(), WireError> {
    let malformed = |text: &str| WireError::Malformed(text.to_owned());
    let hello = wire::receive(stream).await?;
    let (_, mut decoder) = wire::opened(&hello)?;
    let member = Did(wire::key(decoder.bytes()?)?);
    let of_itself = wire::receive_all(stream, Log::OTHERS_BYTES_MAX).await?;
    let invited = core.identity.known().invitation(&key, core.clock.now());
    let invited = invited.ok_or_else(|| malformed("the invitation lets nobody in any more"))?;
    wire::send_all(stream, &core.identity.about(invited.space)).await?;
    let joining = wire::receive_all(stream, Credential::LENGTH_MAX).await?;
    let is_theirs = |credential: &Credential| credential.statement().subject == member;
    let joins = |credential: &Credential| match credential.claim() {
        Claim::Join { invitation, member: who } => *invitation == invited.invitation && *who == member,
        _ => false,
    };
    if !of_itself.iter().all(is_theirs) || joining.len() != 1 || !joining.iter().all(joins) {
        return Err(malformed("it brings something else than its own joining"));
    }
    let brought: Vec<Credential> = of_itself.into_iter().chain(joining).collect();
    let taken = core.take_credentials_about(invited.space, brought).await;
    taken.map_err(|error| WireError::Malformed(error.text))?;
    let role = core.identity.known().role(&invited.space, &member, core.clock.now());
    if role.is_some_and(|role| role >= invited.role) {
        // From here on it does not hang on who else took the invitation.
        let claim = Claim::Member { space: invited.space, member, role: invited.role };
        if let Err(error) = core.identity.say(claim).await {
            tracing::debug!(%error, "who came in by an invitation is a member by that alone");
        }
    }
    let spaces = core.spaces.all(core).unwrap_or_default();
    let name = spaces.into_iter().find(|one| one.space == invited.space).map(|one| one.name).unwrap_or_default();
    let is_in = role.is_some_and(|role| role >= invited.role);
    let (outcome, why) = match is_in {
        true => ("done", None),
        false => ("refused", Some("others took this invitation before, or you were expelled since it was made")),
    };
    let deed = Deed {
        by: format!("the invitation {}", invited.invitation),
        act: "space.join".into(),
        about: format!("{name} {member} as {}", invited.role.as_str()),
        outcome: outcome.to_owned(),
    };
    if let Err(error) = core.audit.note(deed).await {
        tracing::error!(%error, "a joining was not written to the audit log");
    }
    wire::send(stream, &said(&name, why)).await
}

fn said(name: &str, why: Option<&str>) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut encoder = Encoder::new(&mut bytes);
    let written = encoder.array(2 + u64::from(why.is_some())).and_then(|encoder| encoder.u64(1)).and_then(|encoder| {
        let encoder = encoder.str(name)?;
        why.map_or(Ok(()), |why| encoder.str(why).map(drop))
    });
    written.expect("writing to memory does not fail");
    bytes
}

/// Takes an invitation for this home's identity.
pub(crate) async fn accept(core: &Arc<Core>, invitation: &Invitation) -> Result<Accepted, NodeError> {
    let link = bind_for_once(core, invitation.seed.clone()).await?;
    let accepted = ask(core, invitation, &link).await;
    link.close().await;
    accepted
}

async fn ask(core: &Arc<Core>, invitation: &Invitation, link: &Link) -> Result<Accepted, NodeError> {
    let dialled = link.dial(invitation.host, &invitation.at, Protocol::Invite).await;
    let connection = dialled.map_err(|error| not_reached(&error))?;
    let mut stream = connection.open().await.map_err(|error| not_reached(&error))?;
    let asking = talk(core, invitation, &mut stream);
    let asked = tokio::time::timeout(EXCHANGE_TIME_MAX, asking).await.unwrap_or(Err(Flaw::Wire(WireError::TimedOut)));
    connection.close("done");
    match asked {
        Ok((brought, role)) => {
            core.take_credentials_about(invitation.space, brought).await?;
            Ok(Accepted { role })
        }
        Err(Flaw::Wire(error)) => Err(NodeError::caused(ErrorKind::Unreachable, "peer_broken", &error)
            .with_hint("nothing was changed here: try again".to_owned())),
        Err(Flaw::Refused(why)) => {
            let text = format!("failed to take the invitation: {why}");
            Err(NodeError::new(ErrorKind::Refused, "invitation_refused", text)
                .with_hint("ask for another one: `nisse space invite` makes it".to_owned()))
        }
    }
}

/// Why an invitation was not taken.
enum Flaw {
    Wire(WireError),
    Refused(String),
}

impl From<WireError> for Flaw {
    fn from(error: WireError) -> Self {
        Self::Wire(error)
    }
}

impl From<minicbor::decode::Error> for Flaw {
    fn from(error: minicbor::decode::Error) -> Self {
        Self::Wire(error.into())
    }
}

/// What is to be taken here, and the role that it gives.
async fn talk(core: &Arc<Core>, invitation: &Invitation, stream: &mut Stream) -> Result<(Vec<Credential>, Role), Flaw> {
    let refused = |why: &str| Flaw::Refused(why.to_owned());
    let own = core.identity.known().identity.ok_or_else(|| refused("this home belongs to nobody yet"))?;
    let of_itself = core.identity.of_itself();
    let mut hello = Vec::new();
    let mut encoder = Encoder::new(&mut hello);
    let written = encoder.array(2).and_then(|encoder| encoder.u64(1)).and_then(|encoder| encoder.bytes(&own.0));
    written.map(drop).expect("writing to memory does not fail");
    wire::send(stream, &hello).await?;
    wire::send_all(stream, &of_itself).await?;
    let about = wire::receive_all(stream, Log::SHARE_BYTES_MAX).await?;
    let key = SigningKey::from_seed(&invitation.seed);
    let (joining, role) = join(core, (own, &of_itself), &about, invitation.space, &key).map_err(Flaw::Refused)?;
    wire::send_all(stream, std::slice::from_ref(&joining)).await?;
    let answer = wire::receive(stream).await?;
    let (items, mut decoder): (u64, Decoder<'_>) = wire::opened(&answer)?;
    decoder.skip()?;
    if items > 1 {
        let why: String = decoder.str()?.chars().filter(|letter| !letter.is_control()).take(200).collect();
        return Err(Flaw::Refused(why));
    }
    Ok((about.into_iter().chain([joining]).collect(), role))
}

/// The joining, if what the host said of the space gives it.
fn join(
    core: &Core,
    (own, of_itself): (Did, &[Credential]),
    about: &[Credential],
    space: CredentialId,
    key: &SigningKey,
) -> Result<(Credential, Role), String> {
    let mut log = Log::new();
    for credential in of_itself.iter().chain(about) {
        log.follow(credential.statement().subject);
        // What is not valid is left out.
        let _ = log.insert(credential.clone());
    }
    let now = core.clock.now();
    let invited = log.state().invitation(key.did(), now);
    let (invitation, of, inviter, role) =
        invited.ok_or("it lets nobody in any more, or not yet by what is known there")?;
    if of != space {
        return Err("it is for another space than it says".to_owned());
    }
    if log.state().role(own, space).is_some_and(|has| has >= role) {
        return Err("this home's identity is a member already".to_owned());
    }
    let claim = Claim::Join { invitation, member: own };
    let parents = log.parents(inviter, &claim);
    let statement = core.identity.statement(key.did(), inviter, parents, claim);
    let joining = statement.sign(key).map_err(|error| format!("failed to {error}"))?;
    let is_in = log.insert(joining.clone()).is_ok() && log.state().role(own, space).is_some_and(|has| has >= role);
    match is_in {
        true => Ok((joining, role)),
        false => Err("it was meant for somebody else, or you were expelled since it was made".to_owned()),
    }
}

fn not_reached(error: &LinkError) -> NodeError {
    let hint = match error {
        LinkError::Refused { .. } => "it was used up, ended, or taken back: ask for another one",
        _ => "see that the home that invites is on and reached from here; the invitation is good until it ends",
    };
    let kind = if matches!(error, LinkError::Refused { .. }) { ErrorKind::Refused } else { ErrorKind::Unreachable };
    NodeError::caused(kind, "invitation_unreachable", error).with_hint(hint.to_owned())
}
