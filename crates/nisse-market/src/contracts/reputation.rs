//! What nodes are known for, from the contracts' own facts.

use alloy::sol;

sol! {
    #[derive(Debug)]
    interface Reputation {
        constructor(address nodes);

        function count(address manager, uint64 deployment) external returns (uint256 gained);
        function scoreOf(address node) external view returns (uint16);
        function factsOf(address node) external view returns (uint256 worked, uint256 faults, uint64 countedUntil);
        function isNewcomer(address node) external view returns (bool);

        event Counted(address indexed manager, uint64 indexed deployment, address indexed node, uint256 seconds_);
        event Faulted(address indexed node, uint256 seconds_);

        error NothingPaid(uint64 deployment);
        error NothingNew(uint64 deployment, uint64 paidUntil, uint64 from);
    }
}
