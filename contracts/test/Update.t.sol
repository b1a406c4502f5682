// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.28;

import {Deployment, State} from "../src/Types.sol";
import {MarketEvents} from "../src/market/MarketEvents.sol";
import {World} from "./Base.sol";

contract UpdateTest is World {
    uint64 private _id;
    uint64 private _next;

    function setUp() public override {
        super.setUp();
        _id = _running();
        _next = _publish(client, AGENT_NEXT, _dagPb(MANIFEST), 0);
    }

    function _ask() private returns (uint32) {
        vm.prank(client);
        return manager.update(_id, _next, 0, "");
    }

    function test_an_acknowledged_update_changes_what_runs_and_nothing_of_the_lease() external {
        Deployment memory before = manager.deployment(_id);
        uint32 revision = _ask();
        eq(manager.deployment(_id).updatePublication, _next, "pending");
        eq(manager.deployment(_id).publication, before.publication, "not yet");
        vm.prank(bob);
        manager.ackUpdate(_id, revision, 2);
        Deployment memory d = manager.deployment(_id);
        eq(d.publication, _next, "publication");
        eq(bytes(d.agentId), bytes(AGENT_NEXT), "agent id");
        eq(d.artifactCid, _dagPb(MANIFEST), "artifact");
        eq(d.incarnation, 2, "incarnation");
        eq(d.updatePublication, 0, "answered");
        eq(d.node, bob, "node");
        eq(d.rate, before.rate, "rate");
        eq(d.startedAt, before.startedAt, "money runs on");
        eq(d.endsAt, before.endsAt, "end");
    }

    function test_an_update_may_bring_its_own_config_and_the_next_one_drop_it() external {
        vm.prank(client);
        uint32 revision = manager.update(_id, _next, MANIFEST, _raw(ARTIFACT));
        vm.prank(bob);
        manager.ackUpdate(_id, revision, 2);
        Deployment memory d = manager.deployment(_id);
        yes(d.configHash == MANIFEST, "own config");
        eq(d.artifactCid, _raw(ARTIFACT), "own CID");
        revision = _ask();
        vm.prank(bob);
        manager.ackUpdate(_id, revision, 3);
        d = manager.deployment(_id);
        yes(d.configHash == CONFIG, "as published");
        eq(d.artifactCid, _dagPb(MANIFEST), "as published");
    }

    function test_a_rejected_update_leaves_the_agent_as_it_was() external {
        uint32 revision = _ask();
        vm.prank(bob);
        vm.expectRevert(abi.encodeWithSelector(MarketEvents.ReasonTooLong.selector, 257, 256));
        manager.rejectUpdate(_id, revision, string(new bytes(257)));
        vm.prank(bob);
        manager.rejectUpdate(_id, revision, "trap at start");
        Deployment memory d = manager.deployment(_id);
        eq(bytes(d.agentId), bytes(AGENT), "agent id");
        eq(d.incarnation, 1, "incarnation");
        eq(d.updatePublication, 0, "answered");
        vm.prank(bob);
        vm.expectRevert(abi.encodeWithSelector(MarketEvents.NoUpdate.selector, _id, revision));
        manager.ackUpdate(_id, revision, 2);
    }

    function test_an_answer_to_an_older_request_is_refused() external {
        uint32 first = _ask();
        uint32 second = _ask();
        eq(second, first + 1, "revisions count up");
        vm.startPrank(bob);
        vm.expectRevert(abi.encodeWithSelector(MarketEvents.NoUpdate.selector, _id, first));
        manager.ackUpdate(_id, first, 2);
        vm.expectRevert(abi.encodeWithSelector(MarketEvents.NoUpdate.selector, _id, first));
        manager.rejectUpdate(_id, first, "");
        vm.expectRevert(abi.encodeWithSelector(MarketEvents.StaleIncarnation.selector, _id, 1, 1));
        manager.ackUpdate(_id, second, 1);
        manager.ackUpdate(_id, second, 2);
        vm.stopPrank();
    }

    function test_who_may_ask_and_who_may_answer() external {
        vm.prank(bob);
        vm.expectRevert(abi.encodeWithSelector(MarketEvents.NotOwner.selector, _id, bob));
        manager.update(_id, _next, 0, "");
        uint32 revision = _ask();
        vm.prank(client);
        vm.expectRevert(abi.encodeWithSelector(MarketEvents.NotNode.selector, _id, client));
        manager.ackUpdate(_id, revision, 2);
        vm.prank(client);
        manager.stop(_id);
        vm.prank(bob);
        vm.expectRevert(abi.encodeWithSelector(MarketEvents.WrongState.selector, _id, State.Stopped));
        manager.ackUpdate(_id, revision, 2);
    }

    function test_an_update_stays_with_the_same_agent_and_the_same_bytes() external {
        uint64 other = _publish(client, "talos.oracle.price-btc@v1.3.0", _raw(ARTIFACT), 0);
        vm.startPrank(client);
        vm.expectRevert(abi.encodeWithSelector(MarketEvents.AnotherAgent.selector, _id, other));
        manager.update(_id, other, 0, "");
        vm.expectRevert(abi.encodeWithSelector(MarketEvents.UnknownPublication.selector, 99));
        manager.update(_id, 99, 0, "");
        vm.expectRevert(abi.encodeWithSelector(MarketEvents.ArtifactCidMismatch.selector, CONFIG, ARTIFACT));
        manager.update(_id, _next, 0, _raw(CONFIG));
        vm.stopPrank();
    }
}
