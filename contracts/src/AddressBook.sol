// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.28;

import {Ownable2Step, Ownable} from "@openzeppelin/contracts/access/Ownable2Step.sol";

/// @title Where the market's contracts are, version by version
/// @notice Contracts are never changed in place: an upgrade deploys a new set and names it here as the
/// next version. Every former version stays readable, since paid leases finish on the set they began on.
contract AddressBook is Ownable2Step {
    /// @notice Most names in one set.
    uint256 public constant NAMES_MAX = 32;

    /// @notice The newest version; 0 before the first set.
    uint64 public version;

    mapping(uint64 version => mapping(bytes32 name => address)) private _addresses;
    mapping(uint64 version => bytes32[]) private _names;

    /// @notice A new set of contracts was named.
    /// @param version the new set's version
    /// @param names short strings, left-aligned in 32 bytes, e.g. `bytes32("Manager")`
    event Upgraded(uint64 indexed version, bytes32[] names, address[] addresses);

    /// @notice The set has no such name.
    error UnknownName(bytes32 name, uint64 version);
    /// @notice There is no set of this version.
    error UnknownVersion(uint64 asked, uint64 newest);
    /// @notice A set names each contract once.
    error NameTwice(bytes32 name);
    /// @notice A name or an address is missing at this place.
    error EmptyEntry(uint256 index);
    /// @notice Names and addresses must be as many, from 1 to `max`.
    error BadSet(uint256 names, uint256 addresses, uint256 max);

    /// @param owner_ who may name a new set
    constructor(address owner_) Ownable(owner_) {}

    /// @notice Name a whole new set; what it leaves out is not part of it.
    /// @return next its version, starting at 1
    function upgrade(bytes32[] calldata names, address[] calldata addresses)
        external
        onlyOwner
        returns (uint64 next)
    {
        uint256 count = names.length;
        if (count == 0 || count != addresses.length || count > NAMES_MAX) {
            revert BadSet(count, addresses.length, NAMES_MAX);
        }
        next = ++version;
        for (uint256 i = 0; i < count; ++i) {
            if (names[i] == 0 || addresses[i] == address(0)) revert EmptyEntry(i);
            if (_addresses[next][names[i]] != address(0)) revert NameTwice(names[i]);
            _addresses[next][names[i]] = addresses[i];
        }
        _names[next] = names;
        emit Upgraded(next, names, addresses);
    }

    /// @notice The address of `name` in the newest set.
    function addressOf(bytes32 name) external view returns (address) {
        return addressAt(name, version);
    }

    /// @notice The address of `name` in the set of `at`.
    function addressAt(bytes32 name, uint64 version_) public view returns (address found) {
        if (version_ == 0 || version_ > version) revert UnknownVersion(version_, version);
        found = _addresses[version_][name];
        if (found == address(0)) revert UnknownName(name, version_);
    }

    /// @notice All names and addresses of the set of `at`, in the order given.
    function setAt(uint64 version_) external view returns (bytes32[] memory names, address[] memory addresses) {
        if (version_ == 0 || version_ > version) revert UnknownVersion(version_, version);
        names = _names[version_];
        addresses = new address[](names.length);
        for (uint256 i = 0; i < names.length; ++i) {
            addresses[i] = _addresses[version_][names[i]];
        }
    }
}
