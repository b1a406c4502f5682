//! The home's identity and its devices as their owner meets them.

use std::collections::BTreeMap;
use std::sync::Arc;

use nisse_link::Connection;
use nisse_model::{Claim, Credential, Device, Did, Label, Scope, Standing, Timestamp, wallet_digest};
use tokio::sync::mpsc;

use super::Node;
use super::members::vouch_for;
use crate::audit::LISTED_MAX;
use crate::caller::{self, Asker};
use crate::control::{AuditEntry, DeviceEntry, DeviceRevoked, IdentityStatus};
use crate::core::Core;
use crate::error::{ErrorKind, NodeError};
use crate::identity::join::Ticket;
use crate::identity::remotes::{self, Remote};
use crate::identity::{Known, none};
use crate::spaces::settle_home;

impl Core {
    /// The homes that this one knows the way to.
    pub(crate) fn remotes(&self) -> Result<Vec<Remote>, NodeError> {
        remotes::read(self.home.disk(), &self.options.home)
    }
}

impl Node {
    /// Whose home it is.
    pub fn identity(&self) -> IdentityStatus {
        let (known, now) = (self.core.identity.known(), self.core.clock.now());
        let addresses = self.core.peers.link().map(|link| link.addresses()).unwrap_or_default();
        IdentityStatus {
            identity: known.identity.map(|identity| identity.to_string()),
            device: known.own.map(|own| own.to_string()),
            name: known.own.and_then(|own| known.name(&own).map(str::to_owned)),
            admitted: known.is_admitted(now),
            wallets: known.wallets.iter().map(ToString::to_string).collect(),
            ticket: known
                .own
                .filter(|_| !addresses.is_empty())
                .map(|did| Ticket { did, at: addresses.clone() }.to_string()),
            addresses: addresses.iter().map(ToString::to_string).collect(),
            trouble: self.core.peers.trouble(),
        }
    }

    /// The key of this device, drawn if it has none: what an identity's first credential names.
    pub async fn device_key(&self) -> Result<IdentityStatus, NodeError> {
        self.core.identity.drawn_device().await?;
        Ok(self.identity())
    }

    /// Takes the credential that begins an identity with this device, and binds the operator's wallet to it.
    pub async fn identity_begin(&self, genesis: &[u8]) -> Result<IdentityStatus, NodeError> {
        let refused = |why: &str| {
            NodeError::new(ErrorKind::Refused, "genesis_refused", format!("failed to begin an identity: {why}"))
        };
        let credential = Credential::decode(genesis)
            .map_err(|error| NodeError::caused(ErrorKind::Usage, "credential_invalid", &error))?;
        let known = self.core.identity.known();
        if let Some(identity) = known.identity {
            return Err(NodeError::new(
                ErrorKind::Conflict,
                "identity_taken",
                refused("").text + "this home belongs to " + &identity.to_string(),
            )
            .with_hint("name another home with --home DIR: a home belongs to one identity".to_owned()));
        }
        match credential.claim() {
            Claim::IdentityGenesis { device, .. } if Some(*device) == known.own => {}
            Claim::IdentityGenesis { .. } => return Err(refused("its first device is another one")),
            _ => return Err(refused("it is no credential that begins one")),
        }
        let identity = credential.statement().subject;
        let core = Arc::clone(&self.core);
        let wallet = core.operator;
        let digest = core.signer.sign_hash(wallet_digest(&identity)).await;
        let signature = digest.map_err(|error| NodeError::caused(ErrorKind::Failed, "sign_failed", &error))?;
        self.audited("identity.begin", &identity.to_string(), async move {
            core.identity.take(vec![credential]).await?;
            let signature = signature.to_bytes();
            core.identity.say(Claim::WalletBinding { wallet, signature }).await
        })
        .await?;
        tracing::info!(target: "nisse::event::identity", step = "begun", %identity);
        // The identity stands, whatever comes of this: what is missing is made at the next start.
        if let Err(error) = settle_home(&self.core).await {
            tracing::warn!(error = error.text, "the home space is not made yet");
        }
        Ok(self.identity())
    }

    /// Devices and agents of this home's identity.
    pub fn devices(&self) -> Result<Vec<DeviceEntry>, NodeError> {
        let (known, now) = (self.core.identity.known(), self.core.clock.now());
        known.identity.ok_or_else(none)?;
        Ok(known.devices(now).flat_map(|device| entries(&known, &device)).collect())
    }

    /// Cuts a device or an agent off: its connections end at once, and nothing that it says from now on counts.
    pub async fn device_revoke(&self, named: &str) -> Result<DeviceRevoked, NodeError> {
        let known = self.core.identity.known();
        let device = self.device_named(&known, named).or_else(|unknown| self.key_named(named).ok_or(unknown))?;
        if Some(device.did) == known.own || Some(device.did) == caller::device() {
            let text = format!("failed to revoke {}: a device does not revoke itself", device.name);
            return Err(NodeError::new(ErrorKind::Refused, "own_device", text)
                .with_hint("do it on another device of the identity, or from one with --remote".to_owned()));
        }
        let (core, did) = (Arc::clone(&self.core), device.did);
        let about = format!("{} {did}", device.name);
        self.audited("device.revoke", &about, async move { cut_off(&core, did).await }).await?;
        tracing::info!(target: "nisse::event::device", step = "revoked", device = %did);
        Ok(DeviceRevoked { knows: self.set_by(&did).await, device: entry(&known, &device) })
    }

    /// Secrets that a key has set last: it knows their values.
    async fn set_by(&self, key: &Did) -> Vec<String> {
        // Cut off it is, whatever can be read of what it did.
        let by = key.to_string();
        let (secrets, lines) = (self.secrets().await.unwrap_or_default(), self.audit(None, LISTED_MAX).await);
        let lines = lines.unwrap_or_default();
        let sets =
            |line: &&AuditEntry| matches!(line.act.as_str(), "secret.set" | "secret.rotate") && line.outcome == "done";
        let last: BTreeMap<_, _> = lines.iter().filter(sets).map(|line| (&line.about, &line.by)).collect();
        let knows = secrets.into_iter().filter(|secret| last.get(&secret.name).is_some_and(|last| last.ends_with(&by)));
        knows.map(|secret| secret.name).collect()
    }

    /// Calls a device or an agent something else.
    pub async fn device_rename(&self, named: &str, name: &str) -> Result<DeviceEntry, NodeError> {
        let known = self.core.identity.known();
        caller::refuse_bounded("failed to rename a device: a token or an agent gives no names")?;
        let device = self.device_named(&known, named)?;
        let name = parse_label(name)?;
        if device.name == name {
            return Ok(entry(&known, &device));
        }
        let now = self.core.clock.now();
        if let Some(other) = known.devices(now).find(|other| other.name == name && other.did != device.did) {
            let text = format!("failed to rename {}: {} is called {name} already", device.name, other.did);
            return Err(
                NodeError::new(ErrorKind::Conflict, "name_taken", text).with_hint("choose another name".to_owned())
            );
        }
        let (core, did) = (Arc::clone(&self.core), device.did);
        let about = format!("{} {did} as {name}", device.name);
        let renaming = async move { core.identity.say(Claim::DeviceRename { device: did, name }).await };
        self.audited("device.rename", &about, renaming).await?;
        self.device_named(&self.core.identity.known(), &did.to_string()).map(|device| entry(&known, &device))
    }

    fn device_named(&self, known: &Known, named: &str) -> Result<Device, NodeError> {
        known.identity.ok_or_else(none)?;
        let now = self.core.clock.now();
        let did: Option<Did> = named.parse().ok();
        let is_named = |device: &Device| did.map_or(device.name.as_str() == named, |did| device.did == did);
        let mut found = known.devices(now).filter(is_named);
        match (found.next(), found.next()) {
            (Some(device), None) => Ok(device),
            (Some(one), Some(other)) => {
                let text = format!("failed to find one device `{named}`: {} and {} are called so", one.did, other.did);
                Err(NodeError::new(ErrorKind::Usage, "device_ambiguous", text)
                    .with_hint("name it by its key".to_owned()))
            }
            (None, _) => {
                let text = format!("failed to find the device `{named}`");
                Err(NodeError::new(ErrorKind::NotFound, "device_unknown", text)
                    .with_hint("`nisse device ls` lists them".to_owned()))
            }
        }
    }

    /// A key that this home knows nothing of: another device may have admitted it where nobody hears of it.
    fn key_named(&self, named: &str) -> Option<Device> {
        // Each is a credential for good.
        if caller::is_bounded() {
            return None;
        }
        let (did, name) = (named.parse().ok()?, "unknown".parse().ok()?);
        Some(Device { did, name, standing: Standing::Nothing })
    }

    /// Connections of this identity's other devices and agents, for the control API to serve. There is one who takes them.
    pub fn peers_to_serve(&self) -> Option<mpsc::Receiver<Connection>> {
        self.core.peers.to_serve()
    }

    /// Whether a key may do this here now; the refusal says why to whoever holds it, who is known to the owner.
    pub fn peer_may(&self, peer: &Did, scope: &Scope) -> Result<(), NodeError> {
        let (known, now) = (self.core.identity.known(), self.core.clock.now());
        let held = self.core.held_by(peer);
        if known.may(peer, scope, now) || held.may(scope) {
            return Ok(());
        }
        let text = match known.standing(peer, now) {
            Standing::Nothing if !held.is_nothing() => {
                let text =
                    format!("failed to let this member do this: no space that owns an agent here gives them {scope}");
                return Err(NodeError::new(ErrorKind::Refused, "not_permitted", text).with_hint(
                    "docs/spaces.md says which role gives what; `nisse space members SPACE` who has which".to_owned(),
                ));
            }
            Standing::Nothing => "failed to let this key in: it is no device of this home's identity".to_owned(),
            _ => format!("failed to let {} do this: its delegation does not give {scope}", name_of(&known, peer)),
        };
        Err(NodeError::new(ErrorKind::Refused, "not_permitted", text)
            .with_hint("`nisse device ls` on a device of the identity says what each may do".to_owned()))
    }

    /// In whose name a peer acts.
    pub fn peer_asker(&self, peer: &Did) -> Asker {
        match self.core.identity.known().standing(peer, self.core.clock.now()) {
            Standing::Root | Standing::Device => Asker::device(self.peer_name(peer), *peer),
            Standing::Agent(_) => Asker::bounded(self.peer_name(peer)),
            Standing::Nothing => self.core.member_asker(peer),
        }
    }

    /// What a key is called here, as the audit log names it.
    pub fn peer_name(&self, peer: &Did) -> String {
        let known = self.core.identity.known();
        if let Some(name) = self.core.member_named(peer) {
            return name;
        }
        let kind = match known.standing(peer, self.core.clock.now()) {
            Standing::Agent(_) => "agent",
            _ => "device",
        };
        format!("{kind} {}", name_of(&known, peer))
    }
}

/// Revokes a device or an agent, and ends its connections.
pub(crate) async fn cut_off(core: &Arc<Core>, did: Did) -> Result<(), NodeError> {
    // What it wrote in spaces until now stays.
    for registered in core.spaces.all(core)? {
        vouch_for(core, &registered, did).await;
    }
    // And so do the spaces and memberships that it made.
    let claim = Claim::DeviceRevoke { device: did, seen: core.identity.heads_of_spaces_by(did) };
    core.identity.say(claim).await?;
    if let Some(link) = core.peers.link() {
        link.cut(&did);
    }
    Ok(())
}

fn name_of(known: &Known, did: &Did) -> String {
    known.name(did).map_or_else(|| did.to_string(), |name| format!("{name} {did}"))
}

fn parse_label(text: &str) -> Result<Label, NodeError> {
    text.parse()
        .map_err(|error: nisse_model::ParseLabelError| NodeError::caused(ErrorKind::Usage, "name_invalid", &error))
}

/// A device as it is listed: an agent with a line for each of its delegations.
fn entries(known: &Known, device: &Device) -> Vec<DeviceEntry> {
    match &device.standing {
        Standing::Agent(held) => {
            let one = |one: &(Vec<Scope>, Timestamp)| Device {
                standing: Standing::Agent(vec![one.clone()]),
                ..device.clone()
            };
            held.iter().map(|delegation| entry(known, &one(delegation))).collect()
        }
        _ => vec![entry(known, device)],
    }
}

pub(super) fn entry(known: &Known, device: &Device) -> DeviceEntry {
    let (kind, can, expires) = match &device.standing {
        Standing::Agent(held) => {
            let can = held.iter().flat_map(|(scopes, _)| scopes).map(|scope| scope.to_string()).collect();
            ("agent", can, held.iter().map(|(_, expires)| expires.0).max())
        }
        _ => ("device", Vec::new(), None),
    };
    DeviceEntry {
        name: device.name.to_string(),
        device: device.did.to_string(),
        kind: kind.to_owned(),
        this: known.own == Some(device.did),
        can,
        expires,
    }
}
