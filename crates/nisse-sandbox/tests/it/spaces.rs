//! Objects of spaces: what a guest may ask the node, what it has changed itself, and what becomes an effect.

use nisse_model::{CredentialId, Effect, Hash256, InvocationId, SpaceWrite};
use nisse_sandbox::{CallContext, HostCall, HostFailureKind, HostReply, ObjectChange, ObjectWrite};

use crate::support::{Setup, grants, guest};

const ID: &str = "01HQRS7T4V8WXYZ0123456789A";
const MILK: &str = r#"{"title":"milk"}"#;

fn setup(permissions: &[&str], reply: HostReply) -> Setup {
    let setup = Setup { grants: grants(permissions), ..Setup::default() };
    *setup.host.response.lock().expect("no panic") = Some(reply);
    setup
}

fn tried() -> HostReply {
    HostReply::Tried { space: [5; 32], id: ID.to_owned(), object: format!(r#"{{"id":"{ID}","title":"milk"}}"#) }
}

/// Answer and effects of one request.
async fn post(setup: &Setup, path: &str, body: &str) -> (u16, String, Vec<Effect>) {
    let mut instance = setup.start(&guest("librarian")).await;
    let request = http::Request::post(path).header("host", "test.localhost");
    let request = request.body(bytes::Bytes::from(body.to_owned())).expect("a request");
    let end = instance.http(InvocationId([1; 16]), request, CallContext::default()).await;
    match end.result {
        Ok(response) => {
            let text = String::from_utf8_lossy(response.body()).into_owned();
            (response.status().as_u16(), text, end.effects)
        }
        Err(_) => (500, String::new(), end.effects),
    }
}

#[tokio::test]
async fn a_change_is_tried_on_the_node_and_becomes_an_effect() {
    let setup = setup(&["space:notes:edit"], tried());
    let (status, text, effects) = post(&setup, "/put/notes", MILK).await;
    assert_eq!((status, text.as_str()), (200, r#"{"id":"01HQRS7T4V8WXYZ0123456789A","title":"milk"}"#));
    let write = ObjectWrite::Put { json: MILK.to_owned() };
    let call = HostCall::SpaceTry { space: "notes".to_owned(), id: None, write, pending: Vec::new() };
    assert!(setup.host.calls().contains(&call));
    let space = CredentialId(Hash256([5; 32]));
    let change = Effect::Space { space, object: ID.to_owned(), write: SpaceWrite::Put(MILK.to_owned()) };
    assert_eq!(effects, [Effect::StatePut { key: "count".to_owned(), value: 1u64.to_be_bytes().to_vec() }, change]);
}

#[tokio::test]
async fn the_node_is_told_what_the_invocation_has_changed_before() {
    let setup = setup(&["space:notes:edit"], tried());
    let (_, _, effects) = post(&setup, "/many/notes/3", "").await;
    assert_eq!(effects.len(), 4);
    let last = setup.host.calls().into_iter().rfind(|call| matches!(call, HostCall::SpaceTry { .. }));
    let Some(HostCall::SpaceTry { pending, .. }) = last else { panic!("it was tried") };
    let number = |number: u8| ObjectChange {
        object: ID.to_owned(),
        write: ObjectWrite::Put { json: format!("{{\"number\":{number}}}") },
    };
    assert_eq!(pending, [number(0), number(1)]);
}

#[tokio::test]
async fn a_trap_drops_what_was_changed() {
    let (status, _, effects) = post(&setup(&["space:notes:edit"], tried()), "/trap/notes", MILK).await;
    assert_eq!((status, effects), (500, Vec::new()));
}

#[tokio::test]
async fn a_space_or_a_role_that_was_not_granted_never_reaches_the_node() {
    for (permission, path, needs) in [
        ("space:notes:read", "/put/notes", "space:notes:edit"),
        ("space:notes:edit", "/put/diary", "space:diary:edit"),
        ("space:notes:edit", "/query/diary", "space:diary:read"),
        ("space:*:read", "/put/notes", "space:notes:edit"),
    ] {
        let setup = setup(&[permission], tried());
        let (status, text, effects) = post(&setup, path, "{}").await;
        assert_eq!(status, 409);
        assert_eq!(text, format!("denied: use a space: the agent has no permission `{needs}`"));
        assert_eq!((setup.host.calls(), effects), (Vec::new(), Vec::new()));
    }
    let refused = Setup::default().link(&guest("librarian")).map(drop).expect_err("nothing is granted");
    assert!(refused.to_string().contains("nisse:agent/spaces"), "{refused}");
}

#[tokio::test]
async fn each_refusal_of_the_node_reaches_the_guest_as_its_own_kind() {
    for (kind, told) in [
        (HostFailureKind::NotFound, "not-found"),
        (HostFailureKind::Malformed, "malformed"),
        (HostFailureKind::TooLarge, "too-large"),
        (HostFailureKind::Denied, "denied"),
        (HostFailureKind::Unavailable, "unavailable"),
        (HostFailureKind::TimedOut, "unavailable"),
    ] {
        let setup = setup(&["space:notes:edit"], HostReply::failed(kind, "no"));
        let (status, text, effects) = post(&setup, "/put/notes", MILK).await;
        assert_eq!((status, text, effects), (409, format!("{told}: use a space: no"), Vec::new()));
    }
}

#[tokio::test]
async fn more_than_an_invocation_may_change_is_refused_before_the_node_is_asked() {
    let setup = setup(&["space:notes:edit"], tried());
    let (_, text, effects) = post(&setup, &format!("/put/{}", "n".repeat(65)), MILK).await;
    assert_eq!(text, "malformed: use a space: the name of a space has at most 64 bytes");
    assert_eq!((setup.host.calls(), effects), (Vec::new(), Vec::new()));
    let (_, text, effects) = post(&setup, "/many/notes/1001", "").await;
    assert_eq!(text, "too-large: use a space: 1000 changes are allowed in one invocation");
    assert_eq!(effects.len(), 1001, "what was changed before stays, with the count");
}
