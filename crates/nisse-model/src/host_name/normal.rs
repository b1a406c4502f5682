//! The one normal form of a host name.
//!
//! `idna` maps and checks as UTS 46 says; what it would still let two parsers read differently is refused here.

use std::net::IpAddr;

use idna::uts46::{AsciiDenyList, DnsLength, Hyphens, Uts46};
use unicode_security::MixedScript;

use super::HostNameError;

/// Longest name in its ASCII form, in bytes (RFC 1035 §2.3.4, without the root's dot).
const HOST_LENGTH_MAX: usize = 253;
/// Longest text looked at: a name of 253 ASCII bytes is shorter than this in any script.
const TEXT_LENGTH_MAX: usize = 1024;
/// How much of a refused text an error repeats, in characters.
const ERROR_TEXT_MAX: usize = 80;

/// The one normal form of a name: lower-case A-labels by UTS 46 (non-transitional), refused where that would guess.
pub(super) fn normalised(text: &str) -> Result<String, HostNameError> {
    let malformed = || HostNameError::Malformed(shortened(text));
    if text.len() > TEXT_LENGTH_MAX {
        return Err(HostNameError::TooLong { length: text.len() });
    }
    if text.is_empty() {
        return Err(HostNameError::Empty);
    }
    if text.parse::<IpAddr>().is_ok() || text.starts_with('[') {
        return Err(HostNameError::Address(shortened(text)));
    }
    if text.ends_with('.') {
        return Err(HostNameError::TrailingDot(shortened(text)));
    }
    let ascii = Uts46::new()
        .to_ascii(text.as_bytes(), AsciiDenyList::STD3, Hyphens::CheckFirstLast, DnsLength::Ignore)
        .map_err(|_| malformed())?
        .into_owned();
    if ascii.len() > HOST_LENGTH_MAX {
        return Err(HostNameError::TooLong { length: ascii.len() });
    }
    if ascii.split('.').any(|label| label.is_empty() || label.len() > 63) {
        return Err(malformed());
    }
    // WHATWG URL, "ends in a number": such a name is an address to some parsers and a name to others.
    let last = ascii.rsplit('.').next().unwrap_or_default();
    let hexadecimal = last.strip_prefix("0x").is_some_and(|digits| digits.bytes().all(|b| b.is_ascii_hexdigit()));
    if hexadecimal || last.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(HostNameError::Number(shortened(text)));
    }
    let (unicode, valid) = Uts46::new().to_unicode(ascii.as_bytes(), AsciiDenyList::STD3, Hyphens::CheckFirstLast);
    valid.map_err(|_| malformed())?;
    // A mapping that did more than fold case (full-width letters, circled digits, other dots) guessed a meaning.
    if !text.is_ascii() && !written_plainly(text, &unicode, &ascii) {
        return Err(HostNameError::Mapped { text: shortened(text), plain: ascii });
    }
    if let Some(label) = unicode.split('.').find(|label| !label.is_single_script()) {
        return Err(HostNameError::MixedScript { label: shortened(label), name: ascii });
    }
    Ok(ascii)
}

/// Whether each label was written in one of its two normal forms, letter case aside.
fn written_plainly(text: &str, unicode: &str, ascii: &str) -> bool {
    // U+212A KELVIN SIGN is the capital of an ASCII letter, and looks like one.
    if text.chars().any(|c| !c.is_ascii() && c.to_lowercase().any(|lower| lower.is_ascii())) {
        return false;
    }
    let labels = unicode.split('.').zip(ascii.split('.'));
    text.split('.').count() == labels.clone().count()
        && text.split('.').zip(labels).all(|(label, (unicode, ascii))| {
            let label = label.to_lowercase();
            label == unicode || label == ascii
        })
}

/// The beginning of a refused text, for its error.
pub(crate) fn shortened(text: &str) -> String {
    text.chars().take(ERROR_TEXT_MAX).collect()
}
