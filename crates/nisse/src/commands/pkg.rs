//! pkg check, seal, show: packages on disk, without a node.

use std::io::Write as _;
use std::path::Path;

use nisse_content::{Profile, ipfs_add_cid};
use nisse_model::{ArtifactHash, Hash256, Manifest};
use nisse_sandbox::{ARTIFACT_BYTES_MAX, Inspection};
use serde_json::json;

use super::files::{read_inside, text as text_of};
use crate::cli::{Pkg, Shared};
use crate::failure::{Exit, Failure};
use crate::output;

/// What declares a package.
const MANIFEST: &str = "agent.yaml";

pub(crate) fn run(command: &Pkg, shared: &Shared) -> Result<(), Failure> {
    match command {
        Pkg::Check { dir } => check(dir, shared),
        Pkg::Seal { dir } => seal(dir, shared),
        Pkg::Show { dir } => show(dir, shared),
    }
}

/// A package as it lies in its folder.
pub(super) struct OnDisk {
    pub(super) text: String,
    pub(super) manifest: Manifest,
    pub(super) artifact: Vec<u8>,
}

/// Reads agent.yaml from disk, and what it says.
pub(super) fn read_manifest(dir: &Path) -> Result<(String, Manifest), Failure> {
    let path = dir.join(MANIFEST);
    let bytes = read_inside(dir, MANIFEST, Manifest::LENGTH_MAX as u64).map_err(|failure| match path.exists() {
        true => failure,
        false => failure.hint("name the folder in which agent.yaml lies"),
    })?;
    let text = text_of(&path, bytes)?;
    let manifest = Manifest::parse(&text)
        .map_err(|errors| Failure::usage(format!("failed to read {}:\n{errors}", path.display())))?;
    Ok((text, manifest))
}

/// Reads a package from disk.
pub(super) fn read(dir: &Path) -> Result<OnDisk, Failure> {
    let (text, manifest) = read_manifest(dir)?;
    let artifact = read_inside(dir, manifest.entry_point.as_str(), ARTIFACT_BYTES_MAX as u64).map_err(|failure| {
        match dir.join(manifest.entry_point.as_str()).exists() {
            true => failure,
            false => failure.hint("build the artifact, or correct `entry_point` in agent.yaml"),
        }
    })?;
    Ok(OnDisk { text, manifest, artifact })
}

fn check(dir: &Path, shared: &Shared) -> Result<(), Failure> {
    let OnDisk { manifest, artifact, .. } = read(dir)?;
    let refused = |text: String, hint: Option<String>| {
        let failure = Failure::new(Exit::Refused, text);
        match hint {
            Some(hint) => failure.hint(hint),
            None => failure,
        }
    };
    let hash = Hash256::of(&artifact);
    if let ArtifactHash::Sealed(declared) = &manifest.artifact_hash
        && *declared != hash
    {
        let text = format!("failed to match the artifact: agent.yaml says {declared}, the file is {hash}");
        return Err(refused(text, Some(format!("run `nisse pkg seal {}`", dir.display()))));
    }
    let inspection = Inspection::read(&artifact).map_err(|error| refused(format!("failed to {error}"), None))?;
    let policy = nisse_model::Policy { owner_is_node_operator: true };
    let grants = nisse_model::Grants::from_manifest(&manifest, policy)
        .map_err(|error| refused(format!("failed to {error}"), Some(error.hint())))?;
    inspection.check(&grants).map_err(|error| refused(format!("failed to {error}"), Some(error.hint())))?;
    let warnings: Vec<String> = nisse_model::check(&manifest).iter().map(ToString::to_string).collect();
    if shared.json {
        output::json(&json!({ "agent_id": manifest.agent_id.to_string(), "warnings": warnings }));
        return Ok(());
    }
    output::line(format!("{} is in order", manifest.agent_id));
    for warning in warnings {
        output::line(format!("warning: {warning}"));
    }
    Ok(())
}

fn seal(dir: &Path, shared: &Shared) -> Result<(), Failure> {
    let OnDisk { text, artifact, .. } = read(dir)?;
    let hash = Hash256::of(&artifact);
    let sealed = Manifest::seal_text(&text, hash)
        .map_err(|errors| Failure::usage(format!("failed to seal agent.yaml:\n{errors}")))?;
    let path = dir.join(MANIFEST);
    let changed = sealed != text;
    if changed {
        replace(&path, &sealed)?;
    }
    let cid = nisse_content::artifact_cid(&artifact);
    let by_profile = [Profile::UnixFs2015, Profile::UnixFs2025].map(|profile| ipfs_add_cid(&artifact, profile));
    let [ipfs_cid, newer_cid] = by_profile.map(|cid| cid.to_string());
    let manifest_cid = nisse_content::manifest_cid(sealed.as_bytes());
    if shared.json {
        output::json(&json!({
            "artifact_hash": hash.to_string(),
            "cid": cid.to_string(),
            "ipfs_add_cid": ipfs_cid,
            "ipfs_add_2025_cid": newer_cid,
            "manifest_cid": manifest_cid.to_string(),
            "changed": changed,
        }));
        return Ok(());
    }
    output::pairs(&[
        ("artifact_hash", hash.to_string()),
        ("cid", cid.to_string()),
        ("ipfs add gives", ipfs_cid),
        ("  under 2025", newer_cid),
        ("manifest", manifest_cid.to_string()),
    ]);
    Ok(())
}

/// Written beside and renamed, so that agent.yaml is never half there. What stands beside it is not written through: it
/// may be a link out of the package.
fn replace(path: &Path, text: &str) -> Result<(), Failure> {
    let beside = path.with_extension("yaml.new");
    let written = match std::fs::remove_file(&beside) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(error),
        _ => std::fs::File::create_new(&beside).and_then(|mut file| file.write_all(text.as_bytes())),
    };
    written
        .and_then(|()| std::fs::rename(&beside, path))
        .map_err(|error| Failure::new(Exit::Failed, format!("failed to write {}: {error}", path.display())))
}

fn show(dir: &Path, shared: &Shared) -> Result<(), Failure> {
    let OnDisk { manifest, artifact, .. } = read(dir)?;
    let inspection = Inspection::read(&artifact);
    let (imports, exports) =
        inspection.map_or_else(|_| (Vec::new(), Vec::new()), |found| (found.imports, found.exports));
    let permissions: Vec<String> = manifest.permissions.iter().map(ToString::to_string).collect();
    if shared.json {
        output::json(&json!({
            "agent_id": manifest.agent_id.to_string(),
            "description": manifest.description,
            "cpu": manifest.resources.cpu.to_string(),
            "memory": manifest.resources.memory.to_string(),
            "permissions": permissions,
            "config": manifest.config.to_object(),
            "artifact_bytes": artifact.len(),
            "imports": imports,
            "exports": exports,
        }));
        return Ok(());
    }
    output::pairs(&[
        ("agent", manifest.agent_id.to_string()),
        ("description", manifest.description.clone()),
        ("cpu", manifest.resources.cpu.to_string()),
        ("memory", manifest.resources.memory.to_string()),
        ("permissions", permissions.join(", ")),
        ("config", manifest.config.as_str().to_owned()),
        ("artifact", format!("{} bytes", artifact.len())),
        ("imports", imports.join(", ")),
        ("exports", exports.join(", ")),
    ]);
    Ok(())
}
