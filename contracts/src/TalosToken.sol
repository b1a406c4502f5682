// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.28;

import {ERC20} from "@openzeppelin/contracts/token/ERC20/ERC20.sol";

/// @title Test token of a home chain
/// @notice A plain ERC-20 with 18 decimals that gives itself away. For chains where it has no worth;
/// a market on a public chain is built over that chain's own token instead.
contract TalosToken is ERC20 {
    /// @notice Most token units that one call of the faucet mints: 1,000,000 TALOS.
    uint256 public constant FAUCET_MAX = 1_000_000 ether;

    /// @notice The faucet gives at most `max` token units a call.
    /// @param asked token units asked for
    /// @param max token units that one call gives at most
    error FaucetCapped(uint256 asked, uint256 max);

    constructor() ERC20("Talos (test)", "TALOS") {}

    /// @notice Mint `amount` token units to the caller.
    function faucet(uint256 amount) external {
        faucetTo(msg.sender, amount);
    }

    /// @notice Mint `amount` token units to `to`.
    function faucetTo(address to, uint256 amount) public {
        if (amount > FAUCET_MAX) revert FaucetCapped(amount, FAUCET_MAX);
        _mint(to, amount);
    }
}
