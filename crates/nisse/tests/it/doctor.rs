//! `nisse doctor`: a sound home is in order, whatever runs on it; each damage is named with what to do; nothing is changed.

mod damages;

use std::collections::BTreeMap;
use std::fs::{self, Permissions};
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use nisse_store::{Disk, SystemDisk};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};

use crate::harness::{Home, Node, eventually, example};

const COUNTER: &str = "nisse.test.counter";

/// What the doctor found: its exit code and its document.
struct Found {
    code: i32,
    told: Value,
}

impl Found {
    fn in_home(home: &Home) -> Self {
        let ended = home.run(&["doctor", "--json"]);
        let told = serde_json::from_str(&ended.out).unwrap_or_else(|error| panic!("{error}: {ended:?}"));
        Self { code: ended.code, told }
    }

    fn checks(&self) -> impl Iterator<Item = (&str, &Value)> {
        self.told["checks"].as_array().unwrap().iter().map(|check| (check["check"].as_str().unwrap(), check))
    }

    /// Every problem, below what it is about.
    fn problems(&self) -> Vec<(&str, &str)> {
        self.checks().filter_map(|(name, check)| Some((name, check["problem"].as_str()?))).collect()
    }

    fn detail(&self, name: &str) -> &str {
        let (_, check) = self.checks().find(|(found, _)| *found == name).unwrap_or_else(|| panic!("no {name}"));
        check["detail"].as_str().unwrap_or_else(|| panic!("{check}"))
    }

    fn is_sound(&self, running: bool) {
        assert_eq!(self.problems(), [], "{:#}", self.told);
        assert_eq!((self.code, &self.told["sound"], &self.told["running"]), (0, &json!(true), &json!(running)));
        for (name, check) in self.checks() {
            assert!(check["detail"].is_string() && check.as_object().unwrap().len() == 3, "{name}: {check}");
        }
    }
}

/// Every file and folder below a home: its mode, when it was last written, and its bytes.
fn everything(folder: &Path) -> BTreeMap<PathBuf, (u32, i64, i64, Vec<u8>)> {
    let mut all = BTreeMap::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let (path, found) = {
                let entry = entry.unwrap();
                (entry.path(), entry.metadata().unwrap())
            };
            let bytes = if found.is_dir() { Vec::new() } else { fs::read(&path).unwrap() };
            all.insert(path.clone(), (found.mode(), found.mtime(), found.mtime_nsec(), bytes));
            if found.is_dir() {
                folders.push(path);
            }
        }
    }
    all
}

/// A home with an agent that was called, a second key that ordered something, and a file.
fn lived_in() -> Home {
    let home = Home::new();
    let node = home.up(&[]);
    home.ok(&["deploy", &example("counter"), "--set", "account=hers"]);
    for _ in 0..3 {
        assert_eq!(node.ask_served(COUNTER, "POST", "/").status, 200);
    }
    home.run(&["deploy", &example("echo"), "--key", "deployer", "--payment", "40", "--wait", "0"]);
    let file = home.beside("assets");
    fs::write(&file, "a file of its owner's").unwrap();
    home.ok(&["content", "add", file.to_str().unwrap()]);
    end(node);
    home
}

/// Ends a node as its operator does.
fn end(node: Node<'_>) {
    let folder = node.home().path();
    let run: Value = serde_json::from_slice(&fs::read(folder.join("run.json")).unwrap()).unwrap();
    let pid = Pid::from_raw(i32::try_from(run["pid"].as_i64().unwrap()).unwrap()).unwrap();
    kill_process(pid, Signal::TERM).unwrap();
    eventually("the node to end", || nisse_store::Home::holder(&folder).unwrap().is_none().then_some(()));
    drop(node);
}

#[test]
fn a_sound_home_is_in_order_while_its_node_runs() {
    let home = Home::new();
    let node = home.up(&[]);
    home.ok(&["deploy", &example("counter")]);
    assert_eq!(node.ask_served(COUNTER, "POST", "/").status, 200);
    let found = Found::in_home(&home);
    found.is_sound(true);
    let names: Vec<&str> = found.checks().map(|(name, _)| name).collect();
    let expected =
        ["home", "configuration", "keys", "token", "disk", "journal", "chain", "vault", "agents", "content", "node"];
    assert_eq!(names, expected);
    assert_eq!((found.detail("agents"), found.detail("node")), ("1 live", "running"));
    let status = home.json(&["node", "status"]);
    assert_eq!(found.detail("chain"), format!("chain {}, block {}", status["chain"], status["block"]));
    assert!(found.detail("content").starts_with("3 blocks, "), "{}", found.detail("content"));
    assert!(home.ok(&["doctor"]).ends_with("node           in order: running\n"));
}

#[test]
fn a_sound_home_is_in_order_when_its_node_ended_or_was_killed_and_is_left_as_it_was() {
    let home = lived_in();
    for killed in [false, true] {
        if killed {
            let node = home.up(&[]);
            assert_eq!(node.ask_served(COUNTER, "POST", "/").status, 200);
            node.kill();
        }
        let before = everything(&home.path());
        let found = Found::in_home(&home);
        let told = home.run(&["doctor"]);
        assert!(everything(&home.path()) == before, "killed: {killed}: something in the home was touched");
        found.is_sound(false);
        assert_eq!((told.code, told.err.as_str()), (0, ""), "{told:?}");
        assert!(told.out.ends_with("node           in order: not running; `nisse up` starts it\n"), "{told:?}");
        for check in ["journal", "chain", "transactions", "index", "state", "content", "lock"] {
            assert!(told.out.contains(&format!("\n{check:<14} in order: ")), "{check}: {told:?}");
        }
        assert!(found.detail("chain").ends_with("; every block was run again and came out the same"));
        for name in ["operator 0x", "deployer 0x"] {
            assert!(found.detail("keys").contains(name), "{}", found.detail("keys"));
        }
        // The artifact, agent.yaml and configuration of two packages, and the file.
        assert!(found.detail("content").contains(" beneath 5 pins"), "{}", found.detail("content"));
    }
    let node = home.up(&[]);
    assert_eq!(node.ask_served(COUNTER, "GET", "/").text().trim(), "4");
}

#[test]
fn a_torn_end_of_the_journal_is_told_and_is_in_order() {
    let home = lived_in();
    let journal = home.path().join("journal/00000000000000000000.journal");
    let mut bytes = fs::read(&journal).unwrap();
    bytes.extend_from_slice(&[7; 90]);
    fs::write(&journal, &bytes).unwrap();
    let found = Found::in_home(&home);
    found.is_sound(false);
    let told = found.detail("journal");
    assert!(
        told.ends_with("; behind them 90 bytes of a write that nobody was told of: the next start cuts them off"),
        "{told}"
    );
    assert_eq!(fs::read(&journal).unwrap(), bytes);
}

#[test]
fn a_running_node_names_the_content_that_it_lost_and_the_agents_that_failed() {
    let home = Home::new();
    let _node = home.up(&[]);
    let deployed = home.json(&["deploy", &example("counter")]);
    let failed = home.run(&["deploy", &example("trap-at-start")]);
    assert_ne!(failed.code, 0, "{failed:?}");
    let artifact = fs::read(Path::new(&example("counter")).join("counter.wasm")).unwrap();
    damages::flip(&home.path().join("content/00000000.pack"), &artifact[..4_096]);
    fs::set_permissions(home.path().join("keys/vault"), Permissions::from_mode(0o640)).unwrap();

    let found = Found::in_home(&home);
    assert_eq!((found.code, &found.told["running"]), (1, &json!(true)));
    let [(keys, open), (agents, failed), (content, lost)] = &found.problems()[..] else { panic!("{:#}", found.told) };
    assert_eq!((*keys, *agents, *content), ("keys", "agents", "content"));
    assert!(open.contains("(mode 640)") && open.contains("`chmod 600 "), "{open}");
    assert!(failed.starts_with("agent nisse.test.trap-at-start failed: at start: "), "{failed}");
    assert!(failed.ends_with("or give it up with `nisse destroy nisse.test.trap-at-start`"), "{failed}");
    let cid = deployed["cid"].as_str().unwrap();
    assert!(lost.starts_with(&format!("block {cid} is damaged, at byte ")), "{lost}");
    assert!(lost.contains(" of agent nisse.test.counter, agent nisse.test.counter; "), "{lost}");
    assert!(lost.ends_with("; add the same file again with `nisse content add` on the running node"), "{lost}");

    let told = home.run(&["doctor"]);
    assert!(told.out.contains("\nagents         agent nisse.test.trap-at-start failed: "), "{told:?}");
    assert!(told.err.starts_with("error: failed to find all of this home in order\nhint: "), "{told:?}");
    home.ok(&["content", "add", Path::new(&example("counter")).join("counter.wasm").to_str().unwrap()]);
    home.ok(&["destroy", "nisse.test.trap-at-start"]);
    fs::set_permissions(home.path().join("keys/vault"), Permissions::from_mode(0o600)).unwrap();
    Found::in_home(&home).is_sound(true);

    damages::flip_early(&home.path().join("journal"));
    let found = Found::in_home(&home);
    let [("journal", damaged)] = found.problems()[..] else { panic!("{:#}", found.told) };
    assert!(
        damaged.contains(" is damaged at byte ") && damaged.contains(" back from a copy of this home"),
        "{damaged}"
    );
}

#[test]
fn where_no_home_stands_or_another_process_holds_it_that_is_said() {
    let home = Home::new();
    let found = Found::in_home(&home);
    assert_eq!((found.code, &found.told["running"]), (1, &json!(false)));
    let none = format!("no home stands in {}; `nisse up` makes one, and --home names another", home.path().display());
    assert_eq!(found.problems(), [("home", none.as_str())]);
    assert!(!home.path().exists(), "and none is made");

    let disk: Arc<dyn Disk> = Arc::new(SystemDisk);
    let held = nisse_store::Home::open(&disk, &home.path()).unwrap();
    let found = Found::in_home(&home);
    let [("node", said)] = found.problems()[..] else { panic!("{:#}", found.told) };
    let expected = format!("process {} holds this home and does not serve; ", std::process::id());
    assert!(said.starts_with(&expected), "{said}");
    drop(held);
    Found::in_home(&home).is_sound(false);
}

#[test]
fn a_node_that_joined_another_chain_is_in_order_running_and_stopped() {
    let (first, second) = (Home::new(), Home::new());
    let _market = first.up(&["--rpc", "127.0.0.1:0"]);
    let status = first.json(&["node", "status"]);
    let (url, contract) = (status["chain_url"].as_str().unwrap(), status["contract"].as_str().unwrap());
    let joined = ["--chain", url, "--contract", contract];
    let node = second.up(&joined);
    eventually("the market", || (second.run(&["node", "status"]).code == 0).then_some(()));
    second.run(&["deploy", &example("counter"), "--wait", "0"]);
    Found::in_home(&second).is_sound(true);
    end(node);
    // By its files alone, and as its configuration says it.
    let found = Found::in_home(&second);
    found.is_sound(false);
    assert_eq!(found.detail("chain"), "elsewhere: a running node asks it");
    let text = format!("[market]\nchain = \"{url}\"\ncontract = \"{contract}\"\n");
    fs::write(second.path().join("nisse.toml"), text).unwrap();
    let found = Found::in_home(&second);
    found.is_sound(false);
    assert_eq!(found.detail("chain"), format!("elsewhere, at {url}: a running node asks it"));
}
