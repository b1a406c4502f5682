//! The sandbox alone behind hyper: what `wasmtime serve` does, with nisse's limits on and no node around it.
//!
//! `serve live|fresh ARTIFACT CACHE` prints its address and serves until it is killed; started by the table of `bench/`.
//! `live` keeps instances for the next request, `fresh` makes one for each; compiled code is taken from the folder CACHE.
#![allow(clippy::print_stdout, clippy::unwrap_used, reason = "a bench prints, and stops at the first surprise")]

#[allow(dead_code, reason = "shared with the tests, which use all of it")]
#[path = "../tests/it/support.rs"]
mod support;

use std::convert::Infallible;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use nisse_model::{Config, Cpu, Grants, InstanceId, InvocationId};
use nisse_sandbox::{
    ARTIFACT_BYTES_MAX, AgentProgram, CallContext, CompileCommand, CompileLimits, Compiler, Engine, EngineOptions,
    Inspection, Limits, LiveInstance, ProgramOptions, Recording, compile_child_main,
};
use nisse_store::{Disk, SystemClock, SystemDisk, SystemEntropy};
use tokio::net::TcpListener;

use self::support::ScriptedHost;

/// As many instances as connections, with room for those that are being replaced.
const INSTANCES: u32 = 64;

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match &arguments[..] {
        [compile] if compile == "compile" => {
            compile_child_main(&mut std::io::stdin().lock(), &mut std::io::stdout().lock()).unwrap();
        }
        [how, artifact, cache] if how == "live" || how == "fresh" => {
            let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
            runtime.block_on(serve(how == "live", Path::new(artifact), Path::new(cache)));
        }
        // `cargo bench` starts every bench: alone there is nobody to serve.
        _ => {}
    }
}

async fn serve(live: bool, artifact: &Path, cache: &Path) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let program = program(artifact, cache).await;
    println!("{}", listener.local_addr().unwrap());
    let idle: Arc<Mutex<Vec<LiveInstance>>> = Arc::default();
    loop {
        let (stream, _) = listener.accept().await.unwrap();
        stream.set_nodelay(true).unwrap();
        let (program, idle) = (program.clone(), idle.clone());
        tokio::spawn(async move {
            let service = service_fn(|request| answer(&program, live.then_some(&*idle), request));
            // A connection that breaks off is the load's end.
            let _ = http1::Builder::new().serve_connection(TokioIo::new(stream), service).await;
        });
    }
}

async fn program(artifact: &Path, cache: &Path) -> AgentProgram {
    let artifact = SystemDisk.read(artifact, ARTIFACT_BYTES_MAX as u64).unwrap();
    let engine = Engine::new(EngineOptions { pooled_instances: INSTANCES }).unwrap();
    let command = CompileCommand { program: std::env::current_exe().unwrap(), arguments: vec!["compile".into()] };
    let limits = CompileLimits::default();
    let disk = Arc::new(SystemDisk);
    let compiler = Compiler::new(engine.clone(), disk, cache.to_owned(), &SystemEntropy, command, limits).unwrap();
    let compiled = compiler.compile(&artifact).await.unwrap();
    let options = ProgramOptions {
        grants: Grants::none(),
        config: Config::new(&serde_json::Map::new()).unwrap(),
        // Many processors, so that the share of one agent is not what is measured.
        limits: Limits { cpu: Cpu { millis: 64_000 }, idle: Duration::MAX, ..Limits::default() },
        recording: Recording::Off,
        host: Arc::new(ScriptedHost::default()),
        clock: Arc::new(SystemClock::default()),
    };
    AgentProgram::link(&engine, &compiled, &Inspection::read(&artifact).unwrap(), options).unwrap()
}

async fn answer(
    program: &AgentProgram,
    idle: Option<&Mutex<Vec<LiveInstance>>>,
    request: Request<Incoming>,
) -> Result<Response<Full<Bytes>>, Infallible> {
    let (head, body) = request.into_parts();
    let request = Request::from_parts(head, body.collect().await.unwrap().to_bytes());
    let waiting = idle.and_then(|idle| idle.lock().unwrap().pop());
    let mut instance = match waiting {
        Some(instance) => instance,
        None => program.start(InstanceId([7; 16])).await.unwrap(),
    };
    let end = instance.http(InvocationId([1; 16]), request, CallContext::default()).await;
    if let Some(idle) = idle
        && !instance.has_ended()
    {
        idle.lock().unwrap().push(instance);
    }
    Ok(end.result.unwrap().map(Full::new))
}
