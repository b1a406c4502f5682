//! What the deployer sets reaches the running guest, over what its package says.

use crate::harness::{Home, Node, example};

const READER: &str = "nisse.test.config-reader";

fn asked(node: &Node<'_>, path: &str) -> String {
    let answer = node.ask_served(READER, "GET", path);
    assert_eq!(answer.status, 200, "{answer:?}");
    answer.text()
}

#[test]
fn what_is_set_at_deploy_stands_over_the_package_in_the_running_guest() {
    let home = Home::new();
    let node = home.up(&[]);
    let set = ["--set", "greeting=good evening", "--set", "limits.calls=7", "--set", "extra.deep=true"];
    home.ok(&[&["deploy", &example("config-reader")][..], &set].concat());
    let merged = r#"{"extra":{"deep":true},"greeting":"good evening","limits":{"calls":7,"strict":false}}"#;
    assert_eq!(asked(&node, "/"), merged);
    assert_eq!(asked(&node, "/greeting"), "\"good evening\"");
    assert_eq!(home.ok(&["invoke", READER, "--event", "{}"]), format!("{merged}\n"), "events see the same");
    let log = home.ok(&["logs", READER]);
    assert!(log.contains(&format!("configured with {merged}")), "so did its start: {log}");
    node.kill();

    let node = home.up(&[]);
    assert_eq!(asked(&node, "/"), merged, "it is kept");
    let newer = home.copy_of("config-reader", "newer");
    newer.edit("@v1.0.0", "@v1.1.0").edit("calls: 3", "calls: 4");
    home.ok(&["update", READER, newer.path(), "--set", "limits.strict=true"]);
    let updated = r#"{"greeting":"hello","limits":{"calls":4,"strict":true}}"#;
    assert_eq!(asked(&node, "/"), updated, "an update is set anew");
    home.ok(&["rollback", READER]);
    assert_eq!(asked(&node, "/"), merged, "and a rollback brings back what was set");
}

#[test]
fn a_package_without_settings_runs_with_its_own() {
    let home = Home::new();
    let node = home.up(&[]);
    home.ok(&["deploy", &example("config-reader")]);
    assert_eq!(asked(&node, "/"), r#"{"greeting":"hello","limits":{"calls":3,"strict":false}}"#);
    assert_eq!(node.ask(READER, "GET", "/nothing").status, 404);
}

#[test]
fn what_cannot_be_set_is_refused_before_anything_is_deployed() {
    let home = Home::new();
    let _node = home.up(&[]);
    for setting in ["greeting", "=x", "limits..calls=1", "greeting.deep=1"] {
        let ended = home.run(&["deploy", &example("config-reader"), "--set", setting]);
        assert_eq!(ended.code, 2, "{setting}: {ended:?}");
        assert!(ended.err.starts_with("error: "), "{setting}: {ended:?}");
    }
    assert_eq!(home.json(&["ls"]), serde_json::json!([]));
}
