//! An agent on a stranger's node: two processes that share a chain and a network, and nothing else.

use std::io::{Read as _, Write as _};
use std::net::TcpListener;

use insta::assert_snapshot;
use nisse_market::{DeployOrder, ListedPackage, MarketCall, PublicationTerms};
use nisse_model::{Amount, AmountPerHour, ContentId, Manifest, PackageRef};
use serde_json::{Value, json};

use crate::chain_facts::as_owner;
use crate::elsewhere::Wire;
use crate::harness::{Home, Node, Package, eventually, example, host_of};
use crate::web;

/// A home with a chain that others reach, a deployer who has money, and a price that is undercut below.
pub(crate) fn renter(home: &Home) -> Node<'_> {
    renter_with(home, &[])
}

pub(crate) fn renter_with<'a>(home: &'a Home, more: &[&str]) -> Node<'a> {
    let flags = ["--demo", "--rpc", "127.0.0.1:0", "--endpoint", "http://renter.example"];
    let mut node = home.up(&[&flags[..], more].concat());
    node.demo_is_told();
    node
}

/// What a node is started with to serve others on the renter's chain, for 40 TALOS per hour.
pub(crate) fn serving(renter: &Home) -> Vec<String> {
    let status = renter.json(&["node", "status"]);
    let text = |key: &str| status[key].as_str().unwrap().to_owned();
    let flags =
        ["--chain", &text("chain_url"), "--contract", &text("contract"), "--chain-id", &status["chain"].to_string()];
    let own = ["--accept", "any", "--price", "40", "--stake", "10000"];
    flags.into_iter().chain(own).map(str::to_owned).collect()
}

/// What a node is started with, for another price.
pub(crate) fn at_price(flags: &[String], price: &str) -> Vec<String> {
    let mut flags = flags.to_vec();
    let place = flags.iter().position(|flag| flag == "--price").unwrap();
    price.clone_into(&mut flags[place + 1]);
    flags
}

pub(crate) fn serve<'a>(home: &'a Home, flags: &[String], more: &[&str]) -> Node<'a> {
    let flags: Vec<&str> = flags.iter().map(String::as_str).chain(more.iter().copied()).collect();
    let node = home.up(&flags);
    eventually("its stake", || {
        let asked = home.run(&["node", "status", "--json"]);
        let status: Value = serde_json::from_str(&asked.out).ok()?;
        (status["stake"] == "10000").then_some(())
    });
    node
}

/// Orders the counter for less than the renter's own node asks.
pub(crate) fn order(renter: &Home, more: &[&str]) -> Value {
    let order = ["deploy", &example("counter"), "--payment", "100", "--max-rate", "45", "--wait", "60"];
    renter.json(&[&order[..], more].concat())
}

pub(crate) fn operator(home: &Home) -> Value {
    home.json(&["node", "status"])["operator"].clone()
}

/// Asks for something under the node's own name.
fn from_node(address: &str, path: &str) -> web::Answer {
    web::request(address, "GET", path, &[("host", "localhost")], b"").unwrap()
}

#[test]
fn a_stranger_runs_it_for_less_and_serves_its_package_when_the_deployer_is_gone() {
    let (alice, bob) = (Home::new(), Home::new());
    let renter = renter(&alice);
    let flags = serving(&alice);
    let gateway = format!("http://{}", renter.public);
    let node = serve(&bob, &flags, &["--gateway", &gateway]);
    let deployed = order(&alice, &["--set", "account=hers"]);
    assert_eq!((&deployed["state"], &deployed["node"]), (&json!("running"), &operator(&bob)), "{deployed}");

    // It lives there, under a name that says whose it is.
    let there = bob.json(&["status", deployed["deployment"].as_str().unwrap()]);
    assert_eq!((&there["endpoint"], &there["lease"]["rate"]), (&deployed["endpoint"], &json!("40")), "{there}");
    let host = host_of(&there);
    assert_eq!(node.ask_served(&host, "POST", "/").text().trim(), "1");

    // It is paid by the second, and what it has earned goes where its operator wants it.
    let lease = eventually("something to be due", || {
        let told = bob.json(&["node", "earnings"]);
        (told["leases"][0]["due"] != "0").then(|| told["leases"][0].clone())
    });
    assert_eq!(
        (&lease["agent_id"], &lease["rate"], &lease["paid"]),
        (&deployed["agent_id"], &json!("40"), &json!("0"))
    );
    let to = "0x92e268d7682ec0c006bc2d67db2662d91385cb1c";
    let drawn = bob.json(&["node", "withdraw", "--to", to]);
    let talos = |amount: &Value| amount.as_str().unwrap().parse::<Amount>().unwrap();
    assert!(talos(&drawn["amount"]) >= talos(&lease["due"]) && drawn["to"] == to, "{drawn} of {lease}");
    let told = bob.json(&["node", "earnings"]);
    assert_eq!((&told["earned"], &told["leases"][0]["paid"]), (&drawn["amount"], &drawn["amount"]), "{told}");
    let refused = bob.run(&["node", "withdraw", "--to", "bob"]).refusal();
    assert!(refused.starts_with("exit 2\n"), "{refused}");

    // All that another node needs is served on: manifest, artifact and configuration.
    let pins = bob.json(&["content", "ls"]);
    let parts: Vec<&str> = pins.as_array().unwrap().iter().filter_map(|entry| entry["cid"].as_str()).collect();
    assert_eq!(parts.len(), 3, "and no other order's: {pins}");
    renter.kill();
    for cid in parts {
        assert_eq!(from_node(&node.public, &format!("/ipfs/{cid}?format=raw")).status, 200, "{cid}");
        let named = from_node(&node.public, &format!("/routing/v1/providers/{cid}")).json();
        let port = node.public.rsplit(':').next().unwrap();
        assert_eq!(named["Providers"][0]["Addrs"], json!([format!("/dns/localhost/tcp/{port}/http")]), "{named}");
    }

    // Nobody is needed to bring it back either: not the chain, not the deployer.
    node.kill();
    let flags: Vec<&str> = flags.iter().map(String::as_str).collect();
    let node = bob.up(&flags);
    assert_eq!(node.ask_served(&host, "POST", "/").text().trim(), "2");
}

#[test]
fn a_rented_oracle_reads_its_assets_from_the_deployers_node() {
    let (alice, bob) = (Home::new(), Home::new());
    let renter = renter(&alice);
    let feed = std::fs::read_to_string(alice.path().join("demo-feed/address")).unwrap();
    let ca = alice.path().join("demo-feed/ca.pem");
    let feed = ["--connect-to", &format!("api.coingecko.com:443:{}", feed.trim()), "--ca", ca.to_str().unwrap()];
    let gateway = format!("http://{}", renter.public);
    let more = [&feed[..], &["--gateway", gateway.as_str()]].concat();
    let node = serve(&bob, &serving(&alice), &more);
    let package = alice.oracle("talos.oracle.rented", 60);
    let deployed = alice.json(&["deploy", package.path(), "--payment", "100", "--max-rate", "45", "--wait", "60"]);
    assert_eq!((&deployed["state"], &deployed["node"]), (&json!("running"), &operator(&bob)), "{deployed}");
    let host = host_of(&deployed);
    let price = eventually("the first price", || {
        let answer = node.ask(&host, "GET", "/price");
        (answer.status == 200).then(|| answer.json())
    });
    assert_eq!(price["pair"], "ETH/USD", "{price}");

    // When the lease is over, nothing of it takes room here.
    alice.ok(&["stop", "talos.oracle.rented"]);
    eventually("its pins to end", || {
        let held = bob.json(&["content", "ls"]);
        held.as_array().unwrap().iter().all(|entry| entry["pinned"] == false).then_some(())
    });
}

#[test]
fn a_configuration_that_is_private_here_is_no_part_of_a_strangers_order() {
    let (alice, bob) = (Home::new(), Home::new());
    let _renter = renter(&alice);
    let rpc = alice.json(&["node", "status"])["rpc"].as_str().unwrap().to_owned();
    let node = serve(&bob, &serving(&alice), &[]);
    let at_home = bob.json(&["deploy", &example("config-reader"), "--set", "account=bobs"]);
    let config = bob.json(&["content", "ls"]);
    let config = config
        .as_array()
        .unwrap()
        .iter()
        .find(|entry| entry["pins"][0].as_str().is_some_and(|pin| pin.starts_with("config/")));
    let config: ContentId = config.unwrap()["cid"].as_str().unwrap().parse().unwrap();

    // Its hash stands on the chain for everybody: another order names it, with a package that bob would run.
    let manifest = std::fs::read_to_string(format!("{}/agent.yaml", example("config-reader"))).unwrap();
    let manifest = Manifest::parse(&manifest).unwrap();
    let cid = |key: &str| at_home[key].as_str().unwrap().parse::<ContentId>().unwrap();
    let reference = PackageRef {
        agent_id: manifest.agent_id.clone(),
        manifest_cid: cid("manifest_cid"),
        artifact_cid: cid("cid"),
        artifact_hash: manifest.sealed_hash().unwrap(),
        config_hash: config.digest(),
    };
    let terms = PublicationTerms {
        package: ListedPackage::new(&reference, manifest.resources),
        max_rate: AmountPerHour(45 * Amount::TALOS.0),
        bid_window_seconds: 0,
        gas_budget: 0,
    };
    as_owner(&alice, &rpc, "deployer", |market| async move {
        let publication = market.publish("test/publish", terms).await.unwrap();
        let order = DeployOrder { publication, payment: Amount(100 * Amount::TALOS.0), ..DeployOrder::default() };
        market.deploy("test/deploy", order).await.unwrap();
    });
    let said = eventually("bob's refusal", || {
        let shown = bob.json(&["market", "show", "3"]);
        assert_ne!(shown["state"], "running", "{shown}");
        shown["refused"].as_str().map(str::to_owned)
    });
    assert_eq!(
        said,
        format!("its package failed at fetch: fetch {config}: it is not public here, and nobody is known who holds it")
    );
    assert_eq!(from_node(&node.public, &format!("/ipfs/{config}?format=raw")).status, 404);
}

/// Makes the artifact larger by a section that means nothing, so that it is a file of many blocks.
pub(crate) fn enlarge(home: &Home, guest: &str, more_bytes: u32) -> Package {
    let package = home.copy_of(guest, "large");
    let file = std::path::Path::new(package.path()).join(format!("{guest}.wasm"));
    let mut artifact = std::fs::read(&file).unwrap();
    let noise = (0..more_bytes).map(|at| (at.wrapping_mul(2_654_435_761) >> 13) as u8);
    // A custom section: its id, its length as LEB128 in five bytes, a name of one letter.
    let length = more_bytes + 2;
    artifact.push(0);
    artifact.extend((0..5).map(|at| ((length >> (7 * at)) & 0x7f) as u8 | if at < 4 { 0x80 } else { 0 }));
    artifact.extend([1, b'n']);
    artifact.extend(noise);
    std::fs::write(&file, artifact).unwrap();
    home.ok(&["pkg", "seal", package.path()]);
    package
}

#[test]
fn an_artifact_of_many_blocks_is_attested_by_two_nodes_before_one_of_them_runs_it() {
    let (alice, bob, carol) = (Home::new(), Home::new(), Home::new());
    let renter = renter(&alice);
    let (flags, gateway) = (serving(&alice), format!("http://{}", renter.public));
    let _bobs = serve(&bob, &flags, &["--gateway", &gateway]);
    let package = enlarge(&alice, "counter", 20_000_000);
    // As it lies in the store already, by its id.
    let artifact = std::path::Path::new(package.path()).join("counter.wasm");
    let cid = alice.ok(&["content", "add", artifact.to_str().unwrap()]);
    std::fs::remove_file(artifact).unwrap();
    let order = ["deploy", package.path(), "--artifact-cid", cid.trim(), "--payment", "100", "--max-rate", "45"];
    let deploying = alice.start(&[&order[..], &["--wait", "180", "--json"]].concat());
    let events = |wanted: &str| {
        let shown = alice.run(&["market", "show", "2", "--json"]);
        let shown: Value = serde_json::from_str(&shown.out).unwrap_or_default();
        shown["events"].as_array().map_or(0, |all| all.iter().filter(|event| event["event"] == wanted).count())
    };
    // One node's word is not enough.
    eventually("the first word", || (events("attested") == 1).then_some(()));
    assert_eq!(alice.json(&["market", "show", "2"])["state"], "unverified");
    let _carols = serve(&carol, &flags, &["--gateway", &gateway]);
    let ended = deploying.end();
    assert_eq!(ended.code, 0, "{ended:?}");
    let deployed: Value = serde_json::from_str(&ended.out).unwrap();
    assert_eq!((&deployed["state"], events("attested"), events("verified")), (&json!("running"), 2, 1), "{deployed}");
    assert!([operator(&bob), operator(&carol)].contains(&deployed["node"]), "{deployed}");
}

/// A provider of whatever it is asked for, as `answer` has it.
pub(crate) fn provider(answer: &'static [u8]) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        // Those that are never answered stay open.
        let mut open = Vec::new();
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let _ = stream.read(&mut [0; 4096]);
            if answer.is_empty() { open.push(stream) } else { drop(stream.write_all(answer)) }
        }
    });
    format!("http://{address}")
}

#[test]
fn a_provider_that_lies_stalls_or_points_elsewhere_is_left_for_the_next() {
    let (alice, bob) = (Home::new(), Home::new());
    let renter = renter(&alice);
    let lies =
        provider(b"HTTP/1.1 200 OK\r\ncontent-type: application/vnd.ipld.raw\r\ncontent-length: 7\r\n\r\ngarbage");
    let stalls = provider(b"");
    let points = provider(b"HTTP/1.1 302 Found\r\nlocation: http://127.0.0.1:1/\r\ncontent-length: 0\r\n\r\n");
    let breaks =
        provider(b"HTTP/1.1 200 OK\r\ncontent-type: application/vnd.ipld.raw\r\ncontent-length: 900000\r\n\r\nbro");
    let honest = format!("http://{}", renter.public);
    let gateways: Vec<&str> =
        [&lies, &stalls, &points, &breaks, &honest].into_iter().flat_map(|url| ["--gateway", url.as_str()]).collect();
    let _node = serve(&bob, &serving(&alice), &gateways);
    let deployed = order(&alice, &[]);
    assert_eq!((&deployed["state"], &deployed["node"]), (&json!("running"), &operator(&bob)), "{deployed}");

    let cid = deployed["cid"].as_str().unwrap();
    let found = bob.json(&["content", "find", cid]);
    assert_eq!(found["held"], true);
    let trouble: Vec<&Value> = found["providers"].as_array().unwrap().iter().map(|one| &one["trouble"]).collect();
    assert!(trouble[0].as_str().unwrap().starts_with("failed to verify block"), "{found}");
    assert_eq!(trouble[1..3], ["did not give it within 3 s", "answered 302"], "{found}");
    assert_eq!((trouble.len(), trouble[4]), (5, &Value::Null), "{found}");
}

#[test]
fn what_nobody_has_is_told_in_the_log_with_everybody_who_was_asked() {
    let (alice, bob) = (Home::new(), Home::new());
    let renter = renter(&alice);
    let lies = provider(b"HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\n\r\n");
    let node = serve(&bob, &serving(&alice), &["--gateway", &lies]);
    let ended = alice.run(&["deploy", &example("counter"), "--payment", "100", "--max-rate", "45", "--wait", "3"]);
    assert_eq!(ended.code, 3, "nobody takes what it cannot have: {ended:?}");
    // The reason says how many were asked; who they were is in this node's own log.
    let shown = bob.json(&["market", "show", "2"]);
    let refused = shown["refused"].as_str().unwrap();
    assert!(refused.starts_with("its package failed at fetch: fetch baf"), "{refused}");
    // The gateway, and the place that the order names: nobody is there.
    assert!(refused.ends_with(": none of the 2 who were asked gave it"), "{refused}");
    assert!(node.said().contains(&format!("{lies} does not hold it")), "{}", node.said());
    drop(renter);
}

#[test]
fn a_package_that_nobody_gave_is_asked_for_again_while_its_order_waits() {
    let (alice, bob) = (Home::new(), Home::new());
    let renter = renter(&alice);
    let wire = Wire::new();
    let node = serve(&bob, &serving(&alice), &["--gateway", &format!("http://{}", wire.address())]);
    let ended = alice.run(&["deploy", &example("counter"), "--payment", "100", "--max-rate", "45", "--wait", "1"]);
    assert_eq!(ended.code, 3, "{ended:?}");
    eventually("its refusal", || {
        let shown = bob.json(&["market", "show", "2"]);
        shown["refused"].as_str()?.starts_with("its package failed at fetch").then_some(())
    });
    wire.leads_to(&renter.public);
    eventually("the second look", || (alice.json(&["market", "show", "2"])["state"] == "running").then_some(()));
    assert_eq!(alice.json(&["market", "show", "2"])["node"], operator(&bob));
    drop(node);
}

#[test]
fn the_node_of_an_owner_is_asked_at_the_place_that_the_chain_names() {
    let (alice, bob) = (Home::new(), Home::new());
    let renter = renter(&alice);
    let rpc = alice.json(&["node", "status"])["rpc"].as_str().unwrap().to_owned();
    let to = operator(&alice).as_str().unwrap().parse().unwrap();
    as_owner(&alice, &rpc, "deployer", |market| async move {
        let amount = Amount(100 * Amount::TALOS.0);
        market.write("test/transfer", &MarketCall::Transfer { to, amount }).await.unwrap();
    });
    // The name resolves to this machine, which the chain alone could not make the node dial.
    let exception = format!("renter.example:80:{}", renter.public);
    let _node = serve(&bob, &serving(&alice), &["--connect-to", &exception]);
    let deployed = order(&alice, &["--key", "operator"]);
    assert_eq!((&deployed["state"], &deployed["node"]), (&json!("running"), &operator(&bob)), "{deployed}");
    let log = std::fs::read_to_string(bob.path().join("logs/events.jsonl")).unwrap();
    let tries: Vec<&str> = log.lines().filter(|line| line.contains("nisse:content")).collect();
    assert!(!tries.is_empty() && tries.iter().all(|line| line.contains("renter.example")), "{tries:?}");
}

#[test]
fn what_is_provided_is_told_and_who_provides_it_is_asked() {
    let (alice, bob) = (Home::new(), Home::new());
    let renter = alice.up(&["--endpoint", "https://renter.example"]);
    let file = alice.beside("file");
    std::fs::write(&file, "for everybody").unwrap();
    let cid = alice.ok(&["content", "add", file.to_str().unwrap()]);
    let provided = alice.json(&["content", "provide", cid.trim()]);
    assert_eq!(provided["url"], format!("https://renter.example/ipfs/{}", cid.trim()));
    assert_eq!(provided["multiaddr"], "/dns/renter.example/tcp/443/https");
    assert!(provided["peer"].as_str().unwrap().starts_with("16Uiu2H"), "{provided}");

    let nobody = alice.ok(&["content", "find", cid.trim()]);
    assert_snapshot!(nobody, @r"
    all of it is held here
    nobody is asked: name a router or a gateway under [content] in nisse.toml
    ");
    let url = format!("http://{}", renter.public);
    let _node = bob.up(&["--gateway", &url, "--router", &url]);
    let found = bob.json(&["content", "find", cid.trim()]);
    // The router names a place that does not resolve; the gateway has it.
    let of = |named_by: &str| {
        let providers = found["providers"].as_array().unwrap();
        providers.iter().find(|one| one["named_by"] == named_by).unwrap_or_else(|| panic!("{found}")).clone()
    };
    assert_eq!((&found["held"], &of("gateway")["trouble"]), (&json!(false), &Value::Null), "{found}");
    assert_eq!(of("router")["url"], "https://renter.example");
    assert!(of("router")["trouble"].is_string(), "{found}");

    let refused = bob.run(&["content", "provide", cid.trim()]).refusal();
    assert!(refused.starts_with("exit 1\n") && refused.contains("hint: `nisse content add FILE` adds it"), "{refused}");
}

#[test]
fn a_node_that_is_to_serve_others_names_their_chain() {
    let home = Home::new();
    assert_snapshot!(home.run(&["node", "serve"]).refusal(), @r"
    exit 2
    error: failed to serve others: the embedded chain is this home's own
    hint: name the market's chain with --chain URL --contract ADDR
    ");
    let owners = home.beside("owners");
    std::fs::write(&owners, "# who may\n0x92e268d7682ec0c006bc2d67db2662d91385cb1c\nbob\n").unwrap();
    let refused = home.run(&["up", "--accept", owners.to_str().unwrap()]).refusal();
    assert!(refused.contains("line 3: an address is expected"), "{refused}");
}
