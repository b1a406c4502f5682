//! How an echo may look: a secret as it is, and as programs usually write bytes into text.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use zeroize::Zeroizing;

/// Bytes of the shortest form that is looked for: a shorter one would be found where nobody wrote it.
const FORM_BYTES_MIN: usize = 8;

/// One text that gives a secret away.
pub(super) type Form = Zeroizing<Vec<u8>>;

/// What may be left as it is by those who escape bytes as `%XX`, letters and digits aside: RFC 3986 §2.3,
/// `encodeURIComponent`, a path, `encodeURI`, a form, and nothing at all.
const PERCENT_PLAIN: [Option<&[u8]>; 6] =
    [Some(b"-._~"), Some(b"-._~!'()*"), Some(b"-._~/"), Some(b"-._~!'()*;,/?:@&=+$#"), Some(b"*-._"), None];

/// What programs escape in a JSON string beside `"` and `\`: nothing, `/` as PHP does, and as `\u00XX` what Go and .NET
/// think unsafe.
const JSON_ESCAPED: [&[u8]; 4] = [b"", b"/", b"<>&", b"<>&+'`"];

/// All forms of `secret`, longest first.
pub(super) fn forms(secret: &[u8]) -> Vec<Form> {
    let mut forms = vec![Zeroizing::new(secret.to_vec())];
    forms.push(Zeroizing::new(hex::encode(secret).into_bytes()));
    forms.push(Zeroizing::new(hex::encode_upper(secret).into_bytes()));
    for alignment in 0..3 {
        base64_forms(secret, alignment, &mut forms);
    }
    for upper in [false, true] {
        forms.extend(PERCENT_PLAIN.iter().map(|plain| percent(secret, *plain, upper)));
        forms.extend(JSON_ESCAPED.iter().map(|escaped| json(secret, escaped, upper)));
    }
    // Names of headers arrive in small letters, and some servers shout.
    forms.extend([secret.to_ascii_lowercase(), secret.to_ascii_uppercase()].map(Zeroizing::new));
    forms.retain(|form| form.len() >= FORM_BYTES_MIN);
    forms.sort_by(|one, other| other.len().cmp(&one.len()).then_with(|| one.cmp(other)));
    forms.dedup();
    forms
}

/// The characters of the base64 that depend on nothing but the secret, when `alignment` bytes stand before it; and the
/// same up to the end of the text, when nothing follows it. Both in both alphabets.
fn base64_forms(secret: &[u8], alignment: usize, forms: &mut Vec<Form>) {
    let mut bytes = Zeroizing::new(vec![0; alignment]);
    bytes.reserve_exact(secret.len());
    bytes.extend_from_slice(secret);
    let padded = Zeroizing::new(STANDARD.encode(&*bytes).into_bytes());
    let first = (alignment * 8).div_ceil(6);
    let whole = bytes.len() * 8 / 6;
    let ends = [whole, (bytes.len() * 8).div_ceil(6), padded.len()];
    for end in ends {
        let standard = Zeroizing::new(padded[first..end].to_vec());
        let mut url = standard.clone();
        for byte in url.iter_mut() {
            match *byte {
                b'+' => *byte = b'-',
                b'/' => *byte = b'_',
                _ => {}
            }
        }
        forms.extend([standard, url]);
    }
}

/// `%XX` for every byte that is neither a letter, a digit nor in `plain`; for all of them without it. A form, which
/// alone leaves no `~`, writes a space as `+`.
fn percent(secret: &[u8], plain: Option<&[u8]>, upper: bool) -> Form {
    let is_form = plain.is_some_and(|plain| !plain.contains(&b'~'));
    let mut text = Zeroizing::new(Vec::with_capacity(secret.len() * 3));
    for byte in secret {
        match plain {
            Some(plain) if byte.is_ascii_alphanumeric() || plain.contains(byte) => text.push(*byte),
            _ if is_form && *byte == b' ' => text.push(b'+'),
            _ => {
                text.push(b'%');
                text.extend_from_slice(&digits(*byte, upper));
            }
        }
    }
    text
}

/// The secret inside a JSON string.
fn json(secret: &[u8], escaped: &[u8], upper: bool) -> Form {
    let mut text = Zeroizing::new(Vec::with_capacity(secret.len() * 6));
    for byte in secret {
        match byte {
            b'"' | b'\\' => text.extend_from_slice(&[b'\\', *byte]),
            b'/' if escaped.contains(byte) => text.extend_from_slice(b"\\/"),
            _ if escaped.contains(byte) => {
                text.extend_from_slice(b"\\u00");
                text.extend_from_slice(&digits(*byte, upper));
            }
            _ => text.push(*byte),
        }
    }
    text
}

fn digits(byte: u8, upper: bool) -> [u8; 2] {
    let digits: &[u8; 16] = if upper { b"0123456789ABCDEF" } else { b"0123456789abcdef" };
    [digits[usize::from(byte >> 4)], digits[usize::from(byte & 15)]]
}

/// What goes over the wire for `user:password`.
pub(crate) fn basic(secret: &[u8]) -> Form {
    Zeroizing::new(STANDARD.encode(secret).into_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn forms_hold_what_programs_write() {
        let forms = forms(b"s3cr+t/va=lue~x&y");
        for text in [
            "s3cr+t/va=lue~x&y",
            "733363722b742f76613d6c75657e782679",
            "733363722B742F76613D6C75657E782679",
            "s3cr%2Bt%2Fva%3Dlue~x%26y",
            "s3cr%2bt%2fva%3dlue~x%26y",
            "s3cr%2Bt/va%3Dlue~x%26y",
            "s3cr%2Bt%2Fva%3Dlue%7Ex%26y",
            "%73%33%63%72%2b%74%2f%76%61%3d%6c%75%65%7e%78%26%79",
            "s3cr+t\\/va=lue~x&y",
            "s3cr+t/va=lue~x\\u0026y",
            "s3cr\\u002Bt/va=lue~x\\u0026y",
        ] {
            assert!(forms.iter().any(|form| form.as_slice() == text.as_bytes()), "{text}");
        }
    }

    #[test]
    fn base64_forms_are_found_whatever_stands_around() {
        let secret = b"\xfb\xff\xbeabcdefgh\x01";
        let forms = forms(secret);
        for before in 0..7 {
            for after in 0..7 {
                let text = [vec![0xa5; before], secret.to_vec(), vec![0x5a; after]].concat();
                for encoded in [STANDARD.encode(&text), base64::engine::general_purpose::URL_SAFE.encode(&text)] {
                    let held = |form: &Form| encoded.as_bytes().windows(form.len()).any(|window| window == &form[..]);
                    assert!(forms.iter().any(held), "{before} before, {after} after: {encoded}");
                }
                // At the end of a text nothing of it is left, not even the bits of its last character.
                if after == 0 {
                    let encoded = base64::engine::general_purpose::STANDARD_NO_PAD.encode(&text);
                    assert!(forms.iter().any(|form| encoded.as_bytes().ends_with(form)), "{before} before: {encoded}");
                }
            }
        }
    }

    #[test]
    fn what_is_too_short_has_no_form() {
        assert!(forms(b"seven77").iter().all(|form| form.len() >= FORM_BYTES_MIN));
        assert!(!forms(b"seven77").iter().any(|form| form.as_slice() == b"seven77"));
    }
}
