//! What goes wrong on the way to a running agent, by its real cause: each is a state that `status` explains, and costs
//! nobody money.

use std::path::PathBuf;

use nisse_market::{DeployOrder, ListedPackage, PublicationTerms};
use nisse_model::{Amount, AmountPerHour, ContentId, Hash256, Manifest};
use serde_json::json;

use crate::chain_facts::as_owner;
use crate::harness::{Home, eventually, example, host_of};
use crate::web;

const COUNTER: &str = "nisse.test.counter";

/// The one file of packed blocks of a small home.
fn pack(home: &Home) -> PathBuf {
    home.path().join("content/00000000.pack")
}

/// Bytes of which no two chunks are alike: equal ones would be kept once.
fn noise(length: u32) -> Vec<u8> {
    (0..length).map(|at| (at.wrapping_mul(2_654_435_761) >> 13) as u8).collect()
}

/// Changes one bit of a file where this text stands in it.
fn flip(file: &PathBuf, text: &[u8]) {
    let mut bytes = std::fs::read(file).unwrap();
    let at = bytes.windows(text.len()).position(|window| window == text).expect("the text stands in the file");
    bytes[at + text.len() / 2] ^= 1;
    std::fs::write(file, bytes).unwrap();
}

#[test]
fn a_bit_that_the_disk_lost_stops_that_agent_alone() {
    let home = Home::new();
    let mut node = home.up(&["--demo"]);
    node.demo_is_told();
    home.ok(&["deploy", &example("counter"), "--payment", "100"]);
    home.ok(&["deploy", &example("echo")]);
    node.kill();
    let artifact_file = PathBuf::from(example("counter")).join("counter.wasm");
    let artifact = std::fs::read(&artifact_file).unwrap();
    flip(&pack(&home), &artifact[..4_096]);

    let node = home.up(&[]);
    let status = eventually("the damage to be seen", || {
        let status = home.json(&["status", COUNTER]);
        status["reason"].as_str().is_some_and(|reason| reason.contains("at fetch: ")).then_some(status)
    });
    assert!(status["hint"].as_str().unwrap().contains("`nisse content add`"), "{status}");
    assert!(node.ask(&host_of(&status), "GET", "/").status == 503, "nothing damaged is run");
    eventually("the neighbour", || (node.try_ask("nisse.test.echo", "GET", "/").ok()?.status == 200).then_some(()));
    // The same bytes mend the store, and the agent comes up by itself.
    home.ok(&["content", "add", artifact_file.to_str().unwrap()]);
    assert_eq!(node.ask_served(&host_of(&status), "POST", "/").text().trim(), "1");
    home.ok(&["stop", COUNTER]);
    let entry = home.json(&["market", "show", "2"]);
    assert_eq!((&entry["state"], &entry["deposited"]), (&json!("stopped"), &entry["paid"]), "nothing is left behind");
}

#[test]
fn orders_of_packages_that_are_not_there_or_not_what_they_say_are_refused_unpaid() {
    let home = Home::new();
    let rpc = web::free_address();
    let mut node = home.up(&["--demo", "--rpc", &rpc]);
    node.demo_is_told();
    let yaml = std::fs::read(PathBuf::from(example("counter")).join("agent.yaml")).unwrap();
    let manifest = Manifest::parse(std::str::from_utf8(&yaml).unwrap()).unwrap();
    let held: ContentId = {
        let file = home.beside("agent.yaml");
        std::fs::write(&file, &yaml).unwrap();
        home.ok(&["content", "add", file.to_str().unwrap()]).trim().parse().unwrap()
    };
    let other = Hash256::of(b"another artifact");
    let terms = |agent_id: &str, manifest_cid| PublicationTerms {
        package: ListedPackage {
            agent_id: agent_id.to_owned(),
            manifest_cid,
            artifact_cid: ContentId::raw(other),
            artifact_hash: other,
            config_hash: Hash256::of(b"{}"),
            resources: manifest.resources,
        },
        max_rate: AmountPerHour(50 * Amount::TALOS.0),
        bid_window_seconds: 0,
        gas_budget: 0,
    };
    // This artifact is held; agent.yaml names the hash of another one.
    let artifact = home.beside("artifact");
    std::fs::write(&artifact, b"another artifact").unwrap();
    home.ok(&["content", "add", artifact.to_str().unwrap()]);
    let nobodys = ContentId::raw(Hash256::of(b"nobody holds this"));
    let publications = [terms("nisse.test.missing@v1.0.0", nobodys), terms(&manifest.agent_id.to_string(), held)];
    // As anybody may, behind the back of every node.
    as_owner(&home, &rpc, "deployer", async |market| {
        for (number, terms) in publications.into_iter().enumerate() {
            let publication = market.publish(&format!("publish {number}"), terms).await.unwrap();
            let payment = Amount(40 * Amount::TALOS.0);
            let order = DeployOrder { publication, payment, ..DeployOrder::default() };
            market.deploy(&format!("deploy {number}"), order).await.unwrap();
        }
    });
    for (agent, number, cause) in [("nisse.test.missing", "2", "at fetch: "), (COUNTER, "3", "at verify: ")] {
        let status = eventually("the refusal", || {
            let status = home.json(&["status", agent]);
            status["reason"].as_str()?.contains("refused it").then_some(status)
        });
        assert_eq!(status["state"], "open");
        assert!(status["reason"].as_str().unwrap().contains(&format!("its package failed {cause}")), "{status}");
        assert_eq!((&status["lease"]["balance"], &status["lease"]["paid"]), (&json!("40"), &json!("0")));
        assert_eq!(home.json(&["stop", agent])["lease"]["balance"], "0");
        let entry = home.json(&["market", "show", number]);
        let last = entry["events"].as_array().unwrap().last().unwrap();
        assert_eq!((&last["event"], &last["detail"]), (&json!("stopped"), &json!("40 TALOS go back to its owner")));
    }
}

#[test]
fn a_full_disk_refuses_what_it_cannot_keep_and_the_agents_go_on() {
    let home = Home::new();
    // No file may grow beyond 1.25 MiB, which the write is told: a full disk that needs no disk of its own.
    let node = home.up_limited(2_560, &[]);
    home.ok(&["deploy", &example("counter")]);
    let large = home.beside("large");
    std::fs::write(&large, noise(3 << 20)).unwrap();
    let ended = home.run(&["content", "add", large.to_str().unwrap()]);
    assert_eq!(ended.code, 1, "{ended:?}");
    assert!(ended.err.contains("failed to write ") && ended.err.contains(".pack: "), "{ended:?}");
    assert_eq!(node.ask(COUNTER, "POST", "/").status, 200, "the neighbours go on");

    // A package that does not fit is refused before anything is published.
    let package = home.copy_of("echo", "large-package");
    let mut wasm = std::fs::read(home.beside("large-package").join("echo.wasm")).unwrap();
    // A custom section of a megabyte: id, length in LEB128, a name of one byte, the rest.
    let length: u32 = 2 << 20;
    wasm.extend([
        0,
        (length & 0x7f) as u8 | 0x80,
        (length >> 7 & 0x7f) as u8 | 0x80,
        (length >> 14 & 0x7f) as u8 | 0x80,
    ]);
    wasm.extend([(length >> 21) as u8, 1, b'x']);
    wasm.extend(noise(length - 2));
    std::fs::write(home.beside("large-package").join("echo.wasm"), wasm).unwrap();
    home.ok(&["pkg", "seal", package.path()]);
    let before = home.json(&["market", "ls"]);
    let ended = home.run(&["deploy", package.path()]);
    assert_eq!(ended.code, 1, "{ended:?}");
    assert!(ended.err.contains("failed to write "), "{ended:?}");
    assert_eq!(home.json(&["market", "ls"]), before, "nothing of it was ordered");
    assert_eq!(node.ask(COUNTER, "POST", "/").text().trim(), "2");
    let status = home.json(&["status", COUNTER]);
    assert_eq!((&status["state"], host_of(&status).as_str()), (&json!("running"), COUNTER));
    node.kill();
    // With room again everything is as it was acknowledged.
    let node = home.up(&[]);
    assert_eq!(node.ask_served(COUNTER, "GET", "/").text().trim(), "2");
    home.ok(&["deploy", package.path()]);
}

#[test]
fn a_full_content_store_says_how_to_make_room() {
    let home = Home::new();
    std::fs::create_dir_all(home.path()).unwrap();
    home.up(&[]).kill();
    std::fs::write(home.path().join("nisse.toml"), "[limits]\ncontent = \"100KiB\"\n").unwrap();
    let node = home.up(&[]);
    home.ok(&["deploy", &example("echo")]);
    let large = home.beside("large");
    std::fs::write(&large, noise(200 << 10)).unwrap();
    let ended = home.run(&["content", "add", large.to_str().unwrap()]);
    assert_eq!(ended.code, 1, "{ended:?}");
    assert!(ended.err.contains("hint: unpin what is not needed and run `nisse content gc`"), "{ended:?}");
    node.echo_answers();
}
