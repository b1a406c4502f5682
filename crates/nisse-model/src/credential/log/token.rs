//! Capabilities that travel with their use: what a chain of them gives to whoever holds the last one's key.

use super::State;
use super::rules::{At, Need};
use crate::Timestamp;
use crate::credential::{Claim, Credential, CredentialId, Did, Scope};

/// Why a chain of capabilities gives nothing. Each text completes "failed to …".
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TokenError {
    /// No capability, or too many.
    #[error("accept a token: it has {0} capabilities, and 1 to {max} are allowed", max = State::TOKEN_LENGTH_MAX)]
    Length(usize),
    /// Something else than a capability.
    #[error("accept a token: {0} is no capability")]
    NoCapability(CredentialId),
    /// It does not narrow the one before it.
    #[error("accept a token: {0} gives more than the capability before it, or is not by whom that one was for")]
    Wider(CredentialId),
    /// It is past its time.
    #[error("accept a token: it ended at {}", .0.0 / 1000)]
    Expired(Timestamp),
    /// It was taken back.
    #[error("accept a token: {0} was taken back")]
    Withdrawn(CredentialId),
    /// Its first issuer does not have what it gives.
    #[error("accept a token: {0} does not have what it gives, or no longer")]
    NoRight(Did),
    /// Somebody else's.
    #[error("accept a token: it is for {0}, not for whoever shows it")]
    OtherHolder(Did),
    /// It is for something else.
    #[error("accept a token: it gives {given}, and {wanted} is asked for")]
    Covers {
        /// What it gives.
        given: Box<Scope>,
        /// What is asked for.
        wanted: Box<Scope>,
    },
}

/// What a capability says, without its issuer.
struct Given<'c> {
    audience: Did,
    scope: &'c Scope,
    expires: Timestamp,
    proof: Option<CredentialId>,
}

fn given(credential: &Credential) -> Result<Given<'_>, TokenError> {
    match credential.claim() {
        Claim::Capability { audience, scope, expires, proof } => {
            Ok(Given { audience: *audience, scope, expires: *expires, proof: *proof })
        }
        _ => Err(TokenError::NoCapability(credential.id())),
    }
}

impl State<'_> {
    /// Capabilities of one token.
    pub const TOKEN_LENGTH_MAX: usize = 8;

    /// Whether a chain of capabilities, each narrowing the one before it, lets this holder do this now; for which identity.
    /// That the holder has its key is for the caller to see.
    pub fn token(&self, chain: &[Credential], holder: Did, wanted: &Scope, now: Timestamp) -> Result<Did, TokenError> {
        let (Some(first), Some(last), true) = (chain.first(), chain.last(), chain.len() <= Self::TOKEN_LENGTH_MAX)
        else {
            return Err(TokenError::Length(chain.len()));
        };
        let root = given(first)?;
        if root.proof.is_some() {
            return Err(TokenError::Wider(first.id()));
        }
        for pair in chain.windows(2) {
            let (wide, narrow) = (given(&pair[0])?, given(&pair[1])?);
            let narrows = narrow.proof == Some(pair[0].id())
                && pair[1].statement().issuer == wide.audience
                && pair[1].statement().subject == pair[0].statement().subject
                && wide.scope.covers(narrow.scope)
                && narrow.expires <= wide.expires;
            if !narrows {
                return Err(TokenError::Wider(pair[1].id()));
            }
        }
        let leaf = given(last)?;
        if leaf.audience != holder {
            return Err(TokenError::OtherHolder(leaf.audience));
        }
        if now >= leaf.expires {
            return Err(TokenError::Expired(leaf.expires));
        }
        if !leaf.scope.covers(wanted) {
            let (given, wanted) = (Box::new(leaf.scope.clone()), Box::new(wanted.clone()));
            return Err(TokenError::Covers { given, wanted });
        }
        if let Some(gone) = chain.iter().find(|capability| self.is_withdrawn(capability)) {
            return Err(TokenError::Withdrawn(gone.id()));
        }
        let (issuer, identity) = (first.statement().issuer, first.statement().subject);
        // An admission that came later than the token gives nothing to it.
        let seen = self.log.ancestors_of(&first.statement().parents).ok_or(TokenError::NoRight(issuer))?;
        let at = At::Outside { ancestors: &seen };
        if self.ask(|rules| rules.acts(issuer, identity, Need::Give(root.scope, root.expires), at)) {
            Ok(identity)
        } else {
            Err(TokenError::NoRight(issuer))
        }
    }

    fn is_withdrawn(&self, capability: &Credential) -> bool {
        let withdrawals = self.log.index.withdrawals.get(&capability.id());
        withdrawals.into_iter().flatten().any(|place| {
            let withdrawal = &self.log.entries[*place].credential;
            withdrawal.statement().subject == capability.statement().subject && self.is_valid(&withdrawal.id())
        })
    }
}
