// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.28;

import {Deployment, Selection, State} from "../../src/Types.sol";
import {MarketEvents} from "../../src/market/MarketEvents.sol";
import {Refusals} from "./Refusals.sol";

/// Bids of all kinds: lower, equal and higher, by nodes in good standing and not, before the window's end and after.
/// Which of them count is decided here, by the rules as the design tells them and without asking the market; I9 is
/// that the lowest of those wins, or the best where the order chooses by what nodes are known for. I15 is what becomes
/// of newcomers: where an established node bids too, they win one order in five at most.
abstract contract BidActs is Refusals {
    bytes32 private constant SEALED = "bid on a sealed order";

    function _anyBid(uint64 id, Ghost storage g, uint256 roll) internal {
        address bidder = roll % 16 == 0 ? stranger : operators[(roll >> 8) % 3];
        _bidOf(id, g, bidder, _anyRate(id, g, roll >> 16), roll >> 128);
    }

    // The best known of the operators, or the least.
    function _extreme(bool best) internal view returns (address found) {
        for (uint256 k = 0; k < 3; ++k) {
            address node = operators[k];
            if (found == address(0) || best == (reputation.scoreOf(node) > reputation.scoreOf(found))) found = node;
        }
    }

    function _anyRate(uint64 id, Ghost storage g, uint256 roll) internal view returns (uint256) {
        (, uint256 standing) = leading(id);
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
        (address leader, uint256 standing) = leading(id);
        bool literal = roll % 2 == 0 && g.state == State.Open && _open[g.publication] == 1;
        bytes memory call = literal
            ? abi.encodeWithSignature("bid(string,uint256)", _agentOf(g.publication), rate)
            : abi.encodeWithSignature("bid(uint64,uint128)", id, uint128(rate));
        if (flaw == 0) {
            flaw = _behind(id, g, bidder, rate, leader, standing);
            if (flaw != 0) bids[id][g.round].push(Bid(bidder, rate));
        }
        bytes4 why = flaw == SEALED ? MarketEvents.BidsSealed.selector : bytes4(0);
        if (flaw != 0) return _refused(flaw, "refused", id, bidder, address(manager), call, why);
        _count(literal ? bytes32("bid literal") : bytes32("bid"));
        _unlockHolder(id, g);
        _allowed(bidder, address(manager), call);
        bids[id][g.round].push(Bid(bidder, rate));
        Lead storage lead = leads[id][g.round];
        (lead.node, lead.rate, lead.newcomer) = (bidder, rate, reputation.isNewcomer(bidder));
        ghostNodes[bidder].locked += rate * LOCK_HOURS;
        if (_now() >= g.deadline) _toAssigned(id, g);
    }

    /// Why a bid that counts does not lead; zero where it does.
    function _behind(uint64 id, Ghost storage g, address bidder, uint256 rate, address leader, uint256 standing)
        internal
        returns (bytes32)
    {
        if (_byPrice(g)) {
            if (leader == address(0) || rate < standing) return 0;
            return rate == standing ? bytes32("bid equal to the lowest") : bytes32("bid above the lowest");
        }
        Lead storage lead = leads[id][g.round];
        bool newcomer = reputation.isNewcomer(bidder);
        if (!newcomer) lead.establishedBid = true;
        if (leader == address(0)) return 0;
        bool led = lead.newcomer;
        lead.newcomer = reputation.isNewcomer(leader);
        if (lead.newcomer && !led) lead.fell = true;
        if (!lead.newcomer) lead.establishedBid = true;
        if (id % 5 == 0) return rate < standing ? bytes32(0) : bytes32("bid above the lowest of a fifth");
        if (newcomer && !lead.newcomer) return "bid of a newcomer";
        if (!newcomer && lead.newcomer) return 0;
        (uint256 score, uint256 against) = (reputation.scoreOf(bidder), reputation.scoreOf(leader));
        if (g.selection != Selection.HighestReputation) {
            bool better = rate * (20_000 - score) < standing * (20_000 - against);
            return better ? bytes32(0) : bytes32("bid behind by score");
        }
        if (score > against || (score == against && rate < standing)) return 0;
        return score < against ? bytes32("bid of a lesser known node") : bytes32("bid of an equally known node");
    }

    /// Why a bid does not count; zero where it does.
    function _flaw(uint64 id, Ghost storage g, address bidder, uint256 rate) internal view returns (bytes32) {
        GhostNode storage n = ghostNodes[bidder];
        (address leader, uint256 standing) = leading(id);
        if (g.state != State.Open) return "bid on what is not open";
        if (_isSealed(g) && _now() < g.deadline) return SEALED;
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
        (g.node, g.rate) = leading(id);
        g.deadline = _now() + ACK_TIMEOUT;
        _to(g, State.Assigned);
        if (!_byPrice(g)) _isFair(id, leads[id][g.round]);
        Deployment memory d = manager.deployment(id);
        eq(d.node, g.node, "I9 the lowest valid bid wins");
        eq(d.rate, g.rate, "I9 at its rate");
    }

    function _isFair(uint64 id, Lead storage lead) private {
        if (!lead.establishedBid) return _count("won among newcomers");
        if (lead.fell) return;
        if (!lead.newcomer) return _count("won by an established node");
        _count("won by a newcomer of a fifth");
        yes(id % 5 == 0, "I15 newcomers win an order in five");
    }
}
