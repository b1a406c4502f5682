//! The compile child and the code cache.

use std::ffi::OsString;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use nisse_model::Hash256;
use nisse_sandbox::{CompileCommand, CompileError, CompileLimits, Compiler, compile_child_main};
use nisse_store::{Disk, FileMode, SystemDisk, SystemEntropy};

use crate::support::{engine, guest};

/// Runs only when a test starts it as its compile child: this binary stands in for `nisse internal compile`. The test
/// harness prints on standard output, so the answer goes to descriptor 3, which the shell has put in its place.
#[test]
#[ignore = "the compile child of the tests here"]
fn child() {
    let mut answer = File::create("/dev/fd/3").expect("the parent gave a descriptor");
    compile_child_main(&mut std::io::stdin(), &mut answer).expect("it compiles");
}

fn shell(script: &str) -> CompileCommand {
    let this = std::env::current_exe().expect("this binary");
    let arguments: Vec<OsString> = vec!["-c".into(), script.into(), this.into()];
    CompileCommand { program: PathBuf::from("/bin/sh"), arguments }
}

pub(crate) fn child_command() -> CompileCommand {
    shell(r#"exec "$0" --ignored --exact compile::child --nocapture 3>&1 >/dev/null"#)
}

pub(crate) fn compiler(folder: &Path, command: CompileCommand, limits: CompileLimits) -> Compiler {
    let disk: Arc<dyn Disk> = Arc::new(SystemDisk);
    Compiler::new(engine(), disk, folder.to_owned(), &SystemEntropy, command, limits).expect("a compiler")
}

fn nobody() -> CompileCommand {
    CompileCommand { program: PathBuf::from("/nonexistent/compiler"), arguments: Vec::new() }
}

fn cached_file(folder: &Path) -> PathBuf {
    let files = SystemDisk.read_dir(folder).expect("the folder is there");
    files.into_iter().find(|path| path.extension().is_some_and(|end| end == "cwasm")).expect("code is cached")
}

#[tokio::test]
async fn an_artifact_is_compiled_once_in_a_child_and_then_read_from_the_cache() {
    let folder = tempfile::tempdir().expect("a folder");
    let artifact = guest("proxy-hello");
    let compiler = compiler(folder.path(), child_command(), CompileLimits::default());
    let compiled = compiler.compile(&artifact).await.expect("the child compiles");
    assert_eq!(compiled.artifact_hash(), Hash256::of(&artifact));
    let again = self::compiler(folder.path(), nobody(), CompileLimits::default());
    again.compile(&artifact).await.expect("no child is needed");
}

#[tokio::test]
async fn cached_code_that_is_not_intact_is_never_loaded() {
    let folder = tempfile::tempdir().expect("a folder");
    let artifact = guest("proxy-hello");
    let hash = Hash256::of(&artifact);
    let compiler = compiler(folder.path(), child_command(), CompileLimits::default());
    compiler.compile(&artifact).await.expect("the child compiles");
    let path = cached_file(folder.path());
    let whole = SystemDisk.read(&path, u64::MAX).expect("it is there");
    for (place, what) in [(0, "magic"), (20, "artifact"), (60, "engine"), (100, "seal"), (4000, "code")] {
        let mut broken = whole.clone();
        broken[place] ^= 1;
        SystemDisk.replace(&path, &broken).expect("it is written");
        assert!(compiler.cached(hash).is_none(), "a flipped bit in the {what} was not noticed");
    }
    for end in [0, 50, 111, whole.len() - 1] {
        SystemDisk.replace(&path, &whole[..end]).expect("it is written");
        assert!(compiler.cached(hash).is_none(), "{end} bytes were taken for the whole");
    }
    SystemDisk.replace(&path, &whole).expect("it is written");
    assert!(compiler.cached(hash).is_some());
    // The same file in another home: its key is another one.
    let other = tempfile::tempdir().expect("a folder");
    let elsewhere = self::compiler(other.path(), nobody(), CompileLimits::default());
    SystemDisk.replace(&other.path().join(path.file_name().expect("a name")), &whole).expect("it is written");
    assert!(elsewhere.cached(hash).is_none(), "code of another home was loaded");
}

#[tokio::test]
async fn what_is_not_valid_is_refused_in_the_compilers_words() {
    let folder = tempfile::tempdir().expect("a folder");
    let compiler = compiler(folder.path(), child_command(), CompileLimits::default());
    let invalid = wat::parse_str("(component (core module (func (result i32))))").expect("it assembles");
    let Err(CompileError::Refused(text)) = compiler.compile(&invalid).await else { panic!("it is not valid") };
    assert!(text.contains("type mismatch"), "{text}");
}

#[tokio::test]
async fn a_child_that_does_not_end_is_killed_and_one_that_dies_is_named() {
    let folder = tempfile::tempdir().expect("a folder");
    let limits = CompileLimits { time: Duration::from_millis(100), ..CompileLimits::default() };
    let slow = compiler(folder.path(), shell("sleep 60"), limits);
    let error = slow.compile(b"x").await.expect_err("it takes too long");
    insta::assert_snapshot!(error, @"compile the component within its limits: the compiler needed more than 100ms");
    let dead = compiler(folder.path(), shell("kill -9 $$"), CompileLimits::default());
    let error = dead.compile(b"x").await.expect_err("it dies");
    insta::assert_snapshot!(error, @"compile the component within its limits: the compiler ended with signal: 9 (SIGKILL) and no code");
    let chatty = compiler(folder.path(), shell("echo hello from a stranger"), CompileLimits::default());
    assert!(matches!(chatty.compile(b"x").await, Err(CompileError::Limit(_))));
    let missing = compiler(folder.path(), nobody(), CompileLimits::default());
    assert!(matches!(missing.compile(b"x").await, Err(CompileError::Child(_))));
}

#[tokio::test]
async fn the_child_keeps_the_limits_that_it_was_given() {
    let folder = tempfile::tempdir().expect("a folder");
    let limits = CompileLimits { memory_bytes: 64 << 20, ..CompileLimits::default() };
    let small = compiler(folder.path(), child_command(), limits);
    let error = small.compile(&guest("echo")).await.expect_err("64 MiB of addresses are not enough");
    assert!(matches!(error, CompileError::Limit(_)), "{error}");
}

#[test]
fn the_child_reads_only_requests_of_its_own_kind() {
    for input in [&b""[..], b"nisse-compile-1\n", b"something else entirely, long enough to be read as a head"] {
        let mut answer = Vec::new();
        assert!(compile_child_main(&mut &input[..], &mut answer).is_err());
        assert!(answer.is_empty());
    }
}

#[test]
fn the_key_of_the_cache_is_for_the_owner_only() {
    use std::os::unix::fs::PermissionsExt;
    let folder = tempfile::tempdir().expect("a folder");
    compiler(folder.path(), nobody(), CompileLimits::default());
    let key = folder.path().join("key");
    let mode = std::fs::metadata(&key).expect("it is there").permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    let length = SystemDisk.open(&key, FileMode::Read).expect("it opens").len().expect("a length");
    assert_eq!(length, 32);
}
