// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.28;

/// @notice What an agent needs, or what a node offers.
/// @param cpuMillis thousandths of a CPU; 1000 = 1.0 CPU
/// @param memoryBytes bytes of memory
/// @param gpu whether a GPU is needed or offered
struct Resources {
    uint32 cpuMillis;
    uint64 memoryBytes;
    bool gpu;
}

/// @notice Where a deployment stands. Edges: Unverified -> Open -> Assigned -> Running -> Stopped | Expired;
/// Assigned -> Open (no ack, or rejected); Running -> Open (the node fell silent); anything live -> Stopped; a
/// home lease starts in Assigned.
enum State {
    None,
    Unverified,
    Open,
    Assigned,
    Running,
    Stopped,
    Expired
}

/// @notice Why a deployment was stopped.
enum StopReason {
    Owner,
    Node
}

/// @notice Why an order went back to the market.
enum ReopenReason {
    NoAck,
    Rejected,
    Silent
}

/// @notice How an order chooses among bids: the lowest price, the best known node, or both at once; or the first or
/// the last of these among bids that nobody sees before all are made. The rules are those of LowestPrice and of the
/// contract that `Nodes.reputation` names, which is asked by the first three alone.
enum Selection {
    LowestPrice,
    HighestReputation,
    Score,
    SealedPrice,
    SealedScore
}

/// @notice What an order says of itself beside what is deployed.
/// @param provider URL of where the content can be had, told in `OrderTerms` and not stored; empty = none
struct Terms {
    Selection selection;
    string provider;
}

/// @notice A package made known on chain: immutable once published.
/// @param id its number; numbers start at 1
/// @param agentId name and version, e.g. `talos.oracle.price-eth@v1.2.0`
/// @param manifestCid binary CIDv1 of agent.yaml, always raw sha2-256 (36 bytes)
/// @param artifactCid binary CIDv1 of the artifact, raw or dag-pb, sha2-256 (36 bytes)
/// @param artifactHash SHA-256 of the artifact's bytes
/// @param configHash SHA-256 of the merged configuration block, zero for none
/// @param maxRate highest price, in token units per hour
/// @param bidWindow seconds for which bids are collected; 0 = the first valid bid wins
/// @param gasBudget gas that the node may spend for the agent in each started hour
struct Publication {
    uint64 id;
    address publisher;
    string agentId;
    bytes manifestCid;
    bytes32 manifestHash;
    bytes artifactCid;
    bytes32 artifactHash;
    bytes32 configHash;
    Resources resources;
    uint128 maxRate;
    uint32 bidWindow;
    uint64 gasBudget;
    uint64 publishedAt;
}

/// @notice The arguments of a typed deploy.
/// @param publication the publication's number, anyone's
/// @param payment token units moved from the caller into escrow
/// @param maxRate token units per hour; 0 = as published (an override costs one more storage slot)
/// @param configHash configuration of this deployment; 0 = as published
/// @param artifactCid another CID of the same artifact; empty = as published
/// @param onlyNode the one node that may bid; 0 = any
/// @param supersedesMarket the Manager of the deployment that this one continues; 0 = none
/// @param supersedesId its number there
struct DeployParams {
    uint64 publication;
    uint128 payment;
    uint128 maxRate;
    bytes32 configHash;
    bytes artifactCid;
    address onlyNode;
    address supersedesMarket;
    uint64 supersedesId;
}

/// @notice What a node's operator signs, so that a deploy finds its node at once (EIP-712). Good once.
/// @param node the operator's address
/// @param client who may take it; 0 = anybody
/// @param upTo the most that the agent may need; a GPU only where it is offered
/// @param rate token units per hour
/// @param validUntil last unix time at which it may be taken
/// @param nonce the node's own number for it; of several offers with the same nonce one is taken
struct Offer {
    address node;
    address client;
    Resources upTo;
    uint128 rate;
    uint64 validUntil;
    uint64 nonce;
}

/// @notice All that a node needs to decide about an order and to fetch the agent; carried by `Deployed`.
/// @param biddingEnds unix time when bids close; 0 while unverified
/// @param verified whether the artifact's CID proves its hash (raw) or a quorum attested it
struct Order {
    uint64 publication;
    string agentId;
    bytes manifestCid;
    bytes artifactCid;
    bytes32 artifactHash;
    bytes32 configHash;
    Resources resources;
    uint128 payment;
    uint128 maxRate;
    uint32 bidWindow;
    uint64 biddingEnds;
    uint64 gasBudget;
    address onlyNode;
    bool home;
    bool verified;
}

/// @notice Everything that a status page shows of one deployment.
/// @param rate token units per hour: of the lease, or of the best bid while open
/// @param deadline unix time: end of bidding (Open), last moment to ack (Assigned), else 0
/// @param startedAt unix time from which money runs; 0 before the ack
/// @param endsAt unix time when the deposit is used up; 0 where that has no meaning
/// @param deposited token units paid in, less what the client withdrew
/// @param paid token units credited to the node so far
/// @param due token units that a settlement now would credit
/// @param updateRevision number of the last requested update
/// @param updatePublication publication of the pending update, 0 for none
struct Deployment {
    uint64 id;
    address owner;
    State state;
    address node;
    uint64 publication;
    string agentId;
    bytes manifestCid;
    bytes artifactCid;
    bytes32 artifactHash;
    bytes32 configHash;
    Resources resources;
    uint64 gasBudget;
    uint128 rate;
    uint128 maxRate;
    uint32 bidWindow;
    uint64 deadline;
    uint64 startedAt;
    uint64 endsAt;
    uint128 deposited;
    uint128 paid;
    uint128 due;
    uint32 incarnation;
    bool home;
    bool paused;
    bool verified;
    uint8 attestations;
    address onlyNode;
    address supersedesMarket;
    uint64 supersedesId;
    uint32 updateRevision;
    uint64 updatePublication;
}
