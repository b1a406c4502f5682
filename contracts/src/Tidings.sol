// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.28;

import {IReputation} from "./IReputation.sol";
import {Nodes} from "./Nodes.sol";

/// @title Which reputation there is, and how it is told
/// @notice Whoever tells a reputation something goes on whatever that does: it may be missing, it may fail, it may use
/// up the gas that it is given, which has a bound. Since a telling that fails is passed over, that gas must be there:
/// else who proves a wrong could keep it from being told by bringing too little.
library Tidings {
    /// @notice Gas for what a reputation makes of one telling.
    uint256 internal constant TOLD_GAS_MAX = 200_000;
    // So that the bound remains after what the call itself costs, and the 64th part that stays behind.
    uint256 private constant GAS_NEEDED = 210_000;

    /// @notice The transaction has not enough gas left to tell the reputation.
    error GasTooLow(uint256 gas, uint256 needed);

    /// @notice The reputation that Nodes names; zero for none. A registry that was made before there were any knows
    /// of none.
    function namedBy(Nodes nodes) internal view returns (address reputation) {
        try nodes.reputation() returns (address named) {
            return named;
        } catch {
            return address(0);
        }
    }

    /// @notice A node lost a lease by saying nothing in a period.
    function missed(address reputation, address node, uint40 period) internal {
        if (!_listens(reputation)) return;
        try IReputation(reputation).missed{gas: TOLD_GAS_MAX}(node, period) {} catch {}
    }

    /// @notice A node lost stake for a wrong.
    function slashed(address reputation, address node) internal {
        if (!_listens(reputation)) return;
        try IReputation(reputation).slashed{gas: TOLD_GAS_MAX}(node) {} catch {}
    }

    function _listens(address reputation) private view returns (bool) {
        if (reputation.code.length == 0) return false;
        if (gasleft() < GAS_NEEDED) revert GasTooLow(gasleft(), GAS_NEEDED);
        return true;
    }
}
