// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.28;

import {Manager} from "./Manager.sol";
import {OracleFeed} from "./OracleFeed.sol";

/// @title The feeds of a market's agents
/// @notice One feed per deployment and asset, made at its first answer. Only the node that runs the
/// deployment now may publish; the gas is the node's, within the budget of the publication.
contract OracleFeeds {
    /// @notice Longest asset name, in bytes.
    uint256 public constant ASSET_BYTES_MAX = 64;

    /// @notice The market whose deployments speak here.
    Manager public immutable manager;

    mapping(uint64 deployment => mapping(bytes32 assetKey => OracleFeed)) private _feeds;

    /// @notice A deployment spoke about an asset for the first time.
    event FeedCreated(uint64 indexed deployment, bytes32 indexed assetKey, string asset, address feed);
    /// @notice A node published an answer with 8 decimals.
    event AnswerPublished(
        uint64 indexed deployment, bytes32 indexed assetKey, address indexed node, int256 answer, uint80 roundId
    );

    /// @notice The caller does not run the deployment.
    error NotActiveNode(uint64 deployment, address caller);
    /// @notice An asset's name has 1 to `max` bytes.
    error AssetLength(uint256 length, uint256 max);

    constructor(Manager manager_) {
        manager = manager_;
    }

    /// @notice Publish `answer` (8 decimals, above zero) for `asset`. The deployment's active node only.
    /// @return feed where it can be read
    function publish(uint64 deployment, string calldata asset, int256 answer) external returns (OracleFeed feed) {
        if (manager.activeNode(deployment) != msg.sender) revert NotActiveNode(deployment, msg.sender);
        uint256 length = bytes(asset).length;
        if (length == 0 || length > ASSET_BYTES_MAX) revert AssetLength(length, ASSET_BYTES_MAX);
        bytes32 assetKey = keccak256(bytes(asset));
        feed = _feeds[deployment][assetKey];
        if (address(feed) == address(0)) {
            feed = new OracleFeed(address(manager), deployment, asset);
            _feeds[deployment][assetKey] = feed;
            emit FeedCreated(deployment, assetKey, asset, address(feed));
        }
        uint80 roundId = feed.record(answer);
        emit AnswerPublished(deployment, assetKey, msg.sender, answer, roundId);
    }

    /// @notice The feed of a deployment's asset; zero before its first answer.
    function feedOf(uint64 deployment, string calldata asset) external view returns (OracleFeed) {
        return _feeds[deployment][keccak256(bytes(asset))];
    }
}
