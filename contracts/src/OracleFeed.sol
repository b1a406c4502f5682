// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.28;

/// @title What one agent says about one asset
/// @notice Read like a Chainlink AggregatorV3 feed, 8 decimals. Written only through the OracleFeeds that made
/// it, which lets none but the deployment's active node. Trust it as far as that agent and its node.
contract OracleFeed {
    // One slot. 192 bits of answer, then its time.
    struct Round {
        int192 answer;
        uint64 updatedAt;
    }

    /// @notice Decimals of each answer.
    uint8 public constant decimals = 8;
    /// @notice Version of this shape.
    uint256 public constant version = 1;

    /// @notice The factory, the one writer.
    address public immutable feeds;
    /// @notice The Manager whose deployment speaks here.
    address public immutable manager;
    /// @notice The deployment's number.
    uint64 public immutable deployment;
    /// @notice The asset, e.g. `ETH/USD`.
    string public description;

    /// @notice Number of the newest round; rounds start at 1.
    uint80 public latestRound;
    mapping(uint80 round => Round) private _rounds;

    /// @notice As AggregatorV3's.
    event AnswerUpdated(int256 indexed current, uint256 indexed roundId, uint256 updatedAt);

    /// @notice Only the factory writes a feed.
    error NotFeeds(address caller);
    /// @notice There is no such round.
    error NoData(uint80 roundId);
    /// @notice An answer is above zero and fits 192 bits.
    error AnswerOutOfRange(int256 answer);

    constructor(address manager_, uint64 deployment_, string memory asset) {
        feeds = msg.sender;
        manager = manager_;
        deployment = deployment_;
        description = asset;
    }

    /// @notice Add an answer. The factory only.
    /// @param answer the price with 8 decimals, above zero
    function record(int256 answer) external returns (uint80 roundId) {
        if (msg.sender != feeds) revert NotFeeds(msg.sender);
        if (answer <= 0 || answer > type(int192).max) revert AnswerOutOfRange(answer);
        roundId = ++latestRound;
        _rounds[roundId] = Round(int192(answer), uint64(block.timestamp));
        emit AnswerUpdated(answer, roundId, block.timestamp);
    }

    /// @notice The newest answer.
    function latestRoundData()
        external
        view
        returns (uint80 roundId, int256 answer, uint256 startedAt, uint256 updatedAt, uint80 answeredInRound)
    {
        return getRoundData(latestRound);
    }

    /// @notice One answer by its round.
    function getRoundData(uint80 id)
        public
        view
        returns (uint80 roundId, int256 answer, uint256 startedAt, uint256 updatedAt, uint80 answeredInRound)
    {
        if (id < 1 || id > latestRound) revert NoData(id);
        Round memory round = _rounds[id];
        return (id, round.answer, round.updatedAt, round.updatedAt, id);
    }
}
