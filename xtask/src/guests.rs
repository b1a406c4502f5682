//! `cargo xtask guests`: rebuilds the example guests, whose bytes are committed, so that tests need no wasm toolchain.
//!
//! The same sources give the same bytes in any folder, with the toolchain that `examples/guests/TOOLCHAIN` records.
//! `--check` compares instead of writing. Where that toolchain cannot be had, it still checks what needs no build (seals,
//! imports, guests in WebAssembly text) and says loudly that no other bytes were compared.
#![allow(clippy::print_stdout, clippy::print_stderr, reason = "a command for people")]

mod component;
mod toolchain;

use anyhow::{Context, bail, ensure};
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use toolchain::Toolchain;

/// Each is a cargo workspace of its own.
const WORKSPACES: [&str; 2] = ["examples/guests", "examples/price-oracle"];

/// The list of what each guest imports and exports.
const IMPORTS: &str = "examples/guests/IMPORTS.txt";

/// A guest larger than this does not belong into the repository, in bytes.
const GUEST_BYTES_MAX: u64 = 300 * 1024;

/// One guest: a folder with its sources, an agent.yaml and the committed component.
struct Guest {
    /// The package's name in cargo, or the folder's.
    package: String,
    folder: PathBuf,
    /// The `entry_point` of agent.yaml.
    entry_point: String,
    sources: Sources,
}

/// What a guest is made from.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Sources {
    /// `Cargo.toml`: Rust, built by the toolchain.
    Rust,
    /// `module.wat` and `world.wit`: what no compiler would write.
    Text,
}

/// Runs the command.
pub(crate) fn run(arguments: &[String]) -> anyhow::Result<()> {
    // Where cargo runs this from, else where it was built.
    let xtask = std::env::var_os("CARGO_MANIFEST_DIR").unwrap_or_else(|| env!("CARGO_MANIFEST_DIR").into());
    let root = Path::new(&xtask).parent().context("xtask has no parent folder")?.to_owned();
    match arguments.iter().map(String::as_str).collect::<Vec<_>>().as_slice() {
        [] => rebuild(&root, &Toolchain::install(&root)?),
        ["--check"] => check(&root),
        ["--update-toolchain"] => rebuild(&root, &Toolchain::install_newest(&root)?),
        _ => bail!("usage: cargo xtask guests [--check | --update-toolchain]"),
    }
}

fn rebuild(root: &Path, toolchain: &Toolchain) -> anyhow::Result<()> {
    for workspace in WORKSPACES {
        let built = toolchain.build(root, workspace)?;
        for guest in guests(root, workspace)? {
            let bytes =
                guest.make(root, &built).with_context(|| format!("failed to make a component of {}", guest.package))?;
            fs::write(guest.folder.join(&guest.entry_point), &bytes)?;
            seal(&guest, &bytes)?;
            println!("{:>7} bytes  {}", bytes.len(), guest.package);
        }
    }
    fs::write(root.join(IMPORTS), imports(root)?)?;
    check_committed(root)
}

fn check(root: &Path) -> anyhow::Result<()> {
    check_committed(root)?;
    let toolchain = match Toolchain::install(root) {
        Ok(toolchain) => toolchain,
        Err(error) => {
            eprintln!("############################################################################");
            eprintln!("# THE GUESTS WERE NOT REBUILT: their committed bytes were NOT compared.");
            eprintln!("# {error:#}");
            eprintln!("############################################################################");
            return Ok(());
        }
    };
    let mut different = Vec::new();
    for workspace in WORKSPACES {
        let built = toolchain.build(root, workspace)?;
        for guest in guests(root, workspace)? {
            if guest.make(root, &built)? != fs::read(guest.folder.join(&guest.entry_point))? {
                different.push(guest.package);
            }
        }
    }
    ensure!(
        different.is_empty(),
        "these guests are not what their sources build: {}; run `cargo xtask guests` and commit the result",
        different.join(", ")
    );
    println!("guests: every committed byte was rebuilt from its sources");
    Ok(())
}

/// What can be checked without a toolchain: every component is valid and small, sealed, and imports what is listed.
fn check_committed(root: &Path) -> anyhow::Result<()> {
    for guest in all_guests(root)? {
        let path = guest.folder.join(&guest.entry_point);
        let bytes = fs::read(&path).with_context(|| format!("failed to read {}", path.display()))?;
        ensure!(bytes.len() as u64 <= GUEST_BYTES_MAX, "{} has {} bytes", path.display(), bytes.len());
        let manifest = fs::read_to_string(guest.folder.join("agent.yaml"))?;
        ensure!(
            scalar(&manifest, "artifact_hash") == Some(&component::sha256(&bytes)),
            "{}/agent.yaml is not sealed over its component",
            guest.folder.display()
        );
        ensure!(
            guest.sources == Sources::Rust || guest.assemble(root)? == bytes,
            "{} is not what its text says; run `cargo xtask guests` and commit the result",
            path.display()
        );
    }
    ensure!(
        fs::read_to_string(root.join(IMPORTS)).unwrap_or_default() == imports(root)?,
        "{IMPORTS} does not say what the components import"
    );
    Ok(())
}

fn imports(root: &Path) -> anyhow::Result<String> {
    let mut text = String::from(
        "# What each guest imports (<-) and exports (->), read from its component. Made by `cargo xtask guests`.\n",
    );
    for guest in all_guests(root)? {
        let world = component::world(&fs::read(guest.folder.join(&guest.entry_point))?)
            .with_context(|| format!("failed to decode {}", guest.entry_point))?;
        write!(text, "\n{}\n{world}", guest.package)?;
    }
    Ok(text)
}

fn all_guests(root: &Path) -> anyhow::Result<Vec<Guest>> {
    let mut all = Vec::new();
    for workspace in WORKSPACES {
        all.extend(guests(root, workspace)?);
    }
    Ok(all)
}

/// The packages of a workspace, by name: its members' folders, or the workspace itself.
fn guests(root: &Path, workspace: &str) -> anyhow::Result<Vec<Guest>> {
    let workspace = root.join(workspace);
    let mut folders = vec![workspace.clone()];
    for entry in fs::read_dir(&workspace)? {
        folders.push(entry?.path());
    }
    folders.retain(|folder| folder.join("agent.yaml").exists() && Sources::of(folder).is_some());
    folders.sort();
    folders.into_iter().map(Guest::open).collect()
}

impl Guest {
    fn open(folder: PathBuf) -> anyhow::Result<Self> {
        let sources = Sources::of(&folder).with_context(|| format!("{} has no sources", folder.display()))?;
        let package = match sources {
            Sources::Rust => fs::read_to_string(folder.join("Cargo.toml"))?
                .lines()
                .find_map(|line| line.strip_prefix("name = "))
                .with_context(|| format!("{} names no package", folder.display()))?
                .trim_matches('"')
                .to_owned(),
            Sources::Text => folder.file_name().unwrap_or_default().to_string_lossy().into_owned(),
        };
        let manifest = fs::read_to_string(folder.join("agent.yaml"))?;
        let entry_point = scalar(&manifest, "entry_point")
            .with_context(|| format!("{}/agent.yaml has no entry_point", folder.display()))?
            .to_owned();
        Ok(Self { package, folder, entry_point, sources })
    }

    /// Its component; `built` is the folder of the core modules that the toolchain made.
    fn make(&self, root: &Path, built: &Path) -> anyhow::Result<Vec<u8>> {
        match self.sources {
            Sources::Rust => component::encode(&built.join(module_name(&self.package))),
            Sources::Text => self.assemble(root),
        }
    }

    fn assemble(&self, root: &Path) -> anyhow::Result<Vec<u8>> {
        let [module, world] = ["module.wat", "world.wit"].map(|file| fs::read_to_string(self.folder.join(file)));
        component::assemble(&module?, &world?, &root.join("wit"))
    }
}

impl Sources {
    fn of(folder: &Path) -> Option<Self> {
        let has = |file: &str| folder.join(file).exists();
        has("Cargo.toml").then_some(Self::Rust).or_else(|| has("module.wat").then_some(Self::Text))
    }
}

fn module_name(package: &str) -> String {
    format!("{}.wasm", package.replace('-', "_"))
}

/// Writes the component's hash into agent.yaml and leaves every other byte of it alone.
fn seal(guest: &Guest, bytes: &[u8]) -> anyhow::Result<()> {
    let path = guest.folder.join("agent.yaml");
    let manifest = fs::read_to_string(&path)?;
    let old = scalar(&manifest, "artifact_hash").with_context(|| format!("{} has no artifact_hash", path.display()))?;
    Ok(fs::write(&path, manifest.replace(old, &component::sha256(bytes)))?)
}

/// The value of a top-level `key: "value"` line, which is how the manifests of the guests are written.
fn scalar<'a>(manifest: &'a str, key: &str) -> Option<&'a str> {
    let line = manifest.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix(": \""))?;
    Some(&line[..line.find('"')?])
}
