//! Refusals of ids, resources, paths and texts: each says where, what was found, what was expected and, where it can, what to write.

use insta::assert_snapshot;

use crate::manifest::refused;
use crate::manifest_permission_errors::OUTBOUND;

const ID: &str = "talos.oracle.price-eth@v1.2.0";

#[test]
fn an_id_without_a_version_is_refused() {
    assert_snapshot!(refused(ID, "talos.oracle.price-eth"), @"line 2, column 11: found a wrong `agent_id`: cannot find a version in `talos.oracle.price-eth`: expected NAME@vMAJOR.MINOR.PATCH; did you mean `talos.oracle.price-eth@v1.0.0`?");
}

#[test]
fn an_id_without_the_v_is_refused() {
    assert_snapshot!(refused(ID, "talos.oracle.price-eth@1.2.0"), @"line 2, column 11: found a wrong `agent_id`: cannot find a version in `talos.oracle.price-eth@1.2.0`: expected NAME@vMAJOR.MINOR.PATCH; did you mean `talos.oracle.price-eth@v1.2.0`?");
}

#[test]
fn an_id_with_a_short_version_is_refused() {
    assert_snapshot!(refused(ID, "talos.oracle.price-eth@v1.2"), @"line 2, column 11: found a wrong `agent_id`: cannot read `1.2` as a semantic version: expected MAJOR.MINOR.PATCH, such as 1.2.0");
}

#[test]
fn an_id_with_upper_case_is_refused() {
    assert_snapshot!(refused(ID, "Talos.Oracle@v1.2.0"), @"line 2, column 11: found a wrong `agent_id`: cannot use `T` in an agent's name: only a-z, 0-9, `-` and `.` are allowed; did you mean `talos.oracle@v1.2.0`?");
}

#[test]
fn an_id_that_only_looks_ascii_is_refused() {
    assert_snapshot!(refused(ID, "t\u{430}los.oracle@v1.2.0"), @"line 2, column 11: found a wrong `agent_id`: cannot use `а` in an agent's name: only a-z, 0-9, `-` and `.` are allowed");
}

#[test]
fn an_over_long_id_is_refused() {
    assert_snapshot!(refused(ID, &format!("{}@v1.0.0", "a".repeat(54))), @"line 2, column 11: found a wrong `agent_id`: cannot use an id of 54 bytes: at most 53 are allowed");
}

#[test]
fn an_id_with_an_empty_label_is_refused() {
    assert_snapshot!(refused(ID, "talos..oracle@v1.0.0"), @"line 2, column 11: found a wrong `agent_id`: cannot use the label `` in an agent's name: labels are not empty and do not begin or end with `-`");
}

#[test]
fn an_id_with_a_double_dash_is_refused() {
    assert_snapshot!(refused(ID, "oracle--0a1b2c3d@v1.0.0"), @"line 2, column 11: found a wrong `agent_id`: cannot use `--` in an agent's name: it separates a name from its owner in host names");
}

#[test]
fn memory_in_decimal_units_is_refused() {
    assert_snapshot!(refused("256MiB", "256MB"), @r#"line 9, column 11: found "256MB" for `resources.memory`, expected a size with its unit, such as 256MiB; did you mean "256MiB"?"#);
}

#[test]
fn memory_without_a_unit_is_refused() {
    assert_snapshot!(refused("\"256MiB\"", "256"), @r#"line 9, column 11: found "256" for `resources.memory`, expected a size with its unit, such as 256MiB; did you mean "256MiB"?"#);
}

#[test]
fn memory_in_an_unknown_unit_is_refused() {
    assert_snapshot!(refused("256MiB", "256 pages"), @r#"line 9, column 11: found "256 pages" for `resources.memory`, expected a size with its unit, such as 256MiB"#);
}

#[test]
fn too_little_memory_is_refused() {
    assert_snapshot!(refused("256MiB", "64KiB"), @r#"line 9, column 11: found "64KiB" for `resources.memory`, expected 1MiB to 4GiB"#);
}

#[test]
fn more_memory_than_a_component_addresses_is_refused() {
    assert_snapshot!(refused("256MiB", "5GiB"), @r#"line 9, column 11: found "5GiB" for `resources.memory`, expected 1MiB to 4GiB"#);
}

#[test]
fn cpu_in_millicores_is_refused() {
    assert_snapshot!(refused("\"0.25\"", "250m"), @r#"line 8, column 8: found "250m" for `resources.cpu`, expected a share of a processor with up to three decimals, such as 0.25; did you mean "0.25"?"#);
}

#[test]
fn cpu_in_percent_is_refused() {
    assert_snapshot!(refused("0.25", "25%"), @r#"line 8, column 8: found "25%" for `resources.cpu`, expected a share of a processor with up to three decimals, such as 0.25; did you mean "0.25"?"#);
}

#[test]
fn no_cpu_at_all_is_refused() {
    assert_snapshot!(refused("0.25", "0"), @r#"line 8, column 8: found "0" for `resources.cpu`, expected more than 0 and at most 64"#);
}

#[test]
fn a_negative_cpu_is_refused() {
    assert_snapshot!(refused("\"0.25\"", "-1"), @r#"line 8, column 8: found "-1" for `resources.cpu`, expected a share of a processor with up to three decimals, such as 0.25"#);
}

#[test]
fn a_list_of_cpus_is_refused() {
    assert_snapshot!(refused("\"0.25\"", "[1, 2]"), @"line 8, column 8: found a list for `resources.cpu`, expected a share of a processor with up to three decimals, such as 0.25");
}

#[test]
fn a_gpu_by_name_is_refused() {
    assert_snapshot!(refused("gpu: \"false\"", "gpu: rtx4090"), @r#"line 10, column 8: found "rtx4090" for `resources.gpu`, expected true or false"#);
}

#[test]
fn a_gpu_by_number_is_refused() {
    assert_snapshot!(refused("gpu: \"false\"", "gpu: 1"), @"line 10, column 8: found a number (`1`) for `resources.gpu`, expected true or false");
}

#[test]
fn a_gpu_in_the_words_of_yaml_1_1_is_refused() {
    assert_snapshot!(refused("gpu: \"false\"", "gpu: no"), @"line 10, column 8: found a value that YAML readers disagree about (`no`) for `resources.gpu`, expected true or false");
}

#[test]
fn an_absolute_entry_point_is_refused() {
    assert_snapshot!(refused("\"oracle.wasm\"", "/srv/oracle.wasm"), @"line 11, column 14: found a wrong `entry_point`: cannot use the absolute path `/srv/oracle.wasm`: the artifact stands inside the package's folder; put the artifact beside agent.yaml and write `oracle.wasm`");
}

#[test]
fn an_entry_point_above_the_folder_is_refused() {
    assert_snapshot!(refused("oracle.wasm\"\nartifact", "build/../../oracle.wasm\"\nartifact"), @"line 11, column 14: found a wrong `entry_point`: cannot use `..` in `build/../../oracle.wasm`: the artifact may not leave the package's folder; put the artifact beside agent.yaml and write `oracle.wasm`");
}

#[test]
fn an_entry_point_on_a_drive_is_refused() {
    assert_snapshot!(refused("\"oracle.wasm\"", "'C:\\agents\\oracle.wasm'"), @r#"line 11, column 14: found a wrong `entry_point`: cannot use the absolute path `C:\agents\oracle.wasm`: the artifact stands inside the package's folder; put the artifact beside agent.yaml and write `oracle.wasm`"#);
}

#[test]
fn an_entry_point_with_backslashes_is_refused() {
    assert_snapshot!(refused("\"oracle.wasm\"", "'build\\oracle.wasm'"), @r#"line 11, column 14: found a wrong `entry_point`: cannot use a backslash in `build\oracle.wasm`: segments are joined by `/`; write `build/oracle.wasm`"#);
}

#[test]
fn an_entry_point_with_a_second_spelling_is_refused() {
    assert_snapshot!(refused("\"oracle.wasm\"", "./oracle.wasm"), @"line 11, column 14: found a wrong `entry_point`: cannot use `.` as a segment of `./oracle.wasm`: a path has one spelling; write `oracle.wasm`");
}

#[test]
fn an_entry_point_with_a_space_is_refused() {
    assert_snapshot!(refused("\"oracle.wasm\"", "my oracle.wasm"), @"line 11, column 14: found a wrong `entry_point`: cannot use ' ' in a path: only ASCII letters, digits, `.`, `_`, `-` and `/` are allowed");
}

#[test]
fn an_empty_entry_point_is_refused() {
    assert_snapshot!(refused("\"oracle.wasm\"", "\"\""), @"line 11, column 14: found a wrong `entry_point`: cannot use an empty path segment in ``");
}

#[test]
fn a_description_that_is_a_number_is_refused() {
    let text = "\"Fetches the current price of ETH from a trusted API and provides it on-chain.\"";
    assert_snapshot!(refused(text, "42"), @r#"line 3, column 14: found a number (`42`) for `description`, expected a sentence for people as text; write "42""#);
}

#[test]
fn an_over_long_description_is_refused() {
    assert_snapshot!(refused("Fetches", &"x".repeat(1025)), @"line 3, column 14: found 1095 bytes for `description`, expected at most 1024");
}

#[test]
fn compliance_as_text_is_refused() {
    let list = "\n  - \"TIP-3\" # Decentralized Oracle Network\n  - \"TIP-7\" # Agent-to-Agent Communication";
    assert_snapshot!(refused(list, " TIP-3"), @r#"line 4, column 13: found text (`TIP-3`) for `compliance`, expected a list of names such as "TIP-3"; write each entry on a line of its own after `- `"#);
}

#[test]
fn too_many_compliance_entries_are_refused() {
    assert_snapshot!(refused("  - \"TIP-3\"", &"  - \"TIP-1\"\n".repeat(33)), @"line 5, column 3: found 34 entries in `compliance`, expected at most 32");
}

#[test]
fn an_empty_artifact_hash_is_refused() {
    assert_snapshot!(refused("\"a1b2c3d4e5f6... (SHA-256 hash of oracle.wasm)\"", ""), @r#"line 12, column 14: found nothing for `artifact_hash`, expected 64 hex digits, or any text on one line until `nisse pkg seal`; write "unsealed" and run `nisse pkg seal`"#);
}

#[test]
fn an_artifact_hash_over_several_lines_is_refused() {
    assert_snapshot!(refused("\"a1b2c3d4e5f6... (SHA-256 hash of oracle.wasm)\"", "|\n  abc"), @r#"line 13, column 3: found text for `artifact_hash`, expected 64 hex digits, or any text on one line until `nisse pkg seal`; write "unsealed" and run `nisse pkg seal`"#);
}

#[test]
fn over_long_texts_are_refused_each_with_its_limit() {
    let unsealed = "a1b2c3d4e5f6... (SHA-256 hash of oracle.wasm)";
    assert_snapshot!(refused(unsealed, &"x".repeat(257)), @"line 12, column 16: found 257 bytes for `artifact_hash`, expected at most 256");
    assert_snapshot!(refused("TIP-3", &"x".repeat(65)), @"line 5, column 5: found 65 bytes for `compliance`, expected at most 64");
    assert_snapshot!(refused("\"oracle.wasm\"", &"x".repeat(256)), @"line 11, column 14: found a wrong `entry_point`: cannot use a path of 256 bytes: at most 255 are allowed");
    assert_snapshot!(refused(OUTBOUND, &"x".repeat(513)), @r#"line 14, column 5: found the wrong permission "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx…": cannot use a permission of 513 bytes: at most 512 are allowed"#);
}

#[test]
fn several_wrong_values_are_told_at_once() {
    let text = crate::manifest::TIP_EXAMPLE
        .replace("0.25\"  ", "a quarter\"  ")
        .replace("256MiB\"", "256MB\"")
        .replace("\"oracle.wasm\"\nartifact", "../oracle.wasm\nartifact")
        .replace("publish_to_chain", "publish");
    assert_snapshot!(nisse_model::Manifest::parse(&text).unwrap_err(), @r#"
    line 8, column 8: found "a quarter" for `resources.cpu`, expected a share of a processor with up to three decimals, such as 0.25
    line 9, column 11: found "256MB" for `resources.memory`, expected a size with its unit, such as 256MiB; did you mean "256MiB"?
    line 11, column 14: found a wrong `entry_point`: cannot use `..` in `../oracle.wasm`: the artifact may not leave the package's folder; put the artifact beside agent.yaml and write `oracle.wasm`
    line 16, column 5: found the wrong permission "publish": cannot find the permission kind "publish": expected one of network_outbound, network_local, secret, space, read_ipfs, publish_to_chain
    "#);
}
