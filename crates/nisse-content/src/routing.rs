//! Delegated routing v1 (specs.ipfs.tech/routing/http-routing-v1): who provides a block. What this node answers, and what it
//! reads of others' answers.
//!
//! A node names itself, for what anybody may read from it, and nobody else. Of others it takes only providers that speak
//! the trustless gateway's protocol.

use bytes::Bytes;
use http::header::{ACCEPT, CACHE_CONTROL, CONTENT_LENGTH, CONTENT_TYPE, VARY};
use http::{HeaderValue, Method, Request, Response, StatusCode};
use nisse_model::{ContentId, PeerId};
use serde_json::{Value, json};

use crate::gateway::{Body, problem};
use crate::gateway_url::GatewayUrl;

/// Where providers are asked for: behind it stands a CID.
pub const PROVIDERS_PATH: &str = "/routing/v1/providers/";
/// What a router is asked behind the CID: gateways alone.
pub const PROVIDERS_QUERY: &str = "?filter-protocols=transport-ipfs-gateway-http,unknown&filter-addrs=http,https";
/// What is accepted as an answer: lines, so that the first ones are of use where there are too many.
pub const ACCEPTED: &str = "application/x-ndjson, application/json;q=0.9";
/// Largest answer of a router that is read, in bytes.
pub const ANSWER_BYTES_MAX: usize = 64 * 1024;
/// Providers that are taken of one answer.
pub const PROVIDERS_MAX: usize = 16;

/// What a trustless gateway is called in a provider's record (IPIP-484).
const GATEWAY_PROTOCOL: &str = "transport-ipfs-gateway-http";
/// Of answers: what is held changes.
const ANSWER_AGE_MAX: &str = "public, max-age=15, stale-while-revalidate=60";
const JSON: &str = "application/json";
const LINES: &str = "application/x-ndjson";

/// This node as a provider.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Provider {
    /// Its id among IPFS peers.
    pub peer: PeerId,
    /// Where its gateway is reached from outside.
    pub url: GatewayUrl,
}

/// Answers a request below [`PROVIDERS_PATH`]. `is_public` says whether anybody may read a block here.
pub fn handle(me: &Provider, is_public: impl FnOnce(&ContentId) -> bool, request: &Request<()>) -> Response<Body> {
    let is_head = request.method() == Method::HEAD;
    if request.method() != Method::GET && !is_head {
        return problem(
            StatusCode::METHOD_NOT_ALLOWED,
            "method-not-allowed",
            "providers are asked for by GET",
            is_head,
        );
    }
    let text = request.uri().path().strip_prefix(PROVIDERS_PATH).unwrap_or_default();
    let cid: ContentId = match text.parse() {
        Ok(cid) => cid,
        Err(error) => return problem(StatusCode::BAD_REQUEST, "bad-cid", &format!("failed to {error}"), is_head),
    };
    let wanted = Wanted::of(request.uri().query().unwrap_or_default());
    let provider = (is_public(&cid) && wanted.takes(&me.url)).then(|| {
        let (id, addresses) = (me.peer.to_string(), [me.url.to_multiaddr()]);
        json!({ "Schema": "peer", "ID": id, "Addrs": addresses, "Protocols": [GATEWAY_PROTOCOL] })
    });
    let accept = request.headers().get(ACCEPT).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let (content_type, text) = match (accept.contains(LINES), provider) {
        (true, Some(provider)) => (LINES, format!("{provider}\n")),
        (true, None) => (LINES, String::new()),
        (false, provider) => (JSON, json!({ "Providers": Vec::from_iter(provider) }).to_string()),
    };
    let length = text.len();
    let mut response = Response::new(if is_head { Body::empty() } else { Body::full(Bytes::from(text)) });
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    headers.insert(CONTENT_LENGTH, HeaderValue::from(length));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static(ANSWER_AGE_MAX));
    headers.insert(VARY, HeaderValue::from_static("accept"));
    response
}

/// Which providers are wanted (IPIP-484): those that fit every filter that is given.
struct Wanted<'a> {
    protocols: Option<&'a str>,
    addresses: Option<&'a str>,
}

impl<'a> Wanted<'a> {
    fn of(query: &'a str) -> Self {
        let value = |key: &str| {
            let pairs = query.split('&').filter_map(|pair| pair.split_once('='));
            pairs.filter(|(name, _)| *name == key).map(|(_, value)| value).next()
        };
        Self { protocols: value("filter-protocols"), addresses: value("filter-addrs") }
    }

    fn takes(&self, url: &GatewayUrl) -> bool {
        let names =
            |list: &'a str| list.split(',').flat_map(|name| name.split("%2C")).flat_map(|name| name.split("%2c"));
        let protocol = self.protocols.is_none_or(|list| names(list).any(|name| name == GATEWAY_PROTOCOL));
        let multiaddr = url.to_multiaddr();
        let speaks = |name: &str| multiaddr.split('/').any(|part| part == name);
        let address = self.addresses.is_none_or(|list| {
            let refused = names(list).filter_map(|name| name.strip_prefix('!')).any(speaks);
            let mut asked = names(list).filter(|name| !name.starts_with('!')).peekable();
            !refused && (asked.peek().is_none() || asked.any(speaks))
        });
        protocol && address
    }
}

/// The gateways that a router's answer names, best first. What cannot be read is passed over.
pub fn gateways(body: &[u8]) -> Vec<GatewayUrl> {
    let records: Vec<Value> = match serde_json::from_slice::<Value>(body) {
        Ok(mut whole) => match whole.get_mut("Providers").map(Value::take) {
            Some(Value::Array(records)) => records,
            _ => vec![whole],
        },
        Err(_) => body.split(|byte| *byte == b'\n').filter_map(|line| serde_json::from_slice(line).ok()).collect(),
    };
    let mut found = Vec::new();
    for record in records {
        let protocols = record["Protocols"].as_array().map(Vec::as_slice).unwrap_or_default();
        if !protocols.is_empty() && protocols.iter().all(|protocol| protocol != GATEWAY_PROTOCOL) {
            continue;
        }
        let addresses = record["Addrs"].as_array().into_iter().flatten().filter_map(Value::as_str);
        for url in addresses.filter_map(GatewayUrl::from_multiaddr) {
            if found.len() < PROVIDERS_MAX && !found.contains(&url) {
                found.push(url);
            }
        }
    }
    found
}
