// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.28;

import {Deployment, Publication, Resources, State} from "../Types.sol";
import {Cid} from "../Cid.sol";
import {Market} from "./Market.sol";
import {Storage} from "./Storage.sol";

/// @title The market's long answers
/// @notice Code alone: the Manager makes this contract and runs it on its own state, since one contract may not
/// be as large as both (EIP-170). Asked directly it knows of nothing.
contract Views is Storage {
    /// @notice The newest publication of `agentId` by `publisher`.
    function publication(address publisher, string calldata agentId) external view returns (Publication memory) {
        uint64 id = _latest[_latestKey(publisher, keccak256(bytes(agentId)))];
        if (id == 0) revert NotPublished(publisher, agentId);
        return _publication(id);
    }

    /// @notice One publication by number.
    function publicationById(uint64 id) external view returns (Publication memory) {
        _known(id);
        return _publication(id);
    }

    /// @notice The time that a node has been paid for, in unix time: it goes from the start of its lease without a
    /// gap, since money runs by the second and what was paid stays paid. What a silent node lost is not in it.
    /// @return node zero where the deployment is at home or has not been started since it was last open
    /// @return from when money began to run
    /// @return until the first second by which all that was paid had come due
    function paidTime(uint64 id) external view returns (address node, uint64 from, uint64 until) {
        Lease storage lease = _lease(id);
        from = lease.moment;
        if (lease.state < State.Running || lease.flags & HOME != 0 || from == 0) return (address(0), 0, 0);
        // What is deposited has no part in what was paid.
        // slither-disable-next-line unused-return
        (, uint128 paid) = Market(address(this)).escrow().lineOf(id);
        return (lease.node, from, _lastsUntil(lease, paid));
    }

    /// @notice Everything about one deployment.
    function deployment(uint64 id) external view returns (Deployment memory d) {
        Lease storage lease = _lease(id);
        Record storage p = _publications[lease.publication];
        Extra storage extra = _extras[id];
        (State state, uint8 flags) = (lease.state, lease.flags);
        bool home = flags & HOME != 0;
        bool bidding = state == State.Open || state == State.Unverified;
        d.id = id;
        d.owner = lease.owner;
        d.state = state;
        d.node = lease.node;
        d.publication = lease.publication;
        d.agentId = p.agentId;
        d.manifestCid = Cid.encode(p.manifestHash, false);
        bool dagPb = flags & DAG_PB != 0;
        d.artifactCid = Cid.encode(dagPb ? extra.artifactDigest : p.artifactHash, dagPb);
        d.artifactHash = p.artifactHash;
        d.configHash = flags & OWN_CONFIG != 0 ? extra.configHash : p.configHash;
        d.resources = Resources(p.cpuMillis, p.memoryBytes, p.gpu);
        d.gasBudget = p.gasBudget;
        d.rate = bidding && d.node == address(0) ? 0 : lease.rate;
        d.maxRate = home ? 0 : _limit(id, lease);
        d.bidWindow = p.bidWindow;
        if (state == State.Open || state == State.Assigned) d.deadline = lease.moment;
        (d.deposited, d.paid) = Market(address(this)).escrow().lineOf(id);
        if (state >= State.Running) d.startedAt = lease.moment;
        if (state == State.Running && !home) {
            d.endsAt = _lastsUntil(lease, d.deposited);
            d.due = uint128(_due(lease, d.deposited, d.paid));
        }
        d.incarnation = lease.incarnation;
        d.home = home;
        d.paused = flags & PAUSED != 0;
        d.attestations = _attestations[id];
        d.verified = !dagPb || home || state != State.Unverified;
        d.onlyNode = extra.onlyNode;
        d.supersedesMarket = extra.supersedesMarket;
        d.supersedesId = extra.supersedesId;
        d.updateRevision = _updates[id].revision;
        d.updatePublication = _updates[id].publication;
    }
}
