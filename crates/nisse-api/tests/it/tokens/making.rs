//! What a node makes of tokens: what it is asked for and refuses, in whose name it acts, and until when.

use nisse_api::client::ClientError;
use nisse_model::Timestamp;
use nisse_node::control::{AuditEntry, TokenCreated, TokenRequest, TokenRevoke};

use super::house::{House, Sent, key, now};
use super::{HOLDER, HOUR_MS, OTHER};

#[tokio::test(flavor = "multi_thread")]
async fn a_token_that_the_node_made_does_what_it_says_and_makes_no_other() {
    let house = House::new().await;
    let owner = house.owner();
    let can = ["/audit/lines", "/token/create", "/agent/list"].map(str::to_owned).to_vec();
    let request = TokenRequest { agent: None, can, expires_ms: HOUR_MS, audience: None };
    let created: TokenCreated = owner.post("/api/v1/tokens", &request).await.unwrap();
    assert_eq!(created.scopes, ["/agent/list", "/audit/lines", "/token/create"]);
    let token = created.token.parse().unwrap();
    let client = house.client(&token);
    let lines: Vec<AuditEntry> = client.get("/api/v1/audit?lines=2").await.unwrap();
    let [asked, done] = lines.as_slice() else { panic!("{lines:?}") };
    assert_eq!(
        (asked.act.as_str(), done.act.as_str(), done.outcome.as_str()),
        ("token.create", "token.create", "done")
    );
    assert!(created.ids.iter().all(|id| done.about.contains(id)), "{done:?}");
    assert!(!format!("{lines:?}").contains(&created.token[200..260]), "no key stands in the log");
    assert!(!format!("{created:?}").contains(&created.token[..40]));

    // What it may do is done in its name, and what it may not is told to the owner.
    let more = TokenRequest { can: vec!["/".to_owned()], ..request.clone() };
    assert_eq!(code(client.post::<TokenCreated>("/api/v1/tokens", &more).await), "403 not_permitted");
    assert_eq!(code(client.get::<serde_json::Value>("/api/v1/vault").await), "403 not_permitted");
    let by = format!("token of {}", created.holder);
    house
        .eventually("the try in the audit log", async || {
            let lines: Vec<AuditEntry> = house.owner().get("/api/v1/audit").await.unwrap();
            lines.iter().any(|line| {
                line.by == by && line.act == "api.try" && line.outcome.contains("/vault/status is asked for")
            })
        })
        .await;
    house.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_said_by_a_token_in_the_homes_name_for_good() {
    let house = House::new().await;
    let token = house.token(HOLDER, &["/device", "/token"]);
    let client = house.client(&token);
    // There is no end to what could be said so, and a log has one.
    let name = nisse_node::control::DeviceName { name: "desk".to_owned() };
    let renamed = client.post::<serde_json::Value>("/api/v1/devices/laptop/rename", &name).await;
    assert_eq!(code(renamed), "403 not_permitted");
    let unknown = TokenRevoke { ids: vec!["ab".repeat(32)] };
    assert_eq!(code(client.post::<()>("/api/v1/tokens/revoke", &unknown).await), "403 not_permitted");
    let nobody = format!("/api/v1/devices/{}/revoke", key(77).did());
    assert_eq!(code(client.post_nothing::<serde_json::Value>(&nobody).await), "404 device_unknown");
    house.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_goes_on_by_a_token_ends_with_it_and_not_before() {
    let house = House::new().await;
    let right = "/audit/lines".parse().unwrap();
    let begin = |token| {
        let request = Sent::new(&house, "GET", "/api/v1/audit").by(token).request();
        let asked = house.running.node.admit_token(&request, &right).unwrap();
        Box::pin(house.running.node.token_ended(&asked))
    };
    let (lost, kept) = (house.token(HOLDER, &["/audit"]), house.token(OTHER, &["/audit"]));
    let (mut ended, mut goes_on) = (begin(&lost), begin(&kept));
    assert!(futures::poll!(&mut ended).is_pending() && futures::poll!(&mut goes_on).is_pending());
    let ids = lost.chains().given().map(|(id, ..)| id.to_string()).collect();
    house.owner().post::<()>("/api/v1/tokens/revoke", &TokenRevoke { ids }).await.unwrap();
    assert_eq!(ended.await.code, "token_invalid");
    assert!(futures::poll!(&mut goes_on).is_pending(), "another token goes on");

    let short = house.token_until(HOLDER, &["/audit"], Timestamp(now().0 + 300));
    assert_eq!(begin(&short).await.code, "token_expired");
    assert!(futures::poll!(&mut goes_on).is_pending());
    house.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_makes_no_token_is_refused_with_a_sentence() {
    let house = House::new().await;
    let ask = async |can: &str, agent: Option<&str>, expires_ms: u64| {
        let request =
            TokenRequest { agent: agent.map(str::to_owned), can: vec![can.to_owned()], expires_ms, audience: None };
        code(house.owner().post::<TokenCreated>("/api/v1/tokens", &request).await)
    };
    assert_eq!(ask("logs", Some("a.b"), HOUR_MS).await, "ok");
    assert_eq!(ask("logz", Some("a.b"), HOUR_MS).await, "400 scope_unknown");
    assert_eq!(ask("list", Some("a.b"), HOUR_MS).await, "400 scope_unknown");
    assert_eq!(ask("/audit/lines", Some("a.b"), HOUR_MS).await, "400 scope_invalid");
    assert_eq!(ask("logs", None, 0).await, "400 expires_invalid");
    assert_eq!(ask("logs", None, 30 * 24 * HOUR_MS).await, "ok");
    assert_eq!(ask("logs", None, 30 * 24 * HOUR_MS + 1).await, "400 expires_invalid");
    let many = (0..17).map(|number| format!("/secret/set?secret=s{number}")).collect();
    let many = TokenRequest { agent: None, can: many, expires_ms: HOUR_MS, audience: None };
    assert_eq!(code(house.owner().post::<TokenCreated>("/api/v1/tokens", &many).await), "400 token_large");
    let revoke = async |id: &str| {
        let ids = vec![id.to_owned()];
        code(house.owner().post::<()>("/api/v1/tokens/revoke", &TokenRevoke { ids }).await)
    };
    assert_eq!(revoke("x").await, "400 token_invalid");
    assert_eq!(
        revoke(&house.genesis.to_string()).await,
        "400 token_invalid",
        "what is no token is not taken back as one"
    );
    house.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_home_without_an_identity_makes_and_takes_no_token() {
    let house = House::of_nobody().await;
    let request = TokenRequest { agent: None, can: vec!["logs".to_owned()], expires_ms: 1, audience: None };
    assert_eq!(code(house.owner().post::<TokenCreated>("/api/v1/tokens", &request).await), "409 identity_none");
    let token = house.token(HOLDER, &["/"]);
    assert_eq!(code(house.client(&token).get::<serde_json::Value>("/api/v1/audit").await), "401 token_invalid");
    house.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_holder_hands_on_less_than_it_has_and_for_no_longer() {
    let house = House::new().await;
    let passed = |scope: &str, until| house.handed_on(HOLDER, "/audit", OTHER, scope, until);
    let soon = Timestamp(now().0 + HOUR_MS / 2);
    let ask = async |token| code(house.client(&token).get::<serde_json::Value>("/api/v1/audit").await);
    assert_eq!(ask(passed("/audit/lines", soon)).await, "ok");
    assert_eq!(ask(passed("/", soon)).await, "401 token_invalid");
    assert_eq!(ask(passed("/audit/lines", Timestamp(now().0 + 2 * HOUR_MS))).await, "401 token_invalid");
    house.end().await;
}

fn code<T>(answer: Result<T, ClientError>) -> String {
    match answer {
        Ok(_) => "ok".to_owned(),
        Err(ClientError::Refused(problem)) => format!("{} {}", problem.status, problem.code),
        Err(other) => panic!("{other}"),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_done_has_its_lines_and_what_a_token_does_few_of_them() {
    let house = House::new().await;
    let (owner, token) = (house.owner(), house.token(HOLDER, &["/agent/stop"]));
    let client = house.client(&token);
    for _ in 0..3 {
        let stopped = owner.post_nothing::<serde_json::Value>("/api/v1/agents/nobody/stop").await;
        assert_eq!(code(stopped), "404 agent_unknown");
    }
    for number in 0..20 {
        let path = format!("/api/v1/agents/nobody{number}/stop");
        assert_eq!(code(client.post_nothing::<serde_json::Value>(&path).await), "404 agent_unknown");
    }
    let lines: Vec<AuditEntry> = owner.get("/api/v1/audit?lines=1000").await.unwrap();
    let of = |by: &str| {
        let theirs = lines.iter().filter(|line| line.act == "agent.stop" && line.by.starts_with(by));
        theirs.map(|line| (line.about.clone(), line.outcome.clone())).collect::<Vec<_>>()
    };
    let owners = of("owner");
    assert_eq!(owners.len(), 6, "{owners:?}");
    assert_eq!(owners[0], ("nobody".to_owned(), "asked".to_owned()));
    assert!(owners[1].1.starts_with("refused: failed to "), "{owners:?}");
    // A name of its own each time, and no more lines for it.
    let tokens = of(&format!("token of {}", key(HOLDER).did()));
    assert_eq!(
        tokens.iter().map(|(about, _)| about.as_str()).collect::<Vec<_>>(),
        ["nobody0", "nobody0"],
        "{tokens:?}"
    );
    house.end().await;
}
