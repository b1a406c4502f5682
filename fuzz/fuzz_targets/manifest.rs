//! Any text: reading agent.yaml never panics, and what reads as one can be sealed without another change.
#![no_main]

use libfuzzer_sys::fuzz_target;
use nisse_model::{Hash256, Manifest};

fuzz_target!(|text: &str| {
    let Ok(before) = Manifest::parse(text) else { return };
    let hash = Hash256::of(text.as_bytes());
    let Ok(sealed) = Manifest::seal_text(text, hash) else { return };
    let after = Manifest::parse(&sealed).expect("a sealed manifest is a manifest");
    assert_eq!(after.sealed_hash(), Some(hash));
    assert_eq!(Manifest { artifact_hash: before.artifact_hash.clone(), ..after }, before);
});
