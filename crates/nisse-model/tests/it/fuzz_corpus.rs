//! The fuzz corpus, run once as a plain test: the same property, on the inputs that are committed.

use nisse_model::{Hash256, Manifest};

const CORPUS: [(&str, &str); 13] = [
    ("tip-example", include_str!("../../../../fuzz/corpus/manifest/tip-example")),
    ("sealed-with-config", include_str!("../../../../fuzz/corpus/manifest/sealed-with-config")),
    ("access", include_str!("../../../../fuzz/corpus/manifest/access")),
    ("flow", include_str!("../../../../fuzz/corpus/manifest/flow")),
    ("anchors", include_str!("../../../../fuzz/corpus/manifest/anchors")),
    ("two-documents", include_str!("../../../../fuzz/corpus/manifest/two-documents")),
    ("merge-key", include_str!("../../../../fuzz/corpus/manifest/merge-key")),
    ("block-scalars", include_str!("../../../../fuzz/corpus/manifest/block-scalars")),
    ("complex-keys", include_str!("../../../../fuzz/corpus/manifest/complex-keys")),
    ("deep", include_str!("../../../../fuzz/corpus/manifest/deep")),
    ("directives", include_str!("../../../../fuzz/corpus/manifest/directives")),
    ("unclear-scalars", include_str!("../../../../fuzz/corpus/manifest/unclear-scalars")),
    ("unicode", include_str!("../../../../fuzz/corpus/manifest/unicode")),
];
/// Those of the corpus that are manifests.
const GOOD: [&str; 5] = ["tip-example", "access", "sealed-with-config", "flow", "unicode"];

#[test]
fn every_committed_input_is_listed() {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../../fuzz/corpus/manifest");
    let name = |entry: std::io::Result<std::fs::DirEntry>| entry.unwrap().file_name().into_string().unwrap();
    let mut names: Vec<String> = std::fs::read_dir(folder).unwrap().map(name).collect();
    names.sort();
    let mut listed = CORPUS.map(|(name, _)| name);
    listed.sort_unstable();
    assert_eq!(names, listed);
}

#[test]
fn the_corpus_holds_good_and_bad_manifests() {
    for (name, text) in CORPUS {
        let parsed = Manifest::parse(text);
        assert_eq!(parsed.is_ok(), GOOD.contains(&name), "{name}: {parsed:?}");
    }
}

#[test]
fn what_parses_can_be_sealed_and_stays_the_same_otherwise() {
    let hash = Hash256::of(b"fuzz");
    for (name, text) in CORPUS.into_iter().filter(|(name, _)| GOOD.contains(name)) {
        let sealed = Manifest::parse(&Manifest::seal_text(text, hash).unwrap()).unwrap();
        let before = Manifest::parse(text).unwrap();
        assert_eq!(sealed.sealed_hash(), Some(hash), "{name}");
        assert_eq!(Manifest { artifact_hash: before.artifact_hash.clone(), ..sealed }, before, "{name}");
    }
}
