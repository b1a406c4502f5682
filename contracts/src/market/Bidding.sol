// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.28;

import {Selection, State} from "../Types.sol";
import {LowestPrice} from "../LowestPrice.sol";
import {Market} from "./Market.sol";

/// @title Bids: from an order to a node
/// @notice The leading bid is kept and no other, so nothing here grows with their number.
abstract contract Bidding is Market {
    /// @notice Offer to run an order for `rate` token units per hour. With a bid window of 0, or once the
    /// window has passed without a bid, the bid is assigned at once. While a bid leads, `lockHours` of its rate
    /// are locked of the node's stake. An order whose bids are sealed takes none of these before its window has passed.
    function bid(uint64 id, uint128 rate) external {
        _bid(id, rate);
    }

    /// @notice Offer to run the one open order of `agentId` for `price` token units per hour.
    function bid(string calldata agentId, uint256 price) external {
        OpenOrders storage open = _openOrders[keccak256(bytes(agentId))];
        (uint64 count, uint128 sum) = (open.count, open.sum);
        if (count == 0) revert NoOpenOrder(agentId);
        if (count > 1) revert Ambiguous(agentId, count);
        _bid(uint64(sum), price);
    }

    /// @notice Give the order to the leading bidder once bids are closed. Anyone may.
    function assign(uint64 id) external {
        Lease storage lease = _leaseIn(id, State.Open);
        if (lease.node == address(0)) revert NoBids(id);
        if (block.timestamp < lease.moment) revert BiddingOpen(id, lease.moment);
        _assign(id, lease, lease.node, lease.rate);
    }

    function _bid(uint64 id, uint256 rate) private {
        Lease storage lease = _lease(id);
        (address leader, uint256 standing, State state, uint8 flags) =
            (lease.node, lease.rate, lease.state, lease.flags);
        if (state == State.Unverified) revert NotVerified(id, _attestations[id], quorum);
        if (state != State.Open) revert WrongState(id, state);
        Selection selection = lease.selection;
        bool isSealed = selection >= Selection.SealedPrice;
        uint256 moment = lease.moment;
        bool closed = block.timestamp >= moment;
        if (isSealed && !closed) revert BidsSealed(id, uint64(moment));
        if (rate == 0) revert RateZero();
        if (flags & ONLY_NODE != 0 && _extras[id].onlyNode != msg.sender) revert OnlyNode(id, _extras[id].onlyNode);
        _requireNotBarred(id, lease);
        bool first = leader == address(0);
        if (selection == Selection.LowestPrice || first) {
            if (!LowestPrice.leads(first, standing, rate)) revert NotBetter(id, rate, standing);
        } else if (!isSealed) {
            _requireLeads(id, lease, selection, leader, standing, rate);
        }
        if (closed && !first) revert BiddingClosed(id, uint64(moment));
        if (!first) nodes.unlock(leader, standing * lockHours);
        nodes.lock(msg.sender, rate * lockHours);
        lease.node = msg.sender;
        // At most the order's limit, which fits.
        lease.rate = uint80(rate);
        emit BidPlaced(id, msg.sender, uint128(rate));
        if (closed) _assign(id, lease, msg.sender, rate);
    }

    // Whoever is better known may lead at a higher price, up to the order's limit.
    function _requireLeads(
        uint64 id,
        Lease storage lease,
        Selection selection,
        address leader,
        uint256 standing,
        uint256 rate
    ) private view {
        uint256 limit = _limit(id, lease);
        if (rate > limit) revert NotBetter(id, rate, limit);
        if (!_outbids(id, selection, leader, standing, rate)) revert NotBetter(id, rate, standing);
    }

    function _assign(uint64 id, Lease storage lease, address node, uint256 rate) private {
        uint64 ackBy = uint64(block.timestamp) + ackTimeout;
        uint24 publicationId = lease.publication;
        _save(lease, lease.owner, ackBy, publicationId, lease.incarnation, State.Assigned, lease.flags);
        _unlistOrder(publicationId, id);
        emit Assigned(id, node, uint128(rate), ackBy);
    }
}
