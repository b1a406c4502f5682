//! What single commands print: completions, a package on disk, the whole of `--json`, a log that goes on.

use std::fs::File;
use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use serde_json::{Value, json};

use crate::harness::{Home, Node, eventually, example};

const READER: &str = "nisse.test.config-reader";
const ORACLE: &str = "talos.oracle.price-eth";
const HOUR_MS: u64 = 3_600_000;

#[test]
fn completions_name_every_command_for_each_shell() {
    let home = Home::new();
    let help = home.ok(&["--help"]);
    let listed = help.split_once("Commands:\n").unwrap().1.split_once("\n\n").unwrap().0;
    // Names stand two columns in; the words about them further.
    let named = listed.lines().filter(|line| line.starts_with("  ") && !line.starts_with("   "));
    let names: Vec<&str> = named.filter_map(|line| line.split_whitespace().next()).collect();
    for name in ["up", "deploy", "doctor", "completions", "receipt"] {
        assert!(names.contains(&name), "{names:?}");
    }
    for (shell, begins) in [("bash", "_nisse() {"), ("zsh", "#compdef nisse"), ("fish", "# Print an optspec")] {
        let script = home.ok(&["completions", shell]);
        assert!(script.trim_start().starts_with(begins), "{shell}: {}", &script[..80]);
        // Commands of commands and flags are among them.
        for word in names.iter().copied().chain(["drain", "rebuild-chain", "max-rate", "json"]) {
            assert!(script.contains(word), "{shell} does not name {word}");
        }
    }
    assert_eq!(home.run(&["completions", "tcsh"]).code, 2);
    assert!(!home.path().exists(), "no home is needed");
}

#[test]
fn a_package_shows_what_it_is_and_what_it_asks_for() {
    let home = Home::new();
    let shown = home.json(&["pkg", "show", &example("config-reader")]);
    assert_eq!(shown["agent_id"], "nisse.test.config-reader@v1.0.0");
    assert_eq!((&shown["cpu"], &shown["memory"], &shown["permissions"]), (&json!("0.25"), &json!("32MiB"), &json!([])));
    assert_eq!(shown["config"], json!({ "greeting": "hello", "limits": { "calls": 3, "strict": false } }));
    let artifact = std::fs::metadata(format!("{}/config-reader.wasm", example("config-reader"))).unwrap().len();
    assert_eq!(shown["artifact_bytes"], artifact);
    let imported = |what: &str| {
        let names = shown[what].as_array().unwrap().iter().map(|name| name.as_str().unwrap());
        names.map(|name| name.split('@').next().unwrap().to_owned()).collect::<Vec<_>>()
    };
    assert!(imported("imports").contains(&"nisse:agent/log".to_owned()), "{shown}");
    assert!(imported("exports").contains(&"wasi:http/incoming-handler".to_owned()), "{shown}");

    let told = home.ok(&["pkg", "show", &example("config-reader")]);
    for line in ["agent        nisse.test.config-reader@v1.0.0\n", "cpu          0.25\n", "memory       32MiB\n"] {
        assert!(told.contains(line), "{line:?} is not in {told}");
    }
    let package = home.copy_of("config-reader", "asking");
    package.set("permissions", "[\"network_outbound:api.example.org:8443\", \"read_ipfs\"]");
    let asking = home.json(&["pkg", "show", package.path()]);
    assert_eq!(asking["permissions"], json!(["network_outbound:api.example.org:8443", "read_ipfs"]));
    let nowhere = home.run(&["pkg", "show", home.beside("nowhere").to_str().unwrap()]);
    assert!(nowhere.code == 1 && nowhere.err.contains("hint: name the folder in which agent.yaml lies"), "{nowhere:?}");
}

/// Asserts that these keys are there, with values of this kind. Others may come; none of these goes.
fn has_keys(document: &Value, kind: &str, fits: impl Fn(&Value) -> bool, keys: &[&str]) {
    for key in keys {
        let value = document.get(*key).unwrap_or_else(|| panic!("no {key} in {document}"));
        assert!(fits(value), "{key} is no {kind}: {document}");
    }
}

#[test]
fn what_deploy_and_status_print_for_programs_has_all_its_keys() {
    let home = Home::new();
    let _node = home.up(&[]);
    let deployed = home.json(&["deploy", &example("echo")]);
    let texts = ["deployment", "agent_id", "cid", "manifest_cid", "node", "state", "endpoint"];
    has_keys(&deployed, "text", Value::is_string, &texts);
    has_keys(&deployed, "whole number", Value::is_u64, &["elapsed_ms"]);
    has_keys(&deployed, "list", Value::is_array, &["steps"]);
    has_keys(&deployed, "null", Value::is_null, &["reason", "hint"]);
    for step in deployed["steps"].as_array().unwrap() {
        has_keys(step, "text", Value::is_string, &["name", "detail"]);
        has_keys(step, "whole number", Value::is_u64, &["at_ms"]);
    }
    assert_eq!((&deployed["agent_id"], &deployed["state"]), (&json!("nisse.test.echo@v1.0.0"), &json!("running")));

    let status = home.json(&["status", "nisse.test.echo"]);
    let texts = ["agent_id", "version", "state", "node", "endpoint", "deployment", "owner", "cid", "manifest_cid"];
    has_keys(&status, "text", Value::is_string, &texts);
    has_keys(&status, "text", Value::is_string, &["state_root"]);
    let numbers = ["since", "restarts", "memory_bytes", "fuel_used", "invocations", "state_bytes"];
    has_keys(&status, "whole number", Value::is_u64, &numbers);
    has_keys(&status, "list", Value::is_array, &["permissions"]);
    has_keys(&status, "null", Value::is_null, &["reason", "hint", "alarm", "update_refused", "gas"]);
    has_keys(&status["lease"], "text", Value::is_string, &["rate", "paid", "balance"]);
    has_keys(&status["lease"], "null", Value::is_null, &["ends_at", "warning"]);
    for same in ["deployment", "agent_id", "cid", "manifest_cid", "node", "state", "endpoint"] {
        assert_eq!(status[same], deployed[same], "{same}");
    }
    assert_eq!((&status["version"], &status["lease"]["rate"]), (&json!("1.0.0"), &json!("0")));
    // Of all agents it prints the same, as a list.
    let all = home.json(&["status"]);
    assert_eq!((all.as_array().unwrap().len(), &all[0]["deployment"]), (1, &deployed["deployment"]));
}

#[test]
fn funding_a_lease_that_runs_moves_its_end_by_what_was_paid() {
    let home = Home::new();
    let mut node = home.up(&["--demo"]);
    node.demo_is_told();
    let ends_at = |status: &Value| status["lease"]["ends_at"].as_u64().unwrap();
    let before = home.json(&["status", ORACLE]);
    assert_eq!((&before["state"], &before["lease"]["rate"]), (&json!("running"), &json!("50")));
    has_keys(&before["lease"], "text", Value::is_string, &["rate", "paid", "balance", "warning"]);

    let funded = home.json(&["fund", ORACLE, "250"]);
    assert_eq!(ends_at(&funded), ends_at(&before) + 5 * HOUR_MS, "five hours at 50");
    assert_eq!(funded["state"], "running");
    let after = home.json(&["status", ORACLE]);
    assert_eq!(ends_at(&after), ends_at(&funded));
    assert_eq!(after["lease"]["warning"], Value::Null, "more than a day is left now");
    let entry = home.json(&["market", "show", ORACLE]);
    assert_eq!(entry["ends_at"].as_u64().unwrap(), ends_at(&funded), "so says the contract");
    assert_eq!(home.run(&["fund", ORACLE, "0"]).code, 2, "nothing is no payment");
    assert_eq!(ends_at(&home.json(&["status", ORACLE])), ends_at(&funded));
}

/// A command that goes on by itself until this is dropped; its stdout goes to a file.
pub(crate) struct Following {
    child: Child,
    out: std::path::PathBuf,
}

impl Following {
    pub(crate) fn start(home: &Home, args: &[&str]) -> Self {
        let out = home.beside("followed");
        let mut command = Command::new(env!("CARGO_BIN_EXE_nisse"));
        command.arg("--home").arg(home.path()).args(args).stdin(Stdio::null());
        Self { child: command.stdout(File::create(&out).unwrap()).spawn().unwrap(), out }
    }

    pub(crate) fn said(&self) -> String {
        std::fs::read_to_string(&self.out).unwrap()
    }
}

impl Drop for Following {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Has the agent log until the follower hears of it: what comes before it listens is not its to hear.
fn heard(node: &Node<'_>, mut said: impl FnMut() -> String) {
    let mut probes = 0;
    eventually("a line that comes later", || {
        probes += 1;
        node.ask_served(READER, "GET", &format!("/probe-{probes}"));
        said().contains("asked for /probe-").then_some(())
    });
}

#[test]
fn a_log_that_is_followed_goes_on_with_the_lines_that_come() {
    let home = Home::new();
    let node = home.up(&[]);
    home.ok(&["deploy", &example("config-reader")]);
    node.ask_served(READER, "GET", "/before");
    for json in [false, true] {
        let following = Following::start(
            &home,
            &[&["logs", READER, "-f", "-n", "1000"][..], if json { &["--json"] } else { &[] }].concat(),
        );
        eventually("what was there", || following.said().contains("asked for /before").then_some(()));
        let last = format!("/last-{json}");
        node.ask_served(READER, "GET", &last);
        let said = eventually("the last line", || Some(following.said()).filter(|said| said.contains(&last)));
        assert!(said.lines().next().unwrap().contains("configured with"), "it begins with what was there: {said}");
        for line in ["asked for /before", &format!("asked for {last}")] {
            assert_eq!(said.matches(line).count(), 1, "{line}: {said}");
        }
        let whole = said.lines().all(|line| match json {
            true => serde_json::from_str::<Value>(line).is_ok_and(|line| line["number"].is_u64()),
            false => line.contains(" UTC info "),
        });
        assert!(whole, "each line is one: {said}");
    }
}

#[test]
fn the_api_gives_the_lines_of_a_followed_log_as_events() {
    let home = Home::new();
    let node = home.up(&[]);
    home.ok(&["deploy", &example("config-reader")]);
    let token = std::fs::read_to_string(home.path().join("token")).unwrap();
    let follow = |token: &str, more: &str| {
        let mut stream = TcpStream::connect(&node.api).unwrap();
        stream.set_read_timeout(Some(Duration::from_millis(100))).unwrap();
        let head = format!("GET /api/v1/agents/{READER}/logs/follow HTTP/1.1\r\nhost: {}\r\n{more}", node.api);
        stream.write_all(format!("{head}authorization: Bearer {token}\r\n\r\n").as_bytes()).unwrap();
        stream
    };
    let (mut stream, mut bytes) = (follow(token.trim(), ""), Vec::new());
    let mut said = || {
        let mut part = [0; 4_096];
        // Nothing may have come yet.
        if let Ok(length) = stream.read(&mut part) {
            bytes.extend_from_slice(&part[..length]);
        }
        String::from_utf8_lossy(&bytes).into_owned()
    };
    heard(&node, &mut said);
    node.ask_served(READER, "GET", "/last");
    let said = eventually("the last line", || Some(said()).filter(|said| said.contains("asked for /last\"")));
    assert!(said.starts_with("HTTP/1.1 200 OK\r\n") && said.contains("content-type: text/event-stream\r\n"), "{said}");
    let event = said.lines().rev().find_map(|line| line.strip_prefix("data:")).unwrap();
    let line: Value = serde_json::from_str(event).unwrap();
    assert_eq!((&line["level"], &line["text"]), (&json!("info"), &json!("asked for /last")));
    has_keys(&line, "whole number", Value::is_u64, &["number", "time"]);
    let number = line["number"].as_u64().unwrap();
    assert!(said.contains(&format!("\nid:{number}\n")) || said.contains(&format!("\nid: {number}\n")), "{said}");

    // Whoever comes back says what it saw last, and hears that line no more and the next one at once.
    node.ask_served(READER, "GET", "/next");
    let mut stream = follow(token.trim(), &format!("last-event-id: {number}\r\n"));
    let mut heard = String::new();
    eventually("what was missed", || {
        let mut part = [0; 4_096];
        if let Ok(length) = stream.read(&mut part) {
            heard.push_str(&String::from_utf8_lossy(&part[..length]));
        }
        heard.contains("asked for /next\"").then_some(())
    });
    assert!(!heard.contains("asked for /last"), "{heard}");

    let mut refused = String::new();
    let mut stream = follow("nobody's", "");
    eventually("a refusal", || {
        let mut part = [0; 4_096];
        let length = stream.read(&mut part).ok()?;
        refused.push_str(&String::from_utf8_lossy(&part[..length]));
        refused.starts_with("HTTP/1.1 401 ").then_some(())
    });
}
