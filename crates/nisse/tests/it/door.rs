//! Who gets into a home: its owner and the node that runs on it. Neither another user of the machine, nor whoever
//! listens where a node once did, nor a package that points out of its folder.

use std::fs::{self, Permissions};
use std::net::TcpListener;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use insta::assert_snapshot;

use crate::harness::{Home, example};
use crate::web;

/// A refusal without this run's folders.
fn told(home: &Home, args: &[&str]) -> String {
    home.run(args).refusal().replace(&home.beside("").display().to_string(), "TEMP/")
}

fn set_mode(path: &Path, mode: u32) {
    fs::set_permissions(path, Permissions::from_mode(mode)).unwrap();
}

/// Hangs up on whoever comes, until this process ends, and tells whether anybody came.
fn hang_up(listener: TcpListener) -> Arc<AtomicBool> {
    let spoken_to = Arc::new(AtomicBool::new(false));
    let heard = Arc::clone(&spoken_to);
    std::thread::spawn(move || {
        while listener.accept().is_ok() {
            heard.store(true, Ordering::SeqCst);
        }
    });
    spoken_to
}

const UP: [&str; 5] = ["up", "--api", "127.0.0.1:0", "--public", "127.0.0.1:0"];

#[test]
fn whoever_listens_where_a_killed_node_did_hears_nothing() {
    let home = Home::new();
    let node = home.up(&[]);
    let address = node.api.clone();
    node.kill();
    assert!(home.path().join("run.json").exists(), "it still names the port");
    let spoken_to = hang_up(TcpListener::bind(&address).unwrap());
    for args in [&["status"][..], &["node", "status"], &["deploy", &example("echo")], &["content", "ls"]] {
        insta::allow_duplicates! {
            assert_snapshot!(told(&home, args), @r"
            exit 4
            error: failed to find a running node on TEMP/home
            hint: start it with `nisse up`, or name another home with --home
            ");
        }
    }
    assert!(!spoken_to.load(Ordering::SeqCst), "somebody spoke to it");
}

#[test]
fn a_run_file_that_names_another_process_is_not_believed() {
    let home = Home::new();
    let node = home.up(&[]);
    let run_file = home.path().join("run.json");
    let run = fs::read_to_string(&run_file).unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let stale = serde_json::json!({ "pid": 1, "api": listener.local_addr().unwrap().to_string() });
    fs::write(&run_file, stale.to_string()).unwrap();
    let spoken_to = hang_up(listener);
    let ended = home.run(&["status"]);
    assert_eq!(ended.code, 4, "{ended:?}");
    assert!(ended.err.contains(" does not serve yet\nhint: try again in a moment"), "{ended:?}");
    assert!(!spoken_to.load(Ordering::SeqCst), "somebody spoke to it");
    fs::write(&run_file, run).unwrap();
    home.ok(&["status"]);
    drop(node);
}

#[test]
fn a_token_opens_one_run_of_a_node_and_no_other() {
    let home = Home::new();
    let token = || fs::read_to_string(home.path().join("token")).unwrap();
    let node = home.up(&[]);
    let first = token();
    node.kill();
    let node = home.up(&[]);
    assert_ne!(token(), first);
    let ask = |token: &str| {
        let headers = [("host", node.api.as_str()), ("authorization", &format!("Bearer {token}"))];
        web::request(&node.api, "GET", "/api/v1/node", &headers, b"").unwrap().status
    };
    assert_eq!((ask(&first), ask(&token())), (401, 200));
    home.ok(&["status"]);
}

#[test]
fn a_home_that_is_open_to_others_is_used_by_no_command() {
    let home = Home::new();
    let node = home.up(&[]);
    set_mode(&home.path(), 0o777);
    let refused = told(&home, &["status"]);
    assert_snapshot!(refused, @r"
    exit 3
    error: failed to use TEMP/home: it is open to other users (mode 777)
    hint: see that nothing in it was changed, then `chmod 700 TEMP/home`
    ");
    let doctor = home.run(&["doctor"]);
    assert!(doctor.code == 1 && doctor.out.contains("open to other users (mode 777)"), "{doctor:?}");
    node.kill();
    assert_eq!(told(&home, &UP), refused);
    set_mode(&home.path(), 0o700);
    let node = home.up(&[]);
    set_mode(&home.path().join("token"), 0o644);
    assert_snapshot!(told(&home, &["status"]), @r"
    exit 3
    error: failed to use TEMP/home/token: it is open to other users (mode 644)
    hint: see that nothing in it was changed, then `chmod 600 TEMP/home/token`
    ");
    drop(node);
}

#[test]
fn an_operator_key_that_was_lost_is_asked_for_and_never_replaced() {
    let home = Home::new();
    home.up(&[]).kill();
    // All of the vault, and what would have said that there was one.
    let parts = ["vault", "keys/vault", "keys/vault.begun"].map(|part| home.path().join(part));
    let kept = |at: usize| home.beside(&format!("kept-{at}"));
    parts.iter().enumerate().for_each(|(at, part)| fs::rename(part, kept(at)).unwrap());
    assert_snapshot!(told(&home, &UP), @r"
    exit 3
    error: failed to find the key `operator`: the vault has none, and TEMP/home/journal shows that it was used
    hint: put `vault` and `keys` of this home back from a copy, or what `nisse vault export` made by `nisse vault restore`: no other key reaches what it owns. Another home begins anew with --home DIR
    ");
    assert_snapshot!(told(&home, &UP), @r"
    exit 3
    error: failed to find the key `operator`: the vault has none, and TEMP/home/journal shows that it was used
    hint: put `vault` and `keys` of this home back from a copy, or what `nisse vault export` made by `nisse vault restore`: no other key reaches what it owns. Another home begins anew with --home DIR
    ");
    fs::remove_dir_all(&parts[0]).unwrap();
    parts.iter().enumerate().for_each(|(at, part)| fs::rename(kept(at), part).unwrap());
    home.up(&[]);
}

#[test]
fn a_package_that_points_out_of_its_folder_shows_and_holds_nothing() {
    let home = Home::new();
    let secret = home.beside("secret");
    fs::write(&secret, "root:hash:of:a:password\n").unwrap();
    let replaced = |name: &str, target: &Path| {
        let package = home.copy_of("echo", "package");
        let file = Path::new(package.path()).join(name);
        fs::remove_file(&file).unwrap();
        symlink(target, &file).unwrap();
        let told = told(&home, &["pkg", "check", package.path()]);
        fs::remove_file(&file).unwrap();
        told
    };
    assert_snapshot!(replaced("agent.yaml", &secret), @r"
    exit 3
    error: failed to read TEMP/package/agent.yaml: it leads out of the package's folder
    hint: put the file itself there in place of the link
    ");
    let endless = replaced("echo.wasm", Path::new("/dev/zero"));
    assert_snapshot!(endless, @r"
    exit 3
    error: failed to read TEMP/package/echo.wasm: it leads out of the package's folder
    hint: put the file itself there in place of the link
    ");

    // A pipe that nobody writes into would be waited for.
    let package = home.copy_of("echo", "package");
    let artifact = Path::new(package.path()).join("echo.wasm");
    fs::remove_file(&artifact).unwrap();
    assert!(std::process::Command::new("mkfifo").arg(&artifact).status().unwrap().success());
    assert_snapshot!(told(&home, &["pkg", "seal", package.path()]), @r"
    exit 1
    error: failed to read TEMP/package/echo.wasm: it is no regular file
    ");

    // What is written beside agent.yaml is not written through a link that lies there.
    fs::remove_file(&artifact).unwrap();
    let package = home.copy_of("echo", "package");
    symlink(&secret, Path::new(package.path()).join("agent.yaml.new")).unwrap();
    package.set("artifact_hash", "unsealed");
    home.ok(&["pkg", "seal", package.path()]);
    assert_eq!(fs::read_to_string(&secret).unwrap(), "root:hash:of:a:password\n");
}
