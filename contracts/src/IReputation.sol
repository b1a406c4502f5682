// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.28;

import {Selection} from "./Types.sol";

/// @title What the market asks of a reputation, and tells it
/// @notice Nodes, the Manager and the slasher know this and nothing else of it, so that another rule is another
/// contract in `Nodes.reputation`. Whoever tells it something grants it a bounded gas and goes on if it fails: see
/// Tidings.
interface IReputation {
    /// @notice Whether a bid takes the lead from the standing one; it is within the order's limit.
    /// @param deployment the order's number
    /// @param standing token units per hour of the leading bid
    /// @param rate token units per hour of the new one
    function leads(
        uint64 deployment,
        Selection selection,
        address leader,
        uint256 standing,
        address bidder,
        uint256 rate
    ) external view returns (bool);

    /// @notice `node` lost a lease by saying nothing in a period. The slasher only.
    /// @param period the number by which the slasher knows it
    function missed(address node, uint40 period) external;

    /// @notice `node` lost stake for a wrong. Nodes only.
    function slashed(address node) external;
}
