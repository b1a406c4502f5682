//! The address book: which contracts make the set in use.

use alloy::sol;

sol! {
    #[derive(Debug)]
    interface AddressBook {
        constructor(address owner);

        function upgrade(bytes32[] names, address[] addresses) external returns (uint64 next);
        function version() external view returns (uint64);
        function setAt(uint64 at) external view returns (bytes32[] names, address[] addresses);

        error UnknownName(bytes32 name, uint64 version);
        error UnknownVersion(uint64 asked, uint64 newest);
    }
}
