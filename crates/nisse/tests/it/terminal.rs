//! What a person at a terminal sees and a program does not: colour, and a line that says what is being waited for.

use std::fs::{File, OpenOptions};
use std::io::{Read as _, Write as _};
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;
use std::process::{Command, Stdio};

use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};

use crate::harness::Home;

/// What begins every colour.
const COLOUR: &str = "\u{1b}[1;";
/// What takes the line about waiting away again.
const CLEARED: &str = "\r\u{1b}[K";

/// A terminal: the end of whoever sits there, and the one that programs have.
fn terminal() -> (File, File) {
    let flags = OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC;
    let near = openpt(flags).unwrap();
    grantpt(&near).unwrap();
    unlockpt(&near).unwrap();
    let name = ptsname(&near, Vec::new()).unwrap();
    let path = Path::new(std::ffi::OsStr::from_bytes(name.to_bytes()));
    let far = OpenOptions::new().read(true).write(true).open(path).unwrap();
    (File::from(near), far)
}

/// Runs one command on a terminal of its own: its exit code, and all that the terminal was sent.
fn on_terminal(home: &Home, args: &[&str], environment: &[(&str, &str)]) -> (i32, String) {
    let (mut near, far) = terminal();
    let mut command = Command::new(env!("CARGO_BIN_EXE_nisse"));
    command.arg("--home").arg(home.path()).args(args).env_remove("NO_COLOR").env("TERM", "xterm");
    command.envs(environment.iter().copied());
    let mut child = command.stdin(Stdio::null()).stdout(far.try_clone().unwrap()).stderr(far).spawn().unwrap();
    // The command holds its ends of the terminal as long as it lives here.
    drop(command);
    let mut said = Vec::new();
    // A terminal whose last user is gone ends with an error on Linux.
    let _ = near.read_to_end(&mut said);
    (child.wait().unwrap().code().unwrap(), String::from_utf8_lossy(&said).into_owned())
}

#[test]
fn words_are_coloured_on_a_terminal_unless_its_owner_wants_none() {
    let home = Home::new();
    let (code, said) = on_terminal(&home, &["status"], &[]);
    assert_eq!(code, 4);
    assert!(said.starts_with("\u{1b}[1;31merror:\u{1b}[0m failed to find a running node on "), "{said:?}");
    assert!(said.contains("\n\u{1b}[1;36mhint:\u{1b}[0m start it with `nisse up`"), "{said:?}");
    let (_, coloured) = on_terminal(&home, &["status"], &[("NO_COLOR", "")]);
    assert_eq!(coloured, said, "an empty one says nothing");

    let (code, plain) = on_terminal(&home, &["status"], &[("NO_COLOR", "1")]);
    assert!(code == 4 && plain.starts_with("error: failed to find") && plain.contains("\nhint: "), "{plain:?}");
    assert!(!plain.contains('\u{1b}'), "{plain:?}");
    let piped = home.run(&["status"]);
    assert_eq!(piped.err, plain.replace("\r\n", "\n"), "a pipe gets the same words");
    // Documents are never coloured.
    let (_, document) = on_terminal(&home, &["status", "--json"], &[]);
    assert!(document.starts_with("{\"error\":") && !document.contains('\u{1b}'), "{document:?}");
}

/// Runs one command on a terminal, types a line once something is asked for, and gives its exit code and what was shown.
pub(crate) fn typed(home: &Home, args: &[&str], asked: &str, line: &[u8]) -> (i32, String) {
    let (mut near, far) = terminal();
    let mut command = Command::new(env!("CARGO_BIN_EXE_nisse"));
    command.arg("--home").arg(home.path()).args(args).env("NO_COLOR", "1");
    command.stdin(far.try_clone().unwrap()).stdout(far.try_clone().unwrap()).stderr(far);
    let mut child = command.spawn().unwrap();
    drop(command);
    let (mut said, mut byte) = (Vec::new(), [0]);
    while !said.ends_with(asked.as_bytes()) {
        near.read_exact(&mut byte).unwrap();
        said.extend(byte);
    }
    near.write_all(line).unwrap();
    let _ = near.read_to_end(&mut said);
    (child.wait().unwrap().code().unwrap(), String::from_utf8_lossy(&said).into_owned())
}

#[test]
fn a_secret_that_is_typed_is_not_shown_and_never_kept_by_half() {
    let home = Home::new();
    let _node = home.up(&[]);
    let set = ["secret", "set", "api"];
    let (code, shown) = typed(&home, &set, "value of api: ", b"typed-secret-1\n");
    assert_eq!(code, 0, "{shown}");
    assert!(!shown.contains("typed-secret"), "{shown}");
    // A terminal cuts a line that is too long without a word.
    let long = [vec![b'a'; 6_000], b"\n".to_vec()].concat();
    let (code, shown) = typed(&home, &["secret", "rotate", "api"], "new value of api: ", &long);
    assert_eq!(code, 2, "{shown}");
    assert!(shown.contains("a terminal passes no more than 4095 bytes of a line"), "{shown}");
    let (code, shown) = typed(&home, &["secret", "rotate", "api"], "new value of api: ", b"\n");
    assert!(code == 2 && shown.contains("nothing was typed"), "{shown}");
    assert_eq!(home.json(&["secret", "ls"])[0]["version"], 1);
}

#[test]
fn a_command_that_waits_says_so_on_a_terminal_and_nowhere_else() {
    let home = Home::new();
    // In the demo's home somebody has money to order with; other nodes could take the order where its chain is served.
    let mut node = home.up(&["--demo", "--rpc", "127.0.0.1:0"]);
    node.demo_is_told();
    // Nobody takes what pays so little, so the command waits as long as it is told to.
    let order = ["--payment", "5", "--max-rate", "1", "--wait", "2"];
    let package = |name: &str| {
        let package = home.copy_of("echo", name);
        package.edit("nisse.test.echo", name);
        package.path().to_owned()
    };
    let deploy = |name: &str, environment: &[(&str, &str)]| {
        on_terminal(&home, &[&["deploy", &package(name)][..], &order].concat(), environment)
    };
    let waited = |said: &str| said.contains("deploying … ");
    let (code, said) = deploy("nisse.test.first", &[]);
    assert!(code == 3 && said.contains(&format!("{CLEARED}deploying … ")), "{said:?}");
    let (_, behind) = said.rsplit_once(CLEARED).unwrap();
    assert!(!behind.contains('…') && behind.contains(COLOUR), "the line is gone when there is more to say: {said:?}");

    let (code, plain) = deploy("nisse.test.second", &[("NO_COLOR", "1")]);
    assert!(code == 3 && waited(&plain) && !plain.contains(COLOUR), "{plain:?}");
    let (code, dumb) = deploy("nisse.test.third", &[("TERM", "dumb")]);
    assert!(code == 3 && !dumb.contains('…') && !dumb.contains(CLEARED), "{dumb:?}");
    let piped = home.run(&[&["deploy", &package("nisse.test.fourth")][..], &order].concat());
    assert_eq!(piped.code, 3, "{piped:?}");
    assert!(![&piped.out, &piped.err].iter().any(|said| said.contains(['\u{1b}', '\r', '…'])), "{piped:?}");
}
