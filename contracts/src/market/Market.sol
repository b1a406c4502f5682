// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.28;

import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";
import {ReentrancyGuardTransient} from "@openzeppelin/contracts/utils/ReentrancyGuardTransient.sol";
import {IReputation} from "../IReputation.sol";
import {Order, ReopenReason, Resources, Selection, State} from "../Types.sol";
import {Cid} from "../Cid.sol";
import {Escrow} from "../Escrow.sol";
import {LowestPrice} from "../LowestPrice.sol";
import {Nodes} from "../Nodes.sol";
import {Storage} from "./Storage.sol";

/// @title What the market's parts share
/// @notice What moves tokens is guarded against re-entrance; the rest calls only Nodes, Escrow and the reputation
/// that Nodes names, which then call nobody.
abstract contract Market is Storage, ReentrancyGuardTransient {
    // ---- limits and settings ---------------------------------------------------------------------

    /// @notice Longest agent id, in bytes.
    uint256 public constant AGENT_ID_BYTES_MAX = 128;
    /// @notice Longest bid window, in seconds: 7 days.
    uint32 public constant BID_WINDOW_MAX = 7 days;
    /// @notice Shortest bid window of an order whose bids are sealed, in seconds.
    uint32 public constant SEALED_WINDOW_MIN = 2;
    /// @notice Missed acks, and leases lost by silence, after which a node is barred from an order.
    uint8 public constant MISSES_MAX = 3;
    /// @notice Longest reason of a rejection, in bytes.
    uint256 public constant REASON_BYTES_MAX = 256;
    /// @notice Longest URL of a provider, in bytes.
    uint256 public constant PROVIDER_BYTES_MAX = 256;

    /// @notice The token that leases are paid in.
    IERC20 public immutable token;
    /// @notice Who may bid, and their stakes.
    Nodes public immutable nodes;
    /// @notice Where the money lies; a client approves this address.
    Escrow public immutable escrow;
    /// @notice Seconds in which an assigned node must acknowledge.
    uint32 public immutable ackTimeout;
    /// @notice Seconds of notice before a client withdraws from a line.
    uint32 public immutable withdrawNotice;
    /// @notice Hours of a lease's rate that are locked of the node's stake.
    uint32 public immutable lockHours;
    /// @notice Nodes that must attest a dag-pb artifact before bidding opens.
    uint8 public immutable quorum;

    /// @param nodes_ the registry of nodes, whose owner then calls `addManager` with the Manager
    /// @param escrow_ where the Manager keeps the money
    /// @param ackTimeout_ seconds, e.g. 60
    /// @param withdrawNotice_ seconds, e.g. 3600
    /// @param lockHours_ hours, e.g. 24
    /// @param quorum_ nodes, e.g. 2
    constructor(
        Nodes nodes_,
        Escrow escrow_,
        uint32 ackTimeout_,
        uint32 withdrawNotice_,
        uint32 lockHours_,
        uint8 quorum_
    ) {
        if (ackTimeout_ == 0 || quorum_ == 0) revert SettingZero();
        nodes = nodes_;
        token = nodes_.token();
        escrow = escrow_;
        ackTimeout = ackTimeout_;
        withdrawNotice = withdrawNotice_;
        lockHours = lockHours_;
        quorum = quorum_;
    }

    // ---- inside ----------------------------------------------------------------------------------

    function _leaseIn(uint64 id, State wanted) internal view returns (Lease storage lease) {
        lease = _lease(id);
        if (lease.state != wanted) revert WrongState(id, lease.state);
    }

    // Write a lease's first slot at once; field by field it would be read and written five times over.
    function _save(
        Lease storage lease,
        address owner,
        uint256 moment,
        uint256 publicationId,
        uint256 incarnation,
        State state,
        uint256 flags
    ) internal {
        uint256 word = uint256(uint160(owner)) | uint256(uint32(moment)) << 160 | publicationId << 192
            | incarnation << 216 | uint256(state) << 240 | flags << 248;
        assembly ("memory-safe") {
            sstore(lease.slot, word)
        }
    }

    // Not ended, and with money in it.
    function _live(uint64 id) internal view returns (Lease storage lease) {
        lease = _lease(id);
        if (lease.state >= State.Stopped) revert WrongState(id, lease.state);
        if (lease.flags & HOME != 0) revert HomeLease(id);
    }

    function _ownedRunning(uint64 id) internal view returns (Lease storage lease) {
        lease = _leaseIn(id, State.Running);
        if (msg.sender != lease.owner) revert NotOwner(id, msg.sender);
    }

    function _asked(uint64 id, uint32 revision) internal view returns (Lease storage lease, Update storage asked) {
        lease = _leaseIn(id, State.Running);
        if (msg.sender != lease.node) revert NotNode(id, msg.sender);
        asked = _updates[id];
        if (asked.publication == 0 || asked.revision != revision) revert NoUpdate(id, revision);
    }

    // The first second at which the whole deposit is due.
    function _endsAt(uint64 id, Lease storage lease) internal view returns (uint64) {
        // What is paid has no part in when a deposit ends.
        // slither-disable-next-line unused-return
        (uint128 deposited,) = escrow.lineOf(id);
        return _lastsUntil(lease, deposited);
    }

    function _close(uint64 id, address node, uint256 accrued, address owner, bool push)
        internal
        returns (uint256 refund)
    {
        uint256 amount;
        (amount, refund) = escrow.close(id, node, accrued, owner, push);
        if (amount != 0) emit Settled(id, node, amount);
    }

    function _reopen(uint64 id, Lease storage lease, ReopenReason reason, bool assigned) internal {
        address node = lease.node;
        uint256 locked = uint256(lease.rate) * lockHours;
        uint64 ends = uint64(block.timestamp) + _publications[lease.publication].bidWindow;
        lease.node = address(0);
        lease.rate = _limit(id, lease);
        lease.state = State.Open;
        lease.moment = uint32(ends);
        emit Reopened(id, node, reason, ends);
        if (assigned) _listOrder(keccak256(bytes(_publications[lease.publication].agentId)), id);
        nodes.unlock(node, locked);
    }

    function _miss(uint64 id, Lease storage lease, address node) internal {
        uint8 misses = ++_misses[id][node];
        if (misses >= MISSES_MAX) _bar(id, lease, node);
    }

    function _bar(uint64 id, Lease storage lease, address node) internal {
        _misses[id][node] = type(uint8).max;
        lease.flags |= BARRED;
    }

    function _requireNotBarred(uint64 id, Lease storage lease) internal view {
        if (lease.flags & BARRED != 0 && _misses[id][msg.sender] == type(uint8).max) revert Barred(id, msg.sender);
    }

    // Whether the caller's bid, which is within the limit, takes the lead from the standing one by what nodes are known
    // for. Without a reputation, which the owner of Nodes may take away while the order is open, it goes to the lowest
    // price.
    function _outbids(uint64 id, Selection selection, address leader, uint256 standing, uint256 rate)
        internal
        view
        returns (bool)
    {
        address reputation = nodes.reputation();
        return reputation == address(0)
            ? LowestPrice.leads(false, standing, rate)
            : IReputation(reputation).leads(id, selection, leader, standing, msg.sender, rate);
    }

    function _listOrder(bytes32 agentKey, uint64 id) internal {
        OpenOrders storage open = _openOrders[agentKey];
        open.count += 1;
        open.sum += id;
    }

    function _unlistOrder(uint24 publicationId, uint64 id) internal {
        OpenOrders storage open = _openOrders[keccak256(bytes(_publications[publicationId].agentId))];
        open.count -= 1;
        open.sum -= id;
    }

    function _describe(
        uint64 publicationId,
        Record storage p,
        bytes32 digest,
        bool dagPb,
        bytes32 configHash
    ) internal view returns (Order memory order) {
        order.publication = publicationId;
        order.agentId = p.agentId;
        order.manifestCid = Cid.encode(p.manifestHash, false);
        order.artifactCid = Cid.encode(digest, dagPb);
        order.artifactHash = p.artifactHash;
        order.configHash = configHash != 0 ? configHash : p.configHash;
        order.resources = Resources(p.cpuMillis, p.memoryBytes, p.gpu);
        order.maxRate = p.maxRate;
        order.bidWindow = p.bidWindow;
        order.gasBudget = p.gasBudget;
    }

    function _incarnation(uint64 id, Lease storage lease, uint32 given) internal view returns (uint24) {
        if (given <= lease.incarnation) revert StaleIncarnation(id, given, lease.incarnation);
        if (given > type(uint24).max) revert AmountTooLarge(given, type(uint24).max);
        return uint24(given);
    }

    function _rate(uint256 rate) internal pure returns (uint80) {
        if (rate > type(uint80).max) revert RateTooHigh(rate, type(uint80).max);
        return uint80(rate);
    }

    function _checkReason(string calldata reason) internal pure {
        uint256 length = bytes(reason).length;
        if (length > REASON_BYTES_MAX) revert ReasonTooLong(length, REASON_BYTES_MAX);
    }

    // Hash of the name: what stands before the `@`. An id is at most AGENT_ID_BYTES_MAX long.
    function _nameHash(string memory agentId) internal pure returns (bytes32) {
        bytes memory text = bytes(agentId);
        uint256 length = text.length;
        if (length == 0 || length > AGENT_ID_BYTES_MAX) revert AgentIdLength(length, AGENT_ID_BYTES_MAX);
        for (uint256 i = 1; i + 1 < length; ++i) {
            if (text[i] == "@") {
                assembly ("memory-safe") {
                    mstore(text, i)
                }
                return keccak256(text);
            }
        }
        revert AgentIdWithoutVersion();
    }
}
