//! `nisse pkg check`: what is allowed in an agent.yaml but probably not meant.

use std::collections::BTreeSet;

use super::{ArtifactHash, Manifest};
use crate::{Access, FunctionName, NetworkScheme, Permission};

/// Something to think about before deploying. Prints as one sentence.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Warning {
    /// `artifact_hash` is no digest.
    #[error("`artifact_hash` is not sealed, so `deploy` will refuse it: run `nisse pkg seal`")]
    Unsealed,
    /// 64 hex digits with upper-case letters among them.
    #[error("`artifact_hash` has upper-case letters, so it does not count as sealed: run `nisse pkg seal`")]
    UpperCaseHash,
    /// The entry point is no `.wasm` file by its name.
    #[error("`entry_point` is `{0}`: a component's file usually ends in `.wasm`")]
    EntryPointName(String),
    /// Nothing to read for people.
    #[error("`description` is empty: it is what people see before they trust the agent")]
    NoDescription,
    /// A permission that stands twice.
    #[error("the permission \"{0}\" stands more than once")]
    DuplicatePermission(Permission),
    /// Requests that anyone on the way can read and change.
    #[error("the permission \"{0}\" allows requests without encryption")]
    PlainHttp(Permission),
    /// Requests to any name below a domain.
    #[error("the permission \"{0}\" allows every host below a domain")]
    Wildcard(Permission),
    /// Only home nodes give it.
    #[error("the permission \"{0}\" is only given on a node of your own")]
    OwnNode(Permission),
    /// All that its owner keeps.
    #[error(
        "the permission \"{0}\" lets it read everything in every space of its owner, also in those that come later"
    )]
    EverySpace(Permission),
    /// A list without rules.
    #[error("`access` has no rule, so nobody reaches the endpoint from outside")]
    Unreachable,
    /// Admits nobody on a rented node.
    #[error(
        "rule {0} of `access` admits nobody on a node of somebody else: only its owner's own node knows their devices, \
         spaces and capabilities"
    )]
    AccessOnOwnNode(usize),
    /// A rule that stands twice.
    #[error("rule {0} of `access` stands there before, so it decides nothing")]
    DuplicateAccess(usize),
    /// Declared for nothing.
    #[error("no trigger runs the function `{0}`")]
    FunctionUnused(FunctionName),
    /// No node of this version has one to give.
    #[error("`resources.gpu` is true: no node of this version offers a GPU, so nobody will bid")]
    Gpu,
}

/// What is allowed in `manifest` but probably not meant.
pub fn check(manifest: &Manifest) -> Vec<Warning> {
    let mut warnings = Vec::new();
    if let ArtifactHash::Unsealed(text) = &manifest.artifact_hash {
        let is_upper_case = text.to_ascii_lowercase().parse::<crate::Hash256>().is_ok();
        warnings.push(if is_upper_case { Warning::UpperCaseHash } else { Warning::Unsealed });
    }
    if !manifest.entry_point.as_str().ends_with(".wasm") {
        warnings.push(Warning::EntryPointName(manifest.entry_point.to_string()));
    }
    if manifest.description.trim().is_empty() {
        warnings.push(Warning::NoDescription);
    }
    if manifest.resources.gpu {
        warnings.push(Warning::Gpu);
    }
    warnings.extend(access(&manifest.access));
    let is_run = |name: &FunctionName| manifest.triggers.iter().any(|trigger| trigger.function == *name);
    let unused = manifest.functions.iter().filter(|function| !is_run(&function.name));
    warnings.extend(unused.map(|function| Warning::FunctionUnused(function.name.clone())));
    let mut seen = BTreeSet::new();
    for permission in &manifest.permissions {
        if !seen.insert(permission) {
            warnings.push(Warning::DuplicatePermission(permission.clone()));
            continue;
        }
        match permission {
            Permission::NetworkOutbound(rule) => {
                if rule.scheme == NetworkScheme::Http {
                    warnings.push(Warning::PlainHttp(permission.clone()));
                }
                if rule.host.is_wildcard() {
                    warnings.push(Warning::Wildcard(permission.clone()));
                }
            }
            Permission::NetworkLocal(_) | Permission::Secret(_) => {
                warnings.push(Warning::OwnNode(permission.clone()));
            }
            Permission::Space(rule) => {
                warnings.push(Warning::OwnNode(permission.clone()));
                if rule.name().is_none() {
                    warnings.push(Warning::EverySpace(permission.clone()));
                }
            }
            Permission::ReadIpfs | Permission::PublishToChain => {}
        }
    }
    warnings
}

fn access(access: &Access) -> Vec<Warning> {
    let Access::Rules(rules) = access else { return Vec::new() };
    if rules.is_empty() {
        return vec![Warning::Unreachable];
    }
    let mut warnings = Vec::new();
    for (position, rule) in rules.iter().enumerate() {
        if rules[..position].contains(rule) {
            warnings.push(Warning::DuplicateAccess(position + 1));
        } else if rule.to.needs_own_node() {
            warnings.push(Warning::AccessOnOwnNode(position + 1));
        }
    }
    warnings
}
