//! Headers, rebuilt: nothing a guest wrote reaches the wire unless it is a plain end-to-end header.

use http::{HeaderMap, HeaderName, HeaderValue, Method, header};

use crate::error::EgressError;

/// Headers per request and per response.
pub const HEADERS_MAX: usize = 100;
/// Bytes of all names and values of a request.
pub const REQUEST_HEADER_BYTES_MAX: u64 = 32 * 1024;
/// Bytes of a response's head, which is also the largest read at once.
pub const RESPONSE_HEADER_BYTES_MAX: usize = 64 * 1024;
/// Sent where a guest names none: many services refuse requests without one.
const USER_AGENT: HeaderValue = HeaderValue::from_static(concat!("nisse/", env!("CARGO_PKG_VERSION")));
/// Longest method.
const METHOD_LENGTH_MAX: usize = 32;

/// Headers that describe one hop, or that this node writes itself (RFC 9110 §7.6.1, RFC 9112 §6).
const HOP_HEADERS: [&str; 14] = [
    "connection",
    "content-length",
    "expect",
    "host",
    "http2-settings",
    "keep-alive",
    "proxy-authenticate",
    "proxy-authorization",
    "proxy-connection",
    "te",
    "trailer",
    "trailers",
    "transfer-encoding",
    "upgrade",
];

/// Reads a method; CONNECT and TRACE turn a server into something else and are refused.
pub(crate) fn method(text: &str) -> Result<Method, EgressError> {
    let refused = || EgressError::Method(text.chars().take(METHOD_LENGTH_MAX).collect());
    let forbidden = ["connect", "trace", "track", "pri"];
    if text.len() > METHOD_LENGTH_MAX || forbidden.iter().any(|method| text.eq_ignore_ascii_case(method)) {
        return Err(refused());
    }
    Method::from_bytes(text.as_bytes()).map_err(|_| refused())
}

/// The headers to send: the guest's end-to-end headers, and our own `Host`.
pub(crate) fn request_headers(guest: &[(String, Vec<u8>)], host: &str) -> Result<HeaderMap, EgressError> {
    if guest.len() > HEADERS_MAX {
        return Err(EgressError::TooLarge { limit: "headers_max", max: HEADERS_MAX as u64 });
    }
    let bytes: u64 = guest.iter().map(|(name, value)| (name.len() + value.len() + 4) as u64).sum();
    if bytes > REQUEST_HEADER_BYTES_MAX {
        return Err(EgressError::TooLarge { limit: "request_header_bytes_max", max: REQUEST_HEADER_BYTES_MAX });
    }
    let mut headers = HeaderMap::with_capacity(guest.len() + 1);
    for (name, value) in guest {
        let refused = |why| EgressError::Header { name: name.chars().take(80).collect(), why };
        let parsed = HeaderName::from_bytes(name.as_bytes()).map_err(|_| refused("its name is not a token"))?;
        let value = HeaderValue::from_bytes(value).map_err(|_| refused("its value holds a control character"))?;
        headers.append(parsed, value);
    }
    drop_hop_headers(&mut headers);
    let host = HeaderValue::from_str(host)
        .map_err(|_| EgressError::Header { name: "host".to_owned(), why: "the host is not a header value" })?;
    headers.insert(header::HOST, host);
    headers.entry(header::USER_AGENT).or_insert(USER_AGENT);
    Ok(headers)
}

/// Takes out what was meant for one hop, including what `Connection` names.
pub(crate) fn drop_hop_headers(headers: &mut HeaderMap) {
    let named: Vec<HeaderName> = headers
        .get_all(header::CONNECTION)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .filter_map(|name| HeaderName::from_bytes(name.trim().as_bytes()).ok())
        .collect();
    let hop = |name: &HeaderName| HOP_HEADERS.contains(&name.as_str()) || name.as_str().starts_with("proxy-");
    let dropped: Vec<HeaderName> = headers.keys().filter(|name| hop(name) || named.contains(name)).cloned().collect();
    for name in dropped {
        headers.remove(name);
    }
}
/// Whether a body comes as it is, packed by nobody.
pub(crate) fn is_plain(headers: &HeaderMap) -> bool {
    let identity = |value: &HeaderValue| value.as_bytes().trim_ascii().eq_ignore_ascii_case(b"identity");
    headers.get_all(header::CONTENT_ENCODING).iter().all(identity)
}
