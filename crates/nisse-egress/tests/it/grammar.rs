//! The grammar against other parsers: whatever one of them reads as another destination is refused.
//!
//! `url` (WHATWG), `http` and `fluent-uri` (RFC 3986) and the standard library's addresses stand for what servers,
//! libraries and resolvers make of a text; `elsewhere` puts the same to Python and Node. `NISSE_FUZZ_CASES` raises the
//! number of cases.

mod elsewhere;
mod inputs;
mod readers;

use nisse_egress::EgressTarget;
use proptest::prelude::*;

use inputs::{near_name, request, text};

fn cases() -> u32 {
    std::env::var("NISSE_FUZZ_CASES").ok().and_then(|text| text.parse().ok()).unwrap_or(4096)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: cases(), failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn every_parser_agrees_on_everything_that_is_accepted((scheme, authority, path) in request()) {
        readers::check(scheme, &authority, &path);
    }

    #[test]
    fn a_rule_reads_as_what_it_prints(text in prop_oneof![text(1..6), near_name()]) {
        for text in [text.clone(), format!("http://{text}"), format!("*.{text}")] {
            if let Ok(rule) = text.parse::<nisse_model::NetworkRule>() {
                prop_assert_eq!(rule.to_string().parse::<nisse_model::NetworkRule>(), Ok(rule));
            }
        }
    }
}

#[test]
fn the_known_disagreements_are_refused() {
    for authority in [
        "127.1",
        "0x7f.1",
        "2130706433",
        "①②⑦.0.0.1",
        "127。0。0。1",
        "api.example.com.",
        "a@b",
        "а.example.com",
        "1.2.3.08",
        "[::1%25lo]",
        "[::ffff:7f00:1]",
        "a..b",
        "xn--",
        "xn--a.example.com",
        "%61.example.com",
        "a_b.example.com",
    ] {
        assert!(EgressTarget::parse("http", authority, "/").is_err(), "{authority}");
    }
}

#[test]
fn every_parser_agrees_on_the_corpus_of_the_fuzz_target() {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../../fuzz/corpus/destination");
    let mut read = 0;
    for entry in std::fs::read_dir(folder).unwrap() {
        let text = std::fs::read_to_string(entry.unwrap().path()).unwrap();
        let (authority, path) = text.split_once('\n').unwrap_or((&text, "/"));
        for scheme in ["http", "https"] {
            readers::check(scheme, authority, path);
        }
        read += 1;
    }
    assert!(read > 20, "{read} files were read");
}
