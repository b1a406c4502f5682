//! Grants: what a policy gives of what a manifest asks for.

use nisse_model::{GrantError, Grants, Manifest, Permission, Policy, Role, hint_to_add};

use crate::manifest::{TIP_EXAMPLE, changed};

const STRANGER: Policy = Policy { owner_is_node_operator: false };
const OWNER: Policy = Policy { owner_is_node_operator: true };

fn manifest_with(permission: &str) -> Manifest {
    Manifest::parse(&changed("read_ipfs", permission)).unwrap()
}

#[test]
fn the_example_gets_exactly_its_three_permissions() {
    let manifest = Manifest::parse(TIP_EXAMPLE).unwrap();
    for policy in [STRANGER, OWNER] {
        let grants = Grants::from_manifest(&manifest, policy).unwrap();
        let rules: Vec<String> = grants.network_rules().iter().map(ToString::to_string).collect();
        assert_eq!(rules, ["api.coingecko.com"]);
        assert_eq!(grants.local_services(), []);
        assert_eq!(grants.secret_rules(), []);
        assert!(grants.may_read_ipfs() && grants.may_publish() && grants.may_reach_network());
    }
}

#[test]
fn without_permissions_nothing_is_granted() {
    let manifest = Manifest::parse(TIP_EXAMPLE.split("permissions:").next().unwrap()).unwrap();
    let grants = Grants::from_manifest(&manifest, OWNER).unwrap();
    assert_eq!(grants, Grants::none());
    assert!(!grants.may_read_ipfs() && !grants.may_publish() && !grants.may_reach_network());
}

#[test]
fn the_own_network_is_given_to_the_nodes_owner_only() {
    let manifest = manifest_with("network_local:nas:443");
    let grants = Grants::from_manifest(&manifest, OWNER).unwrap();
    assert_eq!(grants.local_services().iter().map(ToString::to_string).collect::<Vec<_>>(), ["nas:443"]);
    assert!(!grants.may_read_ipfs());

    let error = Grants::from_manifest(&manifest, STRANGER).unwrap_err();
    assert!(matches!(error, GrantError::NetworkLocal { .. }));
    insta::assert_snapshot!(error, @"grant `network_local:nas:443`: services on a node's own network are only given to agents of the node's owner");
    insta::assert_snapshot!(error.hint(), @r#"remove "network_local:nas:443" from `permissions` in agent.yaml, or deploy to a node of your own"#);
}

#[test]
fn secrets_are_given_to_the_nodes_owner_only() {
    let manifest = manifest_with("secret:gecko@api.coingecko.com;header=x-cg-pro-api-key");
    let grants = Grants::from_manifest(&manifest, OWNER).unwrap();
    let rules: Vec<String> = grants.secret_rules().iter().map(ToString::to_string).collect();
    assert_eq!(rules, ["gecko@api.coingecko.com;header=x-cg-pro-api-key"]);

    let error = Grants::from_manifest(&manifest, STRANGER).unwrap_err();
    assert!(matches!(error, GrantError::Secret { .. }));
    insta::assert_snapshot!(error, @"grant `secret:gecko@api.coingecko.com;header=x-cg-pro-api-key`: secrets of a node are only given to agents of the node's owner");
    insta::assert_snapshot!(error.hint(), @r#"remove "secret:gecko@api.coingecko.com;header=x-cg-pro-api-key" from `permissions` in agent.yaml, or deploy to a node of your own"#);
}

#[test]
fn spaces_are_given_to_the_nodes_owner_only() {
    let manifest = manifest_with("space:notes:edit");
    let grants = Grants::from_manifest(&manifest, OWNER).unwrap();
    assert!(grants.may_use_spaces(Role::Read) && grants.may_use_spaces(Role::Edit));
    assert!(!grants.may_use_spaces(Role::Admin));
    let reader = Grants::from_manifest(&manifest_with("space:*:read"), OWNER).unwrap();
    assert!(reader.may_use_spaces(Role::Read) && !reader.may_use_spaces(Role::Edit));

    let error = Grants::from_manifest(&manifest, STRANGER).unwrap_err();
    assert!(matches!(error, GrantError::Space { .. }));
    insta::assert_snapshot!(error, @"grant `space:notes:edit`: spaces of a node are only given to agents of the node's owner");
    insta::assert_snapshot!(error.hint(), @r#"remove "space:notes:edit" from `permissions` in agent.yaml, or deploy to a node of your own"#);
}

#[test]
fn a_refusal_names_the_line_to_add() {
    let permission: Permission = "network_outbound:imap.example.org:993".parse().unwrap();
    insta::assert_snapshot!(hint_to_add(permission), @r#"add "network_outbound:imap.example.org:993" to `permissions` in agent.yaml"#);
}
