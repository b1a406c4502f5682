// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.28;

import {State} from "../../src/Types.sol";
import {Manager} from "../../src/Manager.sol";
import {Reputation} from "../../src/Reputation.sol";
import {SilenceActs} from "./SilenceActs.sol";

/// Paid time, counted for its node, and what is none. What counts is decided here, from when each lease began and what
/// it was paid, without asking the contracts.
abstract contract WorkActs is SilenceActs {
    bytes32 private constant KIND = "refused";

    function _countWork(uint64 id, Ghost storage g) internal {
        bytes memory call = abi.encodeCall(reputation.count, (manager, id));
        (bytes32 flaw, bytes4 why, uint256 from, uint256 until) = _flaw(g);
        if (flaw != 0) return _refused(flaw, KIND, id, stranger, address(reputation), call, why);
        _count(from > g.startedAt ? bytes32("count") : bytes32("count of a whole lease"));
        _allowed(stranger, address(reputation), call);
        _noteWork(g.node, until - from, until);
    }

    /// Why a lease's time does not count; zero where it does, from the one moment to the other.
    function _flaw(Ghost storage g) private view returns (bytes32 flaw, bytes4 why, uint256 from, uint256 until) {
        why = Reputation.NothingPaid.selector;
        if (g.home) return ("count of a home", why, 0, 0);
        bool over = g.state == State.Expired || g.ran;
        if (g.state != State.Running && !over) return ("count of what did not run", why, 0, 0);
        why = Reputation.NothingNew.selector;
        until = g.startedAt + (g.paid * 3600 + g.rate - 1) / g.rate;
        from = ghostNodes[g.node].countedUntil;
        if (from < g.startedAt) from = g.startedAt;
        if (until <= from) return ("count of what was counted", why, 0, 0);
        if (from < _now() - _unbonding()) from = _now() - _unbonding();
        if (until <= from) return ("count of what is too old", why, 0, 0);
        why = Reputation.StakeTooLow.selector;
        if (ghostNodes[g.node].stake < STAKE) return ("count below the least stake", why, 0, 0);
        return (0, 0, from, until);
    }

    // ---- what is no work -------------------------------------------------------------------------

    function _attackReputation(uint64 id, Ghost storage g, uint256 roll) internal {
        uint256 kind = roll % 8;
        address caller = roll & 256 == 0 ? stranger : operators[(roll >> 16) % 3];
        if (kind > 2) return _countWork(id, g);
        (bytes32 name, bytes memory call, bytes4 why) = kind == 0
            ? (
                bytes32("count of no market"),
                abi.encodeCall(reputation.count, (Manager(stranger), id)),
                Reputation.NotManager.selector
            )
            : kind == 1
            ? (
                bytes32("missed without the slasher"),
                abi.encodeCall(reputation.missed, (bob, 1)),
                Reputation.NotSlasher.selector
            )
            : (
                bytes32("slashed past Nodes"),
                abi.encodeCall(reputation.slashed, (carol)),
                Reputation.NotNodes.selector
            );
        _refused(name, KIND, id, caller, address(reputation), call, why);
    }
}
