#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use proptest::prelude::*;

use super::*;

fn redactor(secrets: &[&[u8]]) -> Redactor {
    let mut echoes = Echoes::default();
    for secret in secrets {
        echoes.add(secret);
    }
    echoes.redactor().unwrap()
}

/// In pieces: what came out, how many echoes there were, and the most that was held back beyond what had to be.
fn in_pieces(secret: &[u8], pieces: &[&[u8]]) -> (Vec<u8>, u64) {
    let mut redactor = redactor(&[secret]);
    let (mut out, mut read) = (Vec::new(), Vec::new());
    for piece in pieces {
        out.extend_from_slice(&redactor.piece(piece));
        read.extend_from_slice(piece);
        assert_eq!(redactor.held.len(), must_wait(secret, &read), "after {:?}", String::from_utf8_lossy(&read));
    }
    out.extend_from_slice(&redactor.finish());
    (out, redactor.found())
}

/// The longest end of the text that is a proper beginning of a form, found by trying all.
fn must_wait(secret: &[u8], text: &[u8]) -> usize {
    let forms = forms(secret);
    let begins = |end: &[u8]| forms.iter().any(|form| form.len() > end.len() && form.starts_with(end));
    let longest = forms.iter().map(|form| form.len()).max().unwrap_or(0).min(text.len());
    (0..=longest).rev().find(|length| begins(&text[text.len() - length..])).unwrap_or(0)
}

/// Every place of every form, found by trying all.
fn naive(secret: &[u8], text: &[u8]) -> Vec<u8> {
    let mut covered = text.to_vec();
    for form in forms(secret) {
        for (place, window) in text.windows(form.len()).enumerate() {
            if window == form.as_slice() {
                covered[place..place + form.len()].fill(COVER);
            }
        }
    }
    covered
}

#[test]
fn echoes_are_covered_and_nothing_else() {
    let (out, found) = in_pieces(b"s3cret-value", &[b"a s3cret-value b s3cret-valu c s3cret-values3cret-value"]);
    assert_eq!(out, b"a ************ b s3cret-valu c ************************");
    assert_eq!(found, 3);
}

#[test]
fn what_can_be_no_echo_does_not_wait() {
    let mut redactor = redactor(&[b"s3cret-value"]);
    assert_eq!(redactor.piece(b"data: hello\n\n"), "data: hello\n\n");
    assert_eq!(redactor.piece(b"data: s3cre"), "data: ");
    assert_eq!(redactor.piece(b"ts\n\n"), "s3crets\n\n");
    assert_eq!(redactor.piece(b"data: s3"), "data: ");
    assert_eq!(redactor.finish(), "s3");
}

#[test]
fn an_echo_that_overlaps_itself_is_covered_however_it_is_cut() {
    for secret in [&b"aaaaaaaa"[..], b"abababab", b"abcabcabca"] {
        let text = [secret, &secret[1..], b"x", &secret[..5], secret, &secret[4..]].concat();
        let whole = in_pieces(secret, &[&text]);
        assert_eq!(whole.0, naive(secret, &text));
        let bytes: Vec<&[u8]> = text.chunks(1).collect();
        assert_eq!(in_pieces(secret, &bytes), whole);
        for cut in 0..=text.len() {
            assert_eq!(in_pieces(secret, &[&text[..cut], &text[cut..]]), whole, "cut at {cut}");
        }
    }
}

#[test]
fn two_secrets_are_covered_where_they_overlap() {
    let mut redactor = redactor(&[b"first-secret-of-two", b"of-two-secrets"]);
    assert_eq!(redactor.piece(b"<first-secret-of-two-secrets>"), "<***************************>");
    assert_eq!(redactor.found(), 1);
}

#[test]
fn headers_keep_their_names_and_lose_echoes() {
    let mut headers = HeaderMap::new();
    headers.insert("x-echo", HeaderValue::from_static("Bearer 12345678, 12345678"));
    headers.insert("x-3132333435363738", HeaderValue::from_static("1"));
    headers.insert("x-fine", HeaderValue::from_static("1234567"));
    headers.insert(header::CONTENT_LENGTH, HeaderValue::from_static("12345678"));
    let mut redactor = redactor(&[b"12345678"]);
    redactor.headers(&mut headers);
    assert_eq!(headers["x-echo"], "Bearer ********, ********");
    assert_eq!(headers["x-fine"], "1234567");
    assert_eq!(headers[header::CONTENT_LENGTH], "12345678", "the length is the body's");
    assert_eq!(headers.len(), 3, "the name that was an echo is gone");
    assert_eq!(redactor.found(), 3);
}

/// What a body is made of: noise, a whole form, or the beginning of one.
#[derive(Debug, Clone)]
enum Part {
    Noise(Vec<u8>),
    Form(prop::sample::Index),
    Beginning(prop::sample::Index, prop::sample::Index),
}

fn part() -> impl Strategy<Value = Part> {
    prop_oneof![
        prop::collection::vec(any::<u8>().prop_filter("no cover", |byte| *byte != COVER), 0..12).prop_map(Part::Noise),
        any::<prop::sample::Index>().prop_map(Part::Form),
        any::<(prop::sample::Index, prop::sample::Index)>().prop_map(|(form, end)| Part::Beginning(form, end)),
    ]
}

proptest! {
    #[test]
    fn a_stream_is_covered_as_the_whole_is(
        // Few letters, so that forms overlap; or any text that a header carries.
        secret in prop_oneof!["[ab]{8,14}", "[ -)+-~]{8,40}"],
        parts in prop::collection::vec(part(), 0..10),
        cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..12),
    ) {
        let secret = secret.as_bytes();
        let forms = forms(secret);
        let mut planted = false;
        let mut text = Vec::new();
        for part in &parts {
            match part {
                Part::Noise(bytes) => text.extend_from_slice(bytes),
                Part::Form(form) => {
                    planted = true;
                    text.extend_from_slice(&forms[form.index(forms.len())]);
                }
                Part::Beginning(form, end) => {
                    let form = &forms[form.index(forms.len())];
                    text.extend_from_slice(&form[..end.index(form.len())]);
                }
            }
        }
        let mut cuts: Vec<usize> = cuts.iter().map(|cut| cut.index(text.len() + 1)).collect();
        cuts.extend([0, text.len()]);
        cuts.sort_unstable();
        let pieces: Vec<&[u8]> = cuts.windows(2).map(|cut| &text[cut[0]..cut[1]]).collect();
        let (out, found) = in_pieces(secret, &pieces);
        prop_assert_eq!(&out, &naive(secret, &text));
        prop_assert_eq!(out.len(), text.len());
        for form in &forms {
            prop_assert!(!out.windows(form.len()).any(|window| window == form.as_slice()));
        }
        prop_assert_eq!(found > 0, out != text);
        prop_assert!(found > 0 || !planted);
        prop_assert_eq!(in_pieces(secret, &[&text]).1, found, "the count does not depend on the cuts");
    }
}
