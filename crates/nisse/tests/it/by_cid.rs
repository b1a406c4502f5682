//! Packages whose artifact lies in IPFS already, under an id that somebody else chose.

use std::collections::BTreeSet;
use std::path::Path;

use nisse_model::ContentId;
use serde_json::{Value, json};

use crate::harness::{Home, Node, Package, example};
use crate::rented::{enlarge, provider};

const COUNTER: &str = "nisse.test.counter";

/// The counter, too large for one leaf and too small to be cut in a package. Returns it and the id that adding gives it.
fn added(home: &Home) -> (Package, String) {
    let package = enlarge(home, "counter", 1_500_000);
    let added = home.ok(&["content", "add", &artifact_of(&package)]);
    (package, added.trim().to_owned())
}

fn artifact_of(package: &Package) -> String {
    Path::new(package.path()).join("counter.wasm").to_str().unwrap().to_owned()
}

fn asking<'home>(home: &'home Home, provider: &Node<'_>) -> Node<'home> {
    home.up(&["--gateway", &format!("http://{}", provider.public)])
}

#[test]
fn an_artifact_that_lies_in_ipfs_is_deployed_and_updated_to_by_its_cid() {
    let (alice, bob) = (Home::new(), Home::new());
    let holder = alice.up(&[]);
    let (package, cid) = added(&alice);
    let own_id = alice.json(&["pkg", "seal", package.path()])["cid"].clone();
    assert_ne!(own_id, json!(cid), "the deployer names it by other blocks than this node would");

    let node = asking(&bob, &holder);
    std::fs::remove_file(artifact_of(&package)).unwrap();
    let deployed = bob.json(&["deploy", package.path(), "--artifact-cid", &cid]);
    assert_eq!((&deployed["state"], &deployed["cid"]), (&json!("running"), &json!(cid)), "{deployed}");
    assert_eq!(node.ask_served(COUNTER, "POST", "/").text().trim(), "1");

    // It is held here from then on, and it is what others may read.
    holder.kill();
    node.kill();
    let node = bob.up(&[]);
    assert_eq!(node.ask_served(COUNTER, "POST", "/").text().trim(), "2");
    package.edit("@v1.0.0", "@v1.1.0");
    // As older tools spell it.
    let root: ContentId = cid.parse().unwrap();
    let spelt = ContentId::v0(root.digest()).to_string();
    let updated = bob.json(&["update", COUNTER, package.path(), "--artifact-cid", &spelt]);
    assert_eq!(
        (&updated["agent_id"], &updated["cid"]),
        (&json!("nisse.test.counter@v1.1.0"), &json!(cid)),
        "{updated}"
    );
    assert_eq!(node.ask_served(COUNTER, "POST", "/").text().trim(), "3");
    let held = bob.json(&["content", "ls"]);
    let pins = held.as_array().unwrap().iter().flat_map(|entry| entry["pins"].as_array().unwrap());
    let named: BTreeSet<&str> = pins.filter_map(Value::as_str).filter(|pin| pin.contains(&cid)).collect();
    let packages = named.iter().filter(|pin| pin.starts_with("package/"));
    assert_eq!((named.len(), packages.count()), (2, 2), "that of each version: {named:?}");
    let listed = held.as_array().unwrap().iter().filter(|entry| entry["cid"] == json!(cid));
    assert_eq!(listed.count(), 1, "under the id that it is published by: {held}");
}

#[test]
fn an_artifact_is_refused_that_nobody_has_that_is_another_or_that_is_garbage() {
    let (alice, bob, carol) = (Home::new(), Home::new(), Home::new());
    let holder = alice.up(&[]);
    let (package, cid) = added(&alice);
    let other = alice.ok(&["content", "add", &format!("{}/echo.wasm", example("echo"))]).trim().to_owned();
    let deploy = |home: &Home, cid: &str| home.run(&["deploy", package.path(), "--artifact-cid", cid]).refusal();

    let asked = asking(&bob, &holder);
    let another = deploy(&bob, &other);
    assert!(another.starts_with("exit 3\nerror: failed to verify the artifact: expected SHA-256 "), "{another}");
    assert!(another.ends_with(&format!("hint: {other} holds another artifact than agent.yaml declares")), "{another}");
    let manifest = alice.ok(&["content", "add", &format!("{}/agent.yaml", example("echo"))]).trim().to_owned();
    let no_artifact = deploy(&bob, &manifest);
    assert!(no_artifact.starts_with("exit 3\nerror: failed to verify the artifact"), "{no_artifact}");
    for text in ["QmNo", &format!("ipfs://{cid}"), &cid[..40]] {
        let wrong = deploy(&bob, text);
        assert!(
            wrong.starts_with("exit 2\nerror: failed to read `") && wrong.contains("\nhint: give the CID by itself"),
            "{wrong}"
        );
    }
    // Nothing of what was refused is kept.
    assert_eq!(bob.json(&["content", "ls"]).as_array().unwrap().iter().filter(|one| one["pinned"] == true).count(), 0);
    // Whoever sends both, or neither, is told so and has changed nothing.
    let manifest = std::fs::read_to_string(Path::new(package.path()).join("agent.yaml")).unwrap();
    for (artifact, cid, why) in [("AA==", Some(&cid), "names another by its CID"), ("", None, "it has no artifact")] {
        let package = json!({ "manifest": manifest, "artifact": artifact, "artifact_cid": cid });
        let answer = asked.post("/api/v1/agents", &json!({ "package": package }));
        assert!(answer.status == 400 && answer.text().contains(why), "{} {}", answer.status, answer.text());
    }
    drop(asked);

    let alone = carol.up(&[]);
    assert_eq!(
        deploy(&carol, &cid),
        format!(
            "exit 1\nerror: failed to find {cid}: it is not held here, and nobody is known who could be asked\n\
             hint: name a gateway under [content], or with `nisse up --gateway URL`"
        )
    );
    drop(alone);
    let garbage = provider(b"HTTP/1.1 200 OK\r\ncontent-type: application/vnd.ipld.raw\r\ncontent-length: 1\r\n\r\nx");
    let _misled = carol.up(&["--gateway", &garbage]);
    let refused = deploy(&carol, &cid);
    assert!(refused.starts_with("exit 1\n") && refused.contains("failed to verify block"), "{refused}");
    package.set("artifact_hash", "\"none yet\"");
    let unsealed = deploy(&carol, &cid);
    assert!(
        unsealed.starts_with("exit 3\n") && unsealed.contains(&format!("`nisse content get {cid} -o DIR/")),
        "{unsealed}"
    );
}
