//! What a YAML scalar means: only what all readers agree upon.
//!
//! YAML 1.1 and 1.2 read `no`, `012`, `1_000` or `12:30` differently. Such a plain scalar is refused with the advice to
//! quote it; a quoted one is always text.

use serde_json::Number;

/// A scalar as it stands in the text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Scalar {
    /// Its content, escapes resolved.
    pub(super) text: String,
    pub(super) style: Style,
}

/// How a scalar is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Style {
    Plain,
    Quoted,
    /// `|` or `>`.
    Block,
}

/// What a scalar means.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Meaning<'a> {
    Null,
    Bool(bool),
    Number(Number),
    Text(&'a str),
    /// Readers disagree, or the number does not fit into 64 bits.
    Unclear,
}

impl Scalar {
    pub(super) fn meaning(&self) -> Meaning<'_> {
        if self.style != Style::Plain {
            return Meaning::Text(&self.text);
        }
        match self.text.as_str() {
            "" | "~" | "null" => Meaning::Null,
            "true" => Meaning::Bool(true),
            "false" => Meaning::Bool(false),
            text if is_json_number(text) => number(text),
            text if is_unclear_word(text) || is_unclear_number(text) => Meaning::Unclear,
            text => Meaning::Text(text),
        }
    }
}

impl Meaning<'_> {
    /// How an error names it.
    pub(super) fn name(&self) -> &'static str {
        match self {
            Self::Null => "nothing",
            Self::Bool(_) => "a yes or no",
            Self::Number(_) => "a number",
            Self::Text(_) => "text",
            Self::Unclear => "a value that YAML readers disagree about",
        }
    }
}

fn number(text: &str) -> Meaning<'_> {
    let is_integer = !text.contains(['.', 'e', 'E']);
    match serde_json::from_str::<Number>(text) {
        Ok(number) if !is_integer || number.is_i64() || number.is_u64() => Meaning::Number(number),
        _ => Meaning::Unclear,
    }
}

/// The number grammar of JSON (RFC 8259 §6), which every YAML reader shares.
fn is_json_number(text: &str) -> bool {
    let unsigned = text.strip_prefix('-').unwrap_or(text);
    let (mantissa, exponent) = match unsigned.split_once(['e', 'E']) {
        Some((mantissa, exponent)) => (mantissa, Some(exponent.strip_prefix(['+', '-']).unwrap_or(exponent))),
        None => (unsigned, None),
    };
    let (whole, part) = match mantissa.split_once('.') {
        Some((whole, part)) => (whole, Some(part)),
        None => (mantissa, None),
    };
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    digits(whole) && (whole == "0" || !whole.starts_with('0')) && part.is_none_or(digits) && exponent.is_none_or(digits)
}

fn is_unclear_word(text: &str) -> bool {
    const WORDS: [&str; 15] = [
        "y", "n", "yes", "no", "on", "off", "true", "false", "null", ".inf", "+.inf", "-.inf", ".nan", "+.nan", "-.nan",
    ];
    WORDS.contains(&text.to_ascii_lowercase().as_str())
}

/// Something that begins like a number and that some reader takes for a number, a time or a date.
fn is_unclear_number(text: &str) -> bool {
    let body = text.trim_start_matches(['+', '-', '.']);
    let radix = ["0x", "0X", "0o", "0O", "0b", "0B"].iter().any(|prefix| body.starts_with(prefix));
    let numeric = |byte: u8| byte.is_ascii_digit() || b"_+-.:eEtTzZ ".contains(&byte);
    body.starts_with(|c: char| c.is_ascii_digit())
        && (body.bytes().all(numeric)
            || (radix && body.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')))
}
