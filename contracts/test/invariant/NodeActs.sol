// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.28;

import {SilenceActs} from "./SilenceActs.sol";

/// What a node does with its own money and standing, and what a court takes of it.
abstract contract NodeActs is SilenceActs {
    function _node(address node, uint256 roll) internal {
        GhostNode storage n = ghostNodes[node];
        uint256 kind = roll % 16;
        roll >>= 8;
        if (kind < 2) {
            if (escrow.claimable(node) == 0) return;
            _count("withdraw");
            vm.prank(node);
            escrow.withdraw(node);
        } else if (kind < 5 || n.stake < STAKE) {
            uint256 amount = 1 + roll % (3 * STAKE);
            _addStake(node, amount);
        } else if (kind < 8) {
            _unbond(node, n, roll);
        } else if (kind == 8) {
            if (n.unbonding == 0 || _now() < n.unbondedAt) return;
            _count("withdraw stake");
            vm.prank(node);
            eq(nodes.withdraw(), n.unbonding, "withdrawn");
            stakeOut += n.unbonding;
            n.unbonding = 0;
        } else if (kind == 9) {
            _slash(node, n, roll);
        } else if (kind == 10 && roll % 4 == 0) {
            return _silentUnderAnother(roll >> 8);
        } else if (kind > 11) {
            return _beatOf(node);
        } else if (!n.paused && roll % 2 == 0) {
            _pause(node);
        }
        if (n.paused && (roll >> 8) % 3 == 0) {
            _count("resumeNode");
            n.paused = false;
            vm.prank(node);
            nodes.resumeNode();
        }
    }

    // While some is on its way out, asking again would start its time anew; so mostly it is let go.
    function _unbond(address node, GhostNode storage n, uint256 roll) internal {
        uint256 free = n.stake - n.locked;
        if (free == 0 || (n.unbonding != 0 && roll % 8 != 0)) return;
        // Now and then all that is free, so that a node falls below the least stake.
        uint256 amount = roll % 3 == 0 ? free : 1 + roll % (free < STAKE ? free : STAKE);
        _count("requestUnbond");
        vm.prank(node);
        nodes.requestUnbond(uint128(amount));
        n.stake -= amount;
        n.unbonding += amount;
        n.unbondedAt = _now() + _unbonding();
    }

    // In the name of the one slasher that Nodes knows.
    function _slash(address node, GhostNode storage n, uint256 roll) internal {
        uint256 all = n.stake + n.unbonding;
        if (all == 0) return;
        uint256 amount = 1 + roll % (all < 500 ether ? all : 500 ether);
        uint256 claim = (roll >> 128) % 300 ether;
        _count("slash");
        vm.prank(address(heartbeats));
        nodes.slash(node, 1, uint128(amount), "down", finder, client, uint128(claim));
        if (_told == node) _told = address(0);
        else _noteFault(node, 10 days);
        _takeStake(node, amount, claim);
    }
}
