//! The body that a signature names.

use http::header::{CONTENT_LENGTH, TRANSFER_ENCODING};
use http::{HeaderMap, HeaderName};
use nisse_model::Hash256;

use super::read_content_digest;
use crate::error::{ErrorKind, NodeError};

pub(crate) const CONTENT_DIGEST: HeaderName = HeaderName::from_static("content-digest");

/// What the body of a signed request has to be. It has not been read.
#[derive(Debug, Clone, Copy)]
pub(crate) struct SignedBody(pub(crate) Hash256);

impl SignedBody {
    /// By the head of its request. Without the header there is no body.
    pub(crate) fn of(headers: &HeaderMap) -> Result<Self, NodeError> {
        let has_body = headers.contains_key(TRANSFER_ENCODING)
            || headers.get(CONTENT_LENGTH).is_some_and(|length| length.as_bytes().iter().any(|digit| *digit != b'0'));
        let mut given = headers.get_all(CONTENT_DIGEST).iter();
        let read = match (given.next(), given.next()) {
            (None, _) if !has_body => Some(Hash256::of(b"")),
            (Some(value), None) => value.to_str().ok().and_then(read_content_digest),
            _ => None,
        };
        read.map(Self).ok_or_else(|| {
            let text = "failed to read `content-digest`: with a body, one of the form `sha-256=:BASE64:` is expected";
            NodeError::new(ErrorKind::Usage, "digest_invalid", text)
        })
    }

    /// Whether this body is the one that was signed.
    pub(crate) fn check(&self, bytes: &[u8]) -> Result<(), NodeError> {
        if Hash256::of(bytes) == self.0 {
            return Ok(());
        }
        let text = "failed to take the request: its body is not the one of its `content-digest`";
        Err(NodeError::new(ErrorKind::Usage, "body_other", text))
    }
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
        let asked = |values: &[&str]| SignedBody::of(&headers(CONTENT_DIGEST, values));
        let code = |checked: Result<(), NodeError>| checked.map_err(|error| error.code);
        let signed = asked(&[&digest]).expect("a digest");
        assert_eq!(code(signed.check(b"signed")), Ok(()));
        assert_eq!(code(signed.check(b"signed ")), Err("body_other"));
        assert_eq!(code(signed.check(b"")), Err("body_other"));
        let bare = asked(&[]).expect("no digest");
        assert_eq!(code(bare.check(b"")), Ok(()));
        assert_eq!(code(bare.check(b"more")), Err("body_other"));
        let length = |length| SignedBody::of(&headers(CONTENT_LENGTH, &[length]));
        assert_eq!(length("0").map(|body| body.0).ok(), Some(Hash256::of(b"")));
        assert_eq!(length("7").map_err(|error| error.code).err(), Some("digest_invalid"));
        for wrong in [&["sha-256=:AAAA:"][..], &[""], &[&digest, &digest]] {
            assert_eq!(asked(wrong).map_err(|error| error.code).err(), Some("digest_invalid"), "{wrong:?}");
        }
    }
}
