// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.28;

import {Ownable} from "@openzeppelin/contracts/access/Ownable.sol";
import {DeployParams, State} from "../src/Types.sol";
import {Heartbeats} from "../src/Heartbeats.sol";
import {Manager} from "../src/Manager.sol";
import {NodesEvents} from "../src/NodesEvents.sol";
import {Reputation} from "../src/Reputation.sol";
import {MarketEvents} from "../src/market/MarketEvents.sol";
import {World} from "./Base.sol";

/// What counts as work and as a fault, how both fade, and what score they come to.
contract ReputationTest is World {
    uint256 private constant HALF_LIFE = 90 days;

    function _worked(address node) private view returns (uint256 worked) {
        (worked,,) = reputation.factsOf(node);
    }

    function _faults(address node) private view returns (uint256 faults) {
        (, faults,) = reputation.factsOf(node);
    }

    function _countedUntil(address node) private view returns (uint256 until) {
        (,, until) = reputation.factsOf(node);
    }

    // Figures are rounded down, and a little of them fades within a test.
    function _about(uint256 found, uint256 expected, string memory what) private pure {
        if (found > expected || found + 60 < expected) revert Differs(what, found, expected);
    }

    /// A lease that lasts for years, at a rate of one unit.
    function _longLease(address node) private returns (uint64 id) {
        id = _deploy(0);
        _bid(id, node, 1);
        _start(id, node);
    }

    function _refuses(uint64 id, bytes memory why) private {
        vm.expectRevert(why);
        reputation.count(manager, id);
    }

    function _refusesOld(uint64 id, uint256 paidUntil, uint256 from) private {
        _refuses(id, abi.encodeWithSelector(Reputation.NothingNew.selector, id, paidUntil, from));
    }

    // ---- counting --------------------------------------------------------------------------------

    function test_paid_time_is_counted_once() external {
        uint64 id = _running();
        _pass(1 hours);
        manager.settle(id);
        vm.expectEmit(address(reputation));
        emit Reputation.Counted(address(manager), id, bob, 1 hours);
        vm.prank(stranger);
        eq(reputation.count(manager, id), 1 hours, "gained");
        eq(_worked(bob), 1 hours, "worked");
        eq(_countedUntil(bob), _now(), "until now");
        _refusesOld(id, _now(), _now());
        _pass(100);
        manager.settle(id);
        eq(reputation.count(manager, id), 100, "the rest");
        _about(_worked(bob), 3700, "all");
    }

    function test_what_is_due_and_not_paid_does_not_count() external {
        uint64 id = _running();
        uint256 start = _now();
        _pass(1 hours);
        _refusesOld(id, start, start);
        manager.settle(id);
        _pass(1 hours);
        eq(reputation.count(manager, id), 1 hours, "the paid hour");
    }

    function test_paid_time_is_the_time_itself_whatever_the_rate(uint80 rate, uint16 seconds_) external {
        // Below a unit a second, what is paid tells less than the time.
        rate = uint80(3600 + uint256(rate) % (MAX_RATE - 3600));
        uint64 id = _deploy(0);
        _bid(id, bob, rate);
        _start(id, bob);
        _pass(seconds_);
        manager.settle(id);
        (address node, uint256 from, uint256 until) = manager.paidTime(id);
        eq(node, bob, "node");
        uint256 ends = manager.deployment(id).endsAt;
        eq(until - from, _now() < ends ? seconds_ : ends - from, "paid time");
    }

    function test_leases_that_ended_count_as_far_as_they_were_paid() external {
        uint64 id = _running();
        _pass(30 minutes);
        vm.prank(client);
        manager.stop(id);
        eq(reputation.count(manager, id), 30 minutes, "stopped");
        id = _running();
        _pass(30 hours);
        manager.expire(id);
        eq(reputation.count(manager, id), 20 hours, "expired with its deposit");
        _pass(1 hours);
        _refusesOld(id, _now() - 11 hours, _now() - 11 hours);
    }

    function test_two_leases_at_once_gain_no_more_than_one() external {
        uint64 first = _running();
        uint64 second = _running();
        _pass(1 hours);
        _settleAndCount(first);
        manager.settle(second);
        _refusesOld(second, _now(), _now());
        _pass(10);
        manager.settle(second);
        eq(reputation.count(manager, second), 10, "what the first was not counted for");
    }

    function test_a_node_that_rents_itself_tenfold_gains_no_more() external {
        vm.prank(bob);
        nodes.addStake(10_000 ether);
        uint64[10] memory ids;
        for (uint256 i = 0; i < 10; ++i) {
            ids[i] = _running();
        }
        _pass(1 hours);
        for (uint256 i = 0; i < 10; ++i) {
            manager.settle(ids[i]);
            if (i == 0) reputation.count(manager, ids[0]);
            else _refusesOld(ids[i], _now(), _now());
        }
        eq(_worked(bob), 1 hours, "an hour in an hour");
    }

    function test_what_another_node_takes_over_begins_anew() external {
        uint64 id = _running();
        uint256 start = _now();
        _pass(1 hours);
        _settleAndCount(id);
        _pass(1 hours);
        vm.prank(address(heartbeats));
        manager.evict(id, uint64(_now()));
        _refuses(id, abi.encodeWithSelector(Reputation.NothingPaid.selector, id));
        _bid(id, carol, RATE);
        _refuses(id, abi.encodeWithSelector(Reputation.NothingPaid.selector, id));
        vm.prank(carol);
        manager.ackStart(id, 2);
        _pass(600);
        manager.settle(id);
        eq(reputation.count(manager, id), 600, "hers");
        eq(_worked(carol), 600, "carol");
        _about(_worked(bob), 1 hours, "bob lost what had not been counted");
        eq(_countedUntil(bob), start + 1 hours, "bob");
    }

    function test_what_has_no_paid_time_is_refused() external {
        DeployParams memory params = _params(_publish(0));
        params.payment = 0;
        vm.prank(bob);
        uint64 home = manager.deployHome(params);
        _start(home, bob);
        _pass(1 hours);
        _refuses(home, abi.encodeWithSelector(Reputation.NothingPaid.selector, home));
        uint64 order = _deploy(0);
        _refuses(order, abi.encodeWithSelector(Reputation.NothingPaid.selector, order));
        _bid(order, bob, RATE);
        vm.prank(client);
        manager.stop(order);
        _refuses(order, abi.encodeWithSelector(Reputation.NothingPaid.selector, order));
        _refuses(99, abi.encodeWithSelector(MarketEvents.UnknownDeployment.selector, 99));
        Manager other = new Manager(nodes, ACK_TIMEOUT, NOTICE, LOCK_HOURS, 2);
        vm.expectRevert(abi.encodeWithSelector(Reputation.NotManager.selector, address(other)));
        reputation.count(other, 1);
    }

    function test_a_lease_whose_pay_was_lost_to_silence_has_none() external {
        uint64 id = _running();
        _pass(20 hours);
        manager.settle(id);
        heartbeats.slashMissed(manager, id, uint40(_now() / PERIOD) - 1);
        _is(id, State.Expired);
        uint256 start = _now() - 20 hours;
        _refusesOld(id, start, start);
    }

    function test_time_counts_as_far_back_as_a_stake_takes_to_leave() external {
        uint64 id = _longLease(bob);
        _pass(20 days);
        manager.settle(id);
        eq(reputation.count(manager, id), UNBONDING, "the last fourteen days");
        vm.prank(client);
        manager.stop(id);
        uint256 until = _now();
        id = _longLease(carol);
        _pass(1 hours);
        vm.prank(client);
        manager.stop(id);
        _pass(UNBONDING);
        _refusesOld(id, until + 1 hours, until + 1 hours);
    }

    function test_time_counts_for_a_node_that_has_the_least_stake() external {
        uint64 id = _longLease(bob);
        _pass(1 hours);
        manager.settle(id);
        vm.prank(bob);
        nodes.requestUnbond(1);
        _refuses(id, abi.encodeWithSelector(Reputation.StakeTooLow.selector, STAKE - 1, STAKE));
        vm.startPrank(bob);
        nodes.addStake(1);
        nodes.pauseNode();
        vm.stopPrank();
        eq(reputation.count(manager, id), 1 hours, "even one that takes no new leases");
    }

    function test_nothing_gains_more_than_the_time_that_passed(uint256[32] memory rolls) external {
        uint256 joined = nodes.node(bob).registeredAt;
        uint64[] memory ids = new uint64[](rolls.length);
        uint256 count;
        for (uint256 i = 0; i < rolls.length; ++i) {
            uint256 roll = rolls[i];
            if (count == 0 || roll % 4 == 0) {
                ids[count++] = _longLease(bob);
                continue;
            }
            uint64 id = ids[(roll >> 8) % count];
            if (roll % 4 == 1) _pass((roll >> 32) % 3 days);
            bool runs = _state(id) == State.Running;
            if (roll % 4 == 2 && runs) manager.settle(id);
            if (roll % 16 == 3 && runs) {
                vm.prank(client);
                manager.stop(id);
            }
            try reputation.count(manager, id) {} catch {}
            yes(_worked(bob) <= _now() - joined, "no more than the time since it joined");
            yes(_countedUntil(bob) <= _now(), "not ahead of time");
        }
    }

    // ---- faults ----------------------------------------------------------------------------------

    function test_a_period_of_silence_is_one_fault_whatever_was_lost_in_it() external {
        uint64 first = _running();
        uint64 second = _running();
        vm.prank(bob);
        nodes.addStake(1000 ether);
        uint40 period = uint40(_now() / PERIOD);
        _pass(PERIOD);
        vm.expectEmit(address(reputation));
        emit Reputation.Faulted(bob, 3 days);
        heartbeats.slashMissed(manager, first, period);
        eq(_faults(bob), 3 days, "the slash is the same fault");
        heartbeats.slashMissed(manager, second, period);
        eq(_faults(bob), 3 days, "and so is the other lease");
        uint64 third = _running();
        _pass(PERIOD);
        heartbeats.slashMissed(manager, third, period + 1);
        _about(_faults(bob), 6 days, "the next period is another");
    }

    function test_a_paused_node_that_lost_a_lease_is_at_fault() external {
        uint64 id = _running();
        vm.prank(bob);
        nodes.pauseNode();
        _pass(PERIOD);
        heartbeats.slashMissed(manager, id, uint40(_now() / PERIOD) - 1);
        eq(_faults(bob), 3 days, "though it was not slashed");
    }

    function test_a_slash_for_anything_else_is_a_fault_of_its_own() external {
        vm.prank(address(heartbeats));
        vm.expectEmit(address(reputation));
        emit Reputation.Faulted(bob, 10 days);
        nodes.slash(bob, 1, 1 ether, "forged", stranger, client, 0);
        eq(_faults(bob), 10 days, "faults");
        eq(_faults(carol), 0, "nobody else's");
        eq(_countedUntil(bob), 0, "nothing was counted");
    }

    function test_the_same_period_of_another_slasher_is_another() external {
        vm.startPrank(address(heartbeats));
        reputation.missed(bob, 7);
        reputation.missed(bob, 7);
        vm.stopPrank();
        eq(_faults(bob), 3 days, "once");
        nodes.setSlasher(stranger);
        vm.prank(stranger);
        reputation.missed(bob, 7);
        eq(_faults(bob), 6 days, "its periods have other lengths");
    }

    function test_only_the_slasher_and_nodes_tell_of_faults() external {
        vm.expectRevert(abi.encodeWithSelector(Reputation.NotSlasher.selector, address(this)));
        reputation.missed(bob, 1);
        vm.expectRevert(abi.encodeWithSelector(Reputation.NotNodes.selector, address(heartbeats)));
        vm.prank(address(heartbeats));
        reputation.slashed(bob);
    }

    function test_without_a_reputation_silence_and_slashes_go_on() external {
        nodes.setReputation(address(0));
        uint64 id = _running();
        vm.prank(address(heartbeats));
        nodes.slash(bob, id, 1 ether, "forged", stranger, client, 0);
        _pass(PERIOD);
        heartbeats.slashMissed(manager, id, uint40(_now() / PERIOD) - 1);
        _is(id, State.Open);
        eq(_faults(bob), 0, "nobody was told");
    }

    function test_the_owner_of_nodes_names_the_reputation() external {
        vm.expectEmit(address(nodes));
        emit NodesEvents.ReputationChanged(stranger);
        nodes.setReputation(stranger);
        eq(nodes.reputation(), stranger, "named");
        vm.prank(bob);
        vm.expectRevert(abi.encodeWithSelector(Ownable.OwnableUnauthorizedAccount.selector, bob));
        nodes.setReputation(bob);
    }

    // ---- fading ----------------------------------------------------------------------------------

    function test_half_is_left_after_ninety_days() external {
        _knownFor(bob, 64 days, 32 days);
        for (uint256 i = 1; i < 8; ++i) {
            _pass(HALF_LIFE);
            (uint256 worked, uint256 faults,) = reputation.factsOf(bob);
            eq(worked, uint256(64 days) >> i, "worked");
            eq(faults, uint256(32 days) >> i, "faults");
        }
        _pass(1000 * HALF_LIFE);
        yes(_worked(bob) == 0 && _faults(bob) == 0, "nothing in the end");
    }

    function test_figures_fade_steadily(uint32 worked, uint32 first, uint32 second) external {
        _knownFor(bob, worked, 0);
        uint256 before = _worked(bob);
        eq(before, worked, "whole at first");
        _pass(first);
        uint256 then = _worked(bob);
        yes(then <= before, "never more");
        _pass(1);
        // No jump: a second takes at most what a second of the shortest half-life would.
        yes(then - _worked(bob) <= uint256(worked) / HALF_LIFE + 1, "no jump");
        then = _worked(bob);
        _pass(second);
        yes(_worked(bob) <= then, "never more");
    }

    function test_figures_fade_alike_however_often_they_are_written(uint32 worked, uint24[8] memory steps) external {
        _knownFor(bob, worked, 0);
        _knownFor(carol, worked, 0);
        for (uint256 i = 0; i < steps.length; ++i) {
            _pass(steps[i]);
            vm.prank(address(heartbeats));
            reputation.missed(bob, uint40(i));
        }
        uint256 once = _worked(carol);
        uint256 often = _worked(bob);
        yes(often <= once && once - often <= 1, "but for the rounding");
    }

    // ---- the score -------------------------------------------------------------------------------

    function _scores(uint256 worked, uint256 faults, uint256 score) private {
        _knownFor(bob, worked, faults);
        eq(reputation.scoreOf(bob), score, "score");
        yes(reputation.isNewcomer(bob) == (score < 2500), "newcomer");
    }

    function test_a_score_is_the_good_part_of_a_nodes_time() external {
        eq(reputation.scoreOf(bob), 0, "nobody knows it");
        yes(reputation.isNewcomer(bob), "a newcomer");
        _scores(10 days - 1, 0, 2499);
        _scores(10 days, 0, 2500);
        _scores(10 days, 1, 2499);
        _scores(30 days, 0, 5000);
        _scores(30 days, 60 days, 2500);
        _scores(130 days, 3 days, 7975);
    }

    function test_no_score_is_perfect(uint64 worked, uint64 faults) external {
        _knownFor(bob, worked >> 16, faults >> 16);
        yes(reputation.scoreOf(bob) < 10_000 || worked >> 16 > 300_000 days, "below");
        yes(reputation.scoreOf(bob) <= 10_000, "never above");
        uint256 score = reputation.scoreOf(bob);
        _knownFor(bob, worked >> 16, (faults >> 16) / 2);
        yes(reputation.scoreOf(bob) >= score, "fewer faults are no worse");
    }

    function test_figures_stop_at_what_their_place_holds() external {
        _knownFor(bob, type(uint48).max, type(uint48).max);
        vm.prank(address(heartbeats));
        reputation.missed(bob, 1);
        eq(_faults(bob), type(uint48).max, "full");
        eq(_worked(bob), type(uint48).max, "untouched");
    }

    function test_a_node_is_established_by_work_of_its_own() external {
        uint64 id = _longLease(bob);
        for (uint256 i = 0; i < 11; ++i) {
            yes(reputation.isNewcomer(bob), "not yet");
            _pass(1 days);
            _settleAndCount(id);
        }
        yes(!reputation.isNewcomer(bob), "eleven days, of which a little has faded");
        _pass(HALF_LIFE);
        yes(reputation.isNewcomer(bob), "until that is long ago");
    }

    function test_a_heartbeat_that_was_missed_costs_a_node_its_standing() external {
        _knownFor(bob, 10 days, 0);
        uint64 id = _running();
        Heartbeats watch = heartbeats;
        _pass(PERIOD);
        watch.slashMissed(manager, id, uint40(_now() / PERIOD) - 1);
        yes(reputation.isNewcomer(bob), "a newcomer again");
    }
}
