//! `/spaces/SPACE/session`: a page logs in with its ticket, and its browser keeps that as a cookie no script reads.
//!
//! The cookie is the ticket itself: nothing is remembered here, and it ends with the same rights. A browser sends it whatever
//! page asks, so it counts for pages of the origins that the operator takes, and for no other, in the one place where
//! that is decided ([`Page::of`]). Pages below the same name, those of agents among them, are other origins.

use std::net::IpAddr;

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, Response, StatusCode, header};
use http_body_util::{Either, Full};
use hyper::body::Incoming;
use nisse_node::control::SpaceSession;
use nisse_node::{Node, SPACE_PATH};

use super::{NOBODY, not_opened};
use crate::body::Bodies;
use crate::public::refusals::without_body;
use crate::public::{Body, text};

/// What the cookie is called.
const NAME: &str = "nisse-space";
/// What stands behind a space's path.
const PATH_END: &str = "/session";
/// Bytes of the body that a ticket stands in.
const BODY_BYTES_MAX: u64 = 1 << 10;
/// Bytes of all cookies of a request that are looked at.
const COOKIES_BYTES_MAX: usize = 8 << 10;
const METHODS: HeaderValue = HeaderValue::from_static("GET, POST, DELETE, OPTIONS");
/// How long a browser may remember what a page may ask, in seconds.
const PREFLIGHT_S: HeaderValue = HeaderValue::from_static("600");
const FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");
const FOREIGN: &str = "pages of this origin may not log in here; `listen.origins` of this node lists those that may";

/// Whose page a request is of.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Page {
    /// Of an origin that may ask.
    Taken(HeaderValue),
    /// Of none: a program asks, or a browser for its user.
    None,
    /// Of another origin, or of one that hides itself.
    Foreign,
}

impl Page {
    fn of(headers: &HeaderMap, takes: impl Fn(&str) -> bool) -> Self {
        let mut origins = headers.get_all(header::ORIGIN).iter();
        match (origins.next(), origins.next()) {
            (Some(origin), None) if origin.to_str().is_ok_and(takes) => Self::Taken(origin.clone()),
            (Some(_), _) => Self::Foreign,
            (None, _) if headers.get_all(FETCH_SITE).iter().any(|site| site != "same-origin" && site != "none") => {
                Self::Foreign
            }
            (None, _) => Self::None,
        }
    }
}

/// The space whose session a path is.
pub(super) fn space(path: &str) -> Option<&str> {
    let space = path.strip_prefix(SPACE_PATH)?.strip_suffix(PATH_END)?;
    // It stands in the path of a cookie that is taken back.
    let is_plain = !space.is_empty() && space.bytes().all(|byte| byte.is_ascii_alphanumeric());
    is_plain.then_some(space)
}

/// The ticket that a browser sends for a page which may use it. A program has it in its URL, and names no origin.
pub(super) fn ticket<'h>(node: &Node, headers: &'h HeaderMap) -> Option<&'h str> {
    matches!(Page::of(headers, |origin| node.takes_pages_of(origin)), Page::Taken(_)).then(|| kept(headers))?
}

/// The one cookie of that name. Where there are two, another page put one there: none of them counts.
fn kept(headers: &HeaderMap) -> Option<&str> {
    let lines = || headers.get_all(header::COOKIE).iter();
    if lines().map(HeaderValue::len).sum::<usize>() > COOKIES_BYTES_MAX {
        return None;
    }
    let pairs = lines().filter_map(|line| line.to_str().ok()).flat_map(|line| line.split(';'));
    let mut found = pairs.filter_map(|pair| pair.trim().split_once('=')).filter(|(name, _)| *name == NAME);
    let (_, ticket) = found.next()?;
    found.next().is_none().then_some(ticket)
}

/// Answers whoever logs in, asks what they may, or logs out.
pub(super) async fn answer(
    (node, bodies): (&Node, &Bodies),
    from: IpAddr,
    space: &str,
    request: Request<Incoming>,
) -> Response<Body> {
    let (head, body) = request.into_parts();
    let page = Page::of(&head.headers, |origin| node.takes_pages_of(origin));
    if page == Page::Foreign {
        // Without a word by which the page's script could read it.
        return refused(FOREIGN);
    }
    let mut response = match head.method {
        Method::POST => match bodies.whole_within(from, Some(BODY_BYTES_MAX), body).await {
            Ok(body) => log_in(node, space, shown(&head.headers, &body.bytes)),
            Err(error) => without_body(error),
        },
        Method::GET => match kept(&head.headers).map(|ticket| node.space_session(space, ticket)) {
            Some(Ok(session)) => told(&session),
            Some(Err(error)) => not_opened(&error),
            None => text(StatusCode::FORBIDDEN, NOBODY),
        },
        Method::DELETE => cookie(nothing(), &set("", space, 0, node.is_behind_tls())),
        Method::OPTIONS => preflight(nothing()),
        _ => {
            let mut response = text(StatusCode::METHOD_NOT_ALLOWED, "a session is begun by POST and ended by DELETE");
            response.headers_mut().insert(header::ALLOW, METHODS);
            response
        }
    };
    let headers = response.headers_mut();
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(header::VARY, HeaderValue::from_static("origin"));
    if let Page::Taken(origin) = page {
        headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, origin);
        headers.insert(header::ACCESS_CONTROL_ALLOW_CREDENTIALS, HeaderValue::from_static("true"));
    }
    response
}

fn log_in(node: &Node, space: &str, ticket: Option<&str>) -> Response<Body> {
    let Some(ticket) = ticket else { return text(StatusCode::FORBIDDEN, NOBODY) };
    match node.space_session(space, ticket) {
        Ok(session) => {
            let lasts_s = session.lasts_ms / 1_000;
            cookie(told(&session), &set(ticket, &session.space, lasts_s, node.is_behind_tls()))
        }
        Err(error) => not_opened(&error),
    }
}

/// The ticket that stands in `authorization`, or else in the body.
fn shown<'r>(headers: &'r HeaderMap, body: &'r [u8]) -> Option<&'r str> {
    let mut values = headers.get_all(header::AUTHORIZATION).iter();
    match (values.next(), values.next()) {
        (None, _) => std::str::from_utf8(body).ok().map(str::trim),
        (Some(value), None) => value.to_str().ok()?.strip_prefix("Bearer ").map(str::trim),
        (Some(_), Some(_)) => None,
    }
}

/// A cookie for this space alone, which lasts no longer than its ticket: where that is less than a second, not at all.
fn set(ticket: &str, space: &str, lasts_s: u64, is_behind_tls: bool) -> String {
    let secure = if is_behind_tls { "; Secure" } else { "" };
    format!("{NAME}={ticket}; Path={SPACE_PATH}{space}; Max-Age={lasts_s}; HttpOnly; SameSite=Strict{secure}")
}

fn cookie(mut response: Response<Body>, cookie: &str) -> Response<Body> {
    // A ticket and a space's name are plain letters.
    if let Ok(mut cookie) = HeaderValue::from_str(cookie) {
        cookie.set_sensitive(true);
        response.headers_mut().insert(header::SET_COOKIE, cookie);
    }
    response
}

fn told(session: &SpaceSession) -> Response<Body> {
    let json = serde_json::to_vec(session).unwrap_or_default();
    let mut response = Response::new(Either::Left(Full::new(Bytes::from(json))));
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    response
}

fn nothing() -> Response<Body> {
    let mut response = Response::new(Either::Left(Full::new(Bytes::new())));
    *response.status_mut() = StatusCode::NO_CONTENT;
    response
}

/// Says beforehand what a page's script may ask. No other page comes here.
fn preflight(mut response: Response<Body>) -> Response<Body> {
    let headers = response.headers_mut();
    headers.insert(header::ACCESS_CONTROL_ALLOW_METHODS, METHODS);
    headers.insert(header::ACCESS_CONTROL_ALLOW_HEADERS, HeaderValue::from_static("authorization, content-type"));
    headers.insert(header::ACCESS_CONTROL_MAX_AGE, PREFLIGHT_S);
    response
}

fn refused(words: &str) -> Response<Body> {
    let mut response = text(StatusCode::FORBIDDEN, words);
    // What it sent is not read.
    response.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(of: &[(&'static str, &str)]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (name, value) in of {
            headers.append(HeaderName::from_static(name), HeaderValue::from_str(value).expect("a value"));
        }
        headers
    }

    #[test]
    fn a_page_is_taken_by_its_one_origin_and_by_nothing_else() {
        let of = |given: &[(&'static str, &str)]| Page::of(&headers(given), |origin| origin == "http://app.example");
        assert_eq!(
            of(&[("origin", "http://app.example")]),
            Page::Taken(HeaderValue::from_static("http://app.example"))
        );
        assert_eq!(of(&[]), Page::None);
        assert_eq!(of(&[("sec-fetch-site", "same-origin")]), Page::None);
        for foreign in [
            &[("origin", "null")][..],
            &[("origin", "https://app.example")],
            &[("origin", "http://app.example.evil.example")],
            &[("origin", "http://app.example"), ("origin", "http://app.example")],
            &[("sec-fetch-site", "cross-site")],
            &[("sec-fetch-site", "same-site")],
        ] {
            assert_eq!(of(foreign), Page::Foreign, "{foreign:?}");
        }
    }

    #[test]
    fn one_cookie_counts_and_two_of_its_name_do_not() {
        let kept = |lines: &[&str]| {
            let headers = headers(&lines.iter().map(|line| ("cookie", *line)).collect::<Vec<_>>());
            super::kept(&headers).map(str::to_owned)
        };
        for one in [&["nisse-space=a"][..], &["b=c; nisse-space=a;d=e"], &["b=c", "nisse-space=a"]] {
            assert_eq!(kept(one).as_deref(), Some("a"), "{one:?}");
        }
        let long = format!("nisse-space=a; b={}", "c".repeat(COOKIES_BYTES_MAX));
        for none in [
            &[][..],
            &["nisse-space"],
            &["Nisse-Space=a"],
            &["xnisse-space=a"],
            &["nisse-space=a; nisse-space=a"],
            &["nisse-space=a", "nisse-space=b"],
            &[&long],
        ] {
            assert_eq!(kept(none), None, "{none:?}");
        }
    }

    #[test]
    fn a_cookie_is_one_spaces_and_no_scripts() {
        let plain = "nisse-space=nst1_x; Path=/spaces/ab; Max-Age=7; HttpOnly; SameSite=Strict";
        assert_eq!(set("nst1_x", "ab", 7, false), plain);
        assert_eq!(set("nst1_x", "ab", 7, true), format!("{plain}; Secure"));
        assert_eq!(space("/spaces/ab12/session"), Some("ab12"));
        for other in ["/spaces//session", "/spaces/a/b/session", "/spaces/a;b/session", "/spaces/ab12", "/ab12/session"]
        {
            assert_eq!(space(other), None, "{other}");
        }
    }

    #[test]
    fn a_ticket_is_shown_in_one_place() {
        let header = headers(&[("authorization", "Bearer nst1_x")]);
        assert_eq!(shown(&header, b"nst1_y"), Some("nst1_x"));
        assert_eq!(shown(&HeaderMap::new(), b" nst1_y\n"), Some("nst1_y"));
        let twice = headers(&[("authorization", "Bearer a"), ("authorization", "Bearer b")]);
        assert_eq!((shown(&twice, b"a"), shown(&headers(&[("authorization", "a")]), b"a")), (None, None));
    }
}
