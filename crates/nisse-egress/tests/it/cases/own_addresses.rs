//! E13: the node's own addresses and listeners, by whichever of the machine's addresses they are named.

use nisse_egress::fake::FakeServer;
use nisse_egress::{Dialler as _, OwnAddresses, TcpDialler};

use crate::world::{HOST, PUBLIC_V4, PUBLIC_V6, SCHEMES, World};

#[tokio::test]
async fn e13_the_nodes_own_addresses_and_listeners_are_not_reached() {
    let own = OwnAddresses {
        addresses: vec![PUBLIC_V4.parse().unwrap(), PUBLIC_V6.parse().unwrap()],
        listeners: vec!["127.0.0.1:4501".parse().unwrap(), "0.0.0.0:4502".parse().unwrap()],
    };
    for (rule, scheme) in SCHEMES {
        let world = World::new(&[rule]).with_host();
        world.egress.set_own_addresses(own.clone());
        let refused = world.get(&format!("{scheme}://{HOST}/")).await.expect_err("must be refused");
        assert_eq!(refused.reason(), "own_address");
        world.nothing_dialled_beyond(0);
    }
    // Nobody has to tell it its addresses: the machine knows them.
    for (rule, scheme) in SCHEMES {
        let world = World::new(&[rule]).with_host();
        world.network.is_here(PUBLIC_V4);
        let refused = world.get(&format!("{scheme}://{HOST}/")).await.expect_err("must be refused");
        assert_eq!(refused.reason(), "own_address");
        world.nothing_dialled_beyond(0);
    }
    let services = ["127.0.0.1:4501", "localhost:4501", "localhost:4502", "[::1]:4502", "127.0.0.1:4502"];
    for service in services {
        let world = World::new(&[]).with_local(&[service]);
        world.egress.set_own_addresses(own.clone());
        let refused = world.get(&format!("http://{service}/api/v1")).await.expect_err("must be refused");
        assert_eq!(refused.reason(), "own_address", "{service}");
        world.nothing_dialled_beyond(0);
    }
}

#[tokio::test]
async fn e13_a_listener_on_every_address_is_not_reached_by_a_private_one() {
    let world = World::new(&[]).with_local(&["192.168.7.2:4502", "192.168.7.2:4503", "192.168.7.9:4502"]);
    let listeners = vec!["0.0.0.0:4502".parse().unwrap()];
    world.egress.set_own_addresses(OwnAddresses { addresses: Vec::new(), listeners });
    world.network.is_here("192.168.7.2");
    let refused = world.get("http://192.168.7.2:4502/").await.expect_err("must be refused");
    assert_eq!(refused.reason(), "own_address");
    world.nothing_dialled_beyond(0);
    // Another service of this machine, and the same port of another machine, are what the owner allowed.
    for service in ["192.168.7.2:4503", "192.168.7.9:4502"] {
        world.network.serve(service, FakeServer::ok("hello"));
        assert_eq!(world.get(&format!("http://{service}/")).await.expect("allowed").1, "hello");
    }
}

#[test]
fn e13_the_machine_knows_which_addresses_are_its_own() {
    let machine = TcpDialler;
    for (address, own) in [
        ("127.0.0.1", true),
        ("127.9.9.9", true),
        ("93.184.216.34", false),
        ("2606:2800:220:1::34", false),
        ("255.255.255.255", false),
    ] {
        assert_eq!(machine.ends_here(address.parse().unwrap()), own, "{address}");
    }
}
