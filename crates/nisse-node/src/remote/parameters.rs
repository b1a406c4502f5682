//! `name=value, name=value`, as the headers of signed requests have it.

/// Each name once and nothing else: the values, in the order of `names`. Names have no case, and a value may be quoted
/// (RFC 9110 §11).
pub(crate) fn read<'t, const COUNT: usize>(text: &'t str, names: [&str; COUNT]) -> Option<[&'t str; COUNT]> {
    let mut values = [None; COUNT];
    for parameter in text.split(',') {
        let (name, value) = parameter.trim().split_once('=')?;
        let value = value.strip_prefix('"').and_then(|value| value.strip_suffix('"')).unwrap_or(value);
        let place = names.iter().position(|known| name.eq_ignore_ascii_case(known))?;
        if values[place].replace(value).is_some() {
            return None;
        }
    }
    values.iter().all(Option::is_some).then(|| values.map(Option::unwrap_or_default))
}

/// Hex, with `0x` before it or without.
pub(crate) fn bytes<const LENGTH: usize>(text: &str) -> Option<[u8; LENGTH]> {
    let mut bytes = [0; LENGTH];
    hex::decode_to_slice(text.strip_prefix("0x").unwrap_or(text), &mut bytes).ok()?;
    Some(bytes)
}

/// Unix time.
pub(crate) fn seconds(text: &str) -> Option<u64> {
    text.bytes().all(|byte| byte.is_ascii_digit()).then(|| text.parse().ok()).flatten()
}
