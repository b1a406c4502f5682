// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.28;

import {State} from "../src/Types.sol";
import {Tidings} from "../src/Tidings.sol";
import {World} from "./Base.sol";

/// A reputation that fails, whatever it is asked or told.
contract Failing {
    fallback() external {
        revert("no");
    }
}

/// A reputation that uses up all the gas that it is given.
contract Burning {
    fallback() external {
        for (uint256 i = 0;; ++i) {}
    }
}

/// A reputation that fails with more words than anybody would pay for.
contract Shouting {
    fallback() external {
        assembly ("memory-safe") {
            revert(0, 300000)
        }
    }
}

/// A reputation may be broken or gone; slashes and evictions go on, and nobody can keep them from being told.
contract TidingsTest is World {
    // Of a proof of silence and the slash that follows, by far.
    uint256 private constant REST = 400_000;

    function _faults(address node) private view returns (uint256 faults) {
        (, faults,) = reputation.factsOf(node);
    }

    function _lastPeriod() private view returns (uint40) {
        return uint40(_now() / PERIOD) - 1;
    }

    function _slash() private {
        vm.prank(address(heartbeats));
        nodes.slash(bob, 1, 1 ether, "forged", stranger, client, 0);
    }

    function _silenceAndSlashesGoOn(address broken) private {
        nodes.setReputation(broken);
        uint64 id = _running();
        _pass(PERIOD);
        uint256 gas = gasleft();
        heartbeats.slashMissed(manager, id, _lastPeriod());
        yes(gas - gasleft() < 2 * Tidings.TOLD_GAS_MAX + REST, "the gas has a bound");
        _is(id, State.Open);
        eq(nodes.node(bob).stake, STAKE - RATE, "an hour's rate");
        gas = gasleft();
        _slash();
        yes(gas - gasleft() < Tidings.TOLD_GAS_MAX + REST, "and here");
        eq(nodes.node(bob).stake, STAKE - RATE - 1 ether, "and the other slash");
        eq(_faults(bob), 0, "nobody was told");
    }

    function test_a_reputation_that_fails_stops_nothing() external {
        _silenceAndSlashesGoOn(address(new Failing()));
    }

    function test_a_reputation_that_burns_gas_stops_nothing() external {
        _silenceAndSlashesGoOn(address(new Burning()));
    }

    function test_a_reputation_that_shouts_stops_nothing() external {
        _silenceAndSlashesGoOn(address(new Shouting()));
    }

    function test_a_reputation_that_is_no_contract_stops_nothing() external {
        _silenceAndSlashesGoOn(stranger);
    }

    // The last of the gas is what a caller could bring too little of.
    function test_a_proof_of_silence_is_told_whatever_gas_it_has(uint256 gas) external {
        uint64 id = _running();
        _pass(PERIOD);
        gas = 50_000 + gas % 700_000;
        try heartbeats.slashMissed{gas: gas}(manager, id, _lastPeriod()) {
            eq(_faults(bob), 3 days, "told");
            _is(id, State.Open);
        } catch {
            yes(gas < 2 * Tidings.TOLD_GAS_MAX + REST, "enough");
            eq(_faults(bob), 0, "not told");
            _is(id, State.Running);
        }
    }

    function test_a_slash_is_told_whatever_gas_it_has(uint256 gas) external {
        gas = 20_000 + gas % 400_000;
        vm.prank(address(heartbeats));
        try nodes.slash{gas: gas}(bob, 1, 1 ether, "forged", stranger, client, 0) {
            eq(_faults(bob), 10 days, "told");
        } catch {
            yes(gas < Tidings.TOLD_GAS_MAX + REST, "enough");
            eq(_faults(bob), 0, "not told");
            eq(nodes.node(bob).stake, STAKE, "nor slashed");
        }
    }

    function test_too_little_gas_is_refused_by_its_name() external {
        vm.prank(address(heartbeats));
        vm.expectPartialRevert(Tidings.GasTooLow.selector);
        nodes.slash{gas: 200_000}(bob, 1, 1 ether, "forged", stranger, client, 0);
    }

    function test_without_a_reputation_no_gas_is_asked_for() external {
        nodes.setReputation(address(0));
        vm.prank(address(heartbeats));
        nodes.slash{gas: 200_000}(bob, 1, 1 ether, "forged", stranger, client, 0);
        eq(nodes.node(bob).stake, STAKE - 1 ether, "slashed");
    }
}
