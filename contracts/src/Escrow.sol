// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.28;

import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";
import {TokenIn} from "./TokenIn.sol";

/// @title The market's money
/// @notice One ledger line per deployment and one account per payee. Only the Manager that made this
/// contract writes the lines; a payee withdraws by itself. A client approves this contract, once, to pay.
contract Escrow {
    using TokenIn for IERC20;

    // One slot. `paid` never passes `deposited`.
    struct Line {
        uint96 deposited;
        uint96 paid;
    }

    // `earned` never falls back to zero, so only a payee's first payment ever pays for a new slot.
    struct Account {
        uint128 claimable;
        uint128 earned;
    }

    /// @notice The token that leases are paid in.
    IERC20 public immutable token;
    /// @notice The one contract that writes the ledger.
    address public immutable manager;

    mapping(uint64 deployment => Line) private _lines;
    mapping(address payee => Account) private _accounts;

    /// @notice Token units left for their owner.
    event Withdrawn(address indexed payee, address indexed to, uint256 amount);

    /// @notice The caller is no Manager of this contract.
    error NotManager(address caller);
    /// @notice A figure is above what its field holds.
    error AmountTooLarge(uint256 amount, uint256 max);
    /// @notice Token units asked, and what is left of the deployment's line after the node was paid.
    error InsufficientLine(uint64 deployment, uint256 asked, uint256 left);
    /// @notice The payee has nothing to withdraw.
    error NothingToWithdraw(address payee);
    /// @notice An address is missing.
    error ZeroAddress();

    modifier onlyManager() {
        if (msg.sender != manager) revert NotManager(msg.sender);
        _;
    }

    constructor(IERC20 token_) {
        if (address(token_) == address(0)) revert ZeroAddress();
        token = token_;
        manager = msg.sender;
    }

    /// @notice Pull `amount` token units from `from` into a deployment's line.
    function deposit(uint64 deployment, address from, uint256 amount) external onlyManager {
        Line storage line = _lines[deployment];
        uint256 deposited = line.deposited + amount;
        if (deposited > type(uint96).max) revert AmountTooLarge(amount, type(uint96).max);
        line.deposited = uint96(deposited);
        token.take(from, amount);
    }

    /// @notice Credit `payee` with what has accrued since the start and is neither paid nor beyond the deposit.
    /// @param accrued token units earned since the start, all told
    /// @return amount token units credited by this call
    function settle(uint64 deployment, address payee, uint256 accrued) external onlyManager returns (uint256 amount) {
        (amount,) = _settle(deployment, payee, accrued);
    }

    /// @notice Settle for the last time and return the rest of the line to `client`.
    /// @param push send the rest at once; else it is credited to the client's account
    /// @return amount token units credited to the payee
    /// @return refund token units returned to the client
    function close(uint64 deployment, address payee, uint256 accrued, address client, bool push)
        external
        onlyManager
        returns (uint256 amount, uint256 refund)
    {
        uint256 paid;
        (amount, paid) = _settle(deployment, payee, accrued);
        Line storage line = _lines[deployment];
        refund = line.deposited - paid;
        if (refund == 0) return (amount, 0);
        line.deposited = uint96(paid);
        if (push) token.give(client, refund);
        else _credit(client, refund);
    }

    /// @notice Settle for the last time, and count what is left of the line anew, for whoever comes next.
    /// @return amount token units credited to the payee
    /// @return left token units of the new line
    function rebase(uint64 deployment, address payee, uint256 accrued)
        external
        onlyManager
        returns (uint256 amount, uint256 left)
    {
        uint256 paid;
        (amount, paid) = _settle(deployment, payee, accrued);
        Line storage line = _lines[deployment];
        left = line.deposited - paid;
        (line.deposited, line.paid) = (uint96(left), 0);
    }

    /// @notice Settle, then send `amount` of what is left of a line to `to`.
    function take(uint64 deployment, address payee, uint256 accrued, address to, uint256 amount)
        external
        onlyManager
        returns (uint256 settled)
    {
        uint256 paid;
        (settled, paid) = _settle(deployment, payee, accrued);
        Line storage line = _lines[deployment];
        uint256 left = line.deposited - paid;
        if (amount > left) revert InsufficientLine(deployment, amount, left);
        line.deposited -= uint96(amount);
        token.give(to, amount);
    }

    /// @notice Receive all that the caller may claim, at `to`.
    function withdraw(address to) external returns (uint256 amount) {
        if (to == address(0)) revert ZeroAddress();
        Account storage account = _accounts[msg.sender];
        amount = account.claimable;
        if (amount == 0) revert NothingToWithdraw(msg.sender);
        account.claimable = 0;
        emit Withdrawn(msg.sender, to, amount);
        token.give(to, amount);
    }

    /// @notice Token units that `payee` may withdraw now.
    function claimable(address payee) external view returns (uint256) {
        return _accounts[payee].claimable;
    }

    /// @notice Token units ever credited to `payee`.
    function earned(address payee) external view returns (uint256) {
        return _accounts[payee].earned;
    }

    /// @notice A deployment's line, in token units: paid in (less withdrawals and refunds), and paid out.
    function lineOf(uint64 deployment) external view returns (uint128 deposited, uint128 paid) {
        Line storage line = _lines[deployment];
        return (line.deposited, line.paid);
    }

    function _settle(uint64 deployment, address payee, uint256 accrued)
        private
        returns (uint256 amount, uint256 total)
    {
        Line storage line = _lines[deployment];
        (uint256 deposited, uint256 paid) = (line.deposited, line.paid);
        total = accrued < deposited ? accrued : deposited;
        // A client's withdrawal settles first, so the total never falls below what is paid.
        if (total <= paid) return (0, paid);
        amount = total - paid;
        line.paid = uint96(total);
        _credit(payee, amount);
    }

    function _credit(address payee, uint256 amount) private {
        Account storage account = _accounts[payee];
        account.claimable += uint128(amount);
        account.earned += uint128(amount);
    }
}
