//! The URLs that [`fetch`](super::fetch) takes: absolute, `http` or `https`, without user or fragment.
//!
//! This only splits; what may be reached is decided by the node, on the parts and not on the text.
use std::fmt;

/// A URL in its parts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Url {
    /// Whether it is `https`.
    pub secure: bool,
    /// Host and, where given, `:port`.
    pub authority: String,
    /// Starts with `/`.
    pub path_with_query: String,
}

/// Why a text is not a URL that [`fetch`](super::fetch) takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum UrlError {
    /// It starts with neither `https://` nor `http://`.
    Scheme,
    /// The host is missing or carries a user.
    Authority,
    /// It has a fragment, a space or another character that no request line carries.
    Character,
}

impl fmt::Display for UrlError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Scheme => "a URL starts with https:// or http://",
            Self::Authority => "a URL names a host and no user",
            Self::Character => "a URL has no fragment, space, backslash or control character",
        })
    }
}

impl std::error::Error for UrlError {}

impl std::str::FromStr for Url {
    type Err = UrlError;

    fn from_str(text: &str) -> Result<Self, UrlError> {
        let (secure, rest) = match (text.strip_prefix("https://"), text.strip_prefix("http://")) {
            (Some(rest), _) => (true, rest),
            (None, Some(rest)) => (false, rest),
            (None, None) => return Err(UrlError::Scheme),
        };
        if rest.bytes().any(|byte| !byte.is_ascii_graphic() || matches!(byte, b'#' | b'\\')) {
            return Err(UrlError::Character);
        }
        let (authority, path) = rest.split_at(rest.find(['/', '?']).unwrap_or(rest.len()));
        if authority.is_empty() || authority.starts_with(':') || authority.contains('@') {
            return Err(UrlError::Authority);
        }
        let slash = if path.starts_with('/') { "" } else { "/" };
        Ok(Self { secure, authority: authority.into(), path_with_query: format!("{slash}{path}") })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_is_split_into_its_parts() {
        for (text, secure, authority, path) in [
            ("https://api.example.com/v1?ids=a,b", true, "api.example.com", "/v1?ids=a,b"),
            ("http://example.com:8080", false, "example.com:8080", "/"),
            ("https://example.com?q=1", true, "example.com", "/?q=1"),
        ] {
            let url: Url = text.parse().expect(text);
            assert_eq!((url.secure, &*url.authority, &*url.path_with_query), (secure, authority, path), "{text}");
        }
    }

    #[test]
    fn what_no_request_could_carry_is_refused() {
        for (text, error) in [
            ("ftp://example.com/", UrlError::Scheme),
            ("example.com", UrlError::Scheme),
            ("https:///path", UrlError::Authority),
            ("https://:443/", UrlError::Authority),
            ("https://user@example.com/", UrlError::Authority),
            ("https://example.com/#part", UrlError::Character),
            ("https://example.com\\@evil.example/", UrlError::Character),
            ("https://example.com/a b", UrlError::Character),
            ("https://example.com/\r\nx: y", UrlError::Character),
        ] {
            assert_eq!(text.parse::<Url>(), Err(error), "{text}");
        }
    }
}
