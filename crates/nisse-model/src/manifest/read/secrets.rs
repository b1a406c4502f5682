//! What is wrong with a `secret:` only beside the other permissions.

use super::super::error::ManifestProblem;
use super::super::tree::{Node, shortened};
use super::reader::Reader;
use crate::{HostPattern, NetworkRule, NetworkScheme, Permission, SecretRule};

impl Reader {
    /// Each secret needs a way to its host, and no two may be meant for the same header of the same requests.
    /// `nodes` are where `permissions` stand.
    pub(super) fn secrets(&mut self, nodes: &[Node], permissions: &[Permission]) {
        let rules = permissions.iter().filter_map(|permission| match permission {
            Permission::NetworkOutbound(rule) => Some(rule),
            _ => None,
        });
        let secrets = || {
            nodes.iter().zip(permissions).filter_map(|(node, permission)| match permission {
                Permission::Secret(secret) => Some((node, secret)),
                _ => None,
            })
        };
        for (position, (node, secret)) in secrets().enumerate() {
            let text = shortened(&format!("secret:{secret}"));
            let reaches = |rule: &NetworkRule| rule.matches(NetworkScheme::Https, &secret.host, secret.port);
            if !rules.clone().any(reaches) {
                let hint = format!("add \"network_outbound:{}\" to `permissions`", way_to(secret));
                self.report(node.at, ManifestProblem::SecretWithoutHost { text: text.clone() }, Some(hint));
            }
            if let Some((first, _)) = secrets().take(position).find(|(_, other)| other.clashes_with(secret)) {
                let first_line = first.at.line;
                let hint = "remove one, or bind them to different paths or methods".to_owned();
                self.report(node.at, ManifestProblem::SecretTwice { text, first_line }, Some(hint));
            }
        }
    }
}

/// The narrowest rule that reaches the secret's host.
fn way_to(secret: &SecretRule) -> NetworkRule {
    NetworkRule { scheme: NetworkScheme::Https, host: HostPattern::exact(secret.host.clone()), port: secret.port }
}
