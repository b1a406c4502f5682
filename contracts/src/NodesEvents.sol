// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.28;

import {Resources} from "./Types.sol";

/// @title What the registry of nodes says
/// @notice The shape of a node, every event, and every refusal with what would have been accepted.
abstract contract NodesEvents {
    /// @notice A node's standing.
    enum Status {
        None,
        Active,
        Paused
    }

    /// @notice Everything about one node.
    /// @param stake token units at work
    /// @param locked token units held for leases; never more than `stake`
    /// @param unbonding token units on their way out, still slashable
    /// @param unbondedAt unix time from which they may be withdrawn; 0 for none
    /// @param endpoint where the node answers, a URL
    struct Node {
        Status status;
        uint128 stake;
        uint128 locked;
        uint128 unbonding;
        uint64 unbondedAt;
        uint64 registeredAt;
        Resources capacity;
        string endpoint;
    }

    // ---- events ----------------------------------------------------------------------------------

    /// @notice A node joined with `stake` token units.
    event NodeRegistered(address indexed node, string endpoint, Resources capacity, uint128 stake);
    /// @notice A node added `amount` token units; it now has `stake` at work.
    event StakeAdded(address indexed node, uint128 amount, uint128 stake);
    /// @notice A node took `amount` token units out of work; they may leave from `unbondedAt` (unix time).
    event UnbondRequested(address indexed node, uint128 amount, uint64 unbondedAt);
    /// @notice Token units left for their owner.
    event Withdrawn(address indexed node, uint128 amount);
    /// @notice A node announced another capacity.
    event CapacityChanged(address indexed node, Resources capacity);
    /// @notice A node announced another endpoint.
    event EndpointChanged(address indexed node, string endpoint);
    /// @notice A node takes no new leases.
    event NodePaused(address indexed node);
    /// @notice A node takes new leases again.
    event NodeResumed(address indexed node);
    /// @notice A node lost `amount` token units for `reason`.
    /// @param deployment the lease that it is about, 0 for none
    /// @param toFinder @param toVictim @param toTreasury the splits; their sum is `amount`
    event Slashed(
        address indexed node,
        uint64 indexed deployment,
        uint128 amount,
        bytes32 reason,
        address finder,
        uint128 toFinder,
        address victim,
        uint128 toVictim,
        uint128 toTreasury
    );
    /// @notice An account received its shares of slashes, in token units.
    event Claimed(address indexed account, uint256 amount);
    /// @notice A Manager may lock stake from now on.
    event ManagerAdded(address indexed manager);
    /// @notice Another address may slash; zero for none.
    event SlasherChanged(address indexed slasher);
    /// @notice Another contract knows what nodes are known for; zero for none.
    event ReputationChanged(address indexed reputation);

    // ---- refusals --------------------------------------------------------------------------------

    /// @notice The address operates no node.
    error NotRegistered(address node);
    /// @notice The address operates a node.
    error AlreadyRegistered(address node);
    /// @notice The node takes no new leases.
    error NodeIsPaused(address node);
    /// @notice The node is not paused.
    error NodeNotPaused(address node);
    /// @notice Token units at work, and what is needed.
    error StakeTooLow(uint256 stake, uint256 needed);
    /// @notice Token units that no lease holds, and what is needed.
    error FreeStakeTooLow(address node, uint256 free, uint256 needed);
    /// @notice The amount is zero.
    error AmountZero();
    /// @notice A figure is above what its field holds.
    error AmountTooLarge(uint256 amount, uint256 max);
    /// @notice The node has taken nothing out of work.
    error NothingUnbonding(address node);
    /// @notice Unbonding ends at `unbondedAt`; it is `now_` (unix time).
    error StillUnbonding(address node, uint64 unbondedAt, uint64 now_);
    /// @notice CPU and memory must be above zero.
    error CapacityZero();
    /// @notice A node needs an endpoint.
    error EndpointEmpty();
    /// @notice Bytes, and the most that is taken.
    error EndpointTooLong(uint256 length, uint256 max);
    /// @notice The caller is no Manager of this contract.
    error NotManager(address caller);
    /// @notice The caller may not slash.
    error NotSlasher(address caller);
    /// @notice Token units asked, and all that the node has.
    error SlashTooLarge(address node, uint256 amount, uint256 max);
    /// @notice The account has no shares of slashes.
    error NothingToClaim(address account);
    /// @notice An address is missing.
    error ZeroAddress();
}
