// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.28;

import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";
import {Deployment, State} from "../src/Types.sol";
import {Escrow} from "../src/Escrow.sol";
import {Manager} from "../src/Manager.sol";
import {NodesEvents} from "../src/NodesEvents.sol";
import {MarketEvents} from "../src/market/MarketEvents.sol";
import {World} from "./Base.sol";

contract MoneyTest is World {
    function test_what_is_due_does_not_depend_on_when_it_is_settled(uint32[12] memory steps, bool[12] memory settles)
        external
    {
        uint64 id = _running();
        uint64 twin = _deploy(0);
        _bid(twin, carol, RATE);
        _start(twin, carol);
        for (uint256 i = 0; i < steps.length; ++i) {
            _pass(steps[i] % 3 hours);
            if (settles[i]) manager.settle(id);
        }
        manager.settle(id);
        manager.settle(twin);
        eq(escrow.earned(bob), escrow.earned(carol), "to the last unit");
    }

    function test_settle_pays_the_floor_of_rate_times_time() external {
        uint64 id = _running();
        eq(manager.settle(id), 0, "nothing at once");
        _pass(1);
        eq(manager.settle(id), uint256(RATE) / 3600, "one second");
        _pass(3599);
        manager.settle(id);
        eq(escrow.earned(bob), RATE, "one hour is exact");
    }

    function test_only_a_running_lease_is_settled() external {
        uint64 id = _deploy(0);
        vm.expectRevert(abi.encodeWithSelector(MarketEvents.WrongState.selector, id, State.Open));
        manager.settle(id);
        eq(manager.due(id), 0, "nothing due");
    }

    function test_a_deposit_moves_the_end() external {
        uint64 id = _running();
        _pass(19 hours);
        token.faucetTo(stranger, 100 ether);
        vm.startPrank(stranger);
        token.approve(address(escrow), 100 ether);
        vm.expectRevert(abi.encodeWithSelector(MarketEvents.PaymentZero.selector));
        manager.deposit(id, 0);
        manager.deposit(id, 100 ether);
        vm.stopPrank();
        Deployment memory d = manager.deployment(id);
        eq(d.endsAt, _now() + 3 hours, "two hours more");
        eq(d.deposited, 1100 ether, "deposit");
    }

    function test_a_deposit_after_the_end_is_refused() external {
        uint64 id = _running();
        _pass(20 hours);
        vm.prank(client);
        vm.expectRevert(abi.encodeWithSelector(MarketEvents.RanOut.selector, id, _now()));
        manager.deposit(id, 1);
        manager.expire(id);
        vm.prank(client);
        vm.expectRevert(abi.encodeWithSelector(MarketEvents.WrongState.selector, id, State.Expired));
        manager.deposit(id, 1);
    }

    function test_a_line_never_holds_more_than_it_can_count() external {
        uint64 id = _running();
        vm.prank(client);
        vm.expectRevert(
            abi.encodeWithSelector(Escrow.AmountTooLarge.selector, uint256(1 << 96) - 1, uint256(1 << 96) - 1)
        );
        manager.deposit(id, (1 << 96) - 1);
    }

    function test_a_client_withdraws_after_notice_and_after_the_node_is_paid() external {
        uint64 id = _running();
        uint256 before = token.balanceOf(client);
        vm.startPrank(client);
        vm.expectRevert(abi.encodeWithSelector(MarketEvents.NoWithdrawal.selector, id));
        manager.clientWithdraw(id);
        manager.requestClientWithdraw(id, 900 ether);
        (uint128 amount, uint64 readyAt) = manager.clientWithdrawal(id);
        eq(amount, 900 ether, "announced");
        eq(readyAt, _now() + NOTICE, "ready");
        _pass(NOTICE - 1);
        vm.expectRevert(abi.encodeWithSelector(MarketEvents.NoticeRuns.selector, id, readyAt));
        manager.clientWithdraw(id);
        _pass(1);
        manager.clientWithdraw(id);
        vm.stopPrank();
        eq(token.balanceOf(client) - before, 900 ether, "received");
        eq(escrow.claimable(bob), 50 ether, "one hour was paid first");
        eq(manager.deployment(id).endsAt, _now() + 1 hours, "100 were left, 50 are used");
        _pass(1 hours);
        manager.expire(id);
        eq(escrow.earned(bob), 100 ether, "all that was left");
    }

    function test_a_client_cannot_withdraw_what_is_due() external {
        uint64 id = _running();
        vm.prank(client);
        manager.requestClientWithdraw(id, 960 ether);
        _pass(NOTICE);
        vm.prank(client);
        vm.expectRevert(abi.encodeWithSelector(Escrow.InsufficientLine.selector, id, 960 ether, 950 ether));
        manager.clientWithdraw(id);
    }

    function test_who_may_withdraw_and_how_much() external {
        uint64 id = _running();
        vm.prank(bob);
        vm.expectRevert(abi.encodeWithSelector(MarketEvents.NotOwner.selector, id, bob));
        manager.requestClientWithdraw(id, 1);
        vm.startPrank(client);
        vm.expectRevert(abi.encodeWithSelector(MarketEvents.PaymentZero.selector));
        manager.requestClientWithdraw(id, 0);
        vm.expectRevert(abi.encodeWithSelector(MarketEvents.AmountTooLarge.selector, 1 << 96, (1 << 96) - 1));
        manager.requestClientWithdraw(id, 1 << 96);
        manager.requestClientWithdraw(id, 1);
        vm.stopPrank();
        _pass(NOTICE);
        vm.prank(bob);
        vm.expectRevert(abi.encodeWithSelector(MarketEvents.NotOwner.selector, id, bob));
        manager.clientWithdraw(id);
    }

    function test_an_announcement_ends_with_its_deployment() external {
        uint64 id = _running();
        vm.startPrank(client);
        manager.requestClientWithdraw(id, 10 ether);
        _pass(NOTICE);
        manager.stop(id);
        vm.expectRevert(abi.encodeWithSelector(MarketEvents.WrongState.selector, id, State.Stopped));
        manager.clientWithdraw(id);
        vm.stopPrank();
    }

    // ---- the ledger's doors ----------------------------------------------------------------------

    function test_only_the_manager_writes_the_ledger() external {
        bytes memory why = abi.encodeWithSelector(Escrow.NotManager.selector, address(this));
        vm.expectRevert(why);
        escrow.deposit(1, client, 1);
        vm.expectRevert(why);
        escrow.settle(1, bob, 1);
        vm.expectRevert(why);
        escrow.close(1, bob, 1, client, true);
        vm.expectRevert(why);
        escrow.take(1, bob, 1, client, 1);
        vm.expectRevert(Escrow.ZeroAddress.selector);
        new Escrow(IERC20(address(0)));
    }

    function test_a_payee_withdraws_only_what_is_its_own() external {
        uint64 id = _running();
        _pass(1 hours);
        manager.settle(id);
        vm.prank(carol);
        vm.expectRevert(abi.encodeWithSelector(Escrow.NothingToWithdraw.selector, carol));
        escrow.withdraw(carol);
        vm.startPrank(bob);
        vm.expectRevert(Escrow.ZeroAddress.selector);
        escrow.withdraw(address(0));
        escrow.withdraw(stranger);
        vm.expectRevert(abi.encodeWithSelector(Escrow.NothingToWithdraw.selector, bob));
        escrow.withdraw(bob);
        vm.stopPrank();
        eq(token.balanceOf(stranger), 50 ether, "received");
    }

    function test_settings_without_sense_are_refused() external {
        vm.expectRevert(MarketEvents.SettingZero.selector);
        new Manager(nodes, 0, NOTICE, LOCK_HOURS, 2);
        vm.expectRevert(MarketEvents.SettingZero.selector);
        new Manager(nodes, ACK_TIMEOUT, NOTICE, LOCK_HOURS, 0);
    }

    function test_a_manager_that_nodes_does_not_know_cannot_lock_stake() external {
        Manager other = new Manager(nodes, ACK_TIMEOUT, NOTICE, LOCK_HOURS, 2);
        vm.startPrank(client);
        token.approve(address(other.escrow()), PAYMENT);
        _publishOn(other, AGENT, _raw(ARTIFACT), 0);
        uint64 id = other.deploy(_params(1));
        vm.stopPrank();
        vm.prank(bob);
        vm.expectRevert(abi.encodeWithSelector(NodesEvents.NotManager.selector, address(other)));
        other.bid(id, RATE);
    }
}
