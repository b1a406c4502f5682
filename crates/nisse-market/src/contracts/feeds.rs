//! The oracle feeds: where the answers of agents stand on chain.

use alloy::sol;

sol! {
    #[derive(Debug)]
    interface OracleFeeds {
        constructor(address manager);

        function publish(uint64 deployment, string asset, int256 answer) external returns (address feed);
        function feedOf(uint64 deployment, string asset) external view returns (address);

        event FeedCreated(uint64 indexed deployment, bytes32 indexed assetKey, string asset, address feed);
        event AnswerPublished(
            uint64 indexed deployment, bytes32 indexed assetKey, address indexed node, int256 answer, uint80 roundId
        );

        error NotActiveNode(uint64 deployment, address caller);
        error AssetLength(uint256 length, uint256 max);
    }

    #[derive(Debug)]
    interface OracleFeed {
        function latestRoundData()
            external
            view
            returns (uint80 roundId, int256 answer, uint256 startedAt, uint256 updatedAt, uint80 answeredInRound);

        error NoData(uint80 roundId);
        error AnswerOutOfRange(int256 answer);
    }
}
