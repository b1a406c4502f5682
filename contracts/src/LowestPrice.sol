// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.28;

/// @title The rule by which a bid wins
/// @notice The Manager asks this one function and nothing else, so another rule replaces this file.
library LowestPrice {
    /// @notice Whether a bid takes the lead: lower than the standing one, or the first. Equal is not lower,
    /// so of two equal bids the earlier wins.
    /// @param standing token units per hour of the leading bid; without one, of the order's limit
    function leads(bool first, uint256 standing, uint256 rate) internal pure returns (bool) {
        return first ? rate <= standing : rate < standing;
    }
}
