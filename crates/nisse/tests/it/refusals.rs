//! What the binary refuses: the exact sentence, what to do about it, and the exit code that a script can tell apart
//! (1 failed, 2 usage, 3 refused, 4 unreachable).

use insta::assert_snapshot;

use crate::harness::{Home, example};
use crate::web;

/// Asserts a refusal word by word, with the folders and hashes of this run taken out.
macro_rules! refused {
    ($home:expr, $args:expr, @$expected:literal) => {{
        let mut settings = insta::Settings::clone_current();
        settings.add_filter(&regex_of(&$home.beside("").display().to_string()), "TEMP/");
        settings.add_filter("the file is [0-9a-f]{64}", "the file is HASH");
        settings.bind(|| assert_snapshot!($home.run(&$args).refusal(), @$expected));
    }};
}

/// Insta's filters are patterns; a path is a text.
fn regex_of(path: &str) -> String {
    path.replace('.', "\\.")
}

#[test]
fn a_package_that_is_not_in_order_is_refused_with_the_line_to_change() {
    let home = Home::new();
    let _node = home.up(&[]);
    let unsealed = home.copy_of("recursion", "unsealed");
    unsealed.set("artifact_hash", "\"<hash of the artifact>\"");
    refused!(home, ["deploy", unsealed.path()], @r#"
    exit 3
    error: failed to deploy an unsealed package: its artifact_hash is not 64 hex digits
    hint: run `nisse pkg seal DIR`, which writes the artifact's hash into agent.yaml
    "#);
    let wrong = home.copy_of("recursion", "wrong-hash");
    wrong.set("artifact_hash", &format!("\"{}1\"", "0".repeat(63)));
    let ended = home.run(&["deploy", wrong.path()]);
    assert_eq!(ended.code, 3, "{ended:?}");
    assert!(ended.err.contains("verify the artifact: expected SHA-256 0000"), "{ended:?}");
    assert!(ended.err.contains("hint: run `nisse pkg seal DIR` after each build"), "{ended:?}");
    refused!(home, ["pkg", "check", wrong.path()], @r#"
    exit 3
    error: failed to match the artifact: agent.yaml says 0000000000000000000000000000000000000000000000000000000000000001, the file is HASH
    hint: run `nisse pkg seal TEMP/wrong-hash`
    "#);
    let unknown = home.copy_of("recursion", "unknown-permission");
    unknown.set("permissions", "[\"fly_to:moon\"]");
    refused!(home, ["deploy", unknown.path()], @r#"
    exit 2
    error: failed to read TEMP/unknown-permission/agent.yaml:
    line 9, column 15: found the wrong permission "fly_to:moon": cannot find the permission kind "fly_to": expected one of network_outbound, network_local, secret, space, read_ipfs, publish_to_chain
    "#);
    let misspelt = home.copy_of("recursion", "misspelt");
    misspelt.edit("cpu:", "cpus:");
    refused!(home, ["deploy", misspelt.path()], @r#"
    exit 2
    error: failed to read TEMP/misspelt/agent.yaml:
    line 4, column 3: found the unknown key "cpus", expected one of cpu, memory, gpu; did you mean `cpu`?
    "#);
    let missing = home.copy_of("recursion", "missing");
    missing.edit("recursion.wasm", "nowhere.wasm");
    refused!(home, ["deploy", missing.path()], @r#"
    exit 1
    error: failed to read TEMP/missing/nowhere.wasm: No such file or directory (os error 2)
    hint: build the artifact, or correct `entry_point` in agent.yaml
    "#);
    let outside = home.copy_of("recursion", "outside");
    outside.edit("recursion.wasm", "../recursion.wasm");
    refused!(home, ["deploy", outside.path()], @r#"
    exit 2
    error: failed to read TEMP/outside/agent.yaml:
    line 7, column 14: found a wrong `entry_point`: cannot use `..` in `../recursion.wasm`: the artifact may not leave the package's folder; put the artifact beside agent.yaml and write `recursion.wasm`
    "#);
    refused!(home, ["deploy", "nowhere"], @r#"
    exit 1
    error: failed to read nowhere/agent.yaml: No such file or directory (os error 2)
    hint: name the folder in which agent.yaml lies
    "#);
    assert_eq!(home.json(&["ls"]), serde_json::json!([]), "nothing of it runs");
    assert_eq!(home.json(&["market", "ls"]), serde_json::json!([]), "nothing of it was ordered");
}

#[test]
fn an_import_without_its_permission_is_refused_by_name() {
    let home = Home::new();
    let _node = home.up(&[]);
    let oracle = home.beside("oracle");
    std::fs::create_dir(&oracle).unwrap();
    let source = format!("{}/../../examples/price-oracle", env!("CARGO_MANIFEST_DIR"));
    std::fs::copy(format!("{source}/oracle.wasm"), oracle.join("oracle.wasm")).unwrap();
    let yaml = std::fs::read_to_string(format!("{source}/agent.yaml")).unwrap();
    let yaml: Vec<&str> = yaml.lines().filter(|line| !line.contains("read_ipfs")).collect();
    std::fs::write(oracle.join("agent.yaml"), yaml.join("\n") + "\n").unwrap();
    let oracle = oracle.to_str().unwrap();
    refused!(home, ["pkg", "check", oracle], @r#"
    exit 3
    error: failed to link `nisse:agent/ipfs@0.1.0`: it needs the permission `read_ipfs`
    hint: add "read_ipfs" to `permissions` in agent.yaml
    "#);
    let ended = home.run(&["deploy", oracle]);
    assert_eq!(ended.code, 3, "{ended:?}");
    assert!(ended.err.contains("link `nisse:agent/ipfs@0.1.0`: it needs the permission `read_ipfs`"), "{ended:?}");
    assert!(ended.err.contains("hint: add \"read_ipfs\" to `permissions` in agent.yaml"), "{ended:?}");
    assert_eq!(home.json(&["market", "ls"]), serde_json::json!([]), "nothing of it was ordered");
}

#[test]
fn an_agent_that_is_not_there_or_not_in_that_state_is_refused() {
    let home = Home::new();
    let _node = home.up(&[]);
    for command in ["status", "stop", "start", "pause", "resume", "rollback", "destroy", "logs"] {
        let ended = home.run(&[command, "nope"]);
        assert_eq!(
            ended.refusal(),
            "exit 1\nerror: failed to find the agent `nope` on this node\nhint: `nisse ls` lists the agents of this node"
        );
    }
    refused!(home, ["status", "../../node"], @r#"
    exit 2
    error: failed to read `../../node` as an agent: expected NAME, NAME--OWNER or a deployment
    hint: `nisse ls` lists the agents of this node
    "#);
    home.ok(&["deploy", &example("counter")]);
    refused!(home, ["deploy", &example("counter")], @r#"
    exit 3
    error: failed to deploy nisse.test.counter: an agent of this owner and name is live on this node
    hint: `nisse update nisse.test.counter DIR` swaps its package
    "#);
    refused!(home, ["stop", "nisse.test.counter@v9.9.9"], @r#"
    exit 1
    error: failed to find the agent `nisse.test.counter@v9.9.9`: there is only v1.0.0
    hint: leave the version out, or name one that is there
    "#);
    refused!(home, ["destroy", "nisse.test.counter@1"], @r#"
    exit 2
    error: failed to find a version in `nisse.test.counter@1`: expected NAME@vMAJOR.MINOR.PATCH
    "#);
    assert_eq!(home.json(&["status", "nisse.test.counter@v1.0.0"])["state"], "running");
    refused!(home, ["resume", "nisse.test.counter"], @r#"
    exit 3
    error: failed to resume an agent that is running
    "#);
    refused!(home, ["rollback", "nisse.test.counter"], @r#"
    exit 3
    error: failed to roll nisse.test.counter back: it was never updated
    "#);
    refused!(home, ["fund", "nisse.test.counter", "5"], @r#"
    exit 3
    error: failed to fund a home lease: it costs nothing and has no end
    "#);
    refused!(home, ["invoke", "nisse.test.counter", "--event", "1"], @r#"
    exit 3
    error: failed to raise an event: the agent exports no `nisse:agent/handler`, so it takes requests but no events
    "#);
    refused!(home, ["invoke", "nisse.test.counter", "--event", "{"], @r#"
    exit 2
    error: failed to read --event as JSON: EOF while parsing an object at line 1 column 1
    hint: text goes as `--content-type text/plain`, bytes as `--content-type application/octet-stream`
    "#);
    refused!(home, ["update", "nisse.test.counter", &example("echo")], @r#"
    exit 3
    error: failed to update nisse.test.counter to nisse.test.echo: another agent's package
    hint: `nisse deploy DIR` runs it as an agent of its own
    "#);
    refused!(home, ["start", "nisse.test.counter"], @r#"
    exit 3
    error: failed to start an agent that is running
    "#);
    home.ok(&["stop", "nisse.test.counter"]);
    refused!(home, ["stop", "nisse.test.counter"], @r#"
    exit 3
    error: failed to stop an agent that is stopped
    "#);
    refused!(home, ["market", "show", "99"], @r#"
    exit 1
    error: failed to find deployment 99 on the market
    hint: `nisse market ls` lists the deployments
    "#);
    let elsewhere = home.run(&["market", "show", "5:0x471f7ee69270436f105ba77da8c7340fa8e9c9cf:1"]);
    assert_eq!(elsewhere.code, 1, "{elsewhere:?}");
    assert!(elsewhere.err.contains(":1: it is on chain 5, and this node on chain "), "{elsewhere:?}");
    refused!(home, ["receipt", "show", "nonsense"], @r#"
    exit 2
    error: failed to read `nonsense` as a receipt: expected DEPLOYMENT/SEQ, or a file that is there
    hint: the `nisse-receipt` header of each answer names its receipt
    "#);
    refused!(home, ["content", "get", "xyz"], @r#"
    exit 2
    error: failed to read `xyz` as a CID: expected `bafkrei…`, `bafybei…` or `Qm…`
    "#);
}

#[test]
fn money_that_cannot_be_read_or_paid_is_refused_before_anything_is_ordered() {
    let home = Home::new();
    let _node = home.up(&[]);
    let recursion = example("recursion");
    refused!(home, ["deploy", &recursion, "--payment", "abc"], @r#"
    exit 2
    error: failed to read `abc`: expected an amount of TALOS such as 1000 or 0.25
    "#);
    refused!(home, ["deploy", &recursion, "--payment", "-5"], @r#"
    exit 2
    error: failed to read `-5`: expected an amount of TALOS such as 1000 or 0.25
    "#);
    refused!(home, ["deploy", &recursion, "--payment", "5", "--max-rate", "x"], @r#"
    exit 2
    error: failed to read `x`: expected an amount of TALOS such as 1000 or 0.25
    "#);
    refused!(home, ["deploy", &recursion, "--key", "nobody"], @r#"
    exit 2
    error: failed to find the key `nobody`: a home has `operator` and `deployer`
    "#);
    // A home's key has no money of its own.
    for payment in ["5", "1000000"] {
        let ended = home.run(&["deploy", &recursion, "--payment", payment]);
        assert_eq!(ended.code, 3, "--payment {payment}: {ended:?}");
        assert!(ended.err.contains(&format!("error: failed to pay {payment} TALOS: 0x")), "{ended:?}");
        assert!(ended.err.contains(" holds 0\nhint: without --payment it runs here as a home lease"), "{ended:?}");
    }
    refused!(home, ["deploy", &recursion, "--payment", "0"], @r#"
    exit 2
    error: failed to pay 0 TALOS: more than nothing is expected
    "#);
    refused!(home, ["deploy", &recursion, "--key", "deployer"], @r#"
    exit 3
    error: failed to deploy at home with the key `deployer`: a home lease is its node operator's
    hint: add --payment TALOS for a lease on the market, or leave --key out
    "#);
    assert_eq!(home.json(&["market", "ls"]), serde_json::json!([]), "nothing was published for nothing");
    assert_eq!(home.json(&["market", "ls"]), serde_json::json!([]));
}

#[test]
fn without_a_node_the_commands_say_how_to_get_one() {
    let home = Home::new();
    refused!(home, ["status"], @r#"
    exit 4
    error: failed to find a running node on TEMP/home
    hint: start it with `nisse up`, or name another home with --home
    "#);
    let node = home.up(&[]);
    node.kill();
    // run.json of the killed node still lies there.
    let ended = home.run(&["status"]);
    assert_eq!(ended.code, 4, "{ended:?}");
    assert!(ended.err.contains("hint: start it with `nisse up`"), "{ended:?}");
}

#[test]
fn the_control_api_serves_nobody_but_the_owner_on_this_machine() {
    let home = Home::new();
    let node = home.up(&[]);
    let token = format!("Bearer {}", std::fs::read_to_string(home.path().join("token")).unwrap().trim());
    let ask = |headers: &[(&str, &str)]| {
        let answer = web::request(&node.api, "GET", "/api/v1/agents", headers, b"").unwrap();
        let problem = answer.json();
        (answer.status, problem["code"].as_str().unwrap_or_default().to_owned())
    };
    let (host, right) = (("host", node.api.as_str()), ("authorization", token.as_str()));
    assert_eq!(ask(&[host, right]).0, 200);
    assert_eq!(ask(&[host]), (401, "token_needed".to_owned()));
    assert_eq!(ask(&[host, ("authorization", "Bearer wrong")]), (401, "token_needed".to_owned()));
    assert_eq!(ask(&[("host", "evil.example"), right]), (421, "host_refused".to_owned()));
    assert_eq!(ask(&[host, host, right]).0, 421, "two hosts");
    assert_eq!(ask(&[host, right, ("origin", "http://evil.example")]), (403, "origin_refused".to_owned()));
    assert_eq!(ask(&[host, right, ("origin", "null")]), (403, "origin_refused".to_owned()));
}

#[test]
fn the_public_listener_answers_only_for_names_that_live_here() {
    let home = Home::new();
    let node = home.up(&[]);
    home.ok(&["deploy", &example("echo")]);
    node.echo_answers();
    assert_eq!(node.ask("nisse-test-echo", "GET", "/").status, 200, "the alias of one label");
    for host in ["nope.localhost", "nisse.test.echo.evil.example", "evil.example", ""] {
        let answer = web::request(&node.public, "GET", "/", &[("host", host)], b"").unwrap();
        assert!([400, 421].contains(&answer.status), "{host:?}: {answer:?}");
    }
    // The control API is not on this listener.
    let token = format!("Bearer {}", std::fs::read_to_string(home.path().join("token")).unwrap().trim());
    let headers = [("host", node.public.as_str()), ("authorization", token.as_str())];
    let answer = web::request(&node.public, "GET", "/api/v1/agents", &headers, b"").unwrap();
    assert_eq!(answer.status, 404, "{answer:?}");
}
