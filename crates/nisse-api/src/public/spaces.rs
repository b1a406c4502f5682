//! `GET /spaces/SPACE?ticket=…` on the node's own names: a WebSocket for clients of automerge-repo.
//!
//! Whoever has no ticket that counts learns nothing: not even whether there is such a space. The ticket is judged before
//! the protocol is switched, and in a URL it alone is the right: the page that asks and its cookies make no difference. A page
//! that logged in ([`session`]) has it in a cookie, which counts for pages of the origins that the operator takes.

mod handshake;
mod session;
mod signs;
mod socket;

use std::net::IpAddr;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use futures::FutureExt as _;
use http::{HeaderValue, Request, Response, StatusCode, Uri, header};
use hyper::body::Incoming;
use hyper_util::rt::TokioIo;
use nisse_node::{ErrorKind, Node, NodeError, SPACE_PATH};
use tokio::sync::Semaphore;
use tokio::time::timeout;

use super::{Body, text};
use crate::body::Bodies;
use crate::shares::{Share, Shares};
use crate::slots::{Slot, counted};

/// Clients of spaces at once, and those from one address.
const CLIENTS_MAX: usize = 1_024;
const CLIENTS_OF_ONE_MAX: usize = 64;
/// The part of the listener's connections that they take at most.
const CLIENTS_SHARE: usize = 4;
/// Large messages that are read at once.
const LARGE_MAX: usize = 16;
/// How long a client may take from the answer to the first byte of the other protocol.
const SWITCH_TIME_MAX: Duration = Duration::from_secs(10);

/// What a client reads that is not let in, whatever the reason.
const NOBODY: &str = "this ticket lets nobody in here; make another with `nisse space ticket`";

/// The clients of all spaces.
pub(crate) struct Spaces {
    clients: Shares,
    large: Arc<Semaphore>,
}

impl Spaces {
    /// For a listener that holds so many connections.
    pub(crate) fn new(connections_max: usize) -> Self {
        let all = (connections_max / CLIENTS_SHARE).clamp(1, CLIENTS_MAX);
        Self { clients: Shares::new(all, CLIENTS_OF_ONE_MAX.min(all)), large: Arc::new(Semaphore::new(LARGE_MAX)) }
    }

    /// Answers, and speaks to whoever is let in for as long as both like. The connection's place is kept until then.
    pub(super) async fn answer(
        &self,
        (node, bodies): (&Node, &Bodies),
        (from, slot): (IpAddr, &Arc<Slot>),
        mut request: Request<Incoming>,
    ) -> Response<Body> {
        if let Some(space) = session::space(request.uri().path()).map(str::to_owned) {
            return session::answer((node, bodies), from, &space, request).await;
        }
        let accept = match handshake::accept(&request) {
            Ok(accept) => accept,
            Err(unfit) => return unfit.answer(),
        };
        let Some(share) = self.take(from) else { return self.no_place() };
        let kept = || session::ticket(node, request.headers());
        let Some((space, ticket)) = asked(request.uri(), kept) else { return text(StatusCode::FORBIDDEN, NOBODY) };
        let connection = match node.space_open(space, ticket).await {
            Ok(connection) => connection,
            Err(error) => return not_opened(&error),
        };
        let (switching, slot, large) = (hyper::upgrade::on(&mut request), Arc::clone(slot), Arc::clone(&self.large));
        node.spawn("a client of a space", move |stop| async move {
            let _held = (share, slot);
            let talk = async {
                if let Ok(Ok(upgraded)) = timeout(SWITCH_TIME_MAX, switching).await {
                    socket::talk(TokioIo::new(upgraded), connection, large, stop).await;
                }
            };
            // What a client sends ends its own connection at most; the panic itself has been told.
            let _ = AssertUnwindSafe(talk).catch_unwind().await;
        });
        handshake::switch(accept)
    }

    /// A client's place.
    fn take(&self, from: IpAddr) -> Option<Share> {
        // Behind a proxy on this machine all of them come from here: what one may take is the proxy's to say.
        match counted(from) {
            Some(one) => self.clients.take(one.to_string()),
            None => self.clients.take_of_all(),
        }
    }

    fn no_place(&self) -> Response<Body> {
        let (status, words) = match self.clients.is_full() {
            true => (StatusCode::SERVICE_UNAVAILABLE, "as many clients of spaces are connected as may be; try again"),
            false => (StatusCode::TOO_MANY_REQUESTS, "as many clients of this address are connected as may be"),
        };
        retry(text(status, words), HeaderValue::from_static("30"))
    }
}

/// The space and the one ticket that a URL names, as they stand there; where it names none at all, the one that is kept.
fn asked<'r>(uri: &'r Uri, kept: impl FnOnce() -> Option<&'r str>) -> Option<(&'r str, &'r str)> {
    let space = uri.path().strip_prefix(SPACE_PATH)?;
    if space.is_empty() || space.contains('/') {
        return None;
    }
    let mut tickets = uri.query().unwrap_or_default().split('&').filter_map(|pair| pair.strip_prefix("ticket="));
    let ticket = match (tickets.next(), tickets.next()) {
        (Some(ticket), None) => ticket,
        (Some(_), Some(_)) => return None,
        (None, _) => kept()?,
    };
    Some((space, ticket))
}

fn not_opened(error: &NodeError) -> Response<Body> {
    match error.kind {
        ErrorKind::NotFound | ErrorKind::Refused | ErrorKind::Unsigned | ErrorKind::Usage => {
            text(StatusCode::FORBIDDEN, NOBODY)
        }
        ErrorKind::Busy | ErrorKind::Conflict | ErrorKind::Unreachable => {
            let words = "this node lets nobody into its spaces at the moment; try again";
            retry(text(StatusCode::SERVICE_UNAVAILABLE, words), HeaderValue::from_static("5"))
        }
        ErrorKind::Failed => text(StatusCode::INTERNAL_SERVER_ERROR, "this node could not open the space"),
    }
}

fn retry(mut response: Response<Body>, seconds: HeaderValue) -> Response<Body> {
    response.headers_mut().insert(header::RETRY_AFTER, seconds);
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_names_one_space_and_one_ticket() {
        let read = |url: &'static str| {
            let uri = Uri::from_static(url);
            asked(&uri, || None).map(|(space, ticket)| format!("{space} {ticket}"))
        };
        assert_eq!(read("/spaces/ab12?ticket=nst1_x"), Some("ab12 nst1_x".to_owned()));
        assert_eq!(read("/spaces/ab12?a=b&ticket=nst1_x"), Some("ab12 nst1_x".to_owned()));
        for url in [
            "/spaces/ab12",
            "/spaces/ab12?",
            "/spaces/ab12?nst1_x",
            "/spaces/ab12?Ticket=nst1_x",
            "/spaces/ab12?ticket=a&ticket=b",
            "/spaces/?ticket=a",
            "/spaces/ab12/?ticket=a",
            "/spaces/a/b?ticket=a",
            "/other?ticket=a",
        ] {
            assert_eq!(read(url), None, "{url}");
        }
        // What a URL says stands alone, whether it counts or not.
        for (url, found) in [
            ("/spaces/ab12", Some(("ab12", "kept"))),
            ("/spaces/ab12?a=b", Some(("ab12", "kept"))),
            ("/spaces/ab12?ticket=", Some(("ab12", ""))),
            ("/spaces/ab12?ticket=a&ticket=b", None),
            ("/spaces/ab12/", None),
        ] {
            assert_eq!(asked(&Uri::from_static(url), || Some("kept")), found, "{url}");
        }
    }

    #[test]
    fn one_address_takes_its_share_and_a_proxy_here_takes_all() {
        let spaces = Spaces::new(4_096);
        let take = |from: &str| spaces.take(from.parse().expect("an address"));
        let held: Vec<_> = (0..CLIENTS_OF_ONE_MAX).map(|_| take("203.0.113.7")).collect();
        assert!(held.iter().all(Option::is_some) && take("203.0.113.7").is_none());
        assert_eq!(spaces.no_place().status(), StatusCode::TOO_MANY_REQUESTS);
        let others: Vec<_> = (CLIENTS_OF_ONE_MAX..CLIENTS_MAX).map(|_| take("127.0.0.1")).collect();
        assert!(others.iter().all(Option::is_some) && take("203.0.113.8").is_none());
        assert_eq!(spaces.no_place().status(), StatusCode::SERVICE_UNAVAILABLE);
        drop((held, others));
        assert!(take("203.0.113.7").is_some() && take("203.0.113.8").is_some());
        assert!(Spaces::new(1).take(IpAddr::from([127, 0, 0, 1])).is_some(), "there is always a place for one");
    }

    #[tokio::test]
    async fn a_stranger_reads_the_same_of_a_space_that_is_not_there_and_of_a_ticket_that_is_none() {
        use http_body_util::BodyExt as _;
        let said = async |kind| {
            let answer = not_opened(&NodeError::new(kind, "any", "the owner's own words"));
            let status = answer.status().as_u16();
            let body = answer.into_body().collect().await.expect("it is whole").to_bytes();
            (status, String::from_utf8_lossy(&body).into_owned())
        };
        let nobody = said(ErrorKind::NotFound).await;
        assert_eq!(nobody, (403, format!("{NOBODY}\n")));
        assert_eq!(said(ErrorKind::Refused).await, nobody);
        for kind in [ErrorKind::Failed, ErrorKind::Conflict, ErrorKind::Busy] {
            assert!(!said(kind).await.1.contains("owner"), "{kind:?}");
        }
    }
}
