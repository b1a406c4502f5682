//! The home that every world begins with: made once, by the node itself, with an agent compiled by a real child.

use std::ffi::OsString;
use std::path::PathBuf;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use nisse_model::{Amount, AmountPerHour, ByteSize, Cpu, Timestamp};
use nisse_node::control::PackageUpload;
use nisse_node::{
    AcceptList, ChainChoice, CompileCommand, JournalLimits, Node, NodeError, NodeOptions, Prices, Seams, Timeline,
    VaultChoice,
};
use nisse_store::{Clock, Disk as _, SystemDisk};
use nisse_testkit::{PausedClock, SimDisk, SimEntropy};

use super::World;
use super::model::Model;

/// The world's beginning: 2026-01-01 00:00 UTC.
const BEGINNING: Timestamp = Timestamp(1_767_225_600_000);
/// What the deployer has to pay with, in TALOS.
pub(super) const PURSE: &str = "1000";
/// Longest file of a guest.
const GUEST_BYTES_MAX: u64 = 1 << 20;

/// What a machine runs this node with.
fn options(compile_command: CompileCommand) -> NodeOptions {
    let nowhere = ([127, 0, 0, 1], 0).into();
    NodeOptions {
        home: PathBuf::from("/home"),
        api: nowhere,
        public: nowhere,
        rpc: None,
        suffix: "localhost".to_owned(),
        chain: ChainChoice::Embedded { dev: false },
        accept: AcceptList::HomeKeys,
        prices: Prices::flat(AmountPerHour(Amount::TALOS.0)),
        gas_budget_max: 6_000_000,
        cpu: Cpu { millis: 4_000 },
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
        journal: JournalLimits { records_max: 12, looked_at_every: Duration::from_millis(250), segment_bytes: 1 << 10 },
    }
}

/// A start without a compiler: it finds the code in its cache.
pub(super) async fn open(disk: &SimDisk, clock: &PausedClock, seed: u64) -> Result<Arc<Node>, NodeError> {
    let nothing = CompileCommand { program: PathBuf::from("/nonexistent/compiler"), arguments: Vec::new() };
    open_with(nothing, disk, clock, seed).await
}

async fn open_with(
    compiler: CompileCommand,
    disk: &SimDisk,
    clock: &PausedClock,
    seed: u64,
) -> Result<Arc<Node>, NodeError> {
    let clock: Arc<dyn Clock> = Arc::new(clock.clone());
    let mut timeline = Timeline::begin(Arc::clone(&clock));
    let seams = Seams { disk: Arc::new(disk.clone()), clock, entropy: Arc::new(SimEntropy::new(seed)) };
    Node::open(options(compiler), seams, &mut timeline).await
}

/// This binary as its own compile child.
fn compiler() -> CompileCommand {
    let script = r#"exec "$0" --ignored --exact simulation::compile_child --nocapture 3>&1 >/dev/null"#;
    let this = std::env::current_exe().expect("this binary");
    let arguments: Vec<OsString> = vec!["-c".into(), script.into(), this.into()];
    CompileCommand { program: PathBuf::from("/bin/sh"), arguments }
}

/// The bookkeeper under another name and version. The artifact is always the same, so its code is.
pub(super) fn package(name: &str, version: u32) -> PackageUpload {
    static FILES: OnceLock<PackageUpload> = OnceLock::new();
    let files = FILES.get_or_init(|| {
        let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../examples/guests/bookkeeper");
        let read = |name| SystemDisk.read(&folder.join(name), GUEST_BYTES_MAX).expect("the guest is committed");
        let manifest = String::from_utf8(read("agent.yaml")).expect("a manifest is text");
        PackageUpload::of(manifest, &read("bookkeeper.wasm"))
    });
    let manifest = files.manifest.replace("nisse.test.bookkeeper@v1.0.0", &format!("{name}@v1.{version}.0"));
    PackageUpload { manifest, ..files.clone() }
}

/// A home that has lived for a moment: keys, contracts, stake, both slots deployed.
pub(super) fn template() -> &'static (SimDisk, World) {
    static TEMPLATE: OnceLock<(SimDisk, World)> = OnceLock::new();
    TEMPLATE.get_or_init(|| {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        runtime.block_on(async {
            let disk = SimDisk::new(0);
            let clock = PausedClock::new(BEGINNING);
            let node = open_with(compiler(), &disk, &clock, 0).await.expect("a fresh home opens");
            node.endow_deployer(PURSE).await.expect("the faucet gives");
            let mut model = Model::default();
            model.begin(&node, clock.now()).await.expect("the story begins");
            node.shut_down().await;
            let now = clock.now().plus_ms(1);
            drop(node);
            (disk, World { model, now })
        })
    })
}
