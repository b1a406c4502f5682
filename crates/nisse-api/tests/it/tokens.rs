//! Every route of the owner × every wrong token, made from the table, so that a new route is tested by being there.

pub(crate) mod house;
mod making;

use nisse_api::routes::{ROUTES, Route, Scope};
use nisse_model::Timestamp;
use nisse_node::control::TokenRevoke;

use self::house::{House, Sent, key, now};
use crate::running::concrete;

/// A token's own key, and that of somebody else.
const HOLDER: u8 = 51;
const OTHER: u8 = 52;
const HOUR_MS: u64 = 3_600_000;

fn owners() -> impl Iterator<Item = &'static Route> {
    ROUTES.iter().filter(|route| route.scope == Scope::Owner)
}

/// The right that a route asks for, worked out beside the product: its operation, of what stands in its path.
fn right_of(route: &Route) -> String {
    let path = concrete(route.path);
    let named = route.path.split('/').zip(path.split('/'));
    let named: Vec<_> = named
        .filter_map(|(part, value)| Some(format!("{}={value}", part.strip_prefix('{')?.strip_suffix('}')?)))
        .collect();
    let command = format!("/{}", route.operation.replace('_', "/"));
    if named.is_empty() { command } else { format!("{command}?{}", named.join("&")) }
}

/// A right that is not enough for a route: of something else, or to do something else.
fn another_right(route: &Route) -> String {
    match right_of(route).split_once('=') {
        Some((before, _)) => format!("{before}=somebody-else"),
        None if route.operation == "audit_lines" => "/vault/seal".to_owned(),
        None => "/audit/lines".to_owned(),
    }
}

/// Sends to each route what `make` makes of it, and expects this refusal everywhere.
async fn refused(house: &House, status: u16, code: &str, mut make: impl FnMut(&Route, Sent) -> Sent) {
    for route in owners() {
        let good = Sent::new(house, route.method, &concrete(route.path));
        let answer = make(route, good).send(house.running.api).await;
        assert_eq!(answer, (status, code.to_owned()), "{} {}", route.method, route.path);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_right_token_passes_every_guard_and_no_handler_says_that_it_did_not() {
    let house = House::new().await;
    for route in owners() {
        let token = house.token(HOLDER, &[&right_of(route)]);
        let (status, code) =
            Sent::new(&house, route.method, &concrete(route.path)).by(&token).send(house.running.api).await;
        assert!(![0, 401, 403, 421, 500].contains(&status), "{} {}: {status} {code}", route.method, route.path);
    }
    house.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a1_no_token_garbage_or_a_wrong_one_of_the_home_opens_nothing() {
    let house = House::new().await;
    let token = house.token(HOLDER, &["/"]);
    refused(&house, 401, "token_needed", |_, sent| sent).await;
    refused(&house, 401, "token_needed", |_, sent| sent.with("authorization", &format!("Bearer {}", "0".repeat(64))))
        .await;
    refused(&house, 401, "token_needed", |_, sent| sent.by(&token).and("authorization", "Bearer x")).await;
    refused(&house, 401, "token_needed", |_, sent| {
        let twice = sent.by(&token);
        let again = twice.value("authorization");
        twice.and("authorization", &again)
    })
    .await;
    refused(&house, 401, "token_invalid", |_, sent| sent.by(&token).with("authorization", "Nisse-Capability AAAA"))
        .await;
    refused(&house, 401, "token_invalid", |_, sent| {
        let long = format!("Nisse-Capability {}", "A".repeat(50_000));
        sent.by(&token).with("authorization", &long)
    })
    .await;
    refused(&house, 401, "signature_needed", |_, sent| sent.by(&token).without("nisse-proof")).await;
    refused(&house, 401, "signature_needed", |_, sent| sent.by(&token).with("nisse-proof", "key=me")).await;
    refused(&house, 401, "signature_needed", |_, sent| {
        let twice = sent.by(&token);
        let again = twice.value("nisse-proof");
        twice.and("nisse-proof", &again)
    })
    .await;
    house.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a2_a_token_past_its_time_opens_nothing() {
    let house = House::new().await;
    let ended = Timestamp(now().0 - 1);
    refused(&house, 401, "token_expired", |route, sent| {
        sent.by(&house.token_until(HOLDER, &[&right_of(route)], ended))
    })
    .await;
    house.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a2_a_token_that_was_taken_back_opens_nothing() {
    let house = House::new().await;
    // One for all of them: a home takes back what its owner says, and keeps each.
    let token = house.token(HOLDER, &["/"]);
    assert_eq!(Sent::new(&house, "GET", "/api/v1/audit").by(&token).send(house.running.api).await.0, 200);
    let ids = token.chains().given().map(|(id, ..)| id.to_string()).collect();
    house.owner().post::<()>("/api/v1/tokens/revoke", &TokenRevoke { ids }).await.unwrap();
    refused(&house, 401, "token_invalid", |_, sent| sent.by(&token)).await;
    house.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a2_a_token_of_another_identity_or_by_nobodys_key_opens_nothing() {
    let house = House::new().await;
    refused(&house, 401, "token_invalid", |route, sent| sent.by(&house.forged(HOLDER, &right_of(route), OTHER, OTHER)))
        .await;
    // For this identity, by a key that is nothing to it; and by the holder for themselves.
    refused(&house, 401, "token_invalid", |route, sent| {
        sent.by(&house.forged(HOLDER, &right_of(route), OTHER, house::ROOT))
    })
    .await;
    refused(&house, 401, "token_invalid", |route, sent| {
        sent.by(&house.forged(HOLDER, &right_of(route), HOLDER, house::ROOT))
    })
    .await;
    house.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a12_a_token_for_something_else_opens_nothing() {
    let house = House::new().await;
    refused(&house, 403, "not_permitted", |route, sent| sent.by(&house.token(HOLDER, &[&another_right(route)]))).await;
    house.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a2_what_another_key_proves_opens_nothing() {
    let house = House::new().await;
    let mine = house.token(OTHER, &["/"]);
    // The thief shows the token and signs with a key of their own.
    refused(&house, 401, "token_invalid", |route, sent| {
        let theirs = sent.by(&house.token(HOLDER, &[&right_of(route)]));
        let shown = theirs.value("authorization");
        theirs.by(&mine).with("authorization", &shown)
    })
    .await;
    // And says that it was the holder's.
    refused(&house, 401, "signature_other", |route, sent| {
        let sent = sent.by(&house.token(HOLDER, &[&right_of(route)]));
        let shown = sent.value("authorization");
        let sent = sent.by(&mine).with("authorization", &shown);
        let proof = sent.value("nisse-proof").replace(&key(OTHER).did().to_string(), &key(HOLDER).did().to_string());
        sent.with("nisse-proof", &proof)
    })
    .await;
    house.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a2_a_proof_of_another_request_opens_nothing() {
    let house = House::new().await;
    let token = house.token(HOLDER, &["/"]);
    refused(&house, 401, "signature_other", |_, sent| sent.by_for(&token, |other| other.path.push_str("?more=1")))
        .await;
    refused(&house, 401, "signature_other", |_, sent| sent.by_for(&token, |other| other.method = "PUT".to_owned()))
        .await;
    refused(&house, 401, "signature_other", |_, sent| sent.by(&house.for_node(HOLDER, "/", key(OTHER).did()))).await;
    refused(&house, 401, "signature_other", |_, sent| {
        let sent = sent.by(&token);
        let proof = sent.value("nisse-proof");
        let (before, after) = proof.split_once("nonce=").unwrap();
        let digit = if after.starts_with('0') { "1" } else { "0" };
        sent.with("nisse-proof", &format!("{before}nonce={digit}{}", &after[1..]))
    })
    .await;
    refused(&house, 401, "request_expired", |_, sent| sent.by_at(&token, -120)).await;
    refused(&house, 401, "request_expired", |_, sent| sent.by_at(&token, 120)).await;
    house.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_leave_the_home_by_no_token_whatever_it_gives() {
    let house = House::new().await;
    let token = house.token(HOLDER, &["/"]);
    let mut asked = 0;
    for route in ROUTES.iter().filter(|route| route.scope == Scope::Here) {
        let sent = Sent::new(&house, route.method, &concrete(route.path)).by(&token);
        let answer = sent.send(house.running.api).await;
        assert_eq!(answer, (403, "not_permitted".to_owned()), "{}", route.path);
        asked += 1;
    }
    assert!(asked > 1);
    house.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a2_a_request_counts_once() {
    let house = House::new().await;
    let mut seen = Vec::new();
    for route in owners() {
        let sent = Sent::new(&house, route.method, &concrete(route.path)).by(&house.token(HOLDER, &[&right_of(route)]));
        let first = sent.send(house.running.api).await;
        assert!(![0, 401, 403, 421].contains(&first.0), "{}: {first:?}", route.path);
        seen.push((route, sent));
    }
    for (route, sent) in seen {
        let again = sent.send(house.running.api).await;
        assert_eq!(again, (401, "request_replayed".to_owned()), "{}", route.path);
    }
    house.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_that_is_not_the_one_that_was_signed_reaches_no_handler() {
    let house = House::new().await;
    let token = house.token(HOLDER, &["/"]);
    refused(&house, 400, "body_other", |_, sent| {
        sent.with_body("true").by_for(&token, |other| other.body = "null".to_owned())
    })
    .await;
    refused(&house, 400, "digest_invalid", |_, sent| sent.with_body("true").by(&token).without("content-digest")).await;
    // The digest of the other body is not what was signed.
    refused(&house, 401, "signature_other", |_, sent| {
        let sent = sent.with_body("true").by(&token);
        let other = sent.clone().with_body("null").by(&token).value("content-digest");
        sent.with("content-digest", &other)
    })
    .await;
    house.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a4_no_other_name_and_no_page_comes_in_with_a_token() {
    let house = House::new().await;
    let token = house.token(HOLDER, &["/"]);
    refused(&house, 421, "host_refused", |_, sent| sent.by(&token).with("host", "evil.example")).await;
    refused(&house, 403, "origin_refused", |_, sent| sent.by(&token).with("origin", "http://evil.example")).await;
    refused(&house, 403, "origin_refused", |_, sent| sent.by(&token).with("origin", "null")).await;
    house.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_anybody_may_ask_is_answered_whatever_token_comes_along() {
    let house = House::new().await;
    for route in ROUTES.iter().filter(|route| route.scope == Scope::Anyone) {
        let sent = Sent::new(&house, route.method, route.path).with("authorization", "Nisse-Capability AAAA");
        assert_eq!(sent.send(house.running.api).await.0, 200, "{}", route.path);
    }
    house.end().await;
}
