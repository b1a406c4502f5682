//! HTTP in both directions, with whole bodies: [`Serve`] answers requests, [`fetch`] makes them.
//!
//! Every call of the host costs more than what most agents do in between, so a [`Request`] is read only as far as it is
//! asked for, and a [`Response`] leaves in as few calls as it can.
//!
//! A request out needs the permission `network_outbound:HOST`. The node resolves, checks and dials; redirects are not
//! followed. Agents that stream bodies implement [`ServeRaw`].
mod body;
mod fetch;
mod request;
mod url;

pub use crate::bindings::wasi::http::types::{ErrorCode, Method};
use crate::bindings::wasi::http::types::{Fields, IncomingRequest, OutgoingBody, OutgoingResponse, ResponseOutparam};
pub use body::{BodyError, read_body, write_body};
pub use fetch::{Fetch, FetchError, RESPONSE_BODY_BYTES_MAX, fetch};
pub use request::{REQUEST_BODY_BYTES_MAX, Request};
pub use url::{Url, UrlError};

/// What `wasi:http` gives a response that was told no status.
const STATUS_AT_FIRST: u16 = 200;

/// An agent's answers over HTTP.
pub trait Serve {
    /// Runs once per request.
    fn serve(request: Request) -> Response;
}

/// As [`Serve`], with the resources of `wasi:http` in hand.
pub trait ServeRaw {
    /// Runs once per request.
    fn serve(request: IncomingRequest, response: ResponseOutparam);
}

/// A response with its whole body.
#[derive(Debug, Clone)]
pub struct Response {
    /// Such as 200.
    pub status: u16,
    /// In order.
    pub headers: Vec<(String, Vec<u8>)>,
    /// Whole.
    pub body: Vec<u8>,
}

impl Response {
    /// A response with a media type.
    pub fn new(status: u16, content_type: &str, body: impl Into<Vec<u8>>) -> Self {
        Self { status, headers: vec![("content-type".into(), content_type.into())], body: body.into() }
    }

    /// Plain text.
    pub fn text(status: u16, text: impl Into<String>) -> Self {
        Self::new(status, "text/plain; charset=utf-8", text.into())
    }

    /// A value as JSON.
    #[cfg(feature = "json")]
    pub fn json(status: u16, value: &impl serde::Serialize) -> Self {
        match serde_json::to_vec(value) {
            Ok(body) => Self::new(status, "application/json", body),
            Err(error) => Self::text(500, error.to_string()),
        }
    }

    /// With one more header.
    pub fn with_header(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.into(), value.into()));
        self
    }

    /// The first header of this name where it is text.
    pub fn header(&self, name: &str) -> Option<&str> {
        header(&self.headers, name)
    }
}

fn header<'a>(headers: &'a [(String, Vec<u8>)], name: &str) -> Option<&'a str> {
    let (_, value) = headers.iter().find(|(key, _)| key.eq_ignore_ascii_case(name))?;
    std::str::from_utf8(value).ok()
}

/// 413 for a body that is too long, 400 for one that broke off.
impl From<BodyError> for Response {
    fn from(error: BodyError) -> Self {
        match error {
            BodyError::TooLarge { limit_bytes } => {
                Self::text(413, format!("a request body is at most {limit_bytes} bytes\n"))
            }
            BodyError::Broken(_) => Self::text(400, format!("{error}\n")),
        }
    }
}

/// Has `T` answer a request, and sends the answer.
pub(crate) fn serve<T: Serve>(request: IncomingRequest, out: ResponseOutparam) {
    send(T::serve(Request::incoming(request)), out);
}

/// Sends a whole response. One that `wasi:http` does not take, such as a header with a line break in it, becomes a 500.
pub fn send(response: Response, out: ResponseOutparam) {
    let Ok(headers) = Fields::from_list(&response.headers) else { return refuse(out) };
    let outgoing = OutgoingResponse::new(headers);
    if response.status != STATUS_AT_FIRST && outgoing.set_status_code(response.status).is_err() {
        return refuse(out);
    }
    if response.body.is_empty() {
        // One whose body was never asked for has none.
        return ResponseOutparam::set(out, Ok(outgoing));
    }
    let body = outgoing.body().expect("a response's body is taken once");
    ResponseOutparam::set(out, Ok(outgoing));
    // The caller may have gone; then nobody reads what is left.
    if write_body(&body, &response.body).is_ok() {
        let _ = OutgoingBody::finish(body, None);
    }
}

fn refuse(out: ResponseOutparam) {
    ResponseOutparam::set(out, Err(ErrorCode::InternalError(Some("the agent made a malformed response".into()))));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_body_that_did_not_arrive_is_the_senders_fault() {
        assert_eq!(Response::from(BodyError::TooLarge { limit_bytes: 7 }).status, 413);
        assert_eq!(Response::from(BodyError::Broken("closed".into())).status, 400);
    }
}
