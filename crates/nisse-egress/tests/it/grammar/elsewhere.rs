//! Parsers of other languages. `cargo xtask interop urls` starts them; each reads a URL per line and answers with host
//! and port, or `-`.

use std::collections::BTreeSet;
use std::io::Write as _;
use std::process::{Command, Stdio};

use nisse_egress::EgressTarget;
use proptest::strategy::{Strategy as _, ValueTree as _};
use proptest::test_runner::TestRunner;

use super::inputs;
use super::readers::{Reading, same};

/// Inputs made; those that are accepted here are put to the others.
const INPUTS: usize = 400_000;
/// Fewer would show that hardly anything was compared.
const ACCEPTED_MIN: usize = 20_000;

#[test]
#[expect(clippy::print_stdout, reason = "how much was compared is what the run is for")]
#[ignore = "needs the parsers that `cargo xtask interop urls` starts"]
fn parsers_of_other_languages_agree_on_everything_that_is_accepted() {
    let commands = std::env::var("NISSE_URL_READERS").expect("NISSE_URL_READERS names a command per line");
    let mut runner = TestRunner::deterministic();
    let strategy = inputs::request();
    let mut accepted = BTreeSet::new();
    for _ in 0..INPUTS {
        let (scheme, authority, path) = strategy.new_tree(&mut runner).unwrap().current();
        if EgressTarget::parse(scheme, &authority, &path).is_ok() {
            accepted.insert((scheme, authority, path));
        }
    }
    assert!(accepted.len() >= ACCEPTED_MIN, "only {} of {INPUTS} inputs were accepted", accepted.len());
    for command in commands.lines() {
        let lines = accepted.iter().map(|(scheme, authority, path)| format!("{scheme}://{authority}{path}"));
        let answers = asked(command, lines.collect());
        assert_eq!(answers.lines().count(), accepted.len(), "{command} answered too little");
        for ((scheme, authority, path), answer) in accepted.iter().zip(answers.lines()) {
            let target = EgressTarget::parse(scheme, authority, path).unwrap();
            let theirs = reading(answer);
            assert!(
                same(&target, &theirs),
                "{scheme}://{authority}{path}: {command} reads {answer:?}, we read {target}"
            );
        }
        println!("{command} reads {} destinations of {INPUTS} inputs as we do", accepted.len());
    }
}

fn asked(command: &str, lines: Vec<String>) -> String {
    let mut words = command.split(' ');
    let mut child = Command::new(words.next().unwrap());
    let mut child = child.args(words).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect(command);
    let mut input = child.stdin.take().unwrap();
    let writer = std::thread::spawn(move || input.write_all((lines.join("\n") + "\n").as_bytes()));
    let output = child.wait_with_output().unwrap();
    writer.join().unwrap().unwrap();
    assert!(output.status.success(), "{command} ended with {}", output.status);
    String::from_utf8(output.stdout).unwrap()
}

fn reading(answer: &str) -> Reading {
    let (host, port) = answer.split_once(' ')?;
    Some((host.to_owned(), port.parse().ok()?))
}
