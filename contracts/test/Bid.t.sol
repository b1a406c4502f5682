// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.28;

import {Deployment, DeployParams, State} from "../src/Types.sol";
import {NodesEvents} from "../src/NodesEvents.sol";
import {MarketEvents} from "../src/market/MarketEvents.sol";
import {World} from "./Base.sol";

contract BidTest is World {
    function _refused(address node, uint64 id, uint128 rate, bytes memory why) private {
        vm.prank(node);
        vm.expectRevert(why);
        manager.bid(id, rate);
    }

    function test_the_lowest_bid_wins_after_the_window() external {
        uint64 id = _deploy(600);
        _bid(id, bob, RATE);
        _bid(id, carol, RATE - 1);
        _refused(dave, id, RATE, abi.encodeWithSelector(MarketEvents.NotBetter.selector, id, RATE, RATE - 1));
        vm.expectRevert(abi.encodeWithSelector(MarketEvents.BiddingOpen.selector, id, _now() + 600));
        manager.assign(id);
        _pass(600);
        vm.prank(stranger);
        manager.assign(id);
        Deployment memory d = manager.deployment(id);
        eq(d.node, carol, "winner");
        eq(d.rate, RATE - 1, "rate");
        eq(d.deadline, _now() + ACK_TIMEOUT, "ack by");
        _is(id, State.Assigned);
        eq(manager.openOrders(AGENT), 0, "open orders");
    }

    function test_of_two_equal_bids_the_earlier_wins() external {
        uint64 id = _deploy(600);
        _bid(id, bob, RATE);
        _refused(carol, id, RATE, abi.encodeWithSelector(MarketEvents.NotBetter.selector, id, RATE, RATE));
        eq(manager.deployment(id).node, bob, "leader");
    }

    function test_without_a_window_the_first_valid_bid_is_assigned_at_once() external {
        uint64 id = _deploy(0);
        bytes memory why = abi.encodeWithSelector(MarketEvents.NotBetter.selector, id, MAX_RATE + 1, MAX_RATE);
        _refused(bob, id, MAX_RATE + 1, why);
        _bid(id, bob, MAX_RATE);
        _is(id, State.Assigned);
        _refused(carol, id, 1, abi.encodeWithSelector(MarketEvents.WrongState.selector, id, State.Assigned));
    }

    function test_a_bid_after_an_empty_window_is_assigned_at_once() external {
        uint64 id = _deploy(600);
        _pass(600);
        vm.expectRevert(abi.encodeWithSelector(MarketEvents.NoBids.selector, id));
        manager.assign(id);
        _bid(id, bob, RATE);
        _is(id, State.Assigned);
    }

    function test_a_closed_window_takes_no_more_bids() external {
        uint64 id = _deploy(600);
        _bid(id, bob, RATE);
        _pass(600);
        _refused(carol, id, 1, abi.encodeWithSelector(MarketEvents.BiddingClosed.selector, id, _now()));
    }

    function test_bids_without_sense_are_refused() external {
        uint64 id = _deploy(600);
        _refused(bob, 99, RATE, abi.encodeWithSelector(MarketEvents.UnknownDeployment.selector, 99));
        _refused(bob, id, 0, abi.encodeWithSelector(MarketEvents.RateZero.selector));
        _refused(stranger, id, RATE, abi.encodeWithSelector(NodesEvents.NotRegistered.selector, stranger));
        vm.prank(bob);
        nodes.pauseNode();
        _refused(bob, id, RATE, abi.encodeWithSelector(NodesEvents.NodeIsPaused.selector, bob));
    }

    function test_a_node_below_the_least_stake_may_not_bid() external {
        uint64 id = _deploy(600);
        vm.prank(bob);
        nodes.requestUnbond(1);
        _refused(bob, id, RATE, abi.encodeWithSelector(NodesEvents.StakeTooLow.selector, STAKE - 1, STAKE));
    }

    function test_a_leading_bid_locks_stake_until_it_is_outbid() external {
        uint64 id = _deploy(600);
        _bid(id, bob, RATE);
        eq(nodes.node(bob).locked, uint256(RATE) * LOCK_HOURS, "locked");
        _bid(id, bob, RATE - 1);
        eq(nodes.node(bob).locked, uint256(RATE - 1) * LOCK_HOURS, "locked for the better bid");
        _bid(id, carol, RATE - 2);
        eq(nodes.node(bob).locked, 0, "free again");
        eq(nodes.node(carol).locked, uint256(RATE - 2) * LOCK_HOURS, "locked");
    }

    function test_stake_that_is_locked_covers_no_second_lease() external {
        // 10,000 of stake cover eight leases of 24 hours at 50.
        for (uint256 i = 0; i < 8; ++i) {
            uint64 one = _deploy(600);
            _bid(one, bob, RATE);
        }
        uint64 id = _deploy(600);
        uint256 lock = uint256(RATE) * LOCK_HOURS;
        _refused(bob, id, RATE, abi.encodeWithSelector(NodesEvents.FreeStakeTooLow.selector, bob, STAKE - 8 * lock, lock));
    }

    function test_an_order_for_one_node_takes_bids_from_no_other() external {
        DeployParams memory params = _params(_publish(600));
        params.onlyNode = carol;
        vm.prank(client);
        uint64 id = manager.deploy(params);
        _refused(bob, id, RATE, abi.encodeWithSelector(MarketEvents.OnlyNode.selector, id, carol));
        _bid(id, carol, RATE);
    }

    // ---- the literal bid -------------------------------------------------------------------------

    function test_the_literal_bid_finds_the_one_open_order() external {
        vm.prank(bob);
        vm.expectRevert(abi.encodeWithSelector(MarketEvents.NoOpenOrder.selector, AGENT));
        manager.bid(AGENT, 50 ether);
        uint64 first = _deploy(600);
        uint64 second = _deploy(600);
        uint64 third = _deploy(600);
        vm.prank(bob);
        vm.expectRevert(abi.encodeWithSelector(MarketEvents.Ambiguous.selector, AGENT, 3));
        manager.bid(AGENT, 50 ether);
        vm.prank(client);
        manager.stop(first);
        _bid(third, carol, RATE);
        _pass(600);
        manager.assign(third);
        vm.prank(bob);
        manager.bid(AGENT, 50 ether);
        eq(manager.deployment(second).node, bob, "the one that is left");
    }

    function test_a_huge_literal_price_is_not_cut_short() external {
        uint64 id = _deploy(600);
        uint256 price = uint256(1) << 80 | 5;
        vm.prank(bob);
        vm.expectRevert(abi.encodeWithSelector(MarketEvents.NotBetter.selector, id, price, MAX_RATE));
        manager.bid(AGENT, price);
    }

    // ---- rejecting -------------------------------------------------------------------------------

    function test_a_rejection_bars_the_node_from_the_order_and_from_no_other() external {
        uint64 id = _deploy(600);
        uint64 other = _deploy(600);
        vm.prank(bob);
        manager.reject(id, "gpu wanted");
        yes(manager.isBarred(id, bob) && !manager.isBarred(other, bob), "barred from one");
        _refused(bob, id, RATE, abi.encodeWithSelector(MarketEvents.Barred.selector, id, bob));
        vm.prank(bob);
        vm.expectRevert(abi.encodeWithSelector(MarketEvents.Barred.selector, id, bob));
        manager.reject(id, "twice");
        _bid(other, bob, RATE);
        _bid(id, carol, RATE);
    }

    function test_a_leading_bidder_that_rejects_makes_room() external {
        uint64 id = _deploy(600);
        _bid(id, bob, RATE);
        _pass(500);
        vm.prank(bob);
        manager.reject(id, "disk full");
        Deployment memory d = manager.deployment(id);
        eq(d.node, address(0), "no leader");
        eq(d.maxRate, MAX_RATE, "limit");
        eq(d.deadline, _now() + 600, "a new window");
        eq(nodes.node(bob).locked, 0, "free again");
        eq(manager.openOrders(AGENT), 1, "open orders");
        _bid(id, carol, MAX_RATE);
    }

    function test_an_assigned_node_that_rejects_reopens_the_order() external {
        uint64 id = _deploy(0);
        _bid(id, bob, RATE);
        vm.prank(carol);
        vm.expectRevert(abi.encodeWithSelector(MarketEvents.NotNode.selector, id, carol));
        manager.reject(id, "not mine");
        vm.prank(bob);
        manager.reject(id, "hash is another");
        _is(id, State.Open);
        eq(nodes.node(bob).locked, 0, "free again");
        eq(manager.openOrders(AGENT), 1, "open orders");
        _bid(id, carol, MAX_RATE);
        _is(id, State.Assigned);
    }

    function test_who_may_reject_and_when() external {
        uint64 id = _deploy(0);
        vm.prank(stranger);
        vm.expectRevert(abi.encodeWithSelector(MarketEvents.NotOperator.selector, stranger));
        manager.reject(id, "x");
        vm.prank(bob);
        vm.expectRevert(abi.encodeWithSelector(MarketEvents.ReasonTooLong.selector, 257, 256));
        manager.reject(id, string(new bytes(257)));
        _bid(id, bob, RATE);
        _start(id, bob);
        vm.prank(bob);
        vm.expectRevert(abi.encodeWithSelector(MarketEvents.WrongState.selector, id, State.Running));
        manager.reject(id, "too late");
    }
}
