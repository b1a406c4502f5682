//! Who provides what: as a client of `/routing/v1` sees this node, and as this node reads others' answers.

use http::{Method, Request, Response};
use nisse_content::gateway::Body;
use nisse_content::routing::{PROVIDERS_MAX, Provider, gateways, handle};
use nisse_content::{PinKind, Profile};
use nisse_model::{ContentId, PeerId};
use serde_json::{Value, json};

use crate::support::Home;

fn me() -> Provider {
    Provider { peer: PeerId::of_secp256k1(&[2; 33]), url: "https://node.example:8443".parse().unwrap() }
}

fn ask(home: &Home, method: Method, target: &str, accept: &str) -> Response<Vec<u8>> {
    let request = Request::builder().method(method).uri(target).header("accept", accept).body(()).unwrap();
    let answer: Response<Body> = handle(&me(), |cid| home.store.is_public(cid), &request);
    let (head, body) = answer.into_parts();
    Response::from_parts(head, body.map(|piece| piece.unwrap()).collect::<Vec<_>>().concat())
}

fn json_of(answer: &Response<Vec<u8>>) -> Value {
    serde_json::from_slice(answer.body()).unwrap()
}

fn added(home: &Home, text: &str, pin: &str) -> ContentId {
    let cid = home.store.add_bytes(text.as_bytes(), Profile::UnixFs2025).unwrap();
    home.store.pin(pin, &[cid]).unwrap();
    cid
}

#[test]
fn a_node_names_itself_for_what_anybody_may_read_and_for_nothing_else() {
    let home = Home::new();
    let public = added(&home, "for everybody", "added/a");
    let private = added(&home, "for nobody", PinKind::State.name("b").as_str());
    let elsewhere = ContentId::raw(nisse_model::Hash256::of(b"elsewhere"));
    let answer = ask(&home, Method::GET, &format!("/routing/v1/providers/{public}"), "application/json");
    assert_eq!(
        (answer.status(), &answer.headers()["content-type"]),
        (http::StatusCode::OK, &"application/json".parse().unwrap())
    );
    let record = json!({
        "Schema": "peer",
        "ID": me().peer.to_string(),
        "Addrs": ["/dns/node.example/tcp/8443/https"],
        "Protocols": ["transport-ipfs-gateway-http"],
    });
    assert_eq!(json_of(&answer), json!({ "Providers": [record] }));
    // What this node answers, a node reads.
    assert_eq!(gateways(answer.body()), [me().url]);
    for cid in [private, elsewhere] {
        let answer = ask(&home, Method::GET, &format!("/routing/v1/providers/{cid}"), "*/*");
        assert_eq!((answer.status().as_u16(), json_of(&answer)), (200, json!({ "Providers": [] })));
    }
}

#[test]
fn answers_come_as_lines_or_filtered_where_that_is_asked_for() {
    let home = Home::new();
    let cid = added(&home, "for everybody", "added/a");
    let lines =
        ask(&home, Method::GET, &format!("/routing/v1/providers/{cid}"), "application/x-ndjson, application/json");
    assert_eq!(lines.headers()["content-type"], "application/x-ndjson");
    assert_eq!((lines.body().last(), gateways(lines.body())), (Some(&b'\n'), vec![me().url]));
    for (filter, found) in [
        ("filter-protocols=transport-ipfs-gateway-http", 1),
        ("filter-protocols=transport-bitswap", 0),
        ("filter-protocols=unknown,transport-ipfs-gateway-http", 1),
        ("filter-addrs=https", 1),
        ("filter-addrs=webtransport%2Chttps", 1),
        ("filter-addrs=http", 0),
        ("filter-addrs=!https", 0),
        ("filter-addrs=!p2p-circuit", 1),
        ("filter-addrs=tcp&filter-protocols=transport-bitswap", 0),
    ] {
        let answer = ask(&home, Method::GET, &format!("/routing/v1/providers/{cid}?{filter}"), "application/json");
        assert_eq!(json_of(&answer)["Providers"].as_array().unwrap().len(), found, "{filter}");
    }
    let head = ask(&home, Method::HEAD, &format!("/routing/v1/providers/{cid}"), "application/json");
    assert!(head.status().is_success() && head.body().is_empty() && head.headers()["content-length"] != "0");
}

#[test]
fn what_is_no_question_is_refused_with_a_code() {
    let home = Home::new();
    for (method, path, status, code) in [
        (Method::GET, "/routing/v1/providers/nonsense", 400, "bad-cid"),
        (Method::GET, "/routing/v1/providers/", 400, "bad-cid"),
        (Method::PUT, "/routing/v1/providers/", 405, "method-not-allowed"),
    ] {
        let answer = ask(&home, method, path, "*/*");
        assert_eq!((answer.status().as_u16(), &json_of(&answer)["code"]), (status, &json!(code)), "{path}");
    }
}

#[test]
fn of_a_routers_answer_only_gateways_are_taken_each_once() {
    let many: Vec<String> = (0..40).map(|at| format!("/dns/host-{at}.example/tcp/443/https")).collect();
    let answer = json!({ "Providers": [
        { "Schema": "bitswap", "ID": "x", "Addrs": ["/ip4/1.2.3.4/tcp/4001"] },
        { "Schema": "peer", "ID": "y", "Addrs": ["/ip4/1.2.3.4/udp/4001/quic-v1", "/ip4/1.2.3.4/tcp/8080/http"] },
        { "Schema": "peer", "ID": "z", "Addrs": ["/ip4/1.2.3.4/tcp/8080/http"] },
        { "Schema": "peer", "ID": "w" },
        7,
        { "Schema": "peer", "Addrs": many },
    ]});
    let found = gateways(answer.to_string().as_bytes());
    assert_eq!((found.len(), found[0].to_string().as_str()), (PROVIDERS_MAX, "http://1.2.3.4:8080"));
    for nothing in
        ["", "null", "{}", "[]", "nonsense", "{\"Providers\":null}", "{\"Providers\":{}}", "{\"Addrs\":\"/http\"}"]
    {
        assert_eq!(gateways(nothing.as_bytes()), [], "{nothing}");
    }
}
