//! What is mistaken about a home, a chain or a flag is said before anything is touched, with what to do instead.

use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt as _;

use insta::assert_snapshot;
use serde_json::Value;

use crate::harness::{Home, eventually};

/// `up` with free ports, told as its refusal without this run's folders.
fn up(home: &Home, flags: &[&str]) -> String {
    let ended = home.run(&[&["up", "--api", "127.0.0.1:0", "--public", "127.0.0.1:0"], flags].concat());
    ended.refusal().replace(&home.path().display().to_string(), "HOME")
}

#[test]
fn a_folder_that_is_no_home_is_left_as_it_is() {
    let home = Home::new();
    std::fs::create_dir(home.path()).unwrap();
    std::fs::set_permissions(home.path(), Permissions::from_mode(0o700)).unwrap();
    std::fs::write(home.path().join("letters"), "dear").unwrap();
    assert_snapshot!(up(&home, &[]), @r"
    exit 3
    error: failed to use HOME as a home: it holds `letters` and no `format` file
    hint: name an empty folder, or one that a node has made, with --home
    ");
    std::fs::write(home.path().join("format"), "nisse-home 99\n").unwrap();
    assert_snapshot!(up(&home, &[]), @r"
    exit 3
    error: failed to use the home HOME: its format 99 is newer than this nisse, which knows 1
    hint: use the nisse that made it, or a newer one
    ");
    std::fs::write(home.path().join("format"), "a home\n").unwrap();
    assert_snapshot!(up(&home, &[]), @r"
    exit 3
    error: failed to use the home HOME: its `format` file does not name a format
    hint: put its `format` file back from a copy: nisse makes nothing anew where a node lived
    ");
    assert_eq!(std::fs::read_to_string(home.path().join("letters")).unwrap(), "dear");

    let file = Home::new();
    std::fs::write(file.path(), "a file").unwrap();
    assert_snapshot!(up(&file, &[]), @r"
    exit 1
    error: failed to read HOME/nisse.toml: Not a directory (os error 20)
    hint: name a folder: there is a file in its place
    ");
}

#[test]
fn a_home_or_a_port_in_use_is_left_to_who_has_it() {
    let home = Home::new();
    let node = home.up(&[]);
    assert_snapshot!(up(&home, &[]), @r"
    exit 3
    error: failed to use the home HOME: another nisse is running on it
    hint: end that one first, or name another home with --home
    ");
    let other = Home::new();
    let taken = other.run(&["up", "--api", &node.api, "--public", "127.0.0.1:0"]).refusal();
    assert!(
        taken.starts_with(&format!("exit 1\nerror: failed to listen on {} for the control API: ", node.api)),
        "{taken}"
    );
    assert!(taken.ends_with("hint: name other addresses with --api and --public; port 0 takes a free one"), "{taken}");
    assert!(!other.path().exists(), "nothing was made");
}

#[test]
fn flags_that_mean_nothing_are_refused_by_name() {
    let home = Home::new();
    let told: Vec<String> = [
        &["--accept", "nobody"][..],
        &["--price", "-1"],
        &["--chain-id", "5"],
        &["--contract", "0x471f7ee69270436f105ba77da8c7340fa8e9c9cf"],
        &["--chain", "http://127.0.0.1:9", "--contract", "0x47"],
        &["--chain", "http://127.0.0.1:9"],
        &["--chain", "ftp://example.org"],
        &["--connect-to", "nowhere"],
        &["--rpc", "0.0.0.0:8545"],
    ]
    .into_iter()
    .map(|flags| up(&home, flags))
    .collect();
    assert_snapshot!(told.join("\n"), @r#"
    exit 2
    error: failed to read market.accept = "nobody": `own`, `any` or addresses (0x and 40 hex digits) are expected
    exit 2
    error: failed to read market.price = "-1": expected an amount of TALOS such as 1000 or 0.25
    exit 2
    error: failed to use --chain-id: it is for a chain elsewhere
    hint: name that chain with --chain URL
    exit 2
    error: failed to use --contract: it is for a chain elsewhere
    hint: name that chain with --chain URL
    exit 2
    error: failed to read market.contract = "0x47": expected 0x and 40 hex digits
    exit 2
    error: failed to use another chain: the market's address book there is needed
    hint: give --contract ADDR
    exit 2
    error: failed to read market.chain = "ftp://example.org": `embedded` or a URL is expected
    exit 2
    error: failed to read --connect-to = "nowhere": expected HOST:PORT:ADDR:PORT, such as api.example.org:443:127.0.0.1:8443
    exit 2
    error: failed to listen on 0.0.0.0:8545 for --rpc: it is served on loopback only
    hint: give --rpc 127.0.0.1:8545
    "#);
    assert!(!home.path().exists(), "nothing was made");
}

#[test]
fn a_chain_that_does_not_answer_or_has_no_market_is_said() {
    let (first, second) = (Home::new(), Home::new());
    let contract = "0x471f7ee69270436f105ba77da8c7340fa8e9c9cf";
    let told = up(&second, &["--chain", "http://127.0.0.1:1", "--contract", contract]);
    assert!(told.starts_with("exit 4\nerror: failed to ask http://127.0.0.1:1 for its chain id: "), "{told}");
    assert!(told.ends_with("hint: with --chain-id ID the node starts without the chain and finds it later"), "{told}");

    let _market = first.up(&["--rpc", "127.0.0.1:0"]);
    let chain = first.json(&["node", "status"])["chain_url"].as_str().unwrap().to_owned();
    let _lost = second.up(&["--chain", &chain, "--contract", contract]);
    let told = eventually("the look at the address book", || {
        let told = second.json(&["node", "status"]);
        (!told["trouble"].as_str().unwrap().contains("has not answered")).then_some(told)
    });
    assert_snapshot!(told["trouble"].as_str().unwrap(), @"failed to find the market's contracts: read the address book's version: the answer does not fit the contract; the node looks again every few seconds; `--chain` and `--contract` of `nisse up` say where");
    assert_eq!([&told["contract"], &told["stake"], &told["block"]], [&Value::Null; 3], "{told}");
    let refused = second.run(&["market", "ls"]).refusal();
    assert!(refused.starts_with("exit 4\n"), "{refused}");
}
