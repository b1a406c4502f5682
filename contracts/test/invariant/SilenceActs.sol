// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.28;

import {State} from "../../src/Types.sol";
import {Heartbeats} from "../../src/Heartbeats.sol";
import {Manager} from "../../src/Manager.sol";
import {MarketEvents} from "../../src/market/MarketEvents.sol";
import {Refusals} from "./Refusals.sol";

/// Heartbeats, and proofs that there was none, of all kinds. Which of them count and what they come to is decided here,
/// from a list of who beat when and without asking the contracts.
abstract contract SilenceActs is Refusals {
    uint256 private constant HISTORY = 216;
    bytes32 private constant KIND = "refused";

    function _beatOf(address node) internal {
        uint256 now_ = _now() / _period();
        if (beaten[node][now_]) return;
        _count("heartbeat");
        _beat(node);
        beaten[node][now_] = true;
        lastBeat[node] = now_;
    }

    /// A proof of a period that lies within the lease, if there is one: as often as not of the newest.
    function _anyProof(uint64 id, Ghost storage g, uint256 roll) internal {
        (uint256 first, uint256 last) = _provable(g);
        if (first <= last) _proof(id, g, roll % 2 == 0 ? last : first + (roll >> 8) % (last - first + 1));
    }

    // The periods in which the lease ran from their beginning to their end, and whose time is up.
    function _provable(Ghost storage g) private view returns (uint256 first, uint256 last) {
        uint256 period = _period();
        first = (g.startedAt + period - 1) / period;
        last = _endOf(g) / period - 1;
        uint256 due = (_now() - period * 3 / 4) / period;
        if (due < last) last = due;
    }

    function _proof(uint64 id, Ghost storage g, uint256 period) private {
        bytes memory call = abi.encodeCall(heartbeats.slashMissed, (manager, id, uint40(period)));
        (bytes32 flaw, bytes4 why) = _flaw(g, period);
        if (flaw != 0) return _refused(flaw, KIND, id, finder, address(heartbeats), call, why);
        _allowed(finder, address(heartbeats), call);
        _silent(id, g, period);
    }

    /// Why a proof does not count; zero where it does.
    function _flaw(Ghost storage g, uint256 period) private view returns (bytes32 flaw, bytes4 why) {
        why = Heartbeats.NotWatched.selector;
        if (g.state != State.Running) return ("slashMissed of no lease", why);
        if (g.home) return ("slashMissed of a home", why);
        if (g.paused) return ("slashMissed of a resting agent", why);
        (uint256 begins, uint256 ends) = (period * _period(), (period + 1) * _period());
        why = Heartbeats.NotWhole.selector;
        if (begins < g.startedAt) return ("slashMissed before the start", why);
        if (ends > _endOf(g)) return ("slashMissed beyond the end", why);
        if (_now() < begins + _period() * 3 / 4) return ("slashMissed too early", Heartbeats.StillTime.selector);
        if (lastBeat[g.node] >= period + HISTORY) return ("slashMissed too late", Heartbeats.Forgotten.selector);
        if (beaten[g.node][period]) return ("slashMissed of a beaten period", Heartbeats.AlreadyBeaten.selector);
        return (0, 0);
    }

    // ---- what it comes to ------------------------------------------------------------------------

    function _silent(uint64 id, Ghost storage g, uint256 period) private {
        (address node, uint256 rate) = (g.node, g.rate);
        bool back = lastBeat[node] > period;
        uint256 owed = rate * (_silentSince(g, period, back) - g.startedAt) / 3600;
        uint256 given = owed > g.paid ? owed : g.paid;
        bool drained = ghostNodes[node].paused;
        _count(_nameOf(given == g.deposited, drained, back));
        earned[node] += given;
        (g.deposited, g.paid, g.asked) = (g.deposited - given, 0, 0);
        if (g.deposited == 0) {
            _leave(id, g, State.Expired);
        } else {
            _missed(g);
            _lost(id, g);
        }
        if (drained) return;
        uint256 stake = ghostNodes[node].stake + ghostNodes[node].unbonding;
        _takeStake(node, rate < stake ? rate : stake, rate * _period() / 3600 + given - owed);
    }

    // When the first period began of those in which, one after the other, the node said nothing while the lease ran.
    function _silentSince(Ghost storage g, uint256 period, bool back) private view returns (uint256) {
        while (!back && !beaten[g.node][period - 1] && (period - 1) * _period() >= g.startedAt) --period;
        return period * _period();
    }

    function _nameOf(bool spent, bool drained, bool back) private pure returns (bytes32) {
        if (spent) return "slashMissed with nothing left";
        if (drained) return "slashMissed of a drained node";
        return back ? bytes32("slashMissed of one who is back") : bytes32("slashMissed");
    }

    // ---- what is no proof ------------------------------------------------------------------------

    function _attackSilence(uint64 id, Ghost storage g, uint256 roll) internal {
        uint256 kind = roll % 9;
        roll >>= 8;
        if (kind == 0) return _beatTwice(id, operators[roll % 3]);
        if (kind == 1) return _evict(id, g, roll);
        uint256 period = _now() / _period() - 1;
        if (kind == 2) {
            bytes memory call = abi.encodeCall(heartbeats.slashMissed, (Manager(stranger), id, uint40(period)));
            bytes4 unknown = Heartbeats.NotManager.selector;
            return _refused("slashMissed of no market", KIND, id, finder, address(heartbeats), call, unknown);
        }
        if (g.state == State.Running && !g.home) period = _aimed(g, kind, roll);
        // A tiny rate may end beyond any period that can be named.
        if (period <= type(uint40).max) _proof(id, g, period);
    }

    // A period that is likely to be refused, each kind for another reason.
    function _aimed(Ghost storage g, uint256 kind, uint256 roll) private returns (uint256) {
        (uint256 first, uint256 last) = _provable(g);
        if (kind == 3) return first - 1;
        if (kind == 4) return _endOf(g) / _period();
        if (kind == 5) {
            // As often as not at the last second before the time is up.
            if (first <= last) first = last + 1;
            _until(first * _period() + _period() * 3 / 4 - 1, roll);
            return first;
        }
        return kind == 6 ? first : lastBeat[g.node];
    }

    function _beatTwice(uint64 id, address node) private {
        _beatOf(node);
        bytes4 twice = Heartbeats.AlreadyBeaten.selector;
        bytes memory call = abi.encodeCall(heartbeats.heartbeat, (0));
        _refused("heartbeat twice", KIND, id, node, address(heartbeats), call, twice);
    }

    // Past the slasher; or by it, of what cannot be lost.
    function _evict(uint64 id, Ghost storage g, uint256 roll) private {
        bytes32 name = "evict without the slasher";
        address caller = roll % 2 == 0 ? g.owner : operators[(roll >> 8) % 3];
        bytes4 why = MarketEvents.NotSlasher.selector;
        if (g.state != State.Running) {
            (name, caller, why) = ("evict of no lease", address(heartbeats), MarketEvents.WrongState.selector);
        } else if (g.home) {
            (name, caller, why) = ("evict of a home", address(heartbeats), MarketEvents.HomeLease.selector);
        }
        _refused(name, KIND, id, caller, address(manager), abi.encodeCall(manager.evict, (id, uint64(_now()))), why);
    }
}
