// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.28;

import {DeployParams, Selection, Terms} from "../Types.sol";
import {Tidings} from "../Tidings.sol";
import {Placing} from "./Placing.sol";

/// @title Orders that say how they choose
/// @notice All others go to the lowest price.
abstract contract Choosing is Placing {
    /// @notice As `deploy`, under terms of the order's own. By another selection than the lowest price it needs the
    /// reputation that it chooses by, and for sealed bids a window in which they can be made and revealed.
    function deployUnder(DeployParams calldata params, Terms calldata terms)
        external
        nonReentrant
        returns (uint64 id)
    {
        uint256 length = bytes(terms.provider).length;
        if (length > PROVIDER_BYTES_MAX) revert ProviderTooLong(length, PROVIDER_BYTES_MAX);
        Selection selection = terms.selection;
        bool byPrice = selection == Selection.LowestPrice || selection == Selection.SealedPrice;
        if (!byPrice && Tidings.namedBy(nodes) == address(0)) revert NoReputation();
        (bool own, bytes32 digest, bool dagPb) = _ownArtifact(params);
        DeployParams memory copy = params;
        id = _place(copy, own, digest, dagPb);
        if (selection >= Selection.SealedPrice) _requireRoom(params.publication);
        _leases[id].selection = selection;
        emit OrderTerms(id, selection, terms.provider);
        _pay(id, copy);
    }

    function _requireRoom(uint64 publication) private view {
        uint32 window = _publications[publication].bidWindow;
        if (window < SEALED_WINDOW_MIN) revert WindowTooShort(window, SEALED_WINDOW_MIN);
    }
}
