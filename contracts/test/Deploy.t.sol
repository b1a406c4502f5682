// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.28;

import {DeployParams, Deployment, Resources, State} from "../src/Types.sol";
import {Cid} from "../src/Cid.sol";
import {NodesEvents} from "../src/NodesEvents.sol";
import {MarketEvents} from "../src/market/MarketEvents.sol";
import {World} from "./Base.sol";

contract DeployTest is World {
    function _refused(bytes memory why, DeployParams memory params) private {
        vm.prank(client);
        vm.expectRevert(why);
        manager.deploy(params);
    }

    function test_a_deploy_moves_the_payment_and_opens_the_order() external {
        uint256 before = token.balanceOf(client);
        uint64 id = _deploy(600);
        Deployment memory d = manager.deployment(id);
        eq(uint256(d.state), uint256(State.Open), "state");
        eq(d.owner, client, "owner");
        eq(bytes(d.agentId), bytes(AGENT), "agent id");
        eq(d.manifestCid, _raw(MANIFEST), "manifest");
        eq(d.artifactCid, _raw(ARTIFACT), "artifact");
        yes(d.artifactHash == ARTIFACT && d.configHash == CONFIG, "hashes");
        eq(d.deadline, _now() + 600, "deadline");
        eq(d.maxRate, MAX_RATE, "limit");
        eq(d.rate, 0, "no bid yet");
        eq(d.deposited, PAYMENT, "deposit");
        yes(d.verified && !d.home && !d.paused, "flags");
        eq(before - token.balanceOf(client), PAYMENT, "paid by the client");
        eq(token.balanceOf(address(escrow)), PAYMENT, "held by escrow");
        eq(manager.openOrders(AGENT), 1, "open orders");
    }

    function test_the_literal_deploy_uses_the_callers_publication() external {
        _publish(bob, AGENT, _raw(ARTIFACT), 300);
        uint64 own = _publish(600);
        string memory cid = _text(_raw(ARTIFACT));
        vm.prank(client);
        uint64 id = manager.deploy(AGENT, cid, PAYMENT);
        Deployment memory d = manager.deployment(id);
        eq(d.publication, own, "publication");
        eq(d.deadline, _now() + 600, "window");
        vm.prank(stranger);
        vm.expectRevert(abi.encodeWithSelector(MarketEvents.NotPublished.selector, stranger, AGENT));
        manager.deploy(AGENT, cid, PAYMENT);
    }

    function test_a_deploy_refuses_a_raw_cid_of_other_bytes() external {
        DeployParams memory params = _params(_publish(0));
        bytes memory why = abi.encodeWithSelector(MarketEvents.ArtifactCidMismatch.selector, CONFIG, ARTIFACT);
        params.artifactCid = _raw(CONFIG);
        _refused(why, params);
        string memory cid = _text(_raw(CONFIG));
        vm.prank(client);
        vm.expectRevert(why);
        manager.deploy(AGENT, cid, PAYMENT);
    }

    function test_the_literal_deploy_refuses_more_than_a_line_holds() external {
        _publish(0);
        string memory cid = _text(_raw(ARTIFACT));
        vm.prank(client);
        vm.expectRevert(abi.encodeWithSelector(MarketEvents.AmountTooLarge.selector, 1 << 96, (1 << 96) - 1));
        manager.deploy(AGENT, cid, 1 << 96);
        vm.prank(client);
        vm.expectRevert(abi.encodeWithSelector(Cid.CidLength.selector, 3, 59));
        manager.deploy(AGENT, "baf", PAYMENT);
    }

    function test_what_a_deployment_changes_of_its_publication_stands() external {
        DeployParams memory params = _params(_publish(0));
        params.maxRate = RATE;
        params.configHash = ARTIFACT;
        params.onlyNode = carol;
        params.supersedesMarket = address(0xABCD);
        params.supersedesId = 77;
        vm.prank(client);
        Deployment memory d = manager.deployment(manager.deploy(params));
        eq(d.maxRate, RATE, "limit");
        yes(d.configHash == ARTIFACT, "config");
        eq(d.onlyNode, carol, "only node");
        eq(d.supersedesMarket, address(0xABCD), "market");
        eq(d.supersedesId, 77, "old id");
    }

    function test_a_link_within_the_market_must_be_to_an_own_ended_deployment() external {
        uint64 old = _deploy(0);
        DeployParams memory params = _params(1);
        params.supersedesMarket = address(manager);
        params.supersedesId = old;
        _refused(abi.encodeWithSelector(MarketEvents.NotSuperseded.selector, old, State.Open), params);
        params.supersedesId = 99;
        _refused(abi.encodeWithSelector(MarketEvents.NotOwner.selector, 99, client), params);
        params.supersedesId = old;
        vm.startPrank(client);
        manager.stop(old);
        eq(manager.deployment(manager.deploy(params)).supersedesId, old, "link");
        vm.stopPrank();
    }

    function test_deploys_without_sense_are_refused() external {
        DeployParams memory params = _params(5);
        _refused(abi.encodeWithSelector(MarketEvents.UnknownPublication.selector, 5), params);
        params = _params(uint64(1) << 24 | 1);
        _refused(abi.encodeWithSelector(MarketEvents.UnknownPublication.selector, uint64(1) << 24 | 1), params);
        params = _params(_publish(0));
        params.payment = 0;
        _refused(abi.encodeWithSelector(MarketEvents.PaymentZero.selector), params);
        params = _params(1);
        params.maxRate = 1 << 80;
        _refused(abi.encodeWithSelector(MarketEvents.RateTooHigh.selector, 1 << 80, (1 << 80) - 1), params);
        vm.prank(client);
        manager.publish(
            AGENT, _raw(MANIFEST), MANIFEST, _raw(ARTIFACT), ARTIFACT, 0, Resources(1, 1, false), 0, 0, 0
        );
        _refused(abi.encodeWithSelector(MarketEvents.RateZero.selector), _params(2));
        vm.expectRevert(abi.encodeWithSelector(MarketEvents.UnknownDeployment.selector, 44));
        manager.deployment(44);
    }

    // ---- dag-pb: unverified until attested -------------------------------------------------------

    function _unverified() private returns (uint64 id) {
        _publish(600);
        string memory cid = _text(_dagPb(CONFIG));
        vm.prank(client);
        id = manager.deploy(AGENT, cid, PAYMENT);
    }

    function test_a_dag_pb_artifact_waits_for_its_quorum() external {
        uint64 id = _unverified();
        Deployment memory d = manager.deployment(id);
        eq(uint256(d.state), uint256(State.Unverified), "state");
        yes(!d.verified, "unverified");
        eq(d.artifactCid, _dagPb(CONFIG), "cid");
        vm.prank(bob);
        vm.expectRevert(abi.encodeWithSelector(MarketEvents.NotVerified.selector, id, 0, 2));
        manager.bid(id, RATE);
        vm.prank(bob);
        manager.attest(id);
        vm.prank(bob);
        vm.expectRevert(abi.encodeWithSelector(MarketEvents.AlreadyAttested.selector, id, bob));
        manager.attest(id);
        _pass(1000);
        vm.prank(carol);
        manager.attest(id);
        d = manager.deployment(id);
        eq(uint256(d.state), uint256(State.Open), "state");
        yes(d.verified, "verified");
        eq(d.attestations, 2, "attestations");
        eq(d.deadline, _now() + 600, "the window runs from the quorum");
        vm.prank(dave);
        vm.expectRevert(abi.encodeWithSelector(MarketEvents.WrongState.selector, id, State.Open));
        manager.attest(id);
    }

    function test_only_nodes_in_good_standing_attest() external {
        uint64 id = _unverified();
        vm.prank(stranger);
        vm.expectRevert(abi.encodeWithSelector(NodesEvents.NotRegistered.selector, stranger));
        manager.attest(id);
        vm.startPrank(bob);
        manager.reject(id, "hash is another");
        vm.expectRevert(abi.encodeWithSelector(MarketEvents.Barred.selector, id, bob));
        manager.attest(id);
        vm.stopPrank();
        vm.prank(carol);
        nodes.pauseNode();
        vm.prank(carol);
        vm.expectRevert(abi.encodeWithSelector(NodesEvents.NodeIsPaused.selector, carol));
        manager.attest(id);
    }

    function test_an_unverified_order_is_stopped_with_all_its_money() external {
        uint256 before = token.balanceOf(client);
        uint64 id = _unverified();
        vm.prank(client);
        manager.stop(id);
        eq(token.balanceOf(client), before, "refund");
        eq(manager.openOrders(AGENT), 0, "open orders");
    }
}
