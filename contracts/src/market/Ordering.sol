// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.28;

import {DeployParams, Order, ReopenReason, State} from "../Types.sol";
import {Cid} from "../Cid.sol";
import {Placing} from "./Placing.sol";

/// @title Orders: from a publication to an agent that is wanted
/// @notice A raw CID proves the artifact's hash here and now; a dag-pb CID waits for a quorum of nodes.
abstract contract Ordering is Placing {
    // ---- deploying -------------------------------------------------------------------------------

    /// @notice Order a publication to be run. The payment moves from the caller into escrow.
    /// @return id the deployment's number
    function deploy(DeployParams calldata params) external nonReentrant returns (uint64 id) {
        (bool own, bytes32 digest, bool dagPb) = _ownArtifact(params);
        id = _deploy(params, own, digest, dagPb);
    }

    /// @notice Order the caller's own newest publication of `agentId`, fetched by `ipfsCid`.
    /// @param ipfsCid text form of the artifact's CID
    /// @param payment token units
    function deploy(string calldata agentId, string calldata ipfsCid, uint256 payment)
        external
        nonReentrant
        returns (uint64 id)
    {
        uint64 publicationId = _latest[_latestKey(msg.sender, keccak256(bytes(agentId)))];
        if (publicationId == 0) revert NotPublished(msg.sender, agentId);
        (bytes32 digest, bool dagPb) = Cid.parseText(ipfsCid);
        if (payment > type(uint96).max) revert AmountTooLarge(payment, type(uint96).max);
        DeployParams memory params = DeployParams(publicationId, uint128(payment), 0, 0, "", address(0), address(0), 0);
        id = _deploy(params, true, digest, dagPb);
    }

    /// @notice Take a publication into one's own house: the caller is a node's operator and runs it itself,
    /// without payment, without end. Assigned at once.
    /// @param params `payment`, `maxRate` and `onlyNode` must be zero
    function deployHome(DeployParams calldata params) external nonReentrant returns (uint64 id) {
        if (!nodes.isRegistered(msg.sender)) revert NotOperator(msg.sender);
        if (params.payment != 0) revert HomeLease(0);
        if (params.maxRate != 0) revert RateTooHigh(params.maxRate, 0);
        if (params.onlyNode != address(0)) revert OnlyNode(0, params.onlyNode);
        (bool own, bytes32 digest, bool dagPb) = _ownArtifact(params);
        Order memory order;
        (id, order) = _create(params, own, digest, dagPb, HOME);
        emit Deployed(id, msg.sender, keccak256(bytes(order.agentId)), order);
        emit Assigned(id, msg.sender, 0, 0);
        _link(id, params);
    }

    // ---- attesting, rejecting --------------------------------------------------------------------

    /// @notice A node says that the bytes behind the order's dag-pb CID have the artifact's hash.
    function attest(uint64 id) external {
        Lease storage lease = _leaseIn(id, State.Unverified);
        _requireNotBarred(id, lease);
        nodes.requireEligible(msg.sender, 0);
        if (_attested[id][msg.sender]) revert AlreadyAttested(id, msg.sender);
        _attested[id][msg.sender] = true;
        uint8 count = ++_attestations[id];
        emit Attested(id, msg.sender, count);
        if (count >= quorum) {
            uint64 ends = uint64(block.timestamp) + _publications[lease.publication].bidWindow;
            lease.moment = uint32(ends);
            lease.state = State.Open;
            emit Verified(id, ends);
        }
    }

    /// @notice A node will not run this order, and says why. It is barred from this order and from nothing
    /// else. The leading bidder loses its bid, the assigned node its assignment; the order goes on.
    function reject(uint64 id, string calldata reason) external {
        _checkReason(reason);
        Lease storage lease = _lease(id);
        State state = lease.state;
        if (state != State.Unverified && state != State.Open && state != State.Assigned) {
            revert WrongState(id, state);
        }
        if (lease.flags & HOME != 0) revert HomeLease(id);
        if (!nodes.isRegistered(msg.sender)) revert NotOperator(msg.sender);
        _requireNotBarred(id, lease);
        bool assigned = state == State.Assigned;
        if (assigned && msg.sender != lease.node) revert NotNode(id, msg.sender);
        _bar(id, lease, msg.sender);
        emit Rejected(id, msg.sender, reason);
        if (msg.sender == lease.node) _reopen(id, lease, ReopenReason.Rejected, assigned);
    }
}
