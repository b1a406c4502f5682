//! Why a text is no rule for a secret, and what to write instead.

use super::{HttpMethod, nearest_form, nearest_parameter};
use crate::{HostNameError, NetworkRuleError, ParseSecretNameError};

/// Why a text is no rule for a secret. Each text completes "failed to …".
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SecretRuleError {
    /// No `@HOST`.
    #[error("find a host in `{0}`: a secret is bound to one host, as NAME@HOST")]
    NoHost(String),
    /// The name is refused.
    #[error(transparent)]
    Name(#[from] ParseSecretNameError),
    /// A secret is never sent without TLS, so no scheme is written.
    #[error("send a secret to `{scheme}://{rest}`: a secret goes over https only, and no scheme is written")]
    Scheme {
        /// As written.
        scheme: String,
        /// What follows it.
        rest: String,
    },
    /// A secret for more than one host.
    #[error("send a secret to `{0}`: a secret is bound to exactly one host")]
    Wildcard(String),
    /// The host is refused.
    #[error(transparent)]
    Host(HostNameError),
    /// More than a host and a port, or a wrong port.
    #[error(transparent)]
    Place(NetworkRuleError),
    /// Not `KEY=VALUE`.
    #[error("read `{0}` as a parameter: KEY=VALUE is expected")]
    NoValue(String),
    /// No parameter of this name.
    #[error("find the parameter {0:?}: expected one of header, as, method, path")]
    Parameter(String),
    /// A parameter for the second time.
    #[error("use `{0}=` twice: each parameter stands at most once")]
    Twice(&'static str),
    /// A header that cannot carry a secret.
    #[error("put a secret into the header `{name}`: {why}")]
    Header {
        /// As written.
        name: String,
        /// What is wrong.
        why: &'static str,
    },
    /// No form of this name.
    #[error("find the form {0:?}: expected one of bearer, plain, basic")]
    Form(String),
    /// Not a method that agents send.
    #[error(
        "bind a secret to the method {0:?}: expected GET, HEAD, POST, PUT, PATCH, DELETE or OPTIONS, joined with `+`"
    )]
    Method(String),
    /// A method for the second time.
    #[error("bind a secret to the method `{0}` twice")]
    MethodTwice(&'static str),
    /// A path that servers could read in more than one way.
    #[error("bind a secret to the path `{path}`: {why}")]
    Path {
        /// As written.
        path: String,
        /// What is wrong.
        why: &'static str,
    },
}

impl SecretRuleError {
    /// What to write instead, where that is known.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::NoHost(text) => Some(format!("write `secret:{text}@HOST`")),
            Self::Scheme { rest, .. } => Some(format!("write only the host: `{}`", rest.split('/').next()?)),
            Self::Wildcard(_) => Some("write one `secret:` for each host that gets it".into()),
            Self::Host(
                HostNameError::Address(_)
                | HostNameError::Number(_)
                | HostNameError::OneLabel(_)
                | HostNameError::SpecialUse { .. },
            ) => Some("name a public host; a secret is never sent into the local network".into()),
            Self::Host(error) => error.hint(),
            Self::Place(NetworkRuleError::NotAHost { text, part }) if part.starts_with('/') => {
                let host = text.strip_suffix(part.as_str()).unwrap_or(text);
                Some(format!("write `{host};path={part}`"))
            }
            Self::Place(error) => error.hint(),
            Self::Parameter(found) => nearest_parameter(found).map(|key| format!("did you mean `{key}=`?")),
            Self::Form(found) => nearest_form(found).map(|form| format!("did you mean `as={form}`?")),
            Self::Method(found) => {
                let upper = found.to_ascii_uppercase().replace([',', '|', ' '], "+");
                let known = |word| HttpMethod::ALL.into_iter().any(|method| method.as_str() == word);
                upper.split('+').all(known).then(|| format!("write `method={upper}`"))
            }
            Self::Twice("method") => Some("join methods with `+`, as in `method=GET+POST`".into()),
            Self::Path { path, .. } if !path.starts_with('/') && !path.contains("://") => {
                Some(format!("write `path=/{path}`"))
            }
            Self::Name(_)
            | Self::NoValue(_)
            | Self::Twice(_)
            | Self::Header { .. }
            | Self::MethodTwice(_)
            | Self::Path { .. } => None,
        }
    }
}
