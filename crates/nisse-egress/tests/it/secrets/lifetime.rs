//! K7 and K8: whose secret it is, and since when: the vault is asked for each request.

use nisse_egress::{Reach, SecretRefused};

use super::{AGENT, SECRET, URL, world};
use crate::world::World;

fn last_authorization(world: &World) -> Vec<String> {
    world.network.received().pop().expect("a request").header("authorization")
}

#[tokio::test]
async fn k7_two_agents_under_the_same_rule_get_their_own_secrets() {
    let world = world(&["api@api.example.com"]);
    world.vault.set("talos.other", "api", "the other agent's own");
    for _ in 0..2 {
        for (agent, sent) in [(AGENT, SECRET), ("talos.other", "the other agent's own")] {
            let mut request = world.request(URL);
            request.agent = agent.to_owned();
            world.send(request).await.expect("allowed");
            assert_eq!(last_authorization(&world), [format!("Bearer {sent}")]);
        }
    }
    world.nothing_dialled_beyond(2);
    let mut stranger = world.request(URL);
    stranger.agent = "talos.third".to_owned();
    let refused = world.send(stranger).await.expect_err("it has no such secret");
    assert_eq!(refused.reason(), "secret_missing");
    world.nothing_dialled_beyond(2);
}

#[tokio::test]
async fn k8_a_changed_secret_is_used_at_once_over_a_kept_connection() {
    let world = world(&["api@api.example.com"]);
    world.get(URL).await.expect("allowed");
    world.vault.set(AGENT, "api", "another value");
    world.get(URL).await.expect("allowed");
    assert_eq!(last_authorization(&world), ["Bearer another value"]);
    assert!(world.audit.lines()[1].reused, "it was the same connection");
    world.nothing_dialled_beyond(1);
}

#[tokio::test]
async fn k8_a_withdrawn_secret_is_gone_at_once_over_a_kept_connection() {
    let world = world(&["api@api.example.com"]);
    world.get(URL).await.expect("allowed");
    world.vault.remove(AGENT, "api");
    let refused = world.get(URL).await.expect_err("must be refused");
    assert_eq!(refused.reason(), "secret_missing");
    // The permission is gone: the same connection carries no secret.
    world.vault.set(AGENT, "api", SECRET);
    let mut request = world.request(URL);
    request.reach = Reach::Granted { rules: &world.rules, local: &[], secrets: &[] };
    world.send(request).await.expect("allowed");
    assert_eq!(last_authorization(&world), Vec::<String>::new());
    assert_eq!(world.network.received().len(), 2, "what was refused was not sent");
    world.nothing_dialled_beyond(1);
}

#[tokio::test]
async fn a_secret_that_is_not_there_is_refused_with_what_to_do() {
    let world = world(&["api@api.example.com", "unset@api.example.com;path=/unset"]);
    let mut texts = String::new();
    let failed = SecretRefused::Failed("the vault's process has ended".to_owned());
    for (refusal, path) in [(Some(SecretRefused::Sealed), ""), (Some(failed), ""), (None, "/unset")] {
        world.vault.refuse(refusal);
        let refused = world.get(&format!("{URL}{path}")).await.expect_err("must be refused");
        let cause = std::error::Error::source(&refused).expect("a cause");
        texts.push_str(&format!("{}: failed to {refused}\n  caused by: {cause}\n", refused.reason()));
        texts.push_str(&refused.hint().map(|hint| format!("  hint: {hint}\n")).unwrap_or_default());
    }
    for (value, why) in [("two\r\nlines: of text", ""), ("ends with a line\n", ""), (&"x".repeat(8193), "")] {
        world.vault.set(AGENT, "api", value);
        let refused = world.get(URL).await.expect_err(why);
        texts.push_str(&format!("{}: failed to {refused}\n  hint: {}\n", refused.reason(), refused.hint().unwrap()));
    }
    world.nothing_dialled_beyond(0);
    insta::assert_snapshot!(texts, @r"
    secret_sealed: failed to use the secret `api`
      caused by: the vault is sealed
      hint: run `nisse unlock`
    secret_failed: failed to use the secret `api`
      caused by: the vault's process has ended
    secret_missing: failed to use the secret `unset`
      caused by: there is no secret of this name
      hint: run `nisse secret set unset`
    secret_unfit: failed to put the secret `api` into the header `authorization`: it holds a control character
      hint: run `nisse secret rotate api`
    secret_unfit: failed to put the secret `api` into the header `authorization`: it begins or ends with a space or a line's end
      hint: run `nisse secret rotate api`
    secret_unfit: failed to put the secret `api` into the header `authorization`: it is longer than 8192 bytes
      hint: run `nisse secret rotate api`
    ");
    // Others go on as before.
    world.vault.refuse(Some(SecretRefused::Sealed));
    world.get("http://api.example.com").await.expect("it needs no secret");
}

#[tokio::test]
async fn basic_credentials_need_a_colon() {
    let world = world(&["api@api.example.com;as=basic"]);
    let refused = world.get(URL).await.expect_err("no user");
    assert_eq!(refused.reason(), "secret_unfit");
    world.nothing_dialled_beyond(0);
}
