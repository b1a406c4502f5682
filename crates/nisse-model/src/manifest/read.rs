//! The tree → a [`Manifest`], or everything that is wrong in it.

use super::error::{ManifestErrors, ManifestProblem};
use super::read_config;
use super::scalar::{Meaning, Style};
use super::tree::{Entry, Node, Value, shortened};
use super::{ArtifactHash, Manifest};
use crate::{Access, AgentId, Config, EntryPoint, Permission, Resources};

mod access;
mod functions;
mod reader;
mod resources;
mod secrets;
mod triggers;

use reader::{Reader, find};

/// Keys of TIP-0042, then nisse's own.
const KEYS: [&str; 12] = [
    "agent_id",
    "description",
    "compliance",
    "resources",
    "entry_point",
    "artifact_hash",
    "permissions",
    "nisse",
    "config",
    "functions",
    "triggers",
    "access",
];
/// The keys that errors offer.
pub(super) const KEYS_TEXT: &str = "agent_id, description, compliance, resources, entry_point, artifact_hash, permissions, nisse, config, functions, triggers, access";
/// Keys of nisse, which need `nisse: 1`.
const KEYS_BEYOND: [&str; 4] = ["config", "functions", "triggers", "access"];

/// What an entry of `permissions` is.
const PERMISSION: &str = "a permission as text, such as \"network_outbound:HOST\"";

/// Reads the root mapping.
pub(super) fn manifest(root: &Node) -> Result<Manifest, ManifestErrors> {
    let mut reader = Reader::default();
    let manifest = reader.manifest(root);
    match (ManifestErrors::from_vec(reader.errors), manifest) {
        (Some(errors), _) => Err(errors),
        (None, Some(manifest)) => Ok(manifest),
        (None, None) => unreachable!("a manifest without a value has an error"),
    }
}

impl Reader {
    fn manifest(&mut self, root: &Node) -> Option<Manifest> {
        let entries = self.mapping("agent.yaml", root, "a mapping of the agent's keys")?;
        self.known_keys(entries, &KEYS, KEYS_TEXT);
        self.version(entries);
        let at = root.at;
        let agent_id = self.required(entries, at, "agent_id", "NAME@vMAJOR.MINOR.PATCH");
        let description = self.required(entries, at, "description", "a sentence for people");
        let resources = self.required(entries, at, "resources", "a mapping of cpu, memory and gpu");
        let entry_point = self.required(entries, at, "entry_point", "the artifact's path, such as oracle.wasm");
        let artifact_hash = self.required(entries, at, "artifact_hash", "the artifact's SHA-256");

        let agent_id = agent_id.and_then(|node| self.agent_id(node));
        let description = description.and_then(|node| self.description(node));
        let compliance = find(entries, "compliance").map_or(Some(Vec::new()), |node| self.compliance(node));
        let resources: Option<Resources> = resources.and_then(|node| self.resources(node));
        let entry_point = entry_point.and_then(|node| self.entry_point(node));
        let artifact_hash = artifact_hash.and_then(|node| self.artifact_hash(node));
        let permissions = find(entries, "permissions").map_or(Some(Vec::new()), |node| self.permissions(node));
        let config = find(entries, "config").map_or(Some(Config::default()), |node| self.config(node));
        let access = find(entries, "access").map_or(Some(Access::Anybody), |node| self.access(node));
        let functions = find(entries, "functions").map_or(Some(Vec::new()), |node| self.functions(node));
        let triggers = find(entries, "triggers").map_or(Some(Vec::new()), |node| {
            let triggers = self.triggers(node, functions.as_deref())?;
            if let Some(permissions) = &permissions {
                self.spaces_are_permitted(node, &triggers, permissions);
            }
            Some(triggers)
        });
        Some(Manifest {
            agent_id: agent_id?,
            description: description?,
            compliance: compliance?,
            resources: resources?,
            entry_point: entry_point?,
            artifact_hash: artifact_hash?,
            permissions: permissions?,
            config: config?,
            access: access?,
            functions: functions?,
            triggers: triggers?,
        })
    }

    /// `nisse: 1`, and the keys that it allows.
    fn version(&mut self, entries: &[Entry]) {
        let version = entries.iter().find(|entry| entry.key == "nisse");
        if let Some(entry) = version {
            let one = matches!(&entry.node.value, Value::Scalar(scalar) if scalar.style == Style::Plain && scalar.text == "1");
            if !one {
                let found = match &entry.node.value {
                    Value::Scalar(scalar) => format!("{:?}", shortened(&scalar.text)),
                    Value::Sequence(_) | Value::Mapping(_) => entry.node.kind().to_owned(),
                };
                let hint = Some("write `nisse: 1` without quotes".to_owned());
                self.report(entry.node.at, ManifestProblem::Version(found), hint);
            }
        }
        for key in KEYS_BEYOND {
            let Some(entry) = entries.iter().find(|entry| entry.key == key) else { continue };
            if version.is_none() {
                let hint = Some("add the line `nisse: 1`".to_owned());
                self.report(entry.key_at, ManifestProblem::NeedsVersion(key), hint);
            }
        }
    }

    fn agent_id(&mut self, node: &Node) -> Option<AgentId> {
        let text = self.text("agent_id", node, "NAME@vMAJOR.MINOR.PATCH as text")?;
        match text.parse() {
            Ok(id) => Some(id),
            Err(error) => {
                let lower = text.to_ascii_lowercase().replace('_', "-");
                let fixed = [lower.clone(), lower.replace('@', "@v"), format!("{lower}@v1.0.0")];
                let fixed = fixed.iter().find(|candidate| candidate.parse::<AgentId>().is_ok());
                self.report(node.at, ManifestProblem::AgentId(error), fixed.map(|id| format!("did you mean `{id}`?")));
                None
            }
        }
    }

    fn description(&mut self, node: &Node) -> Option<String> {
        let text = self.text("description", node, "a sentence for people as text")?;
        self.length("description", text, Manifest::DESCRIPTION_LENGTH_MAX, node.at)?;
        Some(text.to_owned())
    }

    fn compliance(&mut self, node: &Node) -> Option<Vec<String>> {
        let nodes = self.sequence("compliance", node, "a list of names such as \"TIP-3\"", Manifest::COMPLIANCE_MAX)?;
        let entries = nodes.iter().map(|node| {
            let text = self.text("compliance", node, "a name as text")?;
            self.length("compliance", text, Manifest::COMPLIANCE_LENGTH_MAX, node.at)?;
            Some(text.to_owned())
        });
        all(entries)
    }

    fn entry_point(&mut self, node: &Node) -> Option<EntryPoint> {
        let text = self.text("entry_point", node, "the artifact's path as text")?;
        let parsed = text.parse::<EntryPoint>();
        parsed.map_err(|error| self.report(node.at, ManifestProblem::EntryPoint(error.clone()), error.hint())).ok()
    }

    /// Any scalar on one line; only 64 lower-case hex digits seal it.
    fn artifact_hash(&mut self, node: &Node) -> Option<ArtifactHash> {
        const EXPECTED: &str = "64 hex digits, or any text on one line until `nisse pkg seal`";
        let scalar = match &node.value {
            Value::Scalar(scalar) if scalar.style != Style::Block && scalar.meaning() != Meaning::Null => scalar,
            Value::Scalar(_) | Value::Sequence(_) | Value::Mapping(_) => {
                let hint = "write \"unsealed\" and run `nisse pkg seal`".to_owned();
                self.wrong_type("artifact_hash", node, EXPECTED, Some(hint));
                return None;
            }
        };
        if let Ok(hash) = scalar.text.parse() {
            return Some(ArtifactHash::Sealed(hash));
        }
        self.length("artifact_hash", &scalar.text, Manifest::UNSEALED_LENGTH_MAX, node.at)?;
        Some(ArtifactHash::Unsealed(scalar.text.clone()))
    }

    fn permissions(&mut self, node: &Node) -> Option<Vec<Permission>> {
        let expected = "a list of permissions such as \"read_ipfs\"";
        let nodes = self.sequence("permissions", node, expected, Manifest::PERMISSIONS_MAX)?;
        let permissions = nodes.iter().map(|node| {
            let text = match as_permission(node) {
                Some(hint) => {
                    self.wrong_type("permissions", node, PERMISSION, Some(hint));
                    return None;
                }
                None => self.text("permissions", node, PERMISSION)?,
            };
            let parsed = text.parse::<Permission>();
            let refuse = |error: crate::ParsePermissionError| {
                let hint = error.hint();
                self.report(node.at, ManifestProblem::Permission { text: shortened(text), error }, hint);
            };
            parsed.map_err(refuse).ok()
        });
        let permissions = all(permissions)?;
        self.secrets(nodes, &permissions);
        Some(permissions)
    }

    fn config(&mut self, node: &Node) -> Option<Config> {
        let entries = self.mapping("config", node, "a mapping")?;
        let object = read_config::object(entries).map_err(|error| self.errors.push(error)).ok()?;
        Config::new(&object).map_err(|error| self.report(node.at, ManifestProblem::Config(error), None)).ok()
    }
}

/// `- read_ipfs: x` is a mapping to YAML: what its author most likely meant.
fn as_permission(node: &Node) -> Option<String> {
    let Value::Mapping(entries) = &node.value else { return None };
    let [Entry { key, node: Node { value: Value::Scalar(scalar), .. }, .. }] = &entries[..] else { return None };
    let permission: Permission = format!("{key}:{}", scalar.text).parse().ok()?;
    Some(format!("write \"{permission}\" without a space"))
}

/// All values, or `None` after every one of them has been looked at.
fn all<T>(values: impl Iterator<Item = Option<T>>) -> Option<Vec<T>> {
    let values: Vec<Option<T>> = values.collect();
    values.into_iter().collect()
}
