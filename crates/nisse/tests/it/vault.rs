//! Secrets: kept by a process of their own, used by agents that never see them, and found nowhere else.

mod kills;
mod upstream;

use std::os::unix::process::ExitStatusExt as _;
use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use insta::assert_snapshot;
use rustix::process::Signal;
use serde_json::{Value, json};

use self::upstream::{HOST, Upstream};
use crate::harness::{Home, Node, eventually, say, signal};
use crate::web;

/// Long, and with bytes that a URL has to escape: each spelling of it is another one.
const CANARY: &str = "canary+8fb1/27c4=d9 e35a6";
const PASSPHRASE: &[u8] = b"correct horse battery staple\n";

/// A node that reaches the upstream under its public name.
fn up<'h>(home: &'h Home, upstream: &Upstream) -> Node<'h> {
    let ca = home.beside("ca.pem");
    std::fs::write(&ca, upstream.authority()).unwrap();
    let connect = format!("{HOST}:443:{}:{}", upstream.address().ip(), upstream.address().port());
    home.up(&["--connect-to", &connect, "--ca", ca.to_str().unwrap()])
}

/// Deploys the prober with the permission to use a secret.
fn deploy_prober(home: &Home, permission: &str) {
    let package = home.copy_of("egress-prober", "prober");
    package.edit(
        "  - \"network_outbound:allowed.example.org\"",
        &format!("  - \"network_outbound:allowed.example.org\"\n  - \"{permission}\""),
    );
    home.ok(&["deploy", package.path()]);
}

fn ask(node: &Node<'_>, spec: &Value) -> web::Answer {
    let headers = [("host", "nisse.test.egress-prober.localhost")];
    let answer = web::request(&node.public, "POST", "/", &headers, spec.to_string().as_bytes()).unwrap();
    assert_eq!(answer.status, 200, "{answer:?}");
    answer
}

fn probe(node: &Node<'_>, spec: &Value) -> Value {
    ask(node, spec).json()
}

fn asking(path: &str) -> Value {
    json!({ "method": "GET", "scheme": "https", "authority": HOST, "path": path })
}

/// Every process that this home's node started, and the node.
fn processes(home: &Home) -> Vec<PathBuf> {
    let named = home.path().to_str().unwrap().to_owned();
    let all = std::fs::read_dir("/proc").unwrap().flatten().map(|entry| entry.path());
    all.filter(|path| {
        let line = std::fs::read(path.join("cmdline")).unwrap_or_default();
        String::from_utf8_lossy(&line).contains(&named)
    })
    .collect()
}

/// The process that keeps the vault.
fn vault_process(home: &Home) -> u32 {
    let vaults = processes(home).into_iter().filter(|path| {
        let line = std::fs::read(path.join("cmdline")).unwrap_or_default();
        String::from_utf8_lossy(&line).contains("internal\0vault")
    });
    let found: Vec<_> = vaults.collect();
    assert_eq!(found.len(), 1, "{found:?}");
    found[0].file_name().unwrap().to_str().unwrap().parse().unwrap()
}

fn files(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).unwrap().flatten() {
        let path = entry.path();
        if path.is_dir() { files(&path, found) } else { found.push(path) }
    }
}

/// How a secret could be written.
fn spellings(secret: &str) -> Vec<Vec<u8>> {
    let bytes = secret.as_bytes();
    let escaped: String = bytes.iter().map(|byte| format!("%{byte:02X}")).collect();
    let url: String = secret
        .chars()
        .map(|c| if c.is_ascii_alphanumeric() { c.to_string() } else { format!("%{:02X}", u32::from(c)) })
        .collect();
    let mut all = vec![secret.to_owned(), hex::encode(bytes), hex::encode_upper(bytes), escaped, url];
    for before in 0..3 {
        // Whatever stands around it, what its whole groups of three give is the same.
        let padded = [&vec![0; before][..], bytes].concat();
        let whole = &padded[before.div_ceil(3) * 3..];
        let whole = &whole[..whole.len() / 3 * 3];
        all.push(STANDARD.encode(whole));
        all.push(URL_SAFE_NO_PAD.encode(whole));
    }
    all.into_iter().map(String::into_bytes).collect()
}

fn holds(bytes: &[u8], secret: &str) -> bool {
    spellings(secret).iter().any(|spelling| bytes.windows(spelling.len()).any(|window| window == spelling))
}

#[test]
fn a_secret_goes_along_with_a_request_and_is_found_nowhere_else() {
    let cores = rustix::process::getrlimit(rustix::process::Resource::Core).maximum;
    let allowed = rustix::process::Rlimit { current: cores, maximum: cores };
    rustix::process::setrlimit(rustix::process::Resource::Core, allowed).unwrap();
    let (home, upstream) = (Home::new(), Upstream::new());
    let mut node = up(&home, &upstream);
    assert_eq!(home.feed(&["secret", "set", "api"], CANARY.as_bytes()).code, 0);
    deploy_prober(&home, "secret:api@allowed.example.org");
    let listed = home.json(&["secret", "ls"]);
    assert_eq!((&listed[0]["name"], &listed[0]["version"]), (&json!("api"), &json!(1)));
    assert_eq!(listed[0]["agents"], json!(["nisse.test.egress-prober"]));

    // The upstream gets it; the agent, who did not, gets back what the upstream says of it with stars.
    let seen = probe(&node, &asking("/echo"));
    assert_eq!(seen["status"], 200, "{seen}");
    let sent = upstream.heads();
    assert!(sent[0].contains(&format!("authorization: Bearer {CANARY}\r\n")), "{sent:?}");
    let body = seen["body"].as_str().unwrap();
    assert!(body.contains("authorization: Bearer ****") && !holds(body.as_bytes(), CANARY), "{body}");

    // A new value is what the next request carries, and an old one what none does.
    assert_eq!(home.feed(&["secret", "rotate", "api"], b"another-value-1").code, 0);
    probe(&node, &asking("/"));
    assert!(upstream.heads()[0].contains("authorization: Bearer another-value-1\r\n"));
    assert_eq!(home.feed(&["secret", "rotate", "api"], CANARY.as_bytes()).code, 0);
    probe(&node, &asking("/echo"));
    let answer = ask(&node, &asking("/echo"));
    let receipt = home.ok(&["receipt", "show", answer.header("nisse-receipt").unwrap(), "--json"]);
    assert!(receipt.len() > 500 && !holds(receipt.as_bytes(), CANARY), "{receipt}");

    // Not in a file, not in a log, not in an environment, not on a command line.
    let everything = || {
        let mut all = Vec::new();
        files(&home.path(), &mut all);
        all.push(home.beside("node.log"));
        for process in processes(&home) {
            all.extend(["environ", "cmdline"].map(|name| process.join(name)));
        }
        all
    };
    let looked_at = everything();
    assert!(looked_at.len() > 20, "{looked_at:?}");
    let mut read = 0;
    for path in &looked_at {
        // A process may have ended meanwhile, and that of the vault shows its environment to root alone.
        let Ok(bytes) = std::fs::read(path) else { continue };
        read += 1;
        assert!(!holds(&bytes, CANARY), "{} holds the secret", path.display());
    }
    assert!(read + 3 > looked_at.len(), "{read} of {} files were read", looked_at.len());
    // A search that finds nothing has to be able to.
    std::fs::write(home.path().join("logs/planted"), format!("x{}", STANDARD.encode(CANARY))).unwrap();
    assert!(everything().iter().any(|path| holds(&std::fs::read(path).unwrap_or_default(), CANARY)));

    // Neither process leaves its memory behind when it breaks, where others do.
    let broken = std::process::Command::new("sh").args(["-c", "kill -ABRT $$"]).current_dir(home.beside("")).status();
    say(&format!("another process would have left its memory behind: {}", broken.unwrap().core_dumped()));
    let vault = vault_process(&home);
    signal(vault, Signal::ABORT);
    let told = eventually("the vault's end to be told", || {
        let said = node.said();
        said.contains("the vault's process ended").then_some(said)
    });
    assert!(told.contains("signal: 6") && !told.contains("core dumped"), "{told}");
    eventually("a new vault", || (home.run(&["secret", "ls"]).code == 0).then_some(()));
    assert_eq!(probe(&node, &asking("/"))["status"], 200, "a vault that was started again has its secrets");
    let status = node.abort();
    assert!(status.signal() == Some(6) && !status.core_dumped(), "{status}");
}

#[test]
fn a_node_with_a_passphrase_starts_sealed_serves_what_needs_no_secret_and_says_so() {
    let (home, upstream) = (Home::new(), Upstream::new());
    let node = up(&home, &upstream);
    assert_eq!(home.feed(&["secret", "set", "api"], CANARY.as_bytes()).code, 0);
    deploy_prober(&home, "secret:api@allowed.example.org");
    home.ok(&["deploy", &crate::harness::example("echo")]);
    let protected = home.feed(&["vault", "protect", "--passphrase"], PASSPHRASE);
    assert_snapshot!(format!("{}{}", protected.out, protected.err), @"
    vault        open
    unlocked by  passphrase
    note: the node starts sealed from now on: `nisse unlock` opens the vault, and nothing else does. A lost passphrase cannot be brought back
    ");
    assert!(!home.path().join("keys/vault").exists());
    node.kill();

    let node = up(&home, &upstream);
    for agent in ["nisse.test.echo", "nisse.test.egress-prober"] {
        node.ask_served(agent, "GET", "/");
    }
    node.echo_answers();
    assert_snapshot!(home.ok(&["vault", "status"]), @"
    vault        sealed
    unlocked by  passphrase
    ");
    assert!(home.ok(&["node", "status"]).contains("vault       sealed: `nisse unlock` opens it\n"));
    let health = web::request(&node.api, "GET", "/api/v1/health", &[("host", &node.api)], b"").unwrap().json();
    assert_eq!((&health["status"], &health["vault"]), (&json!("serving"), &json!("sealed")));
    upstream.heads();
    let refused = probe(&node, &asking("/"));
    assert!(refused["error"].as_str().is_some(), "{refused}");
    assert_eq!(upstream.heads(), Vec::<String>::new(), "nothing leaves without its secret");
    let log = home.ok(&["logs", "nisse.test.egress-prober"]);
    assert!(log.contains("the vault is sealed") && log.contains("nisse unlock"), "{log}");

    let told = ["set", "rotate"].map(|command| home.feed(&["secret", command, "api"], b"12345678").refusal());
    assert_eq!(told[0], told[1]);
    assert_snapshot!(told[0], @"
    exit 3
    error: failed to use the vault: it is sealed
    hint: `nisse unlock` opens it
    ");
    assert_snapshot!(home.feed(&["unlock"], b"incorrect horse\n").refusal(), @"
    exit 3
    error: failed to unlock the vault: this passphrase does not open it
    hint: nothing was changed; `nisse vault status` says what opens it
    ");
    let unlocked = home.feed(&["unlock"], PASSPHRASE);
    assert_eq!(unlocked.code, 0, "{}", unlocked.err);
    assert_eq!(probe(&node, &asking("/"))["status"], 200);
    home.ok(&["seal"]);
    assert!(probe(&node, &asking("/"))["error"].as_str().is_some());
}

#[test]
fn a_vault_that_its_owner_sealed_stays_sealed_until_they_say_otherwise() {
    let home = Home::new();
    let node = home.up(&[]);
    assert_eq!(home.feed(&["secret", "set", "api"], b"12345678").code, 0);
    let before = vault_process(&home);
    let sealed = home.run(&["seal"]);
    assert_snapshot!(format!("{}{}", sealed.out, sealed.err), @"
    vault        sealed
    unlocked by  key file
    weak         its key file lies beside it: whoever reads this disk reads the secrets, too
    note: the node's next start unlocks it again, by its key file
    note: no other device reaches this home until it is unlocked on its own machine
    ");
    let after = vault_process(&home);
    assert_ne!(before, after, "what knew the root key has ended");
    signal(after, Signal::KILL);
    eventually("another vault", || {
        let said = node.said();
        (said.contains("the vault's process ended") && home.run(&["vault", "status"]).code == 0).then_some(())
    });
    assert_eq!(home.json(&["vault", "status"])["sealed"], true);
    assert_eq!(home.feed(&["secret", "rotate", "api"], b"87654321").code, 3);
    assert_snapshot!(home.ok(&["unlock"]), @"
    vault        open
    unlocked by  key file
    weak         its key file lies beside it: whoever reads this disk reads the secrets, too
    ");
    home.ok(&["seal"]);
    node.kill();
    let node = home.up(&[]);
    assert_eq!(home.json(&["vault", "status"])["sealed"], false);
    node.kill();
    // A vault that is gone is not made anew: with it went what the node signs with.
    std::fs::rename(home.path().join("vault"), home.beside("vault")).unwrap();
    let told = |text: String| text.replace(home.path().to_str().unwrap(), "HOME");
    assert_snapshot!(told(home.run(&["up"]).refusal()), @r"
    exit 3
    error: failed to open the vault: it is gone, and HOME/keys/vault.begun says that there was one
    hint: put the folder `vault` back from a copy; or move `vault` and `keys/vault*` away and run `nisse vault restore` on an export
    ");
    let doctor = home.run(&["doctor"]);
    assert!(doctor.code == 1 && doctor.out.contains("\nkeys  "), "{doctor:?}");
    std::fs::remove_dir_all(home.path().join("vault")).unwrap();
    std::fs::rename(home.beside("vault"), home.path().join("vault")).unwrap();
    let _node = home.up(&[]);
    assert_eq!(home.json(&["secret", "ls"])[0]["name"], "api", "put back, it is there again");
}

#[test]
fn what_is_no_secret_or_has_no_such_name_is_refused_in_a_sentence() {
    let home = Home::new();
    let _node = home.up(&[]);
    assert_eq!(home.feed(&["secret", "set", "api"], b"12345678").code, 0);
    let told = |args: &[&str], stdin: &[u8]| home.feed(args, stdin).refusal();
    let mut said = String::new();
    for (args, stdin) in [
        (&["secret", "set", "api"][..], &b"87654321"[..]),
        (&["secret", "set", "short"], b"1234567\n"),
        (&["secret", "set", "empty"], b"\n"),
        (&["secret", "set", "a b"], b"12345678"),
        (&["secret", "rotate", "other"], b"12345678"),
        (&["secret", "rm", "other"], b""),
        (&["vault", "protect", "--credential"], b""),
        (&["vault", "protect", "--passphrase"], b"short"),
    ] {
        said.push_str(&format!("nisse {}\n{}\n", args.join(" "), told(args, stdin)));
    }
    assert_snapshot!(said, @r#"
    nisse secret set api
    exit 3
    error: failed to set the secret `api`: the vault has one of that name
    hint: `nisse secret rotate` puts a new value in its place
    nisse secret set short
    exit 2
    error: failed to keep a secret: a secret has 8 bytes to 16 KiB
    nisse secret set empty
    exit 2
    error: failed to read the value of empty: nothing came on stdin
    nisse secret set a b
    exit 2
    error: failed to read "a b" as a secret's name: expected 1 to 64 letters, digits, dots, dashes or underscores
    nisse secret rotate other
    exit 1
    error: failed to find the secret `other`: the vault has none of that name
    hint: `nisse secret ls` lists what there is
    nisse secret rm other
    exit 1
    error: failed to find the secret `other`: the vault has none of that name
    hint: `nisse secret ls` lists what there is
    nisse vault protect --credential
    exit 2
    error: failed to protect the vault: systemd gave no credential `nisse-vault` to this unit
    nisse vault protect --passphrase
    exit 2
    error: failed to protect the vault: a passphrase has at least 8 characters
    "#);
    assert_eq!(home.json(&["secret", "ls"]).as_array().unwrap().len(), 1, "nothing was lost or made");
}

#[test]
fn a_systemd_credential_unlocks_it_and_another_one_does_not() {
    let home = Home::new();
    let folder = home.beside("credentials");
    std::fs::create_dir_all(&folder).unwrap();
    std::fs::write(folder.join("nisse-vault"), [7; 32]).unwrap();
    let variable = ("CREDENTIALS_DIRECTORY", folder.to_str().unwrap());
    let node = home.up_with(&[variable], &[]);
    assert_eq!(home.feed(&["secret", "set", "api"], b"12345678").code, 0);
    assert_eq!(home.json(&["vault", "status"])["unlocked_by"], json!(["systemd credential"]));
    assert!(!home.path().join("keys/vault").exists());
    node.kill();
    let node = home.up_with(&[variable], &[]);
    assert_eq!(home.json(&["vault", "status"])["sealed"], false);
    node.kill();
    std::fs::write(folder.join("nisse-vault"), [8; 32]).unwrap();
    for (variables, trouble) in [
        (&[variable][..], "failed to unlock the vault: this systemd credential does not open it"),
        (&[], "failed to find the vault's systemd credential: this unit was given none"),
    ] {
        let _node = home.up_with(variables, &[]);
        let status = home.json(&["vault", "status"]);
        assert_eq!((&status["sealed"], &status["trouble"]), (&json!(true), &json!(trouble)));
    }
}
