//! One function for each thing that a WASI program may reach for. None of them gives up before it was refused.
use bindings::wasi::cli::{environment as env, exit as leave, stderr, stdin, stdout};
use bindings::wasi::filesystem::preopens;
use bindings::wasi::random::{insecure, insecure_seed};
use bindings::wasi::sockets::network::{IpAddressFamily, IpSocketAddress, Ipv4SocketAddress};
use bindings::wasi::sockets::{instance_network, ip_name_lookup, tcp_create_socket, udp_create_socket};
use nisse_sdk::bindings::wasi::clocks::{monotonic_clock, wall_clock};
use nisse_sdk::bindings::wasi::random::random as secure;
use std::collections::BTreeSet;
use std::net::SocketAddrV4;

mod bindings {
    wit_bindgen::generate!({
        path: "../../../wit",
        inline: "
            package nisse:wasi-prober;
            world prober {
                import wasi:cli/environment@0.2.12;
                import wasi:cli/exit@0.2.12;
                import wasi:cli/stdin@0.2.12;
                import wasi:cli/stdout@0.2.12;
                import wasi:cli/stderr@0.2.12;
                import wasi:filesystem/preopens@0.2.12;
                import wasi:random/insecure@0.2.12;
                import wasi:random/insecure-seed@0.2.12;
                import wasi:sockets/instance-network@0.2.12;
                import wasi:sockets/ip-name-lookup@0.2.12;
                import wasi:sockets/tcp-create-socket@0.2.12;
                import wasi:sockets/udp-create-socket@0.2.12;
            }
        ",
        generate_all,
    });
}

/// Readings of a clock; enough to see steps finer than a millisecond if there were any.
const READINGS: usize = 1_000;

fn address(text: &str) -> Option<IpSocketAddress> {
    let address: SocketAddrV4 = text.parse().ok()?;
    let [a, b, c, d] = address.ip().octets();
    Some(IpSocketAddress::Ipv4(Ipv4SocketAddress { port: address.port(), address: (a, b, c, d) }))
}

pub fn tcp(to: &str) -> String {
    let Some(remote) = address(to) else { return "no address\n".into() };
    let mut told = String::new();
    for family in [IpAddressFamily::Ipv4, IpAddressFamily::Ipv6] {
        let socket = match tcp_create_socket::create_tcp_socket(family) {
            Ok(socket) => socket,
            Err(error) => {
                told.push_str(&format!("create: {error:?}\n"));
                continue;
            }
        };
        let network = instance_network::instance_network();
        let connected = socket.start_connect(&network, remote).and_then(|()| {
            socket.subscribe().block();
            socket.finish_connect()
        });
        match connected {
            Ok((_, output)) => {
                told.push_str(&format!("CONNECTED, wrote: {:?}\n", output.blocking_write_and_flush(b"x")))
            }
            Err(error) => told.push_str(&format!("connect: {error:?}\n")),
        }
    }
    told
}

pub fn udp(to: &str) -> String {
    let Some(remote) = address(to) else { return "no address\n".into() };
    let mut told = String::new();
    for family in [IpAddressFamily::Ipv4, IpAddressFamily::Ipv6] {
        let socket = match udp_create_socket::create_udp_socket(family) {
            Ok(socket) => socket,
            Err(error) => {
                told.push_str(&format!("create: {error:?}\n"));
                continue;
            }
        };
        let network = instance_network::instance_network();
        let any = address("0.0.0.0:0").expect("an address");
        let bound = socket.start_bind(&network, any).and_then(|()| {
            socket.subscribe().block();
            socket.finish_bind()
        });
        told.push_str(&format!("bind: {bound:?}\n"));
        match socket.stream(Some(remote)) {
            Ok((_, output)) => {
                let datagram =
                    bindings::wasi::sockets::udp::OutgoingDatagram { data: vec![b'x'], remote_address: None };
                let ready = output.check_send();
                told.push_str(&format!("SENDS: {ready:?}, {:?}\n", output.send(&[datagram])));
            }
            Err(error) => told.push_str(&format!("stream: {error:?}\n")),
        }
    }
    told
}

pub fn lookup(name: &str) -> String {
    let network = instance_network::instance_network();
    let stream = match ip_name_lookup::resolve_addresses(&network, name) {
        Ok(stream) => stream,
        Err(error) => return format!("resolve: {error:?}\n"),
    };
    stream.subscribe().block();
    match stream.resolve_next_address() {
        Ok(address) => format!("RESOLVED: {address:?}\n"),
        Err(error) => format!("resolve: {error:?}\n"),
    }
}

pub fn files() -> String {
    format!("{} folders\n", preopens::get_directories().len())
}

pub fn environment() -> String {
    let (variables, arguments) = (env::get_environment(), env::get_arguments());
    format!("variables {variables:?}, arguments {arguments:?}, folder {:?}\n", env::initial_cwd())
}

pub fn input() -> String {
    let input = stdin::get_stdin();
    match input.blocking_read(1) {
        Ok(bytes) => format!("READ: {bytes:?}\n"),
        Err(error) => format!("closed: {}\n", matches!(error, bindings::wasi::io::streams::StreamError::Closed)),
    }
}

/// How many of the readings were no whole millisecond, and whether one went back.
pub fn clocks() -> String {
    let (mut fine, mut back, mut before) = (0, 0, 0);
    for _ in 0..READINGS {
        let (now, wall) = (monotonic_clock::now(), wall_clock::now());
        fine += usize::from(now % 1_000_000 != 0) + usize::from(wall.nanoseconds % 1_000_000 != 0);
        back += usize::from(now < before);
        before = now;
    }
    let resolutions = (monotonic_clock::resolution(), wall_clock::resolution().nanoseconds);
    format!("fine {fine}, back {back}, resolutions {resolutions:?}\n")
}

/// Draws from every source and tells whether two draws were ever the same.
pub fn random(bytes: u64) -> String {
    let mut drawn = BTreeSet::new();
    drawn.insert(secure::get_random_bytes(bytes));
    drawn.insert(secure::get_random_bytes(bytes));
    drawn.insert(insecure::get_insecure_random_bytes(bytes));
    let mut numbers = BTreeSet::from([secure::get_random_u64(), insecure::get_insecure_random_u64()]);
    let (low, high) = insecure_seed::insecure_seed();
    numbers.extend([low, high]);
    format!("{} of 3 draws and {} of 4 numbers differ\n", drawn.len(), numbers.len())
}

pub fn print() -> String {
    let strange: [&[u8]; 4] = [
        b"\x1b[2Jcleared\n",
        b"\xff\xfe not UTF-8 \xc3\n",
        b"one\r\n2026-01-01 00:00:00.000 UTC error forged\n",
        b"no line break",
    ];
    for (number, line) in strange.into_iter().cycle().take(4_000).enumerate() {
        let stream = if number % 2 == 0 { stdout::get_stdout() } else { stderr::get_stderr() };
        if stream.blocking_write_and_flush(line).is_err() {
            return format!("refused after {number}\n");
        }
    }
    "printed\n".into()
}

pub fn exit(well: bool) -> String {
    leave::exit(if well { Ok(()) } else { Err(()) });
    "still here\n".into()
}
