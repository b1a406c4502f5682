//! What is reached by a permission: content by CID and answers for the chain, with the permission and without it.

use nisse_model::{AssetName, Effect, InvocationId};
use nisse_sandbox::limits::PUBLICATIONS_MAX;
use nisse_sandbox::{CallContext, HostCall, HostFailureKind, HostReply};

use crate::support::{Setup, answer, ask, get, grants, guest, stopped};

const CID: &str = "bafkreigh2akiscaildcqabsyg3dfr6chu3fgpregiymsck7e7aqa4s52zy";

fn granted() -> Setup {
    Setup { grants: grants(&["read_ipfs", "publish_to_chain"]), ..Setup::default() }
}

fn answered(reply: HostReply) -> Setup {
    let setup = granted();
    *setup.host.response.lock().expect("no panic") = Some(reply);
    setup
}

fn content(bytes: usize) -> Setup {
    answered(HostReply::Content { bytes: vec![7; bytes] })
}

async fn read(setup: &Setup, cid: &str) -> String {
    answer(setup, "grant-seeker", &format!("/read?cid={cid}")).await
}

#[tokio::test]
async fn content_is_read_by_its_cid_up_to_the_longest_file() {
    let setup = content(1 << 20);
    assert_eq!(read(&setup, CID).await, "read 1048576 bytes\n");
    assert_eq!(setup.host.calls(), [HostCall::IpfsRead { cid: CID.to_owned() }]);
    assert_eq!(read(&content(0), CID).await, "read 0 bytes\n");
    // A host that gives more than was agreed is not believed.
    assert_eq!(read(&content((1 << 20) + 1), CID).await, "IpfsError::TooLarge(1048576)\n");
}

#[tokio::test]
async fn each_refusal_of_content_reaches_the_guest_as_its_own_kind() {
    for (kind, told) in [
        (HostFailureKind::NotFound, "IpfsError::NotFound\n"),
        (HostFailureKind::TimedOut, "IpfsError::NotFound\n"),
        (HostFailureKind::Malformed, "IpfsError::Malformed(\"no\")\n"),
        (HostFailureKind::TooLarge, "IpfsError::TooLarge(1048576)\n"),
        (HostFailureKind::Denied, "IpfsError::Denied(\"no\")\n"),
    ] {
        assert_eq!(read(&answered(HostReply::failed(kind, "no")), CID).await, told);
    }
}

#[tokio::test]
async fn a_text_too_long_for_a_cid_never_leaves_the_sandbox() {
    let setup = content(1);
    let told = read(&setup, &"b".repeat(101)).await;
    assert_eq!(told, "IpfsError::Malformed(\"a CID has at most 100 characters\")\n");
    assert_eq!(setup.host.calls(), []);
}

#[tokio::test]
async fn reading_again_and_again_ends_at_the_memory_that_was_bought() {
    let setup = content(1 << 20);
    let trap = stopped(&setup, "grant-seeker", &format!("/read-all?cid={CID}")).await;
    insta::assert_snapshot!(trap, @"run the guest: hold 1048576 more bytes for the agent: its memory of 67108864 bytes is spent");
    assert!(setup.host.calls().len() <= 64, "{} reads of 1 MiB with 64 MiB", setup.host.calls().len());
}

#[tokio::test]
async fn an_answer_for_the_chain_is_an_effect_with_its_intent_id() {
    let setup = granted();
    let mut instance = setup.start(&guest("grant-seeker")).await;
    let end = ask(&mut instance, "/publish?asset=ETH/USD&value=-12345&decimals=8").await;
    let body = end.result.expect("it answers").into_body();
    let intent = format!("Ok(\"{}/0\")\n", InvocationId([1; 16]));
    assert_eq!(String::from_utf8_lossy(&body), intent);
    let asset: AssetName = "ETH/USD".parse().expect("a name");
    assert_eq!(end.effects, [Effect::PublishToChain { asset, value: -12345, decimals: 8 }]);
    assert_eq!(setup.host.calls(), [], "nothing leaves before the commit");
}

#[tokio::test]
async fn answers_that_no_feed_takes_are_refused_with_the_reason() {
    let setup = granted();
    for query in ["asset=&value=1&decimals=0", "asset=ETH&value=1&decimals=19", "asset=ETH&value=1&decimals=255"] {
        let told = answer(&setup, "grant-seeker", &format!("/publish?{query}")).await;
        assert!(told.starts_with("Err(PublishError::Malformed("), "{query}: {told}");
    }
    let long = answer(&setup, "grant-seeker", &format!("/publish?asset={}&value=1&decimals=0", "A".repeat(32))).await;
    assert!(long.starts_with("Err(PublishError::Malformed("), "{long}");
}

#[tokio::test]
async fn a_spent_budget_refuses_with_the_nodes_own_words() {
    let setup = granted();
    let mut instance = setup.start(&guest("grant-seeker")).await;
    let context = CallContext { publish_refused: Some("the gas is spent".to_owned()), ..CallContext::default() };
    let request = get("/publish?asset=ETH&value=1&decimals=0");
    let end = instance.http(InvocationId([1; 16]), request, context).await;
    let body = end.result.expect("it answers").into_body();
    assert_eq!(String::from_utf8_lossy(&body), "Err(PublishError::Denied(\"the gas is spent\"))\n");
    assert_eq!(end.effects, []);
}

#[tokio::test]
async fn a_flood_of_answers_ends_at_what_one_invocation_may_publish() {
    let setup = granted();
    let mut instance = setup.start(&guest("grant-seeker")).await;
    let end = ask(&mut instance, "/flood").await;
    let body = end.result.expect("it answers").into_body();
    let told = String::from_utf8_lossy(&body).into_owned();
    insta::assert_snapshot!(told, @r#"refused after 64: PublishError::Denied("64 answers are allowed in one invocation")"#);
    assert_eq!(end.effects.len(), PUBLICATIONS_MAX);
}

#[tokio::test]
async fn nothing_is_published_after_the_response_head() {
    let setup = granted();
    let mut instance = setup.start(&guest("grant-seeker")).await;
    let end = ask(&mut instance, "/late").await;
    let body = end.result.expect("it answers").into_body();
    let told = String::from_utf8_lossy(&body).into_owned();
    insta::assert_snapshot!(told, @r#"Err(PublishError::Denied("the response head has left: an HTTP invocation publishes before it answers"))"#);
    assert_eq!(end.effects, []);
}

#[test]
fn without_their_permissions_the_same_agent_does_not_link() {
    for (given, missing) in [("read_ipfs", "publish_to_chain"), ("publish_to_chain", "read_ipfs")] {
        let setup = Setup { grants: grants(&[given]), ..Setup::default() };
        let Err(refused) = setup.link(&guest("grant-seeker")) else { panic!("it linked without {missing}") };
        assert!(refused.to_string().contains(missing), "{refused}");
    }
}
