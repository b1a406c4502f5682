//! One `nisse.toml`: flags over file over built-in; unknown keys are errors; every value knows where it came from. The
//! environment names the home (`NISSE_HOME`, below `--home`) and sets nothing that stands in this file.

mod values;

use std::ffi::OsString;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use nisse_content::GatewayUrl;
use nisse_model::{Amount, ByteSize, Cpu};
use nisse_node::{JournalLimits, NodeOptions, PeerOptions, Prices, VaultChoice, VaultCommand};
use nisse_sandbox::CompileCommand;
use serde::Deserialize;

use crate::cli::Up;
use crate::failure::{Exit, Failure};
use values::{
    check_endpoint, check_flags, parse, parse_accept, parse_all, parse_chain, parse_connect_to, parse_suffix,
};

/// The built-in values, as a file would say them.
const BUILT_IN: &str = include_str!("config/built-in.toml");
/// No chain has this id: the chain is asked for its own before the node starts.
pub(crate) const CHAIN_ID_UNKNOWN: u64 = 0;
/// What the unit's credential is called that unlocks the vault.
const CREDENTIAL: &str = "nisse-vault";
/// Longest configuration file.
const FILE_BYTES_MAX: u64 = 64 << 10;

/// `nisse.toml`.
#[derive(Debug, Deserialize, Default, Clone)]
#[serde(deny_unknown_fields, default)]
struct File {
    listen: Listen,
    market: Market,
    limits: Limits,
    content: Content,
    egress: Egress,
    link: Link,
    vault: Vault,
}

#[derive(Debug, Deserialize, Default, Clone)]
#[serde(deny_unknown_fields, default)]
struct Listen {
    api: Option<String>,
    public: Option<String>,
    rpc: Option<String>,
    suffix: Option<String>,
    endpoint: Option<String>,
    origins: Option<Vec<String>>,
}

#[derive(Debug, Deserialize, Default, Clone)]
#[serde(deny_unknown_fields, default)]
struct Market {
    chain: Option<String>,
    chain_id: Option<u64>,
    contract: Option<String>,
    accept: Option<Vec<String>>,
    stake: Option<String>,
    price: Option<String>,
    price_cpu: Option<String>,
    price_memory: Option<String>,
    price_load: Option<u32>,
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
struct Content {
    gateways: Option<Vec<String>>,
    routers: Option<Vec<String>>,
}

#[derive(Debug, Deserialize, Default, Clone)]
#[serde(deny_unknown_fields, default)]
struct Egress {
    connect_to: Option<Vec<String>>,
    ca: Option<Vec<PathBuf>>,
}

#[derive(Debug, Deserialize, Default, Clone)]
#[serde(deny_unknown_fields, default)]
struct Link {
    listen: Option<String>,
    relays: Option<Vec<String>>,
    nearby: Option<bool>,
}

#[derive(Debug, Deserialize, Default, Clone)]
#[serde(deny_unknown_fields, default)]
struct Vault {
    recovery: Option<Vec<String>>,
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
    let endpoint = picker.maybe("listen.endpoint", flags.endpoint.clone(), file.listen.endpoint);
    let endpoint: Option<GatewayUrl> = endpoint.map(|text| parse("listen.endpoint", &text)).transpose()?;
    let named = endpoint.as_ref().map(|url| url.host().to_string());
    let suffix = match (&file.listen.suffix, named) {
        (None, Some(named)) => picker.follow("listen.suffix", named, "listen.endpoint"),
        _ => picker.pick("listen.suffix", None, file.listen.suffix, built_in.listen.suffix)?,
    };
    check_endpoint(endpoint.as_ref(), &suffix)?;
    let origins = picker.list("listen.origins", &[], file.listen.origins, String::clone);
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
    let stake = picker.maybe("market.stake", flags.stake.clone(), file.market.stake);
    let price = picker.pick("market.price", flags.price.clone(), file.market.price, built_in.market.price)?;
    let price_cpu = picker.pick("market.price_cpu", None, file.market.price_cpu, built_in.market.price_cpu)?;
    let price_memory =
        picker.pick("market.price_memory", None, file.market.price_memory, built_in.market.price_memory)?;
    let price_load = picker.pick(
        "market.price_load",
        None,
        file.market.price_load.map(|percent| percent.to_string()),
        built_in.market.price_load.map(|percent| percent.to_string()),
    )?;
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
    let gateways = picker.list("content.gateways", &flags.gateway, file.content.gateways, String::clone);
    let routers = picker.list("content.routers", &flags.router, file.content.routers, String::clone);
    let from_flags = !flags.connect_to.is_empty();
    if !from_flags && !flags.ca.is_empty() {
        return Err(Failure::usage("failed to use --ca: each one belongs to a --connect-to before it"));
    }
    let connect_to = picker.list("egress.connect_to", &flags.connect_to, file.egress.connect_to, String::clone);
    // The n-th belongs to the n-th exception: those of the file never go with those of the flags.
    let ca_file = file.egress.ca.filter(|_| !from_flags);
    let authorities = picker.list("egress.ca", &flags.ca, ca_file, |path| path.display().to_string());

    let link = picker.pick("link.listen", flag_addr(flags.link), file.link.listen, built_in.link.listen)?;
    let relays = picker.list("link.relays", &[], file.link.relays, String::clone);
    let said = |nearby: Option<bool>| nearby.map(|nearby| nearby.to_string());
    let nearby = picker.pick("link.nearby", None, said(file.link.nearby), said(built_in.link.nearby))?;

    let recovery = picker.list("vault.recovery", &[], file.vault.recovery, String::clone);
    nisse_vault::check_recipients(&recovery)
        .map_err(|error| Failure::usage(format!("failed to read `vault.recovery`: failed to {error}")))?;

    check_flags(&chain, flags)?;
    let options = NodeOptions {
        home: home.to_owned(),
        api: parse("listen.api", &api)?,
        public: parse("listen.public", &public)?,
        rpc: rpc.as_deref().map(|text| parse("listen.rpc", text)).transpose()?,
        suffix: parse_suffix(&suffix)?,
        chain: parse_chain(&chain, chain_id.as_deref(), contract.as_deref(), flags.chain_dev)?,
        accept: parse_accept(&accept)?,
        stake: stake.as_deref().map(|text| parse::<Amount>("market.stake", text)).transpose()?,
        prices: Prices {
            floor: parse("market.price", &price)?,
            cpu: parse("market.price_cpu", &price_cpu)?,
            memory: parse("market.price_memory", &price_memory)?,
            load_percent: parse("market.price_load", &price_load)?,
        },
        gas_budget_max: parse::<u64>("market.gas_budget_max", &gas_budget_max)?,
        cpu: parse::<Cpu>("limits.cpu", &cpu)?,
        memory: parse::<ByteSize>("limits.memory", &memory)?,
        content_quota: parse::<ByteSize>("limits.content", &content)?,
        state_quota: parse::<ByteSize>("limits.state", &state)?,
        gateways: parse_all("content.gateways", &gateways)?,
        routers: parse_all("content.routers", &routers)?,
        endpoint,
        origins: parse_all("listen.origins", &origins)?,
        connect_to: parse_connect_to(&connect_to, &authorities)?,
        compile_command: compile_command()?,
        vault: VaultChoice::Process(vault_command(home)?),
        recovery,
        peers: Some(PeerOptions {
            listen: parse("link.listen", &link)?,
            relays,
            nearby: parse("link.nearby", &nearby)?,
        }),
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
        // Its own words show the line over several lines; this is one sentence.
        let before = error.span().and_then(|span| text.get(..span.start)).unwrap_or_default();
        let line = before.matches('\n').count() + 1;
        let why = error.message().replace('\n', "; ");
        Failure::usage(format!("failed to read {}: line {line}: {why}", path.display()))
            .hint("mend that line, or take it out: every key has a value that is built in")
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

    /// A value that another key brings.
    fn follow(&mut self, key: &'static str, value: String, from: &'static str) -> String {
        self.shown.push(Shown { key, value: value.clone(), origin: from.to_owned() });
        value
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

    /// The flags' values, or else the file's; each is shown on a line of its own.
    fn list<T: Clone>(
        &mut self,
        key: &'static str,
        flags: &[T],
        file: Option<Vec<T>>,
        shown: impl Fn(&T) -> String,
    ) -> Vec<T> {
        let (values, origin) = match (flags, file) {
            ([], Some(values)) => (values, self.file_name.clone()),
            ([], None) => (Vec::new(), "built-in".to_owned()),
            (flags, _) => (flags.to_vec(), "flag".to_owned()),
        };
        let texts = if values.is_empty() { vec!["(none)".to_owned()] } else { values.iter().map(shown).collect() };
        self.shown.extend(texts.into_iter().map(|value| Shown { key, value, origin: origin.clone() }));
        values
    }
}

fn compile_command() -> Result<CompileCommand, Failure> {
    Ok(CompileCommand { program: own_file()?, arguments: vec!["internal".into(), "compile".into()] })
}

fn vault_command(home: &Path) -> Result<VaultCommand, Failure> {
    let mut arguments: Vec<OsString> = vec!["internal".into(), "vault".into(), "--dir".into(), home.into()];
    // Where systemd puts what `LoadCredential=` and its siblings name (systemd.exec, CREDENTIALS).
    let credential = std::env::var_os("CREDENTIALS_DIRECTORY").map(|folder| Path::new(&folder).join(CREDENTIAL));
    if let Some(path) = credential.filter(|path| path.exists()) {
        arguments.extend(["--credential".into(), path.into()]);
    }
    Ok(VaultCommand { program: own_file()?, arguments })
}

fn own_file() -> Result<PathBuf, Failure> {
    std::env::current_exe()
        .map_err(|error| Failure::new(Exit::Failed, format!("failed to find this program's own file: {error}")))
}
