//! `nisse config show` and what it is about: each value has one origin, and the nearer one wins.

use std::collections::BTreeMap;
use std::fs;
use std::process::Command;

use insta::assert_snapshot;
use nisse_egress::ServerIdentity;
use serde_json::Value;

use crate::harness::Home;

fn write(home: &Home, text: &str) {
    fs::create_dir_all(home.path()).unwrap();
    fs::write(home.path().join("nisse.toml"), text).unwrap();
}

/// Each key with its values and where they came from.
fn shown(home: &Home) -> BTreeMap<String, Vec<(String, String)>> {
    let mut shown: BTreeMap<String, Vec<(String, String)>> = BTreeMap::new();
    for one in home.json(&["config", "show"]).as_array().unwrap() {
        let text = |key: &str| one[key].as_str().unwrap().to_owned();
        shown.entry(text("key")).or_default().push((text("value"), text("origin")));
    }
    shown
}

/// A refusal without this run's folder.
fn refused(home: &Home, text: &str) -> String {
    write(home, text);
    home.run(&["config", "show"]).refusal().replace(&home.path().display().to_string(), "HOME")
}

#[test]
fn without_a_file_every_value_is_built_in() {
    let home = Home::new();
    assert_snapshot!(home.ok(&["config", "show"]), @r"
    key                    value           from
    listen.api             127.0.0.1:7474  built-in
    listen.public          127.0.0.1:7480  built-in
    listen.rpc             (none)          built-in
    listen.endpoint        (none)          built-in
    listen.suffix          localhost       built-in
    listen.origins         (none)          built-in
    market.chain           embedded        built-in
    market.chain_id        (none)          built-in
    market.contract        (none)          built-in
    market.accept          own             built-in
    market.stake           (none)          built-in
    market.price           50              built-in
    market.price_cpu       0               built-in
    market.price_memory    0               built-in
    market.price_load      0               built-in
    market.gas_budget_max  6000000         built-in
    limits.cpu             2               built-in
    limits.memory          2GiB            built-in
    limits.content         10GiB           built-in
    limits.state           64MiB           built-in
    content.gateways       (none)          built-in
    content.routers        (none)          built-in
    egress.connect_to      (none)          built-in
    egress.ca              (none)          built-in
    link.listen            0.0.0.0:7475    built-in
    link.relays            (none)          built-in
    link.nearby            true            built-in
    vault.recovery         (none)          built-in
    ");
    assert!(!home.path().exists(), "nothing is made");
}

#[test]
fn a_value_of_the_file_names_the_file_and_leaves_the_others_as_they_were() {
    let home = Home::new();
    let built_in = shown(&home);
    let ca = home.beside("ca.pem");
    fs::write(&ca, ServerIdentity::generate("a.example").unwrap().authority_pem()).unwrap();
    let text = "[market]\nprice = \"0.25\"\naccept = [\"own\", \"0x471f7ee69270436f105ba77da8c7340fa8e9c9cf\"]\n\
                [limits]\nmemory = \"512MiB\"\n\
                [egress]\nconnect_to = [\"a.example:443:10.0.0.7:8443\", \"b.example:443:10.0.0.8:8443\"]\n";
    write(&home, &format!("{text}ca = [\"{}\"]\n", ca.display()));
    let (file, found) = (home.path().join("nisse.toml").display().to_string(), shown(&home));
    let of_file = |values: &[&str]| values.iter().map(|value| ((*value).to_owned(), file.clone())).collect::<Vec<_>>();
    for (key, values) in [
        ("market.price", &["0.25"][..]),
        ("market.accept", &["own,0x471f7ee69270436f105ba77da8c7340fa8e9c9cf"]),
        ("limits.memory", &["512MiB"]),
        ("egress.connect_to", &["a.example:443:10.0.0.7:8443", "b.example:443:10.0.0.8:8443"]),
        ("egress.ca", &[ca.to_str().unwrap()]),
    ] {
        assert_eq!(found[key], of_file(values), "{key}");
    }
    assert_eq!(found.len(), built_in.len());
    let others = found.iter().filter(|(_, values)| values.iter().all(|(_, origin)| *origin != file));
    assert!(others.clone().count() == built_in.len() - 5);
    for (key, values) in others {
        assert_eq!(values, &built_in[key], "{key}");
    }
}

#[test]
fn a_flag_wins_over_the_file_and_the_file_over_what_is_built_in() {
    let home = Home::new();
    write(&home, "[listen]\napi = \"127.0.0.1:1\"\nsuffix = \"agents.example\"\n[market]\nprice = \"3\"\n");
    // As a folder that holds a file and no format, it would be refused.
    let text = fs::read_to_string(home.path().join("nisse.toml")).unwrap();
    fs::remove_dir_all(home.path()).unwrap();
    home.up(&[]).kill();
    write(&home, &text);
    // The harness names the addresses by flags: nobody may listen on port 1.
    let node = home.up(&["--price", "7"]);
    assert!(!node.api.ends_with(":1"), "{}", node.api);
    let status = home.json(&["node", "status"]);
    assert_eq!((status["price"].as_str(), status["accept"].as_str()), (Some("7"), Some("own")));
    drop(node);
    let node = home.up(&[]);
    assert_eq!(home.json(&["node", "status"])["price"], "3");
    drop(node);
    // What a flag says lasts as long as the node that it was given to.
    assert_eq!(shown(&home)["market.price"][0].0, "3");
}

#[test]
fn the_environment_names_the_home_below_the_flag_and_sets_no_value() {
    let (named, other) = (Home::new(), Home::new());
    write(&named, "[market]\nprice = \"3\"\n");
    write(&other, "[market]\nprice = \"4\"\n");
    let price = |flag: Option<&Home>| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_nisse"));
        command.args(["config", "show", "--json"]).env("NISSE_HOME", named.path());
        for variable in ["NISSE_PRICE", "NISSE_MARKET_PRICE", "MARKET_PRICE"] {
            command.env(variable, "9");
        }
        command.args(flag.iter().flat_map(|home| ["--home".into(), home.path().into_os_string()]));
        let shown: Value = serde_json::from_slice(&command.output().unwrap().stdout).unwrap();
        let price = shown.as_array().unwrap().iter().find(|one| one["key"] == "market.price").unwrap().clone();
        (price["value"].as_str().unwrap().to_owned(), price["origin"].as_str().unwrap().to_owned())
    };
    let file = |home: &Home| home.path().join("nisse.toml").display().to_string();
    assert_eq!(price(None), ("3".to_owned(), file(&named)));
    assert_eq!(price(Some(&other)), ("4".to_owned(), file(&other)));
}

#[test]
fn what_the_file_may_not_say_is_refused_in_one_sentence_with_its_line() {
    let home = Home::new();
    assert_snapshot!(refused(&home, "# prices\n\n[market]\nprize = \"3\"\n"), @r"
    exit 2
    error: failed to read HOME/nisse.toml: line 4: unknown field `prize`, expected one of `chain`, `chain_id`, `contract`, `accept`, `stake`, `price`, `price_cpu`, `price_memory`, `price_load`, `gas_budget_max`
    hint: mend that line, or take it out: every key has a value that is built in
    ");
    assert_snapshot!(refused(&home, "[markets]\n"), @r"
    exit 2
    error: failed to read HOME/nisse.toml: line 1: unknown field `markets`, expected one of `listen`, `market`, `limits`, `content`, `egress`, `link`, `vault`
    hint: mend that line, or take it out: every key has a value that is built in
    ");
    assert_snapshot!(refused(&home, "[market]\nprice = \"3\"\naccept = \"any\"\n"), @r#"
    exit 2
    error: failed to read HOME/nisse.toml: line 3: invalid type: string "any", expected a sequence
    hint: mend that line, or take it out: every key has a value that is built in
    "#);
    assert_snapshot!(refused(&home, "[market]\nprice = \"3\n"), @r#"
    exit 2
    error: failed to read HOME/nisse.toml: line 2: invalid basic string, expected `"`
    hint: mend that line, or take it out: every key has a value that is built in
    "#);
    assert_snapshot!(refused(&home, "[limits]\nmemory = \"much\"\n"), @r#"
    exit 2
    error: failed to read limits.memory = "much": expected a size with its unit, such as 256MiB, 64KiB or 1GiB
    "#);
    let up = home.run(&["up"]);
    assert!(up.code == 2 && up.err.contains("failed to read limits.memory"), "nothing is bound: {up:?}");
}

#[test]
fn an_endpoint_brings_the_name_that_agents_are_reached_below() {
    let home = Home::new();
    write(&home, "[listen]\nendpoint = \"https://agents.example.org\"\n");
    let shown = home.ok(&["config", "show"]);
    let row =
        |key: &str| shown.lines().find(|line| line.starts_with(key)).unwrap().split_whitespace().collect::<Vec<_>>();
    assert_eq!(row("listen.suffix"), ["listen.suffix", "agents.example.org", "listen.endpoint"]);
    for (text, said) in [
        ("endpoint = \"https://a.example\"\nsuffix = \"b.example\"", "its host a.example is not listen.suffix"),
        ("endpoint = \"http://10.0.0.7:80\"", "10.0.0.7 is an address"),
        ("endpoint = \"a.example\"", "a URL such as"),
    ] {
        let refused = refused(&home, &format!("[listen]\n{text}\n"));
        assert!(refused.starts_with("exit 2\n") && refused.contains(said), "{refused}");
    }
    let refused = refused(&home, "[content]\ngateways = [\"ipfs.example\"]\n");
    assert!(refused.contains("content.gateways"), "{refused}");
}
