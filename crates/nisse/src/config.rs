//! One `nisse.toml`: flags over environment over file over built-in; unknown keys are errors; every value knows where
//! it came from.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use nisse_egress::{CaFile, ConnectTo};
use nisse_model::{Address, AmountPerHour, ByteSize, Cpu};
use nisse_node::{AcceptList, ChainChoice, JournalLimits, NodeOptions};
use nisse_sandbox::CompileCommand;
use serde::Deserialize;

use crate::cli::Up;
use crate::failure::{Exit, Failure};

/// The built-in values, as a file would say them.
const BUILT_IN: &str = include_str!("config/built-in.toml");
/// No chain has this id: the chain is asked for its own before the node starts.
pub(crate) const CHAIN_ID_UNKNOWN: u64 = 0;
/// Longest configuration file.
const FILE_BYTES_MAX: u64 = 64 << 10;

/// `nisse.toml`.
#[derive(Debug, Deserialize, Default, Clone)]
#[serde(deny_unknown_fields, default)]
struct File {
    listen: Listen,
    market: Market,
    limits: Limits,
    egress: Egress,
}

#[derive(Debug, Deserialize, Default, Clone)]
#[serde(deny_unknown_fields, default)]
struct Listen {
    api: Option<String>,
    public: Option<String>,
    rpc: Option<String>,
    suffix: Option<String>,
}

#[derive(Debug, Deserialize, Default, Clone)]
#[serde(deny_unknown_fields, default)]
struct Market {
    chain: Option<String>,
    chain_id: Option<u64>,
    contract: Option<String>,
    accept: Option<Vec<String>>,
    price: Option<String>,
    gas_budget_max: Option<u64>,
}

#[derive(Debug, Deserialize, Default, Clone)]
#[serde(deny_unknown_fields, default)]
struct Limits {
    cpu: Option<String>,
    memory: Option<String>,
    content: Option<String>,
    state: Option<String>,
}

#[derive(Debug, Deserialize, Default, Clone)]
#[serde(deny_unknown_fields, default)]
struct Egress {
    connect_to: Option<Vec<String>>,
    ca: Option<Vec<PathBuf>>,
}

/// One value and where it came from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Shown {
    pub(crate) key: &'static str,
    pub(crate) value: String,
    pub(crate) origin: String,
}

/// Everything, parsed before anything is bound.
pub(crate) struct Config {
    pub(crate) options: NodeOptions,
    pub(crate) shown: Vec<Shown>,
}

/// The home folder: `--home`, `NISSE_HOME`, or `~/.nisse`.
pub(crate) fn home(given: Option<&Path>) -> Result<PathBuf, Failure> {
    if let Some(given) = given {
        return std::path::absolute(given).map_err(|error| Failure::usage(format!("failed to find the home: {error}")));
    }
    match std::env::var_os("HOME").filter(|home| !home.is_empty()) {
        Some(home) => Ok(PathBuf::from(home).join(".nisse")),
        None => Err(Failure::usage("failed to find a home: HOME is not set").hint("name one with --home DIR")),
    }
}

/// Puts flags over the home's file over what is built in.
pub(crate) fn load(home: &Path, flags: &Up) -> Result<Config, Failure> {
    let path = home.join("nisse.toml");
    let file = read(&path)?;
    let built_in: File = toml::from_str(BUILT_IN).expect("the built-in configuration is valid");
    let mut picker = Picker { file_name: path.display().to_string(), shown: Vec::new() };

    let flag_addr = |addr: Option<SocketAddr>| addr.map(|addr| addr.to_string());
    let api = picker.pick("listen.api", flag_addr(flags.api), file.listen.api, built_in.listen.api)?;
    let public = picker.pick("listen.public", flag_addr(flags.public), file.listen.public, built_in.listen.public)?;
    let rpc = picker.maybe("listen.rpc", flag_addr(flags.rpc), file.listen.rpc);
    let suffix = picker.pick("listen.suffix", None, file.listen.suffix, built_in.listen.suffix)?;
    let chain = picker.pick("market.chain", flags.chain.clone(), file.market.chain, built_in.market.chain)?;
    let chain_id = picker.maybe(
        "market.chain_id",
        flags.chain_id.map(|id| id.to_string()),
        file.market.chain_id.map(|id| id.to_string()),
    );
    let contract = picker.maybe("market.contract", flags.contract.clone(), file.market.contract);
    let accept_flag = (!flags.accept.is_empty()).then(|| flags.accept.join(","));
    let accept = picker.pick(
        "market.accept",
        accept_flag,
        file.market.accept.map(|list| list.join(",")),
        built_in.market.accept.map(|list| list.join(",")),
    )?;
    let price = picker.pick("market.price", flags.price.clone(), file.market.price, built_in.market.price)?;
    let gas_budget_max = picker.pick(
        "market.gas_budget_max",
        None,
        file.market.gas_budget_max.map(|gas| gas.to_string()),
        built_in.market.gas_budget_max.map(|gas| gas.to_string()),
    )?;
    let cpu = picker.pick("limits.cpu", None, file.limits.cpu, built_in.limits.cpu)?;
    let memory = picker.pick("limits.memory", None, file.limits.memory, built_in.limits.memory)?;
    let content = picker.pick("limits.content", None, file.limits.content, built_in.limits.content)?;
    let state = picker.pick("limits.state", None, file.limits.state, built_in.limits.state)?;
    let (connect_flag, connect_file) = (flags.connect_to.clone(), file.egress.connect_to.unwrap_or_default());
    let from_flags = !connect_flag.is_empty();
    let connect_to = if from_flags { connect_flag } else { connect_file };
    if !from_flags && !flags.ca.is_empty() {
        return Err(Failure::usage("failed to use --ca: each one belongs to a --connect-to before it"));
    }
    let authorities = if from_flags { flags.ca.clone() } else { file.egress.ca.unwrap_or_default() };
    for one in &connect_to {
        picker.note("egress.connect_to", one.clone(), if from_flags { "flag" } else { "file" });
    }

    check_flags(&chain, flags)?;
    let options = NodeOptions {
        home: home.to_owned(),
        api: parse("listen.api", &api)?,
        public: parse("listen.public", &public)?,
        rpc: rpc.as_deref().map(|text| parse("listen.rpc", text)).transpose()?,
        suffix: parse_suffix(&suffix)?,
        chain: parse_chain(&chain, chain_id.as_deref(), contract.as_deref(), flags.chain_dev)?,
        accept: parse_accept(&accept)?,
        price: parse::<AmountPerHour>("market.price", &price)?,
        gas_budget_max: parse::<u64>("market.gas_budget_max", &gas_budget_max)?,
        cpu: parse::<Cpu>("limits.cpu", &cpu)?,
        memory: parse::<ByteSize>("limits.memory", &memory)?,
        content_quota: parse::<ByteSize>("limits.content", &content)?,
        state_quota: parse::<ByteSize>("limits.state", &state)?,
        connect_to: parse_connect_to(&connect_to, &authorities)?,
        compile_command: compile_command()?,
        journal: JournalLimits::default(),
    };
    Ok(Config { options, shown: picker.shown })
}

fn read(path: &Path) -> Result<File, Failure> {
    match std::fs::metadata(path) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(File::default()),
        Err(error) => return Err(crate::failure::unreadable(path, &error)),
        Ok(found) if found.len() > FILE_BYTES_MAX => {
            let text = format!("failed to read {}: it is longer than {FILE_BYTES_MAX} bytes", path.display());
            return Err(Failure::usage(text));
        }
        Ok(_) => {}
    }
    let text = std::fs::read_to_string(path).map_err(|error| crate::failure::unreadable(path, &error))?;
    toml::from_str(&text).map_err(|error| {
        let text = format!("failed to read {}: {}", path.display(), error.to_string().trim_end());
        Failure::usage(text).hint("mend that line, or take it out: every key has a value that is built in")
    })
}

struct Picker {
    file_name: String,
    shown: Vec<Shown>,
}

impl Picker {
    fn pick(
        &mut self,
        key: &'static str,
        flag: Option<String>,
        file: Option<String>,
        built_in: Option<String>,
    ) -> Result<String, Failure> {
        let (value, origin) = match (flag, file, built_in) {
            (Some(value), _, _) => (value, "flag".to_owned()),
            (None, Some(value), _) => (value, self.file_name.clone()),
            (None, None, Some(value)) => (value, "built-in".to_owned()),
            (None, None, None) => return Err(Failure::usage(format!("failed to find a value for {key}"))),
        };
        self.shown.push(Shown { key, value: value.clone(), origin });
        Ok(value)
    }

    fn maybe(&mut self, key: &'static str, flag: Option<String>, file: Option<String>) -> Option<String> {
        let (value, origin) = match (flag, file) {
            (Some(value), _) => (Some(value), "flag".to_owned()),
            (None, Some(value)) => (Some(value), self.file_name.clone()),
            (None, None) => (None, "built-in".to_owned()),
        };
        self.shown.push(Shown { key, value: value.clone().unwrap_or_else(|| "(none)".to_owned()), origin });
        value
    }

    fn note(&mut self, key: &'static str, value: String, origin: &str) {
        self.shown.push(Shown { key, value, origin: origin.to_owned() });
    }
}

fn parse<T: std::str::FromStr>(key: &str, text: &str) -> Result<T, Failure>
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

fn parse_suffix(text: &str) -> Result<String, Failure> {
    let allowed = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-' || c == '.';
    let right = !text.is_empty() && text.chars().all(allowed) && !text.starts_with('.') && !text.ends_with('.');
    if right {
        return Ok(text.to_owned());
    }
    Err(Failure::usage(format!("failed to read listen.suffix = \"{text}\": a lower-case host name is expected")))
}

/// What names another chain is of no use without one.
fn check_flags(chain: &str, flags: &Up) -> Result<(), Failure> {
    let unused = [("--contract", flags.contract.is_some()), ("--chain-id", flags.chain_id.is_some())];
    match unused.into_iter().find(|(_, given)| *given && chain == "embedded") {
        Some((flag, _)) => Err(Failure::usage(format!("failed to use {flag}: it is for a chain elsewhere"))
            .hint("name that chain with --chain URL")),
        None => Ok(()),
    }
}

fn parse_chain(chain: &str, id: Option<&str>, contract: Option<&str>, dev: bool) -> Result<ChainChoice, Failure> {
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

fn parse_accept(text: &str) -> Result<AcceptList, Failure> {
    let words: Vec<&str> = text.split(',').map(str::trim).filter(|word| !word.is_empty()).collect();
    match words.as_slice() {
        ["own"] => Ok(AcceptList::Own),
        ["any"] => Ok(AcceptList::Any),
        [] => Err(Failure::usage("failed to read market.accept: `own`, `any` or addresses are expected")),
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

/// The n-th authority belongs to the n-th exception.
fn parse_connect_to(texts: &[String], authorities: &[PathBuf]) -> Result<Vec<ConnectTo>, Failure> {
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

fn compile_command() -> Result<CompileCommand, Failure> {
    let program = std::env::current_exe()
        .map_err(|error| Failure::new(Exit::Failed, format!("failed to find this program's own file: {error}")))?;
    Ok(CompileCommand { program, arguments: vec!["internal".into(), "compile".into()] })
}
