// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.28;

import {DeployParams, Deployment, Offer, Publication, Selection, State, Terms} from "./Types.sol";
import {Escrow} from "./Escrow.sol";
import {Nodes} from "./Nodes.sol";
import {Bidding} from "./market/Bidding.sol";
import {Deals} from "./market/Deals.sol";
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
    // Parts that are code alone and run on this contract's state; in one piece it would be too large (EIP-170).
    address private immutable _views;
    address private immutable _deals;

    /// @param nodes_ the registry of nodes, whose owner then calls `addManager` with this contract
    /// @param ackTimeout_ seconds, e.g. 60
    /// @param withdrawNotice_ seconds, e.g. 3600
    /// @param lockHours_ hours, e.g. 24
    /// @param quorum_ nodes, e.g. 2
    constructor(Nodes nodes_, uint32 ackTimeout_, uint32 withdrawNotice_, uint32 lockHours_, uint8 quorum_)
        Market(nodes_, new Escrow(nodes_.token()), ackTimeout_, withdrawNotice_, lockHours_, quorum_)
    {
        _views = address(new Views());
        _deals = address(new Deals(nodes_, escrow, ackTimeout_, withdrawNotice_, lockHours_, quorum_));
    }

    // What another contract's code answers ends the call: nothing behind it is reached.
    // slither-disable-start incorrect-return
    // slither-disable-start uninitialized-local

    /// @notice Deploy an order that says how it chooses: see `Choosing.deployUnder`.
    function deployUnder(DeployParams calldata params, Terms calldata terms) external returns (uint64 id) {
        // Here and below, the names are for whoever reads the ABI, and what follows a view's call is never reached: the
        // other code has answered.
        (id, params, terms);
        _answeredBy(_deals);
    }

    /// @notice Deploy with a node's offer: see `Offers.deployWith`.
    function deployWith(DeployParams calldata params, Offer calldata offer, bytes calldata signature)
        external
        returns (uint64 id)
    {
        (id, params, offer, signature);
        _answeredBy(_deals);
    }

    /// @notice Take an offer of the caller's back: see `Offers.revokeOffer`.
    function revokeOffer(uint64 nonce) external {
        nonce;
        _answeredBy(_deals);
    }

    /// @notice Whether a node's offer of this nonce was taken, or taken back.
    function offerUsed(address node, uint64 nonce) external view returns (bool used) {
        (node, nonce);
        _readOnly(_answeredBy)(_deals);
        return used;
    }

    /// @notice Commit to a rate that nobody sees yet: see `Sealed.commitBid`.
    function commitBid(uint64 id, bytes32 commitment) external {
        (id, commitment);
        _answeredBy(_deals);
    }

    /// @notice Reveal what the caller committed to: see `Sealed.revealBid`.
    function revealBid(uint64 id, uint128 rate, bytes32 salt) external {
        (id, rate, salt);
        _answeredBy(_deals);
    }

    /// @notice Free what a commitment that was not revealed has locked: see `Sealed.reclaimBid`.
    function reclaimBid(uint64 id, address node, bytes32 commitment) external {
        (id, node, commitment);
        _answeredBy(_deals);
    }

    /// @notice A commitment that was neither revealed nor reclaimed: see `Sealed.sealedBid`.
    function sealedBid(uint64 id, address node, bytes32 commitment)
        external
        view
        returns (uint64 roundEnds, uint128 rate)
    {
        (id, node, commitment);
        _readOnly(_answeredBy)(_deals);
        return (roundEnds, rate);
    }

    /// @notice Everything about one deployment.
    function deployment(uint64) external view returns (Deployment memory d) {
        _readOnly(_answeredBy)(_views);
        return d;
    }

    /// @notice The time that a node has been paid for: see `Views.paidTime`.
    function paidTime(uint64) external view returns (address node, uint64 from, uint64 until) {
        _readOnly(_answeredBy)(_views);
        return (node, from, until);
    }

    /// @notice How an order chooses among bids; what comes back to the market chooses as before.
    function selectionOf(uint64 id) external view returns (Selection) {
        return _lease(id).selection;
    }

    /// @notice The newest publication of an agent id by a publisher.
    function publication(address publisher, string calldata agentId) external view returns (Publication memory) {
        (publisher, agentId);
        _readOnly(_answeredBy)(_views);
        Publication memory p;
        return p;
    }

    /// @notice One publication by number.
    function publicationById(uint64 id) external view returns (Publication memory) {
        id;
        _readOnly(_answeredBy)(_views);
        Publication memory p;
        return p;
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

    // slither-disable-end uninitialized-local
    // slither-disable-end incorrect-return

    // End this very call with what another contract's code answers to it, on this contract's state.
    function _answeredBy(address code) private {
        assembly ("memory-safe") {
            let at := mload(0x40)
            calldatacopy(at, 0, calldatasize())
            let answered := delegatecall(gas(), code, at, calldatasize(), 0, 0)
            returndatacopy(at, 0, returndatasize())
            if iszero(answered) { revert(at, returndatasize()) }
            return(at, returndatasize())
        }
    }

    // A delegated call counts as one that may write, which code that only reads does not.
    function _readOnly(function (address) internal delegated)
        private
        pure
        returns (function (address) internal view read)
    {
        assembly ("memory-safe") {
            read := delegated
        }
    }
}
