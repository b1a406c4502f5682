//! Makes one request out, exactly as the body of its own request spells it, and answers with what happened, as JSON.
//!
//! In: `{"method", "scheme", "authority", "path", "headers": [[name, value]], "body", "read_bytes_max", "timeout_ms"}`,
//! each of which may be missing. Out: `{"status", "headers", "body", "body_bytes"}`, or `{"refused": STEP, "error"}`.
//! Nothing is tidied up on the way: a host that only asks nicely is not a barrier.
use nisse_sdk::bindings::wasi::http::outgoing_handler;
use nisse_sdk::bindings::wasi::http::types::{
    Fields, IncomingResponse, Method, OutgoingBody, OutgoingRequest, RequestOptions, Scheme,
};
use nisse_sdk::bindings::wasi::io::streams::StreamError;
use nisse_sdk::{Failure, Handler, Invocation, Outcome, http};
use serde_json::{Value, json};

const READ_BYTES_MAX: u64 = 64 * 1024;

struct EgressProber;

/// The step that was refused, and what was said.
type Refused = (&'static str, String);

impl Handler for EgressProber {
    fn handle(invocation: Invocation) -> Result<Outcome, Failure> {
        if invocation.event.is_started() {
            return Ok(Outcome::empty());
        }
        let data = probe(&invocation.event.data).to_string().into_bytes();
        Ok(Outcome { content_type: "application/json".into(), data })
    }
}

impl http::Serve for EgressProber {
    fn serve(request: http::Request) -> http::Response {
        match request.body() {
            Ok(spec) => http::Response::new(200, "application/json", probe(spec).to_string()),
            Err(error) => error.into(),
        }
    }
}

fn probe(spec: &[u8]) -> Value {
    match serde_json::from_slice(spec).map_err(|error| ("spec", error.to_string())).and_then(|spec| run(&spec)) {
        Ok(seen) => seen,
        Err((step, error)) => json!({ "refused": step, "error": error }),
    }
}

fn run(spec: &Value) -> Result<Value, Refused> {
    let text = |key: &str| spec[key].as_str();
    let headers = Fields::new();
    for pair in spec["headers"].as_array().into_iter().flatten() {
        let (name, value) = (pair[0].as_str().unwrap_or_default(), pair[1].as_str().unwrap_or_default());
        headers.append(name, value.as_bytes()).map_err(|error| ("headers", format!("{name}: {error}")))?;
    }
    let request = OutgoingRequest::new(headers);
    request.set_method(&method(text("method").unwrap_or("GET"))).map_err(|()| ("method", String::new()))?;
    let scheme = text("scheme").map(|scheme| match scheme {
        "http" => Scheme::Http,
        "https" => Scheme::Https,
        other => Scheme::Other(other.into()),
    });
    request.set_scheme(scheme.as_ref()).map_err(|()| ("scheme", String::new()))?;
    request.set_authority(text("authority")).map_err(|()| ("authority", String::new()))?;
    request.set_path_with_query(text("path")).map_err(|()| ("path", String::new()))?;
    let options = RequestOptions::new();
    if let Some(timeout) = spec["timeout_ms"].as_u64() {
        let timeout = Some(timeout.saturating_mul(1_000_000));
        let _ = options.set_connect_timeout(timeout).and_then(|()| options.set_first_byte_timeout(timeout));
        let _ = options.set_between_bytes_timeout(timeout);
    }

    let body = request.body().map_err(|()| ("body", String::new()))?;
    let pending = outgoing_handler::handle(request, Some(options)).map_err(|code| ("handle", code.to_string()))?;
    if let Some(bytes) = text("body") {
        http::write_body(&body, bytes.as_bytes()).map_err(|error| ("body", error.to_string()))?;
    }
    OutgoingBody::finish(body, None).map_err(|code| ("finish", code.to_string()))?;
    pending.subscribe().block();
    let response = pending.get().and_then(Result::ok).ok_or(("response", String::new()))?;
    let response = response.map_err(|code| ("response", code.to_string()))?;
    seen(&response, spec["read_bytes_max"].as_u64().unwrap_or(READ_BYTES_MAX))
}

fn method(name: &str) -> Method {
    match name {
        "GET" => Method::Get,
        "HEAD" => Method::Head,
        "POST" => Method::Post,
        "PUT" => Method::Put,
        "DELETE" => Method::Delete,
        "CONNECT" => Method::Connect,
        "OPTIONS" => Method::Options,
        "TRACE" => Method::Trace,
        "PATCH" => Method::Patch,
        other => Method::Other(other.into()),
    }
}

/// The response, with as much of its body as `kept_max`; the rest is read and counted.
fn seen(response: &IncomingResponse, kept_max: u64) -> Result<Value, Refused> {
    let headers: Vec<Value> = response
        .headers()
        .entries()
        .into_iter()
        .map(|(name, value)| json!([name, String::from_utf8_lossy(&value)]))
        .collect();
    let body = response.consume().map_err(|()| ("response body", String::new()))?;
    let stream = body.stream().map_err(|()| ("response body", String::new()))?;
    let (mut kept, mut total) = (Vec::new(), 0u64);
    let end = loop {
        match stream.blocking_read(READ_BYTES_MAX) {
            Ok(chunk) => {
                total += chunk.len() as u64;
                let room = usize::try_from(kept_max).unwrap_or(usize::MAX).saturating_sub(kept.len());
                kept.extend_from_slice(&chunk[..chunk.len().min(room)]);
            }
            Err(StreamError::Closed) => break Value::Null,
            Err(StreamError::LastOperationFailed(error)) => break error.to_debug_string().into(),
        }
    };
    Ok(json!({
        "status": response.status(),
        "headers": headers,
        "body": String::from_utf8_lossy(&kept),
        "body_bytes": total,
        "body_error": end,
    }))
}

nisse_sdk::export!(EgressProber);
