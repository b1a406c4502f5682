// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.28;

import {State} from "../../src/Types.sol";
import {Escrow} from "../../src/Escrow.sol";
import {NodesEvents} from "../../src/NodesEvents.sol";
import {MarketEvents} from "../../src/market/MarketEvents.sol";
import {WorkActs} from "./WorkActs.sol";

/// Calls to one deployment in the wrong state, by the wrong caller, at the wrong time, or with the wrong figures.
abstract contract LeaseAttacks is WorkActs {
    // A call, the states in which it is possible (a bit for each), who may make it then, and how others are refused.
    struct Door {
        bytes32 name;
        uint256 states;
        address by;
        bytes4 notYours;
        bytes call;
    }

    uint256 private constant DOORS = 19;
    uint256 private constant OPEN = 1 << uint256(State.Open);
    uint256 private constant UNVERIFIED = 1 << uint256(State.Unverified);
    uint256 private constant ASSIGNED = 1 << uint256(State.Assigned);
    uint256 private constant RUNNING = 1 << uint256(State.Running);
    uint256 private constant LIVE = OPEN | UNVERIFIED | ASSIGNED | RUNNING;

    function _attackLease(uint64 id, Ghost storage g, uint256 roll) internal {
        uint256 kind = roll % 6;
        roll >>= 8;
        if (kind == 0) _wrongState(id, g, roll);
        else if (kind == 1) _wrongCaller(id, g, roll);
        else if (kind == 2) _wrongTime(id, g, roll);
        else if (kind == 3) _wrongFigures(id, g, roll);
        else if (kind == 4) _attackReputation(id, g, roll);
        else _attackSilence(id, g, roll);
    }

    function _door(uint256 k, uint64 id, Ghost storage g) private view returns (Door memory door) {
        address node = g.node == address(0) ? bob : g.node;
        bytes4 notOwner = MarketEvents.NotOwner.selector;
        bytes4 notNode = MarketEvents.NotNode.selector;
        uint32 next = g.incarnation + 1;
        if (k == 0) return Door("assign", OPEN, stranger, 0, abi.encodeCall(manager.assign, (id)));
        if (k == 1) return Door("reopen", ASSIGNED, stranger, 0, abi.encodeCall(manager.reopen, (id)));
        if (k == 2) return Door("expire", RUNNING, stranger, 0, abi.encodeCall(manager.expire, (id)));
        if (k == 3) return Door("settle", RUNNING, stranger, 0, abi.encodeCall(manager.settle, (id)));
        if (k == 4) return Door("ackStart", ASSIGNED, node, notNode, abi.encodeCall(manager.ackStart, (id, next)));
        if (k == 5) return Door("pause", RUNNING, g.owner, notOwner, abi.encodeCall(manager.pause, (id)));
        if (k == 6) return Door("resume", RUNNING, g.owner, notOwner, abi.encodeCall(manager.resume, (id)));
        if (k == 7) return Door("update", RUNNING, g.owner, notOwner, _update(id, rawPublication, ""));
        if (k == 8) return Door("ackUpdate", RUNNING, node, notNode, _ackUpdate(id, g.revision, next));
        if (k == 9) {
            return
                Door("rejectUpdate", RUNNING, node, notNode, abi.encodeCall(manager.rejectUpdate, (id, g.revision, "")));
        }
        if (k == 10) {
            bytes4 unknown = NodesEvents.NotRegistered.selector;
            return Door("attest", UNVERIFIED, node, unknown, abi.encodeCall(manager.attest, (id)));
        }
        if (k == 11) {
            bytes4 notOperator = MarketEvents.NotOperator.selector;
            return Door("reject", LIVE ^ RUNNING, node, notOperator, abi.encodeCall(manager.reject, (id, "no")));
        }
        if (k == 12) return Door("stop", LIVE, g.owner, notOwner, abi.encodeCall(manager.stop, (id)));
        if (k == 13) return Door("deposit", LIVE, client, 0, abi.encodeCall(manager.deposit, (id, 1)));
        if (k == 14) {
            bytes memory ask = abi.encodeCall(manager.requestClientWithdraw, (id, 1));
            return Door("requestClientWithdraw", LIVE, g.owner, notOwner, ask);
        }
        if (k == 15) {
            return Door("clientWithdraw", LIVE, g.owner, notOwner, abi.encodeCall(manager.clientWithdraw, (id)));
        }
        if (k == 16) return Door("commitBid", OPEN, bob, 0, abi.encodeCall(manager.commitBid, (id, "sealed")));
        if (k == 17) return Door("revealBid", OPEN, bob, 0, abi.encodeCall(manager.revealBid, (id, 1, "salt")));
        return Door("bid", OPEN, bob, 0, abi.encodeWithSignature("bid(uint64,uint128)", id, uint128(1)));
    }

    // The doors in an order of the roll's; their number is a prime, so every step leads by all of them.
    function _at(uint256 i, uint256 roll) private pure returns (uint256) {
        return (roll + i * (1 + (roll >> 64) % (DOORS - 1))) % DOORS;
    }

    // I4: each call, by whom it belongs to, in each state that knows it not.
    function _wrongState(uint64 id, Ghost storage g, uint256 roll) private {
        for (uint256 i = 0; i < DOORS; ++i) {
            Door memory door = _door(_at(i, roll), id, g);
            if (door.states & 1 << uint256(g.state) != 0) continue;
            bytes4 why = MarketEvents.WrongState.selector;
            if (door.name == "bid" && g.state == State.Unverified) why = MarketEvents.NotVerified.selector;
            return _refused(door.name, "wrong state", id, door.by, address(manager), door.call, why);
        }
    }

    function _wrongCaller(uint64 id, Ghost storage g, uint256 roll) private {
        address caller = _other(g, roll);
        for (uint256 i = 0; i < DOORS; ++i) {
            Door memory door = _door(_at(i, roll), id, g);
            if (door.notYours == 0 || door.states & 1 << uint256(g.state) == 0) continue;
            bool forNodes = door.name == "attest" || door.name == "reject";
            // At home nothing is rejected and nothing withdrawn, whoever asks.
            bool orders = forNodes || door.name == "requestClientWithdraw" || door.name == "clientWithdraw";
            if (g.home && orders) continue;
            // The lease's node may stop it while it runs; any node may attest and reject.
            if (forNodes) caller = roll & 1 << 40 == 0 ? stranger : client;
            else if (caller == door.by || (door.name == "stop" && g.state == State.Running && caller == g.node)) continue;
            return _refused(door.name, "wrong caller", id, caller, address(manager), door.call, door.notYours);
        }
    }

    // The other side of the lease, another node, or somebody who has no part in it.
    function _other(Ghost storage g, uint256 roll) private view returns (address) {
        uint256 which = (roll >> 24) % 8;
        if (which == 0) return stranger;
        if (which == 1) return client;
        if (which == 2) return g.owner;
        if (which == 3 && g.node != address(0)) return g.node;
        return operators[which % 3];
    }

    // ---- too early, too late ---------------------------------------------------------------------

    function _wrongTime(uint64 id, Ghost storage g, uint256 roll) private {
        if (g.state != State.Running && roll % 4 == 0) return _earlyWithdrawal(id, g, roll >> 8);
        if (g.state == State.Open) return _earlyAssign(id, g, roll >> 8);
        if (g.state == State.Assigned) return _earlyReopen(id, g, roll >> 8);
        if (g.state != State.Running) return;
        bytes memory expire = abi.encodeCall(manager.expire, (id));
        if (g.home) {
            bytes4 home = MarketEvents.HomeLease.selector;
            return _refused("expire of a home", "wrong time", id, stranger, address(manager), expire, home);
        }
        if (roll % 2 == 0) return _earlyWithdrawal(id, g, roll >> 8);
        if (roll % 8 == 1) _until(_endOf(g), 0);
        if (_used(g) == g.deposited) {
            bytes memory late = abi.encodeCall(manager.deposit, (id, 1));
            bytes4 ranOut = MarketEvents.RanOut.selector;
            return _refused("deposit after the end", "wrong time", id, client, address(manager), late, ranOut);
        }
        _until(_endOf(g) - 1, roll >> 8);
        bytes4 lasts = MarketEvents.NotRunOut.selector;
        _refused("expire before the end", "wrong time", id, stranger, address(manager), expire, lasts);
    }

    function _earlyAssign(uint64 id, Ghost storage g, uint256 roll) private {
        bytes memory call = abi.encodeCall(manager.assign, (id));
        (address leader,) = leading(id);
        if (leader == address(0)) {
            bytes4 none = MarketEvents.NoBids.selector;
            return _refused("assign without a bid", "wrong time", id, stranger, address(manager), call, none);
        }
        if (_now() >= g.deadline) return;
        _until(g.deadline - 1, roll);
        bytes4 open = MarketEvents.BiddingOpen.selector;
        _refused("assign before the end", "wrong time", id, stranger, address(manager), call, open);
    }

    function _earlyReopen(uint64 id, Ghost storage g, uint256 roll) private {
        bytes memory call = abi.encodeCall(manager.reopen, (id));
        if (g.home) {
            bytes4 home = MarketEvents.HomeLease.selector;
            return _refused("reopen of a home", "wrong time", id, stranger, address(manager), call, home);
        }
        if (_now() > g.deadline) return;
        _until(g.deadline, roll);
        bytes4 pending = MarketEvents.AckPending.selector;
        _refused("reopen while the ack may come", "wrong time", id, stranger, address(manager), call, pending);
    }

    function _earlyWithdrawal(uint64 id, Ghost storage g, uint256 roll) private {
        if (g.home || g.state >= State.Stopped) return;
        bytes memory call = abi.encodeCall(manager.clientWithdraw, (id));
        if (g.withdrawal == 0) {
            bytes4 none = MarketEvents.NoWithdrawal.selector;
            return _refused("clientWithdraw unannounced", "wrong time", id, g.owner, address(manager), call, none);
        }
        if (_now() < g.withdrawalAt) {
            _until(g.withdrawalAt - 1, roll);
            bytes4 early = MarketEvents.NoticeRuns.selector;
            return _refused("clientWithdraw in the notice", "wrong time", id, g.owner, address(manager), call, early);
        }
        if (g.withdrawal <= g.deposited - _used(g)) return;
        bytes4 tooMuch = Escrow.InsufficientLine.selector;
        _refused("clientWithdraw of what is due", "wrong time", id, g.owner, address(manager), call, tooMuch);
    }

    // ---- what does not fit -----------------------------------------------------------------------

    function _wrongFigures(uint64 id, Ghost storage g, uint256 roll) private {
        if (g.state == State.Running) return _wrongInLease(id, g, roll);
        if (g.state == State.None || g.state >= State.Stopped) return;
        if (g.state == State.Assigned && roll % 2 == 0) return _wrongAck(id, g, roll >> 8);
        if (g.home) return;
        address node = operators[(roll >> 8) % 3];
        uint256 bit = 1 << _index(node);
        if (g.barred & bit != 0) {
            bytes memory again = abi.encodeCall(manager.reject, (id, "no"));
            bytes4 barred = MarketEvents.Barred.selector;
            return _refused("reject twice", "wrong figures", id, node, address(manager), again, barred);
        }
        if (g.state == State.Unverified && g.attested & bit != 0 && _mayAttest(g, _index(node))) {
            bytes memory again = abi.encodeCall(manager.attest, (id));
            bytes4 twice = MarketEvents.AlreadyAttested.selector;
            _refused("attest twice", "wrong figures", id, node, address(manager), again, twice);
        }
    }

    function _wrongAck(uint64 id, Ghost storage g, uint256 roll) private {
        address other = operators[roll % 3];
        if (!g.home && other != g.node && g.barred & 1 << roll % 3 == 0) {
            bytes memory call = abi.encodeCall(manager.reject, (id, "no"));
            bytes4 notNode = MarketEvents.NotNode.selector;
            return _refused("reject of another's lease", "wrong figures", id, other, address(manager), call, notNode);
        }
        bytes memory ack = abi.encodeCall(manager.ackStart, (id, g.incarnation));
        bytes4 stale = MarketEvents.StaleIncarnation.selector;
        _refused("ackStart of a former start", "wrong figures", id, g.node, address(manager), ack, stale);
    }

    function _wrongInLease(uint64 id, Ghost storage g, uint256 roll) private {
        uint256 what = roll % 6;
        if (what == 0) return _settleTwice(id, g);
        (bytes32 name, address by, bytes memory call, bytes4 why) = ("", g.owner, bytes(""), bytes4(0));
        if (what == 1) {
            name = g.paused ? bytes32("pause twice") : bytes32("resume unpaused");
            call = g.paused ? abi.encodeCall(manager.pause, (id)) : abi.encodeCall(manager.resume, (id));
            why = g.paused ? MarketEvents.AlreadyPaused.selector : MarketEvents.NotPaused.selector;
        } else if (what == 2) {
            (name, why) = ("update to another agent", MarketEvents.AnotherAgent.selector);
            call = _update(id, otherPublication, "");
        } else if (what == 3) {
            (name, why) = ("update to other bytes", MarketEvents.ArtifactCidMismatch.selector);
            call = _update(id, nextPublication, _raw(CONFIG));
        } else if (what == 4 && g.asked != 0) {
            (name, by, why) = ("ackUpdate of a former start", g.node, MarketEvents.StaleIncarnation.selector);
            call = _ackUpdate(id, g.revision, g.incarnation);
        } else {
            name = g.asked == 0 ? bytes32("ackUpdate unasked") : bytes32("ackUpdate of another request");
            (by, why) = (g.node, MarketEvents.NoUpdate.selector);
            uint32 revision = g.asked == 0 ? g.revision : roll & 1 << 8 == 0 ? g.revision - 1 : g.revision + 1;
            call = _ackUpdate(id, revision, g.incarnation + 1);
        }
        _refused(name, "wrong figures", id, by, address(manager), call, why);
    }

    // No error, since anyone may settle at any time; but the second one pays nothing and changes nothing.
    function _settleTwice(uint64 id, Ghost storage g) private {
        uint256 before = escrow.claimable(g.node);
        uint256 amount = manager.settle(id);
        eq(escrow.claimable(g.node) - before, amount, "I3 settled once");
        g.paid = _used(g);
        bytes32 seen = _seen(id);
        eq(manager.settle(id), 0, "I3 settled twice");
        if (_seen(id) != seen) revert ChangedBy("settle twice", "wrong figures");
        _count("settle");
        _count("settle twice", "wrong figures");
    }

    function _update(uint64 id, uint64 publication, bytes memory cid) private view returns (bytes memory) {
        return abi.encodeCall(manager.update, (id, publication, 0, cid));
    }

    function _ackUpdate(uint64 id, uint32 revision, uint32 incarnation) private view returns (bytes memory) {
        return abi.encodeCall(manager.ackUpdate, (id, revision, incarnation));
    }
}
