//! What would have let a request out: the line to add or change, made from what refused it.

use std::collections::BTreeSet;

use nisse_model::{
    HostNameError, HostPattern, LocalHost, NetworkRule, NetworkScheme, SecretForm, SecretName, SecretRule,
};

use super::EgressError;
use crate::secrets::SecretRefused;
use crate::special_purpose::AddressClass;
use crate::target::{EgressTarget, TargetError};

impl EgressError {
    /// The line to add or change, where one would help.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::NotGranted { agent, target } => Some(permission_hint(agent, target)),
            Self::SecretNotGranted { agent, name, header, target, near } => {
                Some(secret_hint(agent, name, header, target, near.as_deref()))
            }
            Self::Secret { source: SecretRefused::Sealed, .. } => Some("run `nisse unlock`".to_owned()),
            Self::Secret { source: SecretRefused::Missing, name } => Some(format!("run `nisse secret set {name}`")),
            Self::SecretUnfit { name, .. } => Some(format!("run `nisse secret rotate {name}`")),
            Self::Target(TargetError::Host(error)) => request_host_hint(error),
            Self::Address { host, port, class, .. } => address_hint(host, *port, *class),
            _ => None,
        }
    }
}

fn address_hint(host: &str, port: u16, class: AddressClass) -> Option<String> {
    match class {
        AddressClass::Private(_) => Some(format!(
            "`network_outbound` reaches public addresses only; for a service on your own network, add \
             \"network_local:{host}:{port}\" to `permissions` in agent.yaml"
        )),
        AddressClass::Public => Some(
            "all addresses of a name must be of one kind, and `network_local` reaches your own network only".to_owned(),
        ),
        AddressClass::Forbidden(_) => None,
    }
}

fn request_host_hint(error: &HostNameError) -> Option<String> {
    match error {
        HostNameError::Address(_) | HostNameError::Number(_) => {
            Some("write an IPv4 address as four decimal numbers, or use a name".to_owned())
        }
        other => other.hint(),
    }
}

/// The exact permission that would have allowed the request.
fn permission_hint(agent: &str, target: &EgressTarget) -> String {
    let permission = match target.host_name() {
        Some(host) => {
            let rule = NetworkRule { scheme: target.scheme(), host: HostPattern::exact(host), port: target.port() };
            format!("network_outbound:{rule}")
        }
        None => format!("network_local:{}:{}", target.host(), target.port()),
    };
    let note = match (target.host(), target.scheme()) {
        (LocalHost::Ip(_), _) => " (services on your own network only; a public service needs its name)",
        (_, NetworkScheme::Http) => " (not encrypted)",
        _ => "",
    };
    format!("add \"{permission}\" to `permissions` in agent.yaml{note}, then `nisse update {agent} DIR`")
}

/// The exact permission that would have put the secret in, or why none would.
fn secret_hint(agent: &str, name: &str, header: &str, target: &EgressTarget, near: Option<&SecretRule>) -> String {
    let Ok(name) = name.parse::<SecretName>() else {
        return "a header that asks for a secret is written as `nisse-secret:NAME` and nothing else".to_owned();
    };
    let (NetworkScheme::Https, Some(host)) = (target.scheme(), target.host_name()) else {
        return "a secret goes over https to a public host only: use `https` and the host's name".to_owned();
    };
    if let Some(rule) = near {
        return format!("\"secret:{rule}\" is bound to a method or path that this request does not have");
    }
    let Ok(header) = header.parse() else {
        return format!("no secret goes into `{header}`: use another header, such as `authorization`");
    };
    let form = SecretForm::default_of(&header);
    let rule = SecretRule { name, host, port: target.port(), header, form, methods: BTreeSet::new(), path: None };
    format!("add \"secret:{rule}\" to `permissions` in agent.yaml, then `nisse update {agent} DIR`")
}
