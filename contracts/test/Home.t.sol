// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.28;

import {Deployment, DeployParams, State} from "../src/Types.sol";
import {Manager} from "../src/Manager.sol";
import {MarketEvents} from "../src/market/MarketEvents.sol";
import {World} from "./Base.sol";

contract HomeTest is World {
    function _home() private returns (uint64 id) {
        DeployParams memory params = _params(_publish(bob, AGENT, _dagPb(CONFIG), 600));
        params.payment = 0;
        vm.prank(bob);
        id = manager.deployHome(params);
    }

    function test_a_home_lease_costs_nothing_and_never_ends() external {
        uint64 id = _home();
        Deployment memory d = manager.deployment(id);
        eq(uint256(d.state), uint256(State.Assigned), "assigned at once");
        eq(d.node, bob, "its own node");
        yes(d.home && d.verified, "home");
        eq(manager.openOrders(AGENT), 0, "never on the market");
        eq(nodes.node(bob).locked, 0, "nothing locked");
        _pass(1 days);
        vm.expectRevert(abi.encodeWithSelector(MarketEvents.HomeLease.selector, id));
        manager.reopen(id);
        _start(id, bob);
        _pass(10_000 days);
        eq(manager.settle(id), 0, "nothing due");
        eq(manager.deployment(id).endsAt, 0, "no end");
        vm.expectRevert(abi.encodeWithSelector(MarketEvents.HomeLease.selector, id));
        manager.expire(id);
        vm.prank(client);
        vm.expectRevert(abi.encodeWithSelector(MarketEvents.HomeLease.selector, id));
        manager.deposit(id, 1);
        vm.startPrank(bob);
        vm.expectRevert(abi.encodeWithSelector(MarketEvents.HomeLease.selector, id));
        manager.requestClientWithdraw(id, 1);
        manager.stop(id);
        vm.stopPrank();
        _is(id, State.Stopped);
    }

    function test_a_home_lease_needs_its_owner_to_operate_a_node() external {
        DeployParams memory params = _params(_publish(0));
        params.payment = 0;
        vm.prank(client);
        vm.expectRevert(abi.encodeWithSelector(MarketEvents.NotOperator.selector, client));
        manager.deployHome(params);
        vm.startPrank(bob);
        params.payment = 1;
        vm.expectRevert(abi.encodeWithSelector(MarketEvents.HomeLease.selector, 0));
        manager.deployHome(params);
        params.payment = 0;
        params.maxRate = 1;
        vm.expectRevert(abi.encodeWithSelector(MarketEvents.RateTooHigh.selector, 1, 0));
        manager.deployHome(params);
        params.maxRate = 0;
        params.onlyNode = carol;
        vm.expectRevert(abi.encodeWithSelector(MarketEvents.OnlyNode.selector, 0, carol));
        manager.deployHome(params);
        params.onlyNode = address(0);
        params.artifactCid = _raw(CONFIG);
        vm.expectRevert(abi.encodeWithSelector(MarketEvents.ArtifactCidMismatch.selector, CONFIG, ARTIFACT));
        manager.deployHome(params);
        vm.stopPrank();
    }

    function test_a_home_lease_can_continue_one_of_an_older_market() external {
        Manager next = new Manager(nodes, ACK_TIMEOUT, NOTICE, LOCK_HOURS, 2);
        nodes.addManager(address(next));
        uint64 old = _home();
        vm.startPrank(bob);
        _publishOn(next, AGENT, _raw(ARTIFACT), 0);
        DeployParams memory params;
        params.publication = 1;
        params.supersedesMarket = address(manager);
        params.supersedesId = old;
        Deployment memory d = next.deployment(next.deployHome(params));
        vm.stopPrank();
        eq(d.supersedesMarket, address(manager), "market");
        eq(d.supersedesId, old, "old id");
    }

    function test_no_home_lease_is_rejected() external {
        uint64 id = _home();
        vm.prank(bob);
        vm.expectRevert(abi.encodeWithSelector(MarketEvents.HomeLease.selector, id));
        manager.reject(id, "x");
    }
}
