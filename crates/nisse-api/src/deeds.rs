//! Lines of the audit log for what is done by the control API.

use std::sync::Arc;

use axum::Extension;
use axum::extract::Request;
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};
use nisse_node::{Frequency, Node};

use crate::problem::Problem;
use crate::routes::{Route, Scope};

/// What tells of itself, with more than its route knows.
const TELL_OF_THEMSELVES: [&str; 24] = [
    "vault_unlock",
    "vault_seal",
    "vault_protect",
    "vault_export",
    "wallet_export",
    "secret_set",
    "secret_rotate",
    "secret_remove",
    "identity_begin",
    "device_pair",
    "device_rename",
    "device_revoke",
    "space_create",
    "space_keep",
    "space_ticket",
    "space_invite",
    "space_join",
    "space_leave",
    "space_member",
    "space_uninvite",
    "space_export",
    "space_import",
    "token_create",
    "token_revoke",
];
/// What is done as often as somebody likes, and changes no right.
const OFTEN: [&str; 5] = ["agent_invoke", "agent_trigger_fire", "space_put", "space_patch", "space_remove"];
/// What changes nothing, though it is no `GET`: what it asks does not fit into a URL.
const READS: [&str; 1] = ["space_query"];

/// What a route does, as the log names it.
#[derive(Debug, Clone)]
pub(crate) struct Deed {
    act: Arc<str>,
    path: &'static str,
    frequency: Frequency,
}

impl Deed {
    /// `agent_stop` is `agent.stop`. Nothing for what changes nothing, and for what tells of itself.
    pub(crate) fn of(route: &Route) -> Option<Self> {
        let changes = route.method != "GET" && route.scope == Scope::Owner;
        if !changes || TELL_OF_THEMSELVES.contains(&route.operation) || READS.contains(&route.operation) {
            return None;
        }
        let frequency = if OFTEN.contains(&route.operation) { Frequency::Often } else { Frequency::Each };
        Some(Self { act: route.operation.replace('_', ".").into(), path: route.path, frequency })
    }

    /// What it is about: what stands in the path as it was sent.
    fn about(&self, path: &str) -> String {
        let parts = self.path.split('/').zip(path.split('/'));
        let named = parts.filter(|(part, _)| part.starts_with('{')).map(|(_, value)| value);
        named.collect::<Vec<_>>().join(" ")
    }
}

/// The rest of a request's way.
pub(crate) struct Doing<'d> {
    pub(crate) node: Option<&'d Arc<Node>>,
    pub(crate) deed: Option<&'d Deed>,
    pub(crate) next: Next,
}

impl Doing<'_> {
    /// Does what is asked for, with a line before it is done and one before that is answered.
    pub(crate) async fn run(self, request: Request) -> Response {
        let (Some(node), Some(deed)) = (self.node, self.deed) else { return self.next.run(request).await };
        let about = deed.about(request.uri().path());
        let told = node.telling(&deed.act, &about, deed.frequency, self.next.run(request), outcome).await;
        told.unwrap_or_else(|error| Problem::from(error).into_response())
    }
}

/// What came of it, from the answer, and what it was about, where that alone says so.
fn outcome(response: &Response) -> (String, Option<String>) {
    let about = response.extensions().get::<About>().map(|About(about)| about.clone());
    let outcome = match response.extensions().get::<Refused>() {
        Some(Refused(why)) => format!("refused: {why}"),
        None if response.status().is_success() => "done".to_owned(),
        None => format!("refused: {}", response.status()),
    };
    (outcome, about)
}

/// Stands on an answer: what was done, where its route's path does not say so.
#[derive(Debug, Clone)]
pub(crate) struct About(String);

impl About {
    pub(crate) fn extension(about: String) -> Extension<Self> {
        Extension(Self(about))
    }
}

/// Stands on an answer that is a refusal: its sentence.
#[derive(Debug, Clone)]
pub(crate) struct Refused(pub(crate) String);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::routes::ROUTES;

    #[test]
    fn whatever_changes_something_has_a_line_or_tells_of_itself() {
        for name in TELL_OF_THEMSELVES.iter().chain(&OFTEN) {
            assert!(ROUTES.iter().any(|route| route.operation == *name), "{name} is no route");
        }
        let told = ROUTES.iter().filter_map(Deed::of).map(|deed| deed.act.to_string()).collect::<Vec<_>>();
        for act in ["agent.deploy", "agent.stop", "content.add", "node.withdraw", "device.pair.close"] {
            assert!(told.iter().any(|told| told == act), "{act}: {told:?}");
        }
        assert!(!told.iter().any(|act| act.starts_with("secret") || act == "agent.status"), "{told:?}");
        let stop = ROUTES.iter().find(|route| route.operation == "agent_stop").and_then(Deed::of).expect("a deed");
        assert_eq!(stop.about("/api/v1/agents/a.b/stop"), "a.b");
    }
}
