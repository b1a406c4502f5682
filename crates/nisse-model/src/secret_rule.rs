//! `secret:`: which secret of the owner goes along with which requests, and in which header.
//!
//! An agent never sees the secret: `nisse-egress` puts it in, after every other check. So a rule names everything that
//! the secret is bound to: one host over https, one port, one header, and where wanted the methods and the path.

mod error;
mod header;
mod method;
mod path;

use std::collections::BTreeSet;
use std::fmt;
use std::str::FromStr;

pub use error::SecretRuleError;
pub use header::SecretHeader;
pub use method::HttpMethod;
pub use path::PathPrefix;

use crate::host_name::{HostName, shortened};
use crate::network_rule::split_port;
use crate::{NetworkScheme, SecretName, nearest};

/// The argument of `secret:`. Printed in its shortest form: `openai@api.openai.com`,
/// `shop@api.example.org:8443;header=x-api-key;method=GET+POST;path=/v1`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SecretRule {
    /// Which secret.
    pub name: SecretName,
    /// The one host that gets it, over https.
    pub host: HostName,
    /// Never 0.
    pub port: u16,
    /// The header that carries it.
    pub header: SecretHeader,
    /// How it stands in the header.
    pub form: SecretForm,
    /// The methods that it goes along with; empty for every one.
    pub methods: BTreeSet<HttpMethod>,
    /// The paths that it goes along with; every one without it.
    pub path: Option<PathPrefix>,
}

/// How a secret stands in its header.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum SecretForm {
    /// `Bearer VALUE`.
    Bearer,
    /// `VALUE`.
    Plain,
    /// `Basic` and the base64 of `VALUE`, which is `user:password` (RFC 7617).
    Basic,
}

impl SecretForm {
    const ALL: [Self; 3] = [Self::Bearer, Self::Plain, Self::Basic];

    /// As written after `as=`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Bearer => "bearer",
            Self::Plain => "plain",
            Self::Basic => "basic",
        }
    }

    /// What stands without `as=`: `bearer` in `authorization`, `plain` elsewhere.
    pub fn default_of(header: &SecretHeader) -> Self {
        if header.is_authorization() { Self::Bearer } else { Self::Plain }
    }
}

impl SecretRule {
    /// What may stand after the host.
    const PARAMETERS: [&str; 4] = ["header", "as", "method", "path"];

    /// Whether the secret goes along with a request to `host` and `port` over https. `path` is the one on the wire,
    /// without its query.
    pub fn matches(&self, host: &HostName, port: u16, method: &str, path: &str) -> bool {
        let method_fits = self.methods.is_empty() || self.methods.iter().any(|one| one.as_str() == method);
        let path_fits = self.path.as_ref().is_none_or(|prefix| prefix.covers(path));
        self.port == port && self.host == *host && method_fits && path_fits
    }

    /// Of two rules that match a request, the greater one is taken: the longer path, then the one with methods.
    pub fn specificity(&self) -> (usize, bool) {
        (self.path.as_ref().map_or(0, |path| path.as_str().len()), !self.methods.is_empty())
    }

    /// Whether one request could match both rules, and nothing says which of them is meant.
    pub fn clashes_with(&self, other: &Self) -> bool {
        let place = |rule: &Self| (rule.host.clone(), rule.port, rule.header.clone(), rule.path.clone());
        let methods = self.methods == other.methods || !self.methods.is_disjoint(&other.methods);
        self != other && place(self) == place(other) && methods
    }
}

impl fmt::Display for SecretRule {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}@{}", self.name, self.host)?;
        if self.port != NetworkScheme::Https.default_port() {
            write!(formatter, ":{}", self.port)?;
        }
        if !self.header.is_authorization() {
            write!(formatter, ";header={}", self.header)?;
        }
        if self.form != SecretForm::default_of(&self.header) {
            write!(formatter, ";as={}", self.form.as_str())?;
        }
        if !self.methods.is_empty() {
            let names: Vec<&str> = self.methods.iter().map(|method| method.as_str()).collect();
            write!(formatter, ";method={}", names.join("+"))?;
        }
        self.path.as_ref().map_or(Ok(()), |path| write!(formatter, ";path={path}"))
    }
}

impl FromStr for SecretRule {
    type Err = SecretRuleError;

    fn from_str(text: &str) -> Result<Self, SecretRuleError> {
        let mut parts = text.split(';');
        let binding = parts.next().unwrap_or_default();
        let (name, place) = binding.split_once('@').ok_or_else(|| SecretRuleError::NoHost(shortened(binding)))?;
        let name = name.parse()?;
        let (host, port) = host_and_port(place)?;
        let parameters = Parameters::read(parts)?;
        let header = parameters.header.unwrap_or_default();
        let form = parameters.form.unwrap_or(SecretForm::default_of(&header));
        let methods = parameters.methods.unwrap_or_default();
        Ok(Self { name, host, port, header, form, methods, path: parameters.path })
    }
}

fn host_and_port(place: &str) -> Result<(HostName, u16), SecretRuleError> {
    if let Some((scheme, rest)) = place.split_once("://") {
        return Err(SecretRuleError::Scheme { scheme: shortened(scheme), rest: shortened(rest) });
    }
    if place.contains('*') {
        return Err(SecretRuleError::Wildcard(shortened(place)));
    }
    let (host, port) = split_port(place).map_err(SecretRuleError::Place)?;
    let host = host.parse().map_err(SecretRuleError::Host)?;
    Ok((host, port.unwrap_or(NetworkScheme::Https.default_port())))
}

/// What was written after the host, each at most once.
#[derive(Default)]
struct Parameters {
    header: Option<SecretHeader>,
    form: Option<SecretForm>,
    methods: Option<BTreeSet<HttpMethod>>,
    path: Option<PathPrefix>,
}

impl Parameters {
    fn read<'a>(parts: impl Iterator<Item = &'a str>) -> Result<Self, SecretRuleError> {
        let mut read = Self::default();
        for part in parts {
            let (key, value) = part.split_once('=').ok_or_else(|| SecretRuleError::NoValue(shortened(part)))?;
            match key {
                "header" => once("header", &mut read.header, value.parse()?)?,
                "as" => once("as", &mut read.form, form(value)?)?,
                "method" => once("method", &mut read.methods, method::set(value)?)?,
                "path" => once("path", &mut read.path, value.parse()?)?,
                _ => return Err(SecretRuleError::Parameter(shortened(key))),
            }
        }
        Ok(read)
    }
}

fn once<T>(key: &'static str, place: &mut Option<T>, value: T) -> Result<(), SecretRuleError> {
    match place.replace(value) {
        None => Ok(()),
        Some(_) => Err(SecretRuleError::Twice(key)),
    }
}

fn form(text: &str) -> Result<SecretForm, SecretRuleError> {
    let found = SecretForm::ALL.into_iter().find(|form| form.as_str() == text);
    found.ok_or_else(|| SecretRuleError::Form(shortened(text)))
}

/// The parameter that an unknown one was probably meant to be.
fn nearest_parameter(found: &str) -> Option<&'static str> {
    nearest(found, &SecretRule::PARAMETERS)
}

fn nearest_form(found: &str) -> Option<&'static str> {
    nearest(found, &SecretForm::ALL.map(SecretForm::as_str))
}

#[cfg(test)]
mod tests;
