//! Proof of life: what nodes say once in a period, and what their silence costs.

use alloy::sol;

sol! {
    #[derive(Debug)]
    interface Heartbeats {
        constructor(address nodes, uint32 period);

        function heartbeat(bytes32 root) external;
        function slashMissed(address manager, uint64 deployment, uint40 period) external;
        function hasBeaten(address node, uint40 period) external view returns (bool);
        function lastOf(address node) external view returns (uint40);
        function period() external view returns (uint32);

        event Heartbeat(address indexed node, uint40 indexed period, bytes32 root);
        event Missed(
            address indexed manager, uint64 indexed deployment, address indexed node, uint40 period, address finder,
            uint256 penalty
        );

        error AlreadyBeaten(address node, uint40 period);
        error NotWatched(uint64 deployment);
        error NotWhole(uint64 deployment, uint40 period, uint64 moment);
        error StillTime(uint40 period, uint64 until);
        error Forgotten(uint40 period, uint40 oldest);
    }
}
