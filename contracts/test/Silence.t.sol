// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.28;

import {Deployment, State} from "../src/Types.sol";
import {Heartbeats} from "../src/Heartbeats.sol";
import {MarketEvents} from "../src/market/MarketEvents.sol";
import {World} from "./Base.sol";

/// What a node's silence comes to once it is proven: for its money and stake, for the owner, and for the order.
contract SilenceTest is World {
    address private constant finder = address(0xF14D);

    uint64 private _id;
    /// The period that began when the lease started.
    uint40 private _first;

    function setUp() public override {
        super.setUp();
        _id = _running();
        _first = uint40(_now() / PERIOD);
    }

    function _rent(uint256 seconds_) private pure returns (uint256) {
        return uint256(RATE) * seconds_ / 1 hours;
    }

    function _prove(uint40 period) private {
        vm.prank(finder);
        heartbeats.slashMissed(manager, _id, period);
    }

    /// The node shows life in the period that begins now, `periods` times.
    function _beats(address node, uint256 periods) private {
        for (uint256 i = 0; i < periods; ++i) {
            _beat(node);
            _pass(PERIOD);
        }
    }

    function _isSplit(uint256 amount, uint256 toOwner) private view {
        eq(nodes.claimable(finder), amount / 10, "finder");
        eq(nodes.claimable(client), toOwner, "owner");
        eq(nodes.claimable(treasury), amount - amount / 10 - toOwner, "treasury");
    }

    // ---- until when it is paid -------------------------------------------------------------------

    function test_a_node_that_never_beat_is_paid_for_nothing() external {
        _pass(10 * PERIOD);
        _prove(_first + 9);
        eq(escrow.earned(bob), 0, "from the very first period");
    }

    function test_a_node_is_paid_until_the_first_whole_period_of_its_silence() external {
        vm.prank(client);
        manager.stop(_id);
        _pass(100);
        _id = _running();
        _pass(10 * PERIOD);
        _prove(_first + 9);
        eq(escrow.earned(bob), _rent(500), "what is left of the period in which it started");
    }

    function test_a_node_is_paid_until_it_fell_silent_whichever_period_is_named() external {
        _beats(bob, 3);
        _pass(5 * PERIOD);
        _prove(_first + 7);
        eq(escrow.earned(bob), _rent(3 * PERIOD), "three periods");
        eq(manager.deployment(_id).deposited, PAYMENT - _rent(3 * PERIOD), "the rest stays in the line");
    }

    function test_a_node_is_paid_until_it_fell_silent_when_this_period_is_named() external {
        _beats(bob, 3);
        _pass(5 * PERIOD + 450);
        _prove(_first + 8);
        eq(escrow.earned(bob), _rent(3 * PERIOD), "three periods");
    }

    function test_a_node_that_came_back_is_paid_until_the_period_that_is_named() external {
        _beats(bob, 2);
        _pass(2 * PERIOD);
        _beat(bob);
        _prove(_first + 3);
        eq(escrow.earned(bob), _rent(3 * PERIOD), "not for what it served since");
    }

    function test_what_was_settled_stays_settled_and_is_paid_once() external {
        _beats(bob, 2);
        manager.settle(_id);
        _pass(2 * PERIOD);
        _prove(_first + 3);
        eq(escrow.earned(bob), _rent(2 * PERIOD), "no more than before");
        eq(nodes.claimable(client), _rent(PERIOD), "nothing was settled beyond");
    }

    // ---- under a contract that was made later -------------------------------------------------------

    /// Another contract, made in the tenth period of the lease, in which the node had shown life in four.
    function _watchAnew() private {
        _beats(bob, 4);
        _pass(5 * PERIOD + 100);
        heartbeats = new Heartbeats(nodes, PERIOD);
        nodes.setSlasher(address(heartbeats));
        eq(heartbeats.firstPeriod(), _first + 10, "from the eleventh on");
    }

    function test_a_lease_from_before_the_contract_is_paid_until_the_first_period() external {
        _watchAnew();
        _pass(4 * PERIOD);
        _prove(_first + 12);
        eq(escrow.earned(bob), _rent(10 * PERIOD), "ten periods in which nobody listened");
        eq(manager.deployment(_id).deposited, PAYMENT - _rent(10 * PERIOD), "the rest stays in the line");
        _isSplit(RATE, _rent(PERIOD));
    }

    function test_what_was_settled_before_the_first_period_is_not_claimed() external {
        _watchAnew();
        _pass(2 * PERIOD);
        manager.settle(_id);
        _prove(_first + 10);
        eq(escrow.earned(bob), _rent(11 * PERIOD + 100), "settled stays settled");
        _isSplit(RATE, _rent(PERIOD) + _rent(11 * PERIOD + 100) - _rent(10 * PERIOD));
    }

    function test_a_heartbeat_before_the_first_period_makes_no_difference() external {
        _watchAnew();
        _beat(bob);
        _pass(4 * PERIOD);
        _prove(_first + 12);
        eq(escrow.earned(bob), _rent(10 * PERIOD), "until the first period");
    }

    function test_a_heartbeat_in_the_first_period_is_paid() external {
        _watchAnew();
        _pass(PERIOD);
        _beat(bob);
        _pass(3 * PERIOD);
        _prove(_first + 12);
        eq(escrow.earned(bob), _rent(11 * PERIOD), "the first period too");
    }

    function test_a_lease_that_begins_after_the_first_period_is_paid_from_its_own_start() external {
        _watchAnew();
        vm.prank(client);
        manager.stop(_id);
        _pass(3 * PERIOD);
        uint256 before = escrow.earned(bob);
        _id = _running();
        _pass(3 * PERIOD);
        _prove(_first + 14);
        eq(escrow.earned(bob) - before, _rent(500), "what is left of the period in which it started");
    }

    function test_a_contract_that_is_no_slasher_any_more_takes_no_lease() external {
        Heartbeats former = heartbeats;
        _watchAnew();
        vm.expectRevert(abi.encodeWithSelector(MarketEvents.NotSlasher.selector, address(former)));
        former.slashMissed(manager, _id, _first + 8);
    }

    // ---- what it loses ---------------------------------------------------------------------------

    function test_a_silent_node_loses_an_hour_of_the_rate() external {
        _pass(PERIOD);
        vm.expectEmit(address(heartbeats));
        emit Heartbeats.Missed(address(manager), _id, bob, _first, finder, RATE);
        _prove(_first);
        eq(nodes.node(bob).stake, STAKE - RATE, "stake");
        eq(nodes.node(bob).locked, 0, "the rest is free");
        _isSplit(RATE, _rent(PERIOD));
    }

    function test_what_was_settled_for_the_silence_is_claimed_for_the_owner() external {
        _beats(bob, 1);
        _pass(2 * PERIOD);
        manager.settle(_id);
        _prove(_first + 2);
        eq(escrow.earned(bob), _rent(3 * PERIOD), "the node keeps it");
        _isSplit(RATE, _rent(PERIOD) + _rent(3 * PERIOD) - _rent(PERIOD));
    }

    function test_the_owner_receives_no_more_than_the_finder_leaves() external {
        _pass(10 hours);
        manager.settle(_id);
        _prove(_first + 59);
        _isSplit(RATE, RATE - RATE / 10);
    }

    function test_a_drained_node_loses_the_lease_and_not_the_stake() external {
        vm.prank(bob);
        nodes.pauseNode();
        _pass(PERIOD);
        vm.expectEmit(address(heartbeats));
        emit Heartbeats.Missed(address(manager), _id, bob, _first, finder, 0);
        _prove(_first);
        _is(_id, State.Open);
        eq(nodes.node(bob).stake, STAKE, "stake");
        _isSplit(0, 0);
    }

    function test_a_node_loses_no_more_than_it_has() external {
        vm.prank(bob);
        nodes.requestUnbond(1000 ether);
        vm.prank(address(heartbeats));
        nodes.slash(bob, _id, STAKE - 10 ether, "down", stranger, client, 0);
        uint256 before = nodes.claimable(treasury);
        _pass(PERIOD);
        _prove(_first);
        eq(nodes.node(bob).unbonding, 0, "what unbonds goes too");
        eq(nodes.claimable(finder), 1 ether, "finder");
        eq(nodes.claimable(client), _rent(PERIOD), "owner");
        eq(nodes.claimable(treasury) - before, 9 ether - _rent(PERIOD), "treasury");
    }

    function test_a_node_without_a_stake_loses_the_lease() external {
        vm.prank(address(heartbeats));
        nodes.slash(bob, _id, STAKE, "down", stranger, client, 0);
        _pass(PERIOD);
        _prove(_first);
        _is(_id, State.Open);
        eq(nodes.claimable(finder), 0, "nothing to share");
    }

    // ---- the order -------------------------------------------------------------------------------

    // So that it may bid again after a slash.
    function _hasMoreThanTheLeastStake() private {
        vm.prank(bob);
        nodes.addStake(1000 ether);
    }

    function test_the_order_is_open_again_with_the_deposit_that_is_left() external {
        _beats(bob, 1);
        _pass(PERIOD);
        vm.expectEmit(address(manager));
        emit MarketEvents.Settled(_id, bob, _rent(PERIOD));
        _prove(_first + 1);
        Deployment memory d = manager.deployment(_id);
        eq(uint256(d.state), uint256(State.Open), "state");
        eq(d.node, address(0), "no node");
        eq(d.maxRate, MAX_RATE, "the order's limit");
        eq(d.rate, 0, "no bid");
        eq(d.deadline, _now(), "its window");
        eq(d.deposited, PAYMENT - _rent(PERIOD), "what is left");
        yes(d.paid == 0 && d.due == 0 && d.startedAt == 0 && d.endsAt == 0, "no money runs");
        eq(manager.openOrders(AGENT), 1, "listed");
        eq(manager.activeNode(_id), address(0), "nobody runs it");
    }

    function test_another_node_goes_on_and_the_money_adds_up_to_the_end() external {
        _beats(bob, 1);
        _pass(PERIOD);
        _prove(_first + 1);
        _bid(_id, carol, MAX_RATE);
        vm.prank(carol);
        vm.expectRevert(abi.encodeWithSelector(MarketEvents.StaleIncarnation.selector, _id, 1, 1));
        manager.ackStart(_id, 1);
        vm.prank(carol);
        manager.ackStart(_id, 2);
        eq(manager.deployment(_id).incarnation, 2, "incarnation");
        eq(manager.deployment(_id).startedAt, _now(), "money runs from the second start");
        _pass(1 hours);
        eq(manager.settle(_id), MAX_RATE, "an hour at the second rate");
        _pass(20 hours);
        manager.expire(_id);
        eq(escrow.earned(bob), _rent(PERIOD), "the first node");
        eq(escrow.earned(carol), PAYMENT - _rent(PERIOD), "the second");
        vm.prank(bob);
        escrow.withdraw(bob);
        vm.prank(carol);
        escrow.withdraw(carol);
        eq(token.balanceOf(address(escrow)), 0, "escrow is empty");
        eq(nodes.node(carol).locked, 0, "stake free");
    }

    function test_a_lease_with_nothing_left_expires() external {
        _pass(20 hours);
        manager.settle(_id);
        _prove(_first + 119);
        Deployment memory d = manager.deployment(_id);
        eq(uint256(d.state), uint256(State.Expired), "state");
        yes(d.deposited == 0 && d.paid == 0, "an empty line");
        eq(manager.openOrders(AGENT), 0, "not listed");
        eq(nodes.node(bob).locked, 0, "stake free");
        eq(nodes.node(bob).stake, STAKE - RATE, "slashed all the same");
        eq(escrow.earned(bob), PAYMENT, "settled stays settled");
    }

    function test_the_third_loss_bars_the_node_from_the_order() external {
        _hasMoreThanTheLeastStake();
        for (uint32 i = 1; i <= 3; ++i) {
            yes(!manager.isBarred(_id, bob), "not yet");
            _pass(PERIOD);
            _prove(uint40(_now() / PERIOD) - 1);
            if (i == 3) break;
            _bid(_id, bob, RATE);
            vm.prank(bob);
            manager.ackStart(_id, i + 1);
        }
        vm.prank(bob);
        vm.expectRevert(abi.encodeWithSelector(MarketEvents.Barred.selector, _id, bob));
        manager.bid(_id, RATE);
        _bid(_id, carol, RATE);
    }

    function test_missed_acks_and_silence_are_counted_together() external {
        _hasMoreThanTheLeastStake();
        _pass(PERIOD);
        _prove(_first);
        for (uint256 i = 0; i < 2; ++i) {
            yes(!manager.isBarred(_id, bob), "not yet");
            _bid(_id, bob, RATE);
            _pass(ACK_TIMEOUT + 1);
            manager.reopen(_id);
        }
        yes(manager.isBarred(_id, bob), "barred");
    }

    // ---- what the owner had asked ----------------------------------------------------------------

    function _askForUpdate() private returns (uint64 next, uint32 revision) {
        next = _publish(client, AGENT_NEXT, _raw(ARTIFACT), 300);
        vm.prank(client);
        revision = manager.update(_id, next, 0, "");
    }

    function test_a_pending_update_is_forgotten() external {
        (, uint32 revision) = _askForUpdate();
        _pass(PERIOD);
        _prove(_first);
        eq(manager.deployment(_id).updatePublication, 0, "none is pending");
        _bid(_id, carol, RATE);
        vm.startPrank(carol);
        manager.ackStart(_id, 2);
        vm.expectRevert(abi.encodeWithSelector(MarketEvents.NoUpdate.selector, _id, revision));
        manager.ackUpdate(_id, revision, 3);
        vm.stopPrank();
    }

    function test_an_acknowledged_update_stays_with_the_order() external {
        (uint64 next, uint32 revision) = _askForUpdate();
        vm.prank(bob);
        manager.ackUpdate(_id, revision, 2);
        _pass(PERIOD);
        _prove(_first);
        eq(manager.deployment(_id).publication, next, "publication");
        eq(manager.deployment(_id).deadline, _now() + 300, "its window");
        eq(manager.openOrders(AGENT), 0, "not under its former id");
        eq(manager.openOrders(AGENT_NEXT), 1, "under its new one");
    }

    function test_the_next_node_does_not_find_the_agent_resting() external {
        vm.prank(client);
        manager.pause(_id);
        vm.prank(address(heartbeats));
        manager.evict(_id, uint64(_now()));
        yes(!manager.deployment(_id).paused, "not resting");
    }

    function test_an_announced_withdrawal_outlives_the_lease() external {
        vm.startPrank(client);
        manager.requestClientWithdraw(_id, 100 ether);
        _pass(NOTICE);
        vm.stopPrank();
        _prove(_first + 5);
        vm.prank(client);
        manager.clientWithdraw(_id);
        eq(manager.deployment(_id).deposited, PAYMENT - 100 ether, "taken from what is left");
    }

    function test_a_stop_while_reopened_refunds_all_that_is_left() external {
        _beats(bob, 1);
        _pass(PERIOD);
        _prove(_first + 1);
        uint256 before = token.balanceOf(client);
        vm.prank(client);
        manager.stop(_id);
        eq(token.balanceOf(client) - before, PAYMENT - _rent(PERIOD), "refund");
        eq(manager.deployment(_id).startedAt, 0, "it did not run again");
        eq(manager.openOrders(AGENT), 0, "not listed");
    }
}
