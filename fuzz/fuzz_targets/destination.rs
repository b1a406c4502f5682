//! Any authority (the first line) and path (the rest): what is accepted is the same destination to three other parsers,
//! and reads as itself when it is written again.
#![no_main]

#[path = "../../crates/nisse-egress/tests/it/grammar/readers.rs"]
mod readers;

use libfuzzer_sys::fuzz_target;
use nisse_egress::EgressTarget;
use nisse_model::NetworkRule;

fuzz_target!(|text: &str| {
    let (authority, path) = text.split_once('\n').unwrap_or((text, "/"));
    for scheme in ["http", "https"] {
        readers::check(scheme, authority, path);
        if let Ok(target) = EgressTarget::parse(scheme, authority, path) {
            let again = EgressTarget::parse(scheme, &target.host_header(), path).expect("it reads what it writes");
            assert_eq!(again, target);
        }
    }
    if let Ok(rule) = text.parse::<NetworkRule>() {
        assert_eq!(rule.to_string().parse(), Ok(rule));
    }
});
