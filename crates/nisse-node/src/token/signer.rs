//! Makes the headers of requests that use a token.

use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use http::header::AUTHORIZATION;
use http::{HeaderName, HeaderValue};
use nisse_model::{Did, Hash256, SigningKey};
use nisse_store::{Clock, Entropy};
use zeroize::Zeroizing;

use super::{Audience, NONCE_BYTES, PROOF, SCHEME, SignedRequest, Token};
use crate::remote::{CONTENT_DIGEST, content_digest};

/// Seconds for which a request is good: the node is mostly on the same machine, and the clocks are then the same.
const GOOD_FOR: u64 = 55;

/// A token in use, with the key that signs for it.
pub struct TokenSigner {
    node: Did,
    key: SigningKey,
    authorization: String,
    clock: Arc<dyn Clock>,
    entropy: Arc<dyn Entropy>,
}

/// The key is not there that a token is used with. Completes "failed to …".
#[derive(Debug, thiserror::Error)]
#[error("use a token: it is for the key {0}, which is not here")]
pub struct TokenKeyError(pub Did);

impl TokenSigner {
    /// Uses a token with its own key, or with one from elsewhere that it is for.
    pub fn new(
        token: &Token,
        own: Option<&Zeroizing<[u8; 32]>>,
        clock: Arc<dyn Clock>,
        entropy: Arc<dyn Entropy>,
    ) -> Result<Self, TokenKeyError> {
        let holder = token.chains.holder();
        let key = token.seed.as_ref().or(own).map(|seed| SigningKey::from_seed(seed));
        let key = key.filter(|key| key.did() == holder).ok_or(TokenKeyError(holder))?;
        let authorization = format!("{SCHEME} {}", URL_SAFE_NO_PAD.encode(token.chains.encode()));
        Ok(Self { node: token.node, key, authorization, clock, entropy })
    }

    /// The headers of one request. `path` is path and query as they are sent.
    pub fn sign(&self, method: &str, path: &str, body: &[u8]) -> [(HeaderName, HeaderValue); 3] {
        let mut nonce = [0; NONCE_BYTES];
        self.entropy.fill(&mut nonce);
        let body = Hash256::of(body);
        let request = SignedRequest { method, path, to: Audience::Node(self.node), body };
        let proof = request.prove(&self.key, nonce, self.clock.now().seconds() + GOOD_FOR);
        let headers = [
            (AUTHORIZATION, self.authorization.clone()),
            (PROOF, proof.to_string()),
            (CONTENT_DIGEST, content_digest(body)),
        ];
        headers.map(|(name, value)| {
            let mut value = HeaderValue::try_from(value).expect("letters, digits and signs");
            value.set_sensitive(true);
            (name, value)
        })
    }
}
