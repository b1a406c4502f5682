// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.28;

import {Publication, Resources} from "../Types.sol";
import {Cid} from "../Cid.sol";
import {Market} from "./Market.sol";

/// @title Making packages known
/// @notice A publication is immutable and precedes every deployment.
abstract contract Publishing is Market {
    /// @notice Make a package known. The record is immutable; a later one of the same publisher and agent id
    /// takes its place for deployments yet to come.
    /// @param manifestCid binary raw CID of agent.yaml, whose digest must be `manifestHash`
    /// @param artifactCid binary CID; where raw, its digest must be `artifactHash`
    /// @return id the publication's number
    function publish(
        string calldata agentId,
        bytes calldata manifestCid,
        bytes32 manifestHash,
        bytes calldata artifactCid,
        bytes32 artifactHash,
        bytes32 configHash,
        Resources calldata resources,
        uint128 maxRate,
        uint32 bidWindow,
        uint64 gasBudget
    ) external returns (uint64 id) {
        {
            (bytes32 digest, bool dagPb) = Cid.parse(manifestCid);
            if (dagPb) revert ManifestCidNotRaw();
            if (digest != manifestHash) revert ManifestCidMismatch(digest, manifestHash);
        }
        _nameHash(agentId);
        if (artifactHash == 0) revert ArtifactHashZero();
        if (resources.cpuMillis == 0 || resources.memoryBytes == 0) revert ResourcesZero();
        if (resources.memoryBytes > type(uint56).max) revert AmountTooLarge(resources.memoryBytes, type(uint56).max);
        if (gasBudget > type(uint48).max) revert AmountTooLarge(gasBudget, type(uint48).max);
        if (bidWindow > BID_WINDOW_MAX) revert BidWindowTooLong(bidWindow, BID_WINDOW_MAX);
        id = ++publications;
        Record storage p = _publications[id];
        {
            (bytes32 digest, bool dagPb) = Cid.parse(artifactCid);
            if (dagPb) {
                p.dagPb = true;
                p.artifactDigest = digest;
            } else if (digest != artifactHash) {
                revert ArtifactCidMismatch(digest, artifactHash);
            }
        }
        p.publisher = msg.sender;
        p.maxRate = _rate(maxRate);
        p.gpu = resources.gpu;
        p.manifestHash = manifestHash;
        p.artifactHash = artifactHash;
        p.configHash = configHash;
        p.memoryBytes = uint56(resources.memoryBytes);
        p.cpuMillis = resources.cpuMillis;
        p.gasBudget = uint48(gasBudget);
        p.bidWindow = uint24(bidWindow);
        p.publishedAt = uint64(block.timestamp);
        p.agentId = agentId;
        bytes32 agentKey = keccak256(bytes(agentId));
        _latest[_latestKey(msg.sender, agentKey)] = id;
        _openOrders[agentKey].mark = true;
        emit Published(id, msg.sender, agentKey, _publication(id));
    }
}
