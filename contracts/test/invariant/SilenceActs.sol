// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.28;

import {State} from "../../src/Types.sol";
import {Heartbeats} from "../../src/Heartbeats.sol";
import {Manager} from "../../src/Manager.sol";
import {MarketEvents} from "../../src/market/MarketEvents.sol";
import {Refusals} from "./Refusals.sol";

/// Heartbeats, and proofs that there was none, of all kinds. Which of them count and what they come to is decided here,
/// from a list of who beat when and without asking the contracts. Now and then another contract takes over, to which
/// nobody has shown life yet.
abstract contract SilenceActs is Refusals {
    bytes32 private constant KIND = "refused";

    function _beatOf(address node) internal {
        uint256 now_ = _now() / _period();
        if (_hasBeaten(node, now_)) return;
        _count("heartbeat");
        _beat(node);
        _noteBeat(node, now_);
    }

    function _addStake(address node, uint256 amount) internal {
        _count("addStake");
        vm.prank(node);
        nodes.addStake(uint128(amount));
        ghostNodes[node].stake += amount;
        stakeIn += amount;
    }

    function _watchAnew() internal {
        _count("another Heartbeats");
        heartbeats = new Heartbeats(nodes, _period());
        nodes.setSlasher(address(heartbeats));
        watchedSince = _now();
    }

    // Another contract listens, and nobody has told the nodes.
    function _silentUnderAnother(uint256 roll) internal {
        _watchAnew();
        _pass(_period() + roll % (2 * _period()));
        uint64 id = live[(roll >> 16) % live.length];
        Ghost storage g = ghosts[id];
        if (g.state == State.Running && !g.home) _anyProof(id, g, roll >> 24);
    }

    /// A proof of a period that lies within the lease, if one is not too old: as often as not of the newest.
    function _anyProof(uint64 id, Ghost storage g, uint256 roll) internal {
        (uint256 first, uint256 last) = _provable(g);
        uint256 before = _now() / _period() - 1;
        if (first < before) first = before;
        if (first <= last) _proof(id, g, roll % 2 == 0 ? last : first);
    }

    /// The deposit runs out, all is settled, and nobody says so before the last whole period is proven.
    function _anyProofAtTheEnd(uint64 id, Ghost storage g, uint256 roll) internal {
        _until(_endOf(g), 0);
        if (_used(g) != g.deposited) return;
        _count("settle");
        manager.settle(id);
        g.paid = _used(g);
        _anyProof(id, g, roll);
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
        why = Heartbeats.Forgotten.selector;
        if (_now() >= ends + _period()) return ("slashMissed too late", why);
        if (begins <= watchedSince) return ("slashMissed before the watch", why);
        why = Heartbeats.NotWhole.selector;
        if (begins < g.startedAt) return ("slashMissed before the start", why);
        if (ends > _endOf(g)) return ("slashMissed beyond the end", why);
        if (_now() < begins + _period() * 3 / 4) return ("slashMissed too early", Heartbeats.StillTime.selector);
        if (_hasBeaten(g.node, period)) return ("slashMissed of a beaten period", Heartbeats.AlreadyBeaten.selector);
        return (0, 0);
    }

    // ---- what it comes to ------------------------------------------------------------------------

    function _silent(uint64 id, Ghost storage g, uint256 period) private {
        (address node, uint256 rate) = (g.node, g.rate);
        bool back = _lastBeatOf(node) > period;
        uint256 since = _silentSince(g, period, back);
        uint256 owed = rate * (since - g.startedAt) / 3600;
        uint256 given = owed > g.paid ? owed : g.paid;
        bool paused = ghostNodes[node].paused;
        // The lease is older than the contract, before which nobody listened.
        bool unheard = since < watchedSince + _period() && since >= g.startedAt + _period();
        _count(_nameOf(given == g.deposited, paused, back, unheard));
        earned[node] += given;
        (g.deposited, g.paid, g.asked) = (g.deposited - given, 0, 0);
        if (g.deposited == 0) {
            _leave(id, g, State.Expired);
        } else {
            _missed(g);
            _lost(id, g);
        }
        _noteSilence(node, period);
        uint256 stake = ghostNodes[node].stake + ghostNodes[node].unbonding;
        if (paused || stake == 0) return;
        _told = address(0);
        _takeStake(node, rate < stake ? rate : stake, rate * _period() / 3600 + given - owed);
    }

    // When the first period began of those in which, one after the other, the node said nothing while the lease ran and
    // somebody listened.
    function _silentSince(Ghost storage g, uint256 period, bool back) private view returns (uint256 begins) {
        begins = period * _period();
        while (!back && !_hasBeaten(g.node, --period)) {
            uint256 earlier = begins - _period();
            if (earlier < g.startedAt || earlier <= watchedSince) break;
            begins = earlier;
        }
    }

    function _nameOf(bool spent, bool paused, bool back, bool unheard) private pure returns (bytes32) {
        if (spent) return "slashMissed with nothing left";
        if (paused) return "slashMissed of a paused node";
        if (unheard) return "slashMissed under a new contract";
        return back ? bytes32("slashMissed of one who is back") : bytes32("slashMissed");
    }

    // ---- what is no proof ------------------------------------------------------------------------

    function _attackSilence(uint64 id, Ghost storage g, uint256 roll) internal {
        uint256 kind = roll % 12;
        roll >>= 8;
        if (kind == 0) return _beatTwice(id, operators[roll % 3]);
        if (kind == 1) return _evict(id, g, roll);
        uint256 period = _now() / _period() - 1;
        if (kind == 2) {
            bytes memory call = abi.encodeCall(heartbeats.slashMissed, (Manager(stranger), id, uint40(period)));
            bytes4 unknown = Heartbeats.NotManager.selector;
            return _refused("slashMissed of no market", KIND, id, finder, address(heartbeats), call, unknown);
        }
        if (kind == 3) {
            id = _youngest(id);
            g = ghosts[id];
        }
        if (g.state == State.Running && !g.home) period = _aimed(g, kind, roll);
        // A tiny rate may end beyond any period that can be named.
        if (period <= type(uint40).max) _proof(id, g, period);
    }

    // The lease that started last, if any runs: for others the period before it is too long ago.
    function _youngest(uint64 id) private view returns (uint64) {
        uint256 latest;
        for (uint256 i = 0; i < live.length; ++i) {
            Ghost storage g = ghosts[live[i]];
            if (g.state != State.Running || g.home || g.paused || g.startedAt <= latest) continue;
            (id, latest) = (live[i], g.startedAt);
        }
        return id;
    }

    // A period that is likely to be refused, each kind for another reason.
    function _aimed(Ghost storage g, uint256 kind, uint256 roll) private returns (uint256) {
        (uint256 first, uint256 last) = _provable(g);
        uint256 now_ = _now() / _period();
        if (kind == 3) return first - 1;
        if (kind == 4) return _endOf(g) / _period();
        if (kind == 5) {
            // As often as not at the last second before the time is up.
            if (first <= last) first = last + 1;
            _until(first * _period() + _period() * 3 / 4 - 1, roll);
            return first;
        }
        if (kind == 6) return first;
        if (kind == 7) return now_ - 2;
        if (kind == 8 && roll % 2 == 0) _watchAnew();
        if (kind == 8) return watchedSince / _period() - (roll >> 8) % 2;
        return _lastBeatOf(g.node);
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
