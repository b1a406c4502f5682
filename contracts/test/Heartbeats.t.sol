// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.28;

import {DeployParams, State} from "../src/Types.sol";
import {Escrow} from "../src/Escrow.sol";
import {Heartbeats} from "../src/Heartbeats.sol";
import {Manager} from "../src/Manager.sol";
import {MarketEvents} from "../src/market/MarketEvents.sol";
import {Views} from "../src/market/Views.sol";
import {World} from "./Base.sol";

/// Beating, what is remembered of it, and when silence is no proof. What a proof comes to is in Silence.t.sol.
contract HeartbeatsTest is World {
    uint40 private constant HISTORY = 216;

    function _nowPeriod() private view returns (uint40) {
        return uint40(_now() / PERIOD);
    }

    function _skip(uint256 periods) private {
        _pass(periods * PERIOD);
    }

    function _refuses(uint64 id, uint40 period, bytes memory why) private {
        vm.expectRevert(why);
        heartbeats.slashMissed(manager, id, period);
    }

    function _notWatched(uint64 id) private {
        _refuses(id, _nowPeriod() - 1, abi.encodeWithSelector(Heartbeats.NotWatched.selector, id));
    }

    // ---- beating ---------------------------------------------------------------------------------

    function test_a_heartbeat_counts_for_its_node_and_its_period_alone() external {
        uint40 period = _nowPeriod();
        eq(heartbeats.lastOf(bob), 0, "never");
        yes(!heartbeats.hasBeaten(bob, period), "not yet");
        vm.expectEmit(address(heartbeats));
        emit Heartbeats.Heartbeat(bob, period, "root");
        _beat(bob);
        eq(heartbeats.lastOf(bob), period, "last");
        yes(heartbeats.hasBeaten(bob, period), "beaten");
        yes(!heartbeats.hasBeaten(bob, period - 1), "not before");
        yes(!heartbeats.hasBeaten(bob, period + 1), "not after");
        yes(!heartbeats.hasBeaten(carol, period), "nobody else");
    }

    function test_a_node_beats_once_in_a_period() external {
        uint40 period = _nowPeriod();
        _beat(bob);
        _pass(PERIOD - 1);
        vm.expectRevert(abi.encodeWithSelector(Heartbeats.AlreadyBeaten.selector, bob, period));
        vm.prank(bob);
        heartbeats.heartbeat(0);
        _pass(1);
        _beat(bob);
        eq(heartbeats.lastOf(bob), period + 1, "the next period");
    }

    // The period of the first heartbeat, as the second one leaves it.
    function _afterGap(uint40 gap) private returns (uint40 first) {
        first = _nowPeriod();
        _beat(bob);
        _skip(gap);
        _beat(bob);
        yes(heartbeats.hasBeaten(bob, first + gap), "the second");
        if (gap > 1) yes(!heartbeats.hasBeaten(bob, first + gap - 1), "none between");
    }

    function test_a_heartbeat_is_remembered_over_short_and_long_gaps() external {
        yes(heartbeats.hasBeaten(bob, _afterGap(1)), "one period");
        _skip(HISTORY);
        yes(heartbeats.hasBeaten(bob, _afterGap(HISTORY - 1)), "as far as memory goes");
    }

    function test_a_heartbeat_is_forgotten_beyond_its_history() external {
        for (uint40 gap = HISTORY; gap < HISTORY + 2; ++gap) {
            uint40 first = _afterGap(gap);
            uint40 oldest = first + gap - HISTORY + 1;
            yes(!heartbeats.hasBeaten(bob, oldest), "the oldest that is remembered");
            vm.expectRevert(abi.encodeWithSelector(Heartbeats.Forgotten.selector, first, oldest));
            heartbeats.hasBeaten(bob, first);
            _skip(HISTORY);
        }
    }

    function test_the_history_is_what_a_list_of_all_heartbeats_says(uint8[16] memory gaps) external {
        uint40 first = _nowPeriod();
        bool[] memory beaten = new bool[](16 * 64);
        uint40 last;
        for (uint256 i = 0; i < gaps.length; ++i) {
            _beat(bob);
            last = _nowPeriod();
            beaten[last - first] = true;
            _skip(1 + gaps[i] % 60);
        }
        for (uint40 back = 0; back < HISTORY && back <= last - first; ++back) {
            yes(heartbeats.hasBeaten(bob, last - back) == beaten[last - back - first], "as the list says");
        }
    }

    function test_a_period_has_a_least_length() external {
        vm.expectRevert(abi.encodeWithSelector(Heartbeats.PeriodTooShort.selector, 3, 4));
        new Heartbeats(nodes, 3);
        eq(new Heartbeats(nodes, 4).period(), 4, "the shortest");
    }

    function test_nodes_are_listened_for_from_the_period_after_the_contract_was_made() external {
        uint40 period = _nowPeriod();
        eq(heartbeats.firstPeriod(), period, "made a second before the period");
        eq(new Heartbeats(nodes, PERIOD).firstPeriod(), period + 1, "at its first second");
        _pass(PERIOD - 1);
        eq(new Heartbeats(nodes, PERIOD).firstPeriod(), period + 1, "at its last");
        eq(new Heartbeats(nodes, type(uint32).max).firstPeriod(), 1, "before any that is over");
    }

    // ---- no proof --------------------------------------------------------------------------------

    function test_a_proof_needs_a_lease_of_a_manager_that_nodes_knows() external {
        uint64 id = _running();
        Manager other = new Manager(nodes, ACK_TIMEOUT, NOTICE, LOCK_HOURS, 2);
        vm.expectRevert(abi.encodeWithSelector(Heartbeats.NotManager.selector, address(other)));
        heartbeats.slashMissed(other, id, _nowPeriod());
        _refuses(id + 1, _nowPeriod(), abi.encodeWithSelector(MarketEvents.UnknownDeployment.selector, id + 1));
    }

    function test_nobody_is_watched_before_a_lease_runs_and_after() external {
        uint64 id = _deploy(0);
        _skip(1);
        _notWatched(id);
        _bid(id, bob, RATE);
        _skip(1);
        _notWatched(id);
        _start(id, bob);
        _skip(1);
        vm.prank(client);
        manager.stop(id);
        _notWatched(id);
    }

    function test_a_home_is_not_watched() external {
        DeployParams memory params = _params(_publish(0));
        params.payment = 0;
        vm.prank(bob);
        uint64 id = manager.deployHome(params);
        _start(id, bob);
        _skip(1);
        _notWatched(id);
    }

    function test_a_resting_agent_is_not_watched() external {
        uint64 id = _running();
        vm.prank(client);
        manager.pause(id);
        _skip(1);
        _notWatched(id);
        vm.prank(client);
        manager.resume(id);
        heartbeats.slashMissed(manager, id, _nowPeriod() - 1);
    }

    function test_the_period_in_which_a_lease_starts_late_is_no_proof() external {
        _pass(1);
        uint64 id = _running();
        (uint256 start, uint40 period) = (_now(), _nowPeriod());
        _skip(1);
        _refuses(id, period, abi.encodeWithSelector(Heartbeats.NotWhole.selector, id, period, start));
        _skip(1);
        heartbeats.slashMissed(manager, id, period + 1);
    }

    function test_the_period_in_which_the_deposit_ends_is_no_proof() external {
        _pass(PERIOD - 1);
        uint64 id = _running();
        uint256 ends = manager.deployment(id).endsAt;
        _pass(20 hours);
        uint40 period = uint40(ends / PERIOD);
        _refuses(id, period, abi.encodeWithSelector(Heartbeats.NotWhole.selector, id, period, ends));
        heartbeats.slashMissed(manager, id, period - 1);
    }

    function test_a_period_that_ends_with_the_deposit_is_a_proof() external {
        uint64 id = _running();
        uint40 period = uint40(manager.deployment(id).endsAt / PERIOD);
        eq(manager.deployment(id).endsAt % PERIOD, 0, "on the border");
        _pass(20 hours);
        heartbeats.slashMissed(manager, id, period - 1);
    }

    function test_nothing_is_provable_once_the_period_in_which_the_deposit_ended_is_over() external {
        uint64 id = _running();
        uint256 ends = manager.deployment(id).endsAt;
        uint40 period = uint40(ends / PERIOD);
        _pass(20 hours + PERIOD);
        _refuses(id, period - 1, abi.encodeWithSelector(Heartbeats.Forgotten.selector, period - 1, period));
        _refuses(id, period, abi.encodeWithSelector(Heartbeats.NotWhole.selector, id, period, ends));
    }

    function test_a_node_has_three_quarters_of_a_period() external {
        uint64 id = _running();
        (uint40 period, uint256 until) = (_nowPeriod(), _now() + 450);
        _pass(449);
        _refuses(id, period, abi.encodeWithSelector(Heartbeats.StillTime.selector, period, until));
        _pass(1);
        heartbeats.slashMissed(manager, id, period);
        _is(id, State.Open);
    }

    function test_a_beaten_period_is_no_proof() external {
        uint64 id = _running();
        uint40 period = _nowPeriod();
        _beat(bob);
        _skip(1);
        bytes memory why = abi.encodeWithSelector(Heartbeats.AlreadyBeaten.selector, bob, period);
        _refuses(id, period, why);
        // Nor after a later one.
        _beat(bob);
        _refuses(id, period, why);
    }

    function test_a_silence_is_provable_until_the_next_period_is_over() external {
        uint64 id = _running();
        uint40 period = _nowPeriod();
        _pass(2 * PERIOD - 1);
        heartbeats.slashMissed(manager, id, period);
        _is(id, State.Open);
    }

    function test_a_silence_is_no_proof_two_periods_later() external {
        uint64 id = _running();
        uint40 period = _nowPeriod();
        _skip(2);
        _refuses(id, period, abi.encodeWithSelector(Heartbeats.Forgotten.selector, period, period + 1));
        // Nor is one of long ago, nor one before the lease.
        _skip(HISTORY);
        uint40 oldest = period + HISTORY + 1;
        _refuses(id, period, abi.encodeWithSelector(Heartbeats.Forgotten.selector, period, oldest));
        _refuses(id, 0, abi.encodeWithSelector(Heartbeats.Forgotten.selector, 0, oldest));
    }

    function test_a_period_before_the_first_is_no_proof() external {
        uint64 id = _running();
        _skip(3);
        heartbeats = new Heartbeats(nodes, PERIOD);
        nodes.setSlasher(address(heartbeats));
        (uint40 period, uint40 first) = (_nowPeriod(), heartbeats.firstPeriod());
        eq(first, period + 1, "the next");
        // Neither this one nor the one before, at its end and in the first.
        _pass(PERIOD - 1);
        _refuses(id, period, abi.encodeWithSelector(Heartbeats.Forgotten.selector, period, first));
        _refuses(id, period - 1, abi.encodeWithSelector(Heartbeats.Forgotten.selector, period - 1, first));
        _pass(450);
        _refuses(id, period, abi.encodeWithSelector(Heartbeats.Forgotten.selector, period, first));
        uint256 until = uint256(first) * PERIOD + 450;
        _refuses(id, first, abi.encodeWithSelector(Heartbeats.StillTime.selector, first, until));
        _pass(1);
        heartbeats.slashMissed(manager, id, first);
        _is(id, State.Open);
    }

    function test_nothing_is_provable_before_the_very_first_period() external {
        uint64 id = _running();
        heartbeats = new Heartbeats(nodes, type(uint32).max);
        _refuses(id, 0, abi.encodeWithSelector(Heartbeats.Forgotten.selector, 0, 1));
    }

    // ---- doors that are the slasher's and the Manager's --------------------------------------------

    function test_only_the_slasher_evicts() external {
        uint64 id = _running();
        vm.expectRevert(abi.encodeWithSelector(MarketEvents.NotSlasher.selector, address(this)));
        manager.evict(id, 0);
        nodes.setSlasher(address(0));
        _skip(1);
        _refuses(id, _nowPeriod() - 1, abi.encodeWithSelector(MarketEvents.NotSlasher.selector, address(heartbeats)));
    }

    function test_only_a_paid_lease_that_runs_is_evicted() external {
        uint64 id = _deploy(0);
        DeployParams memory params = _params(1);
        params.payment = 0;
        vm.prank(bob);
        uint64 home = manager.deployHome(params);
        _start(home, bob);
        vm.startPrank(address(heartbeats));
        vm.expectRevert(abi.encodeWithSelector(MarketEvents.WrongState.selector, id, State.Open));
        manager.evict(id, 0);
        vm.expectRevert(abi.encodeWithSelector(MarketEvents.HomeLease.selector, home));
        manager.evict(home, 0);
        vm.expectRevert(abi.encodeWithSelector(MarketEvents.UnknownDeployment.selector, 99));
        manager.evict(99, 0);
        vm.stopPrank();
    }

    function test_only_the_manager_counts_a_line_anew() external {
        vm.expectRevert(abi.encodeWithSelector(Escrow.NotManager.selector, address(this)));
        escrow.rebase(1, bob, 1);
    }

    function test_the_views_know_nothing_by_themselves() external {
        uint64 id = _running();
        Views views = new Views();
        vm.expectRevert(abi.encodeWithSelector(MarketEvents.UnknownDeployment.selector, id));
        views.deployment(id);
    }
}
