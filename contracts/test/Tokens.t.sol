// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.28;

import {IERC20Errors} from "@openzeppelin/contracts/interfaces/draft-IERC6093.sol";
import {ERC20} from "@openzeppelin/contracts/token/ERC20/ERC20.sol";
import {DeployParams, Resources} from "../src/Types.sol";
import {Escrow} from "../src/Escrow.sol";
import {Manager} from "../src/Manager.sol";
import {Nodes} from "../src/Nodes.sol";
import {TokenIn} from "../src/TokenIn.sol";
import {Test} from "./Base.sol";

/// What an account holds is a share of a pot, which shrinks and grows while nobody moves anything, as staked tokens'
/// does; and a fee is kept of each transfer, where one is set.
contract OddToken is ERC20 {
    uint256 private constant ONE = 1e6;
    uint256 private _worth = ONE;
    uint256 private _fee;
    uint256 private _worthAfterTransfer;

    constructor() ERC20("Odd", "ODD") {}

    function mint(address to, uint256 amount) external {
        _mint(to, amount);
    }

    function setFee(uint256 fee) external {
        _fee = fee;
    }

    /// @param worth of a million shares
    function rebase(uint256 worth) external {
        _worth = worth;
    }

    /// As `rebase`, but in the middle of each transfer from then on.
    function rebaseWithTransfers(uint256 worth) external {
        _worthAfterTransfer = worth;
    }

    function balanceOf(address account) public view override returns (uint256) {
        return super.balanceOf(account) * _worth / ONE;
    }

    // A transfer moves whole shares, the odd rest of a unit stays.
    function _update(address from, address to, uint256 value) internal override {
        bool moved = from != address(0) && to != address(0);
        super._update(from, to, value * ONE / _worth);
        if (moved && _fee != 0) super._update(to, address(0xdead), _fee);
        if (moved && _worthAfterTransfer != 0) _worth = _worthAfterTransfer;
    }
}

/// I14: a token that moves another amount than asked is refused at the door. One that changes its balances later is not
/// found out: the ledgers go on in the units that came in, pay them to the last that is there, and then refuse.
contract TokensTest is Test {
    uint128 private constant STAKE = 10_000 ether;
    uint128 private constant PAYMENT = 1000 ether;
    uint128 private constant RATE = 50 ether;
    bytes32 private constant ARTIFACT = keccak256("oracle.wasm");
    uint256 private constant HALF = 500_000;
    uint256 private constant TWICE = 2_000_000;
    address private constant client = address(0xC11E47);
    address private constant bob = address(0xB0B);
    address private constant carol = address(0xCA401);
    address private constant court = address(0xC047);

    OddToken private token;
    Nodes private nodes;
    Manager private manager;
    Escrow private escrow;

    function setUp() external {
        vm.warp(1_800_000_000);
        token = new OddToken();
        nodes = new Nodes(token, STAKE, 14 days, address(0x7EA5), address(this));
        manager = new Manager(nodes, 60, 1 hours, 24, 2);
        escrow = manager.escrow();
        nodes.addManager(address(manager));
        nodes.setSlasher(court);
        _fund(bob, address(nodes));
        _fund(carol, address(nodes));
        _fund(client, address(escrow));
        bytes memory cid = abi.encodePacked(hex"01551220", ARTIFACT);
        vm.prank(client);
        manager.publish("a@v1", cid, ARTIFACT, cid, ARTIFACT, 0, Resources(1, 1, false), RATE, 0, 0);
    }

    function _fund(address who, address spender) private {
        token.mint(who, 100_000 ether);
        vm.prank(who);
        token.approve(spender, type(uint256).max);
    }

    function _register(address node) private {
        vm.prank(node);
        nodes.register("https://node.example", Resources(1, 1, false), STAKE);
    }

    function _order() private returns (uint64 id) {
        DeployParams memory params;
        (params.publication, params.payment) = (1, PAYMENT);
        vm.prank(client);
        id = manager.deploy(params);
    }

    function _lease(address node) private returns (uint64 id) {
        id = _order();
        vm.startPrank(node);
        manager.bid(id, RATE);
        manager.ackStart(id, 1);
        vm.stopPrank();
    }

    function _pass(uint256 seconds_) private {
        vm.warp(vm.getBlockTimestamp() + seconds_);
    }

    // The token has no more shares of `from` than that.
    function _lacking(address from) private {
        vm.expectPartialRevert(IERC20Errors.ERC20InsufficientBalance.selector);
        vm.prank(from);
    }

    // ---- refused at the door ---------------------------------------------------------------------

    function _refusedAtBothDoors(uint256 stakeReceived, uint256 paymentReceived) private {
        vm.expectRevert(abi.encodeWithSelector(TokenIn.TokenKeptFee.selector, STAKE, stakeReceived));
        _register(bob);
        vm.expectRevert(abi.encodeWithSelector(TokenIn.TokenKeptFee.selector, PAYMENT, paymentReceived));
        _order();
    }

    function test_a_token_that_keeps_a_fee_is_refused() external {
        token.setFee(1);
        _refusedAtBothDoors(STAKE - 1, PAYMENT - 1);
    }

    function test_a_token_whose_balances_shrink_or_grow_with_a_transfer_is_refused() external {
        token.rebaseWithTransfers(HALF);
        _refusedAtBothDoors(STAKE / 2, PAYMENT / 2);
        token.rebaseWithTransfers(TWICE);
        _refusedAtBothDoors(STAKE * 2, PAYMENT * 2);
    }

    function test_a_token_that_moves_a_unit_less_for_want_of_whole_shares_is_refused() external {
        token.rebase(700_001);
        _refusedAtBothDoors(STAKE - 1, PAYMENT - 1);
    }

    function test_a_token_that_takes_of_what_lay_there_before_is_refused_by_the_arithmetic() external {
        _register(carol);
        token.rebaseWithTransfers(HALF / 2);
        vm.expectRevert(abi.encodeWithSignature("Panic(uint256)", 0x11));
        _register(bob);
    }

    // ---- not found out: balances that change while nothing moves ---------------------------------

    function test_what_a_shrunken_escrow_holds_is_paid_in_full_and_the_rest_stays_owed() external {
        _register(bob);
        _register(carol);
        (uint64 first, uint64 second) = (_lease(bob), _lease(carol));
        _pass(20 hours);
        token.rebase(HALF);
        manager.expire(first);
        manager.expire(second);
        eq(token.balanceOf(address(escrow)), PAYMENT, "half of two deposits is left");
        vm.prank(bob);
        escrow.withdraw(bob);
        _lacking(carol);
        escrow.withdraw(carol);
        eq(escrow.claimable(carol), PAYMENT, "still owed");
        // Whoever wants it mended sends what is missing.
        vm.prank(client);
        token.transfer(address(escrow), PAYMENT);
        vm.prank(carol);
        eq(escrow.withdraw(carol), PAYMENT, "paid late");
        eq(token.balanceOf(address(escrow)), 0, "nothing is left");
    }

    function test_a_shrunken_escrow_still_ends_leases_but_refunds_only_while_it_can() external {
        _register(bob);
        (uint64 id, uint64 open) = (_lease(bob), _order());
        _pass(1 hours);
        token.rebase(HALF / 2);
        _lacking(client);
        manager.stop(open);
        vm.prank(bob);
        manager.stop(id);
        eq(escrow.claimable(bob), RATE, "to the node");
        eq(escrow.claimable(client), PAYMENT - RATE, "to the client");
        vm.prank(bob);
        escrow.withdraw(bob);
        _lacking(client);
        escrow.withdraw(client);
    }

    function test_what_a_token_adds_to_escrow_and_stakes_is_nobodys() external {
        _register(bob);
        uint64 id = _lease(bob);
        token.rebase(TWICE);
        _pass(20 hours);
        manager.expire(id);
        vm.startPrank(bob);
        eq(escrow.withdraw(bob), PAYMENT, "what was paid in");
        nodes.requestUnbond(STAKE);
        _pass(14 days);
        eq(nodes.withdraw(), STAKE, "what was staked");
        vm.stopPrank();
        eq(token.balanceOf(address(escrow)), PAYMENT, "left in escrow");
        eq(token.balanceOf(address(nodes)), STAKE, "left with the stakes");
        eq(escrow.claimable(bob) + escrow.claimable(client), 0, "and owed to nobody");
    }

    function test_a_shrunken_stake_counts_as_it_came_in_and_the_last_to_leave_is_refused() external {
        _register(bob);
        _register(carol);
        token.rebase(HALF);
        eq(nodes.node(bob).stake, STAKE, "by the ledger");
        nodes.requireEligible(bob, STAKE);
        vm.prank(bob);
        nodes.requestUnbond(STAKE);
        vm.prank(carol);
        nodes.requestUnbond(STAKE);
        _pass(14 days);
        vm.prank(bob);
        eq(nodes.withdraw(), STAKE, "all that was left of both");
        _lacking(carol);
        nodes.withdraw();
        eq(nodes.node(carol).unbonding, STAKE, "still owed");
        // A stake that comes in now is exact by itself, and pays what is owed to those before it.
        address dave = address(0xDA7E);
        _fund(dave, address(nodes));
        _register(dave);
        vm.prank(carol);
        eq(nodes.withdraw(), STAKE, "by dave's");
        eq(token.balanceOf(address(nodes)), 0, "and dave's is gone");
        eq(nodes.node(dave).stake, STAKE, "but for the ledger");
    }

    function test_shares_of_a_shrunken_stake_are_counted_and_paid_while_there_is_some() external {
        _register(bob);
        token.rebase(HALF);
        vm.prank(court);
        nodes.slash(bob, 1, STAKE, "down", carol, client, STAKE);
        eq(nodes.claimable(carol) + nodes.claimable(client), STAKE, "I6 the sum is the slash");
        vm.prank(carol);
        eq(nodes.claimSlashed(), STAKE / 10, "the finder came first");
        _lacking(client);
        nodes.claimSlashed();
        eq(nodes.claimable(client), STAKE - STAKE / 10, "still owed");
    }
}
