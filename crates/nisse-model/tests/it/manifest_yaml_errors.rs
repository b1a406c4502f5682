//! Refusals of the text itself: what is YAML to someone, but not one plain mapping to everyone.

use insta::assert_snapshot;
use nisse_model::Manifest;

use crate::manifest::{TIP_EXAMPLE, refused};

fn of(text: &str) -> String {
    Manifest::parse(text).unwrap_err().to_string()
}

#[test]
fn an_unknown_key_names_the_nearest_known_one() {
    assert_snapshot!(refused("description:", "descripton:"), @r#"line 3, column 1: found the unknown key "descripton", expected one of agent_id, description, compliance, resources, entry_point, artifact_hash, permissions, nisse, config, functions, triggers, access; did you mean `description`?"#);
}

#[test]
fn an_unknown_key_without_a_neighbour_lists_the_known_ones() {
    assert_snapshot!(refused("compliance:", "kubernetes:"), @r#"line 4, column 1: found the unknown key "kubernetes", expected one of agent_id, description, compliance, resources, entry_point, artifact_hash, permissions, nisse, config, functions, triggers, access"#);
}

#[test]
fn a_key_in_another_spelling_is_unknown() {
    assert_snapshot!(refused("entry_point:", "entryPoint:"), @r#"line 11, column 1: found the unknown key "entryPoint", expected one of agent_id, description, compliance, resources, entry_point, artifact_hash, permissions, nisse, config, functions, triggers, access; did you mean `entry_point`?"#);
}

#[test]
fn an_unknown_resource_names_the_known_ones() {
    assert_snapshot!(refused("memory:", "ram:"), @r#"
    line 8, column 3: found no `resources.memory`, expected a size with its unit, such as 256MiB
    line 9, column 3: found the unknown key "ram", expected one of cpu, memory, gpu
    "#);
}

#[test]
fn a_key_that_stands_twice_is_refused() {
    assert_snapshot!(refused("gpu: \"false\"", "gpu: \"false\"\nagent_id: \"other.agent@v1.0.0\""), @"line 11, column 1: found the key `agent_id` again, expected it once (it stands on line 2); remove one of the two");
}

#[test]
fn a_missing_key_says_what_it_holds() {
    assert_snapshot!(refused("entry_point: \"oracle.wasm\"\n", ""), @"line 2, column 1: found no `entry_point`, expected the artifact's path, such as oracle.wasm");
}

#[test]
fn all_missing_keys_are_told_at_once() {
    assert_snapshot!(of("permissions: []\n"), @r"
    line 1, column 1: found no `agent_id`, expected NAME@vMAJOR.MINOR.PATCH
    line 1, column 1: found no `description`, expected a sentence for people
    line 1, column 1: found no `resources`, expected a mapping of cpu, memory and gpu
    line 1, column 1: found no `entry_point`, expected the artifact's path, such as oracle.wasm
    line 1, column 1: found no `artifact_hash`, expected the artifact's SHA-256
    ");
}

#[test]
fn an_anchor_is_refused() {
    assert_snapshot!(refused("\"oracle.wasm\"", "&artifact \"oracle.wasm\""), @"line 11, column 14: found an anchor (`&`), expected the value itself; write the value out, or quote a text that begins with `&`");
}

#[test]
fn an_alias_is_refused() {
    assert_snapshot!(refused("cpu: \"0.25\"", "cpu: &a 1\n  memory: *a"), @"line 8, column 8: found an anchor (`&`), expected the value itself; write the value out, or quote a text that begins with `&`");
}

#[test]
fn an_alias_without_an_anchor_is_refused() {
    assert_snapshot!(refused("\"256MiB\"", "*memory"), @"line 9, column 11: found text that is not YAML (while parsing node, found unknown anchor)");
}

#[test]
fn a_tag_is_refused() {
    assert_snapshot!(refused("\"0.25\"", "!!str 0.25"), @"line 8, column 8: found the tag `!!str`, expected a plain value; remove the tag, or quote a text that begins with `!`");
}

#[test]
fn a_local_tag_is_refused() {
    assert_snapshot!(refused("compliance:", "compliance: !include"), @"line 4, column 13: found the tag `!include`, expected a plain value; remove the tag, or quote a text that begins with `!`");
}

#[test]
fn a_merge_key_is_refused() {
    assert_snapshot!(refused("gpu: \"false\"", "<<: { cpu: 1 }"), @"line 10, column 3: found a merge key (`<<`), expected the keys themselves");
}

#[test]
fn a_second_document_is_refused() {
    assert_snapshot!(of(&format!("{TIP_EXAMPLE}---\n{TIP_EXAMPLE}")), @"line 17, column 1: found a second document, expected one; put each agent into a folder of its own");
}

#[test]
fn an_empty_file_is_refused() {
    assert_snapshot!(of("# nothing here\n"), @"line 1, column 1: found nothing, expected the keys of an agent: agent_id, description, compliance, resources, entry_point, artifact_hash, permissions, nisse, config, functions, triggers, access");
}

#[test]
fn a_list_instead_of_a_mapping_is_refused() {
    assert_snapshot!(of("- agent_id\n"), @"line 1, column 1: found a list for `agent.yaml`, expected a mapping of the agent's keys");
}

#[test]
fn a_byte_order_mark_is_refused() {
    assert_snapshot!(of(&format!("\u{feff}{TIP_EXAMPLE}")), @"line 1, column 1: found a byte order mark, expected plain UTF-8 without one; save the file as UTF-8 without BOM");
}

#[test]
fn a_directive_is_refused() {
    assert_snapshot!(of(&format!("%YAML 1.1\n---\n{TIP_EXAMPLE}")), @"line 1, column 1: found a YAML directive, expected a mapping right away; remove the line");
}

#[test]
fn a_file_over_64_kib_is_refused() {
    assert_snapshot!(of(&format!("{TIP_EXAMPLE}# {}", "x".repeat(64 << 10))), @"line 1, column 1: found a file of 66071 bytes, expected at most 65536; keep data out of agent.yaml: name it in `config` by its CID");
}

#[test]
fn deep_nesting_is_refused() {
    let deep = format!("nisse: 1\nconfig: {}", "[".repeat(200));
    assert_snapshot!(of(&deep), @"line 2, column 26: found more than 18 levels of nesting, expected at most 18");
}

#[test]
fn nesting_past_what_the_parser_looks_ahead_is_refused_with_the_same_words() {
    let error = Manifest::parse(&"[".repeat(60_000)).unwrap_err();
    assert!(error.to_string().ends_with("found more than 18 levels of nesting, expected at most 18"), "{error}");
}

#[test]
fn a_tab_for_indentation_is_refused() {
    assert_snapshot!(refused("  cpu:", "\tcpu:"), @"line 8, column 2: found text that is not YAML (tabs disallowed within this context (block indentation)); indent with spaces");
}

#[test]
fn an_unclosed_quote_is_refused() {
    assert_snapshot!(refused("\"oracle.wasm\"", "\"oracle.wasm"), @"line 11, column 14: found text that is not YAML (invalid indentation in quoted scalar); close the quote");
}

#[test]
fn a_control_character_is_refused() {
    assert_snapshot!(refused("Fetches", "Fetches\u{1b}[31m"), @"line 3, column 22: found the character U+001B, expected printable text");
}

#[test]
fn a_control_character_behind_an_escape_is_refused() {
    assert_snapshot!(refused("Fetches", "Fetches\\e[31m"), @"line 3, column 14: found the character U+001B, expected printable text");
}

#[test]
fn a_character_that_turns_the_reading_direction_is_refused() {
    assert_snapshot!(refused("api.coingecko.com", "\u{202e}moc.okcegnioc.ipa"), @"line 14, column 23: found the character U+202E, expected printable text");
}

#[test]
fn a_number_as_a_key_is_refused() {
    assert_snapshot!(refused("gpu:", "1:"), @"line 10, column 3: found a number as a key, expected text; quote it");
}

#[test]
fn a_mapping_as_a_key_is_refused() {
    assert_snapshot!(refused("gpu:", "? {a: 1}\n  :"), @"line 10, column 5: found a mapping as a key, expected text");
}

#[test]
fn at_most_twenty_errors_are_told() {
    let many: String = (0..40).map(|number| format!("key{number}: 1\n")).collect();
    assert_eq!(Manifest::parse(&many).unwrap_err().iter().count(), 20);
}

#[test]
fn errors_come_in_the_order_of_the_text() {
    let text = TIP_EXAMPLE.replace("agent_id:", "agent:").replace("read_ipfs", "read_ipsf");
    assert_snapshot!(of(&text), @r#"
    line 2, column 1: found the unknown key "agent", expected one of agent_id, description, compliance, resources, entry_point, artifact_hash, permissions, nisse, config, functions, triggers, access
    line 2, column 1: found no `agent_id`, expected NAME@vMAJOR.MINOR.PATCH
    line 15, column 5: found the wrong permission "read_ipsf": cannot find the permission kind "read_ipsf": expected one of network_outbound, network_local, secret, space, read_ipfs, publish_to_chain; did you mean `read_ipfs`?
    "#);
}

#[test]
fn a_lone_carriage_return_is_refused() {
    assert_snapshot!(refused("resources:\n", "resources:\r"), @"line 7, column 11: found the character U+000D, expected printable text");
}

#[test]
fn a_key_that_was_misspelled_is_not_told_as_missing_too() {
    let errors = Manifest::parse(&TIP_EXAMPLE.replace("cpu:", "cpus:")).unwrap_err();
    assert_eq!(errors.iter().count(), 1);
}

#[test]
fn joiners_that_scripts_need_are_allowed() {
    for text in ["\u{646}\u{645}\u{6cc}\u{200c}\u{62e}\u{648}\u{627}\u{647}\u{645}", "\u{1f469}\u{200d}\u{1f33e}"] {
        assert!(Manifest::parse(&TIP_EXAMPLE.replace("Fetches", text)).is_ok());
    }
}
