// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.28;

import {Deployment, DeployParams, State} from "../src/Types.sol";
import {MarketEvents} from "../src/market/MarketEvents.sol";
import {World} from "./Base.sol";

contract LeaseTest is World {
    // ---- start, no start -------------------------------------------------------------------------

    function test_money_runs_from_the_ack() external {
        uint64 id = _deploy(0);
        _bid(id, bob, RATE);
        _pass(50);
        vm.prank(carol);
        vm.expectRevert(abi.encodeWithSelector(MarketEvents.NotNode.selector, id, carol));
        manager.ackStart(id, 1);
        vm.prank(bob);
        vm.expectRevert(abi.encodeWithSelector(MarketEvents.StaleIncarnation.selector, id, 0, 0));
        manager.ackStart(id, 0);
        vm.prank(bob);
        vm.expectRevert(abi.encodeWithSelector(MarketEvents.AmountTooLarge.selector, 1 << 24, (1 << 24) - 1));
        manager.ackStart(id, 1 << 24);
        _start(id, bob);
        Deployment memory d = manager.deployment(id);
        eq(d.startedAt, _now(), "start");
        eq(d.endsAt, _now() + 20 hours, "1000 at 50 an hour is 20 hours");
        eq(d.due, 0, "nothing due yet");
        eq(d.incarnation, 1, "incarnation");
        eq(manager.activeNode(id), bob, "active");
        vm.prank(bob);
        vm.expectRevert(abi.encodeWithSelector(MarketEvents.WrongState.selector, id, State.Running));
        manager.ackStart(id, 2);
    }

    function test_without_an_ack_anyone_reopens_the_order_unpaid() external {
        uint64 id = _deploy(0);
        _bid(id, bob, RATE);
        uint256 until = _now() + ACK_TIMEOUT;
        _pass(ACK_TIMEOUT);
        vm.expectRevert(abi.encodeWithSelector(MarketEvents.AckPending.selector, id, until));
        manager.reopen(id);
        _pass(1);
        vm.prank(stranger);
        manager.reopen(id);
        Deployment memory d = manager.deployment(id);
        eq(uint256(d.state), uint256(State.Open), "state");
        eq(d.node, address(0), "no node");
        eq(d.maxRate, MAX_RATE, "limit");
        eq(d.paid, 0, "unpaid");
        eq(nodes.node(bob).locked, 0, "stake free");
        vm.prank(bob);
        vm.expectRevert(abi.encodeWithSelector(MarketEvents.WrongState.selector, id, State.Open));
        manager.ackStart(id, 1);
    }

    function test_a_late_ack_counts_while_nobody_has_reopened() external {
        uint64 id = _deploy(0);
        _bid(id, bob, RATE);
        _pass(1 hours);
        _start(id, bob);
        eq(manager.due(id), 0, "money runs from the ack");
    }

    function test_the_third_missed_ack_bars_the_node() external {
        uint64 id = _deploy(0);
        for (uint256 i = 0; i < 3; ++i) {
            yes(!manager.isBarred(id, bob), "not yet");
            _bid(id, bob, RATE);
            _pass(ACK_TIMEOUT + 1);
            manager.reopen(id);
        }
        yes(manager.isBarred(id, bob), "barred");
        vm.prank(bob);
        vm.expectRevert(abi.encodeWithSelector(MarketEvents.Barred.selector, id, bob));
        manager.bid(id, RATE);
        _bid(id, carol, RATE);
    }

    // ---- the end ---------------------------------------------------------------------------------

    function test_stop_pays_what_is_due_and_refunds_the_rest() external {
        uint64 id = _running();
        uint256 before = token.balanceOf(client);
        _pass(90 minutes);
        vm.prank(client);
        manager.stop(id);
        eq(escrow.claimable(bob), 75 ether, "one and a half hours at 50");
        eq(token.balanceOf(client) - before, 925 ether, "refund");
        eq(nodes.node(bob).locked, 0, "stake free");
        eq(manager.activeNode(id), address(0), "nobody runs it");
        Deployment memory d = manager.deployment(id);
        eq(d.paid, 75 ether, "paid");
        eq(d.due, 0, "nothing more is due");
        vm.prank(bob);
        escrow.withdraw(bob);
        eq(token.balanceOf(address(escrow)), 0, "escrow is empty");
    }

    function test_a_node_may_end_its_lease_and_the_client_keeps_the_rest() external {
        uint64 id = _running();
        _pass(1 hours);
        vm.prank(bob);
        manager.stop(id);
        eq(escrow.claimable(bob), 50 ether, "paid");
        eq(escrow.claimable(client), 950 ether, "credited, not pushed");
        uint256 before = token.balanceOf(stranger);
        vm.prank(client);
        escrow.withdraw(stranger);
        eq(token.balanceOf(stranger) - before, 950 ether, "sent where the client said");
    }

    function test_who_may_stop_and_when() external {
        uint64 id = _deploy(0);
        _bid(id, bob, RATE);
        vm.prank(bob);
        vm.expectRevert(abi.encodeWithSelector(MarketEvents.NotOwner.selector, id, bob));
        manager.stop(id);
        _start(id, bob);
        vm.prank(carol);
        vm.expectRevert(abi.encodeWithSelector(MarketEvents.NotOwner.selector, id, carol));
        manager.stop(id);
        vm.startPrank(client);
        manager.stop(id);
        vm.expectRevert(abi.encodeWithSelector(MarketEvents.WrongState.selector, id, State.Stopped));
        manager.stop(id);
        vm.stopPrank();
    }

    function test_every_live_state_can_be_stopped_with_all_that_is_not_due() external {
        uint256 before = token.balanceOf(client);
        uint64 open = _deploy(600);
        uint64 led = _deploy(600);
        _bid(led, bob, RATE);
        uint64 assigned = _deploy(0);
        _bid(assigned, bob, RATE);
        vm.startPrank(client);
        manager.stop(open);
        manager.stop(led);
        manager.stop(assigned);
        vm.stopPrank();
        eq(token.balanceOf(client), before, "all refunded");
        eq(nodes.node(bob).locked, 0, "stake free");
        eq(manager.openOrders(AGENT), 0, "open orders");
    }

    function test_a_lease_expires_when_its_deposit_is_used_up_and_pays_exactly_it() external {
        uint64 id = _running();
        uint64 ends = manager.deployment(id).endsAt;
        _pass(20 hours - 1);
        vm.expectRevert(abi.encodeWithSelector(MarketEvents.NotRunOut.selector, id, ends));
        manager.expire(id);
        _pass(1);
        eq(manager.due(id), PAYMENT, "all due");
        _pass(7 hours);
        eq(manager.due(id), PAYMENT, "and no more than all");
        vm.prank(stranger);
        manager.expire(id);
        _is(id, State.Expired);
        eq(escrow.claimable(bob), PAYMENT, "paid");
        eq(escrow.claimable(client), 0, "nothing left");
        eq(nodes.node(bob).locked, 0, "stake free");
        vm.expectRevert(abi.encodeWithSelector(MarketEvents.WrongState.selector, id, State.Expired));
        manager.expire(id);
    }

    function test_the_end_is_the_first_second_at_which_all_is_due(uint80 rate, uint96 payment) external {
        rate = uint80(1e12 + uint256(rate) % 1000 ether);
        payment = uint96(1 + uint256(payment) % 1000 ether);
        DeployParams memory params = _params(_publish(0));
        params.maxRate = rate;
        params.payment = payment;
        vm.prank(client);
        uint64 id = manager.deploy(params);
        // A stake that covers any such rate.
        vm.prank(bob);
        nodes.addStake(90_000 ether);
        _bid(id, bob, rate);
        _start(id, bob);
        uint64 ends = manager.deployment(id).endsAt;
        vm.warp(ends);
        eq(manager.due(id), payment, "all is due");
        vm.warp(ends - 1);
        yes(manager.due(id) < payment, "and not before");
    }

    // ---- pause -----------------------------------------------------------------------------------

    function test_a_paused_agent_goes_on_paying() external {
        uint64 id = _running();
        vm.prank(bob);
        vm.expectRevert(abi.encodeWithSelector(MarketEvents.NotOwner.selector, id, bob));
        manager.pause(id);
        vm.startPrank(client);
        vm.expectRevert(abi.encodeWithSelector(MarketEvents.NotPaused.selector, id));
        manager.resume(id);
        manager.pause(id);
        yes(manager.deployment(id).paused, "paused");
        vm.expectRevert(abi.encodeWithSelector(MarketEvents.AlreadyPaused.selector, id));
        manager.pause(id);
        _pass(1 hours);
        eq(manager.due(id), RATE, "due");
        manager.resume(id);
        yes(!manager.deployment(id).paused, "resumed");
        manager.stop(id);
        vm.expectRevert(abi.encodeWithSelector(MarketEvents.WrongState.selector, id, State.Stopped));
        manager.pause(id);
        vm.stopPrank();
    }

    function test_the_gas_allowance_grows_with_each_started_hour() external {
        uint64 id = _deploy(0);
        eq(manager.gasAllowance(id), 0, "before the start");
        _bid(id, bob, RATE);
        _start(id, bob);
        eq(manager.gasAllowance(id), 500_000, "first hour");
        _pass(1 hours - 1);
        eq(manager.gasAllowance(id), 500_000, "still the first");
        _pass(1);
        eq(manager.gasAllowance(id), 1_000_000, "second hour");
    }
}
