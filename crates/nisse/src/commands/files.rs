//! Reads the files that a command names: regular ones, up to a size, and a package's from its own folder alone.
//!
//! A package may come from anybody. What its files lead to is looked at before it is opened, so that no name in it has a
//! command wait for ever, fill memory, or show a file that is not in it.

use std::fs::{File, OpenOptions, metadata};
use std::io::Read as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use crate::failure::{Exit, Failure, unreadable};

/// Largest file of a home, or one with a receipt, that a command reads as text.
const TEXT_BYTES_MAX: u64 = 16 << 20;

/// The bytes of a regular file of at most `max` bytes.
pub(super) fn read(path: &Path, max: u64) -> Result<Vec<u8>, Failure> {
    let failed = |error| unreadable(path, &error);
    check_regular(path, &metadata(path).map_err(failed)?)?;
    // Another one may stand there by now: this neither waits for a writer nor reads on without an end.
    let file = OpenOptions::new().read(true).custom_flags(NONBLOCK).open(path).map_err(failed)?;
    let found = file.metadata().map_err(failed)?;
    check_regular(path, &found)?;
    if found.len() > max {
        return Err(too_long(path, found.len(), max));
    }
    let bytes = up_to(file, max + 1).map_err(failed)?;
    if bytes.len() as u64 > max { Err(too_long(path, bytes.len() as u64, max)) } else { Ok(bytes) }
}

/// The same of a file in the folder of a package, wherever links lead as long as it is in there.
pub(super) fn read_inside(folder: &Path, name: &str, max: u64) -> Result<Vec<u8>, Failure> {
    let path = folder.join(name);
    let real =
        |path: &Path| -> Result<PathBuf, Failure> { path.canonicalize().map_err(|error| unreadable(path, &error)) };
    if !real(&path)?.starts_with(real(folder)?) {
        let text = format!("failed to read {}: it leads out of the package's folder", path.display());
        return Err(Failure::new(Exit::Refused, text).hint("put the file itself there in place of the link"));
    }
    read(&path, max)
}

/// A file's text, or a sentence.
pub(super) fn read_text(path: &Path) -> Result<String, Failure> {
    text(path, read(path, TEXT_BYTES_MAX)?)
}

/// Bytes that have to be text.
pub(super) fn text(path: &Path, bytes: Vec<u8>) -> Result<String, Failure> {
    String::from_utf8(bytes)
        .map_err(|_| Failure::new(Exit::Failed, format!("failed to read {}: it is not text in UTF-8", path.display())))
}

/// At most so many bytes of what may have no end.
pub(super) fn up_to(file: File, max: u64) -> std::io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    file.take(max).read_to_end(&mut bytes)?;
    Ok(bytes)
}

const NONBLOCK: i32 = rustix::fs::OFlags::NONBLOCK.bits() as i32;

fn check_regular(path: &Path, found: &std::fs::Metadata) -> Result<(), Failure> {
    if found.is_file() {
        return Ok(());
    }
    let what = if found.is_dir() { "it is a folder" } else { "it is no regular file" };
    Err(Failure::new(Exit::Failed, format!("failed to read {}: {what}", path.display())))
}

fn too_long(path: &Path, bytes: u64, max: u64) -> Failure {
    Failure::usage(format!("failed to read {}: it has {bytes} bytes, at most {max} are taken", path.display()))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    /// What a refusal says, without this run's folder.
    fn told<T>(folder: &Path, result: Result<T, Failure>) -> String {
        let told = result.err().expect("it is refused").told();
        told.replace(&folder.display().to_string(), "DIR")
    }

    #[test]
    fn only_a_regular_file_of_its_size_is_read() {
        let dir = tempfile::tempdir().expect("a folder");
        let at = |name: &str| dir.path().join(name);
        std::fs::write(at("four"), "four").expect("written");
        assert_eq!(read(&at("four"), 4).expect("it fits"), b"four");
        insta::assert_snapshot!(told(dir.path(), read(&at("four"), 3)), @r"
        exit 2
        error: failed to read DIR/four: it has 4 bytes, at most 3 are taken
        ");
        insta::assert_snapshot!(told(dir.path(), read(dir.path(), 3)), @r"
        exit 1
        error: failed to read DIR: it is a folder
        ");
        symlink("/dev/zero", at("zero")).expect("linked");
        insta::assert_snapshot!(told(dir.path(), read(&at("zero"), 3)), @r"
        exit 1
        error: failed to read DIR/zero: it is no regular file
        ");
        // Nobody ever writes into it.
        let made = std::process::Command::new("mkfifo").arg(at("pipe")).status().expect("mkfifo is there");
        assert!(made.success());
        insta::assert_snapshot!(told(dir.path(), read(&at("pipe"), 3)), @r"
        exit 1
        error: failed to read DIR/pipe: it is no regular file
        ");
    }

    #[test]
    fn a_link_is_followed_inside_a_package_and_never_out_of_it() {
        let dir = tempfile::tempdir().expect("a folder");
        let package = dir.path().join("package");
        std::fs::create_dir(&package).expect("made");
        std::fs::write(package.join("real"), "in").expect("written");
        std::fs::write(dir.path().join("secret"), "out").expect("written");
        symlink("real", package.join("inside")).expect("linked");
        assert_eq!(read_inside(&package, "inside", 9).expect("it is in there"), b"in");
        for (name, target) in [("up", "../secret"), ("far", "/etc/passwd"), ("zero", "/dev/zero"), ("over", "..")] {
            symlink(target, package.join(name)).expect("linked");
            let told = told(&package, read_inside(&package, name, 9));
            assert!(told.starts_with(&format!("exit 3\nerror: failed to read DIR/{name}: it leads out of ")), "{told}");
        }
        symlink(dir.path(), package.join("folder")).expect("linked");
        assert!(told(&package, read_inside(&package, "folder/secret", 9)).contains("it leads out of"));
    }

    #[test]
    fn what_is_not_text_is_said_and_not_shown() {
        let dir = tempfile::tempdir().expect("a folder");
        let path = dir.path().join("bytes");
        std::fs::write(&path, [0xff, 0xfe]).expect("written");
        insta::assert_snapshot!(told(dir.path(), read_text(&path)), @r"
        exit 1
        error: failed to read DIR/bytes: it is not text in UTF-8
        ");
    }
}
