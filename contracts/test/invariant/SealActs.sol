// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.28;

import {State} from "../../src/Types.sol";
import {NodesEvents} from "../../src/NodesEvents.sol";
import {MarketEvents} from "../../src/market/MarketEvents.sol";
import {BidActs} from "./BidActs.sol";

/// Rounds of sealed bids: commitments of all kinds, what is revealed of them and what is not, too early, too late, by
/// another or of another rate. Which of them count and what they lock is decided here.
abstract contract SealActs is BidActs {
    bytes32 private constant KIND = "refused";
    uint256 private constant COMMITS_MAX = 24;

    uint256 private _salts;

    function _reject(uint64 id, Ghost storage g, uint256 k) internal virtual;

    /// Some of a round of an order that is open: nodes commit, one may reject it or pause, mostly the time to
    /// reveal comes, and some do.
    function _round(uint64 id, Ghost storage g, uint256 roll) internal {
        uint256 from = _revealsFrom(g);
        if (_now() < from) {
            for (uint256 i = 0; i < 2 + roll % 4; ++i) {
                _anyCommit(id, g, uint256(keccak256(abi.encode(roll, i))));
            }
            uint256 k = (roll >> 56) % 3;
            if ((roll >> 64) % 8 == 0) _reject(id, g, k);
            else if ((roll >> 64) % 8 < 3 && !ghostNodes[operators[k]].paused) _pause(operators[k]);
            uint256 then = (roll >> 8) % 8;
            if (then == 0) return _earlyReveal(id, g, from, roll >> 16);
            if (then == 1) return;
            _pass(from - _now() + (then < 4 ? 0 : (roll >> 16) % 100));
        }
        if ((roll >> 32) % 8 == 0) {
            bytes4 closed = MarketEvents.CommitClosed.selector;
            bytes memory call = abi.encodeCall(manager.commitBid, (id, bytes32(roll)));
            _refused("commitBid too late", KIND, id, operators[(roll >> 40) % 3], address(manager), call, closed);
        }
        for (uint256 i = 0; i < 1 + (roll >> 48) % 4; ++i) {
            _anyReveal(id, g, uint256(keccak256(abi.encode(roll, i))));
        }
    }

    /// An order whose round is over, or whose bids are not sealed at all.
    function _noRound(uint64 id, Ghost storage g, uint256 roll) internal {
        bool over = _isSealed(g);
        bytes4 why = over ? MarketEvents.RevealNotOpen.selector : MarketEvents.NotSealed.selector;
        address node = operators[roll % 3];
        if (!over && (roll >> 8) % 2 == 0) {
            bytes memory commit_ = abi.encodeCall(manager.commitBid, (id, bytes32(roll)));
            return _refused("commitBid on a plain order", KIND, id, node, address(manager), commit_, why);
        }
        bytes32 name = over ? bytes32("revealBid too late") : bytes32("revealBid on a plain order");
        (uint256 place, bool found) = _ofRound(id, g, roll >> 16);
        uint128 rate = found ? commits[place].rate : 1;
        if (found) node = commits[place].node;
        bytes memory call = abi.encodeCall(manager.revealBid, (id, rate, found ? commits[place].salt : bytes32(0)));
        _refused(name, KIND, id, node, address(manager), call, why);
    }

    // ---- committing ------------------------------------------------------------------------------

    function _anyCommit(uint64 id, Ghost storage g, uint256 roll) private {
        if (commits.length >= COMMITS_MAX) return;
        address node = roll % 16 == 0 ? stranger : operators[(roll >> 8) % 3];
        uint128 rate = uint128(_anyRate(id, g, roll >> 16));
        (uint256 place, bool found) = _ofRound(id, g, roll >> 128);
        // Now and then the same as another's, or the same again.
        if (found && (roll >> 136) % 8 == 0) rate = commits[place].rate;
        if ((roll >> 152) % 8 == 0) rate = uint128(g.limit + 1);
        bool twice = found && (roll >> 144) % 8 == 0;
        uint64 ends = uint64(g.deadline);
        bytes32 salt = bytes32(++_salts);
        bytes32 commitment = _commitment(id, ends, node, rate, salt);
        if (twice) (node, commitment) = (commits[place].node, commits[place].commitment);
        bytes memory call = abi.encodeCall(manager.commitBid, (id, commitment));
        (bytes32 flaw, bytes4 why) = _unfit(g, node, twice);
        if (flaw != 0) return _refused(flaw, KIND, id, node, address(manager), call, why);
        _count("commitBid");
        _allowed(node, address(manager), call);
        commits.push(Commit(id, node, ends, rate, g.limit, salt, commitment));
        ghostNodes[node].locked += g.limit * LOCK_HOURS;
    }

    // Why the node may not commit; zero where it may.
    function _unfit(Ghost storage g, address node, bool twice) private view returns (bytes32, bytes4) {
        GhostNode storage n = ghostNodes[node];
        if (g.only != address(0) && g.only != node) {
            return ("commitBid on another's order", MarketEvents.OnlyNode.selector);
        }
        if (_isBarred(g, node)) return ("commitBid of a barred node", MarketEvents.Barred.selector);
        if (twice) return ("commitBid twice", MarketEvents.AlreadyCommitted.selector);
        if (node == stranger) return ("commitBid of a stranger", NodesEvents.NotRegistered.selector);
        bytes4 why = _ineligible(n, n.locked, g.limit * LOCK_HOURS);
        if (why == NodesEvents.NodeIsPaused.selector) return ("commitBid of a paused node", why);
        if (why == NodesEvents.StakeTooLow.selector) return ("commitBid below the least stake", why);
        return why == 0 ? (bytes32(0), why) : (bytes32("commitBid without free stake"), why);
    }

    function _ineligible(GhostNode storage n, uint256 locked, uint256 amount) private view returns (bytes4) {
        if (n.paused) return NodesEvents.NodeIsPaused.selector;
        if (n.stake < STAKE) return NodesEvents.StakeTooLow.selector;
        return n.stake - locked < amount ? NodesEvents.FreeStakeTooLow.selector : bytes4(0);
    }

    // ---- revealing -------------------------------------------------------------------------------

    // One that is outstanding of the order's present round, from a place of the roll's on.
    function _ofRound(uint64 id, Ghost storage g, uint256 roll) private view returns (uint256 place, bool found) {
        uint256 count = commits.length;
        for (uint256 i = 0; i < count; ++i) {
            place = (roll % count + i) % count;
            if (commits[place].id == id && commits[place].ends == g.deadline) return (place, true);
        }
    }

    function _forget(uint256 place) private {
        commits[place] = commits[commits.length - 1];
        commits.pop();
    }

    function _earlyReveal(uint64 id, Ghost storage g, uint256 from, uint256 roll) private {
        (uint256 place, bool found) = _ofRound(id, g, roll);
        if (!found) return;
        _until(from - 1, roll >> 8);
        Commit memory c = commits[place];
        bytes memory call = abi.encodeCall(manager.revealBid, (id, c.rate, c.salt));
        bytes4 early = MarketEvents.RevealNotOpen.selector;
        _refused("revealBid too early", KIND, id, c.node, address(manager), call, early);
    }

    function _anyReveal(uint64 id, Ghost storage g, uint256 roll) private {
        (uint256 place, bool found) = _ofRound(id, g, roll);
        if (!found) return;
        Commit memory c = commits[place];
        uint256 kind = (roll >> 8) % 24;
        bytes4 none = MarketEvents.NotCommitted.selector;
        if (kind == 0) {
            bytes memory other = abi.encodeCall(manager.revealBid, (id, c.rate ^ 1, c.salt));
            return _refused("revealBid of another rate", KIND, id, c.node, address(manager), other, none);
        }
        bytes memory call = abi.encodeCall(manager.revealBid, (id, c.rate, c.salt));
        if (kind == 1) {
            address by = operators[(_index(c.node) + 1) % 3];
            return _refused("revealBid of another's", KIND, id, by, address(manager), call, none);
        }
        bytes4 barred = MarketEvents.Barred.selector;
        if (_isBarred(g, c.node)) {
            return _refused("revealBid of a barred node", KIND, id, c.node, address(manager), call, barred);
        }
        _revealOf(id, g, place, c, call);
    }

    function _revealOf(uint64 id, Ghost storage g, uint256 place, Commit memory c, bytes memory call) private {
        (address leader, uint256 standing) = leading(id);
        Lead storage lead = leads[id][g.round];
        Lead memory was = lead;
        bool valid = c.rate != 0 && c.rate <= g.limit;
        bool first = valid && _behind(id, g, c.node, c.rate, leader, standing) == 0;
        GhostNode storage n = ghostNodes[c.node];
        uint256 locked = _less(n.locked, c.limit * LOCK_HOURS);
        if (first) {
            uint256 after_ = leader == c.node ? _less(locked, standing * LOCK_HOURS) : locked;
            bytes4 why = _ineligible(n, after_, c.rate * LOCK_HOURS);
            if (why != 0) {
                // As if it had not bid.
                leads[id][g.round] = was;
                return _refused("revealBid of an unfit node", KIND, id, c.node, address(manager), call, why);
            }
        }
        if (first) _count("revealBid");
        else _count(valid ? bytes32("revealBid behind") : bytes32("revealBid of no bid"));
        _allowed(c.node, address(manager), call);
        _forget(place);
        n.locked = locked;
        if (first) _unlockHolder(id, g);
        if (valid) bids[id][g.round].push(Bid(c.node, c.rate));
        if (!first) return;
        (lead.node, lead.rate, lead.newcomer) = (c.node, c.rate, reputation.isNewcomer(c.node));
        n.locked += c.rate * LOCK_HOURS;
    }

    // ---- taking back -----------------------------------------------------------------------------

    function _anyReclaim(uint256 roll) internal {
        uint256 place = roll % commits.length;
        Commit memory c = commits[place];
        Ghost storage g = ghosts[c.id];
        bytes4 why = MarketEvents.NotCommitted.selector;
        if ((roll >> 8) % 16 == 0) {
            address other = operators[(_index(c.node) + 1) % 3];
            bytes memory nobodys = abi.encodeCall(manager.reclaimBid, (c.id, other, c.commitment));
            return _refused("reclaimBid of nothing", KIND, c.id, stranger, address(manager), nobodys, why);
        }
        bytes memory call = abi.encodeCall(manager.reclaimBid, (c.id, c.node, c.commitment));
        bool over = g.state >= State.Stopped || (g.state == State.Open && g.deadline != c.ends);
        uint256 until = c.ends + LOCK_HOURS * 1 hours;
        if (!over && _now() < until) {
            // Now and then at the last second before.
            if ((roll >> 16) % 64 == 0) _until(until - 1, 0);
            why = MarketEvents.BidHeld.selector;
            return _refused("reclaimBid too early", KIND, c.id, c.node, address(manager), call, why);
        }
        _count(_now() < until ? bytes32("reclaimBid at once") : bytes32("reclaimBid in time"));
        _allowed(roll >> 24 & 1 == 0 ? stranger : c.node, address(manager), call);
        _forget(place);
        GhostNode storage n = ghostNodes[c.node];
        n.locked = _less(n.locked, c.limit * LOCK_HOURS);
    }
}
