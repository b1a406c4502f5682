//! Sealing changes one scalar of agent.yaml and no other byte.

use nisse_model::{Hash256, Manifest};
use proptest::prelude::*;

use crate::manifest::{TIP_EXAMPLE, changed};

const UNSEALED: &str = "\"a1b2c3d4e5f6... (SHA-256 hash of oracle.wasm)\"";

fn hash() -> Hash256 {
    Hash256::of(b"oracle.wasm")
}

#[test]
fn sealing_replaces_the_hash_and_nothing_else() {
    let sealed = Manifest::seal_text(TIP_EXAMPLE, hash()).unwrap();
    assert_eq!(sealed, changed(UNSEALED, &format!("\"{}\"", hash())));
}

#[test]
fn sealing_twice_is_sealing_once() {
    let once = Manifest::seal_text(TIP_EXAMPLE, Hash256::of(b"older")).unwrap();
    let twice = Manifest::seal_text(&once, hash()).unwrap();
    assert_eq!(twice, Manifest::seal_text(TIP_EXAMPLE, hash()).unwrap());
}

#[test]
fn every_way_to_write_the_hash_can_be_sealed() {
    for (written, after) in [
        ("unsealed", ""),
        ("unsealed", "   # to be filled in"),
        ("'un''sealed'", " # comment"),
        ("\"\\u0061\\n\"", ""),
        ("two\n  lines", ""),
        ("\"two\n  lines\"", " # comment"),
        ("\"größe 漢字\"", "  # 漢字"),
        ("0x1F", "\r"),
    ] {
        let text = changed(UNSEALED, &format!("{written}{after}")).replace("# agent.yaml", "# ägent 漢字.yaml");
        let sealed = Manifest::seal_text(&text, hash()).unwrap_or_else(|errors| panic!("{written}: {errors}"));
        assert_eq!(sealed, text.replace(&format!("{written}{after}"), &format!("\"{}\"{after}", hash())), "{written}");
    }
}

#[test]
fn a_flow_mapping_can_be_sealed() {
    let text = "{agent_id: a@v1.0.0, description: d, resources: {cpu: 1, memory: 1MiB}, entry_point: a.wasm, \
                artifact_hash: none , permissions: []}";
    let sealed = Manifest::seal_text(text, hash()).unwrap();
    assert_eq!(sealed, text.replace("none", &format!("\"{}\"", hash())));
}

#[test]
fn what_is_no_manifest_is_not_sealed() {
    let errors = Manifest::seal_text("agent_id: x\n", hash()).unwrap_err();
    assert!(errors.first().to_string().starts_with("line 1, column "));
}

proptest! {
    #[test]
    fn any_printable_text_in_place_of_the_hash_can_be_sealed(text in "[ -~äß漢]{1,60}") {
        let quoted = format!("'{}'", text.replace('\'', "''"));
        let source = changed(UNSEALED, &quoted);
        let sealed = Manifest::seal_text(&source, hash()).unwrap();
        prop_assert_eq!(sealed, source.replacen(&quoted, &format!("\"{}\"", hash()), 1));
    }
}
