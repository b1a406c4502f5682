//! A real node in a temporary home, and requests to it as they stand on the wire.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;

use nisse_api::Listeners;
use nisse_model::{ByteSize, Cpu};
use nisse_node::{AcceptList, ChainChoice, CompileCommand, Node, NodeOptions, Prices, Seams, Timeline, VaultChoice};
use nisse_store::{SystemClock, SystemDisk, SystemEntropy};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

/// Whatever port is free.
const ANY: ([u8; 4], u16) = ([127, 0, 0, 1], 0);

/// As many open files as a careful system gives a process.
pub(crate) const FILES_MAX: u64 = 256;

pub(crate) struct Running {
    pub(crate) node: Arc<Node>,
    pub(crate) api: SocketAddr,
    pub(crate) public: SocketAddr,
    pub(crate) rpc: SocketAddr,
    _home: tempfile::TempDir,
}

pub(crate) async fn running() -> Running {
    let nothing = CompileCommand { program: "/nonexistent".into(), arguments: Vec::new() };
    running_in(tempfile::tempdir().unwrap(), nothing).await
}

/// What a node in this home is started with.
pub(crate) fn options(home: &Path, compile_command: CompileCommand) -> NodeOptions {
    NodeOptions {
        home: home.to_owned(),
        api: ANY.into(),
        public: ANY.into(),
        rpc: None,
        suffix: "localhost".to_owned(),
        chain: ChainChoice::Embedded { dev: false },
        accept: AcceptList::Own,
        prices: Prices::default(),
        gas_budget_max: 6_000_000,
        cpu: Cpu { millis: 1000 },
        memory: ByteSize(1 << 30),
        content_quota: ByteSize(1 << 30),
        state_quota: ByteSize(1 << 20),
        gateways: Vec::new(),
        routers: Vec::new(),
        endpoint: None,
        origins: Vec::new(),
        stake: None,
        connect_to: Vec::new(),
        compile_command,
        vault: VaultChoice::Within,
        recovery: Vec::new(),
        peers: None,
        journal: nisse_node::JournalLimits::default(),
    }
}

/// This machine.
pub(crate) fn seams() -> Seams {
    Seams { disk: Arc::new(SystemDisk), clock: Arc::new(SystemClock::default()), entropy: Arc::new(SystemEntropy) }
}

/// In a home that may have been lived in.
pub(crate) async fn running_in(home: tempfile::TempDir, compile_command: CompileCommand) -> Running {
    let options = options(home.path(), compile_command);
    running_with(home, options).await
}

/// With these options in place of the usual ones.
pub(crate) async fn running_with(home: tempfile::TempDir, options: NodeOptions) -> Running {
    let seams = seams();
    let mut timeline = Timeline::begin(Arc::clone(&seams.clock));
    let node = Node::open(options, seams, &mut timeline).await.unwrap();
    let listeners = Listeners::bind(ANY.into(), ANY.into(), Some(ANY.into())).await.unwrap();
    let bound = listeners.bound().unwrap();
    node.listening(bound.api, bound.public, bound.rpc);
    listeners.serve(&node, FILES_MAX);
    node.serving().unwrap();
    Running { node, api: bound.api, public: bound.public, rpc: bound.rpc.unwrap(), _home: home }
}

/// One raw request; the status line's number.
pub(crate) async fn status(address: SocketAddr, head: &str) -> u16 {
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(head.as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    answer.split(' ').nth(1).and_then(|code| code.parse().ok()).unwrap_or(0)
}

/// Parameters filled with something that exists nowhere.
pub(crate) fn concrete(path: &str) -> String {
    path.replace("{agent}", "nobody")
        .replace("{device}", "nobody")
        .replace("{secret}", "none")
        .replace("{object}", "01HQRS7T4V8WXYZ0123456789A")
        .replace("{space}", "nothing")
        .replace("{wallet}", "deployer")
        .replace("{cid}", "bafkreigh2akiscaildcqabsyg3dfr6chu3fgpregiymsck7e7aqa4s52zy")
        .replace("{deployment}", "1:0x0000000000000000000000000000000000000000:1")
        .replace("{seq}", "1")
}
