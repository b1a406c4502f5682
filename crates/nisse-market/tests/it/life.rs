//! Leases from deploy to end, on the embedded chain.

use nisse_market::{
    ContractSettings, DeployOrder, DeploymentState, FIRST_MANAGER_NONCE, MarketCall, MarketError, MarketEvent,
    StoppedBy, made_by, market_versions, upgrade_contracts,
};
use nisse_model::{Amount, ContentId, Hash256};

use crate::flow::{assert_conserved, whole_life};
use crate::support::{Stage, rate, talos, terms};

#[tokio::test]
async fn a_thousand_talos_buy_twenty_hours_at_fifty() {
    let stage = Stage::new().await;
    let gas = whole_life(&stage.owner, &stage.node, async |seconds| stage.pass(seconds)).await;
    assert_conserved(&stage.owner, &stage.node, talos(11_000)).await;
    println!("gas: {gas:?}");
}

#[tokio::test]
async fn stopping_early_pays_to_the_second_and_refunds_the_rest() {
    let stage = Stage::funded().await;
    let number = stage.running(talos(1_000)).await;
    stage.pass(4_321);
    let written = stage.owner.stop("stop", number).await.unwrap();
    let due = Amount(rate(50).0 * 4_321 / 3_600);
    let refund = Amount(talos(1_000).0 - due.0);
    let stopped =
        MarketEvent::Stopped { deployment: number, node: Some(stage.node.key()), by: StoppedBy::Owner, refund };
    assert!(written.events.contains(&stopped), "{:?}", written.events);
    assert_eq!(stage.node.claimable(stage.node.key()).await.unwrap(), due);
    assert_eq!(stage.owner.balance(stage.owner.key()).await.unwrap().0, talos(4_000).0 + refund.0);
}

#[tokio::test]
async fn the_literal_calls_of_the_proposal_work() {
    let stage = Stage::funded().await;
    let terms = terms();
    stage.owner.publish("publish", terms.clone()).await.unwrap();
    let cid = terms.package.artifact_cid.to_string();
    let number = stage.owner.deploy_literal("deploy", &terms.package.agent_id, &cid, talos(1_000)).await.unwrap();
    let bid = MarketCall::BidLiteral { agent_id: terms.package.agent_id.clone(), rate: rate(50) };
    stage.node.write("bid", &bid).await.unwrap();
    let view = stage.owner.deployment(number).await.unwrap();
    assert_eq!((view.state, view.package.artifact_cid), (DeploymentState::Assigned, terms.package.artifact_cid));
}

#[tokio::test]
async fn a_home_lease_costs_nothing_and_has_no_end() {
    let stage = Stage::funded().await;
    let publication = stage.node.publish("publish", terms()).await.unwrap();
    let order = DeployOrder { publication, ..DeployOrder::default() };
    let number = stage.node.deploy_home("deploy", order).await.unwrap();
    stage.node.ack_start("ack", number, 1).await.unwrap();
    stage.pass(10 * 365 * 24 * 3600);
    let view = stage.node.deployment(number).await.unwrap();
    assert_eq!((view.state, view.home, view.ends_at, view.due), (DeploymentState::Running, true, None, Amount(0)));
    let refused = stage.owner.write("expire", &MarketCall::Expire { deployment: number }).await.unwrap_err();
    let MarketError::Queue(nisse_market::QueueError::Refused(revert)) = refused else { panic!("{refused}") };
    assert_eq!(revert.name, "HomeLease");
}

#[tokio::test]
async fn an_update_is_answered_by_its_revision_only() {
    let stage = Stage::funded().await;
    let number = stage.running(talos(100)).await;
    let artifact = Hash256::of(b"artifact 1.3");
    let newer = nisse_market::PublicationTerms {
        package: nisse_market::ListedPackage {
            agent_id: "talos.oracle.price-eth@v1.3.0".to_owned(),
            artifact_cid: ContentId::raw(artifact),
            artifact_hash: artifact,
            ..terms().package
        },
        ..terms()
    };
    let newer = stage.owner.publish("publish/newer", newer).await.unwrap();
    let revision = stage.owner.update("update/1", number, newer, None, None).await.unwrap();
    assert_eq!(stage.owner.deployment(number).await.unwrap().update, Some((revision, newer)));
    stage.node.reject_update("reject/1", number, revision, "it traps at start").await.unwrap();
    assert!(stage.node.ack_update("ack-update/1", number, revision, 2).await.is_err());
    let revision = stage.owner.update("update/2", number, newer, None, None).await.unwrap();
    stage.node.ack_update("ack-update/2", number, revision, 2).await.unwrap();
    let view = stage.owner.deployment(number).await.unwrap();
    assert_eq!((view.package.artifact_hash, view.incarnation, view.update), (artifact, 2, None));
}

#[tokio::test]
async fn a_silent_node_loses_the_order_unpaid() {
    let stage = Stage::funded().await;
    let number = stage.assigned(talos(100)).await;
    let reopen = MarketCall::Reopen { deployment: number };
    assert!(stage.other.write("too early", &reopen).await.is_err());
    stage.pass(61);
    stage.other.write("reopen", &reopen).await.unwrap();
    stage.other.bid("bid", number, rate(40)).await.unwrap();
    stage.other.ack_start("ack", number, 1).await.unwrap();
    let view = stage.owner.deployment(number).await.unwrap();
    assert_eq!((view.node, view.rate), (Some(stage.other.key()), rate(40)));
    assert_eq!(stage.node.claimable(stage.node.key()).await.unwrap(), Amount(0));
}

#[tokio::test]
async fn a_running_agent_publishes_answers_and_nobody_else_does() {
    let stage = Stage::funded().await;
    let number = stage.running(talos(100)).await;
    let say = |answer| MarketCall::PublishAnswer { deployment: number, asset: "ETH/USD".to_owned(), answer };
    for (round, said) in [(1, 432_100_000_000), (2, 432_200_000_000)] {
        let written = stage.node.write(&format!("answer/{round}"), &say(said)).await.unwrap();
        let published = written.events.iter().find_map(|event| match event {
            MarketEvent::AnswerPublished { answer, round, .. } => Some((*round, *answer)),
            _ => None,
        });
        assert_eq!(published, Some((round, said)));
    }
    let refused = stage.other.write("answer", &say(1)).await.unwrap_err();
    assert!(format!("{refused:?}").contains("NotActiveNode"), "{refused:?}");
}

#[tokio::test]
async fn an_upgrade_lists_a_new_manager_beside_the_old_stakes() {
    let stage = Stage::funded().await;
    let queue = stage.world.queue(1, &stage.client);
    let maker = stage.world.queue(8, &stage.client);
    let settings = ContractSettings::default();
    let upgraded = upgrade_contracts(&stage.client, &queue, &maker, &settings, &stage.addresses).await.unwrap();
    assert_eq!(made_by(maker.address(), 0), upgraded.manager, "it follows from the maker's key alone");
    assert_eq!(made_by(queue.address(), FIRST_MANAGER_NONCE), stage.addresses.manager);
    let versions = market_versions(&stage.client, queue.chain_id(), upgraded.book).await.unwrap();
    assert_eq!(versions, [stage.addresses, upgraded]);
    assert_eq!((upgraded.version, upgraded.nodes, upgraded.token), (2, stage.addresses.nodes, stage.addresses.token));
    assert_ne!(upgraded.manager, stage.addresses.manager);
    let market = nisse_market::Market::open(stage.client.clone(), queue, upgraded.book).await.unwrap();
    assert_eq!(*market.addresses(), upgraded);
    assert_eq!(market.deployments().await.unwrap(), 0);
}
