//! Who may ask this node about an agent from elsewhere: the owner of its deployment, by a signature.

use http::header::AUTHORIZATION;
use http::{HeaderMap, request};
use nisse_market::{OwnerRequest, SignedOwnerRequest};
use nisse_model::{Address, DeploymentId};

use super::Node;
use crate::error::{ErrorKind, NodeError};
use crate::remote::{Authorization, GOOD_FOR_MAX, NotTaken, REMOTE_PATH, SignedBody};

/// A request that its owner signed. Its body has not been read.
#[derive(Debug, Clone, Copy)]
pub struct OwnersRequest {
    owner: Address,
    body: SignedBody,
}

impl OwnersRequest {
    /// Who asks.
    pub fn owner(&self) -> String {
        self.owner.to_string()
    }

    /// Whether this body is the one that was signed.
    pub fn check_body(&self, bytes: &[u8]) -> Result<(), NodeError> {
        self.body.check(bytes)
    }
}

impl Node {
    /// Finds out from a request's head whether the owner of the deployment in its path asks. The request counts from here
    /// on: the same one is refused after it.
    pub async fn admit(&self, head: &request::Parts) -> Result<OwnersRequest, NodeError> {
        let path = head.uri.path_and_query().map_or("", http::uri::PathAndQuery::as_str);
        let deployment = deployment_of(head.uri.path()).ok_or_else(|| {
            let text = format!("failed to find what is asked for: {REMOTE_PATH}DEPLOYMENT is expected");
            NodeError::new(ErrorKind::NotFound, "route_unknown", text)
        })?;
        let given = authorization_of(&head.headers)?;
        let body = SignedBody::of(&head.headers)?;
        let now = self.core.clock.now().seconds();
        self.check_time(given.expires, now)?;
        let request = OwnerRequest {
            method: head.method.to_string(),
            path: path.to_owned(),
            body: body.0,
            node: self.core.operator,
            deployment,
            nonce: given.nonce,
            expires: given.expires,
        };
        let signer = SignedOwnerRequest { request, signature: given.signature }.signer();
        let signer = signer.map_err(|error| unsigned(format!("failed to see whose request this is: {error}")))?;
        let owner = self.glance(move |all| all.agent(&deployment).map(|agent| agent.placement.owner)).await?;
        let Some(owner) = owner else {
            let text = format!("failed to find {deployment}: this node does not run it");
            return Err(NodeError::new(ErrorKind::NotFound, "agent_unknown", text));
        };
        if signer != owner {
            return Err(not_the_owner(deployment, signer));
        }
        let taken = self.nonces.take(owner, given.nonce, given.expires, now);
        taken.map_err(not_taken)?;
        Ok(OwnersRequest { owner, body })
    }

    pub(super) fn check_time(&self, expires: u64, now: u64) -> Result<(), NodeError> {
        let expired = |text: String| NodeError::new(ErrorKind::Unsigned, "request_expired", text);
        if expires <= now {
            let text = format!("failed to take the request: it was good until {expires}, and it is {now}");
            return Err(expired(text).with_hint("set this machine's clock, and sign it anew".to_owned()));
        }
        if expires > now + GOOD_FOR_MAX {
            let text = format!(
                "failed to take the request: it is good until {expires}, {} s from now, and {GOOD_FOR_MAX} s is the most",
                expires - now
            );
            return Err(expired(text).with_hint("set this machine's clock, and sign it for a shorter time".to_owned()));
        }
        // Nobody remembers what was asked of an earlier life of the node: all of that ends before this moment.
        let free_from = self.moments.free_from(self.core.clock.now(), self.core.clock.elapsed());
        if expires <= free_from {
            let text =
                "failed to take the request: this node or its clock came up a moment ago, and may have had it before";
            let wait = free_from + 1 - expires;
            return Err(NodeError::new(ErrorKind::Busy, "request_early", text)
                .with_hint(format!("ask again in {wait} s, with a new signature")));
        }
        Ok(())
    }
}

fn deployment_of(path: &str) -> Option<DeploymentId> {
    path.strip_prefix(REMOTE_PATH)?.split('/').next()?.parse().ok()
}

fn authorization_of(headers: &HeaderMap) -> Result<Authorization, NodeError> {
    let mut given = headers.get_all(AUTHORIZATION).iter();
    let (Some(value), None) = (given.next(), given.next()) else {
        let text = "failed to see whose request this is: it has no `authorization`, or more than one";
        return Err(unsigned(text.to_owned()));
    };
    let text = value.to_str().unwrap_or_default();
    text.parse().map_err(|error| unsigned(format!("failed to read `authorization`: {error}")))
}

/// Why a request with this nonce is not taken.
pub(super) fn not_taken(why: NotTaken) -> NodeError {
    match why {
        NotTaken::Used => {
            let text = "failed to take the request: its nonce was used before";
            NodeError::new(ErrorKind::Unsigned, "request_replayed", text)
                .with_hint("sign each request with a nonce of its own".to_owned())
        }
        NotTaken::Full => {
            let text = "failed to take the request: too many of who asks are good at the same time";
            NodeError::new(ErrorKind::Busy, "requests_many", text)
        }
    }
}

fn unsigned(text: String) -> NodeError {
    NodeError::new(ErrorKind::Unsigned, "signature_needed", text)
        .with_hint("sign it with the key of the deployment's owner, as docs/remote.md says".to_owned())
}

fn not_the_owner(deployment: DeploymentId, signer: Address) -> NodeError {
    let text = format!("failed to take the request: {signer} signed it, who does not own {deployment}");
    NodeError::new(ErrorKind::Refused, "not_the_owner", text)
        .with_hint("a signature is of exactly this node, method, path, body, nonce and time".to_owned())
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    fn headers(values: &[&str]) -> HeaderMap {
        values.iter().map(|value| (AUTHORIZATION, HeaderValue::from_str(value).expect("a value"))).collect()
    }

    #[test]
    fn one_deployment_stands_in_a_path_and_one_authorization_in_a_head() {
        let deployment = DeploymentId { chain: 7, contract: Address([0xab; 20]), number: 3 };
        for rest in ["", "/logs", "/logs/follow", "/"] {
            assert_eq!(deployment_of(&format!("{REMOTE_PATH}{deployment}{rest}")), Some(deployment), "{rest}");
        }
        for wrong in ["", "7", "7%3A0xab", &deployment.to_string().to_uppercase(), &format!("/{deployment}")] {
            assert_eq!(deployment_of(&format!("{REMOTE_PATH}{wrong}")), None, "{wrong}");
        }
        let given = Authorization { nonce: [1; 32], expires: 5, signature: [2; 65] }.to_string();
        assert!(authorization_of(&headers(&[&given])).is_ok());
        for wrong in [&[][..], &[given.as_str(), &given], &["Bearer x"]] {
            let refused = authorization_of(&headers(wrong)).map_err(|error| error.code);
            assert_eq!(refused.err(), Some("signature_needed"), "{wrong:?}");
        }
    }
}
