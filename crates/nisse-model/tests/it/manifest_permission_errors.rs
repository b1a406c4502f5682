//! Refusals of permissions: each names the kind that was meant, or what its arguments should look like.

use insta::assert_snapshot;
use nisse_model::{Manifest, ManifestProblem};

use crate::manifest::{changed, refused};

/// A permission of the printed example.
pub(crate) const OUTBOUND: &str = "network_outbound:api.coingecko.com";

#[test]
fn an_unknown_permission_names_the_nearest() {
    assert_snapshot!(refused("read_ipfs", "read-ipfs"), @r#"line 15, column 5: found the wrong permission "read-ipfs": cannot find the permission kind "read-ipfs": expected one of network_outbound, network_local, secret, space, read_ipfs, publish_to_chain; did you mean `read_ipfs`?"#);
}

#[test]
fn an_unknown_permission_without_a_neighbour_lists_the_kinds() {
    assert_snapshot!(refused("read_ipfs", "filesystem:/home"), @r#"line 15, column 5: found the wrong permission "filesystem:/home": cannot find the permission kind "filesystem": expected one of network_outbound, network_local, secret, space, read_ipfs, publish_to_chain"#);
}

#[test]
fn a_permission_without_its_arguments_is_refused() {
    assert_snapshot!(refused(OUTBOUND, "network_outbound"), @r#"line 14, column 5: found the wrong permission "network_outbound": cannot use `network_outbound` without arguments: expected `network_outbound:HOST[:PORT]`; write `network_outbound:HOST[:PORT]`"#);
}

#[test]
fn a_permission_with_arguments_that_it_does_not_take_is_refused() {
    assert_snapshot!(refused("publish_to_chain", "publish_to_chain:ETH/USD"), @r#"line 16, column 5: found the wrong permission "publish_to_chain:ETH/USD": cannot use `publish_to_chain` with arguments: expected `publish_to_chain` alone; write `publish_to_chain`"#);
}

#[test]
fn a_url_instead_of_a_host_is_refused() {
    assert_snapshot!(refused(OUTBOUND, "network_outbound:https://api.coingecko.com/api/v3"), @r#"line 14, column 5: found the wrong permission "network_outbound:https://api.coingecko.com/api/v3": cannot use `https://api.coingecko.com/api/v3`: a rule without a scheme already means https; write `api.coingecko.com/api/v3`"#);
}

#[test]
fn an_address_instead_of_a_host_is_refused() {
    assert_snapshot!(refused(OUTBOUND, "network_outbound:192.168.1.20"), @r#"line 14, column 5: found the wrong permission "network_outbound:192.168.1.20": cannot use `192.168.1.20` as a host: it is an IP address; for a service on your own network, use `network_local:192.168.1.20:PORT`"#);
}

#[test]
fn a_local_service_without_a_port_is_refused() {
    assert_snapshot!(refused(OUTBOUND, "network_local:nas.home.arpa"), @r#"line 14, column 5: found the wrong permission "network_local:nas.home.arpa": cannot find a port in `nas.home.arpa`: a local service is named as HOST:PORT; write `nas.home.arpa:PORT`"#);
}

#[test]
fn a_permission_as_a_mapping_is_refused() {
    assert_snapshot!(refused(&format!("\"{OUTBOUND}\""), "network_outbound: api.coingecko.com"), @r#"line 14, column 5: found a mapping for `permissions`, expected a permission as text, such as "network_outbound:HOST"; write "network_outbound:api.coingecko.com" without a space"#);
}

#[test]
fn too_many_permissions_are_refused() {
    assert_snapshot!(refused("  - \"read_ipfs\"\n", &"  - \"read_ipfs\"\n".repeat(63)), @"line 14, column 3: found 65 entries in `permissions`, expected at most 64");
}

#[test]
fn a_secret_for_a_host_that_nothing_reaches_names_the_line_to_add() {
    assert_snapshot!(refused("read_ipfs", "secret:gecko@pro-api.coingecko.com:8443"), @r#"line 15, column 5: found "secret:gecko@pro-api.coingecko.com:8443" without a `network_outbound` that reaches its host, expected both; add "network_outbound:pro-api.coingecko.com:8443" to `permissions`"#);
}

#[test]
fn a_secret_is_reached_over_tls_at_its_own_port() {
    for rule in ["http://api.coingecko.com:443", "api.coingecko.com:8443", "*.api.coingecko.com", "coingecko.com"] {
        let text = changed(OUTBOUND, &format!("network_outbound:{rule}"));
        let text = text.replacen("read_ipfs", "secret:gecko@api.coingecko.com", 1);
        let errors = Manifest::parse(&text).expect_err(rule);
        assert!(matches!(errors.first().problem, ManifestProblem::SecretWithoutHost { .. }), "{rule}: {errors}");
    }
    let wildcard = changed(OUTBOUND, "network_outbound:*.coingecko.com");
    Manifest::parse(&wildcard.replacen("read_ipfs", "secret:gecko@api.coingecko.com", 1)).unwrap();
}

#[test]
fn two_secrets_for_the_same_requests_are_refused() {
    let two = "secret:one@api.coingecko.com\"\n  - \"secret:two@api.coingecko.com";
    assert_snapshot!(refused("read_ipfs", two), @r#"line 16, column 5: found "secret:two@api.coingecko.com" for the same requests as the one on line 15, expected one secret in a header; remove one, or bind them to different paths or methods"#);
    let apart = "secret:one@api.coingecko.com\"\n  - \"secret:two@api.coingecko.com;path=/v1";
    Manifest::parse(&changed("read_ipfs", apart)).unwrap();
}

#[test]
fn a_secret_that_is_written_wrongly_says_what_to_write() {
    assert_snapshot!(refused("read_ipfs", "secret:gecko@https://api.coingecko.com/v1"), @r#"line 15, column 5: found the wrong permission "secret:gecko@https://api.coingecko.com/v1": cannot send a secret to `https://api.coingecko.com/v1`: a secret goes over https only, and no scheme is written; write only the host: `api.coingecko.com`"#);
}
