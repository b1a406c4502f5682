// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.28;

import {Selection, State} from "../Types.sol";

/// @title How the market's state lies in storage
/// @notice Shapes packed so that a life writes few slots; nothing here is a variable.
abstract contract Records {
    // The first slot has all the figures, so that a deploy never reads the second. `cpuMillis` is never zero.
    struct Record {
        uint80 maxRate;
        uint56 memoryBytes;
        uint48 gasBudget;
        uint32 cpuMillis;
        uint24 bidWindow;
        bool gpu;
        bool dagPb;
        address publisher;
        uint64 publishedAt;
        bytes32 manifestHash;
        bytes32 artifactHash;
        bytes32 configHash;
        bytes32 artifactDigest;
        string agentId;
    }

    // Two slots, so that the whole life of a lease writes only these and its Escrow line. After the bidding
    // only the first changes.
    struct Lease {
        address owner;
        // Unix time, until the year 2106. Open: end of bidding. Assigned: last moment to ack. Running and
        // after: when money began to run.
        uint32 moment;
        uint24 publication;
        uint24 incarnation;
        State state;
        uint8 flags;
        address node;
        // Open without a bid: the order's limit.
        uint80 rate;
        // Beside the leading bid, so that the next one reads nothing more.
        Selection selection;
    }

    // Written only where a deployment differs from its publication; `flags` says which are in use.
    struct Extra {
        bytes32 configHash;
        bytes32 artifactDigest;
        address onlyNode;
        uint80 maxRate;
        address supersedesMarket;
        uint64 supersedesId;
    }

    struct Update {
        uint32 revision;
        uint24 publication;
        bool dagPb;
        bytes32 configHash;
        bytes32 artifactDigest;
    }

    struct Withdrawal {
        uint96 amount;
        uint40 readyAt;
    }

    // What a node has committed itself to: never zero, for its round ends some time. The limit is that of the round, of
    // which stake is locked.
    struct Commitment {
        uint32 roundEnds;
        uint80 limit;
    }

    // How many open orders an agent id has, and the sum of their numbers: with one, the sum is its number.
    // The mark keeps the slot from returning to zero, so that a deploy never pays for a new one.
    struct OpenOrders {
        uint64 count;
        uint128 sum;
        bool mark;
    }

    uint8 internal constant HOME = 1;
    uint8 internal constant PAUSED = 2;
    uint8 internal constant DAG_PB = 4;
    uint8 internal constant OWN_CONFIG = 8;
    uint8 internal constant ONLY_NODE = 16;
    uint8 internal constant OWN_LIMIT = 32;
    uint8 internal constant BARRED = 64;
    uint8 internal constant SUPERSEDES = 128;
}
