// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.28;

import {Publication, Resources, State} from "../Types.sol";
import {Cid} from "../Cid.sol";
import {MarketEvents} from "./MarketEvents.sol";
import {Records} from "./Records.sol";

/// @title The market's state
/// @notice All that the Manager stores, and how it is read. Nothing here is known at creation, so that another
/// contract's code can answer questions on it.
abstract contract Storage is MarketEvents, Records {
    /// @notice Number of the newest publication; numbers start at 1.
    uint24 public publications;
    /// @notice Number of the newest deployment; numbers start at 1.
    uint64 public deployments;

    // Code that the Manager runs on its own state reads what it never wrote itself.
    // slither-disable-start uninitialized-state
    mapping(uint64 publication => Record) internal _publications;
    mapping(bytes32 publisherAndAgent => uint64) internal _latest;
    mapping(bytes32 agentKey => OpenOrders) internal _openOrders;
    mapping(uint64 deployment => Lease) internal _leases;
    mapping(uint64 deployment => Extra) internal _extras;
    mapping(uint64 deployment => Update) internal _updates;
    mapping(uint64 deployment => Withdrawal) internal _withdrawals;
    mapping(uint64 deployment => uint8) internal _attestations;
    mapping(uint64 deployment => mapping(address node => bool)) internal _attested;
    // Missed acks and leases lost by silence; type(uint8).max = barred.
    mapping(uint64 deployment => mapping(address node => uint8)) internal _misses;

    // A bit for each nonce: taken or revoked.
    mapping(address node => mapping(uint256 nonceOver256 => uint256)) internal _offerBits;

    mapping(bytes32 deploymentNodeAndCommitment => Commitment) internal _commitments;
    // slither-disable-end uninitialized-state

    // ---- reading it ------------------------------------------------------------------------------

    function _lease(uint64 id) internal view returns (Lease storage lease) {
        lease = _leases[id];
        if (lease.state == State.None) revert UnknownDeployment(id);
    }

    function _limit(uint64 id, Lease storage lease) internal view returns (uint80) {
        return lease.flags & OWN_LIMIT != 0 ? _extras[id].maxRate : _publications[lease.publication].maxRate;
    }

    function _accrued(Lease storage lease) internal view returns (uint256) {
        return uint256(lease.rate) * (block.timestamp - lease.moment) / 1 hours;
    }

    function _due(Lease storage lease, uint256 deposited, uint256 paid) internal view returns (uint256) {
        uint256 accrued = _accrued(lease);
        uint256 total = accrued < deposited ? accrued : deposited;
        return total > paid ? total - paid : 0;
    }

    // The first second at which the whole of `deposited` is due.
    function _lastsUntil(Lease storage lease, uint256 deposited) internal view returns (uint64) {
        uint256 rate = lease.rate;
        uint256 seconds_ = (deposited * 1 hours + rate - 1) / rate;
        uint256 ends = lease.moment + seconds_;
        return ends < type(uint64).max ? uint64(ends) : type(uint64).max;
    }

    function _known(uint64 id) internal view returns (Record storage p) {
        p = _publications[id];
        if (p.cpuMillis == 0) revert UnknownPublication(id);
    }

    function _publication(uint64 id) internal view returns (Publication memory view_) {
        Record storage p = _publications[id];
        view_.id = id;
        view_.publisher = p.publisher;
        view_.agentId = p.agentId;
        view_.manifestCid = Cid.encode(p.manifestHash, false);
        view_.manifestHash = p.manifestHash;
        view_.artifactCid = Cid.encode(p.dagPb ? p.artifactDigest : p.artifactHash, p.dagPb);
        view_.artifactHash = p.artifactHash;
        view_.configHash = p.configHash;
        view_.resources = Resources(p.cpuMillis, p.memoryBytes, p.gpu);
        view_.maxRate = p.maxRate;
        view_.bidWindow = p.bidWindow;
        view_.gasBudget = p.gasBudget;
        view_.publishedAt = p.publishedAt;
    }

    function _latestKey(address publisher, bytes32 agentKey) internal pure returns (bytes32) {
        return keccak256(abi.encode(publisher, agentKey));
    }
}
