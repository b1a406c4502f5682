//! What holds money: the Escrow of the leases, and the token that they are paid in.

use alloy::sol;

sol! {
    #[derive(Debug)]
    interface Escrow {
        function withdraw(address to) external returns (uint256 amount);
        function claimable(address payee) external view returns (uint256);
        function earned(address payee) external view returns (uint256);

        error InsufficientLine(uint64 deployment, uint256 asked, uint256 left);
        error NothingToWithdraw(address payee);
    }

    #[derive(Debug)]
    interface TalosToken {
        function faucet(uint256 amount) external;
        function faucetTo(address to, uint256 amount) external;
        function approve(address spender, uint256 amount) external returns (bool);
        function transfer(address to, uint256 amount) external returns (bool);
        function allowance(address owner, address spender) external view returns (uint256);
        function balanceOf(address account) external view returns (uint256);

        error FaucetCapped(uint256 asked, uint256 max);
        error ERC20InsufficientBalance(address sender, uint256 balance, uint256 needed);
        error ERC20InsufficientAllowance(address spender, uint256 allowance, uint256 needed);
        error OwnableUnauthorizedAccount(address account);
    }
}
