//! The audit log: who did what to the rights and secrets of a home, and what shows that it is the log that was written.

use insta::assert_snapshot;
use serde_json::{Value, json};

use crate::harness::{Home, eventually};
use crate::web;

fn deeds(home: &Home) -> Vec<String> {
    let lines: Vec<Value> = serde_json::from_value(home.json(&["audit", "ls", "-n", "1000"])).unwrap();
    let text = |line: &Value, key: &str| line[key].as_str().unwrap().to_owned();
    let deed = |line: &Value| {
        format!("{} {} {}: {}", text(line, "by"), text(line, "act"), text(line, "about"), text(line, "outcome"))
    };
    lines.iter().map(deed).collect()
}

#[test]
fn what_is_done_to_rights_and_secrets_is_told_before_it_is_answered() {
    let home = Home::new();
    let node = home.up(&[]);
    assert_eq!(home.feed(&["secret", "set", "api"], b"12345678").code, 0);
    assert_eq!(home.feed(&["secret", "set", "api"], b"12345678").code, 3);
    home.ok(&["secret", "rm", "api"]);
    assert_eq!(home.feed(&["unlock"], b"whatever it is").code, 0, "it is open");
    assert_eq!(home.feed(&["vault", "protect", "--passphrase"], b"correct horse").code, 0);
    home.ok(&["seal"]);
    assert_eq!(home.feed(&["unlock"], b"incorrect horse").code, 3);
    // Whoever asks without the token is told of once, however often they ask.
    for path in ["/api/v1/secrets", "/api/v1/agents", "/api/v1/vault"] {
        let answer = web::request(&node.api, "GET", path, &[("host", &node.api)], b"").unwrap();
        assert_eq!(answer.status, 401);
    }
    let told = eventually("the try", || {
        let told = deeds(&home);
        told.iter().any(|deed| deed.contains("api.try")).then_some(told)
    });
    node.kill();
    let _node = home.up(&[]);
    assert_eq!(deeds(&home)[..told.len()], told, "a kill takes nothing that was told");
    assert_snapshot!(told.join("\n"), @r"
    node vault.unlock the vault: done, by its key file
    owner secret.set api: asked
    owner secret.set api: done
    owner secret.set api: asked
    owner secret.set api: refused: failed to set the secret `api`: the vault has one of that name
    owner secret.remove api: asked
    owner secret.remove api: done
    owner vault.protect passphrase: asked
    owner vault.protect passphrase: done
    owner vault.seal the vault: asked
    owner vault.seal the vault: done
    owner vault.unlock the vault: asked
    owner vault.unlock the vault: refused: failed to unlock the vault: this passphrase does not open it
    somebody on this machine api.try the control API: refused GET /api/v1/secrets: the control API needs this home's token
    ");
}

#[test]
fn an_agent_that_wants_more_than_it_has_is_refused_and_told_of() {
    let home = Home::new();
    let node = home.up(&[]);
    let deployed = home.json(&["deploy", &crate::harness::example("egress-prober")]);
    let deployment = deployed["deployment"].as_str().unwrap();
    let ask = |spec: Value| {
        let headers = [("host", "nisse.test.egress-prober.localhost")];
        web::request(&node.public, "POST", "/", &headers, spec.to_string().as_bytes()).unwrap().json()
    };
    for host in ["evil.example.org", "other.example.org"] {
        let refused = ask(json!({ "scheme": "https", "authority": host, "path": "/" }));
        assert!(refused["error"].is_string(), "{refused}");
    }
    let told = eventually("the try", || {
        let told = deeds(&home);
        told.iter().any(|deed| deed.contains("agent.try")).then_some(told)
    });
    assert_snapshot!(told.join("\n").replace(deployment, "DEPLOYMENT"), @r"
    node vault.unlock the vault: done, by its key file
    owner agent.deploy : asked
    node agent.start nisse.test.egress-prober: with network_outbound:allowed.example.org
    owner agent.deploy nisse.test.egress-prober@v1.0.0 DEPLOYMENT: done
    agent nisse.test.egress-prober agent.try evil.example.org: refused: failed to reach https://evil.example.org: none of the permissions of `nisse.test.egress-prober` match
    ");
}

#[test]
fn a_log_that_was_changed_or_cut_does_not_verify() {
    let home = Home::new();
    let _node = home.up(&[]);
    for name in ["a", "b", "c"] {
        assert_eq!(home.feed(&["secret", "set", name], b"12345678").code, 0);
    }
    let noted = home.json(&["audit", "verify"]);
    let noted = noted["head"].as_str().unwrap().to_owned();
    home.ok(&["secret", "rm", "a"]);
    let file = home.beside("audit.jsonl");
    let file = file.to_str().unwrap();
    let exported = home.ok(&["audit", "export", file]);
    assert!(exported.starts_with("9 lines, each follows from the one before\nhead  9:"), "{exported}");
    assert_eq!(home.ok(&["audit", "verify", file, "--since", &noted]), exported);
    assert_eq!(home.ok(&["audit", "verify", "--since", &noted]), exported);
    let again = home.run(&["audit", "export", file]);
    assert_eq!(again.code, 1, "{}", again.err);

    let text = std::fs::read_to_string(file).unwrap();
    let lines: Vec<&str> = text.lines().collect();
    let mut said = String::new();
    let mut verify = |what: &str, text: String| {
        let path = home.beside("changed.jsonl");
        std::fs::write(&path, text).unwrap();
        let refused = home.run(&["audit", "verify", path.to_str().unwrap(), "--since", &noted]);
        let refusal = refused.refusal().replace(home.beside("").to_str().unwrap(), "");
        said.push_str(&format!("{what}: {refusal}\n"));
    };
    verify("changed", text.replacen("\"about\":\"b\"", "\"about\":\"x\"", 1));
    verify("one less", [&lines[..2], &lines[3..]].concat().join("\n"));
    verify("cut", lines[..5].join("\n"));
    verify("its beginning cut", lines[8..].join("\n"));
    // Whoever can write all of it makes another log, which follows, too: what was noted earlier shows it.
    verify("made anew", remade(&lines));
    verify("no log", "nothing\n".to_owned());
    assert_snapshot!(said, @r"
    changed: exit 3
    error: failed to verify the audit log: line 3 is not what its hash says
    hint: it is not the log that was written: keep it as it is, and look at who could write to it
    one less: exit 3
    error: failed to verify the audit log: line 2 is expected, and line 3 is there
    hint: it is not the log that was written: keep it as it is, and look at who could write to it
    cut: exit 3
    error: failed to verify the audit log: it has 5 lines, and had 7 when that was noted
    its beginning cut: exit 3
    error: failed to verify the audit log: its lines before 8 are gone, and with them what was noted
    made anew: exit 3
    error: failed to verify the audit log: with 7 lines it was another one when that was noted
    hint: it is not the log that was written: keep it as it is, and look at who could write to it
    no log: exit 2
    error: failed to read line 1 of changed.jsonl: expected ident at line 1 column 2
    hint: `nisse audit export` writes such a file
    ");
}

/// The same log with another first line, and every hash made to fit.
fn remade(lines: &[&str]) -> String {
    use nisse_model::AuditHead;
    use nisse_node::control::AuditEntry;
    let (mut head, mut all) = (AuditHead::START, Vec::new());
    for line in lines {
        let mut entry: AuditEntry = serde_json::from_str(line).unwrap();
        if entry.number == 0 {
            entry.by = "nobody".to_owned();
        }
        entry.previous = head.hash.to_string();
        let line = entry.line().unwrap();
        head.follow(&line).unwrap();
        entry.hash = head.hash.to_string();
        all.push(serde_json::to_string(&entry).unwrap());
    }
    all.join("\n")
}
