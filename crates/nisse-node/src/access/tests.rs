//! What a guard makes of requests and keys, without a node.

use nisse_model::{AccessTo, CredentialId, Hash256, Manifest, Role};

use super::*;

const NOW: Timestamp = Timestamp(1_000_000);

fn key(number: u8) -> Did {
    nisse_model::SigningKey::from_seed(&[number; 32]).did()
}

fn guard(access: &str, at_home: bool) -> Option<Arc<Guard>> {
    let manifest = format!(
        "agent_id: a.b@v1.0.0\ndescription: x\nresources: {{cpu: 1, memory: 1MiB}}\nentry_point: x.wasm\nartifact_hash: \
         x\nnisse: 1\n{access}\n"
    );
    let manifest = Manifest::parse(&manifest).expect("a manifest");
    let log = Arc::new(AgentLog::default());
    Guard::new(&manifest.access, &manifest.agent_id.name, at_home, || Arc::new(nonces()), &log)
}

fn verdict(to: &AccessTo, at_home: bool) -> Result<Stands, FlawKind> {
    let guard = guard("access: []", at_home).expect("rules");
    guard.admits(to, &key(1), &Known::default(), NOW).map_err(|flaw| flaw.kind)
}

#[test]
fn an_agent_without_rules_has_no_guard() {
    assert!(guard("config: {}", true).is_none());
    assert!(guard("access: []", true).is_some());
}

#[test]
fn where_the_owners_identity_is_not_known_only_keys_admit() {
    let space = AccessTo::Space { space: CredentialId(Hash256::of(b"space")), role: Role::Read };
    for at_home in [true, false] {
        for to in [AccessTo::Owner, AccessTo::Capability, space.clone()] {
            assert_eq!(verdict(&to, at_home), Err(FlawKind::Elsewhere), "{to}");
        }
        assert_eq!(verdict(&AccessTo::Keys([key(1)].into()), at_home), Ok(Stands::Named));
        assert_eq!(verdict(&AccessTo::Keys([key(2)].into()), at_home), Err(FlawKind::Key));
    }
}

#[test]
fn a_flood_of_refusals_is_one_line() {
    let guard = guard("access:\n  - to: owner\n  - {to: public, paths: [/a]}", true).expect("rules");
    for number in 0..1_000 {
        let flaws = vec![(0, FlawKind::Proof.with(format!("\u{1b}[2J{number}"))), (1, FlawKind::Path.into())];
        guard.tell(NOW, std::time::Duration::from_secs(7), &format!("GET /{number}"), flaws);
    }
    let lines: Vec<_> = guard.log.last(10).into_iter().map(|line| line.text).collect();
    assert_eq!(
        lines,
        [
            "access refused GET /0: rule 1 (owner): the request's proof of who asks does not count (\u{fffd}[2J0); rule 2 \
          (public): it is about other paths"
        ]
    );
}
