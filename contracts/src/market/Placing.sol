// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.28;

import {DeployParams, Order, State} from "../Types.sol";
import {Cid} from "../Cid.sol";
import {Market} from "./Market.sol";

/// @title How a deployment is written down
/// @notice Shared by all ways to order; each of them then says what becomes of it.
abstract contract Placing is Market {
    // The CID that a deployment brings itself, if any.
    function _ownArtifact(DeployParams calldata params) internal pure returns (bool own, bytes32 digest, bool dagPb) {
        own = params.artifactCid.length != 0;
        if (own) (digest, dagPb) = Cid.parse(params.artifactCid);
    }

    function _deploy(DeployParams memory params, bool own, bytes32 digest, bool dagPb) internal returns (uint64 id) {
        id = _place(params, own, digest, dagPb);
        _pay(id, params);
    }

    function _place(DeployParams memory params, bool own, bytes32 digest, bool dagPb) internal returns (uint64 id) {
        if (params.payment == 0) revert PaymentZero();
        Order memory order;
        (id, order) = _create(params, own, digest, dagPb, 0);
        bytes32 agentKey = keccak256(bytes(order.agentId));
        _listOrder(agentKey, id);
        emit Deployed(id, msg.sender, agentKey, order);
    }

    function _pay(uint64 id, DeployParams memory params) internal {
        _link(id, params);
        escrow.deposit(id, msg.sender, params.payment);
    }

    // Store owner, publication and whatever differs from it.
    function _create(DeployParams memory params, bool own, bytes32 digest, bool dagPb, uint8 flags)
        internal
        returns (uint64 id, Order memory order)
    {
        Record storage p = _known(params.publication);
        id = ++deployments;
        Extra storage extra = _extras[id];
        if (!own) (dagPb, digest) = (p.dagPb, p.dagPb ? p.artifactDigest : p.artifactHash);
        order = _describe(params.publication, p, digest, dagPb, params.configHash);
        if (!dagPb && digest != order.artifactHash) revert ArtifactCidMismatch(digest, order.artifactHash);
        order.payment = params.payment;
        order.verified = !dagPb;
        if (dagPb) {
            flags |= DAG_PB;
            extra.artifactDigest = digest;
        }
        if (params.configHash != 0) {
            flags |= OWN_CONFIG;
            extra.configHash = params.configHash;
        }
        if (params.onlyNode != address(0)) {
            flags |= ONLY_NODE;
            extra.onlyNode = params.onlyNode;
            order.onlyNode = params.onlyNode;
        }
        if (params.maxRate != 0) {
            flags |= OWN_LIMIT;
            extra.maxRate = _rate(params.maxRate);
            order.maxRate = params.maxRate;
        }
        if (params.supersedesMarket != address(0)) {
            flags |= SUPERSEDES;
            extra.supersedesMarket = params.supersedesMarket;
            extra.supersedesId = params.supersedesId;
        }
        order.home = flags & HOME != 0;
        if (order.home) {
            (order.maxRate, order.verified) = (0, true);
            _leases[id].node = msg.sender;
        } else {
            if (order.maxRate == 0) revert RateZero();
            _leases[id].rate = uint80(order.maxRate);
            if (!dagPb) order.biddingEnds = uint64(block.timestamp) + order.bidWindow;
        }
        State state = order.home ? State.Assigned : dagPb ? State.Unverified : State.Open;
        _save(_leases[id], msg.sender, order.biddingEnds, params.publication, 0, state, flags);
    }

    // A link within this market must be the caller's own, ended deployment.
    function _link(uint64 id, DeployParams memory params) internal {
        if (params.supersedesMarket == address(0)) return;
        if (params.supersedesMarket == address(this)) {
            Lease storage old = _leases[params.supersedesId];
            if (old.owner != msg.sender) revert NotOwner(params.supersedesId, msg.sender);
            if (old.state < State.Stopped) revert NotSuperseded(params.supersedesId, old.state);
        }
        emit Superseded(id, params.supersedesMarket, params.supersedesId);
    }
}
