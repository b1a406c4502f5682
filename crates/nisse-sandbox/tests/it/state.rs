//! State reads under the invocation's own writes, quotas, and the rule that an HTTP invocation writes before it answers.

use nisse_model::{ByteSize, Effect};
use nisse_sandbox::{CallContext, HostCall, Limits};

use crate::support::{Setup, get, guest, invocation};

#[tokio::test]
async fn a_read_sees_the_committed_state() {
    let setup = Setup::default();
    setup.host.state.lock().expect("no panic").insert("count".to_owned(), 41u64.to_be_bytes().to_vec());
    let mut instance = setup.start(&guest("counter")).await;
    let request = http::Request::post("/").header("host", "h").body(bytes::Bytes::new()).expect("a request");
    let end = instance.http(nisse_model::InvocationId([1; 16]), request, CallContext::default()).await;
    let response = end.result.expect("it answers");
    assert_eq!(String::from_utf8_lossy(response.body()), "42\n");
    assert_eq!(end.effects, [Effect::StatePut { key: "count".to_owned(), value: 42u64.to_be_bytes().to_vec() }]);
    assert_eq!(setup.host.calls(), [HostCall::StateGet { key: "count".to_owned() }]);
}

#[tokio::test]
async fn a_get_writes_nothing_and_has_no_effects() {
    let setup = Setup::default();
    let mut instance = setup.start(&guest("counter")).await;
    let end = instance.http(nisse_model::InvocationId([1; 16]), get("/"), CallContext::default()).await;
    assert_eq!(end.result.expect("it answers").body().as_ref(), b"0\n");
    assert_eq!(end.effects, []);
}

#[tokio::test]
async fn keys_and_values_past_their_limits_are_refused_with_the_limit() {
    let setup = Setup::default();
    let mut instance = setup.start(&guest("state-filler")).await;
    let end = instance.handle(&invocation(b"edges"), CallContext::default()).await;
    let outcome = end.result.expect("no trap").expect("no failure");
    insta::assert_snapshot!(String::from_utf8_lossy(&outcome.data), @r"
    key of 0: Err(KeyLength { bytes: 0 })
    key of 1: Ok(())
    key of 512: Ok(())
    key of 513: Err(KeyLength { bytes: 513 })
    key of 1048576: Err(KeyLength { bytes: 1048576 })
    value of 0: Ok(())
    value of 1048576: Ok(())
    value of 1048577: Err(ValueLength { bytes: 1048577 })
    value of 8388608: Err(ValueLength { bytes: 8388608 })
    ");
}

#[tokio::test]
async fn state_is_refused_past_its_quota() {
    let limits = Limits { state: ByteSize(4 << 20), memory: ByteSize(256 << 20), ..Limits::default() };
    let setup = Setup { limits, ..Setup::default() };
    let mut instance = setup.start(&guest("state-filler")).await;
    let context = CallContext { state_bytes: 1 << 20, ..CallContext::default() };
    let end = instance.handle(&invocation(b"huge"), context).await;
    let outcome = end.result.expect("no trap").expect("no failure");
    assert!(String::from_utf8_lossy(&outcome.data).starts_with("refused after 2"), "{outcome:?}");
    assert_eq!(end.effects.len(), 2);
}

#[tokio::test]
async fn replacing_a_value_needs_no_further_quota() {
    let setup = Setup { limits: Limits { state: ByteSize(13), ..Limits::default() }, ..Setup::default() };
    setup.host.state.lock().expect("no panic").insert("count".to_owned(), 1u64.to_be_bytes().to_vec());
    let mut instance = setup.start(&guest("counter")).await;
    let request = http::Request::post("/").header("host", "h").body(bytes::Bytes::new()).expect("a request");
    let context = CallContext { state_bytes: 13, ..CallContext::default() };
    let end = instance.http(nisse_model::InvocationId([1; 16]), request, context).await;
    assert_eq!(end.result.expect("it answers").status(), 200);
    assert_eq!(end.effects.len(), 1);
}
