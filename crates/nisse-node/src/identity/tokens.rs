//! Capabilities of this home's identity: made here, and judged where they are shown.

use nisse_model::{Chains, Claim, Credential, CredentialId, Did, Scope, Standing, State, Timestamp, TokenError};

use super::{Identity, Known, none, refused};
use crate::error::NodeError;

/// Why chains give nothing here. Each completes "failed to …".
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum ChainFlaw {
    /// Of somebody else.
    #[error("accept a token: it acts for {0}, who is not whose home this is")]
    OtherIdentity(Did),
    /// The rules say why.
    #[error(transparent)]
    Token(#[from] TokenError),
}

/// Why a request by a token is not taken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum NotGiven {
    /// None of its chains gives anything here and now.
    Nothing(ChainFlaw),
    /// What it gives is something else, to whom a device gave it first.
    Else(TokenError, Did),
}

impl Identity {
    /// Signs a capability with the key of this device. It stands in no log: it travels with its use.
    pub(crate) fn capability(&self, audience: Did, scope: Scope, expires: Timestamp) -> Result<Credential, NodeError> {
        let identity = self.known().identity.ok_or_else(none)?;
        let device = self.device()?;
        let claim = Claim::Capability { audience, scope: scope.clone(), expires, proof: None };
        let parents = self.log().parents(identity, &claim);
        let statement = self.statement(device.key.did(), identity, parents, claim);
        let capability = statement.sign(&device.key).map_err(|error| refused(&error))?;
        let chain = std::slice::from_ref(&capability);
        self.log().state().token(chain, audience, &scope, self.clock.now()).map_err(|error| refused(&error))?;
        Ok(capability)
    }

    /// The chain that lets this holder do this for the home's identity now.
    pub(crate) fn chain_for(
        &self,
        chains: &Chains,
        holder: Did,
        wanted: &Scope,
        now: Timestamp,
    ) -> Result<Vec<Credential>, NotGiven> {
        let known = self.known();
        let (mut own, mut flaw) = (Vec::new(), None);
        for chain in chains.iter() {
            match is_ours(&known, chain, now) {
                Ok(()) => own.push(chain),
                Err(why) => _ = flaw.get_or_insert(why),
            }
        }
        // Whatever comes from strangers costs no look at the whole log.
        let log = (!own.is_empty()).then(|| self.log());
        let state = log.as_ref().map(|log| log.state());
        let mut other = None;
        for (chain, state) in own.into_iter().zip(state.iter().cycle()) {
            match judged(state, chain, holder, wanted, now) {
                Ok(()) => return Ok(chain.to_vec()),
                Err(NotGiven::Else(why, first)) => _ = other.get_or_insert((why, first)),
                Err(NotGiven::Nothing(why)) => _ = flaw.get_or_insert(why),
            }
        }
        Err(match (other, flaw) {
            (Some((why, first)), _) => NotGiven::Else(why, first),
            (None, Some(flaw)) => NotGiven::Nothing(flaw),
            (None, None) => NotGiven::Nothing(TokenError::Length(0).into()),
        })
    }

    /// Whether something in the log has this name, and is no capability.
    pub(crate) fn is_no_capability(&self, id: &CredentialId) -> bool {
        self.log().get(id).is_some_and(|held| !matches!(held.claim(), Claim::Capability { .. }))
    }

    /// Whether a capability was taken back already.
    pub(crate) fn is_withdrawn(&self, id: &CredentialId) -> bool {
        let log = self.log();
        let said = |held: &&Credential| matches!(held.claim(), Claim::Withdraw { credential } if credential == id);
        let mut withdrawals = log.iter().filter(said).peekable();
        if withdrawals.peek().is_none() {
            return false;
        }
        let state = log.state();
        withdrawals.any(|held| state.is_valid(&held.id()))
    }
}

/// To whom a device gave it. Whoever has it from them has a key that they drew as they liked.
pub(crate) fn first_holder(chain: &[Credential]) -> Option<Did> {
    match chain.first()?.claim() {
        Claim::Capability { audience, .. } => Some(*audience),
        _ => None,
    }
}

/// Whether a chain begins with somebody who is something here.
fn is_ours(known: &Known, chain: &[Credential], now: Timestamp) -> Result<(), ChainFlaw> {
    let first = chain.first().ok_or(TokenError::Length(0))?.statement();
    if known.identity != Some(first.subject) {
        return Err(ChainFlaw::OtherIdentity(first.subject));
    }
    match known.standing(&first.issuer, now) {
        Standing::Nothing => Err(TokenError::NoRight(first.issuer).into()),
        _ => Ok(()),
    }
}

/// A chain that gives something else is told apart from one that gives nothing.
fn judged(
    state: &State<'_>,
    chain: &[Credential],
    holder: Did,
    wanted: &Scope,
    now: Timestamp,
) -> Result<(), NotGiven> {
    let nothing = |why: TokenError| NotGiven::Nothing(why.into());
    let error = match state.token(chain, holder, wanted, now) {
        Ok(_) => return Ok(()),
        Err(error) => error,
    };
    match &error {
        TokenError::Covers { given, .. } => match state.token(chain, holder, given, now) {
            Ok(_) => Err(NotGiven::Else(error, first_holder(chain).unwrap_or(holder))),
            Err(why) => Err(nothing(why)),
        },
        _ => Err(nothing(error)),
    }
}

#[cfg(test)]
mod tests;
