// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.28;

import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";
import {Ownable} from "@openzeppelin/contracts/access/Ownable.sol";
import {Resources} from "../src/Types.sol";
import {Nodes} from "../src/Nodes.sol";
import {NodesEvents} from "../src/NodesEvents.sol";
import {World} from "./Base.sol";

contract NodesTest is World {
    address private constant court = address(0xC047);
    address private constant finder = address(0xF14D);

    function test_a_node_reads_back() external view {
        Nodes.Node memory node = nodes.node(bob);
        eq(uint256(node.status), uint256(NodesEvents.Status.Active), "status");
        eq(node.stake, STAKE, "stake");
        eq(node.capacity.cpuMillis, 4000, "cpu");
        eq(bytes(node.endpoint), "https://node.example", "endpoint");
        eq(node.registeredAt, _now(), "time");
        yes(nodes.isRegistered(bob) && !nodes.isRegistered(stranger), "registered");
    }

    function test_registrations_without_sense_are_refused() external {
        Resources memory capacity = Resources(1000, 1 << 30, false);
        vm.startPrank(stranger);
        vm.expectRevert(abi.encodeWithSelector(NodesEvents.StakeTooLow.selector, STAKE - 1, STAKE));
        nodes.register("x", capacity, STAKE - 1);
        vm.expectRevert(NodesEvents.EndpointEmpty.selector);
        nodes.register("", capacity, STAKE);
        vm.expectRevert(abi.encodeWithSelector(NodesEvents.EndpointTooLong.selector, 257, 256));
        nodes.register(string(new bytes(257)), capacity, STAKE);
        vm.expectRevert(NodesEvents.CapacityZero.selector);
        nodes.register("x", Resources(0, 1, false), STAKE);
        vm.expectRevert(abi.encodeWithSelector(NodesEvents.AmountTooLarge.selector, 1 << 96, (1 << 96) - 1));
        nodes.register("x", capacity, 1 << 96);
        vm.stopPrank();
        vm.prank(bob);
        vm.expectRevert(abi.encodeWithSelector(NodesEvents.AlreadyRegistered.selector, bob));
        nodes.register("x", capacity, STAKE);
    }

    function test_strangers_have_nothing_to_change() external {
        bytes memory why = abi.encodeWithSelector(NodesEvents.NotRegistered.selector, address(this));
        vm.expectRevert(why);
        nodes.addStake(1);
        vm.expectRevert(why);
        nodes.requestUnbond(1);
        vm.expectRevert(why);
        nodes.withdraw();
        vm.expectRevert(why);
        nodes.setCapacity(Resources(1, 1, false));
        vm.expectRevert(why);
        nodes.setEndpoint("x");
        vm.expectRevert(why);
        nodes.pauseNode();
        vm.expectRevert(why);
        nodes.resumeNode();
    }

    function test_stake_leaves_only_after_the_unbonding_time() external {
        uint256 before = token.balanceOf(bob);
        vm.startPrank(bob);
        vm.expectRevert(abi.encodeWithSelector(NodesEvents.NothingUnbonding.selector, bob));
        nodes.withdraw();
        vm.expectRevert(NodesEvents.AmountZero.selector);
        nodes.requestUnbond(0);
        nodes.addStake(500 ether);
        nodes.requestUnbond(200 ether);
        _pass(UNBONDING - 1);
        vm.expectRevert(abi.encodeWithSelector(NodesEvents.StillUnbonding.selector, bob, _now() + 1, _now()));
        nodes.withdraw();
        // A second request counts both anew.
        nodes.requestUnbond(300 ether);
        _pass(1);
        vm.expectRevert(
            abi.encodeWithSelector(NodesEvents.StillUnbonding.selector, bob, _now() - 1 + UNBONDING, _now())
        );
        nodes.withdraw();
        _pass(UNBONDING);
        eq(nodes.withdraw(), 500 ether, "all of it");
        vm.stopPrank();
        eq(token.balanceOf(bob), before, "back where it came from");
        eq(nodes.node(bob).stake, STAKE, "stake");
    }

    function test_locked_stake_does_not_unbond() external {
        uint64 id = _running();
        uint256 locked = uint256(RATE) * LOCK_HOURS;
        vm.startPrank(bob);
        vm.expectRevert(abi.encodeWithSelector(NodesEvents.FreeStakeTooLow.selector, bob, STAKE - locked, STAKE));
        nodes.requestUnbond(STAKE);
        nodes.requestUnbond(uint128(STAKE - locked));
        manager.stop(id);
        nodes.requestUnbond(uint128(locked));
        vm.stopPrank();
        eq(nodes.node(bob).unbonding, STAKE, "all of it");
    }

    function test_a_node_changes_what_it_says_of_itself() external {
        vm.startPrank(bob);
        vm.expectRevert(NodesEvents.AmountZero.selector);
        nodes.addStake(0);
        vm.expectRevert(NodesEvents.CapacityZero.selector);
        nodes.setCapacity(Resources(1, 0, false));
        nodes.setCapacity(Resources(8000, 1 << 34, true));
        vm.expectRevert(NodesEvents.EndpointEmpty.selector);
        nodes.setEndpoint("");
        nodes.setEndpoint("https://other.example");
        vm.expectRevert(abi.encodeWithSelector(NodesEvents.NodeNotPaused.selector, bob));
        nodes.resumeNode();
        nodes.pauseNode();
        vm.expectRevert(abi.encodeWithSelector(NodesEvents.NodeIsPaused.selector, bob));
        nodes.pauseNode();
        nodes.resumeNode();
        vm.stopPrank();
        Nodes.Node memory node = nodes.node(bob);
        yes(node.capacity.gpu && node.capacity.cpuMillis == 8000, "capacity");
        eq(bytes(node.endpoint), "https://other.example", "endpoint");
    }

    function test_a_paused_node_finishes_what_runs() external {
        uint64 id = _running();
        vm.prank(bob);
        nodes.pauseNode();
        _pass(20 hours);
        manager.expire(id);
        eq(escrow.claimable(bob), PAYMENT, "paid");
    }

    // ---- slashing --------------------------------------------------------------------------------

    function _slash(uint128 amount, uint128 claim) private {
        vm.prank(court);
        nodes.slash(bob, 7, amount, "down", finder, client, claim);
    }

    function test_a_slash_is_split_without_a_unit_lost(uint128 amount, uint128 claim) external {
        amount = uint128(1 + uint256(amount) % STAKE);
        nodes.setSlasher(court);
        _slash(amount, claim);
        uint256 toFinder = nodes.claimable(finder);
        uint256 toVictim = nodes.claimable(client);
        eq(toFinder, uint256(amount) / 10, "finder");
        yes(toVictim <= claim, "victim gets no more than its claim");
        eq(toFinder + toVictim + nodes.claimable(treasury), amount, "sum");
        eq(nodes.node(bob).stake, STAKE - amount, "stake");
    }

    function test_what_is_unbonding_is_slashed_after_what_is_at_work() external {
        nodes.setSlasher(court);
        uint64 id = _running();
        vm.prank(bob);
        nodes.requestUnbond(5000 ether);
        _slash(6000 ether, 0);
        Nodes.Node memory node = nodes.node(bob);
        eq(node.stake, 0, "at work");
        eq(node.unbonding, 4000 ether, "unbonding");
        eq(node.locked, 0, "a lock never outgrows the stake");
        vm.prank(court);
        vm.expectRevert(abi.encodeWithSelector(NodesEvents.SlashTooLarge.selector, bob, 4001 ether, 4000 ether));
        nodes.slash(bob, id, 4001 ether, "down", finder, client, 0);
        vm.prank(client);
        manager.stop(id);
        eq(nodes.node(bob).locked, 0, "unlocking what is gone is harmless");
    }

    function test_shares_are_claimed_once() external {
        nodes.setSlasher(court);
        _slash(100 ether, 20 ether);
        vm.startPrank(client);
        eq(nodes.claimSlashed(), 20 ether, "victim");
        vm.expectRevert(abi.encodeWithSelector(NodesEvents.NothingToClaim.selector, client));
        nodes.claimSlashed();
        vm.stopPrank();
        vm.prank(treasury);
        eq(nodes.claimSlashed(), 70 ether, "treasury");
    }

    function test_only_the_slasher_slashes() external {
        vm.expectRevert(abi.encodeWithSelector(NodesEvents.NotSlasher.selector, address(this)));
        nodes.slash(bob, 0, 1, "x", finder, client, 0);
        nodes.setSlasher(court);
        vm.startPrank(court);
        vm.expectRevert(NodesEvents.AmountZero.selector);
        nodes.slash(bob, 0, 0, "x", finder, client, 0);
        vm.expectRevert(NodesEvents.ZeroAddress.selector);
        nodes.slash(bob, 0, 1, "x", address(0), client, 0);
        vm.expectRevert(NodesEvents.ZeroAddress.selector);
        nodes.slash(bob, 0, 1, "x", finder, address(0), 1);
        vm.expectRevert(abi.encodeWithSelector(NodesEvents.NotRegistered.selector, stranger));
        nodes.slash(stranger, 0, 1, "x", finder, client, 0);
        vm.stopPrank();
    }

    // ---- roles -----------------------------------------------------------------------------------

    function test_only_managers_lock_and_unlock() external {
        vm.expectRevert(abi.encodeWithSelector(NodesEvents.NotManager.selector, address(this)));
        nodes.lock(bob, 1);
        vm.expectRevert(abi.encodeWithSelector(NodesEvents.NotManager.selector, address(this)));
        nodes.unlock(bob, 1);
    }

    function test_only_the_owner_gives_roles() external {
        vm.startPrank(bob);
        vm.expectRevert(abi.encodeWithSelector(Ownable.OwnableUnauthorizedAccount.selector, bob));
        nodes.addManager(bob);
        vm.expectRevert(abi.encodeWithSelector(Ownable.OwnableUnauthorizedAccount.selector, bob));
        nodes.setSlasher(bob);
        vm.stopPrank();
        vm.expectRevert(NodesEvents.ZeroAddress.selector);
        nodes.addManager(address(0));
        vm.expectRevert(NodesEvents.ZeroAddress.selector);
        new Nodes(IERC20(address(0)), STAKE, UNBONDING, treasury, address(this));
        vm.expectRevert(NodesEvents.ZeroAddress.selector);
        new Nodes(token, STAKE, UNBONDING, address(0), address(this));
    }
}
