//! The toolchain that builds the committed guests: Debian's Rust for the web, unpacked into `target/guest-toolchain`.
//!
//! Nothing is installed into the system and nothing needs root. The standard library is built from source for
//! `wasm32-unknown-unknown`, so that a guest imports only what its own code calls.
use anyhow::{Context, bail, ensure};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// One `package version` a line.
const RECORD: &str = "examples/guests/TOOLCHAIN";

const TARGET: &str = "wasm32-unknown-unknown";

/// The compiler, its sources, the linker, and those libraries of theirs that a small system may lack.
const PACKAGES: [&str; 12] = [
    "cargo-web",
    "libgit2-1.5",
    "libhttp-parser2.9",
    "libllvm22",
    "libmbedcrypto7",
    "libmbedtls14",
    "libmbedx509-1",
    "libstd-rust-web-1.96",
    "libstd-rust-web-dev",
    "lld-22",
    "rust-web-src",
    "rustc-web",
];

/// An unpacked toolchain.
pub(crate) struct Toolchain {
    /// Its `/usr`.
    usr: PathBuf,
}

impl Toolchain {
    /// Unpacks the recorded versions, unless they are here.
    pub(crate) fn install(root: &Path) -> anyhow::Result<Self> {
        let record = fs::read_to_string(root.join(RECORD)).with_context(|| format!("failed to read {RECORD}"))?;
        let wanted = record
            .lines()
            .filter(|line| !line.is_empty() && !line.starts_with('#'))
            .map(|line| line.split_once(' ').with_context(|| format!("{RECORD}: `{line}` is not `package version`")))
            .map(|pair| pair.map(|(package, version)| format!("{package}={version}")))
            .collect::<anyhow::Result<Vec<String>>>()?;
        unpack(root, &wanted)
    }

    /// Unpacks the newest versions and records them.
    pub(crate) fn install_newest(root: &Path) -> anyhow::Result<Self> {
        let _ = Command::new("apt-get").arg("update").status();
        let toolchain = unpack(root, &PACKAGES.map(String::from))?;
        let mut record = String::from(
            "# The Debian packages that build the committed guests. Renewed by `cargo xtask guests --update-toolchain`.\n",
        );
        for deb in debs(root)? {
            let fields =
                output(Command::new("dpkg-deb").arg("--showformat=${Package} ${Version}\n").arg("-W").arg(deb))?;
            record.push_str(&fields);
        }
        fs::write(root.join(RECORD), record)?;
        Ok(toolchain)
    }

    /// Builds every guest of a workspace and gives the folder of its core modules.
    pub(crate) fn build(&self, root: &Path, workspace: &str) -> anyhow::Result<PathBuf> {
        let target = root.join("target/guests");
        let mut command = Command::new(self.usr.join("bin/cargo"));
        command
            .current_dir(root.join(workspace))
            .args(["build", "--locked", "--release", "--quiet", "--jobs", "1", "--target", TARGET])
            .args(["-Zbuild-std=std,panic_abort", "-Zbuild-std-features="]);
        // What a shell or an outer cargo has set must not reach the bytes.
        for (name, _) in std::env::vars_os() {
            let text = name.to_string_lossy();
            let network = ["CARGO_HOME", "CARGO_HTTP_", "CARGO_NET_"].iter().any(|keep| text.starts_with(keep));
            if (text.starts_with("CARGO") || text.starts_with("RUST") || text.starts_with("__CARGO")) && !network {
                command.env_remove(&name);
            }
        }
        let cargo_home = std::env::var_os("CARGO_HOME").map(PathBuf::from).or_else(|| {
            let home = std::env::var_os("HOME")?;
            Some(Path::new(&home).join(".cargo"))
        });
        // The last one that fits a path wins.
        let remap: Vec<String> = [
            Some((root.to_owned(), "/nisse")),
            cargo_home.map(|home| (home, "/cargo")),
            Some((self.usr.join("lib/rustlib/src/rust"), "/rustc")),
            Some((fs::canonicalize(self.usr.join("lib/rustlib/src/rust"))?, "/rustc")),
        ]
        .into_iter()
        .flatten()
        .map(|(from, to)| format!("--remap-path-prefix={}={to}", from.display()))
        .collect();
        command
            .env("CARGO_ENCODED_RUSTFLAGS", remap.join("\u{1f}"))
            .env("CARGO_TARGET_WASM32_UNKNOWN_UNKNOWN_LINKER", self.usr.join("bin/wasm-ld-22"))
            .env("CARGO_TARGET_DIR", &target)
            .env("LD_LIBRARY_PATH", self.libraries())
            .env("RUSTC", self.usr.join("bin/rustc"))
            .env("RUSTC_WRAPPER", wrapper(&target)?)
            // Building the standard library is not stable yet.
            .env("RUSTC_BOOTSTRAP", "1");
        ensure!(command.status()?.success(), "failed to build the guests of {workspace}");
        Ok(target.join(TARGET).join("release"))
    }

    fn libraries(&self) -> String {
        let lib = self.usr.join("lib");
        format!("{}:{}", lib.join("x86_64-linux-gnu").display(), lib.join("llvm-22/lib").display())
    }

    /// Every library that the programs need is either unpacked or on this system.
    fn check(&self) -> anyhow::Result<()> {
        for program in ["bin/cargo", "bin/rustc", "bin/wasm-ld-22"] {
            let path = self.usr.join(program);
            let needs = output(Command::new("ldd").arg(&path).env("LD_LIBRARY_PATH", self.libraries()))?;
            let missing: Vec<&str> = needs
                .lines()
                .filter(|line| line.contains("not found"))
                .filter_map(|l| l.split_whitespace().next())
                .collect();
            ensure!(missing.is_empty(), "{program} of the guest toolchain needs {} of the system", missing.join(", "));
        }
        Ok(())
    }
}

/// Writes the script that stands before rustc. Cargo would not see that it changed, so then all is built anew.
fn wrapper(target: &Path) -> anyhow::Result<PathBuf> {
    use std::os::unix::fs::PermissionsExt as _;
    let path = target.join("rustc.sh");
    let script = include_str!("rustc.sh");
    if fs::read_to_string(&path).is_ok_and(|have| have == script) {
        return Ok(path);
    }
    let _ = fs::remove_dir_all(target);
    fs::create_dir_all(target)?;
    fs::write(&path, script)?;
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755))?;
    Ok(path)
}

/// Downloads and unpacks `wanted` (`package` or `package=version`), unless just these are here.
fn unpack(root: &Path, wanted: &[String]) -> anyhow::Result<Toolchain> {
    let folder = root.join("target/guest-toolchain");
    let toolchain = Toolchain { usr: folder.join("root/usr") };
    let stamp = folder.join("stamp");
    let wanted_text = wanted.join("\n");
    if fs::read_to_string(&stamp).is_ok_and(|have| have == wanted_text) {
        return Ok(toolchain);
    }
    if !cfg!(all(target_os = "linux", target_arch = "x86_64")) {
        bail!("the recorded guest toolchain is of Debian on x86_64");
    }
    let _ = fs::remove_dir_all(&folder);
    let debs_folder = folder.join("debs");
    fs::create_dir_all(&debs_folder)?;
    if download(&debs_folder, wanted).is_err() {
        // The package lists may be missing or old; renewing them needs root, and says so itself.
        let _ = Command::new("apt-get").arg("update").status();
        download(&debs_folder, wanted)?;
    }
    for deb in debs(root)? {
        let status = Command::new("dpkg-deb").arg("-x").arg(&deb).arg(folder.join("root")).status()?;
        ensure!(status.success(), "failed to unpack {}", deb.display());
    }
    toolchain.check()?;
    fs::write(&stamp, wanted_text)?;
    Ok(toolchain)
}

fn download(folder: &Path, wanted: &[String]) -> anyhow::Result<()> {
    let status = Command::new("apt-get")
        .current_dir(folder)
        .args(["download", "--quiet"])
        .args(wanted)
        .status()
        .context("failed to run apt-get: the recorded guest toolchain is of Debian")?;
    ensure!(status.success(), "failed to download the recorded guest toolchain ({})", wanted.join(" "));
    Ok(())
}

fn debs(root: &Path) -> anyhow::Result<Vec<PathBuf>> {
    let mut debs = Vec::new();
    for entry in fs::read_dir(root.join("target/guest-toolchain/debs"))? {
        debs.push(entry?.path());
    }
    debs.sort();
    Ok(debs)
}

fn output(command: &mut Command) -> anyhow::Result<String> {
    let output = command.output().with_context(|| format!("failed to run {command:?}"))?;
    ensure!(output.status.success(), "{command:?} failed: {}", String::from_utf8_lossy(&output.stderr));
    Ok(String::from_utf8(output.stdout)?)
}
