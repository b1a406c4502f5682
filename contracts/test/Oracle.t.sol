// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.28;

import {Ownable} from "@openzeppelin/contracts/access/Ownable.sol";
import {AddressBook} from "../src/AddressBook.sol";
import {OracleFeed} from "../src/OracleFeed.sol";
import {OracleFeeds} from "../src/OracleFeeds.sol";
import {TalosToken} from "../src/TalosToken.sol";
import {World} from "./Base.sol";

contract OracleTest is World {
    OracleFeeds private _feeds;

    function setUp() public override {
        super.setUp();
        _feeds = new OracleFeeds(manager);
    }

    function _publishAnswer(uint64 id, int256 answer) private returns (OracleFeed) {
        vm.prank(bob);
        return _feeds.publish(id, "ETH/USD", answer);
    }

    function test_a_feed_is_made_at_its_first_answer_and_read_like_an_aggregator() external {
        uint64 id = _running();
        eq(address(_feeds.feedOf(id, "ETH/USD")), address(0), "none yet");
        OracleFeed feed = _publishAnswer(id, 3000e8);
        eq(address(_feeds.feedOf(id, "ETH/USD")), address(feed), "one feed");
        _pass(60);
        eq(address(_publishAnswer(id, 3001e8)), address(feed), "the same feed");
        (uint80 round, int256 answer, uint256 startedAt, uint256 updatedAt, uint80 answeredIn) =
            feed.latestRoundData();
        eq(round, 2, "round");
        eq(uint256(answer), 3001e8, "answer");
        yes(startedAt == _now() && updatedAt == _now() && answeredIn == 2, "times");
        (, answer,,,) = feed.getRoundData(1);
        eq(uint256(answer), 3000e8, "history");
        eq(feed.decimals(), 8, "decimals");
        eq(bytes(feed.description()), "ETH/USD", "asset");
        eq(feed.deployment(), id, "deployment");
        eq(feed.manager(), address(manager), "market");
        vm.expectRevert(abi.encodeWithSelector(OracleFeed.NoData.selector, 3));
        feed.getRoundData(3);
    }

    function test_only_the_active_node_publishes() external {
        uint64 id = _deploy(0);
        _bid(id, bob, RATE);
        vm.prank(bob);
        vm.expectRevert(abi.encodeWithSelector(OracleFeeds.NotActiveNode.selector, id, bob));
        _feeds.publish(id, "ETH/USD", 1);
        _start(id, bob);
        vm.prank(carol);
        vm.expectRevert(abi.encodeWithSelector(OracleFeeds.NotActiveNode.selector, id, carol));
        _feeds.publish(id, "ETH/USD", 1);
        OracleFeed feed = _publishAnswer(id, 1);
        vm.prank(bob);
        vm.expectRevert(abi.encodeWithSelector(OracleFeed.NotFeeds.selector, bob));
        feed.record(1);
        vm.prank(client);
        manager.stop(id);
        vm.prank(bob);
        vm.expectRevert(abi.encodeWithSelector(OracleFeeds.NotActiveNode.selector, id, bob));
        _feeds.publish(id, "ETH/USD", 1);
    }

    function test_answers_and_assets_out_of_range_are_refused() external {
        uint64 id = _running();
        int256[3] memory bad = [int256(0), -1, int256(1) << 191];
        for (uint256 i = 0; i < bad.length; ++i) {
            vm.prank(bob);
            vm.expectRevert(abi.encodeWithSelector(OracleFeed.AnswerOutOfRange.selector, bad[i]));
            _feeds.publish(id, "ETH/USD", bad[i]);
        }
        vm.startPrank(bob);
        vm.expectRevert(abi.encodeWithSelector(OracleFeeds.AssetLength.selector, 0, 64));
        _feeds.publish(id, "", 1);
        vm.expectRevert(abi.encodeWithSelector(OracleFeeds.AssetLength.selector, 65, 64));
        _feeds.publish(id, string(new bytes(65)), 1);
        vm.stopPrank();
    }

    // ---- the address book, the token -------------------------------------------------------------

    function test_an_upgrade_names_a_new_set_and_keeps_the_old() external {
        AddressBook book = new AddressBook(address(this));
        vm.expectRevert(abi.encodeWithSelector(AddressBook.UnknownVersion.selector, 0, 0));
        book.addressOf("Manager");
        (bytes32[] memory names, address[] memory addresses) = (new bytes32[](2), new address[](2));
        (names[0], names[1]) = ("Manager", "Escrow");
        (addresses[0], addresses[1]) = (address(manager), address(escrow));
        eq(book.upgrade(names, addresses), 1, "version");
        addresses[0] = address(1);
        eq(book.upgrade(names, addresses), 2, "version");
        eq(book.addressOf("Manager"), address(1), "newest");
        eq(book.addressAt("Manager", 1), address(manager), "history");
        (bytes32[] memory found, address[] memory at_) = book.setAt(1);
        yes(found[1] == "Escrow" && at_[1] == address(escrow), "whole set");
        vm.expectRevert(abi.encodeWithSelector(AddressBook.UnknownName.selector, bytes32("Court"), 2));
        book.addressOf("Court");
        vm.expectRevert(abi.encodeWithSelector(AddressBook.UnknownVersion.selector, 3, 2));
        book.setAt(3);
    }

    function test_sets_without_sense_are_refused() external {
        AddressBook book = new AddressBook(address(this));
        (bytes32[] memory names, address[] memory addresses) = (new bytes32[](2), new address[](2));
        vm.expectRevert(abi.encodeWithSelector(AddressBook.BadSet.selector, 2, 1, 32));
        book.upgrade(names, new address[](1));
        vm.expectRevert(abi.encodeWithSelector(AddressBook.BadSet.selector, 0, 0, 32));
        book.upgrade(new bytes32[](0), new address[](0));
        vm.expectRevert(abi.encodeWithSelector(AddressBook.BadSet.selector, 33, 33, 32));
        book.upgrade(new bytes32[](33), new address[](33));
        vm.expectRevert(abi.encodeWithSelector(AddressBook.EmptyEntry.selector, 0));
        book.upgrade(names, addresses);
        (names[0], names[1]) = ("Manager", "Manager");
        (addresses[0], addresses[1]) = (address(1), address(2));
        vm.expectRevert(abi.encodeWithSelector(AddressBook.NameTwice.selector, bytes32("Manager")));
        book.upgrade(names, addresses);
        vm.prank(bob);
        vm.expectRevert(abi.encodeWithSelector(Ownable.OwnableUnauthorizedAccount.selector, bob));
        book.upgrade(names, addresses);
    }

    function test_the_faucet_is_capped_per_call() external {
        vm.startPrank(stranger);
        token.faucet(1_000_000 ether);
        eq(token.balanceOf(stranger), 1_000_000 ether, "minted");
        vm.expectRevert(
            abi.encodeWithSelector(TalosToken.FaucetCapped.selector, 1_000_000 ether + 1, 1_000_000 ether)
        );
        token.faucet(1_000_000 ether + 1);
        vm.stopPrank();
    }
}
