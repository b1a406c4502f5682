//! A code that is shown here and typed on another machine, which is a device of the identity then.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use nisse_link::pairing::{Code, PairError, Purpose};
use nisse_link::{Connection, Stream};
use nisse_model::{Claim, Did, Label, Scope, Standing, Timestamp};
use tokio::io::AsyncReadExt as _;

use super::PATIENCE;
use crate::audit::Deed;
use crate::caller;
use crate::core::Core;
use crate::error::{ErrorKind, NodeError, chain};
use crate::identity::wire::{self, Welcome};

/// How long a code is good for.
pub(crate) const GOOD_FOR: Duration = Duration::from_secs(600);
/// A code at which nobody looks for so long is nobody's any more.
const LOOKED_AT_EVERY: Duration = Duration::from_secs(15);
/// How long a stranger may take to prove that they know the code.
pub(super) const PROOF_TIME_MAX: Duration = Duration::from_secs(5);
/// How many wrong tries end it.
pub(crate) const TRIES_MAX: u8 = 3;

/// A code that is or was open.
pub(crate) struct Pairing {
    pub(crate) code: Arc<Code>,
    pub(crate) tries_left: u8,
    /// Tells it from the ones before.
    pub(crate) number: u64,
    /// When it ends, by the steady clock.
    pub(crate) until: Duration,
    pub(crate) state: PairingState,
    /// What an agent is to be able to do; without it a device joins.
    pub(crate) rights: Option<Rights>,
    /// Who asked for it, as the audit log names them; and the key of the device that did, if it was another one than this.
    pub(crate) by: String,
    pub(crate) opener: Option<Did>,
    /// When somebody last looked at how it goes.
    pub(crate) looked_at: Duration,
}

/// What an agent is admitted for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Rights {
    /// In order, each once.
    pub(crate) scopes: Vec<Scope>,
    pub(crate) expires: Timestamp,
}

/// How it goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum PairingState {
    Open,
    /// Somebody proved that they know the code.
    Admitting,
    /// With this device.
    Paired(Did, Label),
    /// With nobody.
    Ended(&'static str),
}

impl Pairing {
    /// One that whoever this task acts for asks for.
    pub(crate) fn begin(code: Code, rights: Option<Rights>, now: Duration) -> Self {
        Self {
            code: Arc::new(code),
            tries_left: TRIES_MAX,
            number: u64::try_from(now.as_millis()).unwrap_or(u64::MAX),
            until: now + GOOD_FOR,
            state: PairingState::Open,
            rights,
            by: caller::caller(),
            opener: caller::device(),
            looked_at: now,
        }
    }

    /// How it goes at this time.
    pub(crate) fn state_at(&self, now: Duration) -> PairingState {
        match &self.state {
            PairingState::Open | PairingState::Admitting if now >= self.until => {
                PairingState::Ended("nobody typed the code in time")
            }
            PairingState::Open if now >= self.looked_at + LOOKED_AT_EVERY => {
                PairingState::Ended("whoever asked for it went away")
            }
            state => state.clone(),
        }
    }
}

impl Core {
    /// Whether somebody may join.
    pub(crate) fn pairing_is_open(&self) -> bool {
        self.open_code().is_some()
    }

    fn open_code(&self) -> Option<(Arc<Code>, Option<Rights>)> {
        let mut pairing = self.peers.pairing();
        let open = pairing.as_mut()?;
        if !self.is_open(open) {
            return None;
        }
        Some((Arc::clone(&open.code), open.rights.clone()))
    }

    /// Whether somebody may join by it now: whoever asked for it has to be a device still.
    fn is_open(&self, pairing: &mut Pairing) -> bool {
        let known = self.identity.known();
        let is_device = |key: &Did| known.standing(key, self.clock.now()) == Standing::Device;
        if pairing.state == PairingState::Open && !pairing.opener.as_ref().is_none_or(is_device) {
            pairing.state = PairingState::Ended("the device that asked for it was cut off");
        }
        pairing.state = pairing.state_at(self.clock.elapsed());
        pairing.state == PairingState::Open
    }

    /// Lets one guest in by the code that is shown, if it still is, and says who asked for it.
    fn begin_admitting(&self, code: &Arc<Code>) -> Result<String, NodeError> {
        let mut pairing = self.peers.pairing();
        if let Some(shown) = pairing.as_mut().filter(|shown| Arc::ptr_eq(&shown.code, code))
            && self.is_open(shown)
        {
            shown.state = PairingState::Admitting;
            return Ok(shown.by.clone());
        }
        Err(NodeError::new(ErrorKind::Conflict, "pairing_none", "failed to join: the code was taken back"))
    }

    /// Changes the pairing whose code this is, if it is still the one that is shown.
    fn settle_pairing(&self, code: &Arc<Code>, change: impl FnOnce(&mut Pairing)) {
        if let Some(pairing) = self.peers.pairing().as_mut().filter(|pairing| Arc::ptr_eq(&pairing.code, code)) {
            change(pairing);
        }
    }
}

/// Somebody came to join: they prove that they know the code, and are a device then.
pub(super) async fn host(core: &Arc<Core>, connection: &Connection) {
    let arrived = tokio::time::timeout(PATIENCE, connection.accept()).await;
    let Ok(Some(mut stream)) = arrived else { return };
    let guest = connection.peer();
    // Each run is a guess, so they are made one behind the other.
    let turn = core.peers.guessing.lock().await;
    let Some((code, rights)) = core.open_code() else { return connection.close("no code is shown") };
    let Some(own) = core.identity.known().own else { return };
    let proving = nisse_link::pairing::host(&mut stream, Purpose::Device, &code, &own, &guest, core.entropy.as_ref());
    match tokio::time::timeout(PROOF_TIME_MAX, proving).await.unwrap_or(Err(PairError::TimedOut)) {
        Ok(()) => drop(turn),
        Err(error) => {
            tracing::debug!(%guest, error = chain(&error), "somebody failed to join");
            if matches!(error, PairError::WrongCode | PairError::Malformed) {
                wrong(core, &code, &guest);
            }
            return;
        }
    }
    if let Err(error) = admit(core, (&code, rights), &guest, &mut stream).await {
        tracing::warn!(%guest, error = error.text, "a device was not admitted");
    }
    // Until the guest has read all of it: what is in flight goes with the connection.
    let mut nothing = [0; 1];
    let _ = tokio::time::timeout(PATIENCE, stream.read(&mut nothing)).await;
}

fn wrong(core: &Core, code: &Arc<Code>, guest: &Did) {
    let mut left = 0;
    core.settle_pairing(code, |pairing| {
        pairing.tries_left = pairing.tries_left.saturating_sub(1);
        left = pairing.tries_left;
        if left == 0 {
            pairing.state = PairingState::Ended("three wrong codes were given");
        }
    });
    core.audit.tried(Deed {
        by: format!("somebody with the key {guest}"),
        act: "device.pair".into(),
        about: "this home's identity".to_owned(),
        outcome: format!("refused: a wrong code, {left} tries left"),
    });
}

/// The guest is a device from here on, and has it in writing before it hears so.
async fn admit(
    core: &Arc<Core>,
    (code, rights): (&Arc<Code>, Option<Rights>),
    guest: &Did,
    stream: &mut Stream,
) -> Result<(), NodeError> {
    let broken = |error: wire::WireError| NodeError::caused(ErrorKind::Unreachable, "peer_broken", &error);
    let name = wire::hear_guest(stream).await.map_err(broken)?;
    let admitting = async {
        let by = core.begin_admitting(code)?;
        let name = core.free_name(guest, name)?;
        core.admit(&by, *guest, name.clone(), rights).await.map(|()| name)
    };
    let name = match admitting.await {
        Ok(name) => name,
        Err(error) => {
            core.settle_pairing(code, |pairing| {
                if pairing.state == PairingState::Admitting {
                    pairing.state = PairingState::Ended("the guest could not be admitted");
                }
            });
            wire::turn_away(stream, &error.text).await.map_err(broken)?;
            return Err(error);
        }
    };
    core.settle_pairing(code, |pairing| pairing.state = PairingState::Paired(*guest, name));
    let known = core.identity.known();
    let identity = known.identity.ok_or_else(crate::identity::none)?;
    let own =
        known.own.and_then(|own| known.name(&own)).unwrap_or("home").parse().map_err(
            |error: nisse_model::ParseLabelError| NodeError::caused(ErrorKind::Failed, "name_invalid", &error),
        )?;
    let welcome = Welcome { host: own, identity, credentials: core.identity.all().await };
    wire::welcome(stream, &welcome).await.map_err(broken)
}

impl Core {
    /// Admits a device, or an agent for what it may do, with its lines in the audit log. A device that is admitted already stays
    /// one.
    async fn admit(&self, by: &str, key: Did, name: Label, rights: Option<Rights>) -> Result<(), NodeError> {
        let is_device = self.identity.known().standing(&key, self.clock.now()) == Standing::Device;
        let (act, about, claim) = match rights {
            None if is_device => return Ok(()),
            Some(_) if is_device => {
                let text = format!("failed to admit {name} as an agent: it is a device, which may do all");
                return Err(NodeError::new(ErrorKind::Conflict, "device_already", text));
            }
            None => ("device.add", format!("{name} {key}"), Claim::DeviceAdd { device: key, name }),
            Some(Rights { scopes, expires }) => {
                let can: Vec<_> = scopes.iter().map(Scope::to_string).collect();
                let about = format!("{name} {key} for {}", can.join(" "));
                // An agent hands on what it has itself.
                let proof = self.identity.own_delegation(&scopes, expires);
                ("agent.add", about, Claim::AgentDelegation { agent: key, name, scopes, expires, proof })
            }
        };
        let saying = self.identity.say(claim);
        self.audit.around(by, act, &about, saying).await.map(drop)
    }

    /// A name that no other device has: the one that the guest says of itself, or that with a number.
    fn free_name(&self, key: &Did, name: Label) -> Result<Label, NodeError> {
        let (known, now) = (self.identity.known(), self.clock.now());
        let taken: BTreeSet<_> =
            known.devices(now).filter(|device| device.did != *key).map(|device| device.name.to_string()).collect();
        if !taken.contains(name.as_str()) {
            return Ok(name);
        }
        let numbered = (2..=taken.len() + 2).filter_map(|number| format!("{name} {number}").parse().ok());
        let mut free = numbered.filter(|name: &Label| !taken.contains(name.as_str()));
        free.next().ok_or_else(|| {
            let text = format!("failed to admit it: {name} is the name of another device");
            NodeError::new(ErrorKind::Conflict, "name_taken", text)
        })
    }
}

#[cfg(test)]
mod tests {
    use nisse_testkit::SimEntropy;

    use super::*;

    fn shown() -> Pairing {
        Pairing::begin(Code::draw(&SimEntropy::new(1)), None, Duration::from_secs(100))
    }

    #[test]
    fn a_code_ends_with_its_time_and_with_whoever_looks_at_it() {
        let mut pairing = shown();
        let at = |pairing: &Pairing, seconds| pairing.state_at(Duration::from_secs(seconds));
        assert_eq!(at(&pairing, 114), PairingState::Open);
        assert_eq!(at(&pairing, 115), PairingState::Ended("whoever asked for it went away"));
        // What has ended does not begin again, whoever looks.
        pairing.state = at(&pairing, 115);
        pairing.looked_at = Duration::from_secs(116);
        assert_eq!(at(&pairing, 117), PairingState::Ended("whoever asked for it went away"));
        let mut pairing = shown();
        pairing.looked_at = Duration::from_secs(699);
        assert_eq!(at(&pairing, 699), PairingState::Open);
        for state in [PairingState::Open, PairingState::Admitting] {
            pairing.state = state;
            assert_eq!(at(&pairing, 700), PairingState::Ended("nobody typed the code in time"));
        }
    }
}
