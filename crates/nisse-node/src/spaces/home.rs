//! The home space: one of each identity, made with it, which its devices and agents share and nobody else.
//!
//! It is a space as any other; what makes it the home space is the nonce of the credential that began it, which follows from
//! the identity. Where two devices made one each while they were apart, the one that says it is older is the home space at every home,
//! and by its id where they say the same; the other one stays, under a name of its own.

use std::sync::Arc;
use std::time::Duration;

use nisse_model::{Claim, CredentialId, Did, Hash256, Role, Standing};
use nisse_space::Registered;

use super::failed;
use super::profile;
use crate::audit::Deed;
use crate::core::Core;
use crate::error::NodeError;
use crate::supervisor::Stop;

/// What names it wherever a space is asked for.
const HOME: &str = "home";
/// How long it is waited before what failed is tried again.
const AGAIN: Duration = Duration::from_secs(60);
/// How long changes are gathered before they are looked at.
const GATHER: Duration = Duration::from_millis(50);

/// The nonce of the credential that begins an identity's home space.
pub(crate) fn home_nonce(identity: &Did) -> [u8; 12] {
    let Hash256(digest) = Hash256::of_parts(&[b"nisse home space v1", &identity.0]);
    let mut nonce = [0; 12];
    nonce.copy_from_slice(&digest[..12]);
    nonce
}

/// Makes the home space of this home's identity where there is none, and keeps it at hand, for as long as the node runs.
pub(crate) async fn keep(core: Arc<Core>, mut stop: Stop) {
    let (mut known, mut key, mut came) = (core.identity.changes(), core.identity.device_changes(), core.spaces.came());
    loop {
        let kept = settle(&core).await;
        if let Err(error) = &kept {
            tracing::warn!(error = error.text, "the home space is not at hand");
        }
        let again = async {
            match kept {
                Ok(()) => std::future::pending().await,
                Err(_) => tokio::time::sleep(AGAIN).await,
            }
        };
        let changed = tokio::select! {
            () = stop.requested() => return,
            changed = known.changed() => changed.is_ok(),
            changed = key.changed() => changed.is_ok(),
            changed = came.changed() => changed.is_ok(),
            () = again => true,
        };
        if !changed {
            return;
        }
        tokio::select! {
            () = stop.requested() => return,
            () = tokio::time::sleep(GATHER) => {}
        }
    }
}

/// Makes it, if this device may and there is none; holds it, if it may be read here; and names it.
pub(crate) async fn settle(core: &Arc<Core>) -> Result<(), NodeError> {
    let _turn = core.spaces.homing.lock().await;
    let (known, now) = (core.identity.known(), core.clock.now());
    let (Some(identity), Some(own)) = (known.identity, known.own) else { return Ok(()) };
    if known.homes.is_empty() {
        // What is sealed signs nothing: it is made once the vault is open.
        if known.standing(&own, now) != Standing::Device || core.identity.device().is_err() {
            return Ok(());
        }
        make(core, &identity).await?;
    }
    let known = core.identity.known();
    let Some(home) = known.homes.first().copied() else { return Ok(()) };
    if known.access(&home, &own, now).is_none_or(|access| access.role < Role::Read) {
        return Ok(());
    }
    let held = core.spaces.all(core)?;
    if held.iter().all(|one| one.space != home) {
        core.spaces.hold(core, home, free_name(&held, home))?;
        tracing::info!(target: "nisse::event::space", step = "home", space = %home);
    }
    name(core, &known.homes)?;
    let held = core.spaces.all(core)?;
    match held.into_iter().find(|one| one.space == home) {
        Some(registered) => profile::settle(core, &registered).await,
        None => Ok(()),
    }
}

async fn make(core: &Arc<Core>, identity: &Did) -> Result<(), NodeError> {
    let deed = |outcome: &str| Deed {
        by: "node".to_owned(),
        act: "space.create".into(),
        about: HOME.to_owned(),
        outcome: outcome.to_owned(),
    };
    let written = core.audit.note(deed("asked")).await;
    written.map_err(|error| crate::audit::unwritten(&error))?;
    core.spaces.database(core)?;
    // Held it is by whoever calls this, or at the next start: its credential says what it is.
    let (saying, nonce) = (Arc::clone(core), home_nonce(identity));
    let said = async move { saying.identity.say_with(Claim::SpaceGenesis, nonce).await };
    let said = core.supervisor.to_its_end("home space", said).await;
    let said = said.map_err(|error| NodeError::caused(crate::error::ErrorKind::Failed, "cut_off", &error))?;
    let outcome = said.as_ref().map_or_else(|error| format!("refused: {}", error.text), |_| "done".to_owned());
    let written = core.audit.note(deed(&outcome)).await;
    let space = said?;
    written.map_err(|error| crate::audit::done_and_unwritten(&error))?;
    tracing::info!(target: "nisse::event::space", step = "made", %space);
    Ok(())
}

/// Gives the spaces of this home the names that they are to have.
fn name(core: &Arc<Core>, homes: &[CredentialId]) -> Result<(), NodeError> {
    for renamed in renamed(&core.spaces.all(core)?, homes) {
        renamed.keep(&*core.spaces.database(core)?).map_err(|error| failed(&error))?;
        core.spaces.forget_names();
    }
    Ok(())
}

/// Which spaces are called something else: the home space is `home`, unless that is a space that is none of these identity's home
/// spaces. What has the name and is not the home space any more gives it up first.
fn renamed(held: &[Registered], homes: &[CredentialId]) -> Vec<Registered> {
    let to = |one: &Registered, name: String| Registered { name, ..one.clone() };
    let home = held.iter().find(|one| homes.first() == Some(&one.space));
    let Some(home) = home.filter(|home| home.name != HOME) else { return Vec::new() };
    match held.iter().find(|one| one.name == HOME) {
        Some(other) if homes.contains(&other.space) => {
            vec![to(other, by_digits(other.space)), to(home, HOME.to_owned())]
        }
        Some(_) if home.name == by_digits(home.space) => Vec::new(),
        Some(_) => vec![to(home, by_digits(home.space))],
        None => vec![to(home, HOME.to_owned())],
    }
}

fn free_name(held: &[Registered], home: CredentialId) -> String {
    if held.iter().any(|one| one.name == HOME) { by_digits(home) } else { HOME.to_owned() }
}

fn by_digits(space: CredentialId) -> String {
    let digits: String = space.to_string().chars().take(8).collect();
    format!("{HOME}-{digits}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn space(byte: u8) -> CredentialId {
        CredentialId(Hash256([byte; 32]))
    }

    fn held(names: &[(u8, &str)]) -> Vec<Registered> {
        let one =
            |(byte, name): &(u8, &str)| Registered { space: space(*byte), name: (*name).to_owned(), replica: [0; 16] };
        names.iter().map(one).collect()
    }

    fn named(names: &[(u8, &str)], homes: &[u8]) -> Vec<(u8, String)> {
        let homes: Vec<_> = homes.iter().copied().map(space).collect();
        renamed(&held(names), &homes).into_iter().map(|one| (one.space.0.0[0], one.name)).collect()
    }

    #[test]
    fn the_home_space_is_called_home_unless_its_owner_called_another_one_so() {
        assert_eq!(named(&[(1, "home"), (2, "notes")], &[1]), []);
        assert_eq!(named(&[(1, "space-01010101")], &[1]), [(1, "home".to_owned())]);
        // One that was made apart gives the name up, first.
        let taken = named(&[(1, "space-01010101"), (2, "home")], &[1, 2]);
        assert_eq!(taken, [(2, "home-02020202".to_owned()), (1, "home".to_owned())]);
        // What somebody called so before keeps it.
        assert_eq!(named(&[(1, "space-01010101"), (2, "home")], &[1]), [(1, "home-01010101".to_owned())]);
        assert_eq!(named(&[(1, "home-01010101"), (2, "home")], &[1]), []);
        assert_eq!(free_name(&held(&[(2, "home")]), space(1)), "home-01010101");
        // Not held here: nothing is called anything.
        assert_eq!(named(&[(2, "home")], &[1]), []);
        assert_eq!(named(&[(2, "home")], &[]), []);
    }

    #[test]
    fn each_identity_has_a_nonce_of_its_own_for_it() {
        assert_eq!(home_nonce(&Did([1; 32])), home_nonce(&Did([1; 32])));
        assert_ne!(home_nonce(&Did([1; 32])), home_nonce(&Did([2; 32])));
    }
}
