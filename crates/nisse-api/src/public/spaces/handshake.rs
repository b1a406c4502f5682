//! The opening of a WebSocket (RFC 6455, section 4.2): what has to stand in a request, and what follows from it.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, Response, StatusCode, Version, header};
use http_body_util::Full;

use crate::public::{Body, text};

/// The one version that there is.
const VERSION: &str = "13";
/// What a key is hashed with.
const GUID: &[u8] = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11";
/// Bytes of a key.
const KEY_BYTES: usize = 16;

/// Why a request opens no WebSocket.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Unfit {
    /// Another method than GET.
    Method,
    /// It does not ask for one.
    Plain,
    /// It asks in a way that the protocol does not have; what is wrong.
    Malformed(&'static str),
}

/// What a request's key is answered with.
pub(super) fn accept<B: http_body::Body>(request: &Request<B>) -> Result<HeaderValue, Unfit> {
    let headers = request.headers();
    if request.method() != Method::GET {
        return Err(Unfit::Method);
    }
    if !names(headers, &header::CONNECTION, "upgrade") || !names(headers, &header::UPGRADE, "websocket") {
        return Err(Unfit::Plain);
    }
    if request.version() != Version::HTTP_11 {
        return Err(Unfit::Malformed("a WebSocket is opened by HTTP/1.1"));
    }
    if !request.body().is_end_stream() {
        return Err(Unfit::Malformed("a WebSocket is opened without a body"));
    }
    if one(headers, &header::SEC_WEBSOCKET_VERSION).is_none_or(|version| version != VERSION) {
        return Err(Unfit::Malformed("a WebSocket has version 13, named once in `sec-websocket-version`"));
    }
    let key = one(headers, &header::SEC_WEBSOCKET_KEY);
    let key = key.filter(|key| STANDARD.decode(key.as_bytes()).is_ok_and(|bytes| bytes.len() == KEY_BYTES));
    let key = key.ok_or(Unfit::Malformed("`sec-websocket-key` is 16 bytes in base64, named once"))?;
    let mut hash = sha1_smol::Sha1::from(key.as_bytes());
    hash.update(GUID);
    let accept = STANDARD.encode(hash.digest().bytes());
    Ok(HeaderValue::from_str(&accept).expect("base64 is made of visible characters"))
}

/// The answer after which the protocol is another. No extension is taken up, whatever was offered.
pub(super) fn switch(accept: HeaderValue) -> Response<Body> {
    let mut response = Response::new(Body::Left(Full::new(Bytes::new())));
    *response.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
    let headers = response.headers_mut();
    headers.insert(header::CONNECTION, HeaderValue::from_static("upgrade"));
    headers.insert(header::UPGRADE, HeaderValue::from_static("websocket"));
    headers.insert(header::SEC_WEBSOCKET_ACCEPT, accept);
    response
}

impl Unfit {
    /// What whoever asked so is told.
    pub(super) fn answer(self) -> Response<Body> {
        let words = match self {
            Self::Method => "a WebSocket is opened by GET",
            Self::Plain => "a space is a WebSocket: give this URL to a client of automerge-repo",
            Self::Malformed(words) => words,
        };
        let status = match self {
            Self::Method => StatusCode::METHOD_NOT_ALLOWED,
            Self::Plain => StatusCode::UPGRADE_REQUIRED,
            Self::Malformed(_) => StatusCode::BAD_REQUEST,
        };
        let mut response = text(status, words);
        let headers = response.headers_mut();
        match self {
            Self::Method => _ = headers.insert(header::ALLOW, HeaderValue::from_static("GET")),
            Self::Plain => {
                headers.insert(header::UPGRADE, HeaderValue::from_static("websocket"));
                headers.insert(header::CONNECTION, HeaderValue::from_static("upgrade, close"));
            }
            Self::Malformed(_) => {
                headers.insert(header::SEC_WEBSOCKET_VERSION, HeaderValue::from_static(VERSION));
                headers.insert(header::CONNECTION, HeaderValue::from_static("close"));
            }
        }
        response
    }
}

/// Whether a list of words has this one, in any letter case.
fn names(headers: &HeaderMap, name: &HeaderName, word: &str) -> bool {
    let lists = headers.get_all(name).iter().filter_map(|value| value.to_str().ok());
    lists.flat_map(|list| list.split(',')).any(|found| found.trim().eq_ignore_ascii_case(word))
}

/// The value of a header that is there once.
fn one<'h>(headers: &'h HeaderMap, name: &HeaderName) -> Option<&'h str> {
    let mut values = headers.get_all(name).iter();
    let value = values.next()?.to_str().ok()?;
    values.next().is_none().then_some(value)
}

#[cfg(test)]
mod tests {
    use http_body_util::Empty;

    use super::*;

    /// The request of RFC 6455, section 1.3, with these headers in place of its own.
    fn request(changed: &[(&'static str, &'static str)]) -> Request<Empty<Bytes>> {
        let mut request = Request::builder().uri("/spaces/a?ticket=b").body(Empty::new()).expect("a request");
        let own = [
            ("connection", "keep-alive, Upgrade"),
            ("upgrade", "WebSocket"),
            ("sec-websocket-version", "13"),
            ("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ=="),
        ];
        let kept = own.into_iter().filter(|(name, _)| changed.iter().all(|(changed, _)| changed != name));
        for (name, value) in kept.chain(changed.iter().copied().filter(|(_, value)| !value.is_empty())) {
            request.headers_mut().append(name, HeaderValue::from_static(value));
        }
        request
    }

    #[test]
    fn the_key_of_the_specification_is_answered_as_it_says() {
        assert_eq!(accept(&request(&[])), Ok(HeaderValue::from_static("s3pPLMBiTxaQ9kYGzzhZRbK+xOo=")));
        let offered = request(&[("sec-websocket-extensions", "permessage-deflate; client_max_window_bits")]);
        let switched = switch(accept(&offered).expect("it asks as it should"));
        assert!(!switched.headers().contains_key(header::SEC_WEBSOCKET_EXTENSIONS), "nothing is compressed");
    }

    #[test]
    fn what_does_not_ask_for_a_websocket_is_told_that_this_is_one() {
        for changed in [
            &[("upgrade", "")][..],
            &[("upgrade", "h2c")],
            &[("connection", "keep-alive")],
            &[("connection", ""), ("upgrade", "")],
        ] {
            assert_eq!(accept(&request(changed)), Err(Unfit::Plain), "{changed:?}");
        }
        let told = Unfit::Plain.answer();
        assert_eq!(
            (told.status().as_u16(), &told.headers()[header::UPGRADE]),
            (426, &HeaderValue::from_static("websocket"))
        );
        let mut other = request(&[]);
        *other.method_mut() = Method::POST;
        assert_eq!(accept(&other), Err(Unfit::Method));
    }

    #[test]
    fn what_asks_in_another_way_is_no_request() {
        for changed in [
            &[("sec-websocket-version", "")][..],
            &[("sec-websocket-version", "8")],
            &[("sec-websocket-version", "13"), ("sec-websocket-version", "13")],
            &[("sec-websocket-key", "")],
            &[("sec-websocket-key", "dGhlIHNhbXBsZSBub25j")],
            &[("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ")],
            &[("sec-websocket-key", "no base64 at all, really")],
            &[("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ=="), ("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ==")],
        ] {
            let refused = accept(&request(changed)).expect_err("it is not as it should be");
            assert_eq!(refused.answer().status().as_u16(), 400, "{changed:?}");
            assert_eq!(refused.answer().headers()[header::SEC_WEBSOCKET_VERSION], VERSION);
        }
        let mut old = request(&[]);
        *old.version_mut() = Version::HTTP_10;
        assert!(matches!(accept(&old), Err(Unfit::Malformed(_))));
        let body = request(&[]).map(|_| Full::new(Bytes::from_static(b"a")));
        assert!(matches!(accept(&body), Err(Unfit::Malformed(_))));
    }
}
