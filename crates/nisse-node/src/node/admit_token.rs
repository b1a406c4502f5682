//! Who may use the control API by a token: whoever signed the request with the key that its capabilities are for.

use std::sync::Arc;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use http::header::AUTHORIZATION;
use http::{HeaderMap, HeaderName, Request};
use nisse_model::{Chains, Did, Scope, TokenError};
use tokio::sync::watch;

use super::Node;
use super::admit::not_taken;
use crate::caller::Asker;
use crate::error::{ErrorKind, NodeError, chain};
use crate::identity::tokens::{ChainFlaw, NotGiven, first_holder};
use crate::identity::{Known, none};
use crate::remote::SignedBody;
use crate::token::{Audience, PROOF, Proof, SCHEME, SignedRequest};

/// Characters of the longest capabilities.
pub(super) const CHAINS_TEXT_MAX: usize = Chains::LENGTH_MAX.div_ceil(3) * 4;
/// A clock may be set: how long none is trusted to tell when a token ends.
pub(super) const LOOK_AGAIN: Duration = Duration::from_secs(60);

/// A request that the holder of a token signed. Its body has not been read.
#[derive(Debug, Clone)]
pub struct TokensRequest {
    holder: Did,
    /// To whom a device gave it: whoever that one hands on to has the same places, and is named with it.
    first: Did,
    chains: Chains,
    right: Scope,
    body: SignedBody,
    /// From before it was judged.
    changes: watch::Receiver<Arc<Known>>,
}

impl TokensRequest {
    /// Whose token it is: to whom a device gave it.
    pub fn holder(&self) -> String {
        self.first.to_string()
    }

    /// In whose name it is done.
    pub fn asker(&self) -> Asker {
        let by = if self.holder == self.first { String::new() } else { format!(", used by {}", self.holder) };
        Asker::bounded(format!("token of {}{by}", self.first))
    }

    /// Whether this body is the one that was signed.
    pub fn check_body(&self, bytes: &[u8]) -> Result<(), NodeError> {
        self.body.check(bytes)
    }
}

/// What whoever asked is told, and what the owner is told.
struct Refused {
    told: Box<NodeError>,
    /// The rule, in full.
    why: String,
    /// Whose token it is, if it is one: to whom a device gave it.
    holder: Option<Did>,
}

impl From<NodeError> for Refused {
    fn from(told: NodeError) -> Self {
        Self { why: told.text.clone(), told: Box::new(told), holder: None }
    }
}

impl Node {
    /// Whether this `authorization` is by a token's capabilities.
    pub fn is_capability(authorization: &str) -> bool {
        credentials(authorization).is_some()
    }

    /// Finds out from a request's head whether the holder of a token asks for what the token gives. The request counts from
    /// here on: the same one is refused after it.
    pub fn admit_token<B>(&self, request: &Request<B>, right: &Scope) -> Result<TokensRequest, NodeError> {
        self.judge(request, right).map_err(|Refused { told, why, holder }| {
            tracing::debug!(code = told.code, why, %right, "a request by a token was refused");
            // A node that cannot tell yet whether it is good refuses nobody's right.
            if matches!(told.kind, ErrorKind::Unsigned | ErrorKind::Refused) {
                let (method, path) = (request.method().as_str(), request.uri().path());
                self.token_tried(holder, &format!("refused {method} {path}: {why}"));
            }
            *told
        })
    }

    fn judge<B>(&self, request: &Request<B>, right: &Scope) -> Result<TokensRequest, Refused> {
        let headers = request.headers();
        let given = one(headers, &AUTHORIZATION).and_then(credentials).ok_or_else(unreadable)?;
        let proof: Proof = one(headers, &PROOF)
            .ok_or_else(|| unproven("it has no `nisse-proof`, or more than one".to_owned()))?
            .parse()
            .map_err(|error| unproven(format!("failed to read `nisse-proof`: {error}")))?;
        let body = SignedBody::of(headers)?;
        if given.len() > CHAINS_TEXT_MAX {
            return Err(unreadable().into());
        }
        let now = self.core.clock.now();
        self.check_time(proof.expires, now.seconds())?;
        let changes = self.core.identity.changes();
        let known = Arc::clone(&changes.borrow());
        let node = known.own.filter(|_| known.identity.is_some()).ok_or_else(none);
        let node = node.map_err(|error| Refused { why: error.text, ..Refused::from(invalid()) })?;
        let path = request.uri().path_and_query().map_or("", http::uri::PathAndQuery::as_str);
        let signed = SignedRequest { method: request.method().as_str(), path, to: Audience::Node(node), body: body.0 };
        if !signed.is_proven(&proof) {
            return Err(signature_other(proof.key).into());
        }
        let bytes = URL_SAFE_NO_PAD.decode(given).map_err(|_| unreadable())?;
        let chains = Chains::decode(&bytes)
            .map_err(|error| Refused { why: format!("failed to {error}"), ..Refused::from(unreadable()) })?;
        let holder = proof.key;
        let chain = self.core.identity.chain_for(&chains, holder, right, now).map_err(refused)?;
        // Nobody fills this memory who has no token.
        let first = first_holder(&chain).unwrap_or(holder);
        let taken = self.token_nonces.take(first, proof.nonce, proof.expires, now.seconds());
        taken.map_err(|why| Refused { holder: Some(first), ..Refused::from(not_taken(why)) })?;
        Ok(TokensRequest { holder, first, chains, right: right.clone(), body, changes })
    }

    /// Returns once a token no longer gives what was asked for: it is past its time or taken back, or whoever made it has no
    /// right to it any more. What goes on by it ends then.
    pub fn token_ended(&self, asked: &TokensRequest) -> impl Future<Output = NodeError> + Send + 'static + use<> {
        let (core, mut asked) = (Arc::clone(&self.core), asked.clone());
        async move {
            loop {
                let now = core.clock.now();
                let ends = asked.chains.given().map(|(.., expires)| expires).filter(|expires| now < *expires).min();
                let ends = ends.unwrap_or(now);
                let left = Duration::from_millis(ends.since_ms(now)).min(LOOK_AGAIN);
                let is_open = tokio::select! {
                    changed = asked.changes.changed() => changed.is_ok(),
                    () = tokio::time::sleep(left.max(Duration::from_millis(1))) => true,
                };
                let now = core.clock.now();
                match core.identity.chain_for(&asked.chains, asked.holder, &asked.right, now) {
                    Ok(_) if is_open => {}
                    Ok(_) => return invalid(),
                    Err(why) => {
                        let Refused { told, why, .. } = refused(why);
                        tracing::debug!(why, holder = %asked.holder, "what went on by a token ended");
                        return *told;
                    }
                }
            }
        }
    }
}

/// What follows the scheme. Schemes have no case (RFC 9110 §11).
pub(super) fn credentials(value: &str) -> Option<&str> {
    let (scheme, rest) = value.split_once(' ')?;
    scheme.eq_ignore_ascii_case(SCHEME).then_some(rest)
}

/// The value of a header that stands there once.
pub(super) fn one<'h>(headers: &'h HeaderMap, name: &HeaderName) -> Option<&'h str> {
    let mut given = headers.get_all(name).iter();
    match (given.next(), given.next()) {
        (Some(value), None) => value.to_str().ok(),
        _ => None,
    }
}

/// Why capabilities do not give what is asked for, as the owner reads it.
pub(super) fn not_given(why: &NotGiven) -> String {
    match why {
        NotGiven::Else(why, _) => format!("failed to {}", chain(why)),
        NotGiven::Nothing(why) => format!("failed to {}", chain(why)),
    }
}

fn refused(why: NotGiven) -> Refused {
    match why {
        NotGiven::Else(why, first) => {
            let text = "failed to do this by the token: it is for something else";
            let told = NodeError::new(ErrorKind::Refused, "not_permitted", text)
                .with_hint("`nisse token show FILE` says what it is for; its maker can make another".to_owned());
            Refused { told: Box::new(told), why: format!("failed to {}", chain(&why)), holder: Some(first) }
        }
        NotGiven::Nothing(why) => {
            let told = match &why {
                ChainFlaw::Token(TokenError::Expired(_)) => expired(),
                _ => invalid(),
            };
            // Keys are drawn as one likes: who has no token is nobody in the owner's log.
            Refused { told: Box::new(told), why: format!("failed to {}", chain(&why)), holder: None }
        }
    }
}

fn unreadable() -> NodeError {
    NodeError::new(ErrorKind::Unsigned, "token_invalid", "failed to read the token's capabilities")
        .with_hint("send them with one `authorization: Nisse-Capability …`, as docs/tokens.md says".to_owned())
}

fn unproven(text: String) -> NodeError {
    NodeError::new(ErrorKind::Unsigned, "signature_needed", format!("failed to see whose request this is: {text}"))
        .with_hint("sign each request with the token's key, as docs/tokens.md says".to_owned())
}

fn signature_other(key: Did) -> NodeError {
    let text = format!("failed to see whose request this is: the signature is not one of {key} over it");
    NodeError::new(ErrorKind::Unsigned, "signature_other", text)
        .with_hint("a signature is of exactly this node, method, path, body, nonce and time".to_owned())
}

fn expired() -> NodeError {
    NodeError::new(ErrorKind::Unsigned, "token_expired", "failed to accept the token: its time is over")
        .with_hint("ask whoever made it for another".to_owned())
}

fn invalid() -> NodeError {
    NodeError::new(
        ErrorKind::Unsigned,
        "token_invalid",
        "failed to accept the token: it gives nothing here, or no longer",
    )
    .with_hint("ask whoever made it for another; the node's audit log says why this one is refused".to_owned())
}
