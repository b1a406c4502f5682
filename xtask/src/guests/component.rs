//! From a core module to a component, and what a component says of itself.
use anyhow::bail;
use sha2::{Digest, Sha256};
use std::fmt::Write as _;
use std::fs;
use std::path::Path;
use wit_component::{ComponentEncoder, DecodedWasm, StringEncoding, embed_component_metadata};
use wit_parser::Resolve;

/// Makes a component of a core module that carries its world in custom sections, and validates it.
pub(crate) fn encode(module: &Path) -> anyhow::Result<Vec<u8>> {
    ComponentEncoder::default().validate(true).module(&fs::read(module)?)?.encode()
}

/// Makes a component of a module in WebAssembly text. `world` is a WIT package with one world, `wit` the folder of the
/// packages that it names.
pub(crate) fn assemble(module: &str, world: &str, wit: &Path) -> anyhow::Result<Vec<u8>> {
    let mut resolve = Resolve::default();
    resolve.push_path(wit)?;
    let package = resolve.push_str("world.wit", world)?;
    let world = resolve.select_world(&[package], None)?;
    let mut module = wat::parse_str(module)?;
    embed_component_metadata(&mut module, &resolve, world, StringEncoding::UTF8, false)?;
    ComponentEncoder::default().validate(true).module(&module)?.encode()
}

/// One line for each import and export, sorted.
pub(crate) fn world(component: &[u8]) -> anyhow::Result<String> {
    let DecodedWasm::Component(resolve, world) = wit_component::decode(component)? else {
        bail!("this is a WIT package and not a component");
    };
    let world = &resolve.worlds[world];
    let mut text = String::new();
    for (arrow, items) in [("<-", &world.imports), ("->", &world.exports)] {
        let mut names: Vec<String> = items.keys().map(|key| resolve.name_world_key(key)).collect();
        names.sort();
        for name in names {
            writeln!(text, "  {arrow} {name}")?;
        }
    }
    Ok(text)
}

/// As 64 lower-case hexadecimal digits.
pub(crate) fn sha256(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}
