//! The nodes of the rehearsal: each the same program in a process and a home of its own.

use std::fs::{File, OpenOptions};
use std::path::{Path, PathBuf};
use std::process::Stdio;

use nisse_api::client::Client;
use nisse_model::Amount;
use nisse_node::control::{NodeEarnings, NodeStatus, NodeWithdrawn};
use tokio::process::{Child, Command};

use super::{LOOK, amount, failed, within};
use crate::cli::Shared;
use crate::commands;
use crate::failure::Failure;

/// The name under which the node with this number is reached, on the renter's word.
pub(super) fn host(number: usize) -> String {
    format!("node-{number}.example")
}

/// One node.
pub(super) struct Actor {
    pub(super) name: String,
    /// Its address, once it is up.
    pub(super) operator: String,
    home: PathBuf,
    log: PathBuf,
    flags: Vec<String>,
    /// Ends with this.
    child: Child,
}

impl Actor {
    /// Starts the node with this number on the market, at this price.
    pub(super) fn start(
        folder: &Path,
        number: usize,
        rate: u64,
        port: u16,
        market: &NodeStatus,
    ) -> Result<Self, Failure> {
        let chain_url = market.chain_url.clone().unwrap_or_default();
        let contract = market.contract.as_deref().unwrap_or_default();
        let (chain, price, gateway) = (market.chain.to_string(), rate.to_string(), format!("http://{}", market.public));
        let (public, endpoint) = (format!("127.0.0.1:{port}"), format!("http://{}:{port}", host(number)));
        let flags = [
            ["--chain", &chain_url],
            ["--contract", contract],
            ["--chain-id", &chain],
            ["--accept", "any"],
            ["--price", &price],
            ["--gateway", &gateway],
            ["--api", "127.0.0.1:0"],
            ["--public", &public],
            ["--endpoint", &endpoint],
        ];
        let flags: Vec<String> = flags.iter().flatten().map(|&flag| flag.to_owned()).collect();
        let (home, log) = (folder.join(format!("node-{number}")), folder.join(format!("node-{number}.log")));
        let child = spawn(&home, &log, &flags)?;
        Ok(Self { name: format!("node {number}"), operator: String::new(), home, log, flags, child })
    }

    /// The power goes.
    pub(super) async fn kill(&mut self) -> Result<(), Failure> {
        self.child.kill().await.map_err(|error| failed(format!("kill {}: {error}", self.name)))
    }

    /// It comes back.
    pub(super) fn start_again(&mut self) -> Result<(), Failure> {
        self.child = spawn(&self.home, &self.log, &self.flags)?;
        Ok(())
    }

    async fn status(&self) -> Result<NodeStatus, Failure> {
        Ok(self.client().await?.get("/api/v1/node").await?)
    }

    /// Waits until it is so.
    pub(super) async fn wait_for(
        &mut self,
        is_so: impl Fn(&NodeStatus) -> bool,
        what: &str,
    ) -> Result<NodeStatus, Failure> {
        let what = format!("see {} {what}", self.name);
        within(&what, async {
            loop {
                if let Ok(Some(status)) = self.child.try_wait() {
                    return Err(failed(format!("{what}: it ended with {status}")));
                }
                // One that has just begun has no answer yet.
                if let Ok(status) = self.status().await
                    && is_so(&status)
                {
                    return Ok(status);
                }
                tokio::time::sleep(LOOK).await;
            }
        })
        .await
    }

    /// Draws all that it can draw, if there is something.
    pub(super) async fn withdraw(&self) -> Result<Option<Amount>, Failure> {
        let client = self.client().await?;
        let earnings: NodeEarnings = client.get("/api/v1/node/earnings").await?;
        if amount(&earnings.withdrawable)? == Amount(0) {
            return Ok(None);
        }
        let drawn: NodeWithdrawn = client.post("/api/v1/node/withdraw", &None::<String>).await?;
        amount(&drawn.amount).map(Some)
    }

    async fn client(&self) -> Result<Client, Failure> {
        let home = Some(self.home.clone());
        commands::client(&Shared { home, json: false, remote: None, token: None, at: None }).await
    }
}

fn spawn(home: &Path, log: &Path, flags: &[String]) -> Result<Child, Failure> {
    let open = || -> std::io::Result<(PathBuf, File, File)> {
        let said = OpenOptions::new().create(true).append(true).open(log)?;
        Ok((std::env::current_exe()?, said.try_clone()?, said))
    };
    let (program, out, err) = open().map_err(|error| failed(format!("start a node: {error}")))?;
    Command::new(program)
        .arg("--home")
        .arg(home)
        .args(["node", "serve"])
        .args(flags)
        .stdin(Stdio::null())
        .stdout(out)
        .stderr(err)
        .kill_on_drop(true)
        .spawn()
        .map_err(|error| failed(format!("start a node: {error}")))
}
