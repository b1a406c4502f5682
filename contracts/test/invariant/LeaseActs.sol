// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.28;

import {State} from "../../src/Types.sol";
import {WorkActs} from "./WorkActs.sol";

/// What client and node do with a lease: money, pauses, updates, heartbeats, ends.
abstract contract LeaseActs is WorkActs {
    function _runningLease(uint64 id, Ghost storage g, uint256 roll) internal {
        uint256 kind = roll % 32;
        roll >>= 8;
        if (!g.home && _used(g) == g.deposited && kind != 0) {
            if (kind < 5) _settle(id, g);
            if (kind < 6) return _anyProof(id, g, roll);
            _count("expire");
            manager.expire(id);
            _end(id, g, State.Expired);
            return _countWork(id, g);
        }
        if (kind == 0) {
            _stopByOwner(id, g);
        } else if (kind == 1) {
            _count("stop by node");
            vm.prank(g.node);
            manager.stop(id);
            // At home the node is the owner.
            _end(id, g, State.Stopped);
            if (roll % 2 == 0) _countWork(id, g);
        } else if (kind < 8) {
            _settle(id, g);
            if (roll % 2 == 0) _countWork(id, g);
        } else if (kind < 12) {
            if (!g.home) _money(id, g, roll);
        } else if (kind < 16) {
            _rest(id, g);
        } else if (kind < 22) {
            _renew(id, g, roll);
        } else if (kind < 24) {
            _beatOf(g.node);
        } else if (kind < 28) {
            if (g.home) return;
            if (roll % 8 == 0) _anyProofAtTheEnd(id, g, roll >> 8);
            else _anyProof(id, g, roll >> 8);
        } else {
            _count("wait");
            _pass(roll % 1 hours);
        }
    }

    function _settle(uint64 id, Ghost storage g) internal {
        _count("settle");
        manager.settle(id);
        g.paid = _used(g);
    }

    function _rest(uint64 id, Ghost storage g) internal {
        _count(g.paused ? bytes32("resume") : bytes32("pause"));
        vm.prank(g.owner);
        if (g.paused) manager.resume(id);
        else manager.pause(id);
        g.paused = !g.paused;
    }

    function _renew(uint64 id, Ghost storage g, uint256 roll) internal {
        if (g.asked == 0) {
            _count("update");
            uint64 publication = roll % 2 == 0 ? rawPublication : nextPublication;
            vm.prank(g.owner);
            g.revision = manager.update(id, publication, 0, "");
            g.asked = publication;
        } else if (roll % 3 == 0) {
            _count("rejectUpdate");
            vm.prank(g.node);
            manager.rejectUpdate(id, g.revision, "no");
            g.asked = 0;
        } else {
            _count("ackUpdate");
            vm.prank(g.node);
            manager.ackUpdate(id, g.revision, ++g.incarnation);
            (g.publication, g.asked) = (g.asked, 0);
        }
    }

    // ---- money, in any state before the end -------------------------------------------------------

    function _money(uint64 id, Ghost storage g, uint256 roll) internal {
        if (g.state == State.Running && _used(g) == g.deposited) return;
        if (roll % 2 == 0) {
            uint256 amount = 1 + (roll >> 8) % 50 ether;
            _count("deposit");
            vm.prank(client);
            manager.deposit(id, uint128(amount));
            g.deposited += amount;
            return;
        }
        uint256 asked = g.withdrawal;
        uint256 left = g.deposited - _used(g);
        if (asked == 0 || asked > left) {
            if (left == 0) return;
            _count("requestClientWithdraw");
            vm.prank(g.owner);
            // Now and then more than there is, or will be after the notice.
            g.withdrawal = 1 + (roll >> 8) % ((roll >> 4) % 4 == 0 ? 2 * left : left);
            g.withdrawalAt = _now() + NOTICE;
            manager.requestClientWithdraw(id, uint128(g.withdrawal));
        } else {
            if (_now() < g.withdrawalAt) _pass(g.withdrawalAt - _now());
            if (asked > g.deposited - _used(g)) return;
            _count("clientWithdraw");
            vm.prank(g.owner);
            manager.clientWithdraw(id);
            g.paid = _used(g);
            g.deposited -= asked;
            g.withdrawal = 0;
        }
    }

    function _stopByOwner(uint64 id, Ghost storage g) internal {
        uint256 before = token.balanceOf(g.owner);
        uint256 refund = g.home ? 0 : g.deposited - _used(g);
        _count("stop by owner");
        vm.prank(g.owner);
        manager.stop(id);
        // I10: one call closes and refunds, whatever the state.
        eq(token.balanceOf(g.owner) - before, refund, "refund");
        _end(id, g, State.Stopped);
    }
}
