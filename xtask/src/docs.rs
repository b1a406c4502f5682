//! The references under `docs/` against what they describe: a command, key or permission without a line is an error.

use std::collections::BTreeSet;

use crate::command::repository;

fn read(path: &str) -> String {
    std::fs::read_to_string(repository().join(path)).expect("a file of the tree")
}

/// The variants of an enum in `cli.rs`, as the command line spells them.
fn variants(source: &str, name: &str) -> Vec<String> {
    let start = source.find(&format!("enum {name} {{")).unwrap_or_else(|| panic!("cli.rs has no enum {name}"));
    let body = &source[start..start + source[start..].find("\n}").expect("an enum ends")];
    let mut found = Vec::new();
    let mut hidden = false;
    for line in body.lines().skip(1) {
        hidden |= line.contains("hide = true");
        let variant = line.strip_prefix("    ").filter(|rest| rest.starts_with(|c: char| c.is_ascii_uppercase()));
        if let Some(variant) = variant {
            let end = variant.find(|c: char| !c.is_ascii_alphanumeric()).unwrap_or(variant.len());
            if !std::mem::take(&mut hidden) {
                found.push(variant[..end].to_ascii_lowercase());
            }
        }
    }
    assert!(!found.is_empty(), "enum {name} has no variants");
    found
}

#[test]
fn every_command_stands_in_its_reference() {
    let (source, reference) = (read("crates/nisse/src/cli.rs"), read("docs/cli.md"));
    let groups = [("pkg", "Pkg"), ("content", "Content"), ("node", "NodeCommand"), ("market", "MarketCommand")];
    let groups: Vec<_> =
        groups.into_iter().chain([("receipt", "ReceiptCommand"), ("config", "ConfigCommand")]).collect();
    let mut commands = BTreeSet::new();
    for command in variants(&source, "Command") {
        match groups.iter().find(|(group, _)| *group == command) {
            Some((group, name)) => {
                commands.extend(variants(&source, name).into_iter().map(|inner| format!("{group} {inner}")));
            }
            None => _ = commands.insert(command),
        }
    }
    assert!(commands.contains("up") && commands.contains("receipt verify") && !commands.contains("internal"));
    let told = |command: &String| {
        reference.contains(&format!("| `{command}` |")) || reference.contains(&format!("| `{command} "))
    };
    let missing: Vec<_> = commands.iter().filter(|command| !told(command)).collect();
    assert!(missing.is_empty(), "docs/cli.md has no line for {missing:?}");
}

#[test]
fn every_flag_of_up_stands_in_the_references() {
    let source = read("crates/nisse/src/cli.rs");
    let start = source.find("struct Up {").expect("cli.rs has the flags of up");
    let body = &source[start..start + source[start..].find("\n}").expect("a struct ends")];
    let fields = body.lines().filter_map(|line| line.trim().strip_prefix("pub(crate) ")?.split_once(':'));
    let flags: Vec<_> = fields.map(|(field, _)| format!("--{}", field.replace('_', "-"))).collect();
    assert!(flags.len() > 5, "{flags:?}");
    let reference = read("docs/cli.md");
    let missing: Vec<_> = flags.iter().filter(|flag| !reference.contains(flag.as_str())).collect();
    assert!(missing.is_empty(), "docs/cli.md does not name {missing:?}");
}

#[test]
fn every_key_of_the_configuration_stands_in_its_reference_with_its_value() {
    let reference = read("docs/configuration.md");
    let mut section = String::new();
    for line in read("crates/nisse/src/config/built-in.toml").lines() {
        if let Some(name) = line.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
            section = name.to_owned();
        } else if let Some((key, value)) = line.split_once(" = ") {
            let row = format!("| `{section}.{key}` | `{value}` |");
            assert!(reference.contains(&row), "docs/configuration.md has no row {row}");
        }
    }
    assert!(!section.is_empty());
}

#[test]
fn every_key_and_permission_of_the_manifest_stands_in_its_reference() {
    let reference = read("docs/manifest.md");
    let source = read("crates/nisse-model/src/manifest/read.rs");
    let start = source.find("const KEYS: ").expect("read.rs lists the keys");
    let list = &source[start..start + source[start..].find("];").expect("a list ends")];
    let keys: Vec<&str> = list.split('"').skip(1).step_by(2).collect();
    assert!(keys.contains(&"agent_id"), "{keys:?}");
    for key in keys {
        assert!(reference.contains(&format!("`{key}")), "docs/manifest.md does not tell of `{key}`");
    }
    for entry in std::fs::read_dir(repository().join("crates/nisse-model/src/permission")).expect("a folder") {
        let path = entry.expect("an entry").path();
        let kind = path.file_stem().expect("a name").to_string_lossy().into_owned();
        assert!(reference.contains(&format!("| `{kind}")), "docs/manifest.md has no line for `{kind}`");
    }
}
