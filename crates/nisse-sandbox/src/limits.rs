//! Every limit of the sandbox, with its name and its default.
//!
//! What an agent buys (memory, processor share, state) comes from its manifest; the rest protects the node from any
//! guest and is the same for all of them.

use std::time::Duration;

use nisse_model::{ByteSize, Cpu, Fuel, InvocationRecord};

/// Host calls of one invocation, as many as its record can hold; one more traps.
pub const HOST_CALLS_MAX: usize = InvocationRecord::HOST_CALLS_MAX;
/// Answers for the chain of one invocation.
pub const PUBLICATIONS_MAX: usize = 64;
/// Outgoing HTTP requests of one invocation.
pub const HTTP_SENDS_MAX: u32 = 64;
/// Body of a request that comes in, in bytes.
pub const REQUEST_BODY_BYTES_MAX: u64 = 8 << 20;
/// Body of a response that the guest gives, in bytes.
pub const RESPONSE_BODY_BYTES_MAX: u64 = 8 << 20;
/// Body of an answer that is kept until its handler returns; a longer one leaves while it is made.
pub const STREAM_AFTER_BYTES: u64 = 64 << 10;
/// How long an answer whose head is there may keep its client waiting; then what is there leaves.
pub const STREAM_AFTER: Duration = Duration::from_millis(50);
/// Longest time of a streamed answer, from its head to its end: nothing else reaches the agent meanwhile.
pub const STREAM_TIME_MAX: Duration = Duration::from_secs(120);
/// Body of a streamed answer, in bytes.
pub const STREAM_BODY_BYTES_MAX: u64 = 1 << 30;
/// How long a guest may go on when nobody takes its answer any more.
pub const STREAM_ALONE_MAX: Duration = Duration::from_secs(5);
/// Body of a request that the guest sends, in bytes.
pub const SEND_BODY_BYTES_MAX: u64 = 1 << 20;
/// Body of an answer that the guest receives, in bytes.
pub const RECEIVE_BODY_BYTES_MAX: u64 = 8 << 20;
/// Header fields of one message as WASI counts them: names, values and the host's own structures.
pub const HTTP_FIELDS_BYTES_MAX: usize = 128 << 10;
/// One write to a body; the host allocates it.
pub const BODY_CHUNK_BYTES_MAX: usize = 64 << 10;
/// Chunks of a body that wait for their reader, besides the one that is being written. Guest and reader take turns on
/// one task, so more of them would hold memory and win no time.
pub const BODY_CHUNKS_WAITING_MAX: usize = 1;
/// What the host holds for a body that a guest writes, until somebody has read or dropped it, in bytes. This one and the
/// next two count as the agent's memory.
pub const BODY_BYTES: u64 = ((BODY_CHUNKS_WAITING_MAX + 1) * BODY_CHUNK_BYTES_MAX) as u64;
/// What the host holds for a handle of any kind besides what the guest has put into it.
pub const HANDLE_BYTES: u64 = 1 << 10;
/// What the host holds for one header field besides its name and value: its places in a table that doubles when it is
/// full.
pub const FIELD_BYTES: u64 = 320;
/// What the host may hold for an instance beyond the agent's memory, in bytes: one request, one answer.
pub const ALLOWANCE_BYTES: u64 = 256 << 10;
/// What may be charged for handles before it is reckoned anew which of them are still there.
pub const RECKON_AFTER_BYTES: u64 = 64 << 10;
/// Random bytes of one call.
pub const RANDOM_BYTES_MAX: u64 = 64 << 10;
/// What one call may make the host allocate for strings and lists that the guest passes, in bytes.
pub const HOST_CALL_BYTES_MAX: usize = 12 << 20;
/// Handles (streams, bodies, headers, polls) that an instance holds at once.
pub const HANDLES_MAX: usize = 1024;
/// One line of the log, in bytes; a longer one is cut.
pub const LOG_LINE_BYTES_MAX: usize = 8 << 10;
/// Log lines of one invocation; more are counted and dropped.
pub const LOG_LINES_MAX: u32 = 256;
/// Frames of a trap's backtrace that are kept.
pub const BACKTRACE_FRAMES_MAX: usize = 24;
/// Core module instances inside one component instance. These three are counts of slots in a pool that all agents
/// share: what toolchains need, and far too little for one agent to leave nothing for the others.
pub const CORE_INSTANCES_MAX: usize = 64;
/// Linear memories inside one component instance.
pub const MEMORIES_MAX: usize = 4;
/// Tables inside one component instance.
pub const TABLES_MAX: usize = 16;
/// Elements of one table.
pub const TABLE_ELEMENTS_MAX: usize = 100_000;
/// What the host holds for one element of a table, in bytes; it counts as the agent's memory.
pub const TABLE_ELEMENT_BYTES: u64 = 8;
/// The largest memory that any agent can buy: what a slot of the pool holds.
pub const AGENT_MEMORY_BYTES_MAX: u64 = 1 << 30;
/// Wasm stack of one call, in bytes: the same everywhere, since the depth of a recursion depends on it.
pub const WASM_STACK_BYTES: usize = 512 << 10;
/// Native stack of one call: the wasm stack and the host's own frames.
pub const CALL_STACK_BYTES: usize = 2 << 20;
/// One beat of the epoch: how long a guest runs before it lets others run.
pub const EPOCH_BEAT: Duration = Duration::from_millis(10);
/// Fuel after which the count of a running guest is written down: what charging the processor share is exact to.
pub const FUEL_SLICE: u64 = 2_000_000;
/// What a host call takes of the processor share besides the guest's own fuel, about as long as the host needs for it.
/// Each byte that it has to look at takes one more. The record's fuel, and what a call is limited to, are the guest's own.
pub const HOST_CALL_FUEL: u64 = 1_000;
/// Resolution of the clocks that a guest reads.
pub const CLOCK_RESOLUTION: Duration = Duration::from_millis(1);
/// Longest sleep of a guest on its monotonic clock.
pub const SLEEP_MAX: Duration = Duration::from_secs(600);

/// What one agent may use.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limits {
    /// Linear memories plus what the host buffers for the agent (DESIGN §5.14).
    pub memory: ByteSize,
    /// Share of a processor, as a token bucket with one second of burst.
    pub cpu: Cpu,
    /// Fuel of one call; one more unit traps.
    pub fuel_per_call: Fuel,
    /// Keys and values that the agent's state may hold.
    pub state: ByteSize,
    /// A live instance ends after so many calls, so that a replay of its calls stays short.
    pub calls_per_instance: u64,
    /// A live instance ends when nothing came for so long.
    pub idle: Duration,
    /// Longest time of one HTTP invocation.
    pub http_time: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            memory: ByteSize(64 << 20),
            cpu: Cpu { millis: 1000 },
            fuel_per_call: Fuel(10_000_000_000),
            state: ByteSize(64 << 20),
            calls_per_instance: 100_000,
            idle: Duration::from_secs(300),
            http_time: Duration::from_secs(30),
        }
    }
}
