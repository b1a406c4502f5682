// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.28;

import {DeployParams} from "../src/Types.sol";
import {Life} from "./Life.sol";

/// I13: nothing walks over what may grow. Every function is called in a market that holds one of a thing and in one
/// that holds a thousand, each time on cold storage, and must burn the same gas to the unit.
contract CrowdTest is Life {
    /// What there is much of.
    enum Crowd {
        Nodes,
        Publications,
        Orders,
        Bids,
        Leases,
        History,
        Feeds,
        Slashes
    }

    uint256 private constant MANY = 1000;

    Crowd private _kind;
    uint256 private _size;

    function test_nothing_costs_more_among_a_thousand_nodes() external {
        _compare(Crowd.Nodes);
    }

    function test_nothing_costs_more_among_a_thousand_publications() external {
        _compare(Crowd.Publications);
    }

    function test_nothing_costs_more_among_a_thousand_orders() external {
        _compare(Crowd.Orders);
    }

    function test_nothing_costs_more_after_a_thousand_bids() external {
        _compare(Crowd.Bids);
    }

    function test_nothing_costs_more_for_a_node_of_a_thousand_leases() external {
        _compare(Crowd.Leases);
    }

    function test_nothing_costs_more_for_a_lease_of_a_long_history() external {
        _compare(Crowd.History);
    }

    function test_nothing_costs_more_among_a_thousand_feeds_and_sets() external {
        _compare(Crowd.Feeds);
    }

    function test_nothing_costs_more_after_a_thousand_slashes() external {
        _compare(Crowd.Slashes);
    }

    function _compare(Crowd kind) private {
        (_kind, _size) = (kind, 1);
        _live();
        (string[] memory names, uint256[] memory few) = (_names, _costs);
        delete _names;
        delete _costs;
        _size = MANY;
        _live();
        eq(_costs.length, few.length, "calls");
        for (uint256 i = 0; i < few.length; ++i) {
            eq(bytes(_names[i]), bytes(names[i]), names[i]);
            eq(_costs[i], few[i], names[i]);
        }
    }

    function _beforePublications() internal override {
        if (_kind == Crowd.Publications) _crowdOfPublications();
    }

    function _beforeOrders() internal override {
        if (_kind == Crowd.Nodes) _crowdOfNodes();
        if (_kind == Crowd.Orders) _crowdOfOrders();
        if (_kind == Crowd.Leases) _crowdOfLeases();
        if (_kind == Crowd.Slashes) _crowdOfSlashes();
    }

    function _beforeBids() internal override {
        if (_kind == Crowd.Bids) _crowdOfBids();
    }

    function _whileRunning() internal override {
        if (_kind == Crowd.History) _longHistory();
        if (_kind == Crowd.Feeds) _crowdOfFeeds();
    }

    // ---- crowds ----------------------------------------------------------------------------------

    function _member(uint256 i) private pure returns (address) {
        return address(uint160(0x10_0000 + i));
    }

    function _crowdOfNodes() private {
        for (uint256 i = 0; i < _size; ++i) {
            _join(_member(i));
        }
    }

    // Of the same publisher and agent id, and of others.
    function _crowdOfPublications() private {
        for (uint256 i = 0; i < _size; ++i) {
            _publish(600);
            _publish(_member(i), AGENT, _raw(ARTIFACT), 600);
        }
    }

    // Open ones of the same agent id, ended ones of the other, and homes of the same node.
    function _crowdOfOrders() private {
        DeployParams memory home = _params(_windowed);
        home.payment = 0;
        for (uint256 i = 0; i < _size; ++i) {
            vm.startPrank(client);
            DeployParams memory params = _params(_windowed);
            params.payment = 1;
            manager.deploy(params);
            params.publication = _immediate;
            manager.stop(manager.deploy(params));
            vm.stopPrank();
            vm.prank(dave);
            manager.deployHome(home);
        }
    }

    // Each by another node, which is outbid and then rejects; the last one leads.
    function _crowdOfBids() private {
        for (uint256 i = 0; i <= _size; ++i) {
            _join(_member(i));
            _bid(_id, _member(i), uint128(MAX_RATE - i));
            if (i == 0) continue;
            vm.prank(_member(i - 1));
            manager.reject(_id, "no");
        }
    }

    function _crowdOfLeases() private {
        DeployParams memory params = _params(_immediate);
        params.payment = 1 ether;
        for (uint256 i = 0; i < _size; ++i) {
            vm.prank(client);
            uint64 id = manager.deploy(params);
            _bid(id, bob, 1);
            _start(id, bob);
            _pass(1 hours);
            manager.settle(id);
        }
    }

    function _longHistory() private {
        for (uint256 i = 0; i < _size; ++i) {
            _pass(_period());
            _beat(bob);
            manager.settle(_id);
            vm.startPrank(client);
            manager.deposit(_id, 1);
            manager.pause(_id);
            manager.resume(_id);
            manager.requestClientWithdraw(_id, 1);
            uint32 revision = manager.update(_id, _windowed, 0, "");
            vm.stopPrank();
            vm.startPrank(bob);
            manager.rejectUpdate(_id, revision, "no");
            _feeds.publish(_id, "ETH/USD", 1);
            vm.stopPrank();
        }
    }

    function _crowdOfFeeds() private {
        for (uint256 i = 0; i < _size; ++i) {
            vm.prank(bob);
            _feeds.publish(_id, vm.toString(i), 1);
            _book.upgrade(_set(), _places());
            nodes.addManager(_member(i));
        }
    }

    function _crowdOfSlashes() private {
        for (uint256 i = 0; i < _size; ++i) {
            vm.prank(court);
            nodes.slash(bob, 1, 10, "down", finder, client, 5);
            vm.startPrank(bob);
            nodes.addStake(2);
            nodes.requestUnbond(1);
            vm.stopPrank();
        }
    }
}
