//! What the node itself asks whom strangers named: any public host, and nothing inside.

use nisse_egress::{EgressError, Reach, Verdict};

use crate::world::{HOST, LONG, PUBLIC_V4, World};

/// The same request, asked by the node and not under a permission.
async fn ask(world: &World, url: &str) -> Result<(u16, String), EgressError> {
    let mut request = world.request(url);
    request.reach = Reach::Public;
    world.send(request).await
}

#[tokio::test]
async fn a_public_host_is_reached_by_name_or_address_without_a_permission() {
    let world = World::new(&[]).with_host();
    assert!(matches!(world.get(&format!("http://{HOST}/")).await, Err(EgressError::NotGranted { .. })));
    for url in [format!("http://{HOST}/a"), format!("https://{HOST}/a"), format!("http://{PUBLIC_V4}/a")] {
        assert_eq!(ask(&world, &url).await.unwrap().0, 200, "{url}");
    }
    let line = world.audit.lines().pop().unwrap();
    assert_eq!((line.rule.as_str(), line.verdict), ("public", Verdict::Allowed));
}

#[tokio::test]
async fn nothing_inside_is_dialled_whatever_names_it() {
    let world = World::new(&[]);
    for (name, addresses) in [
        ("loopback.example.com", &["127.0.0.1"][..]),
        ("private.example.com", &["10.0.0.7"]),
        ("metadata.example.com", &["169.254.169.254"]),
        ("mixed.example.com", &[PUBLIC_V4, "192.168.0.1"]),
        ("six.example.com", &["::1"]),
    ] {
        world.names.answer(name, addresses, LONG);
        let refused = ask(&world, &format!("http://{name}/")).await.unwrap_err();
        assert!(matches!(refused, EgressError::Address { .. }), "{name}: {refused}");
    }
    for url in
        ["http://127.0.0.1/", "http://localhost/", "http://[::1]/", "http://192.168.1.1:8080/", "http://0.0.0.0/"]
    {
        assert!(ask(&world, url).await.is_err(), "{url}");
    }
    world.nothing_dialled_beyond(0);
}
