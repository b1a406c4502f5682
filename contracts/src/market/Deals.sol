// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.28;

import {Escrow} from "../Escrow.sol";
import {Nodes} from "../Nodes.sol";
import {Choosing} from "./Choosing.sol";
import {Market} from "./Market.sol";
import {Offers} from "./Offers.sol";
import {Sealed} from "./Sealed.sol";

/// @title The ways to order that say more than a plain deploy, and to bid that say less
/// @notice Code alone, as Views: it knows what the Manager was made with, and runs on the Manager's state.
contract Deals is Choosing, Offers, Sealed {
    constructor(
        Nodes nodes_,
        Escrow escrow_,
        uint32 ackTimeout_,
        uint32 withdrawNotice_,
        uint32 lockHours_,
        uint8 quorum_
    ) Market(nodes_, escrow_, ackTimeout_, withdrawNotice_, lockHours_, quorum_) {}
}
