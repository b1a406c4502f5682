// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.28;

import {DeployParams, Offer, State} from "../../src/Types.sol";
import {NodesEvents} from "../../src/NodesEvents.sol";
import {MarketEvents} from "../../src/market/MarketEvents.sol";
import {OrderActs} from "./OrderActs.sol";

/// Offers of all kinds, taken by the client: good ones, and ones that are another's, too late, too small or spent.
/// Which of them are good is decided here.
abstract contract OfferActs is OrderActs {
    bytes32 private constant KIND = "refused";

    function _anyOffer(uint256 roll) internal {
        uint256 k = (roll >> 8) % 3;
        address node = operators[k];
        DeployParams memory params;
        params.publication = roll >> 176 & 1 == 0 ? nextPublication : rawPublication;
        params.payment = uint128(1 + (roll >> 16) % 200 ether);
        params.maxRate = uint128(1 + (roll >> 96) % (roll % 4 == 0 ? 4000 ether : 100 ether));
        Offer memory offer = _offer(node, nonces[node]);
        offer.rate = uint128(1 + (roll >> 32) % params.maxRate);
        if ((roll >> 48) % 2 == 0) offer.client = client;
        if ((roll >> 49) % 4 == 0) params.onlyNode = node;
        // The last second, as often as not.
        if ((roll >> 51) % 2 == 0) offer.validUntil = uint64(_now());
        (bytes32 flaw, bytes4 why) = _spoil(params, offer, roll % 20, k);
        (address market, uint256 key) = (address(manager), _key(k));
        if (flaw == "deployWith of another's") key = _key((k + 1) % 3);
        if (flaw == "deployWith for another market") market = address(nodes);
        bytes memory signature = _sign(key, offer, market);
        if (flaw == "deployWith of an altered one") offer.rate = offer.rate == 1 ? 2 : offer.rate - 1;
        bytes memory call = abi.encodeCall(manager.deployWith, (params, offer, signature));
        if (flaw == 0) (flaw, why) = _unfit(node, offer.rate);
        if (flaw != 0) return _refused(flaw, KIND, manager.deployments(), client, address(manager), call, why);
        _count("deployWith");
        _allowed(client, address(manager), call);
        ++nonces[node];
        _taken(manager.deployments(), params, offer);
    }

    function _taken(uint64 id, DeployParams memory params, Offer memory offer) private {
        _new(id, State.Assigned, client, params);
        Ghost storage g = ghosts[id];
        (g.node, g.rate, g.deadline) = (offer.node, offer.rate, _now() + ACK_TIMEOUT);
        // The one bid that there was.
        bids[id][g.round].push(Bid(offer.node, offer.rate));
        ghostNodes[offer.node].locked += uint256(offer.rate) * LOCK_HOURS;
    }

    // One thing at most is wrong; zero where none is.
    function _spoil(DeployParams memory params, Offer memory offer, uint256 kind, uint256 k)
        private
        returns (bytes32, bytes4)
    {
        if (kind == 0) {
            offer.validUntil = uint64(_now() - 1);
            return ("deployWith too late", MarketEvents.OfferExpired.selector);
        }
        if (kind == 1) {
            offer.client = stranger;
            return ("deployWith for another client", MarketEvents.OfferForAnother.selector);
        }
        if (kind == 2) {
            offer.upTo.memoryBytes -= 1;
            return ("deployWith of too little", MarketEvents.OfferTooSmall.selector);
        }
        if (kind == 3) {
            offer.rate = params.maxRate + 1;
            return ("deployWith above the limit", MarketEvents.RateTooHigh.selector);
        }
        if (kind == 4 && offer.nonce != 0) {
            offer.nonce -= 1;
            return ("deployWith of a spent one", MarketEvents.OfferUsed.selector);
        }
        if (kind == 5) return ("deployWith of another's", MarketEvents.OfferNotSigned.selector);
        if (kind == 6) return ("deployWith for another market", MarketEvents.OfferNotSigned.selector);
        if (kind == 7) return ("deployWith of an altered one", MarketEvents.OfferNotSigned.selector);
        if (kind == 8) {
            params.artifactCid = _dagPb(CONFIG);
            return ("deployWith for a tree", MarketEvents.ArtifactCidNotRaw.selector);
        }
        if (kind == 9) {
            params.onlyNode = operators[(k + 1) % 3];
            return ("deployWith for another node", MarketEvents.OnlyNode.selector);
        }
        if (kind == 10) {
            _count("revokeOffer");
            vm.prank(offer.node);
            manager.revokeOffer(nonces[offer.node]++);
            return ("deployWith of a revoked one", MarketEvents.OfferUsed.selector);
        }
        return (0, 0);
    }

    // Why the node may not take a lease at this rate; zero where it may.
    function _unfit(address node, uint256 rate) private view returns (bytes32, bytes4) {
        GhostNode storage n = ghostNodes[node];
        if (n.paused) return ("deployWith of a paused node", NodesEvents.NodeIsPaused.selector);
        if (n.stake < STAKE) return ("deployWith below least stake", NodesEvents.StakeTooLow.selector);
        if (n.stake - n.locked < rate * LOCK_HOURS) {
            return ("deployWith without free stake", NodesEvents.FreeStakeTooLow.selector);
        }
        return (0, 0);
    }

    function _key(uint256 k) private pure returns (uint256) {
        return k == 0 ? BOB_KEY : k == 1 ? CAROL_KEY : DAVE_KEY;
    }
}
