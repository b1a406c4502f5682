//! Components that are built to choke a compiler: refused before they are compiled, or ended in the child that compiles
//! them. Either way the node's own process does next to nothing.

use std::fmt::Write as _;
use std::time::Duration;

use nisse_sandbox::{CompileError, CompileLimits, InspectError, Inspection};
use nisse_store::{Clock, SystemClock};

use crate::compile::{child_command, compiler};

/// What one compilation of the tests here may use: little, so that the bombs that go off do so soon.
const TIGHT: CompileLimits =
    CompileLimits { memory_bytes: 1 << 30, cpu: Duration::from_secs(3), time: Duration::from_secs(60) };

fn component(module: &str) -> Vec<u8> {
    wat::parse_str(format!("(component (core module {module}))")).expect("it assembles")
}

/// Functions with as many locals as validation allows, each of them used, so that they have to be kept apart.
fn locals(functions: usize) -> Vec<u8> {
    let mut body = String::new();
    for local in 0..2_000 {
        write!(body, "(local.set {local} (i64.add (local.get {}) (local.get {local})))", (local * 7 + 1) % 50_000)
            .expect("a text grows");
    }
    let locals = "i64 ".repeat(50_000);
    component(&format!("(func (local {locals}) (loop {body} (br_if 0 (i32.const 1))))").repeat(functions))
}

/// One jump with a million targets, out of blocks that lie in each other.
fn jumps() -> Vec<u8> {
    let (open, close) = ("(block ".repeat(500), ")".repeat(500));
    let targets: String = (0..1_000_000).map(|number| format!("{} ", number % 500)).collect();
    component(&format!("(func (param i32) {open} (br_table {targets} (local.get 0)) {close})"))
}

/// A type in a type in a type.
fn nested(depth: usize) -> Vec<u8> {
    let mut text = String::from("(component (type $t0 (list u8))");
    for level in 1..depth {
        write!(text, "(type $t{level} (tuple $t{0} $t{0}))", level - 1).expect("a text grows");
    }
    text.push(')');
    wat::parse_str(text).expect("it assembles")
}

#[tokio::test]
async fn a_bomb_is_refused_or_ends_in_the_child_within_its_limits() {
    let folder = tempfile::tempdir().expect("a folder");
    let compiler = compiler(folder.path(), child_command(), TIGHT);
    let clock = SystemClock::default();
    for (what, bomb) in [
        ("functions", component(&"(func)".repeat(99_000))),
        ("locals", locals(8)),
        ("jumps", jumps()),
        ("blocks", component(&format!("(func {} {})", "(block ".repeat(40_000), ")".repeat(40_000)))),
        ("types", nested(90)),
        ("deep types", nested(2_000)),
        ("segments", component(&format!("(memory 1) {}", "(data (i32.const 0) \"x\")".repeat(90_000)))),
    ] {
        let begun = clock.elapsed();
        let read = Inspection::read(&bomb);
        let inspected = clock.elapsed() - begun;
        assert!(inspected < Duration::from_secs(5), "{what} took the node {inspected:?} to look at");
        if read.is_err() {
            continue;
        }
        match compiler.compile(&bomb).await {
            Ok(_) | Err(CompileError::Refused(_) | CompileError::Limit(_)) => {}
            Err(error) => panic!("{what}: {error}"),
        }
        let took = clock.elapsed() - begun;
        // The child's own limit is a minute; that it holds is what counts, and not how busy the machine is.
        assert!(took < Duration::from_secs(90), "{what} took {took:?}");
    }
}

#[test]
fn what_is_too_much_of_anything_is_refused_unread_with_its_count() {
    let large = component(&format!("(func {})", "(drop (i64.const 1234567890123456789))".repeat(400_000)));
    for (bomb, what) in [
        (component(&"(func)".repeat(100_001)), "a component's functions"),
        (component(&format!("(memory 1) {}", "(data \"\")".repeat(200_001))), "types, imports, exports"),
        (large, "a function's bytes"),
        (vec![0; (32 << 20) + 1], "an artifact's bytes"),
    ] {
        let Err(refused @ InspectError::TooLarge { .. }) = Inspection::read(&bomb) else { panic!("{what} were taken") };
        assert!(refused.to_string().contains(what), "{refused}");
        assert!(refused.to_string().contains("are allowed"), "{refused}");
    }
}

#[test]
fn any_flipped_byte_of_a_component_is_read_or_refused_and_never_more() {
    let whole = crate::support::guest("table-bomb");
    for place in (0..whole.len()).step_by(3) {
        let mut broken = whole.clone();
        broken[place] ^= 0xff;
        // Not to panic and not to hang is all that is asked.
        let _ = Inspection::read(&broken);
    }
}
