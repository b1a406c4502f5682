// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.28;

import {Selection, State} from "../../src/Types.sol";
import {World} from "../Base.sol";

/// What the contracts should hold, by an account of its own; the actions keep it, the invariants compare it. What was
/// called is counted by name, what changed state by edge.
abstract contract Ghosts is World {
    // What the contracts should say, kept apart from them. Masks have a bit per operator.
    struct Ghost {
        address owner;
        address node;
        address only;
        State state;
        Selection selection;
        bool home;
        bool paused;
        uint256 rate;
        uint256 limit;
        uint256 deposited;
        uint256 paid;
        uint256 startedAt;
        uint256 deadline;
        uint256 round;
        uint256 barred;
        uint256 attested;
        uint256[3] misses;
        uint64 publication;
        uint64 asked;
        uint32 revision;
        uint32 incarnation;
        uint256 withdrawal;
        uint256 withdrawalAt;
        // It ended while it ran.
        bool ran;
    }

    struct GhostNode {
        uint256 stake;
        uint256 locked;
        uint256 unbonding;
        uint256 unbondedAt;
        bool paused;
        // What it is known for, each second with the weight that it had when it was told of.
        uint256 worked;
        uint256 faults;
        uint256 countedUntil;
        // Seconds, whatever has faded of them.
        uint256 gained;
    }

    struct Bid {
        address node;
        uint256 rate;
    }

    // What a node has committed itself to and neither revealed nor taken back.
    struct Commit {
        uint64 id;
        address node;
        uint64 ends;
        uint128 rate;
        uint256 limit;
        bytes32 salt;
        bytes32 commitment;
    }

    // Who leads an order that chooses by what nodes are known for, and who else has bid since it opened.
    struct Lead {
        address node;
        uint256 rate;
        // As it was when somebody last bid.
        bool newcomer;
        bool establishedBid;
        // Whoever led lost its standing before it was outbid.
        bool fell;
    }

    struct Tally {
        bytes32 name;
        bytes32 kind;
        uint256 count;
    }

    uint256 internal constant ACTIONS_PER_CALL = 64;
    uint256 internal constant LIVE_MAX = 6;
    address internal constant finder = address(0xF14D);

    /// What names this history: a digest of all its rolls.
    bytes32 public history;
    Tally[] public tallies;
    mapping(bytes32 key => uint256) private _tallyBehind;
    mapping(State from => mapping(State to => uint256)) public edges;
    mapping(uint64 id => Ghost) internal ghosts;
    // Every bid that was valid, whatever the market made of it, in the order of their arrival.
    mapping(uint64 id => mapping(uint256 round => Bid[])) internal bids;
    mapping(uint64 id => mapping(uint256 round => Lead)) internal leads;
    Commit[] internal commits;
    /// The nonce of a node's next offer; none above it was used.
    mapping(address node => uint64) internal nonces;
    mapping(address node => GhostNode) internal ghostNodes;
    mapping(address node => uint256) public earned;
    /// Of slashes.
    mapping(address account => uint256) public shares;
    // Who beat when, of each contract that has listened; and when the one that does was made.
    mapping(address watch => mapping(address node => mapping(uint256 period => bool))) private _beaten;
    mapping(address watch => mapping(address node => uint256)) private _lastBeat;
    uint256 internal watchedSince;
    mapping(address watch => mapping(address node => mapping(uint256 period => bool))) private _silentIn;
    // Whose silence was told of, until a slash of it is: within a transaction, as a call of the runner's is one.
    address internal _told;
    mapping(uint64 publication => uint256) internal _open;
    uint64[] public live;
    uint64[] public ended;
    uint256 public slashed;
    uint256 public stakeIn;
    uint256 public stakeOut;
    uint256 internal _clock;
    uint64 public rawPublication;
    uint64 public nextPublication;
    uint64 public otherPublication;
    // CIDs as text, which would take long to write anew: the artifact's, a tree's, and one of other bytes.
    string internal rawText;
    string internal treeText;
    string internal otherText;
    address[3] public operators = [bob, carol, dave];

    // The handler alone moves time, so it need not ask for it.
    function _now() internal view override returns (uint256) {
        return _clock;
    }

    function _pass(uint256 seconds_) internal override {
        _clock += seconds_;
        vm.warp(_clock);
    }

    function _unbonding() internal pure override returns (uint32) {
        return 1 days;
    }

    // Short beside the leases, so that each lasts for many.
    function _period() internal pure override returns (uint32) {
        return 120;
    }

    function _hasBeaten(address node, uint256 period) internal view returns (bool) {
        return _beaten[address(heartbeats)][node][period];
    }

    function _lastBeatOf(address node) internal view returns (uint256) {
        return _lastBeat[address(heartbeats)][node];
    }

    function _noteBeat(address node, uint256 period) internal {
        _beaten[address(heartbeats)][node][period] = true;
        _lastBeat[address(heartbeats)][node] = period;
    }

    // ---- what nodes are known for ------------------------------------------------------------------

    // How much more a second weighs now than it did when the histories began: it doubles with each half-life.
    function _weight() internal view returns (uint256) {
        uint256 half = 90 days;
        return half + _now() % half << _now() / half - 1_800_000_000 / half;
    }

    function _noteWork(address node, uint256 seconds_, uint256 until) internal {
        GhostNode storage n = ghostNodes[node];
        n.worked += seconds_ * _weight();
        n.gained += seconds_;
        n.countedUntil = until;
    }

    function _noteFault(address node, uint256 seconds_) internal {
        ghostNodes[node].faults += seconds_ * _weight();
    }

    // Once for each period, however many leases the node lost in it.
    function _noteSilence(address node, uint256 period) internal {
        _told = node;
        if (_silentIn[address(heartbeats)][node][period]) return;
        _silentIn[address(heartbeats)][node][period] = true;
        _noteFault(node, 3 days);
    }

    /// What a node is known for by now, in seconds, by the handler's own account.
    function factsOf(address node) external view returns (uint256 worked, uint256 faults) {
        return (ghostNodes[node].worked / _weight(), ghostNodes[node].faults / _weight());
    }

    // ---- what the invariants ask ------------------------------------------------------------------

    function ghostNode(address node) external view returns (GhostNode memory) {
        return ghostNodes[node];
    }

    function ghost(uint64 id) external view returns (Ghost memory) {
        return ghosts[id];
    }

    function liveCount() external view returns (uint256) {
        return live.length;
    }

    function endedCount() external view returns (uint256) {
        return ended.length;
    }

    function commitCount() external view returns (uint256) {
        return commits.length;
    }

    function commit(uint256 place) external view returns (Commit memory) {
        return commits[place];
    }

    /// Token units of a node's stake that leading bids, leases and commitments hold, were nothing slashed.
    function heldOf(address node) external view returns (uint256 held) {
        for (uint256 i = 0; i < live.length; ++i) {
            Ghost storage g = ghosts[live[i]];
            if (g.home) continue;
            (address holder, uint256 rate) = g.state == State.Open ? leading(live[i]) : (g.node, g.rate);
            if (holder == node) held += rate * LOCK_HOURS;
        }
        for (uint256 i = 0; i < commits.length; ++i) {
            if (commits[i].node == node) held += commits[i].limit * LOCK_HOURS;
        }
    }

    function tallyCount() external view returns (uint256) {
        return tallies.length;
    }

    function contractsUnderTest() external view returns (address, address, address, address, address) {
        return (address(token), address(nodes), address(manager), address(escrow), address(reputation));
    }

    function usedBy(uint64 id) external view returns (uint256) {
        return _used(ghosts[id]);
    }

    /// I9: of an order's valid bids the lowest, of equal ones the earliest; zero for none. Where it chooses by what
    /// nodes are known for, whoever was better than the one before when it bid.
    function leading(uint64 id) public view returns (address node, uint256 rate) {
        if (!_byPrice(ghosts[id])) {
            Lead storage lead = leads[id][ghosts[id].round];
            return (lead.node, lead.rate);
        }
        Bid[] storage all = bids[id][ghosts[id].round];
        uint256 count = all.length;
        for (uint256 i = 0; i < count; ++i) {
            if (i == 0 || all[i].rate < rate) (node, rate) = (all[i].node, all[i].rate);
        }
    }

    function _isSealed(Ghost storage g) internal view returns (bool) {
        return g.selection >= Selection.SealedPrice;
    }

    function _byPrice(Ghost storage g) internal view returns (bool) {
        return g.selection == Selection.LowestPrice || g.selection == Selection.SealedPrice;
    }

    function _revealsFrom(Ghost storage g) internal view returns (uint256) {
        return g.deadline - _window(g.publication) / 2;
    }

    // ---- what the actions tell --------------------------------------------------------------------

    /// What a lease has used of its deposit by now, by the handler's own account.
    function _used(Ghost storage g) internal view returns (uint256 used) {
        if (g.state != State.Running || g.home) return 0;
        used = g.rate * (_now() - g.startedAt) / 3600;
        if (used > g.deposited) used = g.deposited;
    }

    // The first second at which all is due.
    function _endOf(Ghost storage g) internal view returns (uint256) {
        return g.startedAt + (g.deposited * 3600 + g.rate - 1) / g.rate;
    }

    function _end(uint64 id, Ghost storage g, State state) internal {
        uint256 used = _used(g);
        if (used != 0) earned[g.node] += used;
        g.deposited = used;
        (g.paid, g.ran) = (used, g.state == State.Running);
        _leave(id, g, state);
    }

    function _leave(uint64 id, Ghost storage g, State state) internal {
        _unlockHolder(id, g);
        _to(g, state);
        for (uint256 i = 0; i < live.length; ++i) {
            if (live[i] == id) {
                live[i] = live[live.length - 1];
                live.pop();
                break;
            }
        }
        ended.push(id);
    }

    // The order is open again, without its node and its bids.
    function _lost(uint64 id, Ghost storage g) internal {
        _unlockHolder(id, g);
        (g.node, g.rate) = (address(0), 0);
        ++g.round;
        g.deadline = _now() + _window(g.publication);
        _to(g, State.Open);
    }

    // The node did not acknowledge, or fell silent.
    function _missed(Ghost storage g) internal {
        uint256 k = _index(g.node);
        if (++g.misses[k] == 3) g.barred |= 1 << k;
    }

    // A slash: a tenth to the finder, to the client what it lost and is left, the rest to the treasury.
    function _takeStake(address node, uint256 amount, uint256 claim) internal {
        slashed += amount;
        uint256 toFinder = amount / 10;
        uint256 toClient = claim < amount - toFinder ? claim : amount - toFinder;
        shares[finder] += toFinder;
        shares[client] += toClient;
        shares[treasury] += amount - toFinder - toClient;
        GhostNode storage n = ghostNodes[node];
        uint256 working = amount < n.stake ? amount : n.stake;
        n.stake -= working;
        n.unbonding -= amount - working;
        if (n.locked > n.stake) n.locked = n.stake;
    }

    // Whoever leads or runs it has stake locked for it.
    function _unlockHolder(uint64 id, Ghost storage g) internal {
        if (g.home) return;
        (address holder, uint256 rate) = g.state == State.Open ? leading(id) : (g.node, g.rate);
        if (holder == address(0)) return;
        GhostNode storage n = ghostNodes[holder];
        n.locked = _less(n.locked, rate * LOCK_HOURS);
    }

    // A slash may have taken what was locked.
    function _less(uint256 locked, uint256 amount) internal pure returns (uint256) {
        return amount < locked ? locked - amount : 0;
    }

    function _isBarred(Ghost storage g, address node) internal view returns (bool) {
        for (uint256 k = 0; k < 3; ++k) {
            if (operators[k] == node) return g.barred & 1 << k != 0;
        }
        return false;
    }

    function _mayAttest(Ghost storage g, uint256 k) internal view returns (bool) {
        GhostNode storage n = ghostNodes[operators[k]];
        return g.barred & 1 << k == 0 && !n.paused && n.stake >= STAKE;
    }

    function _window(uint64 publication) internal view returns (uint256) {
        return publication == nextPublication ? 300 : 600;
    }

    function _agentOf(uint64 publication) internal view returns (string memory) {
        return publication == rawPublication ? AGENT : AGENT_NEXT;
    }

    function _index(address node) internal view returns (uint256) {
        return node == operators[0] ? 0 : node == operators[1] ? 1 : 2;
    }

    /// One more call of this name that did what it should.
    function _count(bytes32 name) internal {
        _count(name, "");
    }

    /// One more call of this name that was refused, for this kind of reason.
    function _count(bytes32 name, bytes32 kind) internal {
        bytes32 key = keccak256(abi.encode(name, kind));
        uint256 behind = _tallyBehind[key];
        if (behind == 0) {
            tallies.push(Tally(name, kind, 0));
            _tallyBehind[key] = behind = tallies.length;
        }
        tallies[behind - 1].count += 1;
    }

    function _to(Ghost storage g, State state) internal {
        edges[g.state][state] += 1;
        bool was = g.state == State.Open || g.state == State.Unverified;
        bool is_ = state == State.Open || state == State.Unverified;
        if (is_ && !was) _open[g.publication] += 1;
        if (was && !is_) _open[g.publication] -= 1;
        g.state = state;
    }
}
