// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.28;

import {Deployment, State} from "./Types.sol";
import {Manager} from "./Manager.sol";
import {Nodes} from "./Nodes.sol";
import {NodesEvents} from "./NodesEvents.sol";
import {Tidings} from "./Tidings.sol";

/// @title Proof of life
/// @notice A node with paid leases says once in each period that it lives, in one transaction however many they
/// are. A node that says nothing for a whole period can be proven silent by anyone: it loses the lease, an hour of
/// its rate, and no more. Periods are numbered: period `n` begins at unix time `n * period`.
contract Heartbeats {
    // One slot. Bit `i` of `history` stands for the period `last - i`; bit 0 is set by the first heartbeat.
    struct Record {
        uint40 last;
        uint216 history;
    }

    /// @notice Periods that are remembered of a node, its last heartbeat's among them.
    uint256 public constant HISTORY_PERIODS = 216;
    /// @notice What a silent node loses: so many hours of the lease's rate.
    uint256 public constant PENALTY_HOURS = 1;
    /// @notice The reason that Nodes notes with a slash.
    bytes32 public constant REASON = "missed heartbeat";

    /// @notice Stakes, and which Managers there are. This contract must be its slasher.
    Nodes public immutable nodes;
    /// @notice Seconds of a period.
    uint32 public immutable period;
    /// @notice The first period in which nodes are listened for: the first that began after this contract was made.
    uint40 public immutable firstPeriod;

    mapping(address node => Record) private _records;

    /// @notice `node` lives.
    /// @param period the period's number
    /// @param root Merkle root of what its leases came to; 0 for none
    event Heartbeat(address indexed node, uint40 indexed period, bytes32 root);
    /// @notice `node` said nothing in a period in which its lease ran, and lost the lease.
    /// @param manager the deployment's Manager
    /// @param period the period's number
    /// @param penalty token units that were slashed; 0 of a node that is paused in Nodes
    event Missed(
        address indexed manager,
        uint64 indexed deployment,
        address indexed node,
        uint40 period,
        address finder,
        uint256 penalty
    );

    /// @notice A period has at least `min` seconds.
    error PeriodTooShort(uint32 seconds_, uint32 min);
    /// @notice The node has said so in this period already.
    error AlreadyBeaten(address node, uint40 period);
    /// @notice Nodes knows no such Manager.
    error NotManager(address manager);
    /// @notice The lease has no node that must show life: it does not run, or its agent rests, or it is at home.
    error NotWatched(uint64 deployment);
    /// @notice The lease did not run for the whole of this period: it began, or its deposit ended, at this unix time.
    error NotWhole(uint64 deployment, uint40 period, uint64 moment);
    /// @notice The node has until this unix time to show life.
    error StillTime(uint40 period, uint64 until);
    /// @notice The period is older than what is looked at.
    error Forgotten(uint40 period, uint40 oldest);

    /// @param nodes_ the registry of nodes, whose owner then calls `setSlasher` with this contract
    /// @param period_ seconds, e.g. 600
    constructor(Nodes nodes_, uint32 period_) {
        if (period_ < 4) revert PeriodTooShort(period_, 4);
        nodes = nodes_;
        period = period_;
        firstPeriod = uint40(block.timestamp / period_ + 1);
    }

    /// @notice The caller lives.
    /// @param root Merkle root of what its leases came to, for whoever is shown a leaf of it later
    function heartbeat(bytes32 root) external {
        uint256 now_ = block.timestamp / period;
        Record memory record = _records[msg.sender];
        uint256 history = record.history;
        if (history != 0) {
            uint256 gap = now_ - record.last;
            // Whole periods: the same one or not.
            // slither-disable-next-line incorrect-equality
            if (gap == 0) revert AlreadyBeaten(msg.sender, uint40(now_));
            history = gap < HISTORY_PERIODS ? history << gap : 0;
        }
        _records[msg.sender] = Record(uint40(now_), uint216(history | 1));
        emit Heartbeat(msg.sender, uint40(now_), root);
    }

    /// @notice Prove that a lease's node was silent for a period in which the lease ran from its beginning to its
    /// end. It is the current period, of which three quarters must have passed, or the one before, and none before
    /// `firstPeriod`. The node is paid until it fell silent, and the order goes back to the market. The node loses an
    /// hour of the lease's rate: the caller receives the finder's share, the owner a period's rent and what was
    /// settled for the time of silence. A node that is paused in Nodes loses the lease and no stake. Either way the
    /// reputation is told, where there is one, and cannot stop it.
    /// @param period_ the period's number
    function slashMissed(Manager manager, uint64 deployment, uint40 period_) external {
        if (!nodes.isManager(address(manager))) revert NotManager(address(manager));
        Deployment memory d = manager.deployment(deployment);
        uint256 begins = uint256(period_) * period;
        _requireWatched(d, period_, begins);
        uint64 silentSince = _silentSince(d, period_, begins);
        manager.evict(deployment, silentSince);
        Tidings.missed(Tidings.namedBy(nodes), d.node, period_);
        uint256 penalty = _penalty(d);
        emit Missed(address(manager), deployment, d.node, period_, msg.sender, penalty);
        if (penalty == 0) return;
        uint256 claim = uint256(d.rate) * period / 1 hours;
        uint256 owed = uint256(d.rate) * (silentSince - d.startedAt) / 1 hours;
        if (d.paid > owed) claim += d.paid - owed;
        nodes.slash(d.node, deployment, uint128(penalty), REASON, msg.sender, d.owner, uint128(claim));
    }

    /// @notice Whether a node showed life in a period.
    function hasBeaten(address node, uint40 period_) public view returns (bool) {
        Record memory record = _records[node];
        // Empty for whom was never heard; the first heartbeat sets a bit for good.
        // slither-disable-next-line incorrect-equality
        if (record.history == 0 || period_ > record.last) return false;
        uint256 back = record.last - period_;
        if (back >= HISTORY_PERIODS) revert Forgotten(period_, uint40(record.last - HISTORY_PERIODS + 1));
        return record.history >> back & 1 != 0;
    }

    /// @notice The number of the last period in which a node showed life; 0 for never.
    function lastOf(address node) external view returns (uint40) {
        return _records[node].last;
    }

    function _requireWatched(Deployment memory d, uint40 period_, uint256 begins) private view {
        if (d.state != State.Running || d.home || d.paused) revert NotWatched(d.id);
        uint256 now_ = block.timestamp / period;
        uint256 oldest = now_ > firstPeriod ? now_ - 1 : firstPeriod;
        if (period_ < oldest) revert Forgotten(period_, uint40(oldest));
        if (d.startedAt > begins) revert NotWhole(d.id, period_, d.startedAt);
        if (d.endsAt < begins + period) revert NotWhole(d.id, period_, d.endsAt);
        uint256 until = begins + uint256(period) * 3 / 4;
        if (block.timestamp < until) revert StillTime(period_, uint64(until));
        if (hasBeaten(d.node, period_)) revert AlreadyBeaten(d.node, period_);
    }

    // The beginning of the first period of this silence in which the lease ran and the node was listened for. A node
    // that has come back since is paid until the period that was named.
    function _silentSince(Deployment memory d, uint40 period_, uint256 begins) private view returns (uint64) {
        uint256 last = _records[d.node].last;
        if (last > period_) return uint64(begins);
        uint256 silent = (last < firstPeriod ? firstPeriod : last + 1) * uint256(period);
        // Rounded up to the beginning of a period.
        // slither-disable-next-line divide-before-multiply
        uint256 whole = (uint256(d.startedAt) + period - 1) / period * period;
        return uint64(silent > whole ? silent : whole);
    }

    // Never more than what the node has, which another slash may have taken.
    function _penalty(Deployment memory d) private view returns (uint256 penalty) {
        NodesEvents.Node memory node = nodes.node(d.node);
        if (node.status == NodesEvents.Status.Paused) return 0;
        penalty = uint256(d.rate) * PENALTY_HOURS;
        uint256 stake = uint256(node.stake) + node.unbonding;
        if (penalty > stake) penalty = stake;
    }
}
