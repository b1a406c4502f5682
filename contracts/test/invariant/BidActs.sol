// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.28;

import {Deployment, State} from "../../src/Types.sol";
import {Refusals} from "./Refusals.sol";

/// Bids of all kinds: lower, equal and higher, by nodes in good standing and not, before the window's end and after.
/// Which of them count is decided here, by the rules as the design tells them and without asking the market; I9 is
/// that the lowest of those wins.
abstract contract BidActs is Refusals {
    function _anyBid(uint64 id, Ghost storage g, uint256 roll) internal {
        address bidder = roll % 16 == 0 ? stranger : operators[(roll >> 8) % 3];
        _bidOf(id, g, bidder, _anyRate(id, g, roll >> 16), roll >> 128);
    }

    function _anyRate(uint64 id, Ghost storage g, uint256 roll) internal view returns (uint256) {
        (, uint256 standing) = lowest(id);
        if (standing == 0) standing = g.limit;
        uint256 how = roll % 16;
        roll >>= 4;
        if (how < 6) return standing == 1 ? 1 : 1 + roll % (standing - 1);
        if (how == 6) return standing - 1;
        if (how < 9) return standing;
        if (how < 12) return standing + roll % (g.limit - standing + 1);
        if (how == 12) return g.limit;
        if (how == 13) return g.limit + 1;
        if (how == 14) return roll % 2 == 0 ? 0 : uint256(uint128(roll << 80 | g.limit));
        return 1 + roll % g.limit;
    }

    function _bidOf(uint64 id, Ghost storage g, address bidder, uint256 rate, uint256 roll) internal {
        bytes32 flaw = _flaw(id, g, bidder, rate);
        (address leader, uint256 standing) = lowest(id);
        bool literal = roll % 2 == 0 && g.state == State.Open && _open[g.publication] == 1;
        bytes memory call = literal
            ? abi.encodeWithSignature("bid(string,uint256)", _agentOf(g.publication), rate)
            : abi.encodeWithSignature("bid(uint64,uint128)", id, uint128(rate));
        if (flaw == 0 && leader != address(0) && rate >= standing) {
            flaw = rate == standing ? bytes32("bid equal to the lowest") : bytes32("bid above the lowest");
            bids[id][g.round].push(Bid(bidder, rate));
        }
        if (flaw != 0) return _refused(flaw, "refused", id, bidder, address(manager), call, 0);
        _count(literal ? bytes32("bid literal") : bytes32("bid"));
        _unlockHolder(id, g);
        _allowed(bidder, address(manager), call);
        bids[id][g.round].push(Bid(bidder, rate));
        ghostNodes[bidder].locked += rate * LOCK_HOURS;
        if (_now() >= g.deadline) _toAssigned(id, g);
    }

    /// Why a bid does not count; zero where it does.
    function _flaw(uint64 id, Ghost storage g, address bidder, uint256 rate) internal view returns (bytes32) {
        GhostNode storage n = ghostNodes[bidder];
        (address leader, uint256 standing) = lowest(id);
        if (g.state != State.Open) return "bid on what is not open";
        if (bidder == stranger) return "bid of a stranger";
        if (rate == 0) return "bid of nothing";
        if (rate > g.limit) return "bid above the limit";
        if (leader != address(0) && _now() >= g.deadline) return "bid after the window";
        if (_isBarred(g, bidder)) return "bid of a barred node";
        if (n.paused) return "bid of a paused node";
        if (g.only != address(0) && g.only != bidder) return "bid on another's order";
        if (n.stake < STAKE) return "bid below the least stake";
        // What the bidder's own leading bid holds, its next one may have.
        uint256 locked = leader == bidder ? _less(n.locked, standing * LOCK_HOURS) : n.locked;
        if (n.stake - locked < rate * LOCK_HOURS) return "bid without free stake";
        return 0;
    }

    function _toAssigned(uint64 id, Ghost storage g) internal {
        (g.node, g.rate) = lowest(id);
        g.deadline = _now() + ACK_TIMEOUT;
        _to(g, State.Assigned);
        Deployment memory d = manager.deployment(id);
        eq(d.node, g.node, "I9 the lowest valid bid wins");
        eq(d.rate, g.rate, "I9 at its rate");
    }
}
