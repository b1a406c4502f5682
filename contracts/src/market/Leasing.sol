// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.28;

import {Order, ReopenReason, State, StopReason} from "../Types.sol";
import {Cid} from "../Cid.sol";
import {Market} from "./Market.sol";

/// @title Leases: from the ack to the end
/// @notice Money runs from the ack, by the second, and is paid on demand.
abstract contract Leasing is Market {
    // ---- a lease's life --------------------------------------------------------------------------

    /// @notice The assigned node says that the agent is live. Money runs from here.
    /// @param incarnation number of this start of the agent, above the deployment's last
    function ackStart(uint64 id, uint32 incarnation) external {
        Lease storage lease = _leaseIn(id, State.Assigned);
        if (msg.sender != lease.node) revert NotNode(id, msg.sender);
        uint24 next = _incarnation(id, lease, incarnation);
        _save(lease, lease.owner, block.timestamp, lease.publication, next, State.Running, lease.flags);
        emit Started(id, msg.sender, incarnation, lease.rate, uint64(block.timestamp));
    }

    /// @notice Put an order whose node did not acknowledge in time back on the market, unpaid. Anyone may.
    /// After `MISSES_MAX` misses, of acks or of heartbeats, the node is barred from the order.
    function reopen(uint64 id) external {
        Lease storage lease = _leaseIn(id, State.Assigned);
        if (lease.flags & HOME != 0) revert HomeLease(id);
        if (block.timestamp <= lease.moment) revert AckPending(id, lease.moment);
        _miss(id, lease, lease.node);
        _reopen(id, lease, ReopenReason.NoAck, true);
    }

    /// @notice End a deployment. Its owner may at any time, its node while it runs. What is due is paid, the
    /// rest returns to the owner: at once when the owner calls, else to the owner's account in escrow.
    function stop(uint64 id) external nonReentrant {
        Lease storage lease = _lease(id);
        State state = lease.state;
        if (state >= State.Stopped) revert WrongState(id, state);
        (address owner, address node) = (lease.owner, lease.node);
        bool byOwner = msg.sender == owner;
        if (!byOwner && (state != State.Running || msg.sender != node)) revert NotOwner(id, msg.sender);
        bool home = lease.flags & HOME != 0;
        uint256 accrued = state == State.Running ? _accrued(lease) : 0;
        lease.state = State.Stopped;
        if (state != State.Running) lease.moment = 0;
        if (state < State.Assigned) _unlistOrder(lease.publication, id);
        if (!home && node != address(0)) nodes.unlock(node, uint256(lease.rate) * lockHours);
        uint256 refund = home ? 0 : _close(id, node, accrued, owner, byOwner);
        emit Stopped(id, node, byOwner ? StopReason.Owner : StopReason.Node, refund);
    }

    /// @notice End a lease whose deposit is used up, paying exactly what is due. Anyone may.
    function expire(uint64 id) external nonReentrant {
        Lease storage lease = _leaseIn(id, State.Running);
        if (lease.flags & HOME != 0) revert HomeLease(id);
        uint64 ends = _endsAt(id, lease);
        if (block.timestamp < ends) revert NotRunOut(id, ends);
        (address owner, address node) = (lease.owner, lease.node);
        uint256 accrued = _accrued(lease);
        lease.state = State.Expired;
        nodes.unlock(node, uint256(lease.rate) * lockHours);
        _close(id, node, accrued, owner, false);
        emit Expired(id, node);
    }

    /// @notice Take a lease from a node that fell silent, and put the order back on the market with what is left
    /// of its deposit. The slasher of Nodes only. What the owner asked of that node is forgotten.
    /// @param paidUntil unix time until which the node is paid; what was settled beyond it stays with the node
    function evict(uint64 id, uint64 paidUntil) external {
        if (msg.sender != nodes.slasher()) revert NotSlasher(msg.sender);
        Lease storage lease = _leaseIn(id, State.Running);
        if (lease.flags & HOME != 0) revert HomeLease(id);
        address node = lease.node;
        uint256 start = lease.moment;
        uint256 accrued = paidUntil > start ? uint256(lease.rate) * (paidUntil - start) / 1 hours : 0;
        (uint256 amount, uint256 left) = escrow.rebase(id, node, accrued);
        if (amount != 0) emit Settled(id, node, amount);
        lease.flags &= ~PAUSED;
        _updates[id].publication = 0;
        if (left == 0) {
            lease.state = State.Expired;
            nodes.unlock(node, uint256(lease.rate) * lockHours);
            emit Expired(id, node);
        } else {
            _miss(id, lease, node);
            _reopen(id, lease, ReopenReason.Silent, true);
        }
    }

    /// @notice Credit the node with what is due by now. Anyone may; a home lease has nothing due.
    /// @return amount token units credited
    function settle(uint64 id) external returns (uint256 amount) {
        Lease storage lease = _leaseIn(id, State.Running);
        address node = lease.node;
        amount = escrow.settle(id, node, _accrued(lease));
        if (amount != 0) emit Settled(id, node, amount);
    }

    /// @notice The owner asks the agent to rest; the node keeps its place and is paid.
    function pause(uint64 id) external {
        Lease storage lease = _ownedRunning(id);
        if (lease.flags & PAUSED != 0) revert AlreadyPaused(id);
        lease.flags |= PAUSED;
        emit Paused(id, lease.node);
    }

    /// @notice The owner asks a resting agent to go on.
    function resume(uint64 id) external {
        Lease storage lease = _ownedRunning(id);
        if (lease.flags & PAUSED == 0) revert NotPaused(id);
        lease.flags &= ~PAUSED;
        emit Resumed(id, lease.node);
    }

    // ---- updates ---------------------------------------------------------------------------------

    /// @notice The owner asks the node to run another publication of the same agent (the name before `@`).
    /// A later request takes the place of one not yet answered.
    /// @param configHash 0 = as published
    /// @param artifactCid empty = as published
    /// @return revision number of this request
    function update(uint64 id, uint64 publicationId, bytes32 configHash, bytes calldata artifactCid)
        external
        returns (uint32 revision)
    {
        Lease storage lease = _ownedRunning(id);
        Record storage p = _known(publicationId);
        if (_nameHash(p.agentId) != _nameHash(_publications[lease.publication].agentId)) {
            revert AnotherAgent(id, publicationId);
        }
        (bytes32 digest, bool dagPb) = (p.dagPb ? p.artifactDigest : p.artifactHash, p.dagPb);
        if (artifactCid.length != 0) (digest, dagPb) = Cid.parse(artifactCid);
        if (!dagPb && digest != p.artifactHash) revert ArtifactCidMismatch(digest, p.artifactHash);
        Update storage asked = _updates[id];
        revision = asked.revision + 1;
        asked.revision = revision;
        asked.publication = uint24(publicationId);
        asked.dagPb = dagPb;
        asked.configHash = configHash;
        asked.artifactDigest = digest;
        Order memory order = _describe(publicationId, p, digest, dagPb, configHash);
        order.home = lease.flags & HOME != 0;
        order.verified = !dagPb;
        emit UpdateRequested(id, lease.node, revision, publicationId, order);
    }

    /// @notice The node runs what the owner asked for.
    /// @param revision the request that it answers; a newer one makes this refuse
    /// @param incarnation number of the agent's start with it, above the deployment's last
    function ackUpdate(uint64 id, uint32 revision, uint32 incarnation) external {
        (Lease storage lease, Update storage asked) = _asked(id, revision);
        uint24 publicationId = asked.publication;
        lease.publication = publicationId;
        lease.incarnation = _incarnation(id, lease, incarnation);
        uint8 flags = lease.flags & ~(DAG_PB | OWN_CONFIG);
        Extra storage extra = _extras[id];
        if (asked.dagPb) {
            flags |= DAG_PB;
            extra.artifactDigest = asked.artifactDigest;
        }
        if (asked.configHash != 0) {
            flags |= OWN_CONFIG;
            extra.configHash = asked.configHash;
        }
        lease.flags = flags;
        asked.publication = 0;
        emit Updated(id, msg.sender, revision, publicationId, incarnation);
    }

    /// @notice The node could not bring the update to life; the agent goes on as it was.
    function rejectUpdate(uint64 id, uint32 revision, string calldata reason) external {
        _checkReason(reason);
        (, Update storage asked) = _asked(id, revision);
        asked.publication = 0;
        emit UpdateRejected(id, msg.sender, revision, reason);
    }

    // ---- the client's money ----------------------------------------------------------------------

    /// @notice Add `amount` token units of the caller's to a deployment, which may be another's. Refused once
    /// the deposit has run out: what was served since then is not paid for afterwards.
    function deposit(uint64 id, uint128 amount) external nonReentrant {
        Lease storage lease = _live(id);
        if (amount == 0) revert PaymentZero();
        if (lease.state == State.Running) {
            uint64 ends = _endsAt(id, lease);
            if (block.timestamp >= ends) revert RanOut(id, ends);
        }
        emit Deposited(id, msg.sender, amount);
        escrow.deposit(id, msg.sender, amount);
    }

    /// @notice The owner announces a withdrawal; it may follow after `withdrawNotice`. A second
    /// announcement replaces the first.
    function requestClientWithdraw(uint64 id, uint128 amount) external {
        Lease storage lease = _live(id);
        if (msg.sender != lease.owner) revert NotOwner(id, msg.sender);
        if (amount == 0) revert PaymentZero();
        if (amount > type(uint96).max) revert AmountTooLarge(amount, type(uint96).max);
        uint40 readyAt = uint40(block.timestamp + withdrawNotice);
        _withdrawals[id] = Withdrawal(uint96(amount), readyAt);
        emit ClientWithdrawRequested(id, amount, readyAt);
    }

    /// @notice The owner receives what was announced, after the node has been paid what is due.
    function clientWithdraw(uint64 id) external nonReentrant {
        Lease storage lease = _live(id);
        if (msg.sender != lease.owner) revert NotOwner(id, msg.sender);
        Withdrawal memory asked = _withdrawals[id];
        if (asked.amount == 0) revert NoWithdrawal(id);
        if (block.timestamp < asked.readyAt) revert NoticeRuns(id, asked.readyAt);
        delete _withdrawals[id];
        address node = lease.node;
        uint256 accrued = lease.state == State.Running ? _accrued(lease) : 0;
        emit ClientWithdrawn(id, asked.amount);
        uint256 settled = escrow.take(id, node, accrued, msg.sender, asked.amount);
        if (settled != 0) emit Settled(id, node, settled);
    }
}
