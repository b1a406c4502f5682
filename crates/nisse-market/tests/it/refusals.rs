//! What the contracts refuse reaches the caller as one sentence, and nothing is sent.

use std::sync::Arc;

use async_trait::async_trait;
use nisse_market::embedded::EmbeddedChain;
use nisse_market::{ChainClient, DeployOrder, Market, MarketCall, MarketError, QueueError, RpcPost, RpcPostError};
use nisse_model::{ContentId, Hash256};
use serde_json::{Value, json};

use crate::support::{Stage, rate, talos, terms};

/// An endpoint that takes every call for a cheap one.
struct Stingy(EmbeddedChain);

#[async_trait]
impl RpcPost for Stingy {
    async fn post(&self, _: &str, body: Vec<u8>) -> Result<Vec<u8>, RpcPostError> {
        let asked: Value = serde_json::from_slice(&body).unwrap();
        if asked["method"] == "eth_estimateGas" {
            let answer = json!({ "jsonrpc": "2.0", "id": asked["id"], "result": "0x7530" });
            return Ok(answer.to_string().into_bytes());
        }
        Ok(self.0.handle_json(&body))
    }
}

/// The refusal's name and sentence, with addresses made short.
fn refusal(error: MarketError) -> String {
    let MarketError::Queue(QueueError::Refused(revert)) = error else { panic!("{error:?}") };
    let words = revert.text.split(' ').map(|word| if word.starts_with("0x") { "0x…" } else { word });
    format!("{}: {}", revert.name, words.collect::<Vec<_>>().join(" "))
}

#[tokio::test]
async fn each_refusal_is_a_sentence() {
    let stage = Stage::funded().await;
    let cid = terms().package.artifact_cid.to_string();
    let (owner, node, other) = (&stage.owner, &stage.node, &stage.other);
    let sent = stage.chain.head().0;
    let mut sentences = Vec::new();
    let mut wrong = terms();
    wrong.package.artifact_cid = ContentId::raw(Hash256::of(b"else"));
    sentences.push(refusal(owner.publish("a", wrong).await.unwrap_err()));
    let order = DeployOrder { publication: 7, payment: talos(1), ..DeployOrder::default() };
    owner.write("approve", &MarketCall::ApproveEscrow).await.unwrap();
    sentences.push(refusal(owner.deploy("b", order).await.unwrap_err()));
    sentences.push(refusal(owner.deploy_literal("c", "no@v1.0.0", &cid, talos(1)).await.unwrap_err()));
    sentences.push(refusal(owner.bid("d", 9, rate(1)).await.unwrap_err()));
    sentences.push(refusal(owner.faucet("e", talos(2_000_000)).await.unwrap_err()));
    sentences.push(refusal(owner.withdraw("f", owner.key()).await.unwrap_err()));
    assert_eq!(stage.chain.head().0, sent + 1, "only the approval was sent");

    let publication = owner.publish("publish", terms()).await.unwrap();
    let order = DeployOrder { publication, payment: talos(10_000), ..DeployOrder::default() };
    sentences.push(refusal(owner.deploy("g", order).await.unwrap_err()));
    let order = DeployOrder { publication, payment: talos(100), ..DeployOrder::default() };
    let number = owner.deploy("h", order.clone()).await.unwrap();
    let home = DeployOrder { payment: Default::default(), ..order.clone() };
    sentences.push(refusal(owner.deploy_home("i", home).await.unwrap_err()));
    sentences.push(refusal(owner.bid("j", number, rate(50)).await.unwrap_err()));
    sentences.push(refusal(node.bid("k", number, rate(61)).await.unwrap_err()));
    sentences.push(refusal(node.ack_start("l", number, 1).await.unwrap_err()));
    owner.deploy("m", order).await.unwrap();
    let literal = MarketCall::BidLiteral { agent_id: terms().package.agent_id, rate: rate(50) };
    sentences.push(refusal(node.write("n", &literal).await.unwrap_err()));
    node.bid("o", number, rate(50)).await.unwrap();
    sentences.push(refusal(other.ack_start("p", number, 1).await.unwrap_err()));
    sentences.push(refusal(other.stop("q", number).await.unwrap_err()));
    let listed = sentences.join("\n");
    insta::assert_snapshot!(listed, @r#"
    ArtifactCidMismatch: the artifact's CID is of 7dd530c4d36da47cd33396718ef1fa1e8c0f7d91ee551d7fdc1c73aa65edb454, artifact_hash is c7c5c1d70c5dec4416ab6158afd0b223ef40c29b1dc1f97ed9428b94d4cadb1c
    UnknownPublication: there is no publication 7
    NotPublished: 0x… has not published no@v1.0.0
    UnknownDeployment: there is no deployment 9
    FaucetCapped: the faucet gives 1000000 TALOS at most, not 2000000
    NothingToWithdraw: 0x… has nothing to withdraw
    ERC20InsufficientBalance: 0x… has 5000 TALOS, 10000 are needed
    NotOperator: 0x… is no registered node: stake first
    NotRegistered: 0x… is no registered node: stake first
    NotBetter: a bid of 61 TALOS per hour does not beat 60 for deployment 1
    WrongState: deployment 1 is open for bids
    Ambiguous: talos.oracle.price-eth@v1.2.0 has 2 open orders: name one by its number
    NotNode: 0x… is not the node of deployment 1
    NotOwner: deployment 1 is not 0x…
    "#);
}

#[tokio::test]
async fn a_refused_intent_may_be_tried_again_under_its_name() {
    let stage = Stage::funded().await;
    let publication = stage.owner.publish("publish", terms()).await.unwrap();
    let order = DeployOrder { publication, payment: talos(5_500), ..DeployOrder::default() };
    assert!(stage.owner.deploy("deploy", order.clone()).await.is_err());
    stage.owner.faucet("more", talos(1_000)).await.unwrap();
    assert_eq!(stage.owner.deploy("deploy", order).await.unwrap(), 1);
}

#[tokio::test]
async fn a_call_that_runs_out_of_gas_says_so_and_at_how_much() {
    let stage = Stage::new().await;
    let client = ChainClient::remote("http://chain/", Arc::new(Stingy(stage.chain.clone())));
    let market = Market::with_addresses(client.clone(), stage.world.queue(4, &client), stage.addresses);
    let error = market.publish("publish", terms()).await.unwrap_err();
    let MarketError::Reverted { gas_used, reason, .. } = error else { panic!("{error:?}") };
    // The estimate, a quarter of it, and what is always added.
    assert_eq!((gas_used, reason.name.as_str()), (107_500, "OutOfGas"));
    assert_eq!(reason.text, "the call ran out of gas at 107500");
}
