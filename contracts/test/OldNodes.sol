// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.28;

import {Nodes} from "../src/Nodes.sol";

/// Stands for a registry that was made before there was a reputation: what came since is a function that it does not
/// know, and the rest is as ever.
contract OldNodes {
    // Where Nodes has its owner, too.
    address private _owner;
    Nodes private immutable _today;

    constructor(Nodes today) {
        (_owner, _today) = (msg.sender, today);
    }

    fallback() external {
        if (msg.sig == _today.reputation.selector || msg.sig == _today.setReputation.selector) revert();
        if (msg.sig == _today.stakeOf.selector) revert();
        (bool done, bytes memory said) = address(_today).delegatecall(msg.data);
        assembly ("memory-safe") {
            if done { return(add(said, 32), mload(said)) }
            revert(add(said, 32), mload(said))
        }
    }
}
