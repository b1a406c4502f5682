//! What a package is prepared with.

use std::path::{Path, PathBuf};

use nisse_content::{BlockStore, StoreOptions};
use nisse_model::PackageRef;
use nisse_sandbox::{CompileCommand, CompileLimits, EngineOptions};
use nisse_store::Disk;
use nisse_testkit::{SimClock, SimDisk, SimEntropy};

use super::*;
use crate::audit;
use crate::home::Home;

const OPERATOR: Address = Address([1; 20]);
const MANIFEST: &str = include_str!("../../../../examples/guests/counter/agent.yaml");
const ARTIFACT: &[u8] = include_bytes!("../../../../examples/guests/counter/counter.wasm");

/// A preparer over a store, which compiles nothing.
fn preparer() -> (Preparer, Arc<BlockStore>) {
    let disk: Arc<dyn Disk> = Arc::new(SimDisk::new(7));
    disk.create_dir_durable(Path::new("/home")).expect("the simulated disk has room");
    let store = BlockStore::open(Arc::clone(&disk), "/home/content".into(), StoreOptions::default());
    let store = Arc::new(store.expect("a fresh store"));
    let engine = Engine::new(EngineOptions::default()).expect("an engine");
    let command = CompileCommand { program: PathBuf::new(), arguments: Vec::new() };
    let (folder, entropy) = ("/home/cwasm".into(), SimEntropy::new(7));
    let clock: Arc<dyn Clock> = Arc::new(SimClock::default());
    let home = Home::open(Arc::clone(&disk), &entropy, Path::new("/agents-home")).expect("a home");
    let (audit, _) = audit::open(Arc::clone(&disk), Arc::clone(&clock), &entropy, &home).expect("an audit log");
    let compiler = Compiler::new(engine.clone(), disk, folder, &entropy, command, CompileLimits::default());
    let supervisor = Arc::new(Supervisor::default());
    let source = Arc::new(LocalSource::new(Arc::clone(&store), Arc::clone(&clock)));
    let preparer = Preparer {
        content: Arc::new(OwnStore { source, supervisor: Arc::clone(&supervisor) }),
        engine,
        compiler: compiler.expect("a compiler"),
        clock,
        supervisor,
        operator: OPERATOR,
        audit: Arc::new(audit),
        state_quota: ByteSize(1 << 20),
    };
    (preparer, store)
}

#[tokio::test]
async fn a_deployment_without_a_configuration_runs_on_that_of_its_package() {
    let (preparer, store) = preparer();
    let manifest = format!("{MANIFEST}nisse: 1\nconfig:\n  interval: 7\n");
    let package = Package::seal_checked(manifest.clone().into_bytes(), ARTIFACT.to_vec()).expect("it is sealed");
    let cids = store.add_package(manifest.as_bytes(), ARTIFACT).expect("there is room");
    let placement = |config_hash| Placement {
        owner: OPERATOR,
        package: PackageRef {
            agent_id: package.manifest().agent_id.clone(),
            manifest_cid: cids.manifest,
            artifact_cid: cids.artifact,
            artifact_hash: package.artifact_hash(),
            config_hash,
        },
        resources: package.manifest().resources,
    };
    let checked = preparer.check(&placement(Hash256::ZERO)).await.expect("zero is none on the market");
    assert_eq!(checked.config.as_str(), r#"{"interval":7}"#);
    let missing = preparer.check(&placement(Hash256::of(b"another"))).await.err().expect("it is not held");
    assert_eq!(missing.stage, FailureStage::Fetch);
}
