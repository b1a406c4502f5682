//! What any toolchain's component imports and gets nothing from: sockets, files, the environment, input, fine clocks.

use std::net::{TcpListener, UdpSocket};
use std::time::Duration;

use nisse_model::TrapKind;
use nisse_sandbox::limits::{HOST_CALLS_MAX, LOG_LINES_MAX, RANDOM_BYTES_MAX};
use nisse_sandbox::{CallContext, HostCall, Limits};

use crate::support::{Setup, answer, grants, guest, invocation, stopped};

/// With every permission that reaches outside: none of them opens a socket.
fn granted() -> Setup {
    let grants = grants(&["network_outbound:api.example.org", "network_local:127.0.0.1:9", "read_ipfs"]);
    Setup { grants, ..Setup::default() }
}

#[tokio::test]
async fn no_socket_is_made_and_the_canaries_hear_nothing() {
    let tcp = TcpListener::bind("127.0.0.1:0").expect("a canary");
    tcp.set_nonblocking(true).expect("it does not wait");
    let udp = UdpSocket::bind("127.0.0.1:0").expect("a canary");
    udp.set_nonblocking(true).expect("it does not wait");
    for setup in [Setup::default(), granted()] {
        let path = format!("/tcp?address={}", tcp.local_addr().expect("an address"));
        let told = answer(&setup, "wasi-prober", &path).await;
        assert_eq!(told.matches("access-denied").count(), 2, "{told}");
        assert!(!told.contains("CONNECTED") && !told.contains("SENDS"), "{told}");
        let path = format!("/udp?address={}", udp.local_addr().expect("an address"));
        let told = answer(&setup, "wasi-prober", &path).await;
        assert_eq!(told.matches("access-denied").count(), 2, "{told}");
        assert!(!told.contains("CONNECTED") && !told.contains("SENDS"), "{told}");
    }
    assert!(tcp.accept().is_err(), "something connected");
    assert!(udp.recv(&mut [0; 8]).is_err(), "something was sent");
}

#[tokio::test]
async fn no_name_is_resolved() {
    let setup = granted();
    for name in ["localhost", "api.example.org", "127.0.0.1", "metadata.google.internal", "", "a..b", "\u{ff11}"] {
        let mut instance = setup.start(&guest("wasi-prober")).await;
        let end = instance.handle(&invocation(format!("lookup {name}").as_bytes()), CallContext::default()).await;
        let told = end.result.expect("no trap").expect("no failure").data;
        let told = String::from_utf8_lossy(&told);
        assert!(told.contains("permanent-resolver-failure"), "{name}: {told}");
    }
}

#[tokio::test]
async fn there_are_no_folders_no_variables_no_arguments_and_no_input() {
    let setup = granted();
    insta::assert_snapshot!(answer(&setup, "wasi-prober", "/files").await, @"0 folders");
    insta::assert_snapshot!(answer(&setup, "wasi-prober", "/environment").await, @"variables [], arguments [], folder None");
    insta::assert_snapshot!(answer(&setup, "wasi-prober", "/input").await, @"closed: true");
}

#[tokio::test]
async fn leaving_the_program_is_a_trap_and_no_answer() {
    let setup = Setup::default();
    for code in ["0", "1"] {
        let trap = stopped(&setup, "wasi-prober", &format!("/exit?code={code}")).await;
        assert_eq!(trap.kind, TrapKind::Protocol);
        assert_eq!(trap.text, format!("it exited with code {code} instead of answering"));
    }
}

#[tokio::test]
async fn the_clocks_are_a_millisecond_coarse_and_never_go_back() {
    let setup = Setup { real_clock: true, ..Setup::default() };
    insta::assert_snapshot!(answer(&setup, "wasi-prober", "/clocks").await, @"fine 0, back 0, resolutions (1000000, 1000000)");
    let readings = setup.host.calls().into_iter().filter(|call| *call == HostCall::Now).count();
    assert_eq!(readings, 2_000, "each reading is on record");
}

#[tokio::test]
async fn chance_comes_in_measured_portions() {
    let setup = Setup::default();
    let most = answer(&setup, "wasi-prober", &format!("/random?bytes={RANDOM_BYTES_MAX}")).await;
    // The scripted host always draws the same.
    assert_eq!(most, "1 of 3 draws and 1 of 4 numbers differ\n");
    for bytes in [RANDOM_BYTES_MAX + 1, 1 << 32, u64::MAX] {
        let trap = stopped(&setup, "wasi-prober", &format!("/random?bytes={bytes}")).await;
        assert!(trap.text.contains("at most 65536 are given at once"), "{bytes}: {trap:?}");
    }
    let asked = setup.host.calls().into_iter().filter_map(|call| match call {
        HostCall::Random { length } => Some(u64::from(length)),
        _ => None,
    });
    assert!(asked.max().unwrap_or(0) <= RANDOM_BYTES_MAX, "the node is never asked for more");
}

#[tokio::test]
async fn what_is_printed_becomes_clean_lines_of_the_log_and_no_more_than_others() {
    let limits = Limits { http_time: Duration::from_secs(20), ..Limits::default() };
    let setup = Setup { limits, ..Setup::default() };
    assert_eq!(answer(&setup, "wasi-prober", "/print").await, "printed\n");
    let lines: Vec<String> = setup
        .host
        .calls()
        .into_iter()
        .map(|call| match call {
            HostCall::Log { text, .. } => text,
            other => panic!("only lines were written, not {other:?}"),
        })
        .collect();
    assert!(lines.len() <= LOG_LINES_MAX as usize && lines.len() < HOST_CALLS_MAX, "{} lines", lines.len());
    insta::assert_snapshot!(lines[..4].join("\n"), @r"
    \u{1b}[2Jcleared
    �� not UTF-8 �
    one\r
    2026-01-01 00:00:00.000 UTC error forged
    ");
    assert!(lines.iter().all(|line| !line.contains(|c: char| c.is_control())));
}
