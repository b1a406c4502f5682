//! What nodes bid on, for how much, and who wins: with processes that share only a chain and a network.

use nisse_market::{LeaseState, LocalKey, MarketCall, heartbeat_root};
use nisse_model::{Address, Amount, AmountPerHour, ByteSize, Cpu, DeploymentId, Resources};
use nisse_node::control::HeartbeatProof;
use serde_json::{Value, json};

use crate::chain_facts::{as_owner, with_key};
use crate::elsewhere::Wire;
use crate::harness::{Home, eventually, example};
use crate::heartbeats::{Mining, SHOWN, into_next_period, on};
use crate::rented::{at_price, operator, order, renter, renter_with, serve, serving};
use crate::web;

/// Seconds of a day.
const DAY: u64 = 24 * 3_600;
/// Seconds in which bids are made, sealed ones in one half, on a machine that has much else to do.
pub(crate) const WINDOW: &str = "30";

/// Orders, and ends the round of bids as soon as this node's stands on the chain: how fast a machine is decides nothing.
pub(crate) fn ended_by(
    renter: &Home,
    rpc: &str,
    agent: &str,
    bidder: &Home,
    order: impl FnOnce() -> Value + Send,
) -> Value {
    let bidder = operator(bidder);
    let begin = format!("{} asks ", bidder.as_str().unwrap());
    std::thread::scope(|scope| {
        let ordered = scope.spawn(order);
        eventually("the bid", || {
            let listed = renter.json(&["market", "ls"]);
            let is_it = |entry: &&Value| entry["agent_id"].as_str().is_some_and(|id| id.contains(agent));
            let entry = listed.as_array().unwrap().iter().filter(|entry| entry["state"] == "open").find(is_it)?;
            let shown = renter.json(&["market", "show", entry["deployment"].as_str().unwrap()]);
            let mut events = shown["events"].as_array().unwrap().iter();
            let is_its = |event: &Value| event["detail"].as_str().is_some_and(|detail| detail.starts_with(&begin));
            events.any(|event| event["event"] == "bid" && is_its(event)).then_some(())
        });
        on(rpc, WINDOW.parse().unwrap());
        ordered.join().unwrap()
    })
}

#[test]
fn a_node_asks_by_what_an_agent_takes_and_how_full_it_is() {
    let (alice, bob) = (Home::new(), Home::new());
    let renter = renter(&alice);
    let (flags, gateway) = (serving(&alice), format!("http://{}", renter.public));
    serve(&bob, &flags, &["--gateway", &gateway]).kill();
    let list = "[market]\nprice_cpu = \"168\"\nprice_memory = \"1\"\nprice_load = 40\n";
    std::fs::write(bob.path().join("nisse.toml"), list).unwrap();
    let _node = serve(&bob, &flags, &["--gateway", &gateway]);
    let told = bob.ok(&["node", "status"]);
    let line =
        "40 TALOS per hour at least; 168 for each processor and 1 for each GiB of memory; 40 % more for the last";
    assert!(told.contains(line), "{told}");

    // A quarter of a processor and 32 MiB; an eighth of all processors is lent then.
    let deployed = order(&alice, &[]);
    let lease = &alice.json(&["status", deployed["deployment"].as_str().unwrap()])["lease"];
    let parts = 168.0 / 4.0 + 32.0 / 1024.0;
    let rate: f64 = lease["rate"].as_str().unwrap().parse().unwrap();
    assert!((rate - parts * 1.05).abs() < 1e-9, "{lease}");

    // Whoever orders next sees what others pay: that one, and the demo's.
    let rates = bob.json(&["market", "rates"]);
    let told = ["leases", "lowest", "median", "highest", "orders"].map(|key| rates[key].clone());
    let (this, demo) = (lease["rate"].clone(), json!("50"));
    assert_eq!(told, [json!(2), this.clone(), this, demo, json!(0)], "{rates}");
}

#[test]
fn an_order_that_found_no_room_is_taken_when_there_is_some() {
    let (alice, bob) = (Home::new(), Home::new());
    let renter = renter(&alice);
    let (flags, gateway) = (serving(&alice), format!("http://{}", renter.public));
    serve(&bob, &flags, &["--gateway", &gateway]).kill();
    std::fs::write(bob.path().join("nisse.toml"), "[limits]\ncpu = \"0.25\"\n").unwrap();
    let _node = serve(&bob, &flags, &["--gateway", &gateway]);
    order(&alice, &[]);
    let second = ["deploy", &example("echo"), "--payment", "100", "--max-rate", "45", "--wait", "1"];
    let refused = alice.run(&second);
    assert_eq!(refused.code, 3, "{refused:?}");
    let number = eventually("its deployment", || {
        let listed = alice.json(&["market", "ls"]);
        let mut all = listed.as_array().unwrap().iter();
        let echo = all.find(|entry| entry["agent_id"].as_str().is_some_and(|id| id.contains("echo")))?;
        echo["deployment"].as_str().and_then(|deployment| deployment.rsplit(':').next()).map(str::to_owned)
    });
    let shown = || bob.json(&["market", "show", &number]);
    let said = eventually("bob's refusal", || shown()["refused"].as_str().map(str::to_owned));
    assert!(said.contains("and 0 is free"), "{said}");
    alice.ok(&["stop", "nisse.test.counter"]);
    let taken = eventually("bob to take it", || Some(shown()).filter(|shown| shown["state"] == "running"));
    assert_eq!((&taken["node"], &taken["refused"]), (&operator(&bob), &Value::Null), "{taken}");
}

#[test]
fn an_order_that_a_node_had_no_stake_for_is_taken_when_it_has() {
    let (alice, bob) = (Home::new(), Home::new());
    let renter = renter(&alice);
    let (mut flags, gateway) = (serving(&alice), format!("http://{}", renter.public));
    flags.extend(["--gateway".to_owned(), gateway]);
    let place = flags.iter().position(|flag| flag == "--stake").unwrap() + 1;
    let mut poor = flags.clone();
    "5".clone_into(&mut poor[place]);
    let up = |flags: &[String]| bob.up(&flags.iter().map(String::as_str).collect::<Vec<_>>());
    let node = up(&poor);
    let order = ["deploy", &example("counter"), "--payment", "100", "--max-rate", "45", "--wait", "1"];
    assert_eq!(alice.run(&order).code, 3);
    let listed = alice.json(&["market", "ls"]);
    let entry = listed.as_array().unwrap().iter().find(|entry| entry["state"] == "open").unwrap();
    let deployment = entry["deployment"].as_str().unwrap().to_owned();
    // A node that has just come up may not have heard from the chain yet.
    let shown = || serde_json::from_str::<Value>(&bob.run(&["market", "show", &deployment, "--json"]).out).ok();
    let said = eventually("bob's refusal", || shown()?["refused"].as_str().map(str::to_owned));
    assert!(said.starts_with("the market takes no bid of this node now: "), "{said}");
    let trouble = bob.json(&["node", "status"])["trouble"].as_str().unwrap().to_owned();
    assert!(trouble.contains("takes no orders") && trouble.contains("a stake of 5 TALOS is below 10000"), "{trouble}");
    node.kill();
    let _node = up(&flags);
    let taken = eventually("bob to take it", || shown().filter(|shown| shown["state"] == "running"));
    assert_eq!((&taken["node"], &taken["refused"]), (&operator(&bob), &Value::Null), "{taken}");
}

#[test]
fn of_the_bids_in_a_window_the_lowest_wins_though_the_chain_makes_no_block_by_itself() {
    let (alice, bob, carol) = (Home::new(), Home::new(), Home::new());
    let renter = renter(&alice);
    let (flags, gateway) = (serving(&alice), format!("http://{}", renter.public));
    let carols = serve(&carol, &at_price(&flags, "42"), &["--gateway", &gateway]);
    let bobs = serve(&bob, &flags, &["--gateway", &gateway]);
    let deployed = order(&alice, &["--bid-window", "20"]);
    assert_eq!((&deployed["state"], &deployed["node"]), (&json!("running"), &operator(&bob)), "{deployed}");
    let entry = alice.json(&["market", "show", deployed["deployment"].as_str().unwrap()]);
    let events: Vec<&Value> = entry["events"].as_array().unwrap().iter().map(|event| &event["event"]).collect();
    assert!(events.iter().filter(|event| **event == "bid").count() >= 1, "{entry}");
    assert_eq!(entry["rate"], "40");
    drop((bobs, carols));

    let refused = alice.run(&["deploy", &example("echo"), "--bid-window", "4"]);
    assert_eq!(refused.code, 2, "at home nobody bids: {refused:?}");
}

/// What a node may say of a heartbeat beside the truth, and why it is not believed.
fn lies(proven: &HeartbeatProof) -> Vec<(HeartbeatProof, &'static str)> {
    let (lease, _) = proven.verify().unwrap();
    let grown = LeaseState { records: lease.records + 1, ..lease };
    let another = LeaseState { deployment: DeploymentId { number: 999, ..lease.deployment }, ..lease };
    let alone = |lease: LeaseState| HeartbeatProof {
        deployment: lease.deployment.to_string(),
        records: lease.records,
        proof: Vec::new(),
        root: heartbeat_root(&[lease]).to_string(),
        ..proven.clone()
    };
    vec![
        (HeartbeatProof { records: grown.records, ..proven.clone() }, "failed to prove a heartbeat"),
        (alone(grown), "the chain has another root for it"),
        (HeartbeatProof { block: proven.block - 1, ..proven.clone() }, "the chain has no such heartbeat"),
        (HeartbeatProof { period: proven.period - 1, ..proven.clone() }, "the chain has no such heartbeat"),
        (alone(another), "it is of another deployment"),
        (
            HeartbeatProof { node: "0x92e268d7682ec0c006bc2d67db2662d91385cb1c".to_owned(), ..proven.clone() },
            "is another node's",
        ),
    ]
}

#[test]
fn an_order_is_given_by_what_nodes_are_known_for_and_an_offer_is_taken_at_once() {
    let (alice, bob, carol) = (Home::new(), Home::new(), Home::new());
    let wires = [Wire::new(), Wire::new()];
    let named = |who: &str, wire: &Wire| format!("{who}.example:80:{}", wire.address());
    let [bobs_name, carols_name] = [named("bob", &wires[0]), named("carol", &wires[1])];
    let near = ["--chain-dev", "--connect-to", &bobs_name, "--connect-to", &carols_name];
    let renter = renter_with(&alice, &near);
    let rpc = alice.json(&["node", "status"])["rpc"].as_str().unwrap().to_owned();
    let mining = Mining::begin(&rpc);
    let (flags, gateway) = (serving(&alice), format!("http://{}", renter.public));
    let at = |who: &str| format!("http://{who}.example");
    let bobs = serve(&bob, &at_price(&flags, "1"), &["--gateway", &gateway, "--endpoint", &at("bob")]);
    wires[0].leads_to(&bobs.public);

    // Bob works for eleven days, and somebody counts them: he himself, once a day.
    let asking = |package: &str, payment: &str, more: &[&str]| {
        let order = ["deploy", package, "--payment", payment, "--max-rate", "45", "--wait", "60"];
        alice.json(&[&order[..], more].concat())
    };
    let first = asking(&example("counter"), "400", &[]);
    assert_eq!(first["node"], operator(&bob), "{first}");
    on(&rpc, 11 * DAY);
    let known = eventually("bob's days to be counted", || {
        let known = bob.json(&["node", "status"])["reputation"].clone();
        (known["worked_seconds"].as_u64() > Some(10 * DAY)).then_some(known)
    });
    assert_eq!((&known["newcomer"], &known["fault_seconds"]), (&json!(false), &json!(0)), "{known}");
    let told = bob.ok(&["node", "status"]);
    assert!(told.contains("days of paid work counted"), "{told}");

    // What his heartbeat says of her agent he proves, and the chain has the root.
    let deployment = first["deployment"].as_str().unwrap();
    let unproven = alice.run(&["receipt", "heartbeat", "999"]).refusal();
    assert!(
        unproven.starts_with("exit 1\n") && unproven.contains("the market does not know this deployment"),
        "{unproven}"
    );
    into_next_period(&bob, &rpc, SHOWN + 1);
    let proven = eventually("bob's proof", || {
        let told = alice.run(&["--json", "receipt", "heartbeat", deployment]);
        serde_json::from_str::<HeartbeatProof>(&told.out).ok()
    });
    assert_eq!((json!(proven.node), proven.deployment.as_str()), (operator(&bob), deployment), "{proven:?}");
    let (_, root) = proven.verify().unwrap();
    assert_eq!(root.to_string(), proven.root);
    let told = alice.ok(&["receipt", "heartbeat", deployment]);
    assert!(told.contains(&format!("{}, as the chain has it in block {}", proven.root, proven.block)), "{told}");
    for (lie, why) in lies(&proven) {
        wires[0].says("200 OK", &serde_json::to_string(&lie).unwrap());
        let refused = alice.run(&["receipt", "heartbeat", deployment]).refusal();
        assert!(refused.starts_with("exit 3\n") && refused.contains(why), "{why}: {refused}");
    }
    wires[0].cut();
    wires[0].leads_to(&bobs.public);

    // Carol is cheaper, and nobody knows her.
    let carols = serve(&carol, &at_price(&flags, "0.5"), &["--gateway", &gateway, "--endpoint", &at("carol")]);
    wires[1].leads_to(&carols.public);
    let listed = alice.json(&["market", "nodes"]);
    let score = |who: &Home| {
        let of = |node: &&Value| node["operator"] == operator(who);
        listed.as_array().unwrap().iter().find(of).unwrap()["reputation"]["score"].as_u64().unwrap()
    };
    assert!(score(&bob) >= 2_500 && score(&carol) == 0, "{listed}");
    let [second, third, fourth, fifth] = ["second", "third", "fourth", "fifth"].map(|name| {
        let package = alice.copy_of("echo", name);
        package.edit("nisse.test.echo@", &format!("nisse.test.{name}@")).path().to_owned()
    });
    let by_score = ["--bid-window", WINDOW, "--select", "score"];
    let scored = ended_by(&alice, &rpc, "second", &bob, || asking(&second, "10", &by_score));
    assert_eq!(scored["node"], operator(&bob), "{scored}");
    let entry = alice.json(&["market", "show", scored["deployment"].as_str().unwrap()]);
    assert_eq!((&entry["select"], &entry["bid_window_seconds"]), (&json!("score"), &json!(30)), "{entry}");
    let cheapest = ended_by(&alice, &rpc, "third", &carol, || asking(&third, "10", &["--bid-window", WINDOW]));
    assert_eq!(cheapest["node"], operator(&carol), "{cheapest}");

    // Who asks every node gets the best offer at once.
    let offers = alice.json(&["market", "offers", &fourth]);
    let of = |place: usize| offers["offers"][place]["node"].clone();
    let all = [operator(&carol), operator(&bob), operator(&alice)];
    assert_eq!([of(0), of(1), of(2)], all, "the cheapest first, its own node's among them: {offers}");
    let instant = asking(&fourth, "10", &["--instant"]);
    assert_eq!(instant["node"], operator(&carol), "{instant}");
    let entry = alice.json(&["market", "show", instant["deployment"].as_str().unwrap()]);
    assert_eq!(entry["max_rate"], "0.5", "whoever comes after carol is paid no more than was agreed on: {entry}");
    let events = entry["events"].clone();
    let names: Vec<&str> = events.as_array().unwrap().iter().filter_map(|event| event["event"].as_str()).collect();
    assert_eq!(names[..3], ["deployed", "offer", "assigned"], "{events}");
    let blocks: Vec<_> = events.as_array().unwrap()[..3].iter().map(|event| &event["block"]).collect();
    assert!(blocks.iter().all(|block| *block == blocks[0]), "in one transaction: {events}");
    let trusted = asking(&fifth, "10", &["--instant", "--select", "highest-reputation"]);
    assert_eq!(trusted["node"], operator(&bob), "{trusted}");

    let refusal = |args: &[&str]| alice.run(args).refusal();
    let never = refusal(&["deploy", &example("echo"), "--payment", "1", "--max-rate", "0.1", "--instant"]);
    assert!(never.contains("the lowest offer is 0.5 TALOS per hour, and it may cost 0.1"), "{never}");
    assert!(never.contains("pay more with `--max-rate 0.5`"), "{never}");
    let unknown = refusal(&["deploy", &example("echo"), "--payment", "1", "--instant", "--select", "luck"]);
    assert!(
        unknown.starts_with("exit 2\n")
            && unknown.contains("lowest-price, highest-reputation, score, sealed-price or sealed-score"),
        "{unknown}"
    );
    let alone = refusal(&["deploy", &example("echo"), "--payment", "1", "--select", "score"]);
    assert!(alone.starts_with("exit 2\n") && alone.contains("--bid-window"), "{alone}");

    // A stranger learns what a client needs to know, and no more.
    let asked = |query: &str| {
        let path = format!("/.well-known/nisse/v1/offer?cpu_millis=250&memory_bytes=33554432&{query}");
        web::request(&carols.public, "GET", &path, &[("host", "carol.example")], b"").unwrap().json()
    };
    let client = format!("client={}", operator(&alice).as_str().unwrap());
    assert_eq!(asked(&client)["node"], operator(&carol));
    for nobody in ["", "client=0x12", "client=0x0000000000000000000000000000000000000000"] {
        let refused = asked(nobody);
        assert_eq!(refused["code"], "client_invalid", "{nobody}: {refused}");
    }
    let no_such = "failed to make an offer: this node takes no such agent now";
    let refused = asked(&format!("{client}&gpu=true"));
    assert_eq!((&refused["code"], &refused["title"]), (&json!("offer_refused"), &json!(no_such)), "{refused}");
    carol.ok(&["node", "drain"]);
    assert_eq!(asked(&client)["title"], no_such, "that it drains is nobody's matter");
    drop((bobs, carols, mining));
}

#[test]
fn sealed_bids_are_revealed_in_the_second_half_and_stake_of_one_that_was_not_comes_back_by_itself() {
    let (alice, bob, carol) = (Home::new(), Home::new(), Home::new());
    let renter = renter_with(&alice, &["--chain-dev"]);
    let rpc = alice.json(&["node", "status"])["rpc"].as_str().unwrap().to_owned();
    let mining = Mining::begin(&rpc);
    let (flags, gateway) = (serving(&alice), format!("http://{}", renter.public));
    let carols = serve(&carol, &at_price(&flags, "42"), &["--gateway", &gateway]);
    let bobs = serve(&bob, &flags, &["--gateway", &gateway]);
    let deployed = order(&alice, &["--bid-window", WINDOW, "--select", "sealed-price"]);
    assert_eq!((&deployed["state"], &deployed["node"]), (&json!("running"), &operator(&bob)), "{deployed}");
    let entry = alice.json(&["market", "show", deployed["deployment"].as_str().unwrap()]);
    assert_eq!((&entry["select"], &entry["rate"]), (&json!("sealed-price"), &json!("40")), "{entry}");
    let names: Vec<&str> =
        entry["events"].as_array().unwrap().iter().filter_map(|event| event["event"].as_str()).collect();
    let place = |name: &str| names.iter().position(|known| *known == name);
    let of = |name: &str| names.iter().filter(|known| **known == name).count();
    assert_eq!((of("bid sealed"), of("bid revealed")), (2, 2), "{names:?}");
    let last_sealed = names.iter().rposition(|known| *known == "bid sealed");
    assert!(
        place("bid") > last_sealed && place("bid revealed") > last_sealed,
        "no rate before all are made: {names:?}"
    );
    drop(carols);

    // Bob commits himself, and is away for the whole second half.
    let sealed = ["--payment", "100", "--max-rate", "45", "--bid-window", WINDOW, "--select", "sealed-price"];
    let placed = |name: &str| {
        let package = alice.copy_of("echo", name);
        let package = package.edit("nisse.test.echo@", &format!("nisse.test.{name}@")).path().to_owned();
        assert_eq!(alice.run(&[&["deploy", &package, "--wait", "1"], &sealed[..]].concat()).code, 3);
    };
    let event = |agent: &str, name: &str| {
        let listed = alice.json(&["market", "ls"]);
        let mut all = listed.as_array().unwrap().iter();
        let entry = all.find(|entry| entry["agent_id"].as_str().is_some_and(|id| id.contains(agent)))?;
        let shown = alice.json(&["market", "show", entry["deployment"].as_str()?]);
        shown["events"].as_array()?.iter().find(|event| event["event"] == name).cloned()
    };
    placed("second");
    eventually("bob's sealed bid", || event("second", "bid sealed"));
    let told = alice.json(&["status", "nisse.test.second"]);
    let reason = told["reason"].as_str().unwrap();
    assert!(reason.starts_with("its round of bids ends in ") && reason.contains(" s; no bid leads yet; "), "{told}");
    assert!(told["hint"].as_str().unwrap().starts_with("the best bid gets it when the round is over; "), "{told}");
    assert_eq!(told["lease"]["rate"], "45", "what it pays at most: {told}");
    let shown = alice.json(&["market", "show", told["deployment"].as_str().unwrap()]);
    let at = |key: &str| shown[key].as_u64().unwrap();
    assert_eq!(at("bids_until") - at("reveals_from"), WINDOW.parse::<u64>().unwrap() * 500, "{shown}");
    bobs.kill();
    on(&rpc, WINDOW.parse().unwrap());
    let bobs = serve(&bob, &flags, &["--gateway", &gateway]);
    let started = eventually("bob to take it all the same", || event("second", "started"));
    assert!(event("second", "bid revealed").is_none(), "{started}");
    assert!(event("second", "bid reclaimed").is_none(), "{started}");

    // Bob reveals and leads, and is away when the round is over.
    placed("third");
    eventually("bob's bid", || event("third", "bid revealed"));
    bobs.kill();
    on(&rpc, WINDOW.parse().unwrap());
    let bobs = serve(&bob, &flags, &["--gateway", &gateway]);
    eventually("bob to start what he won", || event("third", "started"));
    on(&rpc, DAY);
    eventually("bob's stake to come back", || event("second", "bid reclaimed"));

    let refusal = |args: &[&str]| alice.run(args).refusal();
    let short =
        refusal(&["deploy", &example("echo"), "--payment", "1", "--bid-window", "1", "--select", "sealed-price"]);
    assert!(short.starts_with("exit 2\n") && short.contains("a window of 12 s or more"), "{short}");
    let unlimited =
        refusal(&["deploy", &example("echo"), "--payment", "1", "--bid-window", "60", "--select", "sealed-price"]);
    assert!(unlimited.starts_with("exit 2\n") && unlimited.contains("add --max-rate TALOS"), "{unlimited}");
    let window = |seconds| ["deploy", &example("echo"), "--payment", "1", "--bid-window", seconds].map(str::to_owned);
    for (seconds, select) in [("86401", "sealed-price"), ("604801", "lowest-price")] {
        let asked = window(seconds);
        let asked: Vec<&str> = asked.iter().map(String::as_str).chain(["--select", select]).collect();
        let long = refusal(&asked);
        assert!(long.starts_with("exit 2\n") && long.contains("\nhint: give --bid-window a few "), "{long}");
    }
    let both = refusal(&["deploy", &example("echo"), "--payment", "1", "--instant", "--select", "sealed-price"]);
    assert!(both.starts_with("exit 2\n") && both.contains("leave --instant out"), "{both}");
    drop((bobs, mining));
}

#[test]
fn whom_an_order_names_is_asked_for_its_package_though_its_deployer_is_no_node_of_the_market() {
    let (alice, bob, dora) = (Home::new(), Home::new(), Home::new());
    let _market = renter(&alice);
    let flags = serving(&alice);
    let place = flags.iter().position(|flag| flag == "--accept").unwrap();
    let joining: Vec<&str> = flags[..place].iter().map(String::as_str).collect();
    let doras = dora.up(&[&joining[..], &["--endpoint", "http://dora.example"]].concat());
    let to: Address = operator(&dora).as_str().unwrap().parse().unwrap();
    let rpc = alice.json(&["node", "status"])["rpc"].as_str().unwrap().to_owned();
    as_owner(&alice, &rpc, "deployer", |market| async move {
        let amount = Amount(100 * Amount::TALOS.0);
        market.write("test/transfer", &MarketCall::Transfer { to, amount }).await.unwrap();
    });
    let exception = format!("dora.example:80:{}", doras.public);
    let _node = serve(&bob, &flags, &["--connect-to", &exception]);
    let deployed = order(&dora, &[]);
    assert_eq!((&deployed["state"], &deployed["node"]), (&json!("running"), &operator(&bob)), "{deployed}");
    let events = dora.json(&["market", "show", deployed["deployment"].as_str().unwrap()])["events"].clone();
    let terms = events.as_array().unwrap().iter().find(|event| event["event"] == "terms").unwrap();
    let told = "the winner is chosen by the lowest price; its package can be had of http://dora.example";
    assert_eq!(terms["detail"], told, "{events}");
}

#[test]
fn an_order_whose_node_never_starts_it_takes_bids_again_without_its_owner_asking() {
    let (alice, bob) = (Home::new(), Home::new());
    let renter = renter_with(&alice, &["--chain-dev"]);
    let rpc = alice.json(&["node", "status"])["rpc"].as_str().unwrap().to_owned();
    let mining = Mining::begin(&rpc);
    let order = ["deploy", &example("counter"), "--payment", "100", "--max-rate", "45", "--wait", "0"];
    let deployment = alice.json(&order)["deployment"].as_str().unwrap().to_owned();
    // Somebody takes it, and is never heard of again.
    let stake = Amount(10_000 * Amount::TALOS.0);
    let capacity = Resources { cpu: Cpu { millis: 1_000 }, memory: ByteSize(1 << 30), gpu: false };
    with_key(&alice, &rpc, LocalKey::from_bytes(&[0x51; 32]).unwrap(), |market| async move {
        market.faucet("faucet", stake).await.unwrap();
        market.register("register", "http://nobody.example", capacity, stake).await.unwrap();
        market.bid("bid", 2, AmountPerHour(44 * Amount::TALOS.0)).await.unwrap();
    });
    let shown = || alice.json(&["market", "show", &deployment]);
    eventually("it to be somebody's", || (shown()["state"] == "assigned").then_some(()));
    on(&rpc, 63);
    let open = eventually("it to take bids again", || Some(shown()).filter(|shown| shown["state"] == "open"));
    let last = open["events"].as_array().unwrap().last().unwrap();
    assert_eq!((&last["event"], &last["detail"]), (&json!("reopened"), &json!("takes bids again")), "{open}");
    let (flags, gateway) = (serving(&alice), format!("http://{}", renter.public));
    let _bobs = serve(&bob, &flags, &["--gateway", &gateway]);
    let taken = eventually("bob to run it", || Some(shown()).filter(|shown| shown["state"] == "running"));
    assert_eq!(taken["node"], operator(&bob), "{taken}");
    drop(mining);
}
