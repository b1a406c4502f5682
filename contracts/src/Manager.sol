// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.28;

import {Deployment, Publication, Selection, State} from "./Types.sol";
import {Cid} from "./Cid.sol";
import {Nodes} from "./Nodes.sol";
import {Bidding} from "./market/Bidding.sol";
import {Leasing} from "./market/Leasing.sol";
import {Market} from "./market/Market.sol";
import {Ordering} from "./market/Ordering.sol";
import {Publishing} from "./market/Publishing.sol";
import {Views} from "./market/Views.sol";

/// @title The market
/// @notice Publications, orders, bids, leases. Money lies in the Escrow that this contract makes; stakes lie
/// in Nodes. Time is in seconds, money in token units, rates in token units per hour. The parts are in
/// `market/`; this file puts them together and answers questions.
contract Manager is Publishing, Ordering, Bidding, Leasing {
    Views private immutable _views;

    /// @param nodes_ the registry of nodes, whose owner then calls `addManager` with this contract
    /// @param ackTimeout_ seconds, e.g. 60
    /// @param withdrawNotice_ seconds, e.g. 3600
    /// @param lockHours_ hours, e.g. 24
    /// @param quorum_ nodes, e.g. 2
    constructor(Nodes nodes_, uint32 ackTimeout_, uint32 withdrawNotice_, uint32 lockHours_, uint8 quorum_)
        Market(nodes_, ackTimeout_, withdrawNotice_, lockHours_, quorum_)
    {
        _views = new Views();
    }

    /// @notice Everything about one deployment.
    function deployment(uint64) external view returns (Deployment memory d) {
        _readOnly(_answeredByViews)();
        // Never reached, here and below: the views have answered.
        return d;
    }

    /// @notice The time that a node has been paid for: see `Views.paidTime`.
    function paidTime(uint64) external view returns (address node, uint64 from, uint64 until) {
        _readOnly(_answeredByViews)();
        return (node, from, until);
    }

    /// @notice How an order chooses among bids; what comes back to the market chooses as before.
    function selectionOf(uint64 id) external view returns (Selection) {
        return _lease(id).selection;
    }

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

    /// @notice How many orders of `agentId` are open or await their quorum.
    function openOrders(string calldata agentId) external view returns (uint256) {
        return _openOrders[keccak256(bytes(agentId))].count;
    }

    /// @notice Token units that a settlement now would credit to the node.
    function due(uint64 id) external view returns (uint256) {
        Lease storage lease = _lease(id);
        if (lease.state != State.Running) return 0;
        (uint128 deposited, uint128 paid) = escrow.lineOf(id);
        return _due(lease, deposited, paid);
    }

    /// @notice The node that runs a deployment now; zero for none.
    function activeNode(uint64 id) external view returns (address) {
        Lease storage lease = _leases[id];
        return lease.state == State.Running ? lease.node : address(0);
    }

    /// @notice Gas that the node may have spent on the agent's own transactions by now: the budget for each
    /// started hour of the lease. The node keeps the account.
    function gasAllowance(uint64 id) external view returns (uint256) {
        Lease storage lease = _lease(id);
        if (lease.state != State.Running) return 0;
        uint256 hours_ = (block.timestamp - lease.moment) / 1 hours + 1;
        return hours_ * _publications[lease.publication].gasBudget;
    }

    /// @notice Whether a node may no longer take an order.
    function isBarred(uint64 id, address node) external view returns (bool) {
        return _misses[id][node] == type(uint8).max;
    }

    /// @notice The announced withdrawal: token units, and the unix time from which it may follow.
    function clientWithdrawal(uint64 id) external view returns (uint128 amount, uint64 readyAt) {
        Withdrawal storage asked = _withdrawals[id];
        return (asked.amount, asked.readyAt);
    }

    // End this very call with what the views' code answers to it, on this contract's state.
    function _answeredByViews() private {
        address views = address(_views);
        assembly ("memory-safe") {
            let at := mload(0x40)
            calldatacopy(at, 0, calldatasize())
            let answered := delegatecall(gas(), views, at, calldatasize(), 0, 0)
            returndatacopy(at, 0, returndatasize())
            if iszero(answered) { revert(at, returndatasize()) }
            return(at, returndatasize())
        }
    }

    // A delegated call counts as one that may write, which code that only reads does not.
    function _readOnly(function () internal delegated) private pure returns (function () internal view read) {
        assembly ("memory-safe") {
            read := delegated
        }
    }
}
