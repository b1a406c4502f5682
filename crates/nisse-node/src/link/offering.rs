//! A code that is shown here and typed at another home, which gets an invitation to a space for it.
//!
//! The code brings the invitation's text from one to the other and nothing else: it is taken then as any other. One code stands at
//! a time, for one guest, and with it an invitation that is good no longer.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use nisse_link::pairing::{Code, PairError, Purpose};
use nisse_link::{Connection, Link, LinkError, Protocol, Stream};
use nisse_model::{Did, Standing};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use zeroize::Zeroizing;

use super::pairing::{GOOD_FOR, PROOF_TIME_MAX, TRIES_MAX};
use super::{EXCHANGE_TIME_MAX, PATIENCE, PeerOptions};
use crate::audit::Deed;
use crate::caller;
use crate::core::Core;
use crate::error::{ErrorKind, NodeError, chain};
use crate::identity::join::{Ticket, not_proven};
use crate::identity::wire::{self, WireError};
use crate::spaces::Invitation;

/// An invitation that whoever types the code is given.
pub(crate) struct Offer {
    code: Arc<Code>,
    invitation: Invitation,
    tries_left: u8,
    /// When it ends, by the steady clock.
    until: Duration,
    /// The key of the device that asked for it, if it was another one than this.
    opener: Option<Did>,
}

impl Core {
    /// Shows a code for an invitation; the one before it ends.
    pub(crate) fn offer(&self, invitation: Invitation) -> String {
        let code = Arc::new(Code::draw(self.entropy.as_ref()));
        let (shown, until) = (code.to_string(), self.clock.elapsed() + GOOD_FOR);
        let offer = Offer { code, invitation, tries_left: TRIES_MAX, until, opener: caller::device() };
        *self.peers.offer() = Some(offer);
        shown
    }

    /// The code that is shown, if somebody may use it now.
    pub(super) fn offered(&self) -> Option<Arc<Code>> {
        let known = self.identity.known();
        let mut offer = self.peers.offer();
        let is_device = |key: &Did| known.standing(key, self.clock.now()) == Standing::Device;
        let stands = |offer: &Offer| {
            offer.tries_left > 0 && self.clock.elapsed() < offer.until && offer.opener.as_ref().is_none_or(is_device)
        };
        if !offer.as_ref().is_some_and(stands) {
            *offer = None;
        }
        offer.as_ref().map(|offer| Arc::clone(&offer.code))
    }

    /// The invitation of this code, which is used up by that.
    fn handed_over(&self, code: &Arc<Code>) -> Option<Invitation> {
        let mut offer = self.peers.offer();
        offer.take_if(|offer| Arc::ptr_eq(&offer.code, code)).map(|offer| offer.invitation)
    }

    fn wrong_code(&self, code: &Arc<Code>, guest: &Did) {
        let mut offer = self.peers.offer();
        let Some(offer) = offer.as_mut().filter(|offer| Arc::ptr_eq(&offer.code, code)) else { return };
        offer.tries_left = offer.tries_left.saturating_sub(1);
        self.audit.tried(Deed {
            by: format!("somebody with the key {guest}"),
            act: "space.join".into(),
            about: offer.invitation.name.clone(),
            outcome: format!("refused: a wrong code, {} tries left", offer.tries_left),
        });
    }
}

/// Somebody came with a code: they prove that they know it, and are given what it stands for.
pub(super) async fn host(core: &Arc<Core>, connection: &Connection) {
    let arrived = tokio::time::timeout(PATIENCE, connection.accept()).await;
    let Ok(Some(mut stream)) = arrived else { return };
    let guest = connection.peer();
    // Each run is a guess, so they are made one behind the other.
    let turn = core.peers.guessing.lock().await;
    let Some(code) = core.offered() else { return connection.close("no code is shown") };
    let Some(own) = core.identity.known().own else { return };
    let proving =
        nisse_link::pairing::host(&mut stream, Purpose::Invitation, &code, &own, &guest, core.entropy.as_ref());
    let invitation = match tokio::time::timeout(PROOF_TIME_MAX, proving).await.unwrap_or(Err(PairError::TimedOut)) {
        Ok(()) => core.handed_over(&code),
        Err(error) => {
            tracing::debug!(%guest, error = chain(&error), "somebody got no invitation");
            if matches!(error, PairError::WrongCode | PairError::Malformed) {
                core.wrong_code(&code, &guest);
            }
            return;
        }
    };
    drop(turn);
    let Some(invitation) = invitation else { return connection.close("the code was taken back") };
    if let Err(error) = hand_over(&invitation, &mut stream).await {
        tracing::info!(%guest, error = chain(&error), "an invitation was not handed over: its code is used up");
    }
}

async fn hand_over(invitation: &Invitation, stream: &mut Stream) -> Result<(), WireError> {
    let text = Zeroizing::new(invitation.to_string());
    wire::send(stream, text.as_bytes()).await?;
    stream.shutdown().await?;
    // To the end: what was said is heard before the connection goes.
    let _ = tokio::time::timeout(PATIENCE, stream.read(&mut [0; 1])).await;
    Ok(())
}

/// The invitation that the home of this ticket shows the code for.
pub(crate) async fn fetch(core: &Core, ticket: &Ticket, code: &Code) -> Result<Invitation, NodeError> {
    let mut seed = Zeroizing::new([0; 32]);
    core.entropy.fill(&mut *seed);
    // The key of a stranger: the code says enough of them.
    let link = bind_for_once(core, seed).await?;
    let fetching = fetch_over(core, &link, ticket, code);
    let fetched = tokio::time::timeout(EXCHANGE_TIME_MAX, fetching).await;
    link.close().await;
    fetched.unwrap_or_else(|_| Err(broken(&WireError::TimedOut)))
}

async fn fetch_over(core: &Core, link: &Link, ticket: &Ticket, code: &Code) -> Result<Invitation, NodeError> {
    let dialled = link.dial(ticket.did, &ticket.at, Protocol::Offer).await;
    let connection = dialled.map_err(|error| not_reached(&error))?;
    let mut stream = connection.open().await.map_err(|error| not_reached(&error))?;
    let entropy = core.entropy.as_ref();
    let proven =
        nisse_link::pairing::guest(&mut stream, Purpose::Invitation, code, &ticket.did, &link.did(), entropy).await;
    proven.map_err(|error| not_proven(&error))?;
    let text = Zeroizing::new(wire::receive(&mut stream).await.map_err(|error| broken(&error))?);
    connection.close("done");
    let invitation = std::str::from_utf8(&text).ok().and_then(|text| text.parse::<Invitation>().ok());
    let from_there = |invitation: &Invitation| invitation.host == ticket.did;
    invitation.filter(from_there).ok_or_else(|| broken(&WireError::Malformed("it holds no invitation".to_owned())))
}

/// A link of a key that is announced to nobody.
pub(super) async fn bind_for_once(core: &Core, seed: Zeroizing<[u8; 32]>) -> Result<Link, NodeError> {
    let Some(options) = core.options.peers.clone() else {
        let text = "failed to take the invitation: this node does not speak to others (`link.listen` is empty)";
        return Err(NodeError::new(ErrorKind::Unreachable, "link_failed", text));
    };
    let any: SocketAddr = match options.listen {
        SocketAddr::V4(at) => (*at.ip(), 0).into(),
        SocketAddr::V6(at) => (*at.ip(), 0).into(),
    };
    let options = PeerOptions { listen: any, nearby: false, ..options };
    let link = Link::bind(options.with_key(seed)).await;
    link.map_err(|error| NodeError::caused(ErrorKind::Failed, "link_failed", &error))
}

fn broken(error: &WireError) -> NodeError {
    NodeError::caused(ErrorKind::Unreachable, "peer_broken", error)
        .with_hint("nothing was changed here: the other home has to show another code".to_owned())
}

fn not_reached(error: &LinkError) -> NodeError {
    let (kind, hint) = match error {
        LinkError::Refused { .. } => (
            ErrorKind::Refused,
            "no code is shown there: it was used, or ended by its time or by three wrong ones; `nisse space invite SPACE --code` shows another",
        ),
        _ => (
            ErrorKind::Unreachable,
            "see that the other home is on, and that the address in the ticket is reached from here",
        ),
    };
    NodeError::caused(kind, "peer_unreachable", error).with_hint(hint.to_owned())
}
