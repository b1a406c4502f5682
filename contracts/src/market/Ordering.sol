// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.28;

import {DeployParams, Order, ReopenReason, Selection, State, Terms} from "../Types.sol";
import {Cid} from "../Cid.sol";
import {Tidings} from "../Tidings.sol";
import {Market} from "./Market.sol";

/// @title Orders: from a publication to an agent that is wanted
/// @notice A raw CID proves the artifact's hash here and now; a dag-pb CID waits for a quorum of nodes.
abstract contract Ordering is Market {
    // ---- deploying -------------------------------------------------------------------------------

    /// @notice Order a publication to be run. The payment moves from the caller into escrow.
    /// @return id the deployment's number
    function deploy(DeployParams calldata params) external nonReentrant returns (uint64 id) {
        (bool own, bytes32 digest, bool dagPb) = _ownArtifact(params);
        id = _deploy(params, own, digest, dagPb);
    }

    /// @notice As `deploy`, under terms of the order's own. By another selection than the lowest price it needs the
    /// reputation that it chooses by.
    function deployUnder(DeployParams calldata params, Terms calldata terms)
        external
        nonReentrant
        returns (uint64 id)
    {
        uint256 length = bytes(terms.provider).length;
        if (length > PROVIDER_BYTES_MAX) revert ProviderTooLong(length, PROVIDER_BYTES_MAX);
        Selection selection = terms.selection;
        if (selection != Selection.LowestPrice && Tidings.namedBy(nodes) == address(0)) revert NoReputation();
        (bool own, bytes32 digest, bool dagPb) = _ownArtifact(params);
        DeployParams memory copy = params;
        id = _place(copy, own, digest, dagPb);
        _leases[id].selection = selection;
        emit OrderTerms(id, selection, terms.provider);
        _pay(id, copy);
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

    // The CID that a deployment brings itself, if any.
    function _ownArtifact(DeployParams calldata params) private pure returns (bool own, bytes32 digest, bool dagPb) {
        own = params.artifactCid.length != 0;
        if (own) (digest, dagPb) = Cid.parse(params.artifactCid);
    }

    function _deploy(DeployParams memory params, bool own, bytes32 digest, bool dagPb) private returns (uint64 id) {
        id = _place(params, own, digest, dagPb);
        _pay(id, params);
    }

    function _place(DeployParams memory params, bool own, bytes32 digest, bool dagPb) private returns (uint64 id) {
        if (params.payment == 0) revert PaymentZero();
        Order memory order;
        (id, order) = _create(params, own, digest, dagPb, 0);
        bytes32 agentKey = keccak256(bytes(order.agentId));
        _listOrder(agentKey, id);
        emit Deployed(id, msg.sender, agentKey, order);
    }

    function _pay(uint64 id, DeployParams memory params) private {
        _link(id, params);
        escrow.deposit(id, msg.sender, params.payment);
    }

    // Store owner, publication and whatever differs from it.
    function _create(DeployParams memory params, bool own, bytes32 digest, bool dagPb, uint8 flags)
        private
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
    function _link(uint64 id, DeployParams memory params) private {
        if (params.supersedesMarket == address(0)) return;
        if (params.supersedesMarket == address(this)) {
            Lease storage old = _leases[params.supersedesId];
            if (old.owner != msg.sender) revert NotOwner(params.supersedesId, msg.sender);
            if (old.state < State.Stopped) revert NotSuperseded(params.supersedesId, old.state);
        }
        emit Superseded(id, params.supersedesMarket, params.supersedesId);
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
