//! Capability tokens as their maker meets them: made, and taken back.

use std::sync::Arc;

use nisse_model::{Chains, Claim, Credential, CredentialId, Did, Scope, SigningKey};
use zeroize::Zeroizing;

use super::Node;
use crate::caller;
use crate::control::{TokenCreated, TokenRequest, TokenRevoke};
use crate::error::{ErrorKind, NodeError};
use crate::identity::none;
use crate::token::Token;

/// For how long a token can be good.
const EXPIRES_MS_MAX: u64 = 30 * 24 * 3_600_000;

impl TokenRequest {
    /// What it asks for, in order, each once.
    pub fn scopes(&self) -> Result<Vec<Scope>, NodeError> {
        let scopes = crate::rights::scopes(self.agent.as_deref(), &self.can)?;
        if scopes.len() > Chains::COUNT_MAX {
            let text = format!("{} scopes are more than {}", scopes.len(), Chains::COUNT_MAX);
            return Err(refused("token_large", &text).with_hint("a command covers what stands below it".to_owned()));
        }
        Ok(scopes)
    }
}

impl Node {
    /// Makes a token of this home's identity for this node. Its commands are for whoever serves them to know.
    pub async fn token_create(&self, request: &TokenRequest) -> Result<TokenCreated, NodeError> {
        let known = self.core.identity.known();
        let node = known.own.filter(|_| known.identity.is_some()).ok_or_else(none)?;
        if caller::is_bounded() {
            let text = "a token or an agent makes none: it would outlast what it has";
            return Err(NodeError { kind: ErrorKind::Refused, ..refused("not_permitted", text) }.with_hint(
                "hand on with its own key what it has: a capability that names the one before it as its proof"
                    .to_owned(),
            ));
        }
        let scopes = request.scopes()?;
        let hint = || "name a time of at most 30 days".to_owned();
        match request.expires_ms {
            0 => return Err(refused("expires_invalid", "it would end at once").with_hint(hint())),
            EXPIRES_MS_MAX.. if request.expires_ms > EXPIRES_MS_MAX => {
                return Err(refused("expires_invalid", "it would be good for more than 30 days").with_hint(hint()));
            }
            _ => {}
        }
        let (holder, seed) = match &request.audience {
            Some(text) => (audience(text)?, None),
            None => {
                let mut seed = Zeroizing::new([0; 32]);
                self.core.entropy.fill(seed.as_mut_slice());
                (SigningKey::from_seed(&seed).did(), Some(seed))
            }
        };
        let expires = self.core.clock.now().plus_ms(request.expires_ms);
        let signed = scopes.iter().map(|scope| self.core.identity.capability(holder, scope.clone(), expires));
        let chains: Vec<Vec<Credential>> =
            signed.map(|signed| signed.map(|capability| vec![capability])).collect::<Result<_, _>>()?;
        let ids: Vec<_> = chains.iter().flatten().map(|capability| capability.id().to_string()).collect();
        let token = Token::new(node, seed, chains)
            .map_err(|error| NodeError::caused(ErrorKind::Failed, "token_failed", &error))?;
        let scopes: Vec<_> = scopes.iter().map(ToString::to_string).collect();
        // Nobody has it before its line stands there, with the names by which it is taken back: first, since a line is cut.
        let about = format!("{} for {holder} until {}: {}", ids.join(" "), expires.seconds(), scopes.join(" "));
        self.audited("token.create", &about, async { Ok(()) }).await?;
        tracing::info!(target: "nisse::event::token", step = "made", %holder);
        let (token, holder) = (token.to_text().to_string(), holder.to_string());
        Ok(TokenCreated { token, ids, holder, scopes, expires: expires.0 })
    }

    /// Takes capabilities back: they give nothing from here on, and what goes on by them ends.
    pub async fn token_revoke(&self, request: &TokenRevoke) -> Result<(), NodeError> {
        self.core.identity.known().identity.ok_or_else(none)?;
        caller::refuse_bounded("failed to take a token back: a token or an agent takes none back")?;
        let ids = request.ids.iter().map(|text| self.capability_named(text)).collect::<Result<Vec<_>, _>>()?;
        if ids.is_empty() || ids.len() > Chains::COUNT_MAX {
            let text =
                format!("failed to take a token back: {} names stand where 1 to {} may", ids.len(), Chains::COUNT_MAX);
            return Err(NodeError::new(ErrorKind::Usage, "token_invalid", text));
        }
        let core = Arc::clone(&self.core);
        self.audited("token.revoke", &request.ids.join(" "), async move {
            for credential in ids {
                if !core.identity.is_withdrawn(&credential) {
                    core.identity.say(Claim::Withdraw { credential }).await?;
                }
            }
            Ok(())
        })
        .await?;
        tracing::info!(target: "nisse::event::token", step = "revoked");
        Ok(())
    }

    fn capability_named(&self, text: &str) -> Result<CredentialId, NodeError> {
        let id: CredentialId =
            text.parse().map_err(|error| NodeError::caused(ErrorKind::Usage, "token_invalid", &error))?;
        if self.core.identity.is_no_capability(&id) {
            let text = format!("failed to take {id} back: it is no token");
            return Err(NodeError::new(ErrorKind::Usage, "token_invalid", text)
                .with_hint("`nisse token show FILE` and the audit log name the ids of tokens".to_owned()));
        }
        Ok(id)
    }
}

fn audience(text: &str) -> Result<Did, NodeError> {
    text.parse().map_err(|error: nisse_model::ParseDidError| NodeError::caused(ErrorKind::Usage, "key_invalid", &error))
}

fn refused(code: &'static str, why: &str) -> NodeError {
    NodeError::new(ErrorKind::Usage, code, format!("failed to make a token: {why}"))
}
