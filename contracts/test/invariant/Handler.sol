// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.28;

import {State} from "../../src/Types.sol";
import {LeaseAttacks} from "./LeaseAttacks.sol";
import {MoneyAttacks} from "./MoneyAttacks.sol";
import {NodeActs} from "./NodeActs.sol";
import {OfferActs} from "./OfferActs.sol";

/// Acts on a market as its clients, nodes, a court and bystanders would, and as a thief would. Before each call it is
/// known whether the market must allow it. The runner calls `act`; a roll of its numbers picks the action among those
/// possible.
contract Handler is NodeActs, OfferActs, LeaseAttacks, MoneyAttacks {
    uint256 private immutable _salt;
    uint256 private immutable _attacksOf256;

    /// @param salt keeps the histories of two handlers apart, which the runner gives the same numbers
    /// @param attacksOf256 how many of 256 actions are attacks
    constructor(uint256 salt, uint256 attacksOf256) {
        (_salt, _attacksOf256) = (salt, attacksOf256);
        setUp();
        _clock = 1_800_000_000;
        watchedSince = _clock - 1;
        rawPublication = _publish(600);
        nextPublication = _publish(client, AGENT_NEXT, _raw(ARTIFACT), 300);
        otherPublication = _publish(client, "talos.oracle.price-btc@v1.0.0", _raw(ARTIFACT), 0);
        _publish(bob, AGENT, _raw(ARTIFACT), 0);
        (rawText, treeText, otherText) = (_text(_raw(ARTIFACT)), _text(_dagPb(CONFIG)), _text(_raw(CONFIG)));
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
        seed ^= _salt;
        _told = address(0);
        history = keccak256(abi.encode(history, seed));
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
        if (id == 0 || (live.length < LIVE_MAX && what < 22)) {
            return (roll >> 188) % 4 == 0 ? _anyOffer(roll) : _order(roll);
        }
        if ((seed >> 24) % 256 < _attacksOf256) return _attack(id, roll);
        if (what < 30) return _node(operators[roll % 3], roll >> 8);
        if (commits.length != 0 && what > 96) return _anyReclaim(roll);
        Ghost storage g = ghosts[id];
        if (g.state == State.Unverified) _unverified(id, g, roll);
        else if (g.state == State.Open) _openOrder(id, g, roll);
        else if (g.state == State.Assigned) _assigned(id, g, roll);
        else _runningLease(id, g, roll);
    }

    // Most that are alive run, so others are looked for.
    function _attack(uint64 id, uint256 roll) private {
        uint256 kind = roll % 10;
        roll >>= 8;
        if (kind < 3) return _attackMoney(id, roll);
        if (kind < 5 && ended.length != 0) id = ended[(roll >> 100) % ended.length];
        for (uint256 i = 0; kind > 6 && i < live.length && ghosts[id].state == State.Running; ++i) {
            id = live[i];
        }
        _attackLease(id, ghosts[id], roll);
    }
}
