//! A code for another machine as the owner meets it: shown, looked at, taken back.

use nisse_link::pairing::Code;
use nisse_model::{Device, Scope, Standing};

use super::Node;
use super::identity::entry;
use crate::caller;
use crate::control::{PairingRequest, PairingStatus};
use crate::error::{ErrorKind, NodeError};
use crate::identity::join::Ticket;
use crate::identity::{Known, none};
use crate::link::{Pairing, PairingState, Rights};

/// How long an agent is admitted for if nothing is said: 30 days; and at most: ten years.
const AGENT_LASTS_MS: u64 = 30 * 24 * 3_600 * 1_000;
const AGENT_LASTS_MS_MAX: u64 = 3_653 * 24 * 3_600 * 1_000;

impl PairingRequest {
    /// What an agent is to be able to do, in order, each once; nothing where a device is meant.
    pub fn scopes(&self) -> Result<Vec<Scope>, NodeError> {
        match &self.can {
            Some(can) => crate::rights::scopes(self.agent.as_deref(), can),
            None => Ok(Vec::new()),
        }
    }
}

impl Node {
    /// Shows a code with which another machine becomes a device. The one before it ends.
    pub async fn pairing_open(&self, request: &PairingRequest) -> Result<PairingStatus, NodeError> {
        let known = self.core.identity.known();
        known.identity.ok_or_else(none)?;
        caller::refuse_bounded("failed to show a code: an agent or a token admits nobody in this home's name")?;
        self.core.identity.device()?;
        let rights = self.rights_of(request)?;
        self.check_may_admit(&known, rights.as_ref())?;
        if self.core.peers.link().is_none() {
            let why = self.core.peers.trouble().unwrap_or_else(|| "it begins to listen in a moment".to_owned());
            let text = format!("failed to show a code: this node does not listen for other devices: {why}");
            return Err(NodeError::new(ErrorKind::Unreachable, "link_failed", text).with_hint(
                "it is tried again every 10 seconds: end what listens there, or give `link.listen` another address"
                    .to_owned(),
            ));
        }
        let code = Code::draw(self.core.entropy.as_ref());
        let shown = code.to_string();
        let core = std::sync::Arc::clone(&self.core);
        let whom = if rights.is_some() { "a code for an agent" } else { "a code for a device" };
        // Before the task that does it: whoever asks is known here.
        let pairing = Pairing::begin(code, rights, core.clock.elapsed());
        self.audited("device.pair", whom, async move {
            *core.peers.pairing() = Some(pairing);
            Ok(())
        })
        .await?;
        Ok(PairingStatus { code: Some(shown), ..self.pairing()? })
    }

    /// What an agent is admitted for, if one is meant.
    fn rights_of(&self, request: &PairingRequest) -> Result<Option<Rights>, NodeError> {
        let PairingRequest { can, agent, expires_ms } = request;
        let refused = |text: &str| {
            NodeError::new(ErrorKind::Usage, "pairing_invalid", format!("failed to show a code: {text}"))
                .with_hint("say with --can what an agent may do; a device may do all".to_owned())
        };
        if can.is_none() {
            return match agent.is_some() || expires_ms.is_some() {
                true => Err(refused("only an agent has an end, or is about one agent")),
                false => Ok(None),
            };
        }
        let lasts = expires_ms.unwrap_or(AGENT_LASTS_MS);
        if lasts == 0 || lasts > AGENT_LASTS_MS_MAX {
            return Err(refused("an agent is admitted for a moment at least, and for ten years at most"));
        }
        Ok(Some(Rights { scopes: request.scopes()?, expires: self.core.clock.now().plus_ms(lasts) }))
    }

    /// Refuses to show a code by which nobody could be admitted.
    fn check_may_admit(&self, known: &Known, rights: Option<&Rights>) -> Result<(), NodeError> {
        let now = self.core.clock.now();
        let own = known.own.map_or(Standing::Nothing, |own| known.standing(&own, now));
        let text = match (own, rights) {
            (Standing::Root | Standing::Device, _) => return Ok(()),
            (Standing::Agent(_), Some(rights)) => {
                if self.core.identity.own_delegation(&rights.scopes, rights.expires).is_some() {
                    return Ok(());
                }
                "failed to show a code: an agent hands on what its own delegation gives, for no longer"
            }
            (Standing::Agent(_), None) => "failed to show a code: this home is an agent, and an agent admits no device",
            (Standing::Nothing, _) => "failed to show a code: this home was cut off from its identity",
        };
        Err(NodeError::new(ErrorKind::Refused, "not_permitted", text)
            .with_hint("`nisse device ls` says what this home may do; a device of the identity may do all".to_owned()))
    }

    /// How the code goes that was shown last. One at which nobody looks any more ends.
    pub fn pairing(&self) -> Result<PairingStatus, NodeError> {
        let known = self.core.identity.known();
        let own = known.own.filter(|_| known.identity.is_some()).ok_or_else(none)?;
        let now = self.core.clock.elapsed();
        let mut pairing = self.core.peers.pairing();
        let Some(pairing) = pairing.as_mut() else {
            return Err(NodeError::new(ErrorKind::NotFound, "pairing_none", "failed to find a code: none was shown")
                .with_hint("`nisse device pair` shows one".to_owned()));
        };
        pairing.state = pairing.state_at(now);
        // Whoever shows it looks at it; that somebody else does keeps nothing open.
        if pairing.by == caller::caller() {
            pairing.looked_at = now;
        }
        let state = pairing.state.clone();
        let left = pairing.until.saturating_sub(now).as_millis();
        let mut status = PairingStatus {
            state: String::new(),
            ticket: None,
            code: None,
            number: pairing.number,
            left_ms: u64::try_from(left).unwrap_or(u64::MAX),
            tries_left: pairing.tries_left,
            device: None,
            why: None,
        };
        match state {
            PairingState::Open | PairingState::Admitting => {
                let at = self.core.peers.link().map(|link| link.addresses()).unwrap_or_default();
                status.state = "open".to_owned();
                status.ticket = Some(Ticket { did: own, at }.to_string());
            }
            PairingState::Paired(did, name) => {
                status.state = "paired".to_owned();
                let standing = known.standing(&did, self.core.clock.now());
                let name = known.name(&did).and_then(|name| name.parse().ok()).unwrap_or(name);
                status.device = Some(entry(&known, &Device { did, name, standing }));
            }
            PairingState::Ended(why) => {
                status.state = "ended".to_owned();
                status.why = Some(why.to_owned());
            }
        }
        Ok(status)
    }

    /// Nobody joins by the code that is shown.
    pub fn pairing_close(&self) {
        if let Some(pairing) = self.core.peers.pairing().as_mut().filter(|pairing| pairing.state == PairingState::Open)
        {
            pairing.state = PairingState::Ended("it was taken back");
        }
    }
}
