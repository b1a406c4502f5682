//! Who may ask this node about an agent from elsewhere: the owner of its deployment, by a signature.

use http::header::{AUTHORIZATION, CONTENT_LENGTH, TRANSFER_ENCODING};
use http::{HeaderMap, HeaderName, request};
use nisse_market::{OwnerRequest, SignedOwnerRequest};
use nisse_model::{Address, DeploymentId, Hash256};

use super::Node;
use crate::error::{ErrorKind, NodeError};
use crate::remote::{Authorization, GOOD_FOR_MAX, NotTaken, REMOTE_PATH, read_content_digest};

const CONTENT_DIGEST: HeaderName = HeaderName::from_static("content-digest");

/// A request that its owner signed. Its body has not been read.
#[derive(Debug, Clone, Copy)]
pub struct OwnersRequest {
    owner: Address,
    body: Hash256,
}

impl OwnersRequest {
    /// Who asks.
    pub fn owner(&self) -> String {
        self.owner.to_string()
    }

    /// Whether this body is the one that was signed.
    pub fn check_body(&self, bytes: &[u8]) -> Result<(), NodeError> {
        if Hash256::of(bytes) == self.body {
            return Ok(());
        }
        let text = "failed to take the request: its body is not the one of its `content-digest`";
        Err(NodeError::new(ErrorKind::Usage, "body_other", text))
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
        let body = body_of(&head.headers)?;
        let now = self.core.clock.now().seconds();
        self.check_time(given.expires, now)?;
        let request = OwnerRequest {
            method: head.method.to_string(),
            path: path.to_owned(),
            body,
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
        taken.map_err(|not_taken| match not_taken {
            NotTaken::Used => {
                let text = "failed to take the request: its nonce was used before";
                NodeError::new(ErrorKind::Unsigned, "request_replayed", text)
                    .with_hint("sign each request with a nonce of its own".to_owned())
            }
            NotTaken::Full => {
                let text = "failed to take the request: too many of this owner are good at the same time";
                NodeError::new(ErrorKind::Busy, "requests_many", text)
            }
        })?;
        Ok(OwnersRequest { owner, body })
    }

    fn check_time(&self, expires: u64, now: u64) -> Result<(), NodeError> {
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

/// Without the header there is no body.
fn body_of(headers: &HeaderMap) -> Result<Hash256, NodeError> {
    let has_body = headers.contains_key(TRANSFER_ENCODING)
        || headers.get(CONTENT_LENGTH).is_some_and(|length| length.as_bytes().iter().any(|digit| *digit != b'0'));
    let mut given = headers.get_all(CONTENT_DIGEST).iter();
    let read = match (given.next(), given.next()) {
        (None, _) if !has_body => Some(Hash256::of(b"")),
        (Some(value), None) => value.to_str().ok().and_then(read_content_digest),
        _ => None,
    };
    read.ok_or_else(|| {
        let text = "failed to read `content-digest`: with a body, one of the form `sha-256=:BASE64:` is expected";
        NodeError::new(ErrorKind::Usage, "digest_invalid", text)
    })
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
    use crate::remote::content_digest;

    fn headers(name: HeaderName, values: &[&str]) -> HeaderMap {
        values.iter().map(|value| (name.clone(), HeaderValue::from_str(value).expect("a value"))).collect()
    }

    #[test]
    fn a_body_is_the_one_that_was_signed_or_none() {
        let digest = content_digest(Hash256::of(b"signed"));
        let asked = |values: &[&str]| {
            body_of(&headers(CONTENT_DIGEST, values)).map(|body| OwnersRequest { owner: Address([1; 20]), body })
        };
        let code = |checked: Result<(), NodeError>| checked.map_err(|error| error.code);
        let signed = asked(&[&digest]).expect("a digest");
        assert_eq!(code(signed.check_body(b"signed")), Ok(()));
        assert_eq!(code(signed.check_body(b"signed ")), Err("body_other"));
        assert_eq!(code(signed.check_body(b"")), Err("body_other"));
        let bare = asked(&[]).expect("no digest");
        assert_eq!(code(bare.check_body(b"")), Ok(()));
        assert_eq!(code(bare.check_body(b"more")), Err("body_other"));
        let length = |length| body_of(&headers(CONTENT_LENGTH, &[length])).map_err(|error| error.code);
        assert_eq!((length("0"), length("7")), (Ok(Hash256::of(b"")), Err("digest_invalid")));
        for wrong in [&["sha-256=:AAAA:"][..], &[""], &[&digest, &digest]] {
            assert_eq!(asked(wrong).map_err(|error| error.code).err(), Some("digest_invalid"), "{wrong:?}");
        }
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
        assert!(authorization_of(&headers(AUTHORIZATION, &[&given])).is_ok());
        for wrong in [&[][..], &[given.as_str(), &given], &["Bearer x"]] {
            let refused = authorization_of(&headers(AUTHORIZATION, wrong)).map_err(|error| error.code);
            assert_eq!(refused.err(), Some("signature_needed"), "{wrong:?}");
        }
    }
}
