//! What an upload must be before it is published: checked as strictly as the node that will run it checks it, and stored.

use std::sync::Arc;
use std::time::Duration;

use base64::Engine as _;
use nisse_content::download::{DownloadError, DownloadLimits};
use nisse_content::{Profile, artifact_cid, manifest_cid};
use nisse_model::{Address, CidCodec, Config, ConfigSetting, ContentId, Grants, Manifest, Package, PackageRef, Policy};
use nisse_sandbox::Inspection;

use super::bring::{Holding, hold_blocks};
use super::{RunBy, Stored, cut_off, on_disk, parse_cid};
use crate::control::PackageUpload;
use crate::core::Core;
use crate::error::{ErrorKind, NodeError};

/// How long an artifact that is named by its CID may take.
const FETCH_TIME_MAX: Duration = Duration::from_secs(120);

/// Checks an upload as strictly as the node that will run it, and stores it. An artifact that it names by its CID is
/// fetched from whoever provides it, where it is not held here.
pub(crate) async fn store(
    core: &Arc<Core>,
    upload: PackageUpload,
    owner: Address,
    run_by: RunBy,
) -> Result<Stored, NodeError> {
    let manifest = sealed_manifest(&upload)?;
    let artifact = match &upload.artifact_cid {
        None if upload.artifact.is_empty() => {
            let text = "failed to read the package: it has no artifact, and names none by its CID";
            return Err(NodeError::new(ErrorKind::Usage, "artifact_invalid", text));
        }
        None => Artifact::sent(&upload.artifact)?,
        Some(_) if !upload.artifact.is_empty() => {
            let text = "failed to read the package: it has an artifact and names another by its CID";
            return Err(NodeError::new(ErrorKind::Usage, "artifact_invalid", text));
        }
        Some(text) => Artifact::found(core, text).await?,
    };
    on_disk(core, "store a package", move |core| store_now(core, upload, manifest, artifact, owner, run_by)).await
}

fn sealed_manifest(upload: &PackageUpload) -> Result<Manifest, NodeError> {
    let manifest = Manifest::parse(&upload.manifest).map_err(|errors| {
        NodeError::new(ErrorKind::Usage, "manifest_invalid", format!("failed to read agent.yaml:\n{errors}"))
    })?;
    if manifest.sealed_hash().is_none() {
        let text = "failed to deploy an unsealed package: its artifact_hash is not 64 hex digits";
        return Err(NodeError::new(ErrorKind::Refused, "package_unsealed", text)
            .with_hint(match &upload.artifact_cid {
                None => "run `nisse pkg seal DIR`, which writes the artifact's hash into agent.yaml".to_owned(),
                Some(cid) => format!(
                    "`nisse content get {cid} -o DIR/{}` and `nisse pkg seal DIR` write the artifact's hash into agent.yaml",
                    manifest.entry_point
                ),
            }));
    }
    Ok(manifest)
}

/// An artifact, and under which id it lies.
struct Artifact {
    bytes: Vec<u8>,
    cid: ContentId,
    /// The blocks that were fetched, until they are pinned.
    _fetched: Option<Arc<Holding>>,
}

impl Artifact {
    fn sent(base64: &str) -> Result<Self, NodeError> {
        let bytes = base64::engine::general_purpose::STANDARD.decode(base64).map_err(|_| {
            NodeError::new(ErrorKind::Usage, "artifact_invalid", "failed to read the artifact: it is not base64")
        })?;
        Ok(Self { cid: artifact_cid(&bytes), bytes, _fetched: None })
    }

    /// What its owner names is taken as it lies: of which blocks it consists is their choice.
    async fn found(core: &Arc<Core>, text: &str) -> Result<Self, NodeError> {
        let cid = parse_cid(text)?;
        // The contracts know no CIDv0; the same blocks have an id that they know.
        let cid = match cid.codec() {
            CidCodec::DagPb => ContentId::dag_pb(cid.digest()),
            CidCodec::Raw => cid,
        };
        let batch = Arc::new(core.content.shared_batch());
        let taking = Arc::clone(&batch);
        if !on_disk(core, "look for an artifact", move |_| Ok(taking.take(cid, false))).await? {
            let _turn = core.network.turns.of_read(core.operator).await;
            let fetched = tokio::time::timeout(FETCH_TIME_MAX, fetch(core, cid, &batch)).await;
            fetched.map_err(|_| {
                let text = format!("failed to fetch {cid} within {} s", FETCH_TIME_MAX.as_secs());
                NodeError::new(ErrorKind::Failed, "content_unreachable", text)
            })??;
        }
        let read = on_disk(core, "read an artifact", move |core| {
            let read = core.content.read_file(cid, Package::ARTIFACT_LENGTH_MAX as u64);
            read.map_err(|error| not_an_artifact(&error))
        });
        Ok(Self { bytes: read.await?, cid, _fetched: Some(batch) })
    }
}

async fn fetch(core: &Arc<Core>, cid: ContentId, batch: &Arc<Holding>) -> Result<(), NodeError> {
    let limits = DownloadLimits::file_bytes(Package::ARTIFACT_LENGTH_MAX as u64);
    let blocks = core.network.download(core.operator, cid, limits, Vec::new()).await.map_err(|error| match error {
        DownloadError::NobodyLeft { tried, .. } if tried.is_empty() => {
            let text = format!("failed to find {cid}: it is not held here, and nobody is known who could be asked");
            NodeError::new(ErrorKind::NotFound, "content_unknown", text)
                .with_hint("name a gateway under [content], or with `nisse up --gateway URL`".to_owned())
        }
        error if error.is_of_the_content() => not_an_artifact(&error),
        error => NodeError::caused(ErrorKind::Failed, "content_unreachable", &error).with_hint(format!(
            "`nisse content find {cid}` asks anew who has it; `nisse up --gateway URL` names one more who may"
        )),
    })?;
    let kept = hold_blocks(core, batch, blocks).await;
    kept.map_err(|error| cut_off(&error))?.map_err(|error| failed(&error).with_hint(error.hint()))
}

/// A folder, something larger than artifacts are, or no file at all.
fn not_an_artifact(error: &dyn std::error::Error) -> NodeError {
    NodeError::caused(ErrorKind::Refused, "artifact_invalid", error)
        .with_hint("name the CID of the artifact itself: one file of 64 MiB at most, and no folder".to_owned())
}

fn store_now(
    core: &Core,
    upload: PackageUpload,
    manifest: Manifest,
    artifact: Artifact,
    owner: Address,
    run_by: RunBy,
) -> Result<Stored, NodeError> {
    let Artifact { bytes, cid: artifact_cid, _fetched } = artifact;
    let named = upload.artifact_cid.is_some();
    let verified = Package::seal_checked(upload.manifest.into_bytes(), bytes).map_err(|error| {
        let hint = match named {
            true => format!("{artifact_cid} holds another artifact than agent.yaml declares"),
            false => "run `nisse pkg seal DIR` after each build".to_owned(),
        };
        NodeError::caused(ErrorKind::Refused, "package_mismatch", &error).with_hint(hint)
    })?;
    let (manifest_bytes, artifact) = (verified.manifest_bytes(), verified.artifact_bytes());
    check_imports(&manifest, artifact, owner == core.operator)?;
    let config = config(&manifest, &upload.set)?;
    let reference = PackageRef {
        agent_id: manifest.agent_id.clone(),
        manifest_cid: manifest_cid(manifest_bytes),
        artifact_cid,
        artifact_hash: verified.artifact_hash(),
        config_hash: config.hash(),
    };
    // Held first: once it is pinned, it is needed.
    let stored = Stored::held(core, manifest, reference);
    let added = match named {
        true => core.content.add_package_of(manifest_bytes, artifact_cid),
        false => core.content.add_package(manifest_bytes, artifact),
    };
    added.map_err(|error| failed(&error).with_hint(error.hint()))?;
    let batch = core.content.batch();
    // Far below one chunk, so this is one raw block whose digest is the configuration's hash.
    let cid = batch.add(&mut config.as_bytes(), Profile::UnixFs2025).map_err(|error| failed(&error))?;
    let pin = run_by.config_pin().name(cid);
    batch.commit_and_pin(pin.as_str(), &[cid]).map_err(|error| failed(&error))?;
    Ok(stored)
}

fn failed(error: &dyn std::error::Error) -> NodeError {
    NodeError::caused(ErrorKind::Failed, "content_failed", error)
}

fn check_imports(manifest: &Manifest, artifact: &[u8], owner_is_node_operator: bool) -> Result<(), NodeError> {
    let refused = |code, error: &dyn std::error::Error| NodeError::caused(ErrorKind::Refused, code, error);
    let inspection = Inspection::read(artifact).map_err(|error| refused("artifact_refused", &error))?;
    // What the owner's own node would not give, a stranger's will not give either, but for the local network.
    let policy = Policy { owner_is_node_operator };
    let grants = Grants::from_manifest(manifest, policy)
        .map_err(|error| refused("permission_refused", &error).with_hint(error.hint()))?;
    inspection.check(&grants).map_err(|error| refused("import_refused", &error).with_hint(error.hint()))
}

fn config(manifest: &Manifest, set: &[String]) -> Result<Config, NodeError> {
    let invalid = |error: &dyn std::error::Error| NodeError::caused(ErrorKind::Usage, "config_invalid", error);
    let settings: Vec<ConfigSetting> =
        set.iter().map(|text| text.parse()).collect::<Result<_, _>>().map_err(|error| invalid(&error))?;
    manifest.config.with_settings(&settings).map_err(|error| invalid(&error))
}
