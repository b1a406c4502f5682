//! The methods that a secret may be bound to.

use std::collections::BTreeSet;

use super::SecretRuleError;
use crate::host_name::shortened;

/// A standard method (RFC 9110 §9, RFC 5789) that agents may send.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[expect(missing_docs, reason = "each is named for the method that it is")]
pub enum HttpMethod {
    Get,
    Head,
    Post,
    Put,
    Patch,
    Delete,
    Options,
}

impl HttpMethod {
    /// All of them.
    pub const ALL: [Self; 7] = [Self::Get, Self::Head, Self::Post, Self::Put, Self::Patch, Self::Delete, Self::Options];

    /// As it stands in a request.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Get => "GET",
            Self::Head => "HEAD",
            Self::Post => "POST",
            Self::Put => "PUT",
            Self::Patch => "PATCH",
            Self::Delete => "DELETE",
            Self::Options => "OPTIONS",
        }
    }
}

/// Reads `GET+POST`: at least one, none of them twice.
pub(super) fn set(text: &str) -> Result<BTreeSet<HttpMethod>, SecretRuleError> {
    let mut methods = BTreeSet::new();
    for word in text.split('+') {
        let known = HttpMethod::ALL.into_iter().find(|method| method.as_str() == word);
        let method = known.ok_or_else(|| SecretRuleError::Method(shortened(word)))?;
        if !methods.insert(method) {
            return Err(SecretRuleError::MethodTwice(method.as_str()));
        }
    }
    Ok(methods)
}
