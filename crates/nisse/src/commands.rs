//! One function for each command. Commands about agents, content and the market speak to the running node; those about
//! packages and configuration read the disk.

mod agents;
mod audit;
mod chain;
mod content;
mod device;
mod doctor;
mod files;
mod identity;
mod invoke;
mod job;
mod market;
mod pkg;
mod receipt;
mod reputation;
mod space;
mod token;
mod up;
mod vault;
mod wallet;

use std::io::ErrorKind;
use std::net::SocketAddr;
use std::path::Path;

use nisse_api::client::Client;
use nisse_node::{NodeError, remote_access};
use nisse_store::{Home, SystemDisk};

use self::chain::seams;
use self::vault::with_typed_passphrase;
use crate::cli::{
    Cli, Command, ConfigCommand, DeviceCommand, IdentityCommand, KitCommand, MarketCommand, NodeCommand, Shared, Shell,
    TokenCommand, VaultCommand, WalletCommand,
};
use crate::config;
use crate::failure::{Exit, Failure, unreadable};
use crate::{internal, output, remote};

/// Runs one command to its end.
pub(crate) fn run(cli: Cli) -> Result<(), Failure> {
    let Cli { shared, command } = cli;
    check_way(&shared, &command)?;
    match command {
        Command::Internal(command) => internal::run(command),
        Command::Pkg(command) => pkg::run(&command, &shared),
        Command::Completions { shell } => {
            completions(shell);
            Ok(())
        }
        Command::Config(ConfigCommand::Show) => config_show(&shared),
        Command::Up(flags) => block_on(up::run(&shared, &flags)),
        Command::Node(NodeCommand::Serve(flags)) => block_on(up::serve(&shared, *flags)),
        Command::Doctor { rebuild_chain: true } => block_on(chain::rebuild(&shared)),
        Command::Doctor { rebuild_chain: false } => block_on(doctor::run(&shared)),
        Command::Content(command) => block_on(content::run(&shared, command)),
        Command::Market(command) => block_on(market::run(&shared, command)),
        Command::Node(command) => block_on(market::node(&shared, command)),
        Command::Audit(command) => block_on(audit::run(&shared, command)),
        Command::Unlock => block_on(vault::unlock(&shared)),
        Command::Seal => block_on(vault::seal(&shared)),
        Command::Vault(command) => block_on(vault::run(&shared, command)),
        Command::Secret(command) => block_on(vault::secret(&shared, command)),
        Command::Wallet(command) => block_on(wallet::run(&shared, command)),
        Command::Identity(command) => block_on(identity::run(&shared, command)),
        Command::Kit(KitCommand::Check) => block_on(identity::check_kit(&shared)),
        Command::Device(command) => block_on(device::run(&shared, command)),
        Command::Token(command) => block_on(token::run(&shared, command)),
        Command::Trigger(command) => block_on(job::trigger(&shared, command)),
        Command::Why { agent, trigger } => block_on(job::why(&shared, &agent, &trigger)),
        Command::Invocation(command) => block_on(job::invocation(&shared, command)),
        Command::Space(command) => block_on(space::run(&shared, command)),
        Command::Receipt(command) => block_on(receipt::run(&shared, command)),
        other => block_on(agents::run(&shared, other)),
    }
}

fn block_on<F: Future<Output = Result<(), Failure>>>(command: F) -> Result<(), Failure> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
    let runtime = runtime.map_err(|error| Failure::new(Exit::Failed, format!("failed to start: {error}")))?;
    let result = runtime.block_on(async {
        let result = command.await;
        remote::hang_up().await;
        result
    });
    runtime.shutdown_background();
    result
}

/// Refuses `--remote` and `--token` where a command speaks of this machine alone.
fn check_way(shared: &Shared, command: &Command) -> Result<(), Failure> {
    let is_local = match command {
        Command::Up(_) | Command::Node(NodeCommand::Serve(_)) => "the node runs here",
        Command::Pkg(_)
        | Command::Completions { .. }
        | Command::Internal(_)
        | Command::Token(TokenCommand::Show { .. }) => "it reads what lies here",
        Command::Config(_) | Command::Doctor { .. } => "it looks at the home that lies here",
        Command::Market(MarketCommand::Rehearse { .. } | MarketCommand::Upgrade) => "it is done here",
        Command::Vault(VaultCommand::Restore { .. }) => "it is done here, while no node runs",
        Command::Vault(VaultCommand::Keygen) => "it asks no node",
        Command::Vault(VaultCommand::Export { .. }) | Command::Wallet(WalletCommand::Export { .. }) => {
            "keys leave a vault on its own machine alone"
        }
        Command::Identity(IdentityCommand::New { .. } | IdentityCommand::Recover { .. })
        | Command::Device(DeviceCommand::Pair { ticket: Some(_), .. } | DeviceCommand::Meet { .. }) => {
            "it is about the key of this home"
        }
        _ => return Ok(()),
    };
    let refused = |flag: &str| Failure::usage(format!("failed to use {flag}: {is_local}"));
    match (&shared.remote, &shared.token) {
        (Some(_), _) => Err(refused("--remote").hint("leave out --remote, or run the command on that machine")),
        (None, Some(_)) => Err(refused("--token").hint("leave out --token")),
        (None, None) => Ok(()),
    }
}

/// A client of the node that runs on this home, or on the one that `--remote` names, or by `--token`. The home's token goes
/// to nobody but the process that holds the home's lock: whatever listens on the port of one that was killed may be anybody.
pub(crate) async fn client(shared: &Shared) -> Result<Client, Failure> {
    if let Some(file) = &shared.token {
        return token::client_by_token(shared, file).await;
    }
    let home = config::home(shared.home.as_deref())?;
    if let Some(name) = &shared.remote {
        check_home(&home)?;
        return client_of_peer(&home, name).await;
    }
    let absent = || {
        let text = format!("failed to find a running node on {}", home.display());
        Failure::new(Exit::Unreachable, text).hint("start it with `nisse up`, or name another home with --home")
    };
    let run_file = home.join("run.json");
    if run_file.symlink_metadata().is_err_and(|error| error.kind() == ErrorKind::NotFound) {
        return Err(absent());
    }
    check_home(&home)?;
    // Read first: should its node end from here on, what was read opens nothing any more.
    let token = home.join("token");
    Home::check_secret(&SystemDisk, &token).map_err(NodeError::from)?;
    let token = files::read_text(&token)?;
    let holder = Home::holder(&home).map_err(|error| unreadable(&home.join("lock"), &error))?.ok_or_else(absent)?;
    let run: serde_json::Value = serde_json::from_str(&files::read_text(&run_file)?).map_err(|_| absent())?;
    if run["pid"] != holder {
        let text = format!("failed to reach the node on {}: process {holder} does not serve yet", home.display());
        return Err(Failure::new(Exit::Unreachable, text).hint("try again in a moment"));
    }
    let api: SocketAddr = run["api"].as_str().and_then(|api| api.parse().ok()).ok_or_else(absent)?;
    Ok(Client::new(api, token.trim()))
}

/// A client of the home that this one calls `name`.
async fn client_of_peer(home: &Path, name: &str) -> Result<Client, Failure> {
    let (node, peers) = remote::options(home)?;
    let access = with_typed_passphrase(async |passphrase| remote_access(&node, &seams(), passphrase, name).await);
    Ok(remote::client(access.await?, peers))
}

/// Refuses a home that stands and is another user's, or open to others.
fn check_home(home: &Path) -> Result<(), Failure> {
    match home.join("format").symlink_metadata() {
        Ok(_) => Home::check_closed(&SystemDisk, home).map_err(|error| NodeError::from(error).into()),
        // There is none yet, or whoever looks further says why not.
        Err(_) => Ok(()),
    }
}

/// A path of the control API for an agent. What cannot stand in a path is never an agent's name.
pub(crate) fn agent_path(agent: &str, rest: &str) -> Result<String, Failure> {
    let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | ':' | '@');
    if agent.is_empty() || !agent.chars().all(allowed) {
        return Err(Failure::usage(format!(
            "failed to read `{agent}` as an agent: expected NAME, NAME--OWNER or a deployment"
        ))
        .hint("`nisse ls` lists the agents of this node"));
    }
    Ok(format!("/api/v1/agents/{agent}{rest}"))
}

/// A name as one segment of a path, whatever it is.
fn segment(name: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b':');
    let escape = |byte: u8| if plain(byte) { char::from(byte).to_string() } else { format!("%{byte:02X}") };
    name.bytes().map(escape).collect()
}

fn completions(shell: Shell) {
    use clap::CommandFactory as _;
    let mut command = Cli::command();
    let mut out = std::io::stdout();
    match shell {
        Shell::Bash => clap_complete::generate(clap_complete::Shell::Bash, &mut command, "nisse", &mut out),
        Shell::Zsh => clap_complete::generate(clap_complete::Shell::Zsh, &mut command, "nisse", &mut out),
        Shell::Fish => clap_complete::generate(clap_complete::Shell::Fish, &mut command, "nisse", &mut out),
    }
}

fn config_show(shared: &Shared) -> Result<(), Failure> {
    let home = config::home(shared.home.as_deref())?;
    let shown = config::load(&home, &crate::cli::Up::default())?.shown;
    if shared.json {
        let values: Vec<_> = shown
            .iter()
            .map(|one| serde_json::json!({ "key": one.key, "value": one.value, "origin": one.origin }))
            .collect();
        output::json(&values);
        return Ok(());
    }
    let rows: Vec<_> = shown.into_iter().map(|one| vec![one.key.to_owned(), one.value, one.origin]).collect();
    output::table(&["key", "value", "from"], &rows);
    Ok(())
}
