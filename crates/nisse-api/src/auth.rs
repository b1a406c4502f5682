//! Who may call the control API: loopback by its address, a page of another origin never, a holder of the token.
//!
//! The Host check stops a name that was rebound to loopback; the Origin check stops a page in the owner's browser. Both
//! come before the token, so that nothing learns whether a token is right.

use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use http::{HeaderMap, StatusCode, header};

use crate::problem::Problem;
use crate::routes::Scope;

/// What the checks need to know.
#[derive(Clone)]
pub(crate) struct Guard {
    pub(crate) token: String,
    pub(crate) scope: Scope,
}

/// Refuses what may not pass.
pub(crate) async fn check(State(guard): State<Guard>, request: Request, next: Next) -> Response {
    match guard.admit(request.headers()) {
        Ok(()) => next.run(request).await,
        Err(problem) => problem.into_response(),
    }
}

impl Guard {
    fn admit(&self, headers: &HeaderMap) -> Result<(), Problem> {
        local_only(headers)?;
        if self.scope == Scope::Anyone {
            return Ok(());
        }
        let mut tokens = headers.get_all(header::AUTHORIZATION).iter();
        let given = tokens.next().and_then(|value| value.to_str().ok()).and_then(|value| value.strip_prefix("Bearer "));
        let right = given.is_some_and(|given| same(given.as_bytes(), self.token.as_bytes()));
        if right && tokens.next().is_none() {
            return Ok(());
        }
        let problem = Problem::new(StatusCode::UNAUTHORIZED, "token_needed", "the control API needs this home's token");
        Err(problem.with_hint("send `Authorization: Bearer TOKEN` with the text of <home>/token"))
    }
}

/// Host must be a loopback name, Origin absent or a loopback origin.
pub(crate) fn local_only(headers: &HeaderMap) -> Result<(), Problem> {
    let mut hosts = headers.get_all(header::HOST).iter();
    let host = hosts.next().and_then(|value| value.to_str().ok());
    if !host.is_some_and(is_loopback_authority) || hosts.next().is_some() {
        let text = "this address serves `localhost` and loopback addresses only";
        return Err(Problem::new(StatusCode::MISDIRECTED_REQUEST, "host_refused", text));
    }
    let foreign = headers.get_all(header::ORIGIN).iter().any(|origin| {
        let origin = origin.to_str().unwrap_or_default();
        origin.strip_prefix("http://").is_none_or(|authority| Some(authority) != host)
    });
    if foreign {
        let text = "a page of another origin may not call the control API";
        return Err(Problem::new(StatusCode::FORBIDDEN, "origin_refused", text));
    }
    Ok(())
}

fn is_loopback_authority(authority: &str) -> bool {
    let (host, port) = match authority.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        Some((host, port)) => (host, port.strip_prefix(':').unwrap_or(port)),
        None => authority.rsplit_once(':').unwrap_or((authority, "")),
    };
    let port_is_plain = port.is_empty() || port.bytes().all(|byte| byte.is_ascii_digit());
    port_is_plain && matches!(host, "localhost" | "127.0.0.1" | "::1")
}

/// Compares in a time that does not depend on where the texts differ.
fn same(left: &[u8], right: &[u8]) -> bool {
    left.len() == right.len() && left.iter().zip(right).fold(0, |differ, (a, b)| differ | (a ^ b)) == 0
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    fn admitted(scope: Scope, pairs: &[(header::HeaderName, &str)]) -> Result<(), String> {
        let mut headers = HeaderMap::new();
        for (name, value) in pairs {
            headers.append(name, HeaderValue::from_str(value).expect("a header value"));
        }
        let guard = Guard { token: "secret".to_owned(), scope };
        guard.admit(&headers).map_err(|problem| problem.code)
    }

    #[test]
    fn only_a_loopback_host_is_served() {
        for host in ["localhost", "localhost:80", "127.0.0.1:7474", "[::1]:7474", "[::1]"] {
            assert_eq!(admitted(Scope::Anyone, &[(header::HOST, host)]), Ok(()), "{host}");
        }
        for host in
            ["evil.example", "127.0.0.1.evil.example", "localhost.evil.example:80", "localhost:80@evil", "10.0.0.1", ""]
        {
            let refused = admitted(Scope::Anyone, &[(header::HOST, host)]);
            assert_eq!(refused, Err("host_refused".to_owned()), "{host}");
        }
        assert_eq!(admitted(Scope::Anyone, &[]), Err("host_refused".to_owned()));
        let twice = [(header::HOST, "localhost"), (header::HOST, "localhost")];
        assert_eq!(admitted(Scope::Anyone, &twice), Err("host_refused".to_owned()));
    }

    #[test]
    fn a_foreign_page_is_refused_even_with_the_token() {
        let with = |origin| {
            let token = (header::AUTHORIZATION, "Bearer secret");
            admitted(Scope::Owner, &[(header::HOST, "localhost:1"), token, (header::ORIGIN, origin)])
        };
        assert_eq!(with("http://localhost:1"), Ok(()));
        for origin in ["null", "http://evil.example", "https://localhost:1", "http://localhost:2"] {
            assert_eq!(with(origin), Err("origin_refused".to_owned()), "{origin}");
        }
    }

    #[test]
    fn a_wrong_doubled_or_missing_token_is_refused() {
        let host = (header::HOST, "localhost");
        for token in ["Bearer wrong", "Bearer secre", "Bearer secret2", "secret", "bearer secret", "Basic secret"] {
            let refused = admitted(Scope::Owner, &[host.clone(), (header::AUTHORIZATION, token)]);
            assert_eq!(refused, Err("token_needed".to_owned()), "{token}");
        }
        assert_eq!(admitted(Scope::Owner, std::slice::from_ref(&host)), Err("token_needed".to_owned()));
        let right = (header::AUTHORIZATION, "Bearer secret");
        assert_eq!(
            admitted(Scope::Owner, &[host.clone(), right.clone(), right.clone()]),
            Err("token_needed".to_owned())
        );
        assert_eq!(admitted(Scope::Owner, &[host, right]), Ok(()));
    }
}
