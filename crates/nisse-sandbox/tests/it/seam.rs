//! The same host over a socket pair: what crosses the seam is messages and nothing else.

use std::sync::Arc;

use nisse_model::InvocationId;
use nisse_sandbox::{
    AgentProgram, CallContext, CallKey, CompiledArtifact, Host, HostCall, HostFailureKind, HostReply, HttpField,
    HttpRequest, Inspection, LogLevel, ProgramOptions, RemoteHost, serve_host,
};
use tokio::net::UnixStream;

use crate::support::{Setup, get, guest, invocation};

#[tokio::test]
async fn an_agent_runs_the_same_over_a_socket_pair() {
    let setup = Setup::default();
    setup.host.state.lock().expect("no panic").insert("requests".to_owned(), 6u64.to_be_bytes().to_vec());
    let (near, far) = UnixStream::pair().expect("a socket pair");
    let served = tokio::spawn(serve_host(far, setup.host.clone()));
    let remote: Arc<dyn Host> = Arc::new(RemoteHost::new(near));

    let artifact = guest("echo");
    let compiled = CompiledArtifact::compile_here(&setup.engine, &artifact).expect("it compiles");
    let options = ProgramOptions {
        grants: setup.grants.clone(),
        config: setup.config.clone(),
        limits: setup.limits.clone(),
        recording: setup.recording,
        host: remote,
        clock: setup.clock.clone(),
    };
    let inspection = Inspection::read(&artifact).expect("a component");
    let program = AgentProgram::link(&setup.engine, &compiled, &inspection, options).expect("it links");
    let mut over_socket = program.start(nisse_model::InstanceId([7; 16])).await.expect("it starts");
    let mut in_process = setup.start(&artifact).await;

    let far_end = over_socket.http(InvocationId([1; 16]), get("/x"), CallContext::default()).await;
    let near_end = in_process.http(InvocationId([1; 16]), get("/x"), CallContext::default()).await;
    assert_eq!(far_end.trace, near_end.trace);
    assert_eq!(far_end.effects, near_end.effects);
    assert_eq!(far_end.result.expect("it answers").headers()["x-requests"], "7");
    let far_end = over_socket.handle(&invocation(b"abc"), CallContext::default()).await;
    let near_end = in_process.handle(&invocation(b"abc"), CallContext::default()).await;
    assert_eq!(far_end.trace, near_end.trace);

    drop((over_socket, program));
    served.await.expect("no panic").expect("the other side left in order");
}

#[tokio::test]
async fn a_host_that_left_is_unavailable_and_nobody_waits_for_it() {
    let (near, far) = UnixStream::pair().expect("a socket pair");
    let remote = RemoteHost::new(near);
    drop(far);
    let reply = remote.call(CallKey { invocation: [0; 16], index: 0 }, HostCall::Now).await;
    let HostReply::Failed { failure } = reply else { panic!("nobody answered, but {reply:?} came") };
    assert_eq!(failure.kind, HostFailureKind::Unavailable);
}

#[tokio::test]
async fn calls_overlap_and_each_gets_its_own_answer() {
    let setup = Setup::default();
    let (near, far) = UnixStream::pair().expect("a socket pair");
    tokio::spawn(serve_host(far, setup.host.clone()));
    let remote = RemoteHost::new(near);
    let draws = (1..200).map(|length| {
        let remote = &remote;
        async move {
            let key = CallKey { invocation: [0; 16], index: length };
            match remote.call(key, HostCall::Random { length }).await {
                HostReply::Random { bytes } => assert_eq!(bytes.len() as u32, length),
                other => panic!("{other:?} is no randomness"),
            }
        }
    });
    futures::future::join_all(draws).await;
}

#[test]
fn a_message_keeps_its_bytes() {
    let fields = vec![HttpField { name: "accept".to_owned(), value: vec![0, 255] }];
    let request = HttpRequest {
        method: "GET".to_owned(),
        scheme: "https".to_owned(),
        authority: "example.org".to_owned(),
        path: "/".to_owned(),
        fields,
        body: vec![1],
        timeout_ms: Some(5),
        response_bytes_max: 6,
    };
    for call in [
        HostCall::HttpSend { request },
        HostCall::StateKeys { prefix: "a".to_owned(), after: None, limit: 3 },
        HostCall::Log { level: LogLevel::Warn, text: "x".to_owned() },
    ] {
        let bytes = minicbor::to_vec(&call).expect("it encodes");
        assert_eq!(minicbor::decode::<HostCall>(&bytes).expect("it decodes"), call);
    }
    // The encoding is on disk by its hash (invocation records), so it may not drift.
    let now = minicbor::to_vec(HostCall::Now).expect("it encodes");
    assert_eq!(now, [0x82, 0x04, 0x80]);
}
