//! The public endpoint of agents with `access`: each kind of rule × everybody who is not meant by it, on a real node.

mod town;

use std::fs::File;

use nisse_model::{InvocationRecord, MessageHasher, Timestamp};
use nisse_node::control::{DeviceEntry, ReceiptBundle, TokenRevoke};
use nisse_sandbox::compile_child_main;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use self::town::{Call, EDITOR, HOLDER, LISTED, PHONE, READER, ROOT, STRANGER, Town, came, did, shown};
use crate::tokens::house::now;

const GUEST: &str = "proxy-hello";
/// What strangers read: of whom nothing is known, and who is known and not admitted.
const UNPROVEN: &str = "failed to take the request: it does not prove who asks\n";
const NOT_ADMITTED: &str = "failed to take the request: whoever asks is not admitted to it\n";

/// Runs only when a node of these tests starts it to compile: this binary stands in for `nisse internal compile`.
#[test]
#[ignore = "the compile child of the nodes here"]
fn compile_child() {
    let mut answer = File::create("/dev/fd/3").expect("the parent gave a descriptor");
    compile_child_main(&mut std::io::stdin(), &mut answer).expect("it compiles");
}

/// An agent, who asks it, and what they show besides their proof.
struct Kind {
    agent: &'static str,
    caller: u8,
    shown: Option<String>,
}

impl Kind {
    fn get(&self, path: &str) -> Call {
        self.showing(Call::get(self.agent, path))
    }

    fn post(&self, body: &str) -> Call {
        self.showing(Call::post(self.agent, "/hook", body))
    }

    fn showing(&self, call: Call) -> Call {
        self.shown.iter().fold(call, |call, shown| call.with("authorization", shown))
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn each_kind_of_rule_admits_whom_it_names_and_nobody_else() {
    let town = Town::new().await;
    let space = town.space;
    town.deploy(GUEST, "t.open", "config: {}").await;
    town.deploy(GUEST, "t.closed", "access: []").await;
    town.deploy(GUEST, "t.keys", &format!("access:\n  - to: {}", did(LISTED))).await;
    town.deploy(GUEST, "t.identity", &format!("access:\n  - to: [{}, {}]", did(ROOT), did(LISTED))).await;
    town.deploy(GUEST, "t.owner", "access:\n  - to: owner").await;
    town.deploy(GUEST, "t.space", &format!("access:\n  - to: {{space: {space}, role: edit}}")).await;
    town.deploy(GUEST, "t.capability", "access:\n  - to: capability").await;
    let token = town.capability(HOLDER, "/agent/call?agent=t.capability");
    let kinds = [
        Kind { agent: "t.keys", caller: LISTED, shown: None },
        Kind { agent: "t.identity", caller: PHONE, shown: None },
        Kind { agent: "t.owner", caller: PHONE, shown: None },
        Kind { agent: "t.space", caller: EDITOR, shown: None },
        Kind { agent: "t.capability", caller: HOLDER, shown: Some(shown(vec![vec![token.clone()]])) },
    ];
    let ready = async || kinds[0].get("/").by(LISTED).send(&town).await.status == 200;
    town.eventually("the node to take calls by proofs", ready).await;

    for kind in &kinds {
        let (agent, caller) = (kind.agent, kind.caller);
        let status = async |call: Call| call.send(&town).await.status;
        let good = kind.get("/a?b=c").by(caller);
        let came = good.send(&town).await;
        assert_eq!((came.status, came.body.as_str()), (200, "hello\n"), "{agent}: {came:?}");
        assert_eq!(status(good.clone()).await, 401, "{agent}: replayed");
        assert_eq!(status(kind.post("a body").by(caller)).await, 200, "{agent}: with a body");
        let long = Call { host: format!("{}.LOCALHOST:80", agent.to_uppercase()), ..kind.get("/") };
        let long = long.by_as(caller, |other| other.host = format!("{agent}.localhost:80"));
        assert_eq!(status(long).await, 200, "{agent}: the host as it was asked, in lower case");

        let none = kind.get("/").send(&town).await;
        assert_eq!((none.status, none.body.as_str()), (401, UNPROVEN), "{agent}");
        assert!(none.head.contains("\r\nwww-authenticate: Nisse-Proof\r\n"), "{agent}: {}", none.head);
        assert_eq!(status(kind.get("/").with("nisse-proof", "key=me")).await, 401, "{agent}: garbage");
        let twice = kind.get("/").by(caller);
        let again = twice.value("nisse-proof");
        assert_eq!(status(twice.and("nisse-proof", &again)).await, 401, "{agent}: two proofs");
        let at = |seconds: i64| {
            let call = kind.get("/");
            call.clone().signed(&call, caller, now().seconds().saturating_add_signed(seconds))
        };
        assert_eq!(status(at(-1)).await, 401, "{agent}: expired");
        assert_eq!(status(at(600)).await, 401, "{agent}: good for too long");
        let other = |change: fn(&mut Call)| kind.get("/").by_as(caller, change);
        assert_eq!(status(other(|call| call.host = "t.closed.localhost".to_owned())).await, 401, "{agent}: other host");
        assert_eq!(status(other(|call| call.host.push_str(":80"))).await, 401, "{agent}: other authority");
        assert_eq!(status(other(|call| call.path = "/other".to_owned())).await, 401, "{agent}: other path");
        assert_eq!(status(other(|call| call.path.push('?'))).await, 401, "{agent}: other query");
        assert_eq!(status(other(|call| call.method = "HEAD".to_owned())).await, 401, "{agent}: other method");
        let body = kind.post("a body").by_as(caller, |call| call.body = "b body".to_owned());
        assert_eq!(status(body).await, 400, "{agent}: altered body");
        assert_eq!(status(kind.post("x").by(caller).without("content-digest")).await, 400, "{agent}: no digest");
        let digest = kind.post("y").by(caller).value("content-digest");
        assert_eq!(status(kind.post("x").by(caller).with("content-digest", &digest)).await, 401, "{agent}: its digest");
        let named = kind.get("/").by(STRANGER);
        let proof = named.value("nisse-proof").replace(&did(STRANGER), &did(caller));
        assert_eq!(status(named.with("nisse-proof", &proof)).await, 401, "{agent}: in another's name");

        let strangers = kind.get("/").by(STRANGER).send(&town).await;
        assert_eq!((strangers.status, strangers.body.as_str()), (403, NOT_ADMITTED), "{agent}");
        assert_eq!(status(Call::get("t.closed", "/").by(caller)).await, 403, "{agent}: of another agent");
    }

    // Nobody learns from an answer whether somebody would be admitted at all.
    let same = |mut one: town::Came| {
        one.head = one.head.lines().filter(|line| !line.starts_with("date: ")).collect();
        one
    };
    for by in [None, Some(STRANGER)] {
        let ask = async |agent: &str| {
            let call = Call::get(agent, "/");
            same(by.map_or_else(|| call.clone(), |by| call.clone().by(by)).send(&town).await)
        };
        let closed = ask("t.closed").await;
        for kind in &kinds {
            assert_eq!(ask(kind.agent).await, closed, "{}", kind.agent);
        }
    }
    let open = Call::get("t.open", "/").with("nisse-proof", "key=me").send(&town).await;
    assert_eq!((open.status, open.body.as_str()), (200, "hello\n"));

    // Whose role is lower, and whoever is a member as a device of one.
    assert_eq!(Call::get("t.space", "/").by(READER).send(&town).await.status, 403);
    assert_eq!(Call::get("t.space", "/").by(PHONE).send(&town).await.status, 200);
    // Of an identity its own devices may call.
    assert_eq!(Call::get("t.capability", "/").by(PHONE).send(&town).await.status, 200);
    assert_eq!(Call::get("t.capability", "/").by(HOLDER).send(&town).await.status, 403, "nothing is shown");
    let shows = async |chain: Vec<nisse_model::Credential>, by: u8| {
        Call::get("t.capability", "/").with("authorization", &shown(vec![chain])).by(by).send(&town).await.status
    };
    let (soon, past) = (Timestamp(now().0 + 60_000), Timestamp(now().0 - 1));
    assert_eq!(shows(vec![town.capability(HOLDER, "/agent/call?agent=t.keys")], HOLDER).await, 403, "of another agent");
    assert_eq!(
        shows(vec![town.capability(HOLDER, "/agent/logs?agent=t.capability")], HOLDER).await,
        403,
        "of another act"
    );
    assert_eq!(shows(vec![town.given(STRANGER, HOLDER, "/agent/call", soon, None)], HOLDER).await, 403, "nobody's");
    assert_eq!(shows(vec![town.given(ROOT, HOLDER, "/agent/call", past, None)], HOLDER).await, 403, "expired");
    assert_eq!(shows(vec![token.clone()], STRANGER).await, 403, "another's");
    let handed = town.given(HOLDER, STRANGER, "/agent/call?agent=t.capability", soon, Some(token.id()));
    assert_eq!(shows(vec![token.clone(), handed.clone()], STRANGER).await, 200, "handed on");

    // What is taken back is refused at once.
    let ids = vec![token.id().to_string()];
    town.owner().post::<()>("/api/v1/tokens/revoke", &TokenRevoke { ids }).await.unwrap();
    assert_eq!(kinds[4].get("/").by(HOLDER).send(&town).await.status, 403, "a capability that was taken back");
    assert_eq!(shows(vec![token, handed], STRANGER).await, 403, "and what was handed on");
    let cut = format!("/api/v1/devices/{}/revoke", did(PHONE));
    town.owner().post_nothing::<DeviceEntry>(&cut).await.unwrap();
    for agent in ["t.identity", "t.owner", "t.space", "t.capability"] {
        assert_eq!(Call::get(agent, "/").by(PHONE).send(&town).await.status, 403, "{agent}: a device that was cut off");
    }
    town.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn limits_are_those_of_the_rule_that_admits_and_the_owner_reads_which_one_refused() {
    let town = Town::new().await;
    let access = format!(
        "access:\n  - {{to: public, paths: [/hook], methods: [POST], rate: 4/h, body: 4B}}\n  - {{to: {}, body: 8B, rate: \
         3/h}}",
        did(LISTED)
    );
    town.deploy(GUEST, "t.hook", &access).await;
    let post = |body: &str| Call::post("t.hook", "/hook", body);
    let ready = async || {
        let came = Call::get("t.hook", "/").by(STRANGER).send(&town).await;
        assert!([403, 503].contains(&came.status), "{came:?}");
        came.status == 403
    };
    town.eventually("the node to take calls by proofs", ready).await;

    for (method, path) in [
        ("GET", "/hook"),
        ("post", "/hook"),
        ("POST", "/"),
        ("POST", "/hooks"),
        ("POST", "/Hook"),
        ("POST", "/hook/../x"),
        ("POST", "/hook/%2e%2e/x"),
        ("POST", "//hook"),
        ("POST", "/hook;x"),
    ] {
        let call = Call { method: method.to_owned(), ..Call::get("t.hook", path) };
        assert_eq!(call.send(&town).await.status, 401, "{method} {path}");
    }
    assert_eq!(post("four").send(&town).await.status, 200);
    // A body that is too large is refused before any of it has come, or where the limit is passed.
    let large = came(&town, &post("fivee").head()).await;
    assert_eq!((large.status, large.body.as_str()), (413, "a request's body has at most 4 bytes\n"));
    let chunked =
        "POST /hook HTTP/1.1\r\nhost: t.hook.localhost\r\ntransfer-encoding: chunked\r\n\r\n3\r\nabc\r\n2\r\nde\r\n";
    assert_eq!(came(&town, chunked).await.status, 413);
    assert_eq!(post("").send(&town).await.status, 200);
    let often = post("").send(&town).await;
    assert_eq!(often.status, 429);
    assert!(
        often.head.contains("\r\nretry-after: 900\r\n") || often.head.contains("\r\nretry-after: 89"),
        "{}",
        often.head
    );

    // Whoever is known has limits of their own, of the rule that admits them; what is replayed takes nothing of them.
    let known = post("eight ch").by(LISTED);
    assert_eq!(known.send(&town).await.status, 200);
    for _ in 0..4 {
        assert_eq!(known.send(&town).await.status, 429, "a stranger's, and those are too many by now");
        assert_eq!(Call::get("t.hook", "/").by(STRANGER).send(&town).await.status, 403);
    }
    assert_eq!(came(&town, &post("nine char").by(LISTED).head()).await.status, 413);
    assert_eq!(Call::get("t.hook", "/").by(LISTED).send(&town).await.status, 200);
    assert_eq!(Call::get("t.hook", "/").by(LISTED).send(&town).await.status, 429);

    // Each reason is a line, however often it was.
    let told = town.told("t.hook").await;
    let has = |text: &str| assert_eq!(told.iter().filter(|line| line.as_str() == text).count(), 1, "{text}: {told:#?}");
    has(
        "access refused GET /hook: rule 1 (public): it is about other methods; rule 2 (1 key): the request does not prove who asks",
    );
    has(
        "access refused POST /: rule 1 (public): it is about other paths; rule 2 (1 key): the request does not prove who asks",
    );
    has(&format!(
        "access refused GET / by {}: rule 1 (public): it is about other paths; rule 2 (1 key): the key is none of its own",
        did(STRANGER)
    ));
    has("access refused POST /hook: rule 1 (public): the body is too large (4B)");
    has("access refused POST /hook: rule 1 (public): too many requests (4/h)");
    has(&format!("access refused POST /hook by {}: rule 2 (1 key): the body is too large (8B)", did(LISTED)));
    has(&format!("access refused GET / by {}: rule 2 (1 key): too many requests (3/h)", did(LISTED)));
    town.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_agent_is_told_who_asks_by_its_node_alone() {
    let town = Town::new().await;
    let open = town.deploy(GUEST, "t.open", "config: {}").await.deployment;
    let mixed = format!("access:\n  - to: public\n  - to: {}", did(LISTED));
    let mixed = town.deploy(GUEST, "t.mixed", &mixed).await.deployment;
    // What the agent got follows from its record.
    let got = async |deployment: &str, call: Call, fields: &[(&str, &str)]| {
        let came = call.send(&town).await;
        assert_eq!(came.status, 200, "{came:?}");
        let receipt = came.head.lines().find_map(|line| line.strip_prefix("nisse-receipt: ")).unwrap();
        assert!(receipt.starts_with(deployment), "{receipt}");
        let record = async || {
            let bundle: ReceiptBundle = town.owner().get(&format!("/api/v1/receipts/{receipt}")).await.ok()?;
            InvocationRecord::decode(&hex::decode(bundle.record).unwrap()).ok()
        };
        town.eventually("the record", async || record().await.is_some()).await;
        let always = [("host", call.host.as_str()), ("connection", "close")];
        let fields: Vec<_> = always.iter().chain(fields).map(|(name, value)| (*name, value.as_bytes())).collect();
        let hasher = MessageHasher::request(&call.method, &call.path, fields.into_iter());
        assert_eq!(record().await.unwrap().input, hasher.finish(), "{deployment}");
    };
    let forged = |agent: &str| {
        let call = Call::get(agent, "/").and("nisse-caller", &did(LISTED)).and("Nisse-Caller", &did(ROOT));
        call.with("connection-x", "y")
    };
    let kept = [("connection-x", "y")];
    // A field that is taken out is followed by the last one.
    got(&open, forged("t.open"), &kept).await;
    got(&mixed, forged("t.mixed"), &kept).await;
    let ready = async || {
        Call::post("t.mixed", "/", "x").by_as(LISTED, |call| call.body.push('x')).send(&town).await.status == 400
    };
    town.eventually("the node to take calls by proofs", ready).await;
    let call = Call::get("t.mixed", "/").by(LISTED);
    let digest = call.value("content-digest");
    got(&mixed, call.and("nisse-caller", &did(ROOT)), &[("content-digest", &digest), ("nisse-caller", &did(LISTED))])
        .await;
    town.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_streamed_answer_ends_with_the_right_of_whoever_asked_for_it() {
    let town = Town::new().await;
    town.deploy("stream", "t.stream", &format!("access:\n  - to: owner\n  - to: {}", did(LISTED))).await;
    let ready = async || Call::get("t.stream", "/count").by(PHONE).send(&town).await.status == 200;
    town.eventually("the node to take calls by proofs", ready).await;
    let mut stream = TcpStream::connect(town.running.public).await.unwrap();
    stream.write_all(Call::get("t.stream", "/endless").by(PHONE).head().as_bytes()).await.unwrap();
    let mut piece = vec![0; 64 << 10];
    let read = stream.read(&mut piece).await.unwrap();
    assert!(piece[..read].starts_with(b"HTTP/1.1 200 OK\r\n"));
    for _ in 0..8 {
        assert!(stream.read(&mut piece).await.unwrap() > 0, "it goes on");
    }
    let cut = format!("/api/v1/devices/{}/revoke", did(PHONE));
    town.owner().post_nothing::<DeviceEntry>(&cut).await.unwrap();
    let mut last = Vec::new();
    let end = tokio::time::timeout(std::time::Duration::from_secs(20), stream.read_to_end(&mut last)).await;
    assert!(end.is_ok(), "it ends");
    assert!(!last.ends_with(b"\r\n0\r\n\r\n"), "and its client sees that the rest is missing");
    let free = async || Call::get("t.stream", "/count").by(LISTED).send(&town).await.status == 200;
    town.eventually("the agent to be free for others", free).await;
    town.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_update_brings_its_rules_along_and_forgets_no_call() {
    let town = Town::new().await;
    town.deploy(GUEST, "t.changing", &format!("access:\n  - to: {}", did(LISTED))).await;
    let call = |by: u8| Call::get("t.changing", "/").by(by);
    town.eventually("the node to take calls by proofs", async || call(LISTED).send(&town).await.status == 200).await;
    let before = call(LISTED);
    assert_eq!((before.send(&town).await.status, call(HOLDER).send(&town).await.status), (200, 403));
    let both = format!("access:\n  - to: [{}, {}]", did(LISTED), did(HOLDER));
    town.update(GUEST, "t.changing", "1.1.0", &both).await;
    assert_eq!((call(LISTED).send(&town).await.status, call(HOLDER).send(&town).await.status), (200, 200));
    assert_eq!(before.send(&town).await.status, 401, "it was taken before the update");
    town.update(GUEST, "t.changing", "1.2.0", "access: []").await;
    assert_eq!(
        (call(LISTED).send(&town).await.status, Call::get("t.changing", "/").send(&town).await.status),
        (403, 401)
    );
    town.end().await;
}
