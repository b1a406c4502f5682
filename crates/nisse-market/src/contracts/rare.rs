//! Errors that no interface of the set declares, or that no honest caller of a healthy market meets.

use alloy::sol;

sol! {
    // Of the libraries that the contracts are built with.
    #[derive(Debug)]
    interface Cid {
        error CidLength(uint256 found, uint256 expected);
        error CidNotBase32(uint256 position);
        error CidUnsupported(uint32 prefix);
    }

    // What no honest caller of a healthy market meets.
    #[derive(Debug)]
    interface Rare {
        error BadSet(uint256 names, uint256 addresses, uint256 max);
        error EmptyEntry(uint256 index);
        error NameTwice(bytes32 name);
        error OwnableInvalidOwner(address owner);
        error SafeERC20FailedOperation(address token);
        error TokenKeptFee(uint256 asked, uint256 received);
        error ReentrancyGuardReentrantCall();
        error NotSlasher(address caller);
        error NothingToClaim(address account);
        error SlashTooLarge(address node, uint256 amount, uint256 max);
        error NotFeeds(address caller);
        error NotNodes(address caller);
        error PeriodTooShort(uint32 seconds_, uint32 min);
        error ERC20InvalidApprover(address approver);
        error ERC20InvalidReceiver(address receiver);
        error ERC20InvalidSender(address sender);
        error ERC20InvalidSpender(address spender);
    }
}
