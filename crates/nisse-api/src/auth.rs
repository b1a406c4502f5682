//! Who may call the control API: loopback by its address, a page of another origin never, a holder of the home's token;
//! over the link, a device of the home's identity, an agent as far as its delegation goes, and a member of a space as far as
//! that owns an agent here; and whoever has a capability token, as far as that goes.
//!
//! The Host check stops a name that was rebound to loopback; the Origin check stops a page in the owner's browser. Both
//! come before the token, so that nothing learns whether a token is right.

use std::sync::Arc;

use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use http::{StatusCode, header};
use nisse_node::{Asker, Node, TokensRequest, acting_as};

use crate::authority::Authority;
use crate::deeds::{Deed, Doing};
use crate::door::Caller;
use crate::needs::Needs;
use crate::peers::Peer;
use crate::problem::Problem;
use crate::routes::Scope;
use crate::shares::Shares;
use crate::tokens;

/// The code of a refusal for want of the token.
const NEEDED: &str = "token_needed";

/// What the checks need to know.
#[derive(Clone)]
pub(crate) struct Guard {
    pub(crate) token: String,
    pub(crate) scope: Scope,
    pub(crate) needs: Needs,
    /// For answers to whoever asks by a token.
    pub(crate) places: Arc<Shares>,
    /// Is told of who comes without the token.
    pub(crate) node: Option<Arc<Node>>,
    /// What the audit log tells of it.
    pub(crate) deed: Option<Deed>,
}

/// As whom somebody may pass.
enum Admitted {
    /// It makes no difference who it is.
    Anyone,
    /// Whoever has the home's token.
    Owner,
    /// A device, an agent or a member of a space, over the link.
    Peer(Asker),
    /// Whoever has a token that gives this.
    Token(Box<TokensRequest>),
}

/// Refuses what may not pass.
pub(crate) async fn check(State(guard): State<Guard>, request: Request, next: Next) -> Response {
    match (guard.admit(&request), &guard.node) {
        (Ok(Admitted::Token(asked)), Some(node)) => {
            tokens::answer(node, &guard.places, *asked, request, guard.doing(next)).await
        }
        (Ok(Admitted::Peer(asker)), _) if asker.is_member() => {
            tokens::answer_member(&guard.places, asker, request, guard.doing(next)).await
        }
        (Ok(Admitted::Peer(asker)), _) => acting_as(asker, guard.doing(next).run(request)).await,
        (Ok(Admitted::Owner), _) => {
            if let Some(caller) = request.extensions().get::<Caller>() {
                caller.is_known();
            }
            guard.doing(next).run(request).await
        }
        (Ok(_), _) => next.run(request).await,
        (Err(problem), node) => {
            if let Some(node) = node.as_ref().filter(|_| problem.code == NEEDED) {
                node.refused_at_the_door(request.method().as_str(), request.uri().path(), &problem.title);
            }
            problem.into_response()
        }
    }
}

impl Guard {
    fn doing(&self, next: Next) -> Doing<'_> {
        Doing { node: self.node.as_ref(), deed: self.deed.as_ref(), next }
    }

    /// What a device, an agent or a member may do that came over the link.
    fn admit_peer<B>(&self, Peer(peer): &Peer, request: &http::Request<B>) -> Result<Admitted, Problem> {
        if self.scope == Scope::Here {
            if let (Some(node), Some(right)) = (&self.node, self.needs.right(request.uri().path())) {
                node.peer_tried(peer, &right);
            }
            return Err(here_alone());
        }
        let (node, right) = (self.node.as_ref().ok_or_else(not_permitted)?, self.needs.right(request.uri().path()));
        let right = right.ok_or_else(not_permitted)?;
        node.peer_may(peer, &right).inspect_err(|_| node.peer_tried(peer, &right))?;
        Ok(Admitted::Peer(node.peer_asker(peer)))
    }

    fn admit_token<B>(&self, node: &Node, request: &http::Request<B>) -> Result<Admitted, Problem> {
        let right = self.needs.right(request.uri().path()).ok_or_else(not_permitted)?;
        Ok(Admitted::Token(Box::new(node.admit_token(request, &right)?)))
    }

    fn admit<B>(&self, request: &http::Request<B>) -> Result<Admitted, Problem> {
        local_only(request)?;
        if self.scope == Scope::Anyone {
            return Ok(Admitted::Anyone);
        }
        if let Some(peer) = request.extensions().get::<Peer>() {
            return self.admit_peer(peer, request);
        }
        let mut tokens = request.headers().get_all(header::AUTHORIZATION).iter();
        if let (Some(given), None) = (tokens.next().and_then(|value| value.to_str().ok()), tokens.next()) {
            if let Some(node) = self.node.as_ref().filter(|_| Node::is_capability(given)) {
                if self.scope == Scope::Here {
                    let why = here_alone();
                    node.refused_at_the_door(request.method().as_str(), request.uri().path(), &why.title);
                    return Err(why);
                }
                return self.admit_token(node, request);
            }
            if given.strip_prefix("Bearer ").is_some_and(|given| same(given.as_bytes(), self.token.as_bytes())) {
                return Ok(Admitted::Owner);
            }
        }
        let text = "the control API needs this home's token";
        let hint = "send one `Authorization: Bearer TOKEN` with the text of <home>/token, or a capability token as docs/tokens.md says";
        Err(Problem::new(StatusCode::UNAUTHORIZED, NEEDED, text).with_hint(hint))
    }
}

fn here_alone() -> Problem {
    let text = "keys leave a home at its own machine alone, by its own token";
    Problem::new(StatusCode::FORBIDDEN, "not_permitted", text).with_hint("run the command on the machine of that home")
}

fn not_permitted() -> Problem {
    Problem::new(StatusCode::FORBIDDEN, "not_permitted", "whoever asks may not do this")
}

/// Host and target must be one loopback name, Origin absent or a loopback origin.
pub(crate) fn local_only<B>(request: &http::Request<B>) -> Result<(), Problem> {
    let asked = Authority::of(request);
    let Some(asked) = asked.filter(Authority::is_loopback) else {
        let text = "this address serves `localhost` and loopback addresses only";
        return Err(Problem::new(StatusCode::MISDIRECTED_REQUEST, "host_refused", text));
    };
    let foreign = request.headers().get_all(header::ORIGIN).iter().any(|origin| {
        let origin = origin.to_str().ok().and_then(|origin| origin.strip_prefix("http://"));
        origin.and_then(Authority::parse) != Some(asked.clone())
    });
    if foreign {
        let text = "a page of another origin may not call the control API";
        return Err(Problem::new(StatusCode::FORBIDDEN, "origin_refused", text));
    }
    Ok(())
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
        asked("/api/v1/health", scope, pairs)
    }

    fn asked(target: &str, scope: Scope, pairs: &[(header::HeaderName, &str)]) -> Result<(), String> {
        let mut request = http::Request::builder().uri(target).body(()).expect("a request");
        for (name, value) in pairs {
            request.headers_mut().append(name, HeaderValue::from_str(value).expect("a header value"));
        }
        let needs = Needs::of(&crate::routes::ROUTES[0]);
        let places = Arc::new(Shares::new(1, 1));
        let guard = Guard { token: "secret".to_owned(), scope, needs, places, node: None, deed: None };
        guard.admit(&request).map(drop).map_err(|problem| problem.code)
    }

    #[test]
    fn only_a_loopback_host_is_served() {
        for host in ["localhost", "localhost:80", "127.0.0.1:7474", "[::1]:7474", "[::1]", "LOCALHOST"] {
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
    fn a_target_that_names_another_host_is_not_served() {
        let host = [(header::HOST, "localhost:1")];
        assert_eq!(asked("http://localhost:1/api/v1/health", Scope::Anyone, &host), Ok(()));
        for target in ["http://evil.example/api/v1/health", "http://localhost/x", "https://localhost:1/x", "ftp://a/x"]
        {
            assert_eq!(asked(target, Scope::Anyone, &host), Err("host_refused".to_owned()), "{target}");
        }
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
