// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.28;

import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";
import {SafeERC20} from "@openzeppelin/contracts/token/ERC20/utils/SafeERC20.sol";

/// @title Token transfers whose ledgers stay exact
/// @notice A token that keeps a fee, or moves another amount than asked, is refused at the door.
library TokenIn {
    using SafeERC20 for IERC20;

    /// @notice The token moved another amount than asked; such tokens are refused.
    error TokenKeptFee(uint256 asked, uint256 received);

    /// @notice Pull `amount` from `from`, which has approved the calling contract. Every caller passes the
    /// sender of the transaction's call: Nodes its own, Escrow that of its Manager, which alone may call it.
    function take(IERC20 token, address from, uint256 amount) internal {
        uint256 before = token.balanceOf(address(this));
        // slither-disable-next-line arbitrary-send-erc20
        token.safeTransferFrom(from, address(this), amount);
        uint256 received = token.balanceOf(address(this)) - before;
        if (received != amount) revert TokenKeptFee(amount, received);
    }

    /// @notice Send `amount` to `to`.
    function give(IERC20 token, address to, uint256 amount) internal {
        token.safeTransfer(to, amount);
    }
}
