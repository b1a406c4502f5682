//! Texts of the configuration as what they mean, or a sentence.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use nisse_content::GatewayUrl;
use nisse_egress::{CaFile, ConnectTo};
use nisse_model::{Address, LocalHost};
use nisse_node::{AcceptList, ChainChoice};

use super::CHAIN_ID_UNKNOWN;
use crate::cli::Up;
use crate::failure::Failure;

/// Longest file of owners that are let in.
const OWNERS_BYTES_MAX: u64 = 1 << 20;

pub(super) fn parse<T: std::str::FromStr>(key: &str, text: &str) -> Result<T, Failure>
where
    T::Err: std::fmt::Display,
{
    text.parse().map_err(|error: T::Err| {
        let why = error.to_string();
        // It names the text that it could not read, as this sentence does.
        let named = why.strip_prefix(&format!("read `{text}`")).and_then(|rest| rest.split_once(": "));
        Failure::usage(format!("failed to read {key} = \"{text}\": {}", named.map_or(why.as_str(), |(_, rest)| rest)))
    })
}

pub(super) fn parse_all<T: std::str::FromStr>(key: &str, texts: &[String]) -> Result<Vec<T>, Failure>
where
    T::Err: std::fmt::Display,
{
    texts.iter().map(|text| parse(key, text)).collect()
}

pub(super) fn parse_suffix(text: &str) -> Result<String, Failure> {
    // As it is written: a name that would be read as another one is not taken.
    if let Ok(LocalHost::Name(name)) = text.parse::<LocalHost>()
        && name.as_str() == text
    {
        return Ok(text.to_owned());
    }
    Err(Failure::usage(format!("failed to read listen.suffix = \"{text}\": a lower-case host name is expected")))
}

/// Agents are reached below the name by which others reach the node.
pub(super) fn check_endpoint(endpoint: Option<&GatewayUrl>, suffix: &str) -> Result<(), Failure> {
    let wrong = |why: String| Failure::usage(format!("failed to use listen.endpoint: {why}"));
    match endpoint.map(GatewayUrl::host) {
        Some(LocalHost::Ip(ip)) => Err(wrong(format!("agents are reached below a name, and {ip} is an address"))
            .hint("give a name that leads to that address, such as https://agents.example.org")),
        Some(LocalHost::Name(name)) if name.as_str() != suffix => {
            Err(wrong(format!("its host {} is not listen.suffix = \"{suffix}\"", name.as_str()))
                .hint("leave listen.suffix out: it is the endpoint's host then"))
        }
        _ => Ok(()),
    }
}

/// What names another chain is of no use without one.
pub(super) fn check_flags(chain: &str, flags: &Up) -> Result<(), Failure> {
    let unused = [
        ("--contract", flags.contract.is_some()),
        ("--chain-id", flags.chain_id.is_some()),
        ("--stake", flags.stake.is_some()),
    ];
    match unused.into_iter().find(|(_, given)| *given && chain == "embedded") {
        Some((flag, _)) => Err(Failure::usage(format!("failed to use {flag}: it is for a chain elsewhere"))
            .hint("name that chain with --chain URL")),
        None => Ok(()),
    }
}

pub(super) fn parse_chain(
    chain: &str,
    id: Option<&str>,
    contract: Option<&str>,
    dev: bool,
) -> Result<ChainChoice, Failure> {
    if chain == "embedded" {
        return Ok(ChainChoice::Embedded { dev });
    }
    if dev {
        return Err(Failure::usage("failed to use --chain-dev: it is for the embedded chain"));
    }
    if !chain.starts_with("http://") && !chain.starts_with("https://") {
        let text = format!("failed to read market.chain = \"{chain}\": `embedded` or a URL is expected");
        return Err(Failure::usage(text));
    }
    let Some(contract) = contract else {
        return Err(Failure::usage("failed to use another chain: the market's address book there is needed")
            .hint("give --contract ADDR"));
    };
    Ok(ChainChoice::Remote {
        url: chain.to_owned(),
        chain_id: id.map_or(Ok(CHAIN_ID_UNKNOWN), |id| parse("market.chain_id", id))?,
        contract: parse::<Address>("market.contract", contract)?,
    })
}

pub(super) fn parse_accept(text: &str) -> Result<AcceptList, Failure> {
    let words: Vec<&str> = text.split(',').map(str::trim).filter(|word| !word.is_empty()).collect();
    match words.as_slice() {
        ["own"] => Ok(AcceptList::Own),
        ["any"] => Ok(AcceptList::Any),
        [] => Err(Failure::usage("failed to read market.accept: `own`, `any` or addresses are expected")),
        [file] if Path::new(file).is_file() => parse_owners(Path::new(file)),
        addresses => {
            let owners = addresses.iter().filter(|word| **word != "own").map(|word| word.parse::<Address>());
            owners.collect::<Result<BTreeSet<Address>, _>>().map(AcceptList::Owners).map_err(|_| {
                Failure::usage(format!(
                    "failed to read market.accept = \"{text}\": `own`, `any` or addresses (0x and 40 hex digits) are expected"
                ))
            })
        }
    }
}

/// A file of owners' addresses, one on a line; `#` begins a remark.
fn parse_owners(file: &Path) -> Result<AcceptList, Failure> {
    let length = std::fs::metadata(file).map_err(|error| crate::failure::unreadable(file, &error))?.len();
    if length > OWNERS_BYTES_MAX {
        let text = format!("failed to read {}: it is longer than {OWNERS_BYTES_MAX} bytes", file.display());
        return Err(Failure::usage(text));
    }
    let text = std::fs::read_to_string(file).map_err(|error| crate::failure::unreadable(file, &error))?;
    let words = text.lines().map(|line| line.split('#').next().unwrap_or_default().trim()).enumerate();
    let owners = words.filter(|(_, word)| !word.is_empty()).map(|(at, word)| {
        word.parse::<Address>().map_err(|_| {
            let line = at + 1;
            Failure::usage(format!("failed to read {}: line {line}: an address is expected", file.display()))
                .hint("write one owner's address (0x and 40 hex digits) on each line")
        })
    });
    owners.collect::<Result<BTreeSet<Address>, _>>().map(AcceptList::Owners)
}

/// The n-th authority belongs to the n-th exception.
pub(super) fn parse_connect_to(texts: &[String], authorities: &[PathBuf]) -> Result<Vec<ConnectTo>, Failure> {
    if authorities.len() > texts.len() {
        return Err(Failure::usage("failed to use --ca: each one belongs to a --connect-to before it"));
    }
    let mut all = Vec::new();
    for (index, text) in texts.iter().enumerate() {
        let mut one: ConnectTo = parse("--connect-to", text)?;
        if let Some(path) = authorities.get(index) {
            let pem = std::fs::read_to_string(path).map_err(|error| crate::failure::unreadable(path, &error))?;
            let authority = CaFile::from_pem(&pem)
                .map_err(|error| Failure::usage(format!("failed to use {}: {error}", path.display())))?;
            one = one.with_ca(authority);
        }
        all.push(one);
    }
    Ok(all)
}
