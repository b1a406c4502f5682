// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.28;

import {State} from "../../src/Types.sol";
import {NodeActs} from "./NodeActs.sol";
import {OrderActs} from "./OrderActs.sol";

/// Acts on a market as its clients, nodes, a court and bystanders would, always by a call that must succeed.
/// The runner calls `act`; a roll of its numbers picks the action among those possible.
contract Handler is NodeActs, OrderActs {
    constructor() {
        setUp();
        _clock = 1_800_000_000;
        nodes.setSlasher(court);
        rawPublication = _publish(600);
        nextPublication = _publish(client, AGENT_NEXT, _raw(ARTIFACT), 300);
        _publish(bob, AGENT, _raw(ARTIFACT), 0);
        for (uint256 i = 0; i < 3; ++i) {
            _fund(operators[i]);
            vm.prank(operators[i]);
            nodes.addStake(90_000 ether);
            ghostNodes[operators[i]].stake = 100_000 ether;
        }
        _fund(client);
        stakeIn = 300_000 ether;
    }

    function _fund(address who) private {
        for (uint256 i = 0; i < 500; ++i) {
            token.faucetTo(who, 1_000_000 ether);
        }
    }

    /// Several actions in one call, since the runner's own part of a call costs more than an action.
    function act(uint256 seed) external {
        for (uint256 i = 0; i < ACTIONS_PER_CALL; ++i) {
            seed = uint256(keccak256(abi.encode(seed)));
            _act(seed);
        }
    }

    function _act(uint256 seed) private {
        // Time passes a little with every action, so that windows close and money runs.
        if (seed & 3 == 0) _pass((seed >> 8) % 200);
        uint256 what = (seed >> 16) % 100;
        uint64 id = live.length == 0 ? 0 : live[(seed >> 32) % live.length];
        uint256 roll = seed >> 64;
        if (id == 0 || (live.length < LIVE_MAX && what < 22)) return _order(roll);
        if (what < 30) return _node(operators[roll % 3], roll >> 8);
        Ghost storage g = ghosts[id];
        if (g.state == State.Unverified) _unverified(id, g, roll);
        else if (g.state == State.Open) _openOrder(id, g, roll);
        else if (g.state == State.Assigned) _assigned(id, g, roll);
        else _runningLease(id, g, roll);
    }
}
