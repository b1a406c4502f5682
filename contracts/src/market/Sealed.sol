// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.28;

import {Selection, State} from "../Types.sol";
import {LowestPrice} from "../LowestPrice.sol";
import {Market} from "./Market.sol";

/// @title Sealed bids: nobody bids by what another has bid
/// @notice In the first part of a round nodes commit to rates that nobody sees, in its last `bidWindow / 2` seconds
/// they reveal what they committed to, and the best of what was revealed leads. A round ends when bids close, and its
/// end is its name: each round of an order ends later than the one before. A commitment locks stake for the order's
/// limit, since its rate is not known, and what is not revealed is free again late: else one with many nodes would
/// commit to many rates and reveal the highest that wins.
abstract contract Sealed is Market {
    /// @notice Commit to a rate, in the first part of a round of a sealed order. `lockHours` of the order's limit are
    /// locked of the node's stake until it reveals; it may commit to several rates, and each locks.
    /// @param commitment keccak256 of `abi.encode(chain id, the Manager, id, uint64 end of the round, node, uint128
    /// rate, bytes32 salt)`; the end is `deployment(id).deadline`, and the salt must be one that nobody guesses
    function commitBid(uint64 id, bytes32 commitment) external {
        Lease storage lease = _leaseIn(id, State.Open);
        (uint64 from, uint64 ends) = _reveals(id, lease);
        if (block.timestamp >= from) revert CommitClosed(id, from);
        if (lease.flags & ONLY_NODE != 0 && _extras[id].onlyNode != msg.sender) {
            revert OnlyNode(id, _extras[id].onlyNode);
        }
        _requireNotBarred(id, lease);
        Commitment storage made = _commitments[_commitmentKey(id, msg.sender, commitment)];
        if (made.roundEnds != 0) revert AlreadyCommitted(id, commitment);
        uint80 limit = _limit(id, lease);
        (made.roundEnds, made.limit) = (uint32(ends), limit);
        emit BidCommitted(id, msg.sender, commitment, ends);
        nodes.lock(msg.sender, uint256(limit) * lockHours);
    }

    /// @notice Reveal a commitment, in the last part of its round. What it locked is free again; if the bid leads,
    /// `lockHours` of its rate are locked instead. One that does not lead is no error. A node that has rejected the
    /// order since reveals nothing: it could take back any rate that it no longer wants.
    /// @param rate token units per hour
    function revealBid(uint64 id, uint128 rate, bytes32 salt) external {
        Lease storage lease = _leaseIn(id, State.Open);
        (uint64 from, uint64 ends) = _reveals(id, lease);
        if (block.timestamp < from || block.timestamp >= ends) revert RevealNotOpen(id, from, ends);
        bytes32 commitment = keccak256(abi.encode(block.chainid, address(this), id, ends, msg.sender, rate, salt));
        bytes32 key = _commitmentKey(id, msg.sender, commitment);
        (uint64 roundEnds, uint256 limit) = _committed(key);
        if (roundEnds != ends) revert NotCommitted(id, msg.sender, commitment);
        _requireNotBarred(id, lease);
        delete _commitments[key];
        emit BidRevealed(id, msg.sender, rate);
        nodes.unlock(msg.sender, limit * lockHours);
        (address leader, uint256 standing, Selection selection) = (lease.node, lease.rate, lease.selection);
        if (!_takesLead(id, selection, leader, standing, rate, limit)) return;
        if (leader != address(0)) nodes.unlock(leader, standing * lockHours);
        nodes.lock(msg.sender, uint256(rate) * lockHours);
        // At most the order's limit, which fits.
        (lease.node, lease.rate) = (msg.sender, uint80(rate));
        emit BidPlaced(id, msg.sender, rate);
    }

    /// @notice Free what a commitment that was not revealed has locked: at once where the order has ended or is open in
    /// another round, else `lockHours` hours after its round's end. Anyone may, for the node.
    function reclaimBid(uint64 id, address node, bytes32 commitment) external {
        bytes32 key = _commitmentKey(id, node, commitment);
        (uint64 roundEnds, uint256 limit) = _committed(key);
        if (roundEnds == 0) revert NotCommitted(id, node, commitment);
        Lease storage lease = _leases[id];
        State state = lease.state;
        if (state < State.Stopped && (state != State.Open || lease.moment == roundEnds)) {
            uint64 until = roundEnds + uint64(lockHours) * 1 hours;
            if (block.timestamp < until) revert BidHeld(id, until);
        }
        delete _commitments[key];
        emit BidReclaimed(id, node, commitment);
        nodes.unlock(node, limit * lockHours);
    }

    /// @notice A commitment that was neither revealed nor reclaimed; zeros for none.
    /// @return roundEnds unix time of the end of its round
    /// @return rate token units per hour, of which `lockHours` are locked: the order's limit when it was made
    function sealedBid(uint64 id, address node, bytes32 commitment)
        external
        view
        returns (uint64 roundEnds, uint128 rate)
    {
        Commitment storage made = _commitments[_commitmentKey(id, node, commitment)];
        return (made.roundEnds, made.limit);
    }

    // ---- inside ----------------------------------------------------------------------------------

    // A round's commitments are revealed from the one second on, and before the other. An update may have brought a
    // window without room for both parts: in such a round nothing can be committed to.
    function _reveals(uint64 id, Lease storage lease) private view returns (uint64 from, uint64 ends) {
        if (lease.selection < Selection.SealedPrice) revert NotSealed(id);
        ends = lease.moment;
        uint256 window = _publications[lease.publication].bidWindow;
        from = ends - uint64(window < SEALED_WINDOW_MIN ? window : window / 2);
    }

    function _committed(bytes32 key) private view returns (uint64 roundEnds, uint256 limit) {
        Commitment storage made = _commitments[key];
        (roundEnds, limit) = (made.roundEnds, made.limit);
    }

    function _takesLead(
        uint64 id,
        Selection selection,
        address leader,
        uint256 standing,
        uint256 rate,
        uint256 limit
    ) private view returns (bool) {
        if (rate == 0) return false;
        bool first = leader == address(0);
        if (first || selection == Selection.SealedPrice) return LowestPrice.leads(first, standing, rate);
        // A reputation knows nothing of seals.
        return rate <= limit && _outbids(id, Selection.Score, leader, standing, rate);
    }

    function _commitmentKey(uint64 id, address node, bytes32 commitment) private pure returns (bytes32) {
        return keccak256(abi.encode(id, node, commitment));
    }
}
