//! The committed price oracle in a real sandbox, before a host that scripts the outside.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use nisse_model::{Config, Effect, Event, Grants, InstanceId, Invocation, InvocationId, Policy, Timestamp};
use nisse_sandbox::{
    AgentProgram, CallContext, CallKey, CompiledArtifact, Engine, EngineOptions, Host, HostCall, HostReply,
    HttpResponse, Inspection, Limits, LiveInstance, ProgramOptions, Recording,
};
use nisse_store::Clock;
use serde_json::{Value, json};

use crate::packages::{examples, manifest, read};

const NOW: Timestamp = Timestamp(1_700_000_000_000);

/// State in a map, one file of assets, and an API that answers what a test says.
pub(crate) struct Outside {
    state: Mutex<BTreeMap<String, Vec<u8>>>,
    answer: Mutex<HttpResponse>,
    sent: Mutex<Vec<String>>,
}

#[async_trait]
impl Host for Outside {
    async fn call(&self, _: CallKey, call: HostCall) -> HostReply {
        match call {
            HostCall::StateGet { key } => {
                HostReply::Value { value: self.state.lock().expect("no panic").get(&key).cloned() }
            }
            HostCall::StateKeys { .. } => HostReply::Keys { keys: Vec::new() },
            HostCall::IpfsRead { .. } => {
                HostReply::Content { bytes: br#"[{ "id": "ethereum", "symbol": "ETH" }]"#.to_vec() }
            }
            HostCall::HttpSend { request } => {
                self.sent.lock().expect("no panic").push(format!("{request:?}"));
                HostReply::Response { response: self.answer.lock().expect("no panic").clone() }
            }
            HostCall::Now => HostReply::Time { now_ms: NOW.0 },
            HostCall::Random { length } => HostReply::Random { bytes: vec![4; length as usize] },
            HostCall::Log { .. } => HostReply::Done,
            other => panic!("the oracle has nothing to do with {other:?}"),
        }
    }
}

struct StillClock;

impl Clock for StillClock {
    fn now(&self) -> Timestamp {
        NOW
    }

    fn elapsed(&self) -> Duration {
        Duration::ZERO
    }
}

struct Oracle {
    outside: Arc<Outside>,
    instance: LiveInstance,
}

/// The package in a folder of `examples`, started, with state and an API behind it.
pub(crate) async fn start(folder: &str, config: &Value) -> (LiveInstance, Arc<Outside>) {
    let folder = examples().join(folder);
    let manifest = manifest(&folder);
    let artifact = read(&folder.join(manifest.entry_point.as_str()));
    let answer = HttpResponse { status: 200, fields: Vec::new(), body: br#"{"ethereum":{"usd":3120.55}}"#.to_vec() };
    let outside = Arc::new(Outside { state: Mutex::default(), answer: Mutex::new(answer), sent: Mutex::default() });
    let options = ProgramOptions {
        grants: Grants::from_manifest(&manifest, Policy { owner_is_node_operator: true }).expect("granted"),
        config: Config::new(config.as_object().expect("an object")).expect("a config"),
        limits: Limits::default(),
        recording: Recording::On,
        host: outside.clone(),
        clock: Arc::new(StillClock),
    };
    let engine = Engine::new(EngineOptions { pooled_instances: 4 }).expect("an engine");
    let compiled = CompiledArtifact::compile_here(&engine, &artifact).expect("it compiles");
    let inspection = Inspection::read(&artifact).expect("a component");
    let program = AgentProgram::link(&engine, &compiled, &inspection, options).expect("it links");
    (program.start(InstanceId([7; 16])).await.expect("it starts"), outside)
}

impl Oracle {
    async fn start() -> Self {
        let config = json!({ "assets": "bafkreigh2akiscaildcqabsyg3dfr6chu3fgpregiymsck7e7aqa4s52zy" });
        let (instance, outside) = start("price-oracle", &config).await;
        Self { outside, instance }
    }

    /// Handles an event, keeps its writes as a node would, and gives its outcome's text and its other effects.
    async fn handle(&mut self, event: Event) -> (String, Vec<Effect>) {
        let (id, function) = (InvocationId([1; 16]), Invocation::MAIN.to_owned());
        let invocation = Invocation { id, function, event, attempt: 1, deadline: NOW.plus_ms(5_000) };
        let end = self.instance.handle(&invocation, CallContext::default()).await;
        let outcome = end.result.expect("no trap").expect("no failure");
        let mut rest = Vec::new();
        for effect in end.effects {
            match effect {
                Effect::StatePut { key, value } => {
                    drop(self.outside.state.lock().expect("no panic").insert(key, value))
                }
                other => rest.push(other),
            }
        }
        (String::from_utf8(outcome.data).expect("text"), rest)
    }

    async fn get(&mut self, path: &str) -> (u16, String) {
        let request =
            http::Request::get(path).header("host", "oracle.localhost").body(Bytes::new()).expect("a request");
        let end = self.instance.http(InvocationId([2; 16]), request, CallContext::default()).await;
        let response = end.result.expect("it answers");
        let status = response.status().as_u16();
        (status, String::from_utf8(response.into_body().to_vec()).expect("text"))
    }
}

#[tokio::test]
async fn it_starts_with_an_alarm_and_has_no_price_before_it() {
    let mut oracle = Oracle::start().await;
    let (_, effects) = oracle.handle(Event::started("s".to_owned(), NOW)).await;
    assert_eq!(effects, [Effect::AlarmSet { at: NOW }]);
    for path in ["/", "/price", "/history"] {
        let (status, body) = oracle.get(path).await;
        assert_eq!(status, 503, "{path}");
        assert!(body.starts_with("no price has been fetched yet"), "{body}");
    }
    assert_eq!(oracle.get("/other").await.0, 404);
}

#[tokio::test]
async fn an_alarm_fetches_keeps_publishes_and_sets_the_next() {
    let mut oracle = Oracle::start().await;
    let (_, effects) = oracle.handle(Event::alarm("a".to_owned(), NOW)).await;
    let publish =
        Effect::PublishToChain { asset: "ETH/USD".parse().expect("a name"), value: 312_055_000_000, decimals: 8 };
    assert_eq!(effects, [publish, Effect::AlarmSet { at: NOW.plus_ms(60_000) }]);
    let sent = oracle.outside.sent.lock().expect("no panic").clone();
    assert!(sent[0].contains("/api/v3/simple/price?ids=ethereum&vs_currencies=usd"), "{sent:?}");

    let (status, body) = oracle.get("/price").await;
    let price: Value = serde_json::from_str(&body).expect("JSON");
    assert_eq!((status, &price["pair"], &price["price"]), (200, &json!("ETH/USD"), &json!(3120.55)));
    assert_eq!(price["time"], json!(NOW.0));
    oracle.handle(Event::alarm("b".to_owned(), NOW)).await;
    let history: Value = serde_json::from_str(&oracle.get("/history").await.1).expect("JSON");
    assert_eq!(history.as_array().map(Vec::len), Some(2));
}

#[tokio::test]
async fn a_failed_fetch_keeps_the_last_price_and_waits_longer_each_time() {
    let mut oracle = Oracle::start().await;
    oracle.handle(Event::alarm("a".to_owned(), NOW)).await;
    oracle.outside.answer.lock().expect("no panic").status = 429;
    for delay_ms in [120_000, 240_000, 480_000] {
        let (outcome, effects) = oracle.handle(Event::alarm("b".to_owned(), NOW)).await;
        assert!(outcome.ends_with("answered 429"), "{outcome}");
        assert_eq!(effects, [Effect::AlarmSet { at: NOW.plus_ms(delay_ms) }]);
    }
    assert_eq!(oracle.get("/").await.0, 200);
    oracle.outside.answer.lock().expect("no panic").status = 200;
    let (_, effects) = oracle.handle(Event::alarm("c".to_owned(), NOW)).await;
    assert_eq!(effects.last(), Some(&Effect::AlarmSet { at: NOW.plus_ms(60_000) }));
}

#[tokio::test]
async fn an_answer_that_is_no_price_is_a_failed_fetch() {
    let mut oracle = Oracle::start().await;
    for body in [&b"<html>"[..], b"{}", br#"{"ethereum":{"usd":-1}}"#, br#"{"ethereum":{"usd":0}}"#] {
        oracle.outside.answer.lock().expect("no panic").body = body.to_vec();
        let (_, effects) = oracle.handle(Event::alarm("a".to_owned(), NOW)).await;
        assert!(matches!(effects.as_slice(), [Effect::AlarmSet { .. }]), "{effects:?}");
    }
    assert_eq!(oracle.get("/").await.0, 503);
}
