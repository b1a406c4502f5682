//! Refusals of what the manifest's own version adds: `nisse: 1`, `config`, and keys that are not supported yet.

use insta::assert_snapshot;

use crate::manifest::refused;

#[test]
fn a_configuration_without_the_version_is_refused() {
    assert_snapshot!(refused("permissions:", "config:\n  a: 1\npermissions:"), @"line 13, column 1: found `config` without `nisse: 1`, expected the version before keys that TIP-0042 does not have; add the line `nisse: 1`");
}

#[test]
fn another_version_is_refused() {
    assert_snapshot!(refused("permissions:", "nisse: 2\npermissions:"), @r#"line 13, column 8: found "2" for `nisse`, expected 1; write `nisse: 1` without quotes"#);
}

#[test]
fn a_quoted_version_is_refused() {
    assert_snapshot!(refused("permissions:", "nisse: \"1\"\npermissions:"), @r#"line 13, column 8: found "1" for `nisse`, expected 1; write `nisse: 1` without quotes"#);
}

#[test]
fn a_configuration_that_is_a_list_is_refused() {
    assert_snapshot!(refused("permissions:", "nisse: 1\nconfig: [1]\npermissions:"), @"line 14, column 9: found a list for `config`, expected a mapping");
}

#[test]
fn a_value_that_yaml_readers_disagree_about_is_refused_in_a_configuration() {
    let config = "nisse: 1\nconfig:\n  country: no\npermissions:";
    assert_snapshot!(refused("permissions:", config), @r#"line 15, column 12: found a value that YAML readers disagree about (`no`) for `config: country`, expected a value with one meaning; write true, false or a plain decimal number, or quote it: "no""#);
}

#[test]
fn a_number_with_underscores_is_refused_in_a_configuration() {
    let config = "nisse: 1\nconfig:\n  rates: [1_000]\npermissions:";
    assert_snapshot!(refused("permissions:", config), @r#"line 15, column 11: found a value that YAML readers disagree about (`1_000`) for `config: rates`, expected a value with one meaning; write true, false or a plain decimal number, or quote it: "1_000""#);
}

#[test]
fn an_octal_looking_number_is_refused_in_a_configuration() {
    let config = "nisse: 1\nconfig:\n  mode: 0644\npermissions:";
    assert_snapshot!(refused("permissions:", config), @r#"line 15, column 9: found a value that YAML readers disagree about (`0644`) for `config: mode`, expected a value with one meaning; write true, false or a plain decimal number, or quote it: "0644""#);
}

#[test]
fn a_number_past_64_bits_is_refused_in_a_configuration() {
    let config = "nisse: 1\nconfig:\n  wei: 1000000000000000000000\npermissions:";
    assert_snapshot!(refused("permissions:", config), @r#"line 15, column 8: found a value that YAML readers disagree about (`1000000000000000000000`) for `config: wei`, expected a value with one meaning; write true, false or a plain decimal number, or quote it: "1000000000000000000000""#);
}

#[test]
fn an_over_long_configuration_is_refused() {
    let config = format!("nisse: 1\nconfig:\n  text: {}\npermissions:", "x".repeat(32 << 10));
    assert_snapshot!(refused("permissions:", &config), @"line 15, column 3: found a wrong `config`: cannot use a configuration of 32779 bytes as JSON: at most 32768 are allowed");
}

#[test]
fn a_configuration_nested_too_deep_is_refused() {
    let config = format!("nisse: 1\nconfig:\n  a: {}{}\npermissions:", "[".repeat(16), "]".repeat(16));
    assert_snapshot!(refused("permissions:", &config), @"line 15, column 3: found a wrong `config`: cannot use a configuration nested deeper than 16 levels");
}
