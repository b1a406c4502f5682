// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.28;

import {ECDSA} from "@openzeppelin/contracts/utils/cryptography/ECDSA.sol";
import {MessageHashUtils} from "@openzeppelin/contracts/utils/cryptography/MessageHashUtils.sol";
import {DeployParams, Offer, Order, Resources, State} from "../Types.sol";
import {Placing} from "./Placing.sol";

/// @title Offers: an order that finds its node in the same transaction
/// @notice A node signs what it would run, and at what price; a client who has the signature deploys with it and waits
/// for nobody's bid. What it signs for is the Manager, on whose state this runs.
abstract contract Offers is Placing {
    bytes32 private constant DOMAIN_TYPE =
        keccak256("EIP712Domain(string name,string version,uint256 chainId,address verifyingContract)");
    bytes32 private constant RESOURCES_TYPE = keccak256("Resources(uint32 cpuMillis,uint64 memoryBytes,bool gpu)");
    bytes32 private constant OFFER_TYPE = keccak256(
        "Offer(address node,address client,Resources upTo,uint128 rate,uint64 validUntil,uint64 nonce)"
        "Resources(uint32 cpuMillis,uint64 memoryBytes,bool gpu)"
    );
    bytes32 private constant NAME = keccak256("nisse");
    bytes32 private constant VERSION = keccak256("1");

    /// @notice Order a publication to be run by the node that offers it, which is assigned at once. Its stake is locked
    /// as by a bid, it acknowledges or rejects as it would after one, and the order can open again like any other.
    /// @param params as of `deploy`; the artifact's CID must be raw, `onlyNode` the offer's node or zero
    /// @param offer within which the order's resources must be, at a rate within its limit
    /// @param signature of the offer by its node: r, s, v
    /// @return id the deployment's number
    function deployWith(DeployParams calldata params, Offer calldata offer, bytes calldata signature)
        external
        nonReentrant
        returns (uint64 id)
    {
        if (params.payment == 0) revert PaymentZero();
        _take(offer, signature);
        (bool own, bytes32 digest, bool dagPb) = _ownArtifact(params);
        Order memory order;
        (id, order) = _create(params, own, digest, dagPb, 0);
        if (!order.verified) revert ArtifactCidNotRaw();
        _requireFits(id, order, offer);
        order.biddingEnds = uint64(block.timestamp);
        emit Deployed(id, msg.sender, keccak256(bytes(order.agentId)), order);
        _link(id, params);
        _assign(id, offer.node, offer.rate);
        escrow.deposit(id, msg.sender, params.payment);
    }

    /// @notice Take an offer of the caller's back before anybody takes it.
    function revokeOffer(uint64 nonce) external {
        _use(msg.sender, nonce);
        emit OfferRevoked(msg.sender, nonce);
    }

    /// @notice Whether a node's offer of this nonce was taken, or taken back.
    function offerUsed(address node, uint64 nonce) external view returns (bool) {
        return _offerBits[node][nonce >> 8] >> (nonce & 255) & 1 != 0;
    }

    // ---- inside ----------------------------------------------------------------------------------

    function _take(Offer calldata offer, bytes calldata signature) private {
        if (block.timestamp > offer.validUntil) revert OfferExpired(offer.validUntil, uint64(block.timestamp));
        if (offer.client != address(0) && offer.client != msg.sender) revert OfferForAnother(offer.client, msg.sender);
        if (offer.rate == 0) revert RateZero();
        // What is wrong with a signature makes no difference: then it is nobody's.
        // slither-disable-next-line unused-return
        (address signer,,) = ECDSA.tryRecover(_digest(offer), signature);
        if (signer == address(0) || signer != offer.node) revert OfferNotSigned(offer.node, signer);
        _use(offer.node, offer.nonce);
    }

    function _use(address node, uint64 nonce) private {
        uint256 bits = _offerBits[node][nonce >> 8];
        uint256 bit = 1 << (nonce & 255);
        if (bits & bit != 0) revert OfferUsed(node, nonce);
        _offerBits[node][nonce >> 8] = bits | bit;
    }

    function _requireFits(uint64 id, Order memory order, Offer calldata offer) private pure {
        (Resources memory needed, Resources calldata upTo) = (order.resources, offer.upTo);
        bool fits = needed.cpuMillis <= upTo.cpuMillis && needed.memoryBytes <= upTo.memoryBytes;
        if (!fits || (needed.gpu && !upTo.gpu)) revert OfferTooSmall(needed, upTo);
        if (offer.rate > order.maxRate) revert RateTooHigh(offer.rate, order.maxRate);
        if (order.onlyNode != address(0) && order.onlyNode != offer.node) revert OnlyNode(id, order.onlyNode);
    }

    // The order was never open, so it is in no list.
    function _assign(uint64 id, address node, uint128 rate) private {
        nodes.lock(node, uint256(rate) * lockHours);
        Lease storage lease = _leases[id];
        // At most the order's limit, which fits.
        (lease.node, lease.rate) = (node, uint80(rate));
        uint64 ackBy = uint64(block.timestamp) + ackTimeout;
        _save(lease, msg.sender, ackBy, lease.publication, 0, State.Assigned, lease.flags);
        emit BidPlaced(id, node, rate);
        emit Assigned(id, node, rate, ackBy);
    }

    // The domain is made up each time, since only in a call is it known whose state this works on.
    function _digest(Offer calldata offer) private view returns (bytes32) {
        Resources calldata upTo = offer.upTo;
        bytes32 resources = keccak256(abi.encode(RESOURCES_TYPE, upTo.cpuMillis, upTo.memoryBytes, upTo.gpu));
        bytes32 hash = keccak256(
            abi.encode(
                OFFER_TYPE, offer.node, offer.client, resources, offer.rate, offer.validUntil, offer.nonce
            )
        );
        bytes32 domain = keccak256(abi.encode(DOMAIN_TYPE, NAME, VERSION, block.chainid, address(this)));
        return MessageHashUtils.toTypedDataHash(domain, hash);
    }
}
